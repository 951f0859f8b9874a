// SPDX-License-Identifier: BSD-2-Clause
//
// The init segment is made without encoding, depends on settings alone, and the
// signature names what stands behind it.

#include "test/unit/av_tools.h"

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/device.h"
#include "codec/av/encode.h"
#include "codec/hardware.h"

static const struct video_settings VIDEO = PLAIN_VIDEO(640, 360, 30000, 1001);
static const struct audio_settings AUDIO = { 48000, 2, 100, AUDIO_AAC };

static void make_init(const struct job *j, struct buf *out)
{
    struct buf nothing;
    struct memory io;
    struct job_stats stats;
    char detail[DETAIL_MAX] = "";
    buf_init(&nothing, 1);
    memory_init(&io, &nothing);
    const int rc = av_run(j, &io.io, &stats, detail, sizeof detail);
    if (rc < 0)
        fail_msg("%s: %s", err_name(rc), detail);
    assert_int_equal(io.reads, 0);
    *out = io.out;
}

static void make_video_init(const struct video_settings *v, struct buf *out)
{
    const struct job j = { .kind = JOB_INIT, .video = true, .v = *v };
    make_init(&j, out);
}

static const uint8_t *find(const struct buf *b, const void *what, size_t n)
{
    return memmem(b->data, b->len, what, n);
}

// What the bandwidth may be changes nothing; size, level and colours do.
static void test_depends_on_settings_alone(void **state)
{
    (void)state;
    struct video_settings rows[8];
    for (size_t i = 0; i < countof(rows); i++)
        rows[i] = VIDEO;
    rows[1].crf = 30;
    rows[2].maxrate = rows[2].bufsize = 5000000;
    rows[3].vbv_init_permille = 500;
    rows[4].width = 642;
    rows[5].level = 31;
    rows[6].colour.matrix = 6;
    rows[7].fps = (struct rational){ 25, 1 };
    struct buf first;
    make_video_init(&VIDEO, &first);
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf b;
        make_video_init(&rows[i], &b);
        const bool same = b.len == first.len && memcmp(b.data, first.data, b.len) == 0;
        assert_int_equal(same, i < 4);
        buf_finish(&b);
    }
    buf_finish(&first);
}

static void test_avcc(void **state)
{
    (void)state;
    struct buf b;
    make_video_init(&VIDEO, &b);
    const uint8_t *avcc = find(&b, "avcC", 4);
    assert_non_null(avcc);
    assert_int_equal(avcc[4], 1);
    assert_int_equal(avcc[5], 100); // High
    assert_int_equal(avcc[7], 30);  // level 3.0
    assert_null(find(&b, "x264", 4));
    assert_null(find(&b, "\0\0\0\1\x67", 5)); // no start code
    buf_finish(&b);
}

static void test_hvcc(void **state)
{
    (void)state;
    struct video_settings v = VIDEO;
    v.codec = VIDEO_HEVC;
    v.level = 93;
    struct buf b, other;
    make_video_init(&v, &b);
    const uint8_t *const entry = find(&b, "hvc1", 4), *const hvcc = find(&b, "hvcC", 4);
    assert_true(entry && hvcc);
    assert_int_equal(hvcc[4], 1);
    assert_int_equal(hvcc[5], 1);   // Main
    assert_int_equal(hvcc[16], 93); // level 3.1, as it was told
    assert_null(find(&b, "x265", 4));
    v.crf = 35;
    v.maxrate = v.bufsize = 300000;
    v.vbv_init_permille = 500;
    copy_string(v.preset, sizeof v.preset, "jit"); // veryfast, of x265
    make_video_init(&v, &other);
    assert_int_equal(b.len, other.len);
    assert_memory_equal(b.data, other.data, b.len);
    buf_finish(&b);
    buf_finish(&other);
}

static void test_av1c(void **state)
{
    (void)state;
    struct video_settings v = VIDEO;
    v.codec = VIDEO_AV1;
    v.level = 1;
    struct buf b, other;
    make_video_init(&v, &b);
    const uint8_t *const entry = find(&b, "av01", 4), *const av1c = find(&b, "av1C", 4);
    assert_true(entry && av1c);
    assert_int_equal(av1c[4], 0x81);
    assert_int_equal(av1c[5], 1);    // Main, level 2.1, as the ladder says
    assert_int_equal(av1c[6], 0xc);  // Main tier, 4:2:0, 8 bits
    assert_int_equal(av1c[8], 0x0a); // a sequence header
    v.crf = 50;
    v.maxrate = v.bufsize = 300000;
    copy_string(v.preset, sizeof v.preset, "jit");
    make_video_init(&v, &other);
    assert_int_equal(b.len, other.len);
    assert_memory_equal(b.data, other.data, b.len);
    buf_finish(&b);
    buf_finish(&other);
}

static void test_audio(void **state)
{
    (void)state;
    const struct job j = { .kind = JOB_INIT, .a = AUDIO };
    struct buf b;
    make_init(&j, &b);
    assert_non_null(find(&b, "mp4a", 4));
    assert_non_null(find(&b, "\x11\x90", 2)); // AAC-LC, 48000, stereo
    buf_finish(&b);
}

static void test_bad_settings(void **state)
{
    (void)state;
    struct video_settings rows[6];
    for (size_t i = 0; i < countof(rows); i++)
        rows[i] = VIDEO;
    rows[0].width = 0;
    rows[1].height = -2;
    rows[2].fps.den = 0;
    rows[3].bufsize = INT64_MAX;
    rows[4].vbv_init_permille = 1001;
    rows[5].fps.den = INT32_MAX;
    for (size_t i = 0; i < countof(rows); i++) {
        char detail[DETAIL_MAX] = "";
        const struct why why = { detail, sizeof detail };
        AVCodecContext *e = NULL;
        assert_int_equal(encode_open_video(&e, &rows[i], &why), -E_PROTOCOL);
        assert_null(e);
        assert_true(detail[0]);
    }
}

static void test_signature(void **state)
{
    (void)state;
    char detail[DETAIL_MAX], before[256];
    assert_true(copy_string(before, sizeof before, av_signature()));
    assert_non_null(strstr(before, "lavc "));
    assert_non_null(strstr(before, "x264 "));
    assert_null(strstr(before, "x264 0"));
    assert_non_null(strstr(before, "headers "));
    assert_int_equal(av_setup(detail, sizeof detail), 0);
    assert_string_equal(before, av_signature());
}

static void test_nal_units(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t in_size;
        const char *out;
        size_t out_size;
    } rows[] = {
        { "", 0, "", 0 },
        { "\0\0\1", 3, "", 0 },
        { "\0\0\0\1\x65"
          "abc",
          8,
          "\0\0\0\4\x65"
          "abc",
          8 },
        { "\0\0\1\x65"
          "a\0\0\1\x41"
          "b",
          10,
          "\0\0\0\2\x65"
          "a\0\0\0\2\x41"
          "b",
          12 },
        { "\0\0\0\1\x65"
          "a\0\0\0\1\x41"
          "b",
          12,
          "\0\0\0\2\x65"
          "a\0\0\0\2\x41"
          "b",
          12 },
        { "\0\0\1\x06\5note\0\0\1\x65"
          "a",
          14,
          "\0\0\0\2\x65"
          "a",
          6 }, // a note goes
        { "\0\0\1\x67s\0\0\1\x68p\0\0\1\x65"
          "a",
          15,
          "\0\0\0\2\x65"
          "a",
          6 }, // and so do headers
        { "\0\0\1\x06\4cc\0\0\1\x65"
          "a",
          12,
          "\0\0\0\4\x06\4cc\0\0\0\2\x65"
          "a",
          14 },
        { "junk\0\0\1\x65"
          "a",
          9,
          "\0\0\0\2\x65"
          "a",
          6 },
        { "\0\0\1\0\0\1\x65"
          "a",
          8,
          "\0\0\0\2\x65"
          "a",
          6 },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf b;
        buf_init(&b, 100);
        assert_int_equal(
            encode_sample(&b, VIDEO_H264, (const uint8_t *)rows[i].in, rows[i].in_size), 0);
        assert_int_equal(b.len, rows[i].out_size);
        if (b.len)
            assert_memory_equal(b.data, rows[i].out, b.len);
        buf_finish(&b);
    }
}

// Encoders of graphics processors take the options that they are given (or this would have
// asserted), and where there is no such processor they say which of them does not open.
static void test_hardware(void **state)
{
    (void)state;
    for (int e = ENCODER_SOFTWARE + 1; e < VIDEO_ENCODERS; e++) {
        struct video_settings v = VIDEO;
        char detail[DETAIL_MAX] = "";
        const struct why why = { detail, sizeof detail };
        AVCodecContext *encoder = NULL;
        v.encoder = (enum video_encoder)e;
        v.codec = hardware_codec(v.encoder);
        v.level = v.codec == VIDEO_HEVC ? 93 : 31;
        const char *const family = strchr(hardware_name(v.encoder), '_') + 1;
        const int rc = encode_open_video(&encoder, &v, &why);
        assert_true(rc == 0 || strcasestr(detail, family));
        print_message("%s: %s\n", hardware_name(v.encoder), rc == 0 ? "opened" : detail);
        encode_close(&encoder);
    }
}

// Planes of three colours become two, and nothing moves.
static void test_picture_for_hardware(void **state)
{
    (void)state;
    AVCodecContext *like = avcodec_alloc_context3(NULL);
    AVFrame *f = av_frame_alloc();
    f->format = AV_PIX_FMT_YUV420P;
    f->width = 6;
    f->height = 4;
    f->pts = 77;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 6; x++)
            f->data[0][y * f->linesize[0] + x] = (uint8_t)(10 * y + x);
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 3; x++) {
            f->data[1][y * f->linesize[1] + x] = (uint8_t)(100 + 10 * y + x);
            f->data[2][y * f->linesize[2] + x] = (uint8_t)(200 + 10 * y + x);
        }
    AVFrame *got = device_picture(like, f);
    assert_non_null(got);
    assert_true(got->format == AV_PIX_FMT_NV12 && got->pts == 77);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 6; x++)
            assert_int_equal(got->data[0][y * got->linesize[0] + x], 10 * y + x);
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 6; x++)
            assert_int_equal(got->data[1][y * got->linesize[1] + x],
                             (x % 2 ? 200 : 100) + 10 * y + x / 2);
    av_frame_free(&f);
    av_frame_free(&got);
    avcodec_free_context(&like);
}

int main(void)
{
    char detail[DETAIL_MAX];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depends_on_settings_alone),
        cmocka_unit_test(test_avcc),
        cmocka_unit_test(test_hvcc),
        cmocka_unit_test(test_av1c),
        cmocka_unit_test(test_audio),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_nal_units),
        cmocka_unit_test(test_hardware),
        cmocka_unit_test(test_picture_for_hardware),
    };
    if (av_setup(detail, sizeof detail) < 0) {
        print_error("%s\n", detail);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
