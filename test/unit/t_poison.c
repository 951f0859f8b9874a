// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/poison.h"

#define FOR_MS 600

static struct key source(int n)
{
    return key_of_text("source %d", n);
}

static bool note(struct poison *p, int n, int64_t now_ms)
{
    const struct key key = source(n);
    return poison_note(p, &key, now_ms, FOR_MS);
}

static bool has(const struct poison *p, int n, int64_t now_ms)
{
    const struct key key = source(n);
    return poison_has(p, &key, now_ms);
}

static void two_crashes_are_refused_for_a_while(void **state)
{
    (void)state;
    static struct poison p;
    assert_false(note(&p, 1, 1000));
    assert_false(has(&p, 1, 1000));
    assert_true(note(&p, 1, 1500));  // in time
    assert_false(note(&p, 1, 1600)); // told once
    assert_false(has(&p, 2, 1600));
    assert_true(has(&p, 1, 1600 + FOR_MS - 1));
    assert_false(has(&p, 1, 1600 + FOR_MS));
    assert_false(note(&p, 1, 1600 + FOR_MS)); // all is forgotten
    assert_false(has(&p, 1, 1600 + FOR_MS));
}

static void a_crash_is_forgotten(void **state)
{
    (void)state;
    static struct poison p;
    note(&p, 1, 1000);
    assert_false(note(&p, 1, 1000 + FOR_MS));
}

static void the_oldest_makes_room(void **state)
{
    (void)state;
    static struct poison p;
    for (int n = 0; n < POISON_SOURCES; n++) {
        note(&p, n, 0);
        note(&p, n, 0);
    }
    assert_true(has(&p, 0, 1));
    note(&p, POISON_SOURCES, 0);
    assert_false(has(&p, 0, 1));
    assert_true(has(&p, 1, 1));
    assert_true(has(&p, POISON_SOURCES - 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_crashes_are_refused_for_a_while),
        cmocka_unit_test(a_crash_is_forgotten),
        cmocka_unit_test(the_oldest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
