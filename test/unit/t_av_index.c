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
#include "codec/av/sniff.h"
#include "test/unit/real_clips.h"

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
    struct carriage how;
    switch (sniff(head, (size_t)n, &how)) {
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
        if (!index_is_wanted(t) && !t->refused)
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
#define TEXT                                                                                       \
    "printf '1\\n00:00:00,500 --> 00:00:02,000\\nOne\\n\\n2\\n00:00:01,000 --> "                   \
    "00:00:09,000\\nTwo\\n' "                                                                      \
    ">text.srt; "
#define TEXTS "-i last.mp4 -i text.srt -map 0 -map 1 -c copy "
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
    { "text.mp4", TEXT FFMPEG TEXTS "-c:s mov_text text.mp4", 150, 6 },
    { "textfrag.mp4",
      FFMPEG "-i text.mp4 -map 0 -c copy -movflags +frag_keyframe+empty_moov textfrag.mp4", 0, 0 },
    { "srt.mkv", FFMPEG TEXTS "-c:s srt srt.mkv", 150, 0 },
    { "ass.mkv", FFMPEG TEXTS "-c:s ass ass.mkv", 150, 0 },
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
    const char *const clips = real_clips();
    for (size_t i = 0; i < countof(real); i++) {
        char *path = xasprintf("%s/%s", clips, real[i].name);
        check_clip(path, real[i].frames, real[i].end);
        free(path);
    }
}

// ---- hand-made boxes

// A box of which the body follows until close.
static size_t open_box(struct buf *b, const char *type)
{
    put_be32(b, 0);
    buf_append(b, type, 4);
    return b->len - 8;
}

static void close_box(struct buf *b, size_t at)
{
    const uint32_t n = (uint32_t)(b->len - at);
    for (int i = 0; i < 4; i++)
        b->data[at + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
}

static void put_numbers(struct buf *b, const char *type, const uint32_t *v, int n)
{
    const size_t box = open_box(b, type);
    for (int i = 0; i < n; i++)
        put_be32(b, v[i]);
    close_box(b, box);
}

#define BOX(b, type, ...)                                                                          \
    put_numbers(b, type, (const uint32_t[]){ __VA_ARGS__ },                                        \
                sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

// The tables of a track that may be replaced by a case; numbers follow version and flags.
#define TABLE 16
struct tables {
    uint32_t elst[2 + 3 * (INDEX_PARTS_MAX + 1)], mdhd[TABLE], stts[TABLE], ctts[TABLE],
        stss[TABLE], stsc[TABLE], stsz[TABLE], stco[TABLE];
    int n_elst, n_ctts, n_stss, n_stsz, n_stts, n_stsc, n_stco; // 0: the default, or absent
    bool co64, sound;
    const char *smpb; // a tag of iTunes
};

static const struct tables plain = {
    .mdhd = { 0, 0, 0, 1000, 3000, 0x55c40000 },
    .stts = { 0, 1, 3, 1000 },
    .n_stts = 4,
    .stsc = { 0, 1, 1, 3, 1 },
    .n_stsc = 5,
    .stsz = { 0, 10, 3 },
    .n_stsz = 3,
    .stco = { 0, 1, 16 },
    .n_stco = 3,
};

static void put_smpb(struct buf *b, const char *text)
{
    const size_t udta = open_box(b, "udta"), meta = open_box(b, "meta");
    put_be32(b, 0);
    const size_t ilst = open_box(b, "ilst");
    BOX(b, "\251nam", 0);
    const size_t item = open_box(b, "----"), name = open_box(b, "name");
    put_be32(b, 0);
    buf_append(b, "iTunSMPB", 8);
    close_box(b, name);
    const size_t data = open_box(b, "data");
    put_be32(b, 1);
    put_be32(b, 0);
    buf_append(b, text, strlen(text));
    close_box(b, data);
    close_box(b, item);
    close_box(b, ilst);
    close_box(b, meta);
    close_box(b, udta);
}

// ftyp, 64 bytes of media from 16 on, moov.
static void put_movie(struct buf *b, const struct tables *t)
{
    BOX(b, "mdat", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const size_t moov = open_box(b, "moov");
    BOX(b, "mvhd", 0, 0, 0, 1000, 3000);
    const size_t trak = open_box(b, "trak");
    BOX(b, "tkhd", 1, 0, 0, 7);
    if (t->n_elst) {
        const size_t edts = open_box(b, "edts");
        put_numbers(b, "elst", t->elst, t->n_elst);
        close_box(b, edts);
    }
    const size_t mdia = open_box(b, "mdia");
    put_numbers(b, "mdhd", t->mdhd, 6);
    BOX(b, "hdlr", 0, 0, t->sound ? 0x736f756e : 0x76696465);
    const size_t minf = open_box(b, "minf"), stbl = open_box(b, "stbl");
    put_numbers(b, "stts", t->stts, t->n_stts);
    if (t->n_ctts)
        put_numbers(b, "ctts", t->ctts, t->n_ctts);
    if (t->n_stss)
        put_numbers(b, "stss", t->stss, t->n_stss);
    put_numbers(b, "stsc", t->stsc, t->n_stsc);
    put_numbers(b, "stsz", t->stsz, t->n_stsz);
    put_numbers(b, t->co64 ? "co64" : "stco", t->stco, t->n_stco);
    close_box(b, stbl);
    close_box(b, minf);
    close_box(b, mdia);
    close_box(b, trak);
    if (t->smpb)
        put_smpb(b, t->smpb);
    close_box(b, moov);
}

#define SET(table, ...)                                                                            \
    .table = { __VA_ARGS__ }, .n_##table = sizeof((uint32_t[]){ __VA_ARGS__ }) / 4

static const struct {
    const char *what;
    struct tables t;
    int rc;
    const char *refused; // or NULL
    int count, lost;
    int64_t first, last, end; // pts
} boxes[] = {
    { "plain", { .co64 = false }, 0, NULL, 3, 0, 0, 2000, 3000 },
    { "negative offsets",
      { SET(ctts, 0x1000000, 1, 3, 0xffffff9c) },
      0,
      NULL,
      3,
      0,
      -100,
      1900,
      2900 },
    { "offsets run out", { SET(ctts, 0, 1, 1, 500) }, 0, NULL, 3, 0, 500, 2000, 3000 },
    { "durations run out", { SET(stts, 0, 1, 1, 1000) }, 0, NULL, 3, 0, 0, 2000, 3000 },
    { "no durations", { SET(stts, 0, 0) }, 0, NULL, 3, 0, 0, 0, 40 },
    { "a duration below 0", { SET(stts, 0, 1, 3, 0xffffffff) }, -E_CORRUPT, NULL, 0, 0, 0, 0, 0 },
    { "a count that is not there",
      { SET(stts, 0, 0xffffffff, 3, 1000) },
      -E_CORRUPT,
      NULL,
      0,
      0,
      0,
      0,
      0 },
    { "more entries than a box holds",
      { SET(stss, 0, 0x40000000, 1) },
      -E_CORRUPT,
      NULL,
      0,
      0,
      0,
      0,
      0 },
    { "four billion samples of one size",
      { SET(stsz, 0, 10, 0xffffffff), SET(stsc, 0, 1, 1, 0xffffffff, 1) },
      0,
      NULL,
      -1,
      INT32_MAX,
      0,
      0,
      -1 },
    { "four billion sizes", { SET(stsz, 0, 0, 0xffffffff) }, -E_CORRUPT, NULL, 0, 0, 0, 0, 0 },
    { "samples of no size", { SET(stsz, 0, 0, 3, 10, 0, 10) }, 0, NULL, 2, 0, 0, 2000, 3000 },
    { "past the end", { SET(stsz, 0, 0, 3, 10, 10, 0xffffff) }, 0, NULL, 2, 1, 0, 1000, 2000 },
    { "far past the end",
      { .co64 = true, SET(stco, 0, 1, 0xffffffff, 0xffffffff) },
      0,
      NULL,
      0,
      3,
      0,
      0,
      INT64_MIN },
    { "chunks run out", { SET(stsc, 0, 1, 1, 1, 1) }, 0, NULL, 1, 0, 0, 0, 1000 },
    { "chunks out of order",
      { SET(stsc, 0, 2, 5, 9, 1, 1, 3, 1) },
      0,
      NULL,
      0,
      0,
      0,
      0,
      INT64_MIN },
    { "a second description",
      { SET(stsc, 0, 1, 1, 3, 2) },
      0,
      "several sample descriptions",
      0,
      0,
      0,
      0,
      0 },
    { "two descriptions",
      { SET(stsc, 0, 2, 1, 1, 1, 2, 1, 2), SET(stco, 0, 2, 16, 26) },
      0,
      "several sample descriptions",
      0,
      0,
      0,
      0,
      0 },
    { "an edit", { SET(elst, 0, 1, 1500, 1000, 0x10000) }, 0, NULL, 3, 0, -1000, 1000, 1500 },
    { "a late start",
      { SET(elst, 0, 2, 250, 0xffffffff, 0x10000, 3000, 0, 0x10000) },
      0,
      NULL,
      3,
      0,
      250,
      2250,
      3250 },
    { "an edit cut in two",
      { SET(elst, 0, 2, 1000, 0, 0x10000, 2000, 1000, 0x10000) },
      0,
      NULL,
      3,
      0,
      0,
      2000,
      3000 },
    { "two edits",
      { SET(elst, 0, 2, 1000, 0, 0x10000, 1000, 2000, 0x10000) },
      0,
      NULL,
      4,
      0,
      0,
      1000,
      2000 },
    { "edits of what is not there",
      { SET(elst, 0, 2, 1000, 9000, 0x10000, 1000, 7000, 0x10000) },
      0,
      "an edit list that presents nothing of it",
      0,
      0,
      0,
      0,
      0 },
    { "an edit behind an open one",
      { SET(elst, 0, 2, 0, 0, 0x10000, 1000, 2000, 0x10000) },
      0,
      "a damaged edit list",
      0,
      0,
      0,
      0,
      0 },
    { "slow motion",
      { SET(elst, 0, 1, 3000, 0, 0x8000) },
      0,
      "an edit list that changes the speed",
      0,
      0,
      0,
      0,
      0 },
    { "an edit past all time",
      { SET(elst, 0x1000000, 1, 0, 1000, 0x7fffffff, 0xffffffff, 0x10000) },
      0,
      "a damaged edit list",
      0,
      0,
      0,
      0,
      0 },
    { "an empty edit past all time",
      { SET(elst, 0x1000000, 2, 0x7fffffff, 0, 0xffffffff, 0xffffffff, 0x10000, 0, 3000, 0, 0,
            0x10000) },
      0,
      "a damaged edit list",
      0,
      0,
      0,
      0,
      0 },
    { "an edit of four billion",
      { SET(elst, 0, 0xffffffff, 3000, 0, 0x10000) },
      0,
      NULL,
      3,
      0,
      0,
      2000,
      3000 },
    { "an edit too long for the track's ticks",
      { .mdhd = { 0, 0, 0, 1000000000, 3000, 1 },
        SET(elst, 0x1000000, 1, 0xffffff, 0, 0, 0, 0x10000) },
      -E_CORRUPT,
      NULL,
      0,
      0,
      0,
      0,
      0 },
    { "no time scale",
      { .mdhd = { 0, 0, 0, 0, 3000, 1 } },
      0,
      "a time scale that makes no sense",
      0,
      0,
      0,
      0,
      0 },
};

static struct tables with_defaults(const struct tables *given)
{
    struct tables t = *given;
#define DEFAULT(table)                                                                             \
    if (!t.n_##table) {                                                                            \
        memcpy(t.table, plain.table, sizeof t.table);                                              \
        t.n_##table = plain.n_##table;                                                             \
    }
    DEFAULT(stts)
    DEFAULT(stsc)
    DEFAULT(stsz)
    DEFAULT(stco)
#undef DEFAULT
    if (!t.mdhd[5])
        memcpy(t.mdhd, plain.mdhd, sizeof t.mdhd);
    return t;
}

static void test_boxes(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(boxes); i++) {
        struct buf b;
        buf_init(&b, 4096);
        const struct tables tables = with_defaults(&boxes[i].t);
        put_movie(&b, &tables);
        struct memory m = memory_of(b.data, b.len);
        struct index x;
        char detail[200];
        const int rc = index_of(&m.io, &x, detail, sizeof detail);
        if (rc != boxes[i].rc)
            fail_msg("%s: %s, %s", boxes[i].what, err_name(rc), detail);
        if (rc == 0) {
            assert_int_equal(x.track_count, 1);
            struct index_track *t = &x.tracks[0];
            assert_int_equal(index_present(t), 0);
            const char *why = boxes[i].refused;
            if (t->refused != !!why || (why && strcmp(why, t->why)))
                fail_msg("%s: refused %d %s", boxes[i].what, t->refused, t->why);
            if (!why && ((boxes[i].count >= 0 && t->sample_count != boxes[i].count) ||
                         t->lost < boxes[i].lost - 100 || t->lost > boxes[i].lost ||
                         (boxes[i].end >= 0 && t->end != boxes[i].end)))
                fail_msg("%s: %d samples, %d lost, end %lld", boxes[i].what, t->sample_count,
                         t->lost, (long long)t->end);
            if (!why && boxes[i].count > 0) {
                assert_int_equal(t->samples[0].pts, boxes[i].first);
                assert_int_equal(t->samples[t->sample_count - 1].pts, boxes[i].last);
            }
        }
        index_finish(&x);
        buf_finish(&b);
    }
}

// ---- edit lists of several parts

#define S 0x10000       // the speed
#define NONE 0xffffffff // of the media

// Six samples of ten bytes, each of a second: pictures I P B I P B, shown from 1 s on, or sound
// from 0 on.
#define PICTURES                                                                                   \
    SET(stts, 0, 1, 6, 1000), SET(ctts, 0, 6, 1, 1000, 1, 2000, 1, 0, 1, 1000, 1, 2000, 1, 0),     \
        SET(stss, 0, 2, 1, 4), SET(stsz, 0, 10, 6), SET(stsc, 0, 1, 1, 6, 1)
#define SOUND SET(stts, 0, 1, 6, 1000), SET(stsz, 0, 10, 6), SET(stsc, 0, 1, 1, 6, 1), .sound = true

static const struct {
    const char *what;
    struct tables t;
    struct {
        int sample;
        int64_t pts;
        enum index_hidden hidden;
    } want[8];
    int count;
    int64_t end;
} edits[] = {
    { "a part left out",
      { PICTURES, SET(elst, 0, 2, 1000, 1000, S, 2000, 5000, S) },
      { { 0, 0, INDEX_SHOWN },
        { 0, -3000, INDEX_ANEW },
        { 1, -1000, INDEX_HIDDEN },
        { 2, -2000, INDEX_HIDDEN },
        { 3, 0, INDEX_HIDDEN },
        { 4, 2000, INDEX_SHOWN },
        { 5, 1000, INDEX_SHOWN } },
      7,
      3000 },
    { "one shown twice",
      { PICTURES, SET(elst, 0, 2, 2000, 1000, S, 2000, 1000, S) },
      { { 0, 0, INDEX_SHOWN },
        { 1, 2000, INDEX_HIDDEN },
        { 2, 1000, INDEX_SHOWN },
        { 0, 2000, INDEX_SHOWN },
        { 1, 4000, INDEX_HIDDEN },
        { 2, 3000, INDEX_SHOWN } },
      6,
      4000 },
    { "the end first",
      { PICTURES, SET(elst, 0, 2, 1000, 6000, S, 1000, 1000, S) },
      { { 0, -5000, INDEX_HIDDEN },
        { 1, -3000, INDEX_HIDDEN },
        { 2, -4000, INDEX_HIDDEN },
        { 3, -2000, INDEX_HIDDEN },
        { 4, 0, INDEX_SHOWN },
        { 0, 1000, INDEX_SHOWN } },
      6,
      2000 },
    { "a hole",
      { PICTURES, SET(elst, 0, 3, 1000, 1000, S, 500, NONE, S, 1000, 2000, S) },
      { { 0, 0, INDEX_SHOWN },
        { 0, 500, INDEX_ANEW },
        { 1, 2500, INDEX_HIDDEN },
        { 2, 1500, INDEX_SHOWN } },
      4,
      2500 },
    { "late, and cut",
      { PICTURES, SET(elst, 0, 2, 2000, NONE, S, 1000, 2000, S) },
      { { 0, 1000, INDEX_HIDDEN }, { 1, 3000, INDEX_HIDDEN }, { 2, 2000, INDEX_SHOWN } },
      3,
      3000 },
    { "past the end",
      { PICTURES, SET(elst, 0, 3, 1000, 1000, S, 1000, 9000, S, 9000, 6000, S) },
      { { 0, 0, INDEX_SHOWN },
        { 0, -3000, INDEX_ANEW },
        { 1, -1000, INDEX_HIDDEN },
        { 2, -2000, INDEX_HIDDEN },
        { 3, 0, INDEX_HIDDEN },
        { 4, 2000, INDEX_SHOWN } },
      6,
      3000 },
    { "sound, by whole frames",
      { SOUND, SET(elst, 0, 2, 1500, 400, S, 1000, 3200, S) },
      { { 0, -400, INDEX_SHOWN }, { 1, 600, INDEX_SHOWN }, { 3, 1300, INDEX_SHOWN } },
      3,
      2500 },
    { "sound behind a hole, which has room for the frame before",
      { SOUND, SET(elst, 0, 3, 1000, 0, S, 1000, NONE, S, 1000, 4000, S) },
      { { 0, 0, INDEX_SHOWN }, { 3, 1000, INDEX_SHOWN }, { 4, 2000, INDEX_SHOWN } },
      3,
      3000 },
};

// Of a movie that is sound; to be finished.
static struct index index_of_movie(const struct tables *tables)
{
    struct buf b;
    struct index x;
    char detail[200];
    buf_init(&b, 4096);
    put_movie(&b, tables);
    struct memory m = memory_of(b.data, b.len);
    assert_int_equal(index_of(&m.io, &x, detail, sizeof detail), 0);
    buf_finish(&b);
    return x;
}

static void test_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(edits); i++) {
        const struct tables tables = with_defaults(&edits[i].t);
        struct index x = index_of_movie(&tables);
        struct index_track *t = &x.tracks[0];
        assert_int_equal(index_present(t), 0);
        if (t->sample_count != edits[i].count || t->end != edits[i].end)
            fail_msg("%s: %d samples, end %lld", edits[i].what, t->sample_count, (long long)t->end);
        for (int k = 0; k < t->sample_count; k++)
            if (t->samples[k].offset != 16 + 10 * edits[i].want[k].sample ||
                t->samples[k].pts != edits[i].want[k].pts ||
                t->hidden[k] != edits[i].want[k].hidden)
                fail_msg("%s: %d is at %lld, %lld, hidden %d", edits[i].what, k,
                         (long long)t->samples[k].offset, (long long)t->samples[k].pts,
                         t->hidden[k]);
        index_finish(&x);
    }
}

// They last as long as the part does.
static void test_subtitles_of_parts(void **state)
{
    (void)state;
    const struct sample said[] = {
        { .offset = 0, .pts = 0, .size = 10, .duration = 1000 },
        { .offset = 10, .pts = 1000, .size = 10, .duration = 3000 },
    };
    const struct index_part parts[] = { { 0, 500, 2000 }, { 1500, 3000, 3500 } };
    static const struct {
        int64_t offset, pts;
        uint32_t duration;
    } want[] = { { 0, 0, 500 }, { 10, 500, 1000 }, { 10, 1500, 500 } };
    struct index x = { .container = CONTAINER_MP4 };
    struct index_track *const t = index_add_track(&x);
    t->text = TEXT_TX3G;
    for (size_t i = 0; i < countof(said); i++)
        assert_int_equal(index_add_sample(&x, t, &said[i], NULL), 0);
    t->parts = xmalloc(sizeof parts);
    memcpy(t->parts, parts, sizeof parts);
    t->part_count = (int)countof(parts);
    assert_int_equal(index_present(t), 0);
    assert_int_equal(t->sample_count, countof(want));
    for (size_t i = 0; i < countof(want); i++) {
        assert_int_equal(t->samples[i].offset, want[i].offset);
        assert_int_equal(t->samples[i].pts, want[i].pts);
        assert_int_equal(t->samples[i].duration, want[i].duration);
        assert_int_equal(t->hidden[i], INDEX_SHOWN);
    }
    index_finish(&x);
}

static void test_too_many_parts(void **state)
{
    (void)state;
    struct tables tables = with_defaults(&plain);
    for (int count = INDEX_PARTS_MAX; count <= INDEX_PARTS_MAX + 1; count++) {
        tables.n_elst = 2 + 3 * count;
        tables.elst[1] = (uint32_t)count;
        for (int i = 0; i < count; i++)
            memcpy(&tables.elst[2 + 3 * i], (const uint32_t[]){ 1000, i % 2 * 2000, S }, 12);
        struct index x = index_of_movie(&tables);
        assert_int_equal(index_present(&x.tracks[0]), 0);
        assert_int_equal(x.tracks[0].refused, count > INDEX_PARTS_MAX);
        // Each second one with two samples to begin at.
        assert_int_equal(x.tracks[0].sample_count, count > INDEX_PARTS_MAX ? 0 : 2 * count);
        index_finish(&x);
    }
}

// ---- iTunes' note of where the sound begins and ends

static const struct {
    const char *text;
    uint32_t edit; // of the edit list; 0: there is none
    bool sound;
    int64_t first, end;
} notes[] = {
    { " 00000000 00000840 000001FD 0000000000000640 00000000 00000000", 0, true, -2112,
      3712 - 2112 },
    { " 00000000 00000840 000001FD 0000000000000640", 0, false, 0, 6000 },
    { " 00000000 00000840 000001FD 0000000000000640", 500, true, -500, 2500 },
    { " 00000000 00000840 000001FD 0000000000001640", 0, true, 0, 6000 }, // longer than it is
    { " 00000000 FFFFFFFF 000001FD 0000000000000640", 0, true, 0, 6000 },
    { " 00000000 00000840 000001FD FFFFFFFFFFFFFFFFFF", 0, true, 0, 6000 },
    { " 00000000 00000840", 0, true, 0, 6000 },
    { "", 0, true, 0, 6000 },
    { " gapless", 0, true, 0, 6000 },
};

static void test_itunes(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(notes); i++) {
        struct tables tables = { SOUND, SET(elst, 0, 1, 2500, 500, S), .smpb = notes[i].text };
        tables.n_elst = notes[i].edit ? tables.n_elst : 0;
        tables.sound = notes[i].sound;
        tables = with_defaults(&tables);
        struct index x = index_of_movie(&tables);
        if (x.tracks[0].samples[0].pts != notes[i].first || x.tracks[0].end != notes[i].end)
            fail_msg("%zu: from %lld to %lld", i, (long long)x.tracks[0].samples[0].pts,
                     (long long)x.tracks[0].end);
        index_finish(&x);
    }
}

// ---- hand-made elements: lacing, header stripping, odd time scales

static void put_id(struct buf *b, uint32_t id)
{
    put_be(b, id, id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1);
}

static void put_element(struct buf *b, uint32_t id, const void *p, size_t n)
{
    put_id(b, id);
    put_be(b, 0x10000000 | n, 4);
    buf_append(b, p, n);
}

static void put_uint(struct buf *b, uint32_t id, uint64_t v)
{
    put_id(b, id);
    put_u8(b, 0x88);
    put_be64(b, v);
}

static void put_parent(struct buf *b, uint32_t id, struct buf *body)
{
    put_element(b, id, body->data, body->len);
    buf_finish(body);
}

static const struct {
    const char *what;
    const char *block; // from its flags on; see blocks below for the numbers
    size_t n;
    int sizes[5]; // of the frames; 0-ended
} laces[] = {
#define LACE(what, block, ...)                                                                     \
    {                                                                                              \
        what, block, sizeof block - 1,                                                             \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
    LACE("none",
         "\x80"
         "abc",
         3),
    LACE("Xiph",
         "\x82"
         "\x02\x01\x02"
         "abbccc",
         1, 2, 3),
    LACE("Xiph past the end",
         "\x82"
         "\x02\xff\xff\x01\x02"
         "abbccc",
         0),
    LACE("Xiph without end",
         "\x82"
         "\x02\xff\xff\xff",
         0),
    LACE("fixed",
         "\x84"
         "\x01"
         "aabb",
         2, 2),
    LACE("fixed, odd",
         "\x84"
         "\x01"
         "aabbc",
         0),
    LACE("EBML",
         "\x86"
         "\x03\x81\xc0\xbe"
         "abbcd",
         1, 2, 1, 1),
    LACE("EBML below 0",
         "\x86"
         "\x03\x81\xb0\xc0"
         "abbccd",
         0),
    LACE("EBML of two bytes",
         "\x86"
         "\x02\x40\x01\x5f\xff"
         "abcc",
         1, 1, 2),
    LACE("EBML without number",
         "\x86"
         "\x02\x00"
         "abcc",
         0),
    LACE("EBML of unknown size",
         "\x86"
         "\x02\xff\xc0"
         "abcc",
         0),
    LACE("a lace of nothing", "\x82", 0),
};

// Up to the first of what is in its segment, whose size is unknown.
static void put_beginning(struct buf *b)
{
    put_element(b, 0x1a45dfa3, "", 0);
    put_be32(b, 0x18538067);
    put_be64(b, UINT64_C(0x01ffffffffffffff));
}

// An audio track 1 with the strip "XY", a scale of 22675 ns, one block of pts 5 + 2.
static void put_matroska(struct buf *b, const char *block, size_t n)
{
    struct buf t, e, c;
    put_beginning(b);
    buf_init(&t, 4096);
    put_uint(&t, 0x2ad7b1, 22675);
    put_parent(b, 0x1549a966, &t);

    buf_init(&c, 4096);
    put_uint(&c, 0x4254, 3);
    put_element(&c, 0x4255, "XY", 2);
    buf_init(&e, 4096);
    put_parent(&e, 0x5034, &c);
    buf_init(&c, 4096);
    put_parent(&c, 0x6240, &e);
    buf_init(&e, 4096);
    put_uint(&e, 0xd7, 1);
    put_uint(&e, 0x83, 2);
    put_element(&e, 0x86, "A_AAC", 5);
    put_parent(&e, 0x6d80, &c);
    buf_init(&t, 4096);
    put_parent(&t, 0xae, &e);
    put_parent(b, 0x1654ae6b, &t);

    buf_init(&c, 4096);
    buf_append(&c, "\x81\0\2", 3);
    buf_append(&c, block, n);
    put_be32(b, 0x1f43b675);
    put_u8(b, 0xff); // of unknown size
    put_uint(b, 0xe7, 5);
    put_parent(b, 0xa3, &c);
    put_element(b, 0x1c53bb6b, "", 0); // cues end the cluster
}

static void test_laces(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(laces); i++) {
        struct buf b;
        buf_init(&b, 4096);
        put_matroska(&b, laces[i].block, laces[i].n);
        struct memory m = memory_of(b.data, b.len);
        struct index x;
        char detail[200];
        if (index_of(&m.io, &x, detail, sizeof detail) < 0)
            fail_msg("%s: %s", laces[i].what, detail);
        assert_int_equal(x.track_count, 1);
        const struct index_track *t = &x.tracks[0];
        assert_int_equal(t->timescale, 1000000000);
        assert_int_equal(t->strip.n, 2);
        int n = 0;
        for (; laces[i].sizes[n]; n++) {
            if (n >= t->sample_count || t->samples[n].size != (uint32_t)laces[i].sizes[n])
                fail_msg("%s: %d frames", laces[i].what, t->sample_count);
            assert_int_equal(t->samples[n].pts, n ? INDEX_NO_PTS : 7 * 22675);
            assert_int_equal(b.data[t->samples[n].offset], 'a' + n);
            assert_memory_equal(t->heads[n], "XY", 2);
        }
        assert_int_equal(t->sample_count, n);
        index_finish(&x);
        buf_finish(&b);
    }
}

// ---- damage in the midst of clusters

#define CLUSTER_SIZE 55
#define BLOCK_SIZE 16
#define BLOCK(c, i) (CLUSTER_SIZE * (c) + CLUSTER_SIZE - BLOCK_SIZE * (2 - (i)))
#define CLUSTERS 3

// A cluster of two blocks of 8 bytes: 10 and 15, and so on.
static void put_cluster(struct buf *b, uint64_t time)
{
    struct buf c;
    buf_init(&c, CLUSTER_SIZE);
    put_element(&c, 0xec, "", 0);
    put_uint(&c, 0xe7, time);
    put_element(&c, 0xa3, "\x81\0\0\x80sampled", 11);
    put_element(&c, 0xa3, "\x81\0\5\x80sampled", 11);
    put_id(b, 0x1f43b675);
    put_be(b, 0x10000000 | c.len, 4);
    buf_append(b, c.data, c.len);
    buf_finish(&c);
}

static const struct {
    const char *what;
    int at; // of the clusters
    int lose;
    const char *put; // instead
    int n;
    int times[2 * CLUSTERS + 1]; // 0-ended
} damages[] = {
    { "none", 0, 0, NULL, 0, { 10, 15, 20, 25, 30, 35 } },
    { "bytes are missing in a block", BLOCK(0, 1) + 10, 3, NULL, 0, { 10, 20, 25, 30, 35 } },
    { "and all to the midst of another", BLOCK(0, 1) + 10, 50, NULL, 0, { 10, 30, 35 } },
    { "no element behind a block", BLOCK(1, 1), 4, "\0\0\0\0", 4, { 10, 15, 30, 35 } },
    { "a block without end", BLOCK(1, 0) + 1, 4, "\x1f\xff\xff\x00", 4, { 10, 15, 30, 35 } },
    { "an element of no known kind",
      BLOCK(1, 1),
      0,
      "\x43\x21\x81\0",
      4,
      { 10, 15, 20, 25, 30, 35 } },
    { "what looks like one", BLOCK(1, 1), 0, "\x43\x21\x81\0\0", 5, { 10, 15, 30, 35 } },
    { "a cluster that is none", BLOCK(1, 0), 0, "\0\x1f\x43\xb6\x75\xff\0", 7, { 10, 15, 30, 35 } },
    { "nothing more", BLOCK(1, 1), 100, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, { 10, 15, 20 } },
    { "the end", BLOCK(1, 1) + 6, 100, NULL, 0, { 10, 15, 20 } },
    { "another file", BLOCK(2, 0), 0, "\x1a\x45\xdf\xa3\x80", 5, { 10, 15, 20, 25 } },
};

static void put_damaged(struct buf *b, size_t i)
{
    struct buf t, c;
    put_beginning(b);
    buf_init(&c, 4096);
    put_uint(&c, 0xd7, 1);
    put_uint(&c, 0x83, 1);
    put_element(&c, 0x86, "V_VP9", 5);
    buf_init(&t, 4096);
    put_parent(&t, 0xae, &c);
    put_parent(b, 0x1654ae6b, &t);

    buf_init(&c, 4096);
    for (int k = 0; k < CLUSTERS; k++)
        put_cluster(&c, 10 * (uint64_t)(k + 1));
    assert_int_equal(c.len, CLUSTERS * CLUSTER_SIZE);
    const size_t at = (size_t)damages[i].at, rest = min64(at + damages[i].lose, c.len);
    buf_append(b, c.data, at);
    buf_append(b, damages[i].put, (size_t)damages[i].n);
    buf_append(b, c.data + rest, c.len - rest);
    buf_finish(&c);
}

static void test_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(damages); i++) {
        struct buf b;
        buf_init(&b, 4096);
        put_damaged(&b, i);
        struct memory m = memory_of(b.data, b.len);
        struct index x;
        char detail[200];
        if (index_of(&m.io, &x, detail, sizeof detail) < 0)
            fail_msg("%s: %s", damages[i].what, detail);
        const struct index_track *t = &x.tracks[0];
        int n = 0;
        while (damages[i].times[n])
            n++;
        if (t->sample_count != n)
            fail_msg("%s: %d blocks", damages[i].what, t->sample_count);
        for (int k = 0; k < n; k++) {
            assert_int_equal(t->samples[k].pts, damages[i].times[k]);
            assert_memory_equal(b.data + t->samples[k].offset, "sampled", t->samples[k].size);
        }
        index_finish(&x);
        buf_finish(&b);
    }
}

// ---- limits

static void test_limits(void **state)
{
    (void)state;
    char *path = xasprintf("%s/b.mkv", folder);
    struct buf b = load(path);
    struct memory m = memory_of(b.data, b.len);
    struct job_limits l = limits;
    struct index x;
    char detail[200];
    l.probe_bytes = 65536;
    assert_int_equal(index_read_matroska(&m.io, &l, &x, detail, sizeof detail), -E_LIMITS);
    assert_true(m.read <= 65536);
    index_finish(&x);
    l = limits;
    l.streams = 1;
    assert_int_equal(index_read_matroska(&m.io, &l, &x, detail, sizeof detail), -E_LIMITS);
    index_finish(&x);
    buf_finish(&b);
    free(path);
}

// ---- cut and changed files

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static void check_rules(const struct index *x, int64_t size)
{
    for (int i = 0; i < x->track_count; i++) {
        const struct index_track *t = &x->tracks[i];
        assert_true(!t->refused || t->sample_count == 0);
        for (int k = 0; k < t->sample_count; k++) {
            const struct sample *s = &t->samples[k];
            assert_true(s->size > 0 && s->offset >= 0 && s->offset + s->size <= size);
            assert_true(s->pts == INDEX_NO_PTS ||
                        (s->pts < 4 * INDEX_TIME_MAX && s->pts > -4 * INDEX_TIME_MAX));
        }
    }
}

static void try_bytes(const uint8_t *bytes, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1); // so that a sanitizer sees a step too far
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    struct memory m = memory_of(exact, n);
    struct index x;
    char detail[200];
    const int rc = index_of(&m.io, &x, detail, sizeof detail);
    assert_true(rc == 0 || rc == -E_CORRUPT || rc == -E_UNSUPPORTED || rc == -E_LIMITS);
    assert_true(m.read < 64 * MIB);
    for (int i = 0; rc == 0 && i < x.track_count; i++)
        assert_int_equal(index_present(&x.tracks[i]), 0);
    check_rules(&x, (int64_t)n);
    index_finish(&x);
    free(exact);
}

#define TINY "-f lavfi -i testsrc2=s=32x32:r=25:d=1 -f lavfi -i sine=r=8000:d=1 "

static void test_hostile(void **state)
{
    (void)state;
    static const char *const commands[] = {
        FFMPEG TINY "-c:v libx264 -preset ultrafast -crf 51 -bf 2 -c:a aac -b:a 8k -ss 0.1 "
                    "-movflags +faststart tiny",
        FFMPEG TINY "-c:v libx264 -preset ultrafast -crf 51 -g 5 -c:a aac -b:a 8k "
                    "-movflags +frag_keyframe tiny",
        FFMPEG TINY "-c:v libx264 -preset ultrafast -crf 51 -c:a libopus -b:a 8k tiny",
    };
    static const char *const formats[] = { "mp4", "mp4", "matroska" };
    for (size_t i = 0; i < countof(commands); i++) {
        char *c =
            xasprintf("%.*s -f %s tiny", (int)strlen(commands[i]) - 5, commands[i], formats[i]);
        run(c);
        free(c);
        char *path = xasprintf("%s/tiny", folder);
        struct buf b = load(path);
        for (size_t n = 0; n < b.len; n += 1 + n / 64)
            try_bytes(b.data, n);
        uint32_t seed = 1;
        for (int round = 0; round < 4000; round++) {
            uint8_t *copy = malloc(b.len);
            memcpy(copy, b.data, b.len);
            for (uint32_t k = next_random(&seed) % 4 + 1; k--;) {
                const uint32_t r = next_random(&seed);
                copy[next_random(&seed) % b.len] = r & 256 ? 0xff : (uint8_t)r;
            }
            try_bytes(copy, b.len);
            free(copy);
        }
        buf_finish(&b);
        free(path);
    }
}

// ---- the end

static const struct {
    bool video;
    int64_t timescale;
    int count;
    uint32_t last;  // its duration
    int64_t should; // samples begin at 0, 1000, ...
} ends[] = {
    { true, 25000, 3, 1000, 3000 }, { true, 25000, 3, 300, 2300 }, // it is told, if short
    { true, 25000, 3, 0, 3000 },    { true, 25000, 3, 1, 3000 },   // nobody knew
    { true, 25000, 3, 25, 3000 },   { true, 25000, 1, 0, 1000 },   { true, 25, 3, 1, 2001 },
    { false, 25000, 3, 1, 2001 }, // what an encoder put behind a sound is cut to the sample
    { false, 25000, 3, 0, 3000 },   { false, 25000, 1, 0, 1 },
};

static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(ends); i++) {
        struct sample samples[3];
        for (int k = 0; k < ends[i].count; k++)
            samples[k] = (struct sample){ .pts = 1000 * k, .duration = 1000 };
        samples[ends[i].count - 1].duration = ends[i].last;
        const struct index_track t = { .video = ends[i].video,
                                       .audio = !ends[i].video,
                                       .timescale = ends[i].timescale,
                                       .samples = samples,
                                       .sample_count = ends[i].count };
        if (index_samples_end(&t) != ends[i].should)
            fail_msg("%zu: ends at %lld", i, (long long)index_samples_end(&t));
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
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_subtitles_of_parts),
        cmocka_unit_test(test_too_many_parts),
        cmocka_unit_test(test_itunes),
        cmocka_unit_test(test_laces),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
