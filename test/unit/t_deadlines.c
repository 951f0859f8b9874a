// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>

#include "base/base.h"
#include "server/deadlines.h"

#define LONG_MS 3600000

struct numbered {
    struct deadline deadline;
    int number;
};

static int order[10], count;
static sem_t passed;

static void note(struct deadline *d)
{
    order[count++] = container_of(d, struct numbered, deadline)->number;
    sem_post(&passed);
}

static struct deadlines *add(int64_t after_ms, struct numbered *n, int how_many)
{
    struct deadlines *const p = deadlines_create(after_ms);
    count = 0;
    sem_init(&passed, 0, 0);
    for (int i = 0; i < how_many; i++) {
        n[i] = (struct numbered){ .deadline.passed = note, .number = i };
        deadlines_add(p, &n[i].deadline);
    }
    return p;
}

static void pass_in_order(void **state)
{
    (void)state;
    struct numbered n[4];
    struct deadlines *const p = add(LONG_MS, n, 4);
    assert_true(deadlines_remove(p, &n[1].deadline));
    assert_false(deadlines_remove(p, &n[1].deadline));
    assert_int_equal(deadlines_pass(p, n[0].deadline.at_ms - 1), n[0].deadline.at_ms);
    assert_int_equal(count, 0);
    assert_true(deadlines_remove(p, &n[3].deadline));
    assert_int_equal(deadlines_pass(p, n[2].deadline.at_ms), INT64_MAX);
    assert_int_equal(count, 2);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 2);
    assert_false(deadlines_remove(p, &n[0].deadline));
    deadlines_destroy(p);
    deadlines_destroy(NULL);
}

static void pass_by_themselves(void **state)
{
    (void)state;
    struct numbered n[2];
    struct deadlines *const p = add(1, n, 2);
    for (int round = 0; round < 3; round++) { // the thread sleeps, and wakes
        sem_wait(&passed);
        sem_wait(&passed);
        deadlines_add(p, &n[0].deadline);
        deadlines_add(p, &n[1].deadline);
    }
    sem_wait(&passed);
    sem_wait(&passed);
    assert_int_equal(order[7], 1);
    deadlines_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pass_in_order),
        cmocka_unit_test(pass_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
