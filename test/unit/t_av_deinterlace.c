// SPDX-License-Identifier: BSD-2-Clause
//
// Deinterlaced pictures do not know where giving began: those of a segment made alone are
// those of the whole asset, to the bit, and so are the bytes that are coded of them.

#include "test/unit/av_tools.h"

#include <stdio.h>

#include <libavutil/opt.h>

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/deinterlace.h"
#include "codec/grid.h"
#include "codec/plan.h"
#include "test/unit/plan_tools.h"

#define WIDTH 192
#define HEIGHT 96
#define FRAMES 20
#define CHANGE 12 // number of the first frame of another size

// ---- frames

// Fields of noise over a bright bar that moves from field to field.
static void draw(AVFrame *f, int number)
{
    uint32_t random = (uint32_t)number * 77;
    for (int y = 0; y < f->height; y++) {
        const int bar = (4 * (2 * number + y % 2)) % f->width;
        for (int x = 0; x < f->width; x++) {
            random = random * 1664525 + 1013904223;
            const bool inside = x >= bar && x < bar + 20;
            f->data[0][y * f->linesize[0] + x] = (uint8_t)((inside ? 190 : 50) + (random >> 27));
        }
    }
    for (int p = 1; p <= 2; p++)
        for (int y = 0; y < f->height / 2; y++)
            memset(f->data[p] + y * f->linesize[p], 100 + number + 9 * p, (size_t)f->width / 2);
}

static AVFrame *make_frame(int number, int width, int height)
{
    AVFrame *f = av_frame_alloc();
    f->format = AV_PIX_FMT_YUV420P;
    f->width = width;
    f->height = height;
    f->pts = number;
    f->interlaced_frame = 1;
    f->top_field_first = 1;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    draw(f, number);
    return f;
}

// ---- the deinterlacer alone

struct pictures {
    AVFrame *v[2 * FRAMES + 2];
    int count;
};

static void take_all(struct deinterlacer *d, struct pictures *to)
{
    int rc = 1;
    while (rc == 1) {
        AVFrame *f = av_frame_alloc();
        rc = deinterlace_take(d, f);
        assert_true(rc >= 0);
        if (rc == 1)
            to->v[to->count++] = f;
        else
            av_frame_free(&f);
    }
}

// What comes of frames [from, to), the later ones smaller.
static struct pictures make_pictures(const struct job *job, int from, int to)
{
    struct pictures all = { .count = 0 };
    struct deinterlacer d;
    const struct why why = { NULL, 0 };
    deinterlace_init(&d, job, &why);
    for (int i = from; i <= to; i++) {
        const bool small = i >= CHANGE;
        AVFrame *f = i < to ? make_frame(i, small ? 160 : WIDTH, small ? 64 : HEIGHT) : NULL;
        assert_int_equal(deinterlace_give(&d, f), 0);
        take_all(&d, &all);
        av_frame_free(&f);
    }
    deinterlace_finish(&d);
    return all;
}

static void free_pictures(struct pictures *p)
{
    for (int i = 0; i < p->count; i++)
        av_frame_free(&p->v[i]);
}

static bool same_picture(const AVFrame *a, const AVFrame *b)
{
    if (a->width != b->width || a->height != b->height)
        return false;
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < a->height / (p ? 2 : 1); y++)
            if (memcmp(a->data[p] + y * a->linesize[p], b->data[p] + y * b->linesize[p],
                       (size_t)a->width / (p ? 2 : 1)) != 0)
                return false;
    return true;
}

static void check_stretch(const struct pictures *whole, const struct job *job, int from, int to)
{
    const int each = pictures_per_frame(&job->v);
    const int begin = from > 0 ? from - 1 : 0, end = to < FRAMES ? to + 1 : FRAMES;
    struct pictures some = make_pictures(job, begin, end);
    assert_int_equal(some.count, (end - begin) * each);
    for (int i = from * each; i < to * each; i++)
        if (!same_picture(whole->v[i], some.v[i - begin * each]))
            fail_msg("picture %d of [%d, %d) differs", i, from, to);
    free_pictures(&some);
}

static void test_one_neighbour_is_enough(void **state)
{
    (void)state;
    static const enum deinterlace modes[] = { DEINTERLACE_FRAMES, DEINTERLACE_FIELDS };
    for (int i = 0; i < 4; i++) {
        struct media m = { .video = { .timescale = 25,
                                      .fields = i % 2 ? FIELDS_TOP_FIRST : FIELDS_BOTTOM_FIRST } };
        const struct job job = { .media = &m, .v = { .deinterlace = modes[i / 2] } };
        struct pictures whole = make_pictures(&job, 0, FRAMES);
        assert_int_equal(whole.count, FRAMES * pictures_per_frame(&job.v));
        for (int from = 0; from < FRAMES; from++)
            for (int to = from + 1; to <= FRAMES; to += 1 + to % 3)
                check_stretch(&whole, &job, from, to);
        free_pictures(&whole);
    }
}

// A picture for each field is the moment of that field: the bar stands where it was.
static void test_order_of_fields(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct media m = { .video = { .timescale = 25,
                                      .fields = i ? FIELDS_TOP_FIRST : FIELDS_BOTTOM_FIRST } };
        const struct job job = { .media = &m, .v = { .deinterlace = DEINTERLACE_FIELDS } };
        struct pictures p = make_pictures(&job, 0, 8);
        for (int n = 2; n < 12; n++) {
            // The lines of the field that was seen then are untouched.
            const int line = 40 + (i ? n % 2 : 1 - n % 2);
            AVFrame *source = make_frame(n / 2, WIDTH, HEIGHT);
            assert_memory_equal(p.v[n]->data[0] + line * p.v[n]->linesize[0],
                                source->data[0] + line * source->linesize[0], WIDTH);
            av_frame_free(&source);
        }
        free_pictures(&p);
    }
}

// ---- whole segments

static void encode(AVCodecContext *e, const AVFrame *f, AVPacket *p, struct clip *c)
{
    assert_int_equal(avcodec_send_frame(e, f), 0);
    while (avcodec_receive_packet(e, p) == 0) {
        clip_add(c, p, p->pts, 1);
        av_packet_unref(p);
    }
}

// n interlaced frames, MPEG-2 with B-pictures.
static void make_clip(struct clip *c, int n)
{
    AVCodecContext *e = avcodec_alloc_context3(avcodec_find_encoder_by_name("mpeg2video"));
    AVPacket *p = av_packet_alloc();
    e->width = WIDTH;
    e->height = HEIGHT;
    e->pix_fmt = AV_PIX_FMT_YUV420P;
    e->time_base = (AVRational){ 1, 25 };
    e->gop_size = 12;
    e->max_b_frames = 2;
    e->bit_rate = 4000000;
    e->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
    assert_int_equal(avcodec_open2(e, NULL, NULL), 0);
    for (int i = 0; i <= n; i++) {
        AVFrame *f = i < n ? make_frame(i, WIDTH, HEIGHT) : NULL;
        encode(e, f, p, c);
        av_frame_free(&f);
    }
    av_packet_free(&p);
    avcodec_free_context(&e);
}

// The index of it; every frame lasts two ticks but one, which lasts ten.
static struct media *make_index(const struct clip *c)
{
    struct media *m = media_create();
    struct video_track *v = &m->video;
    m->container = CONTAINER_MP4;
    m->size = (int64_t)c->bytes.len;
    v->codec = CODEC_MPEG2;
    v->timescale = 50;
    v->coded_width = WIDTH;
    v->coded_height = HEIGHT;
    v->sar_num = v->sar_den = 1;
    v->bit_depth = 8;
    v->colour = (struct colour){ 2, 2, 2, false };
    v->reorder = 1;
    v->fields = FIELDS_TOP_FIRST;
    v->sample_count = c->count;
    v->samples = xcalloc((size_t)c->count, sizeof *v->samples);
    for (int i = 0; i < c->count; i++) {
        v->samples[i] = c->samples[i];
        v->samples[i].pts *= 2;
        v->samples[i].pts += v->samples[i].pts > 48 ? 8 : 0;
    }
    v->end = 2 * c->count + 8;
    assert_int_equal(media_finish(m), 0);
    return m;
}

static struct coded_list run(struct job *job, const struct clip *c, struct memory *io)
{
    job->limits.pixels = 4096 * 4096;
    struct job_stats stats;
    struct coded_list list;
    char detail[DETAIL_MAX] = "";
    memory_init(io, &c->bytes);
    if (av_run(job, &io->io, &stats, detail, sizeof detail) < 0)
        fail_msg("%s", detail);
    assert_int_equal(stats.concealed, 0);
    read_segment(&io->out, &list);
    return list;
}

// All of the asset in one job, in the very parts of its segments.
static void make_whole(const struct plan *p, const struct rendition *r, const struct media *m,
                       struct job *whole)
{
    struct plan one = *p;
    one.table.count = 1;
    assert_int_equal(plan_segment_job(&one, r, m, 0, 0, whole), 0);
    whole->part_count = 0;
    for (int k = 0; k < p->table.count; k++)
        for (int j = 0; j < segtab_parts(&p->table, k); j++) {
            int64_t first;
            segtab_part(&p->table, k, j, &first, &whole->part_frames[whole->part_count]);
            whole->part_frames[whole->part_count++] *= pictures_per_frame(&r->v);
        }
}

static void compare(const struct plan *p, const struct rendition *r, const struct media *m,
                    const struct clip *c)
{
    struct job job;
    struct memory all, some;
    make_whole(p, r, m, &job);
    struct coded_list whole = run(&job, c, &all);
    job_finish(&job);
    assert_int_equal(whole.count, m->frames * pictures_per_frame(&r->v));
    int at = 0;
    for (int k = 0; k < p->table.count; k++) {
        assert_int_equal(plan_segment_job(p, r, m, k, 0, &job), 0);
        struct coded_list list = run(&job, c, &some);
        for (int i = 0; i < list.count; i++, at++) {
            assert_int_equal(list.v[i].pts, whole.v[at].pts);
            assert_int_equal(list.v[i].size, whole.v[at].size);
            assert_memory_equal(list.v[i].data, whole.v[at].data, list.v[i].size);
        }
        free(list.v);
        buf_finish(&some.out);
        job_finish(&job);
    }
    assert_int_equal(at, whole.count);
    free(whole.v);
    buf_finish(&all.out);
}

// Also where one frame is shown several times, over the border of two segments.
static void test_segments_are_the_whole(void **state)
{
    (void)state;
    struct clip c;
    struct plan p;
    clip_init(&c);
    make_clip(&c, 110);
    struct media *m = make_index(&c);
    struct conf conf = settings();
    conf.media_segment = 1000;
    conf.media_every_field = 80;
    conf.rungs[0] = (struct conf_rung){ 96, 1000000, 23, CONF_H264, false, CONF_SOFTWARE };
    conf.rungs[1] = (struct conf_rung){ 64, 500000, 23, CONF_H264, false, CONF_SOFTWARE };
    conf.rung_count = 2;
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
    assert_true(p.count >= 2 && p.renditions[1].kind == RENDITION_VIDEO);
    assert_int_equal(grid_shown(m, 25), grid_shown(m, 26)); // about the cut at 26
    assert_int_equal(p.renditions[0].v.deinterlace, DEINTERLACE_FIELDS);
    assert_int_equal(p.renditions[1].v.deinterlace, DEINTERLACE_FRAMES);
    for (int i = 0; i < 2; i++)
        compare(&p, &p.renditions[i], m, &c);
    media_destroy(m);
    clip_finish(&c);
}

int main(void)
{
    char detail[DETAIL_MAX];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_neighbour_is_enough),
        cmocka_unit_test(test_order_of_fields),
        cmocka_unit_test(test_segments_are_the_whole),
    };
    if (av_setup(detail, sizeof detail) < 0) {
        print_error("%s\n", detail);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
