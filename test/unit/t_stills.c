// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/stills.h"
#include "config/conf.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

// A head with so many frames of a picture of that size.
static struct media *head(struct rational fps, int64_t frames, int w, int h)
{
    struct media *m = make_media(1, 0);
    m->fps = fps;
    m->frames = frames;
    m->video.coded_width = w;
    m->video.coded_height = h;
    m->video.bytes = 1000000;
    return m;
}

static void trick(void **state)
{
    (void)state;
    static const struct {
        struct rational fps;
        int64_t frames, every;
        int count;
        int64_t last; // frames that the last picture lasts
    } cases[] = {
        { { 25, 1 }, 1000, 25, 40, 25 },
        { { 25, 1 }, 1012, 25, 40, 37 }, // a rest under half a second has no picture of its own
        { { 25, 1 }, 1013, 25, 41, 13 },
        { { 30000, 1001 }, 869, 30, 29, 29 },
        { { 24000, 1001 }, 24000, 24, 1000, 24 },
        { { 25, 2 }, 377, 13, 29, 13 },
        { { 60, 1 }, 60, 60, 1, 60 },
        { { 25, 1 }, 1, 25, 1, 1 },
        { { 1, 1 }, 10, 1, 10, 1 },
        { { 5, 2 }, 100, 3, 33, 4 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct conf conf = settings();
        conf.media_segment = 1000; // the shortest: what every playlist's target must hold
        struct media *m = head(cases[i].fps, cases[i].frames, 1920, 1080);
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const struct rendition *const r = plan_find(&p, "trick");
        const int count = plan_segments(&p, r);
        assert_int_equal(r->every, cases[i].every);
        assert_int_equal(count, cases[i].count);
        for (int k = 0; k <= count; k++) {
            const int64_t frame = stills_frame(&p.table, r->every, k);
            assert_int_equal(frame, k < count ? k * r->every : cases[i].frames);
            assert_int_equal(plan_segment_start(&p, r, k), frame * cases[i].fps.den);
            assert_true(k == count || plan_segment_samples(&p, r, k) == 1);
        }
        const int64_t last = cases[i].frames - stills_frame(&p.table, r->every, count - 1);
        assert_int_equal(last, cases[i].last);
        assert_true(muldiv_round(last, cases[i].fps.den, cases[i].fps.num) <= p.target_duration);
        media_destroy(m);
    }
}

static void shapes(void **state)
{
    (void)state;
    static const struct {
        int w, h, rotate, out_w, out_h;
    } cases[] = {
        { 1920, 1080, 0, 640, 360 }, { 1920, 1080, 90, 360, 640 }, { 1440, 1080, 0, 480, 360 },
        { 1920, 800, 0, 640, 266 },  { 320, 180, 0, 320, 180 },    { 161, 121, 0, 160, 120 },
        { 1, 1, 0, 2, 2 },           { 8192, 2, 0, 640, 2 },       { 4, 8192, 0, 2, 640 },
        { 1000, 1000, 0, 360, 360 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = head((struct rational){ 25, 1 }, 100, cases[i].w, cases[i].h);
        m->video.rotate = cases[i].rotate;
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const struct rendition *const r = plan_find(&p, "trick");
        assert_int_equal(r->v.width, cases[i].out_w);
        assert_int_equal(r->v.height, cases[i].out_h);
        assert_true(video_settings_ok(&r->v));
        media_destroy(m);
    }
}

static void sound_has_none(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = make_media(0, 100);
    assert_int_equal(media_finish(m), 0);
    struct plan p;
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
    assert_null(plan_find(&p, "trick"));
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trick),
        cmocka_unit_test(shapes),
        cmocka_unit_test(sound_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
