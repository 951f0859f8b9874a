// SPDX-License-Identifier: BSD-2-Clause
//
// Sheets that are made alone: each tile is its picture and knows of no other, what is hard
// to code stays below its share, and what cannot be decoded is said to be so.
//
// A source picture is of one grey that tells its number, over which noise may lie.

#include "test/unit/av_tools.h"

#include <libavutil/opt.h>

#include "base/err.h"
#include "codec/av/av.h"

#define WIDTH 64
#define HEIGHT 48
#define FRAMES 100
#define GOP 20
#define TICKS 512 // of a picture, of 12800 a second

static struct clip clip;
static struct media media;

static int grey_of(int number)
{
    return 30 + 2 * number;
}

static void draw(AVFrame *f, int number, bool noise)
{
    uint32_t random = (uint32_t)number;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            random = random * 1664525 + 1013904223;
            f->data[0][y * f->linesize[0] + x] =
                noise ? (uint8_t)(16 + random % 220) : (uint8_t)grey_of(number);
        }
    for (int i = 1; i < 3; i++)
        for (int y = 0; y < HEIGHT / 2; y++)
            memset(f->data[i] + y * f->linesize[i], 128, WIDTH / 2);
}

static AVCodecContext *open_source(void)
{
    AVCodecContext *const e = avcodec_alloc_context3(avcodec_find_encoder_by_name("libx264"));
    e->width = WIDTH;
    e->height = HEIGHT;
    e->pix_fmt = AV_PIX_FMT_YUV420P;
    e->time_base = (AVRational){ 1, 25 };
    e->gop_size = e->keyint_min = GOP;
    e->max_b_frames = 2;
    e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(e->priv_data, "preset", "ultrafast", 0);
    av_opt_set(e->priv_data, "crf", "10", 0);
    av_opt_set(e->priv_data, "x264-params", "scenecut=0", 0);
    assert_int_equal(avcodec_open2(e, NULL, NULL), 0);
    return e;
}

static void make_clip(bool noise)
{
    AVCodecContext *e = open_source();
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    clip_init(&clip);
    for (int i = 0; i <= FRAMES; i++) {
        f->format = AV_PIX_FMT_YUV420P;
        f->width = WIDTH;
        f->height = HEIGHT;
        assert_int_equal(av_frame_get_buffer(f, 0), 0);
        draw(f, i, noise);
        f->pts = i;
        assert_int_equal(avcodec_send_frame(e, i < FRAMES ? f : NULL), 0);
        av_frame_unref(f);
        while (avcodec_receive_packet(e, p) == 0) {
            clip_add(&clip, p, p->pts * TICKS, TICKS);
            av_packet_unref(p);
        }
    }
    clip_headers(&clip, e);
    av_frame_free(&f);
    av_packet_free(&p);
    avcodec_free_context(&e);
    media = (struct media){ .size = (int64_t)clip.bytes.len, .fps = { 25, 1 }, .frames = FRAMES };
    media.video = (struct video_track){
        .codec = CODEC_H264,
        .timescale = 12800,
        .coded_width = WIDTH,
        .coded_height = HEIGHT,
        .sar_num = 1,
        .sar_den = 1,
        .bit_depth = 8,
        .colour = { 1, 1, 6, false },
        .reorder = 2,
        .extradata = clip.extradata,
        .extradata_size = clip.extradata_size,
    };
}

// ---- jobs

#define TILES 4
static struct pick picks[TILES];
static struct sample samples[TILES * GOP];
static struct job_run runs[TILES];

// A sheet of these pictures, each with a run of its own: its GOP up to it.
static struct job order(const int *numbers, int n)
{
    struct job j = { .kind = JOB_SHEET,
                     .media = &media,
                     .source_size = media.size,
                     .s = { WIDTH, HEIGHT, n > 1 ? 2 : 1, (n + 1) / 2, 3, 100000 },
                     .first = numbers[0],
                     .bits = 8000000,
                     .samples = samples,
                     .picks = picks,
                     .pick_count = n,
                     .runs = runs,
                     .run_count = n };
    j.limits.pixels = 1 << 20;
    for (int i = 0; i < n; i++) {
        const int first = numbers[i] / GOP * GOP;
        picks[i] = (struct pick){ (int64_t)numbers[i] * TICKS, 1 };
        runs[i] = (struct job_run){ GOP, 1 };
        memcpy(samples + j.sample_count, clip.samples + first, GOP * sizeof *samples);
        j.sample_count += GOP;
    }
    return j;
}

static int run(const struct job *j, int patience, struct memory *io, struct job_stats *stats)
{
    char detail[DETAIL_MAX] = "";
    memory_init(io, &clip.bytes);
    io->patience = patience;
    const int rc = av_run(j, &io->io, stats, detail, sizeof detail);
    assert_int_equal(rc < 0, detail[0] != '\0');
    return rc;
}

static AVFrame *decode(const struct buf *jpeg)
{
    AVCodecContext *d = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
    AVPacket *p = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    assert_int_equal(avcodec_open2(d, NULL, NULL), 0);
    assert_int_equal(av_new_packet(p, (int)jpeg->len), 0);
    memcpy(p->data, jpeg->data, jpeg->len);
    assert_int_equal(avcodec_send_packet(d, p), 0);
    assert_int_equal(avcodec_receive_frame(d, f), 0);
    av_packet_free(&p);
    avcodec_free_context(&d);
    return f;
}

static AVFrame *make(const struct job *j)
{
    struct memory io;
    struct job_stats stats;
    assert_int_equal(run(j, -1, &io, &stats), 0);
    assert_int_equal(stats.bytes, io.out.len);
    assert_int_equal(stats.concealed, 0);
    AVFrame *f = decode(&io.out);
    buf_finish(&io.out);
    return f;
}

// ---- tests

static void each_tile_is_its_picture(void **state)
{
    (void)state;
    static const int numbers[] = { 3, 19, 40, 77 };
    make_clip(false);
    const struct job j = order(numbers, 3);
    AVFrame *f = make(&j);
    assert_int_equal(f->width, 2 * WIDTH);
    assert_int_equal(f->height, 2 * HEIGHT);
    for (int i = 0; i < 4; i++) {
        const int x = i % 2 * WIDTH + WIDTH / 2, y = i / 2 * HEIGHT + HEIGHT / 2;
        // Of full range; the last place is empty.
        const int want = i < 3 ? (grey_of(numbers[i]) - 16) * 255 / 219 : 0;
        assert_in_range(f->data[0][y * f->linesize[0] + x] + 10, want + 7, want + 13);
    }
    av_frame_free(&f);
    clip_finish(&clip);
}

// To the last bit: what else is on a sheet is neither before nor beside it.
static void no_tile_knows_of_another(void **state)
{
    (void)state;
    static const int numbers[] = { 5, 38, 59, 60 };
    make_clip(true);
    struct job j = order(numbers, 4);
    AVFrame *all = make(&j);
    for (int i = 0; i < 4; i++) {
        j = order(numbers + i, 1);
        AVFrame *one = make(&j);
        for (int y = 0; y < HEIGHT; y++)
            assert_memory_equal(all->data[0] + (i / 2 * HEIGHT + y) * all->linesize[0] +
                                    i % 2 * WIDTH,
                                one->data[0] + y * one->linesize[0], WIDTH);
        av_frame_free(&one);
    }
    av_frame_free(&all);
    clip_finish(&clip);
}

static void noise_is_coded_more_coarsely(void **state)
{
    (void)state;
    static const int numbers[] = { 5, 38 };
    make_clip(true);
    struct job j = order(numbers, 2);
    size_t before = SIZE_MAX;
    for (int i = 0; i < 4; i++) {
        struct memory io;
        struct job_stats stats;
        j.bits = i == 0 ? INT64_MAX : i == 3 ? 1 : (int64_t)before * 8 * 3 / 4;
        assert_int_equal(run(&j, -1, &io, &stats), 0);
        assert_true(io.out.len < before);
        assert_true((int64_t)io.out.len * 8 <= j.bits || i == 3); // the coarsest there is
        before = io.out.len;
        buf_finish(&io.out);
    }
    clip_finish(&clip);
}

static void what_cannot_be_decoded(void **state)
{
    (void)state;
    static const int numbers[] = { 3, 45 };
    make_clip(false);
    // The second run's GOP is lost: somebody has to begin earlier.
    for (int i = 2 * GOP; i < 3 * GOP; i++)
        memset(clip.bytes.data + clip.samples[i].offset, 0, clip.samples[i].size);
    struct memory io;
    struct job_stats stats;
    struct job j = order(numbers, 2);
    assert_int_equal(run(&j, -1, &io, &stats), -E_SEEK);
    assert_int_equal(io.out.len, 0);
    buf_finish(&io.out);
    clip_finish(&clip);
}

static void cancelled(void **state)
{
    (void)state;
    static const int numbers[] = { 3, 45 };
    make_clip(false);
    const struct job j = order(numbers, 2);
    for (int patience = 0; patience < 20; patience += 6) {
        struct memory io;
        struct job_stats stats;
        assert_int_equal(run(&j, patience, &io, &stats), -E_CANCELLED);
        assert_int_equal(io.out.len, 0);
        buf_finish(&io.out);
    }
    clip_finish(&clip);
}

static void orders_that_are_none(void **state)
{
    (void)state;
    static const int numbers[] = { 3, 45 };
    make_clip(false);
    for (int i = 0; i < 4; i++) {
        struct memory io;
        struct job_stats stats;
        struct job j = order(numbers, 2);
        if (i == 0)
            j.s.columns = 1; // more pictures than places
        if (i == 1)
            j.s.quality = 0;
        if (i == 2)
            picks[0].repeat = 0;
        if (i == 3)
            j.limits.pixels = 100;
        assert_true(run(&j, -1, &io, &stats) < 0);
        assert_int_equal(io.out.len, 0);
        buf_finish(&io.out);
    }
    clip_finish(&clip);
}

static int setup(void **state)
{
    (void)state;
    char detail[DETAIL_MAX];
    return av_setup(detail, sizeof detail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tile_is_its_picture),
        cmocka_unit_test(no_tile_knows_of_another),
        cmocka_unit_test(noise_is_coded_more_coarsely),
        cmocka_unit_test(what_cannot_be_decoded),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(orders_that_are_none),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
