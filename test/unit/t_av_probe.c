// SPDX-License-Identifier: BSD-2-Clause
//
// t_av_probe - what the probe says of clips made here and of those in the folder
// $CLIPS, what it refuses and how, and what files made to hurt cost.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/log.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/av/av.h"
#include "test/unit/av_tools.h"
#include "test/unit/real_clips.h"

static const struct job_limits limits = {
    .pixels = 36000000, .streams = 32, .probe_bytes = 2 * GIB, .duration_ms = 86400000
};

static char folder[] = "/tmp/t_av_probe.XXXXXX";

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

static struct buf load_made(const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);
    struct buf b = load(path);
    free(path);
    return b;
}

static void run(const char *command)
{
    char *c = xasprintf("cd %s && { %s; } </dev/null >log 2>&1", folder, command);
    if (system(c))
        fail_msg("failed: %s", command);
    free(c);
}

// Probes; on success *out is what was packed, unpacked again.
static int probe(const struct buf *source, const struct job_limits *l, struct media **out,
                 char *detail)
{
    struct memory m;
    memory_init(&m, source);
    const struct job job = { .kind = JOB_PROBE, .limits = *l, .source_size = m.io.size };
    detail[0] = 0;
    *out = NULL;
    const int rc = av_probe(&job, &m.io, detail, DETAIL_MAX);
    if (rc == 0)
        assert_int_equal(media_unpack(m.out.data, m.out.len, out), 0);
    buf_finish(&m.out);
    return rc;
}

// ---- what is said of a clip

struct fields {
    const char *video; // codec, or NULL
    int width, height, sar_num, sar_den, rotate, mirror, depth;
    int primaries, transfer, matrix, full, peak, reorder;
    int fps_num, fps_den, frames, constant, shown;
    const char *audio; // codec, or NULL
    int rate, channels;
    int first; // audio: of the first sample
    int gaps;  // audio: where one sample does not end at the next
};

static int gaps_of(const struct audio_track *a)
{
    int n = 0;
    for (int i = 1; i < a->sample_count; i++)
        n += a->samples[i].pts != a->samples[i - 1].pts + a->samples[i - 1].duration;
    return n;
}

static struct fields fields_of(const struct media *m)
{
    const struct video_track *v = &m->video;
    const struct audio_track *a = &m->audio;
    struct fields f = { .fps_num = (int)m->fps.num,
                        .fps_den = (int)m->fps.den,
                        .frames = (int)m->frames,
                        .constant = m->constant_rate };
    if (media_has_video(m)) {
        f.video = codec_name(v->codec);
        f.width = v->coded_width, f.height = v->coded_height;
        f.sar_num = v->sar_num, f.sar_den = v->sar_den;
        f.rotate = v->rotate, f.mirror = v->mirror, f.depth = v->bit_depth;
        f.primaries = v->colour.primaries, f.transfer = v->colour.transfer;
        f.matrix = v->colour.matrix, f.full = v->colour.full_range;
        f.peak = v->peak_nits, f.reorder = v->reorder, f.shown = v->shown_count;
    }
    if (media_has_audio(m)) {
        f.audio = codec_name(a->codec);
        f.rate = a->sample_rate, f.channels = a->channels;
        f.first = (int)a->samples[0].pts, f.gaps = gaps_of(a);
    }
    return f;
}

static char *print_fields(const struct fields *f)
{
    return xasprintf(
        "%s %dx%d sar %d:%d rotate %d mirror %d depth %d colour %d/%d/%d full %d peak %d "
        "reorder %d, %d/%d fps %d frames constant %d shown %d, %s %d Hz %d ch from %d "
        "gaps %d",
        f->video ? f->video : "-", f->width, f->height, f->sar_num, f->sar_den, f->rotate,
        f->mirror, f->depth, f->primaries, f->transfer, f->matrix, f->full, f->peak, f->reorder,
        f->fps_num, f->fps_den, f->frames, f->constant, f->shown, f->audio ? f->audio : "-",
        f->rate, f->channels, f->first, f->gaps);
}

static void check_fields(const char *name, const struct buf *b, const struct fields *wanted)
{
    char detail[DETAIL_MAX];
    struct media *m;
    const int rc = probe(b, &limits, &m, detail);
    if (rc < 0)
        fail_msg("%s: %s: %s", name, err_name(rc), detail);
    const struct fields f = fields_of(m);
    char *is = print_fields(&f), *should = print_fields(wanted);
    if (strcmp(is, should))
        fail_msg("%s:\n  is     %s\n  should %s", name, is, should);
    free(is);
    free(should);
    media_destroy(m);
}

#define SQUARE .sar_num = 1, .sar_den = 1
#define UNTAGGED .primaries = 2, .transfer = 2, .matrix = 2

static const struct {
    const char *name;
    struct fields f;
} real[] = {
    { "android-2160p60-portrait-rot90.mp4",
      { "h264", 3840, 2160, SQUARE, .rotate = 90, .depth = 8, .primaries = 5, .transfer = 6,
        .matrix = 5, .full = 1, .fps_num = 60, .fps_den = 1, .frames = 18, .constant = 1,
        .shown = 18, .audio = "aac", .rate = 48000, .channels = 2 } },
    { "audio-only-aac-10s.mp4",
      { .fps_num = 44100,
        .fps_den = 1024,
        .frames = 431,
        .audio = "aac",
        .rate = 44100,
        .channels = 2,
        .first = -1024 } },
    { "bbb-480p24-30s-aac51.mp4",
      { "h264", 854, 480, SQUARE, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 24, .fps_den = 1,
        .frames = 720, .constant = 1, .shown = 720, .audio = "aac", .rate = 48000, .channels = 6,
        .first = -1024 } },
    { "bbb-720p24-vp8-vorbis-30s.webm",
      { "vp8", 1280, 720, SQUARE, .depth = 8, .primaries = 2, .transfer = 2, .matrix = 5,
        .fps_num = 24, .fps_den = 1, .frames = 720, .constant = 1, .shown = 720, .audio = "vorbis",
        .rate = 44100, .channels = 2, .first = -132 } },
    { "bbb-800x640-sar64_45-bpyramid.mp4",
      { "h264", 800, 640, 64, 45, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 30, .fps_den = 1,
        .frames = 120, .constant = 1, .shown = 120 } },
    { "bear-161x121-vp9-odd.webm",
      { "vp9", 161, 121, SQUARE, .depth = 8, UNTAGGED, .fps_num = 30000, .fps_den = 1001,
        .frames = 30, .constant = 1, .shown = 30 } },
    { "cctv-cars-432p12.5-30s.mp4",
      { "h264", 768, 432, SQUARE, .depth = 8, .primaries = 6, .transfer = 6, .matrix = 6,
        .fps_num = 25, .fps_den = 2, .frames = 377, .constant = 1, .shown = 377, .audio = "aac",
        .rate = 48000, .channels = 2 } },
    { "city-240p60-fragmented-15s.mp4",
      { "h264", 320, 240, SQUARE, .depth = 8, .primaries = 5, .transfer = 6, .matrix = 6, .full = 1,
        .reorder = 2, .fps_num = 60, .fps_den = 1, .frames = 932, .constant = 1, .shown = 932,
        .audio = "aac", .rate = 48000, .channels = 2, .first = -1600 } },
    { "frame-counter-1920x1280p25-10s.mp4",
      { "h264", 1920, 1280, SQUARE, .depth = 8, UNTAGGED, .reorder = 1, .fps_num = 25, .fps_den = 1,
        .frames = 250, .constant = 1, .shown = 250, .audio = "aac", .rate = 44100, .channels = 1,
        .first = -1024 } },
    { "iphone-hevc10-hlg-dovi-rot90-elst.mp4",
      { "hevc", 1920, 1080, SQUARE, .rotate = 90, .depth = 10, .primaries = 9, .transfer = 18,
        .matrix = 9, .peak = 1000, .reorder = 2, .fps_num = 30000, .fps_den = 1001, .frames = 76,
        .shown = 77, .audio = "aac", .rate = 44100, .channels = 2, .first = -2212 } },
    { "mediarecorder-720p-vp9-opus-noduration.webm",
      { "vp9", 1280, 720, SQUARE, .depth = 8, .primaries = 2, .transfer = 2, .matrix = 1,
        .fps_num = 15, .fps_den = 1, .frames = 74, .constant = 1, .shown = 74, .audio = "opus",
        .rate = 48000, .channels = 2, .first = 720 } },
    { "phone-av1-hdr10-portrait.mp4",
      { "av1", 720, 1280, SQUARE, .depth = 10, .primaries = 9, .transfer = 16, .matrix = 9,
        .peak = 1000, .fps_num = 30000, .fps_den = 1001, .frames = 127, .constant = 1, .shown = 127,
        .audio = "aac", .rate = 48000, .channels = 2, .first = 1008 } },
    { "sintel-480p25-26s.mp4",
      { "h264", 848, 480, SQUARE, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 25, .fps_den = 1,
        .frames = 652, .constant = 1, .shown = 652, .audio = "aac", .rate = 48000, .channels = 2,
        .first = -1584, .gaps = 1 } },
    { "snowboard-400p30-29s.mp4",
      { "h264", 720, 400, SQUARE, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 30, .fps_den = 1,
        .frames = 869, .constant = 1, .shown = 869, .audio = "aac", .rate = 32000, .channels = 1,
        .first = -1024 } },
};

static void test_real(void **state)
{
    (void)state;
    const char *const clips = real_clips();
    for (size_t i = 0; i < countof(real); i++) {
        char *path = xasprintf("%s/%s", clips, real[i].name);
        struct buf b = load(path);
        check_fields(real[i].name, &b, &real[i].f);
        buf_finish(&b);
        free(path);
    }
}

#define FFMPEG "ffmpeg -v error -y "
#define PICTURE "-f lavfi -i testsrc2=s=128x96:r=25:d=3 "
#define SINE "-f lavfi -i sine=r=48000:d=3 "
#define X264 "-c:v libx264 -preset veryfast -g 50 -pix_fmt yuv420p "
#define H264_3S                                                                                    \
    "h264", 128, 96, SQUARE, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 25, .fps_den = 1,      \
                             .frames = 75, .constant = 1, .shown = 75

static const struct {
    const char *name, *command;
    struct fields f;
} made[] = {
    { "plain.mp4",
      FFMPEG PICTURE SINE X264 "-c:a aac plain.mp4",
      { H264_3S, .audio = "aac", .rate = 48000, .channels = 1, .first = -1024 } },
    { "opus.mp4",
      FFMPEG PICTURE SINE X264 "-c:a libopus opus.mp4",
      { H264_3S, .audio = "opus", .rate = 48000, .channels = 1, .first = -312 } },
    { "mp3.mp4",
      FFMPEG PICTURE SINE X264 "-c:a libmp3lame -ar 22050 mp3.mp4",
      { H264_3S, .audio = "mp3", .rate = 22050, .channels = 1, .first = -1105 } },
    { "mp3.mkv",
      FFMPEG PICTURE SINE X264 "-c:a libmp3lame mp3.mkv",
      { H264_3S, .audio = "mp3", .rate = 48000, .channels = 1, .first = -1104 } },
    { "aac.mkv",
      FFMPEG PICTURE "-f lavfi -i sine=r=44100:d=3 " X264 "-c:a aac aac.mkv",
      { H264_3S, .audio = "aac", .rate = 44100, .channels = 1, .first = -1014 } },
    { "vorbis.webm",
      FFMPEG PICTURE SINE
      "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libvorbis vorbis.webm",
      { "vp9", 128, 96, SQUARE, .depth = 8, UNTAGGED, .fps_num = 25, .fps_den = 1, .frames = 75,
        .constant = 1, .shown = 75, .audio = "vorbis", .rate = 48000, .channels = 1,
        .first = -144 } },
    // Pictures start at 7 ms; the delay of the codec is 312 samples.
    { "opus.webm",
      FFMPEG PICTURE SINE "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus opus.webm",
      { "vp9", 128, 96, SQUARE, .depth = 8, UNTAGGED, .fps_num = 25, .fps_den = 1, .frames = 75,
        .constant = 1, .shown = 75, .audio = "opus", .rate = 48000, .channels = 1,
        .first = -7 * 48 - 312 } },
    { "ac3.mkv",
      FFMPEG PICTURE SINE X264 "-c:a ac3 ac3.mkv",
      { H264_3S, .audio = "ac3", .rate = 48000, .channels = 1, .first = -5 * 48 } },
    { "pcm.mov",
      FFMPEG PICTURE SINE X264 "-c:a pcm_s24be pcm.mov",
      { H264_3S, .audio = "pcm_s24be", .rate = 48000, .channels = 1 } },
    { "other.mkv", FFMPEG PICTURE SINE X264 "-c:a adpcm_yamaha other.mkv", { H264_3S } },
    // VP8 in two passes has packets of pictures that are never shown.
    { "hidden.webm",
      "for p in 1 2; do " FFMPEG "-f lavfi -i mandelbrot=s=128x96:r=25 -t 4 -c:v libvpx -pass $p "
      "-auto-alt-ref 1 -lag-in-frames 25 -g 100 -b:v 100k hidden.webm || exit; done",
      { "vp8", 128, 96, SQUARE, .depth = 8, .primaries = 2, .transfer = 2, .matrix = 5,
        .fps_num = 25, .fps_den = 1, .frames = 100, .constant = 1, .shown = 100 } },
    // Pictures that lean on what was cut off are not there.
    { "open.mkv",
      FFMPEG PICTURE X264
      "-x264-params open-gop=1:keyint=20:bframes=3:b-adapt=0:scenecut=0 -an open.mp4 && " FFMPEG
      "-ss 1.5 -i open.mp4 -c copy open.mkv",
      { "h264", 128, 96, SQUARE, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 25, .fps_den = 1,
        .frames = 35, .constant = 1, .shown = 35 } },
    // Nor are they where there is no more than a decoder holds back.
    { "few.mkv",
      FFMPEG "-ss 1.5 -i open.mp4 -c copy -frames:v 4 few.mkv",
      { "h264", 128, 96, SQUARE, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 25, .fps_den = 1,
        .frames = 1, .constant = 1, .shown = 1 } },
    { "cut.mp4",
      FFMPEG "-ss 1 -i plain.mp4 -c copy cut.mp4",
      { "h264", 128, 96, SQUARE, .depth = 8, UNTAGGED, .reorder = 2, .fps_num = 25, .fps_den = 1,
        .frames = 50, .constant = 1, .shown = 50, .audio = "aac", .rate = 48000, .channels = 1,
        .first = -49024 } },
    { "hdr.mp4",
      FFMPEG PICTURE "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params "
                     "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
                     "hdr10=1:max-cll=640,200:bframes=0 -tag:v hvc1 hdr.mp4",
      { "hevc", 128, 96, SQUARE, .depth = 10, .primaries = 9, .transfer = 16, .matrix = 9,
        .peak = 640, .fps_num = 25, .fps_den = 1, .frames = 75, .constant = 1, .shown = 75 } },
    { "display.mp4",
      FFMPEG PICTURE "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params "
                     "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
                     "master-display='G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
                     "L(40000000,1)':bframes=0 -tag:v hvc1 display.mp4",
      { "hevc", 128, 96, SQUARE, .depth = 10, .primaries = 9, .transfer = 16, .matrix = 9,
        .peak = 4000, .fps_num = 25, .fps_den = 1, .frames = 75, .constant = 1, .shown = 75 } },
    { "late.mkv",
      FFMPEG "-itsoffset 1 -i plain.mp4 -i plain.mp4 -map 0:v -map 1:a -c copy late.mkv",
      { H264_3S, .audio = "aac", .rate = 48000, .channels = 1, .first = -49008 } },
};

static void test_made(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(made); i++) {
        run(made[i].command);
        struct buf b = load_made(made[i].name);
        check_fields(made[i].name, &b, &made[i].f);
        buf_finish(&b);
    }
}

// Where a hidden picture has the time of a shown one, the shown one is taken.
static void test_hidden(void **state)
{
    (void)state;
    struct buf b = load_made("hidden.webm");
    char detail[DETAIL_MAX];
    struct media *m;
    assert_int_equal(probe(&b, &limits, &m, detail), 0);
    const struct video_track *v = &m->video;
    assert_true(v->sample_count > v->shown_count);
    for (int i = 0; i < v->shown_count; i++)
        assert_true(b.data[v->samples[v->shown[i]].offset] & 0x10); // VP8's show_frame
    media_destroy(m);
    buf_finish(&b);
}

// ---- rotation

// The matrix of the first track, a b u c d v x y w, as it stands in a file.
static const struct {
    int32_t a, b, c, d;
    int rotate, mirror;
} matrices[] = {
    { 1, 0, 0, 1, 0, 0 },    { 0, 1, -1, 0, 90, 0 },   { -1, 0, 0, -1, 180, 0 },
    { 0, -1, 1, 0, 270, 0 }, { -1, 0, 0, 1, 0, 1 },    { 0, 1, 1, 0, 90, 1 },
    { 1, 0, 0, -1, 180, 1 }, { 0, -1, -1, 0, 270, 1 },
};

static uint8_t *find(struct buf *b, const char *type)
{
    uint8_t *p = memmem(b->data, b->len, type, 4);
    assert_non_null(p);
    return p;
}

static void store(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void test_rotation(void **state)
{
    (void)state;
    struct buf b = load_made("plain.mp4");
    uint8_t *matrix = find(&b, "tkhd") + 44;
    for (size_t i = 0; i < countof(matrices); i++) {
        store(matrix, (uint32_t)matrices[i].a << 16);
        store(matrix + 4, (uint32_t)matrices[i].b << 16);
        store(matrix + 12, (uint32_t)matrices[i].c << 16);
        store(matrix + 16, (uint32_t)matrices[i].d << 16);
        char detail[DETAIL_MAX];
        struct media *m;
        assert_int_equal(probe(&b, &limits, &m, detail), 0);
        if (m->video.rotate != matrices[i].rotate || m->video.mirror != matrices[i].mirror)
            fail_msg("matrix %zu: rotate %d mirror %d", i, m->video.rotate, m->video.mirror);
        media_destroy(m);
    }
    buf_finish(&b);
}

// ---- sound

// Packets follow each other exactly, whatever the container rounded.
static void test_sound(void **state)
{
    (void)state;
    static const char *const names[] = { "mp3.mkv", "aac.mkv", "vorbis.webm", "opus.mp4" };
    for (size_t i = 0; i < countof(names); i++) {
        struct buf b = load_made(names[i]);
        char detail[DETAIL_MAX];
        struct media *m;
        assert_int_equal(probe(&b, &limits, &m, detail), 0);
        const struct audio_track *a = &m->audio;
        const struct sample *last = &a->samples[a->sample_count - 1];
        assert_int_equal(gaps_of(a), 0);
        // Three seconds of sound, and what the last packet has more.
        const int64_t end = last->pts + last->duration;
        if (end < 3 * a->sample_rate - 64 || end > 3 * a->sample_rate + 2048)
            fail_msg("%s: ends at %lld", names[i], (long long)end);
        media_destroy(m);
        buf_finish(&b);
    }
}

// ---- what is refused

static const struct {
    const char *name, *command;
    int rc;
    const char *says; // part of the line
} refused[] = {
    { "text", "echo '#EXTM3U' >text && echo file:///etc/passwd >>text", -E_UNSUPPORTED,
      "no video or audio file" },
    { "empty", ": >empty", -E_UNSUPPORTED, "no video or audio file" },
    { "ftyp", "head -c 32 plain.mp4 >ftyp", -E_CORRUPT, "no moov" },
    { "half.mp4", "head -c 20000 plain.mp4 >half.mp4", -E_CORRUPT, "no moov" },
    { "asus.mkv", FFMPEG PICTURE "-c:v asv2 asus.mkv", -E_UNSUPPORTED, "asv2" },
    { "zmbv.mkv", FFMPEG PICTURE "-c:v zmbv zmbv.mkv", -E_UNSUPPORTED, "zmbv" },
    { "encrypted.mp4",
      FFMPEG "-i plain.mp4 -c copy -encryption_scheme cenc-aes-ctr -encryption_key "
             "76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8 "
             "encrypted.mp4",
      -E_UNSUPPORTED, "encrypted" },
    // What it says of its encryption makes no sense to libavformat.
    { "senc.mp4",
      FFMPEG
      "-i plain.mp4 -c copy -movflags frag_keyframe+empty_moov -encryption_scheme "
      "cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid "
      "a7e61c373e219033c21091fa607bf3b8 senc.mp4 && "
      "at=$(grep -obUa senc senc.mp4 | head -1 | cut -d: -f1) && printf '\\0\\0\\0\\2\\0\\377' | "
      "dd of=senc.mp4 bs=1 seek=$((at + 4)) conv=notrunc 2>/dev/null",
      -E_UNSUPPORTED, "encrypted" },
    { "photo.heic", "printf '\\0\\0\\0\\14ftypheic\\0\\0\\0\\14meta\\0\\0\\0\\0' >photo.heic",
      -E_UNSUPPORTED, "a still picture" },
    { "xhe.m4a",
      FFMPEG
      "-f lavfi -i sine=d=1 -ac 2 -c:a aac lc.m4a && "
      "LC_ALL=C sed 's/\\x12\\x10\\x56\\xe5\\x00/\\xf9\\x48\\x40\\x00\\x00/' lc.m4a >xhe.m4a",
      -E_UNSUPPORTED, "aac of this profile is not supported" },
    { "wavpack.mka", FFMPEG "-f lavfi -i sine=d=1 -c:a wavpack wavpack.mka", -E_UNSUPPORTED,
      "WavPack in Matroska" },
    { "torn.vob", FFMPEG "-f lavfi -i sine=d=1:r=48000 -ac 2 -c:a pcm_dvd -sample_fmt s32 torn.vob",
      -E_UNSUPPORTED, "end within a sample" },
    { "subs.mkv",
      "printf '1\\n00:00:00,000 --> 00:00:02,000\\nx\\n' >s.srt && " FFMPEG "-i s.srt subs.mkv",
      -E_UNSUPPORTED, "no video or audio" },
    { "front.mp4",
      FFMPEG
      "-i plain.mp4 -c copy -movflags +faststart whole.mp4 && head -c 3600 whole.mp4 >front.mp4",
      -E_CORRUPT, "the file ends before" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(refused); i++) {
        run(refused[i].command);
        struct buf b = load_made(refused[i].name);
        char detail[DETAIL_MAX];
        struct media *m;
        const int rc = probe(&b, &limits, &m, detail);
        if (rc != refused[i].rc || !strstr(detail, refused[i].says))
            fail_msg("%s: %s: %s", refused[i].name, err_name(rc), detail);
        media_destroy(m);
        buf_finish(&b);
    }
}

// ASF says in its header that all of it is encrypted: a Content Encryption Object.
static void test_drm(void **state)
{
    (void)state;
    static const uint8_t object[] = "\xfb\xb3\x11\x22\x23\xbd\xd2\x11\xb4\xb7\0\xa0\xc9\x55\xfc\x6e"
                                    "\x2d\0\0\0\0\0\0\0\1\0\0\0k\4\0\0\0DRM\0\0\0\0\0\0\0\0";
    const size_t n = sizeof object, header = 30; // of the header object: what comes before others
    run(FFMPEG PICTURE "-c:v wmv2 clear.asf");
    struct buf b = load_made("clear.asf"), with;
    buf_init(&with, MIB);
    buf_append(&with, b.data, header);
    buf_append(&with, object, n);
    buf_append(&with, b.data + header, b.len - header);
    AV_WL64(with.data + 16, AV_RL64(b.data + 16) + n);
    AV_WL32(with.data + 24, AV_RL32(b.data + 24) + 1);
    char detail[DETAIL_MAX];
    struct media *m;
    assert_int_equal(probe(&b, &limits, &m, detail), 0);
    media_destroy(m);
    assert_int_equal(probe(&with, &limits, &m, detail), -E_UNSUPPORTED);
    assert_string_equal(detail, "it is encrypted");
    buf_finish(&b);
    buf_finish(&with);
}

// Pictures of some kinds stand for themselves, whatever an index says.
static void test_sync_untold(void **state)
{
    (void)state;
    run(FFMPEG PICTURE "-c:v mjpeg -pix_fmt yuvj420p stills.avi");
    struct buf b = load_made("stills.avi");
    uint8_t *const index = find(&b, "idx1");
    const uint32_t n = AV_RL32(index + 4) / 16;
    assert_true(n > 5);
    for (uint32_t i = 0; i < n; i++)
        AV_WL32(index + 8 + 16 * i + 4, 0);
    char detail[DETAIL_MAX];
    struct media *m;
    assert_int_equal(probe(&b, &limits, &m, detail), 0);
    assert_int_equal(m->video.sample_count, n);
    for (uint32_t i = 0; i < n; i++)
        assert_true(m->video.samples[i].sync);
    media_destroy(m);
    buf_finish(&b);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        struct job_limits l;
        const char *says;
    } cases[] = {
        { { 128 * 96 - 1, 32, 2 * GIB, 0, 86400000, 0 }, "pictures of 128x96" },
        { { 36000000, 1, 2 * GIB, 0, 86400000, 0 }, "more than 1 tracks" },
        { { 36000000, 32, 70000, 0, 86400000, 0 }, "limit" },
        { { 36000000, 32, 2 * GIB, 0, 2900, 0 }, "lasts longer" },
    };
    struct buf b = load_made("plain.mp4");
    for (size_t i = 0; i < countof(cases); i++) {
        char detail[DETAIL_MAX];
        struct media *m;
        const int rc = probe(&b, &cases[i].l, &m, detail);
        if (rc != -E_LIMITS || !strstr(detail, cases[i].says))
            fail_msg("case %zu: %s: %s", i, err_name(rc), detail);
    }
    buf_finish(&b);
}

static void check_wanted(const struct memory *m, const struct sample *s, int n, int64_t ticks)
{
    for (int i = 0; i < n; i++)
        if (ticks > 0 && s[i].pts < ticks)
            assert_true(s[i].offset >= m->wanted &&
                        s[i].offset + s[i].size <= m->wanted + m->wanted_n);
}

// What the first viewer will ask for, all of it and not much else.
static void test_wants_the_beginning(void **state)
{
    (void)state;
    static const int64_t begins_ms[] = { 0, 1000, 100000 };
    struct buf b = load_made("plain.mp4");
    for (size_t i = 0; i < countof(begins_ms); i++) {
        struct memory io;
        struct media *m;
        char detail[DETAIL_MAX];
        struct job job = { .kind = JOB_PROBE, .limits = limits, .source_size = (int64_t)b.len };
        job.limits.begin_ms = begins_ms[i];
        memory_init(&io, &b);
        assert_int_equal(av_probe(&job, &io.io, detail, sizeof detail), 0);
        assert_int_equal(media_unpack(io.out.data, io.out.len, &m), 0);
        const struct video_track *const v = &m->video;
        check_wanted(&io, v->samples, v->sample_count, begins_ms[i] * v->timescale / 1000);
        check_wanted(&io, m->audio.samples, m->audio.sample_count,
                     begins_ms[i] * m->audio.sample_rate / 1000);
        assert_true(begins_ms[i] ? io.wanted_n > 0 : io.wanted_n == 0);
        if (begins_ms[i] == 1000)
            assert_true(io.wanted_n < (int64_t)b.len * 7 / 10);
        media_destroy(m);
        buf_finish(&io.out);
    }
    buf_finish(&b);
}

// A source that fails or is given up in any read: the reason comes out, nothing leaks.
static void test_cancelled(void **state)
{
    (void)state;
    struct buf b = load_made("plain.mp4");
    const struct job job = { .kind = JOB_PROBE, .limits = limits, .source_size = (int64_t)b.len };
    int rc = -1;
    for (int patience = 0; rc < 0; patience++) {
        struct memory m;
        memory_init(&m, &b);
        m.patience = patience;
        char detail[DETAIL_MAX];
        rc = av_probe(&job, &m.io, detail, sizeof detail);
        assert_true(rc == 0 || rc == -E_CANCELLED);
        buf_finish(&m.out);
    }
    buf_finish(&b);
}

// ---- bombs

// The probe in a process of its own: its code, and the memory it took, in MiB.
static int probe_apart(const struct buf *b, long *mib)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char detail[DETAIL_MAX];
        struct media *m;
        _exit(-probe(b, &limits, &m, detail));
    }
    int status;
    struct rusage usage;
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    assert_true(WIFEXITED(status));
    *mib = usage.ru_maxrss / 1024;
    return -WEXITSTATUS(status);
}

static void test_bombs(void **state)
{
    (void)state;
    run(FFMPEG "-f lavfi -i color=s=8192x8192:r=25 -frames:v 2 -c:v libx264 -preset ultrafast "
               "-threads 1 bomb.mp4");
    struct buf b = load_made("bomb.mp4");
    long mib;
    assert_int_equal(probe_apart(&b, &mib), -E_LIMITS);
    // The same, called small by its container: the decoder's own limit holds.
    uint8_t *entry = find(&b, "avc1");
    if (entry[-1] == 'm' || entry < find(&b, "stsd")) // ftyp names the brand, too
        entry = memmem(find(&b, "stsd"), 64, "avc1", 4);
    assert_non_null(entry);
    store(entry + 28, 64 << 16 | 64);
    const int rc = probe_apart(&b, &mib);
    assert_true(rc == -E_CORRUPT || rc == -E_LIMITS);
#ifndef SANITIZED
    assert_true(mib < 256);
#endif
    buf_finish(&b);
}

// ---- changed files

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static void test_hostile(void **state)
{
    (void)state;
    run(FFMPEG "-i plain.mp4 -c copy -t 0.4 -movflags +faststart small.mp4");
    run(FFMPEG "-i plain.mp4 -c:v copy -c:a libopus -t 0.4 small.mkv");
    static const char *const names[] = { "small.mp4", "small.mkv" };
    for (size_t i = 0; i < countof(names); i++) {
        struct buf b = load_made(names[i]);
        uint32_t seed = 7;
        for (int round = 0; round < 300; round++) {
            struct buf copy;
            buf_init(&copy, b.len);
            buf_append(&copy, b.data, b.len);
            for (int k = 0; k < 3; k++) // mostly in the headers
                copy.data[next_random(&seed) % (k ? 3000 : b.len)] = (uint8_t)next_random(&seed);
            char detail[DETAIL_MAX];
            struct media *m;
            const int rc = probe(&copy, &limits, &m, detail);
            if ((rc != 0 && rc != -E_CORRUPT && rc != -E_UNSUPPORTED && rc != -E_LIMITS) ||
                (rc != 0 && !detail[0]))
                fail_msg("%s, round %d: %s: %s", names[i], round, err_name(rc), detail);
            media_destroy(m);
            buf_finish(&copy);
        }
        buf_finish(&b);
    }
}

static int setup(void **state)
{
    (void)state;
    av_log_set_level(AV_LOG_QUIET);
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
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_made),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_drm),
        cmocka_unit_test(test_sync_untold),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_wants_the_beginning),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
