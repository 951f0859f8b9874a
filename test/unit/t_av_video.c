// SPDX-License-Identifier: BSD-2-Clause
//
// Segments of video that are made alone: every output frame is the right source
// frame, the bytes never differ, the picture is upright, damage is concealed
// and counted, and the result decodes without a word of complaint.
//
// A source picture carries its number as bars (bit i of the number is the i-th
// field of the top row, light for 1) over a moving ramp.

#include "test/unit/av_tools.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include "base/err.h"
#include "base/hash.h"
#include "codec/av/av.h"
#include "codec/av/coder.h"
#include "codec/av/part.h"
#include "codec/fmp4.h"
#include "codec/nal.h"
#include "codec/segment.h"

#define WIDTH 320
#define HEIGHT 192
#define BITS 10
#define FRAMES 150
#define TICKS 1001 // of one source frame at 30000 per second
#define LIGHT 210
#define DARK 40
#define BEYOND 6 // samples
#define IDR 5    // type of a NAL unit
#define HIDDEN 1 // a picture of VP8

// ---- sources

struct source {
    const char *name;
    const char *encoder;
    enum codec_id codec;
    const char *options; // of the encoder
    int gop, b_frames;
    bool headers_inside; // in the packets, no extradata
};

static const struct source SOURCES[] = {
    { "h264, B-frames", "libx264", CODEC_H264, "x264-params=scenecut=0:b-adapt=0", 48, 3, false },
    { "h264, open GOP, pyramid", "libx264", CODEC_H264,
      "x264-params=scenecut=0:b-adapt=0:open-gop=1:b-pyramid=normal:ref=4", 40, 4, false },
    { "h264, one GOP, headers inside", "libx264", CODEC_H264, "x264-params=scenecut=0", 300, 2,
      true },
    { "h264, no B-frames", "libx264", CODEC_H264, "x264-params=scenecut=0", 25, 0, false },
    { "hevc, open GOP", "libx265", CODEC_HEVC,
      "x265-params=log-level=none:open-gop=1:b-adapt=0:bframes=4:keyint=40:min-keyint=40:pools=1:"
      "frame-threads=1",
      40, 4, false },
    { "vp8", "libvpx", CODEC_VP8, "cpu-used=8:deadline=realtime", 50, 0, false },
    { "vp9, hidden frames", "libvpx-vp9", CODEC_VP9,
      "cpu-used=8:deadline=realtime:auto-alt-ref=1:lag-in-frames=16", 50, 0, false },
};

static void fill_rect(AVFrame *f, int plane, int x, int y, int w, int h, int value)
{
    for (int row = y; row < y + h; row++)
        memset(f->data[plane] + row * f->linesize[plane] + x, value, (size_t)w);
}

static void draw_number(AVFrame *f, int number)
{
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++)
            f->data[0][y * f->linesize[0] + x] = (uint8_t)(60 + (x + y + 2 * number) % 120);
    fill_rect(f, 1, 0, 0, f->width / 2, f->height / 2, 110);
    fill_rect(f, 2, 0, 0, f->width / 2, f->height / 2, 140);
    for (int i = 0; i < BITS; i++)
        fill_rect(f, 0, i * f->width / BITS, 0, f->width / BITS, f->height / 4,
                  number >> i & 1 ? LIGHT : DARK);
}

// Something to do for an encoder.
static void draw_noise(AVFrame *f, int number)
{
    uint32_t random = (uint32_t)number;
    draw_number(f, number);
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) {
            random = random * 1664525 + 1013904223;
            f->data[0][y * f->linesize[0] + x] += (uint8_t)(random >> 28);
        }
}

// Four quarters, each of its own grey, clockwise from the top left.
static const int QUARTERS[4] = { 40, 90, 150, 210 };

static void draw_quarters(AVFrame *f, int number)
{
    const int w = f->width / 2, h = f->height / 2;
    (void)number;
    fill_rect(f, 0, 0, 0, w, h, QUARTERS[0]);
    fill_rect(f, 0, w, 0, w, h, QUARTERS[1]);
    fill_rect(f, 0, w, h, w, h, QUARTERS[2]);
    fill_rect(f, 0, 0, h, w, h, QUARTERS[3]);
    fill_rect(f, 1, 0, 0, w, h, 128);
    fill_rect(f, 2, 0, 0, w, h, 128);
}

static AVCodecContext *open_source(const struct source *s, int width, int height)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(s->encoder);
    AVDictionary *d = NULL;
    assert_non_null(codec);
    AVCodecContext *e = avcodec_alloc_context3(codec);
    e->width = width;
    e->height = height;
    e->pix_fmt = AV_PIX_FMT_YUV420P;
    e->time_base = (AVRational){ TICKS, 30000 };
    e->framerate = (AVRational){ 30000, TICKS };
    e->gop_size = e->keyint_min = s->gop;
    e->max_b_frames = s->b_frames;
    e->bit_rate = 1000000;
    e->thread_count = 1;
    if (!s->headers_inside)
        e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_dict_parse_string(&d, s->options, "=", ";", 0);
    if (strncmp(s->encoder, "libvpx", 6) == 0) {
        av_dict_free(&d);
        av_dict_parse_string(&d, s->options, "=", ":", 0);
    } else {
        av_dict_set(&d, "preset", "ultrafast", 0);
    }
    assert_int_equal(avcodec_open2(e, codec, &d), 0);
    av_dict_free(&d);
    return e;
}

// Appends n pictures, the first of which is shown as number `first`.
static void make_clip(const struct source *s, int width, int height, int first, int n,
                      void (*draw)(AVFrame *, int), struct clip *c)
{
    AVCodecContext *e = open_source(s, width, height);
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    for (int i = 0; i <= n; i++) {
        f->format = AV_PIX_FMT_YUV420P;
        f->width = width;
        f->height = height;
        assert_int_equal(av_frame_get_buffer(f, 0), 0);
        draw(f, first + i);
        f->pts = i;
        assert_int_equal(avcodec_send_frame(e, i < n ? f : NULL), 0);
        av_frame_unref(f);
        while (avcodec_receive_packet(e, p) == 0) {
            clip_add(c, p, (first + p->pts) * TICKS, TICKS);
            av_packet_unref(p);
        }
    }
    if (!c->extradata)
        clip_headers(c, e);
    av_frame_free(&f);
    av_packet_free(&p);
    avcodec_free_context(&e);
}

static struct media *make_media(enum codec_id codec, const struct clip *c)
{
    struct media *m = xcalloc(1, sizeof *m);
    m->size = (int64_t)c->bytes.len;
    m->fps = (struct rational){ 30000, TICKS };
    m->video.codec = codec;
    m->video.timescale = 30000;
    m->video.coded_width = WIDTH;
    m->video.coded_height = HEIGHT;
    m->video.sar_num = m->video.sar_den = 1;
    m->video.bit_depth = 8;
    m->video.reorder = codec == CODEC_H264 || codec == CODEC_HEVC ? 2 : 0;
    m->video.colour = (struct colour){ 2, 2, 2, false };
    m->video.extradata = c->extradata;
    m->video.extradata_size = c->extradata_size;
    return m;
}

// ---- jobs

static int sample_at(const struct clip *c, int64_t pts)
{
    for (int i = 0; i < c->count; i++)
        if (c->samples[i].pts == pts)
            return i;
    return -1;
}

// The samples from the last sync sample at or before the first pick to the last
// one that holds a pick.
static void choose_samples(struct job *j, const struct clip *c)
{
    int start = 0, end = 0;
    for (int i = 0; i < c->count; i++)
        if (c->samples[i].sync && c->samples[i].pts <= j->picks[0].pts)
            start = i;
    for (int i = 0; i < j->pick_count; i++) {
        const int at = sample_at(c, j->picks[i].pts);
        if (at > end)
            end = at;
    }
    j->samples = c->samples + start;
    j->sample_count = end - start + 1;
}

// Frames [first, first + n) of a source of constant rate, in parts of `part`.
static void make_job(struct job *j, const struct clip *c, struct media *m, int first, int n,
                     int part)
{
    *j = (struct job){ .kind = JOB_VIDEO, .media = m, .first = first, .sequence = 1 + first };
    j->limits.pixels = 4096 * 4096;
    j->v = (struct video_settings)PLAIN_VIDEO(160, 96, 30000, TICKS);
    j->picks = xmalloc(sizeof *j->picks * (size_t)n);
    for (int i = 0; i < n; i++)
        j->picks[i] = (struct pick){ (int64_t)(first + i) * TICKS, 1 };
    j->pick_count = n;
    for (int left = n; left > 0; left -= part)
        j->part_frames[j->part_count++] = left < part ? left : part;
    j->parts_at_once = 1;
    j->last_ticks = j->v.fps.den;
    choose_samples(j, c);
}

static int try(const struct job *j, const struct clip *c, struct memory *io,
               struct job_stats *stats)
{
    char detail[DETAIL_MAX] = "";
    memory_init(io, &c->bytes);
    const int rc = av_run(j, &io->io, stats, detail, sizeof detail);
    if (rc < 0)
        assert_true(detail[0]);
    return rc;
}

static struct job_stats run(const struct job *j, const struct clip *c, struct memory *io)
{
    struct job_stats stats;
    char detail[DETAIL_MAX] = "";
    memory_init(io, &c->bytes);
    const int rc = av_run(j, &io->io, &stats, detail, sizeof detail);
    if (rc < 0)
        fail_msg("%s: %s", err_name(rc), detail);
    assert_int_equal(stats.bytes, io->out.len);
    return stats;
}

static void make_init(const struct job *j, struct buf *out)
{
    struct job init = { .kind = JOB_INIT, .video = true, .v = j->v };
    struct clip none;
    struct memory io;
    struct job_stats stats;
    clip_init(&none);
    assert_int_equal(try(&init, &none, &io, &stats), 0);
    *out = io.out;
}

// ---- watching

struct watched {
    int count, width, height;
    int *numbers;
    int quarters[4]; // of the first picture
};

static int mean(const AVFrame *f, int x, int y)
{
    int sum = 0;
    for (int dy = -2; dy <= 2; dy++)
        for (int dx = -2; dx <= 2; dx++)
            sum += f->data[0][(y + dy) * f->linesize[0] + x + dx];
    return sum / 25;
}

static int read_number(const AVFrame *f)
{
    int n = 0;
    for (int i = 0; i < BITS; i++)
        n |= (mean(f, (2 * i + 1) * f->width / BITS / 2, f->height / 8) > (LIGHT + DARK) / 2) << i;
    return n;
}

static void watch_frame(struct watched *w, const AVFrame *f)
{
    const int x = f->width / 4, y = f->height / 4;
    if (w->count == 0) {
        w->width = f->width;
        w->height = f->height;
        w->quarters[0] = mean(f, x, y);
        w->quarters[1] = mean(f, 3 * x, y);
        w->quarters[2] = mean(f, 3 * x, 3 * y);
        w->quarters[3] = mean(f, x, 3 * y);
    }
    w->numbers = xrealloc(w->numbers, sizeof *w->numbers * (size_t)(w->count + 1));
    w->numbers[w->count++] = read_number(f);
}

static void drain(AVCodecContext *d, struct watched *w)
{
    AVFrame *f = av_frame_alloc();
    while (avcodec_receive_frame(d, f) == 0) {
        assert_false(f->decode_error_flags);
        watch_frame(w, f);
        av_frame_unref(f);
    }
    av_frame_free(&f);
}

static void write_file(char *path, const struct buf *init, const struct buf *segment)
{
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, init->data, init->len), init->len);
    assert_int_equal(write(fd, segment->data, segment->len), segment->len);
    close(fd);
}

// Decodes init + segment as a strict player.
static struct watched watch(const struct buf *init, const struct buf *segment)
{
    char path[] = "/tmp/tidemill-test-XXXXXX";
    struct watched w = { 0 };
    AVFormatContext *in = NULL;
    AVPacket *p = av_packet_alloc();
    write_file(path, init, segment);
    assert_int_equal(avformat_open_input(&in, path, NULL, NULL), 0);
    assert_int_equal(in->nb_streams, 1);
    const AVCodecParameters *par = in->streams[0]->codecpar;
    AVCodecContext *d = avcodec_alloc_context3(avcodec_find_decoder(par->codec_id));
    assert_true(avcodec_parameters_to_context(d, par) >= 0);
    d->err_recognition = AV_EF_EXPLODE | AV_EF_BITSTREAM | AV_EF_BUFFER;
    assert_int_equal(avcodec_open2(d, NULL, NULL), 0);
    while (av_read_frame(in, p) == 0) {
        assert_int_equal(avcodec_send_packet(d, p), 0);
        av_packet_unref(p);
        drain(d, &w);
    }
    avcodec_send_packet(d, NULL);
    drain(d, &w);
    avcodec_free_context(&d);
    avformat_close_input(&in);
    av_packet_free(&p);
    unlink(path);
    return w;
}

// The boxes say: parts begin with the only sync samples, half a second a fragment
// at most, decode times without a gap, presentation times each frame once.
static void check_boxes(const struct job *j, const struct buf *b, int frames)
{
    struct coded_list l;
    struct fmp4_summary sum;
    assert_int_equal(fmp4_check(b->data, b->len, &sum), 0);
    assert_int_equal(sum.start, j->first * TICKS);
    assert_int_equal(sum.samples, frames);
    assert_int_equal(sum.duration, (int64_t)frames * TICKS);
    assert_true(sum.begins_sync);
    read_segment(b, &l);
    assert_int_equal(l.sequence, j->sequence);
    int seen[FRAMES] = { 0 }, part = 0, in_part = 0, in_fragment = 0;
    for (int i = 0; i < l.count; i++) {
        const int64_t n = l.v[i].pts / TICKS - j->first;
        assert_int_equal(l.v[i].pts % TICKS, 0);
        assert_int_equal(l.v[i].dts, (j->first + i) * TICKS);
        assert_true(n >= 0 && n < frames);
        assert_int_equal(seen[n]++, 0);
        in_fragment = i && l.v[i].fragment == l.v[i - 1].fragment ? in_fragment + 1 : 1;
        assert_true(in_fragment <= 15);
        assert_int_equal(l.v[i].sync, in_part == 0);
        if (in_part == 0) {
            assert_int_equal(l.v[i].pts, l.v[i].dts);
            assert_int_equal(in_fragment, 1);
        }
        for (uint32_t at = 0; at + 4 < l.v[i].size;) { // length-prefixed, no headers, no notes
            struct reader r = reader_of(l.v[i].data + at, 4);
            const int type = l.v[i].data[at + 4] & 31;
            assert_int_equal(type, in_part == 0 ? 5 : 1);
            at += 4 + get_be32(&r);
            assert_true(at <= l.v[i].size);
        }
        if (++in_part == j->part_frames[part]) {
            part++;
            in_part = 0;
        }
    }
    free(l.v);
}

static void check_numbers(const char *what, const struct watched *w, int first, int frames)
{
    assert_int_equal(w->count, frames);
    for (int i = 0; i < frames; i++)
        if (w->numbers[i] != first + i)
            fail_msg("%s: frame %d shows %d", what, first + i, w->numbers[i]);
}

// ---- a heap full of old things

// libx264 takes its memory here, on several threads.  What lies in it differs from
// time to time.
void *memalign(size_t alignment, size_t n);
void *memalign(size_t alignment, size_t n)
{
    static atomic_uint times;
    uint32_t random = atomic_fetch_add(&times, 1);
    void *p = NULL;
    if (posix_memalign(&p, alignment, n) != 0)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        random = random * 1664525 + 1013904223;
        ((uint8_t *)p)[i] = (uint8_t)(random >> 24);
    }
    return p;
}

// ---- between the owner of parts and the parts

static struct buf *slow; // where what is sent shall go; NULL: nobody is slow
static int spoiled = -1; // the next picture but so many; < 0: none

// The encoder refuses this picture.
static AVFrame *spoil(const AVFrame *frame)
{
    AVFrame *const f = av_frame_clone(frame);
    assert_non_null(av_frame_new_side_data(f, AV_FRAME_DATA_REGIONS_OF_INTEREST, 1));
    return f;
}

// The linker puts this in front of part_give.  Who is slow comes back from it with a
// part's last picture only when the part has ended and all of it was taken.
int __real_part_give(struct part *p, const AVFrame *frame, int ahead, int wait_ms,
                     const struct why *why);
int __wrap_part_give(struct part *p, const AVFrame *frame, int ahead, int wait_ms,
                     const struct why *why);
int __wrap_part_give(struct part *p, const AVFrame *frame, int ahead, int wait_ms,
                     const struct why *why)
{
    AVFrame *f = spoiled == 0 ? spoil(frame) : NULL;
    const int given = __real_part_give(p, f ? f : frame, ahead, wait_ms, why);
    av_frame_free(&f);
    spoiled -= given > 0 && spoiled >= 0;
    int taken = 0;
    while (given > 0 && taken == 0 && slow && part_is_fed(p))
        taken = part_take(p, slow, 1000, why);
    return taken < 0 ? taken : given;
}

// ---- tests

#define PER 45
#define PART 23

static int segment_frames(int first)
{
    return FRAMES - first < PER ? FRAMES - first : PER;
}

static void test_every_frame_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(SOURCES); i++) {
        const struct source *s = &SOURCES[i];
        struct clip c;
        clip_init(&c);
        make_clip(s, WIDTH, HEIGHT, 0, FRAMES, draw_number, &c);
        struct media *m = make_media(s->codec, &c);
        struct buf init = { 0 };
        for (int first = 0; first < FRAMES; first += PER) {
            const int n = segment_frames(first);
            struct job j;
            struct memory io;
            make_job(&j, &c, m, first, n, PART);
            if (!init.len)
                make_init(&j, &init);
            const struct job_stats stats = run(&j, &c, &io);
            assert_int_equal(stats.concealed, 0);
            assert_int_equal(stats.frames_encoded, n);
            check_boxes(&j, &io.out, n);
            struct watched w = watch(&init, &io.out);
            check_numbers(s->name, &w, first, n);
            assert_true(w.width == 160 && w.height == 96);
            free(w.numbers);
            free(j.picks);
            buf_finish(&io.out);
        }
        buf_finish(&init);
        clip_finish(&c);
        free(m);
    }
}

// Nor may the bytes know what the heap held before, or how many parts ran at once.
static void check_same_bytes(enum video_codec codec, int level)
{
    enum { SEGMENTS = (FRAMES + PER - 1) / PER };
    static const int order[] = { 2, 0, 3, 1, 1, 3, 0, 2 };
    struct clip c;
    struct memory first_time[SEGMENTS] = { 0 };
    clip_init(&c);
    make_clip(&SOURCES[1], WIDTH, HEIGHT, 0, FRAMES, draw_noise, &c);
    struct media *m = make_media(CODEC_H264, &c);
    for (size_t i = 0; i < 3 * countof(order); i++) {
        const int k = order[i % countof(order)];
        struct job j;
        struct memory io, *was = &first_time[k];
        make_job(&j, &c, m, k * PER, segment_frames(k * PER), PART);
        j.parts_at_once = 1 + (int)i % 3;
        j.v.codec = codec;
        j.v.level = level;
        run(&j, &c, &io);
        free(j.picks);
        if (!was->out.len) {
            *was = io;
            continue;
        }
        assert_int_equal(io.out.len, was->out.len);
        assert_memory_equal(io.out.data, was->out.data, io.out.len);
        buf_finish(&io.out);
    }
    for (int i = 0; i < SEGMENTS; i++)
        buf_finish(&first_time[i].out);
    clip_finish(&c);
    free(m);
}

static void test_same_bytes_in_any_order(void **state)
{
    (void)state;
    check_same_bytes(VIDEO_H264, 30);
}

static void test_same_bytes_of_av1(void **state)
{
    (void)state;
    check_same_bytes(VIDEO_AV1, 0);
}

static void test_same_bytes_of_hevc(void **state)
{
    (void)state;
    check_same_bytes(VIDEO_HEVC, 60);
}

// A part may end before its owner looks again.
static void test_quick_parts(void **state)
{
    (void)state;
    struct clip c;
    struct job j;
    struct memory io, slowly;
    struct job_stats stats;
    clip_init(&c);
    make_clip(&SOURCES[3], WIDTH, HEIGHT, 0, 12, draw_number, &c);
    struct media *m = make_media(CODEC_H264, &c);
    make_job(&j, &c, m, 0, 12, 4);
    run(&j, &c, &io);
    slow = &slowly.out;
    const int rc = try(&j, &c, &slowly, &stats);
    slow = NULL;
    assert_int_equal(rc, 0);
    assert_int_equal(slowly.out.len, io.out.len);
    assert_memory_equal(slowly.out.data, io.out.data, io.out.len);
    buf_finish(&slowly.out);
    buf_finish(&io.out);
    free(j.picks);
    clip_finish(&c);
    free(m);
}

// Whichever part fails, and however many are before it, the reason is told.
static void test_encoder_fails(void **state)
{
    (void)state;
    struct clip c;
    struct job j;
    struct memory io;
    struct job_stats stats;
    clip_init(&c);
    make_clip(&SOURCES[3], WIDTH, HEIGHT, 0, FRAMES, draw_number, &c);
    struct media *m = make_media(CODEC_H264, &c);
    make_job(&j, &c, m, 0, FRAMES, 20);
    for (int i = 0; i < 6; i++) {
        j.parts_at_once = 1 + i / 3;
        spoiled = 1 + 20 * (i % 3); // the second of a part
        assert_int_equal(try(&j, &c, &io, &stats), -E_INTERNAL);
        buf_finish(&io.out);
    }
    spoiled = -1;
    free(j.picks);
    clip_finish(&c);
    free(m);
}

static void test_orientation(void **state)
{
    (void)state;
    static const struct {
        int rotate;
        bool mirror;
        int quarters[4]; // which of the source's is seen, clockwise from the top left
    } rows[] = {
        { 0, false, { 0, 1, 2, 3 } },   { 90, false, { 3, 0, 1, 2 } },
        { 180, false, { 2, 3, 0, 1 } }, { 270, false, { 1, 2, 3, 0 } },
        { 0, true, { 1, 0, 3, 2 } },    { 90, true, { 0, 3, 2, 1 } },
        { 180, true, { 3, 2, 1, 0 } },  { 270, true, { 2, 1, 0, 3 } },
    };
    struct clip c;
    clip_init(&c);
    make_clip(&SOURCES[3], WIDTH, HEIGHT, 0, 10, draw_quarters, &c);
    struct media *m = make_media(CODEC_H264, &c);
    for (size_t i = 0; i < countof(rows); i++) {
        struct job j;
        struct memory io;
        struct buf init;
        make_job(&j, &c, m, 0, 10, 10);
        m->video.rotate = rows[i].rotate;
        m->video.mirror = rows[i].mirror;
        j.v.width = rows[i].rotate % 180 ? 96 : 160;
        j.v.height = rows[i].rotate % 180 ? 160 : 96;
        make_init(&j, &init);
        run(&j, &c, &io);
        struct watched w = watch(&init, &io.out);
        assert_true(w.width == j.v.width && w.height == j.v.height);
        for (int q = 0; q < 4; q++)
            assert_in_range(w.quarters[q], QUARTERS[rows[i].quarters[q]] - 3,
                            QUARTERS[rows[i].quarters[q]] + 3);
        free(w.numbers);
        free(j.picks);
        buf_finish(&io.out);
        buf_finish(&init);
    }
    clip_finish(&c);
    free(m);
}

// A slower or faster source: pictures are repeated or left out as picks say.
static void test_repeat_and_leave_out(void **state)
{
    (void)state;
    static const struct pick picks[] = {
        { 20 * TICKS, 3 }, { 22 * TICKS, 1 }, { 25 * TICKS, 9 }, { 40 * TICKS, 2 }
    };
    static const int numbers[] = { 20, 20, 20, 22, 25, 25, 25, 25, 25, 25, 25, 25, 25, 40, 40 };
    struct clip c;
    struct job j;
    struct memory io;
    struct buf init;
    clip_init(&c);
    make_clip(&SOURCES[0], WIDTH, HEIGHT, 0, 60, draw_number, &c);
    struct media *m = make_media(CODEC_H264, &c);
    make_job(&j, &c, m, 20, 21, 8);
    memcpy(j.picks, picks, sizeof picks);
    j.pick_count = countof(picks);
    j.part_count = 2;
    j.part_frames[0] = 8; // ends within the nine
    j.part_frames[1] = 7;
    make_init(&j, &init);
    const int64_t began = clock_us();
    const struct job_stats stats = run(&j, &c, &io);
    assert_int_equal(stats.concealed, 0);
    assert_true(stats.frames_decoded < 41); // not every picture is needed
    assert_in_range(stats.first_us, 1, clock_us() - began);
    check_boxes(&j, &io.out, countof(numbers));
    struct watched w = watch(&init, &io.out);
    assert_int_equal(w.count, countof(numbers));
    assert_memory_equal(w.numbers, numbers, sizeof numbers);
    free(w.numbers);
    free(j.picks);
    buf_finish(&io.out);
    buf_finish(&init);
    clip_finish(&c);
    free(m);
}

// Packets are lost or destroyed: the segment keeps its length, what is missing is
// the picture before it, and is counted; or decoding must start earlier.
static void test_damage(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int first;   // frames [first, first + 30); GOPs of 25, no B-frames
        int lost, n; // packets, counted from the sync sample, that are zeroed
        int skip;    // samples left out at the start
        int rc;
        int concealed;
    } rows[] = {
        { "sound", 30, 0, 0, 0, 0, 0 },
        { "sync sample left out", 30, 0, 0, 1, -E_SEEK, 0 },
        { "sync sample lost", 30, 0, 1, 0, -E_SEEK, 0 },
        { "begins after the first pick", 30, 0, 0, 7, -E_SEEK, 0 },
        { "all lost", 30, 0, 40, 0, -E_SEEK, 0 },
        { "first lost, earlier ones sound", 30, 4, 3, 0, 0, 2 },
        { "rest of the GOP lost", 30, 15, 10, 0, 0, 10 },
        { "end lost", 30, 30, 10, 0, 0, 5 },
        { "first of the asset lost", 0, 0, 1, 0, 0, 25 },
        { "all of the asset lost", 0, 0, 40, 0, -E_CORRUPT, 0 },
    };
    struct clip c;
    clip_init(&c);
    make_clip(&SOURCES[3], WIDTH, HEIGHT, 0, 60, draw_number, &c);
    struct media *m = make_media(CODEC_H264, &c);
    m->video.reorder = 0;
    struct buf sound;
    buf_init(&sound, 1 << 30);
    buf_append(&sound, c.bytes.data, c.bytes.len);
    for (size_t i = 0; i < countof(rows); i++) {
        struct job j;
        struct memory io;
        struct job_stats stats;
        make_job(&j, &c, m, rows[i].first, 30, 10);
        for (int k = rows[i].lost; k < rows[i].lost + rows[i].n && k < j.sample_count; k++)
            memset(c.bytes.data + j.samples[k].offset, 0, j.samples[k].size);
        j.samples += rows[i].skip;
        j.sample_count -= rows[i].skip;
        const int rc = try(&j, &c, &io, &stats);
        if (rc != rows[i].rc)
            fail_msg("%s: %s", rows[i].what, err_name(rc));
        if (rc == 0) {
            check_boxes(&j, &io.out, 30);
            if (stats.concealed != rows[i].concealed)
                fail_msg("%s: %d concealed", rows[i].what, (int)stats.concealed);
        }
        memcpy(c.bytes.data, sound.data, sound.len);
        free(j.picks);
        buf_finish(&io.out);
    }
    buf_finish(&sound);
    clip_finish(&c);
    free(m);
}

// Where the last slice of a packet in Annex B begins.
static uint32_t last_slice(const struct clip *c, const struct sample *s)
{
    const uint8_t *const p = c->bytes.data + s->offset;
    uint32_t at = s->size - 3;
    while (p[at] || p[at + 1] || p[at + 2] != 1)
        at--;
    return at;
}

// The last slice of a picture that none leans on is lost: no error to libavcodec, and the frame has
// no mark of it when threads decode.  It is counted all the same, and is the same each time.
static void test_slices_lost(void **state)
{
    struct source s = SOURCES[0];
    struct clip c;
    struct key first = { 0 };
    (void)state;
    s.options = "x264-params=scenecut=0:b-adapt=0:b-pyramid=0:slices=4";
    clip_init(&c);
    make_clip(&s, WIDTH, HEIGHT, 0, 60, draw_noise, &c);
    for (int k = 10; k <= 20; k += 10) // an I-frame, and of four three are B-frames
        c.samples[k].size = last_slice(&c, &c.samples[k]);
    struct media *m = make_media(CODEC_H264, &c);
    for (int i = 0; i < 12; i++) {
        struct job j;
        struct memory io;
        make_job(&j, &c, m, 0, 40, 10);
        const struct job_stats stats = run(&j, &c, &io);
        assert_int_equal(stats.concealed, 2);
        const struct key key = key_of(io.out.data, io.out.len);
        first = i ? first : key;
        assert_true(key_equal(&key, &first));
        free(j.picks);
        buf_finish(&io.out);
    }
    clip_finish(&c);
    free(m);
}

// A source that changes its picture size in mid-stream, headers inside the
// packets: the output keeps its size and every frame its number.
static void test_size_changes(void **state)
{
    (void)state;
    struct source s = SOURCES[0];
    struct clip c;
    struct job j;
    struct memory io;
    struct buf init;
    s.headers_inside = true;
    clip_init(&c);
    make_clip(&s, WIDTH, HEIGHT, 0, 30, draw_number, &c);
    make_clip(&s, 480, 272, 30, 30, draw_number, &c);
    struct media *m = make_media(CODEC_H264, &c);
    make_job(&j, &c, m, 10, 40, 20);
    make_init(&j, &init);
    const struct job_stats stats = run(&j, &c, &io);
    assert_int_equal(stats.concealed, 0);
    struct watched w = watch(&init, &io.out);
    check_numbers("two sizes", &w, 10, 40);
    assert_true(w.width == 160 && w.height == 96);
    free(w.numbers);
    free(j.picks);
    buf_finish(&io.out);
    buf_finish(&init);
    clip_finish(&c);
    free(m);
}

// The four greys come out as they must: as they are; from full range; from
// another matrix (greys have no colour); and tone-mapped from PQ and HLG by the
// peak of the index alone.
static void test_colours(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct colour source;
        int peak;
        int expect[4];
    } rows[] = {
        { "untagged", { 2, 2, 2, false }, 0, { 40, 90, 150, 210 } },
        { "full range", { 1, 1, 1, true }, 0, { 50, 93, 145, 196 } },
        { "bt.601", { 6, 6, 6, false }, 0, { 40, 90, 150, 210 } },
        { "PQ, 4000 nits", { 9, 16, 9, false }, 4000, { 30, 79, 179, 234 } },
        { "PQ, no peak", { 9, 16, 9, false }, 0, { 31, 85, 194, 253 } },
        { "HLG", { 9, 18, 9, false }, 1000, { 41, 91, 147, 214 } },
    };
    struct clip c;
    clip_init(&c);
    make_clip(&SOURCES[3], WIDTH, HEIGHT, 0, 4, draw_quarters, &c);
    struct media *m = make_media(CODEC_H264, &c);
    for (size_t i = 0; i < countof(rows); i++) {
        struct job j;
        struct memory io;
        struct buf init;
        make_job(&j, &c, m, 0, 4, 4);
        m->video.colour = rows[i].source;
        m->video.peak_nits = rows[i].peak;
        make_init(&j, &init);
        run(&j, &c, &io);
        struct watched w = watch(&init, &io.out);
        for (int q = 0; q < 4; q++)
            if (abs(w.quarters[q] - rows[i].expect[q]) > 3)
                fail_msg("%s: quarter %d is %d", rows[i].what, q, w.quarters[q]);
        free(w.numbers);
        free(j.picks);
        buf_finish(&io.out);
        buf_finish(&init);
    }
    clip_finish(&c);
    free(m);
}

// The reference program plays init + any one segment, and all of them, in silence.
static void test_plays(void **state)
{
    (void)state;
    char path[] = "/tmp/tidemill-test-XXXXXX", command[200];
    struct clip c;
    struct buf init = { 0 }, all;
    clip_init(&c);
    buf_init(&all, 1 << 30);
    make_clip(&SOURCES[1], WIDTH, HEIGHT, 0, FRAMES, draw_number, &c);
    struct media *m = make_media(CODEC_H264, &c);
    for (int first = 0; first < FRAMES; first += PER) {
        struct job j;
        struct memory io;
        make_job(&j, &c, m, first, segment_frames(first), PART);
        if (!init.len)
            make_init(&j, &init);
        run(&j, &c, &io);
        buf_append(&all, io.out.data, io.out.len);
        free(j.picks);
        buf_finish(&io.out);
    }
    struct watched w = watch(&init, &all);
    check_numbers("all segments", &w, 0, FRAMES);
    write_file(path, &init, &all);
    snprintf(command, sizeof command,
             "test -z \"$(ffmpeg -v error -xerror -err_detect explode -i %s -f null - 2>&1)\"",
             path);
    if (system("command -v ffmpeg >/dev/null") == 0)
        assert_int_equal(system(command), 0);
    unlink(path);
    free(w.numbers);
    buf_finish(&init);
    buf_finish(&all);
    clip_finish(&c);
    free(m);
}

static void too_large(struct job *j)
{
    j->limits.pixels = WIDTH * HEIGHT - 1;
}

// The head says small, the stream is not.
static void secretly_large(struct job *j)
{
    j->limits.pixels = WIDTH * HEIGHT - 1;
    j->media->video.coded_width = 16;
}

static void parts_too_long(struct job *j)
{
    j->part_frames[0]++;
}

static void empty_part(struct job *j)
{
    j->part_frames[0] += j->part_frames[1];
    j->part_frames[1] = 0;
}

static void picks_fall(struct job *j)
{
    j->picks[3].pts = j->picks[2].pts;
}

static void negative_repeat(struct job *j)
{
    j->picks[3].repeat = -1;
}

static void no_samples(struct job *j)
{
    j->sample_count = 0;
}

static void no_video(struct job *j)
{
    j->media->video.codec = CODEC_NONE;
}

static void negative_first(struct job *j)
{
    j->first = -1;
}

static void huge_output(struct job *j)
{
    j->v.width = 1 << 20;
}

static void huge_rate(struct job *j)
{
    j->v.fps = (struct rational){ INT64_MAX, INT32_MAX };
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        void (*change)(struct job *);
        int patience, rc;
    } rows[] = {
        { "too large", too_large, -1, -E_LIMITS },
        { "secretly large", secretly_large, -1, -E_CORRUPT },
        { "parts too long", parts_too_long, -1, -E_PROTOCOL },
        { "empty part", empty_part, -1, -E_PROTOCOL },
        { "picks do not rise", picks_fall, -1, -E_PROTOCOL },
        { "negative repeat", negative_repeat, -1, -E_PROTOCOL },
        { "no samples", no_samples, -1, -E_CORRUPT },
        { "no video", no_video, -1, -E_PROTOCOL },
        { "negative first", negative_first, -1, -E_PROTOCOL },
        { "huge output", huge_output, -1, -E_PROTOCOL },
        { "huge rate", huge_rate, -1, -E_PROTOCOL },
        { "cancelled at once", NULL, 0, -E_CANCELLED },
        { "cancelled later", NULL, 25, -E_CANCELLED },
    };
    struct clip c;
    clip_init(&c);
    make_clip(&SOURCES[3], WIDTH, HEIGHT, 0, 40, draw_number, &c);
    for (size_t i = 0; i < countof(rows); i++) {
        struct media *m = make_media(CODEC_H264, &c);
        struct job j;
        struct memory io;
        struct job_stats stats;
        char detail[DETAIL_MAX] = "";
        make_job(&j, &c, m, 0, 30, 15);
        if (rows[i].change)
            rows[i].change(&j);
        memory_init(&io, &c.bytes);
        io.patience = rows[i].patience;
        const int rc = av_run(&j, &io.io, &stats, detail, sizeof detail);
        if (rc != rows[i].rc)
            fail_msg("%s: %s (%s)", rows[i].what, err_name(rc), detail);
        assert_true(detail[0]);
        free(j.picks);
        free(m);
        buf_finish(&io.out);
    }
    clip_finish(&c);
}

// ---- one job after another

struct second {
    const char *what;
    int source;                   // of SOURCES
    void (*change)(struct job *); // the second job
    int broken;                   // sample behind the first job's last that is needed; -1: none
    int type;                     // that it is given; 0: it is zeroed
    bool resumes;                 // where nothing is broken
};

static void of_another_source(struct job *j)
{
    j->source = key_of("another", 7);
}

static void of_nobody(struct job *j)
{
    j->source = (struct key){ 0 };
}

static void of_less_pixels(struct job *j)
{
    j->limits.pixels--;
}

static void from_further_back(struct job *j)
{
    j->samples -= 25;
    j->sample_count += 25;
}

static void last_picture_again(struct job *j)
{
    j->picks[0].pts -= TICKS;
}

static void every_other(struct job *j)
{
    for (int i = 0; i < j->pick_count; i += 2) {
        j->picks[i / 2] = j->picks[i];
        j->picks[i / 2].repeat = 2;
    }
    j->pick_count /= 2;
}

// Segment k of a second.
static void make_one(struct job *j, const struct clip *c, struct media *m, int k)
{
    make_job(j, c, m, 30 * k, 30, 15);
    j->source = key_of("source", 6);
    j->beyond = BEYOND;
    j->sample_count += BEYOND;
}

static struct buf made(const struct job *j, const struct clip *c, struct job_stats *stats)
{
    struct memory io;
    *stats = run(j, c, &io);
    return io.out;
}

static void assert_made(const struct job *j, const struct clip *c, const struct buf *want,
                        struct job_stats *stats)
{
    struct buf b = made(j, c, stats);
    assert_int_equal(b.len, want->len);
    assert_memory_equal(b.data, want->data, b.len);
    buf_finish(&b);
}

static void damage(const struct clip *c, const struct job *j, int behind, int type)
{
    const struct sample *const s = &j->samples[j->sample_count - j->beyond + behind];
    uint8_t *const p = c->bytes.data + s->offset;
    if (type == HIDDEN)
        *p &= 0xef; // RFC 6386 9.1: show_frame
    else if (type == IDR)
        p[next_start_code(p, s->size, 0) + 3] |= IDR;
    else
        memset(p, 0, s->size);
}

static void check_second(const struct second *s)
{
    struct clip c;
    struct job jobs[2];
    struct job_stats fresh, stats;
    clip_init(&c);
    make_clip(&SOURCES[s->source], WIDTH, HEIGHT, 0, 120, draw_number, &c);
    struct media *const m = make_media(SOURCES[s->source].codec, &c);
    make_one(&jobs[0], &c, m, 0);
    make_one(&jobs[1], &c, m, 1);
    if (s->change)
        s->change(&jobs[1]);
    coder_forget();
    struct buf first = made(&jobs[0], &c, &stats);
    assert_true(stats.left_count == 1 && job_goes_on(&jobs[1], &stats) >= s->resumes);
    if (s->broken >= 0)
        damage(&c, &jobs[0], s->broken, s->type);
    coder_forget();
    struct buf second = made(&jobs[1], &c, &fresh);
    coder_forget();
    assert_made(&jobs[0], &c, &first, &stats);
    assert_made(&jobs[1], &c, &second, &stats);
    if (s->broken < 0 && stats.resumed != s->resumes)
        fail_msg("%s", s->what);
    assert_true(!stats.resumed || stats.samples_read < fresh.samples_read);
    coder_forget();
    buf_finish(&first);
    buf_finish(&second);
    free(jobs[0].picks);
    free(jobs[1].picks);
    free(m);
    clip_finish(&c);
}

// It goes on with the decoder of the first where that gives the same pictures, and nowhere else.
static void test_goes_on(void **state)
{
    (void)state;
    static const struct second rows[] = {
        { "B-frames", 0, NULL, -1, 0, true },
        { "one GOP, headers inside", 2, NULL, -1, 0, true },
        { "IDR pictures between", 3, NULL, -1, 0, true },
        { "open GOP", 1, NULL, -1, 0, true },
        { "hevc", 4, NULL, -1, 0, true },
        { "vp8", 5, NULL, -1, 0, true },
        { "vp9", 6, NULL, -1, 0, true },
        { "another source", 0, of_another_source, -1, 0, false },
        { "nobody said which", 0, of_nobody, -1, 0, false },
        { "other limits", 0, of_less_pixels, -1, 0, false },
        { "from further back", 3, from_further_back, -1, 0, false },
        { "the last picture is shown on", 0, last_picture_again, -1, 0, false },
        { "half of them", 0, every_other, -1, 0, true },
        { "the next is damaged", 0, NULL, 0, 0, true },
        { "one behind is damaged", 0, NULL, 2, 0, true },
        { "the next is damaged, no B-frames", 3, NULL, 0, 0, true },
        { "the next is not shown, vp8", 5, NULL, 0, HIDDEN, true },
        { "the next is as an IDR picture", 0, NULL, 0, IDR, true },
        { "one behind is, no B-frames", 3, NULL, 1, IDR, true },
        { "one behind is, open GOP", 1, NULL, 2, IDR, true },
        { "the next is, one GOP", 2, NULL, 0, IDR, true },
        { "one behind is, one GOP", 2, NULL, 1, IDR, true },
    };
    for (size_t i = 0; i < countof(rows); i++)
        check_second(&rows[i]);
}

// Those of the last few sources are left, as far as they have room.
static void test_several_are_left(void **state)
{
    (void)state;
    struct clip c;
    struct job jobs[2];
    struct job_stats stats;
    clip_init(&c);
    make_clip(&SOURCES[0], WIDTH, HEIGHT, 0, 120, draw_number, &c);
    struct media *const m = make_media(SOURCES[0].codec, &c);
    for (int k = 0; k < 2; k++)
        make_one(&jobs[k], &c, m, k);
    coder_forget();
    for (int i = 0; i <= JOB_LEFT_MAX; i++) {
        jobs[0].source = key_of(&i, sizeof i);
        struct buf b = made(&jobs[0], &c, &stats);
        assert_int_equal(stats.left_count, i < JOB_LEFT_MAX ? i + 1 : JOB_LEFT_MAX);
        buf_finish(&b);
    }
    for (int i = JOB_LEFT_MAX; i >= 0; i--) {
        jobs[1].source = key_of(&i, sizeof i);
        assert_int_equal(job_goes_on(&jobs[1], &stats), i > 0); // that one made room
        struct buf b = made(&jobs[1], &c, &stats);
        assert_int_equal(stats.resumed, i > 0);
        assert_int_equal(stats.left_count, JOB_LEFT_MAX);
        buf_finish(&b);
    }
    coder_allow(0);
    struct buf b = made(&jobs[0], &c, &stats);
    assert_int_equal(stats.left_count, 1);
    buf_finish(&b);
    coder_allow(256 * MIB);
    coder_forget();
    free(jobs[0].picks);
    free(jobs[1].picks);
    free(m);
    clip_finish(&c);
}

// ---- several rungs of one decode

enum { NEVER = -1 };

// One of those who see the same pictures.
struct company {
    int width, height;
    enum video_codec codec;
    const char *preset;
    int joins;   // when it is looked for who joins for that time; 0: it is there from the beginning
    int dropped; // when it is asked for that time
    bool taken;  // else it comes too late
};

struct crowd {
    struct memory m; // its io is the job's
    const struct company *rows;
    int count;
    struct video_settings v[JOB_RUNGS_MAX];
    struct buf out[JOB_RUNGS_MAX];
    bool ended[JOB_RUNGS_MAX], refused[JOB_RUNGS_MAX];
    int asked[JOB_RUNGS_MAX];
    int looks, next; // times that it was asked who joins; who will
};

static struct crowd *crowd_of(struct io *io)
{
    return container_of(io, struct crowd, m.io);
}

static int crowd_append(struct io *io, int rung, const void *bytes, size_t n)
{
    assert_false(crowd_of(io)->ended[rung]);
    return buf_append(&crowd_of(io)->out[rung], bytes, n);
}

static void crowd_end(struct io *io, int rung)
{
    crowd_of(io)->ended[rung] = true;
}

static bool crowd_dropped(struct io *io, int rung)
{
    struct crowd *const c = crowd_of(io);
    const int when = c->rows[rung].dropped;
    return c->asked[rung]++ >= when && when != NEVER;
}

static int crowd_join(struct io *io, bool room, struct video_settings *v)
{
    struct crowd *const c = crowd_of(io);
    const int look = c->looks++;
    while (c->next < c->count && look >= c->rows[c->next].joins) {
        *v = c->v[c->next++];
        if (room)
            return c->next - 1;
        c->refused[c->next - 1] = true;
    }
    return -1;
}

static const struct io_rungs crowd_rungs = { crowd_append, crowd_end, crowd_dropped, crowd_join };

static void ask_for(struct video_settings *v, const struct company *row)
{
    v->width = row->width;
    v->height = row->height;
    v->codec = row->codec;
    v->level = row->codec == VIDEO_HEVC ? 60 : 30;
    copy_string(v->preset, sizeof v->preset, row->preset);
}

static void gather(struct crowd *c, struct job *j, const struct clip *clip)
{
    memory_init(&c->m, &clip->bytes);
    c->m.io.rungs = &crowd_rungs;
    for (int i = 0; i < c->count; i++) {
        buf_init(&c->out[i], 64 << 20);
        c->v[i] = j->v;
        ask_for(&c->v[i], &c->rows[i]);
        if (i > 0 && c->rows[i].joins == 0)
            j->also[j->also_count++] = c->v[i];
    }
    j->v = c->v[0];
    c->next = 1 + j->also_count;
}

static void assert_as_alone(const struct crowd *c, const struct job *together,
                            const struct clip *clip)
{
    for (int i = 0; i < c->count; i++) {
        struct job j = *together;
        struct job_stats stats;
        j.v = c->v[i];
        j.also_count = 0;
        struct buf alone = made(&j, clip, &stats);
        const bool whole = c->rows[i].taken && c->rows[i].dropped == NEVER;
        assert_int_equal(c->refused[i], !c->rows[i].taken);
        if (whole && (c->out[i].len != alone.len || memcmp(c->out[i].data, alone.data, alone.len)))
            fail_msg("rung %d of %d", i, c->count);
        assert_true(whole || (c->out[i].len < alone.len && !c->ended[i]));
        buf_finish(&alone);
    }
}

static void check_company(const struct company *rows, int count, int parts_at_once, int broken)
{
    struct clip clip;
    struct job j;
    struct job_stats stats = { 0 };
    char detail[DETAIL_MAX] = "";
    struct crowd c = { .rows = rows, .count = count };
    clip_init(&clip);
    make_clip(&SOURCES[0], WIDTH, HEIGHT, 0, FRAMES, draw_number, &clip);
    struct media *m = make_media(CODEC_H264, &clip);
    make_job(&j, &clip, m, 0, FRAMES, 30);
    if (broken >= 0)
        memset(clip.bytes.data + clip.samples[broken].offset, 0, clip.samples[broken].size);
    j.parts_at_once = parts_at_once;
    gather(&c, &j, &clip);
    assert_int_equal(av_run(&j, &c.m.io, &stats, detail, sizeof detail), 0);
    assert_true(stats.frames_decoded <= clip.count); // all see the same
    assert_int_equal(stats.concealed > 0, broken >= 0);
    assert_as_alone(&c, &j, &clip);
    for (int i = 0; i < count; i++)
        buf_finish(&c.out[i]);
    free(j.picks);
    free(m);
    clip_finish(&clip);
}

// What a rung is made of and how, never depends on its company.
static void test_company(void **state)
{
    (void)state;
    static const struct company rows[][4] = {
        { { 320, 192, VIDEO_H264, "veryfast", 0, NEVER, true },
          { 160, 96, VIDEO_HEVC, "ultrafast", 0, NEVER, true },
          { 64, 48, VIDEO_H264, "jit", 0, NEVER, true },
          { 160, 96, VIDEO_H264, "jit", 0, NEVER, true } },
        { { 64, 48, VIDEO_H264, "jit", 0, NEVER, true },
          { 320, 192, VIDEO_H264, "medium", 1, NEVER, true },
          { 160, 96, VIDEO_H264, "veryfast", 6, NEVER, true },
          { 160, 96, VIDEO_H264, "jit", 15, NEVER, true } },
        { { 160, 96, VIDEO_H264, "jit", 0, NEVER, true },
          { 320, 192, VIDEO_H264, "jit", 40, NEVER, false },
          { 320, 192, VIDEO_H264, "veryfast", 41, NEVER, false },
          { 64, 48, VIDEO_H264, "veryfast", 60, NEVER, false } },
        { { 160, 96, VIDEO_H264, "jit", 0, 30, true },
          { 320, 192, VIDEO_H264, "slow", 0, 0, true },
          { 64, 48, VIDEO_H264, "veryfast", 3, NEVER, true },
          { 160, 96, VIDEO_H264, "jit", 5, 1, true } },
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (int at_once = 1; at_once <= 3; at_once += 2)
            check_company(rows[i], 4, at_once, at_once == 1 ? -1 : 4);
}

// Small neighbours are fetched together.
static void test_reads_are_few(void **state)
{
    (void)state;
    struct clip c;
    struct job j;
    struct memory io;
    clip_init(&c);
    make_clip(&SOURCES[3], WIDTH, HEIGHT, 0, 40, draw_number, &c);
    struct media *m = make_media(CODEC_H264, &c);
    make_job(&j, &c, m, 0, 40, 20);
    run(&j, &c, &io);
    assert_true(io.reads <= 1 + (int)(c.bytes.len / (128 * 1024)));
    free(j.picks);
    buf_finish(&io.out);
    clip_finish(&c);
    free(m);
}

int main(void)
{
    char detail[DETAIL_MAX];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_once),
        cmocka_unit_test(test_same_bytes_in_any_order),
        cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_repeat_and_leave_out),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_slices_lost),
        cmocka_unit_test(test_size_changes),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_plays),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_several_are_left),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_reads_are_few),
        cmocka_unit_test(test_quick_parts),
        cmocka_unit_test(test_encoder_fails),
        cmocka_unit_test(test_same_bytes_of_hevc),
        cmocka_unit_test(test_same_bytes_of_av1),
    };
    if (av_setup(detail, sizeof detail) < 0) {
        print_error("%s\n", detail);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
