// SPDX-License-Identifier: BSD-2-Clause
//
// t_av_index - our MP4 and Matroska tables against those of ffprobe, hand-made
// boxes and elements with hostile numbers, and files cut or changed at random.
//
// Clips are made by the ffmpeg program in a scratch folder; those in the folder
// $CLIPS are read too.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/av/index.h"

static const struct job_limits limits = {
    .pixels = 36000000, .streams = 32, .probe_bytes = 2 * GIB, .duration_ms = 86400000
};

static char folder[] = "/tmp/t_av_index.XXXXXX";

// ---- a source in memory

struct memory {
    struct io io;
    const uint8_t *bytes;
    int64_t read;
};

static int64_t memory_read(struct io *io, int64_t offset, void *out, int64_t n)
{
    struct memory *m = container_of(io, struct memory, io);
    assert_true(offset >= 0 && n > 0);
    const int64_t left = io->size > offset ? io->size - offset : 0;
    n = n < left ? n : left;
    memcpy(out, m->bytes + offset, (size_t)n);
    m->read += n;
    return n;
}

static struct memory memory_of(const uint8_t *bytes, size_t n)
{
    return (struct memory){ .io = { .size = (int64_t)n, .read = memory_read }, .bytes = bytes };
}

static int index_of(struct io *io, struct index *x, char *detail, size_t cap)
{
    uint8_t head[64] = { 0 };
    const int64_t n = io->size < 64 ? io->size : 64;
    if (n)
        assert_int_equal(io->read(io, 0, head, n), n);
    *x = (struct index){ 0 };
    switch (index_sniff(head, (size_t)n)) {
    case CONTAINER_MP4:
        return index_read_mp4(io, &limits, x, detail, cap);
    case CONTAINER_MATROSKA:
        return index_read_matroska(io, &limits, x, detail, cap);
    default:
        return -E_UNSUPPORTED;
    }
}

static struct buf load(const char *path)
{
    struct buf b;
    buf_init(&b, (size_t)(64 * MIB));
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    uint8_t t[65536];
    for (size_t n; (n = fread(t, 1, sizeof t, f)) > 0;)
        assert_int_equal(buf_append(&b, t, n), 0);
    fclose(f);
    return b;
}

// ---- ffmpeg and ffprobe

static void run(const char *command)
{
    char *c = xasprintf("cd %s && { %s; } </dev/null >log 2>&1", folder, command);
    if (system(c))
        fail_msg("failed: %s", command);
    free(c);
}

struct packet {
    long long pts, size, pos;
    bool key, discard;
};

// One line "pts,size,pos,flags" of ffprobe; a missing number is N/A.
static bool parse_packet(char *line, struct packet *p)
{
    char *field[4] = { 0 };
    int n = 0;
    for (char *s = strtok(line, ",\n"); s && n < 4; s = strtok(NULL, ",\n"))
        field[n++] = s;
    if (n < 4)
        return false;
    p->pts = strcmp(field[0], "N/A") ? atoll(field[0]) : INT64_MIN;
    p->size = atoll(field[1]);
    p->pos = atoll(field[2]);
    p->key = strchr(field[3], 'K');
    p->discard = strchr(field[3], 'D');
    return true;
}

// Compares one track with ffprobe's packets, and gives their number.  ffprobe
// does not show what the edit list leaves out: such samples of ours are passed over.
// Where an edit begins in mid-frame it moves the next frame to 0; we do not.
static int compare_track(const char *path, const struct index *x, const struct index_track *t)
{
    char *c = xasprintf("ffprobe -v quiet -select_streams %d -show_entries "
                        "packet=pts,size,pos,flags -of csv=p=0:nk=1 '%s'",
                        t->number, path);
    FILE *f = popen(c, "r");
    assert_non_null(f);
    char line[256];
    int i = 0, n = 0;
    const int64_t delay = (t->codec_delay_ns + 500000) / 1000000;
    int64_t moved = INT64_MIN;
    for (struct packet p; fgets(line, sizeof line, f);) {
        if (!parse_packet(line, &p))
            continue;
        const bool mp4 = x->container == CONTAINER_MP4;
        while (mp4 && i < t->sample_count && t->samples[i].offset != p.pos)
            i++;
        if (i == t->sample_count)
            fail_msg("%s track %d: packet %d at %lld is not ours", path, t->number, n, p.pos);
        const struct sample *s = &t->samples[i++];
        int64_t pts = s->pts - (t->timescale == 1000 ? delay : 0);
        if (moved == INT64_MIN && !p.discard)
            moved = mp4 && i > 1 && pts - p.pts > 0 && pts - p.pts < s->duration ? pts - p.pts : 0;
        pts -= p.discard ? 0 : moved;
        const bool near = mp4 || (s->offset > p.pos && s->offset - p.pos < 64);
        if (s->size != p.size || !near || (t->video && s->sync != p.key) ||
            (!p.discard && pts != p.pts))
            fail_msg("%s track %d packet %d: size %u pts %lld sync %d, not %lld %lld %d", path,
                     t->number, n, s->size, (long long)pts, s->sync, p.size, p.pts, p.key);
        n++;
    }
    pclose(f);
    free(c);
    if (x->container != CONTAINER_MP4)
        assert_int_equal(n, t->sample_count);
    return n;
}

static int shown(const struct index_track *t)
{
    int n = 0;
    for (int i = 0; i < t->sample_count; i++)
        n += t->samples[i].pts >= 0 && t->samples[i].pts < t->end;
    return n;
}

// Frames and seconds of the first video track must be as given (0: do not care).
static void check_clip(const char *path, int frames, double end)
{
    struct buf b = load(path);
    struct memory m = memory_of(b.data, b.len);
    struct index x;
    char detail[200];
    if (index_of(&m.io, &x, detail, sizeof detail) < 0)
        fail_msg("%s: %s", path, detail);
    bool first = true;
    for (int i = 0; i < x.track_count; i++) {
        const struct index_track *t = &x.tracks[i];
        if (!t->video && !t->audio)
            continue;
        if (t->refused)
            fail_msg("%s track %d: %s", path, i, t->why);
        compare_track(path, &x, t);
        if (!t->video || !first)
            continue;
        first = false;
        if (frames && shown(t) != frames)
            fail_msg("%s: %d frames, not %d", path, shown(t), frames);
        const double s = (double)t->end / (double)t->timescale;
        if (end > 0 && (s - end > 0.0006 || end - s > 0.0006))
            fail_msg("%s: ends at %f, not %f", path, s, end);
    }
    index_finish(&x);
    buf_finish(&b);
}

// ---- made clips

#define SOURCE "-f lavfi -i testsrc2=s=128x96:r=25:d=6 -f lavfi -i sine=r=48000:d=6 "
#define X264 "-c:v libx264 -preset veryfast -g 50 -bf 3 -pix_fmt yuv420p "
#define FFMPEG "ffmpeg -v error -y "

static const struct {
    const char *name, *command;
    int frames;
    double end;
} made[] = {
    { "last.mp4", FFMPEG SOURCE X264 "-c:a aac last.mp4", 150, 6 },
    { "front.mp4", FFMPEG "-i last.mp4 -c copy -movflags +faststart front.mp4", 150, 6 },
    { "open.mp4", FFMPEG SOURCE X264 "-x264-params open-gop=1 -an open.mp4", 150, 6 },
    { "open.mkv", FFMPEG "-i open.mp4 -c copy open.mkv", 150, 6 },
    { "cut.mp4", FFMPEG "-ss 3.3 -i last.mp4 -c copy cut.mp4", 0, 0 },
    { "part.mp4", FFMPEG "-i last.mp4 -c copy -t 2.5 part.mp4", 0, 0 },
    { "late.mp4",
      FFMPEG "-itsoffset 0.5 -i last.mp4 -i last.mp4 -map 0:v -map 1:a -c copy late.mp4", 0, 0 },
    { "old.mov", FFMPEG "-i last.mp4 -c copy old.mov", 150, 6 },
    { "ntsc.mp4",
      FFMPEG "-f lavfi -i testsrc2=s=128x96:r=30000/1001 -frames:v 180 " X264 "ntsc.mp4", 180,
      6.006 },
    { "frag.mp4",
      FFMPEG "-i last.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof frag.mp4",
      0, 0 },
    { "frag2.mp4",
      FFMPEG "-i last.mp4 -c copy -movflags +frag_keyframe -frag_duration 500000 "
             "frag2.mp4",
      0, 0 },
    { "hevc.mp4",
      FFMPEG SOURCE "-c:v libx265 -preset ultrafast -x265-params log-level=none -c:a aac hevc.mp4",
      150, 6 },
    { "b.mkv", FFMPEG "-i last.mp4 -c copy b.mkv", 150, 6.021 },
    { "live.mkv", FFMPEG "-i last.mp4 -c copy -live 1 live.mkv", 150, 6.021 },
    { "pipe.webm",
      FFMPEG SOURCE "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus -f webm - "
                    "2>/dev/null | cat >pipe.webm",
      150, 6.007 },
    { "file.webm", FFMPEG "-i pipe.webm -c copy file.webm", 150, 6.014 },
    { "arf.webm",
      FFMPEG SOURCE "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -b:v 200k -c:a libvorbis "
                    "arf.webm",
      0, 0 },
    { "mp3.mkv", FFMPEG "-i last.mp4 -c:v copy -c:a libmp3lame mp3.mkv", 150, 6.023 },
};

static void test_made(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(made); i++) {
        run(made[i].command);
        char *path = xasprintf("%s/%s", folder, made[i].name);
        check_clip(path, made[i].frames, made[i].end);
        free(path);
    }
}

static const struct {
    const char *name;
    int frames;
    double end;
} real[] = {
    { "android-2160p60-portrait-rot90.mp4", 18, 0.29971 },
    { "audio-only-aac-10s.mp4", 0, 0 },
    { "bbb-480p24-30s-aac51.mp4", 720, 30 },
    { "bbb-480p24-msmpeg4v2-mp3.mkv", 100, 0 },
    { "bbb-720p24-vp8-vorbis-30s.webm", 720, 30.003 },
    { "bbb-800x640-sar64_45-bpyramid.mp4", 120, 4 },
    { "bear-161x121-vp9-odd.webm", 30, 1.001 },
    { "cctv-cars-432p12.5-30s.mp4", 377, 30.16 },
    { "city-240p60-fragmented-15s.mp4", 932, 0 },
    { "corrupt-720p10-h264.mp4", 50, 5 },
    { "frame-counter-1920x1280p25-10s.mp4", 250, 10 },
    { "iphone-hevc10-hlg-dovi-rot90-elst.mp4", 77, 0 },
    { "mediarecorder-720p-vp9-opus-noduration.webm", 74, 0 },
    { "nasa-multitrack-2v-2a-2s.mp4", 325, 13 },
    { "oldphone-cif-h263-vfr.3gp", 71, 0 },
    { "phone-av1-hdr10-portrait.mp4", 127, 4.2376 },
    { "screenrec-1070x700-vfr.mov", 469, 0 },
    { "sintel-480p25-26s.mp4", 652, 0 },
    { "snowboard-400p30-29s.mp4", 869, 28.9667 },
};

static void test_real(void **state)
{
    (void)state;
    const char *clips = getenv("CLIPS");
    if (!clips) {
        printf("not run: CLIPS is not set\n");
        return;
    }
    for (size_t i = 0; i < countof(real); i++) {
        char *path = xasprintf("%s/%s", clips, real[i].name);
        check_clip(path, real[i].frames, real[i].end);
        free(path);
    }
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char *c = xasprintf("rm -rf %s", folder);
    const int rc = system(c);
    free(c);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
