// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/bytes.h"
#include "codec/fmp4.h"
#include "codec/hls.h"
#include "codec/plan.h"
#include "codec/sound.h"
#include "server/verify.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

static struct media *media;
static struct plan plan;

static int setup(void **state)
{
    (void)state;
    const struct conf conf = settings();
    media = make_media(20, 400);
    if (media_finish(media) < 0)
        return -1;
    const int64_t bytes = media->video.bytes;
    media->video.bytes = 9000000 / 8 * media->frames / 25; // no rung is left out
    const int err = plan_make(&plan, &conf, media, "a", "v", "s");
    media->video.bytes = bytes;
    return err;
}

static int teardown(void **state)
{
    (void)state;
    media_destroy(media);
    return 0;
}

// A segment of n samples, one byte each, behind one another.
static struct buf segment(const struct rendition *r, int64_t start, int n, bool sync)
{
    const uint32_t step =
        (uint32_t)(r->kind == RENDITION_VIDEO ? plan.table.fps.den : sound_frame(&r->a));
    const struct fmp4_track track = { .video = (r->kind == RENDITION_VIDEO), .timescale = 1000 };
    struct fmp4_sample *samples = xcalloc((size_t)n, sizeof *samples);
    uint8_t *const data = xcalloc((size_t)n, 1);
    for (int i = 0; i < n; i++)
        samples[i] = (struct fmp4_sample){ .size = 1, .duration = step, .sync = sync };
    struct buf b;
    buf_init(&b, MIB);
    fmp4_styp(&b);
    assert_int_equal(fmp4_fragment(&b, &track, 1, (uint64_t)start, samples, n, data, (size_t)n), 0);
    free(samples);
    free(data);
    return b;
}

static void subtitles_are_webvtt(void **state)
{
    (void)state;
    static const char good[] = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n";
    const struct rendition r = { .name = "subs-en", .kind = RENDITION_TEXT };
    const uint8_t *const bytes = (const uint8_t *)good;
    assert_true(verify_segment(&plan, &r, 0, bytes, sizeof good - 1));
    assert_false(verify_segment(&plan, &r, 0, bytes, sizeof good)); // a zero
    assert_false(verify_segment(&plan, &r, 0, bytes, sizeof good - 3));
    assert_false(verify_segment(&plan, &r, 0, bytes + 1, sizeof good - 2));
}

static const struct {
    const char *rendition;
    int k;
    int late, more; // samples
    bool sync, right;
} segments[] = {
    { "360p", 0, 0, 0, true, true },      { "360p", 1, 0, 0, true, true },
    { "360p", 1, 1, 0, true, false },     { "360p", 1, -1, 0, true, false },
    { "360p", 1, 0, 1, true, false },     { "360p", 1, 0, -1, true, false },
    { "360p", 1, 0, 0, false, false },    { "audio-0", 0, 0, 0, true, true },
    { "audio-0", 1, 0, 0, true, true },   { "audio-0", 1, 1, 0, true, false },
    { "audio-0", 1, 0, -1, true, false }, { "audio-0", 0, 0, 1, true, false },
};

static void segments_are_what_was_ordered(void **state)
{
    (void)state;
    const struct segtab *const t = &plan.table;
    for (size_t i = 0; i < countof(segments); i++) {
        const struct rendition *const r = plan_find(&plan, segments[i].rendition);
        const struct rational rate = sound_frame_rate(&r->a);
        const int k = segments[i].k;
        const int64_t first =
            (r->kind == RENDITION_VIDEO) ? segtab_frame(t, k) : segtab_audio_frame(t, k, rate);
        const int64_t next = (r->kind == RENDITION_VIDEO) ? segtab_frame(t, k + 1)
                                                          : segtab_audio_frame(t, k + 1, rate);
        const int64_t step = (r->kind == RENDITION_VIDEO) ? t->fps.den : sound_frame(&r->a);
        struct buf b = segment(r, (first + segments[i].late) * step,
                               (int)(next - first) + segments[i].more, segments[i].sync);
        if (verify_segment(&plan, r, k, b.data, b.len) != segments[i].right)
            fail_msg("case %zu", i);
        assert_false(verify_segment(&plan, r, k, b.data, b.len - 1));
        assert_false(verify_segment(&plan, r, k, b.data, 0));
        buf_finish(&b);
    }
}

// Headers of a JPEG of that size, and no more of it than is looked at.
static struct buf jpeg(int width, int height)
{
    struct buf b;
    buf_init(&b, MIB);
    buf_append(&b, "\xff\xd8\xff\xc0\x00\x08\x08", 7);
    put_be16(&b, (uint16_t)height);
    put_be16(&b, (uint16_t)width);
    buf_append(&b, "\x03\xff\xda\x00\x03\x00scan\xff\xd9", 12);
    return b;
}

static void sheets_are_what_was_ordered(void **state)
{
    (void)state;
    static const struct {
        const char *rendition;
        int width, height;
        bool right;
    } cases[] = {
        { "storyboard", 1024, 432, true },  { "storyboard", 1024, 576, false },
        { "storyboard", 432, 1024, false }, { "poster", 1280, 720, true },
        { "poster", 1280, 718, false },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct rendition *const r = plan_find(&plan, cases[i].rendition);
        struct buf b = jpeg(cases[i].width, cases[i].height);
        assert_int_equal(verify_segment(&plan, r, 0, b.data, b.len), cases[i].right);
        assert_false(verify_segment(&plan, r, 0, b.data, b.len - 1));
        assert_false(verify_segment(&plan, plan_find(&plan, "360p"), 0, b.data, b.len));
        buf_finish(&b);
    }
    struct buf b = segment(plan_find(&plan, "360p"), 0, 100, true);
    assert_false(verify_segment(&plan, plan_find(&plan, "storyboard"), 0, b.data, b.len));
    buf_finish(&b);
}

// Of sound, whose segments differ in length, each has its own bound.
static void bandwidth_counts_by_the_playlist(void **state)
{
    (void)state;
    static const char *const names[] = { "360p", "audio-0" };
    for (size_t i = 0; i < countof(names); i++) {
        const struct rendition *const r = plan_find(&plan, names[i]);
        for (int k = 0; k < plan.table.count; k++) {
            const int64_t us = hls_segment_us(&plan, r, k), bits = r->bandwidth * us / 1000000;
            assert_true(verify_bandwidth(r->bandwidth, us, (size_t)(bits / 8)));
            assert_false(verify_bandwidth(r->bandwidth, us, (size_t)(bits / 8) + 1));
        }
    }
}

static void an_index_is_of_its_source(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(media_pack(media, &b), 0);
    assert_true(verify_index(b.data, b.len, media->size));
    assert_false(verify_index(b.data, b.len, media->size + 1));
    assert_false(verify_index(b.data, b.len - 1, media->size));
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_what_was_ordered),
        cmocka_unit_test(subtitles_are_webvtt),
        cmocka_unit_test(sheets_are_what_was_ordered),
        cmocka_unit_test(bandwidth_counts_by_the_playlist),
        cmocka_unit_test(an_index_is_of_its_source),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
