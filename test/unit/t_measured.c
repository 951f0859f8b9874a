// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/plan.h"
#include "server/measured.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

struct fixture {
    struct media *media;
    struct plan plan;
    struct measured *measured;
};

static int begin(void **state)
{
    struct fixture *const f = xcalloc(1, sizeof *f);
    const struct conf conf = settings();
    f->media = make_media(20, 400); // 9.6 s
    assert_int_equal(media_finish(f->media), 0);
    assert_int_equal(plan_make(&f->plan, &conf, f->media, "a", "v", "s"), 0);
    f->measured = measured_create();
    *state = f;
    return 0;
}

static int finish(void **state)
{
    struct fixture *const f = *state;
    measured_destroy(f->measured);
    plan_finish(&f->plan);
    media_destroy(f->media);
    free(f);
    return 0;
}

static int64_t told(const struct fixture *f, int i)
{
    struct plan p = f->plan;
    measured_tell(f->measured, &p);
    return p.renditions[i].average;
}

static void nothing_seen(void **state)
{
    struct fixture *const f = *state;
    for (int i = 0; i < f->plan.count; i++)
        assert_int_equal(told(f, i), f->plan.renditions[i].average);
}

// When all segments were seen, it is their average, and of that rendition alone.
static void all_seen(void **state)
{
    struct fixture *const f = *state;
    const struct rendition *const r = &f->plan.renditions[0];
    const int count = plan_segments(&f->plan, r);
    assert_true(count > 1);
    for (int k = 0; k < count; k++)
        measured_add(f->measured, &r->recipe, k, (size_t)(10000 * (k + 1)));
    const int64_t us = plan_segment_us(&f->plan, r, count);
    assert_int_equal(told(f, 0), muldiv_ceil(8 * 10000 * count * (count + 1) / 2, 1000000, us));
    assert_int_equal(told(f, 1), f->plan.renditions[1].average);
}

// What was not seen counts as the plan guesses it, and no segment counts twice.
static void some_seen(void **state)
{
    struct fixture *const f = *state;
    const struct rendition *const r = &f->plan.renditions[0];
    const int64_t all = plan_segment_us(&f->plan, r, plan_segments(&f->plan, r));
    const int64_t first = plan_segment_us(&f->plan, r, 1);
    for (int again = 0; again < 2; again++)
        measured_add(f->measured, &r->recipe, 0, 5000);
    const int64_t rate =
        muldiv_ceil(8 * 5000, 1000000, all) + muldiv_ceil(r->average, all - first, all);
    assert_int_equal(told(f, 0), rate);
    assert_true(rate < r->average);
}

static void never_above_its_bandwidth(void **state)
{
    struct fixture *const f = *state;
    measured_add(f->measured, &f->plan.renditions[0].recipe, 0, 100 * MIB);
    assert_int_equal(told(f, 0), f->plan.renditions[0].bandwidth);
}

// Four recipes have one place; of a fifth, the one that was written longest ago is forgotten, and
// never taken for another.
static void a_place_is_taken(void **state)
{
    struct fixture *const f = *state;
    const struct rendition *const r = &f->plan.renditions[0];
    struct key other = r->recipe;
    measured_add(f->measured, &r->recipe, 0, 5000);
    const int64_t seen = told(f, 0);
    assert_int_not_equal(seen, r->average);
    for (int i = 1; i < 4; i++) {
        other.b[15]++;
        measured_add(f->measured, &other, 0, 7000);
    }
    assert_int_equal(told(f, 0), seen);
    measured_add(f->measured, &r->recipe, 0, 5000);
    other.b[15]++;
    measured_add(f->measured, &other, 0, 7000);
    assert_int_equal(told(f, 0), seen);
    for (int i = 0; i < 3; i++) {
        other.b[15]++;
        measured_add(f->measured, &other, 0, 7000);
    }
    assert_int_equal(told(f, 0), r->average);
}

static void far_segments(void **state)
{
    struct fixture *const f = *state;
    measured_add(f->measured, &f->plan.renditions[0].recipe, MEASURED_SEGMENTS, 5000);
    assert_int_equal(told(f, 0), f->plan.renditions[0].average);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_seen, begin, finish),
        cmocka_unit_test_setup_teardown(all_seen, begin, finish),
        cmocka_unit_test_setup_teardown(some_seen, begin, finish),
        cmocka_unit_test_setup_teardown(never_above_its_bandwidth, begin, finish),
        cmocka_unit_test_setup_teardown(a_place_is_taken, begin, finish),
        cmocka_unit_test_setup_teardown(far_segments, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
