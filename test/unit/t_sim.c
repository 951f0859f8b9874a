// SPDX-License-Identifier: BSD-2-Clause
//
// The scheduler's decisions with a crowd in simulated time: what is promised of a server that has
// enough workers, and of one that has not.  The same run each time.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/sim/sim.h"

static struct sim_result run_pressed(int workers, double load, int64_t patience_ms, double pressed)
{
    const struct sim_order order = { workers, load, patience_ms, 60, pressed };
    const struct sim_result r = sim_run(&order);
    print_message(
        "%d workers, load %g: %.0f %% played, %.1f %% stalled, first picture %.2f s (%.1f s)\n",
        workers, load, 100 * r.played / r.capacity, 100 * r.stalled / r.played, r.start_median,
        r.start_99);
    return r;
}

static struct sim_result run(int workers, double load, int64_t patience_ms)
{
    return run_pressed(workers, load, patience_ms, 1);
}

static void enough_for_all(void **state)
{
    (void)state;
    for (int workers = 2; workers <= 8; workers *= 4) {
        const struct sim_result r = run(workers, 0.5, 5000);
        assert_int_equal(r.refused, 0);
        assert_int_equal(r.without, 0);
        assert_int_equal(r.stalls, 0);
        assert_true(r.start_99 < 1);
    }
}

// At three times the load as much is played as at its limit, and who is let in sees it without a
// break; nobody who is let in has waited long.
static void too_many_by_far(void **state)
{
    (void)state;
    for (int workers = 2; workers <= 8; workers *= 4) {
        const struct sim_result limit = run(workers, 1, 5000), r = run(workers, 3, 5000);
        assert_true(r.played > 0.9 * limit.played && r.played > 0.75 * r.capacity);
        assert_true(r.stalled < 0.01 * r.played);
        assert_true(r.start_median < 5 && r.start_99 < 10);
        assert_true(r.vain < 0.15 * r.busy);
        assert_true(r.refused > 0);
    }
}

// What turning away is good for.
static void without_it_all_stand_still(void **state)
{
    (void)state;
    const struct sim_result r = run(8, 3, 0);
    assert_int_equal(r.without > 0, 1);
    assert_true(r.stalled > 0.5 * r.played);
}

// With half the cost for who comes under pressure there is room for all at one and a half times the
// load; where there is no need to, nobody gets less.
static void pressure_makes_room(void **state)
{
    (void)state;
    const struct sim_result full = run(8, 1.5, 5000), less = run_pressed(8, 1.5, 5000, 0.5);
    assert_true(full.without > full.visits / 4 && less.without < less.visits / 50);
    assert_true(less.played > 1.5 * full.played && less.stalled < 0.01 * less.played);
    assert_true(less.pressed > less.visits * 9 / 10);
    assert_int_equal(run_pressed(8, 0.5, 5000, 0.5).pressed, 0);
}

static void the_same_each_time(void **state)
{
    (void)state;
    const struct sim_result a = run(2, 1.5, 5000), b = run(2, 1.5, 5000);
    assert_memory_equal(&a, &b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough_for_all),
        cmocka_unit_test(too_many_by_far),
        cmocka_unit_test(without_it_all_stand_still),
        cmocka_unit_test(pressure_makes_room),
        cmocka_unit_test(the_same_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
