// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/pressure.h"

#define LIMIT 1000
#define EASE 100

// What was seen, one after another, and what is made of it.
struct story {
    const char *name;
    struct {
        int64_t now, wait;
        bool on;
    } looks[8];
    int count;
};

static const struct story stories[] = {
    { "nobody waits", { { 1, 0, false }, { 2, 999, false }, { 3000, 0, false } }, 3 },
    { "begins at once", { { 1, 1000, true } }, 1 },
    { "begins with who is turned away", { { 1, PRESSURE_REFUSED, true } }, 1 },
    { "a short wait does not end it",
      { { 1, 1000, true }, { 50, 0, true }, { 149, 0, true }, { 150, 0, false } },
      4 },
    { "only what was seen to be short counts", { { 1, 1000, true }, { 9000, 0, true } }, 2 },
    { "half of it is not short",
      { { 1, 1000, true }, { 50, 500, true }, { 400, 500, true }, { 401, 499, true } },
      4 },
    { "it begins to be short anew",
      { { 1, 1000, true },
        { 50, 0, true },
        { 149, 500, true },
        { 150, 0, true },
        { 249, 0, true },
        { 250, 0, false } },
      6 },
    { "once more",
      { { 1, 2000, true },
        { 2, 0, true },
        { 102, 0, false },
        { 103, 999, false },
        { 104, 1000, true } },
      5 },
};

static void stories_of_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(stories); i++) {
        const struct story *const s = &stories[i];
        struct pressure p = { 0 };
        for (int k = 0; k < s->count; k++) {
            const bool before = p.on;
            const bool changed = pressure_look(&p, s->looks[k].wait, LIMIT, EASE, s->looks[k].now);
            if (p.on != s->looks[k].on || changed != (p.on != before))
                fail_msg("%s: look %d", s->name, k);
        }
    }
}

static void ends_of_the_settings(void **state)
{
    struct pressure p = { 0 };
    (void)state;
    assert_false(pressure_look(&p, PRESSURE_REFUSED, 0, EASE, 1)); // nothing is too long
    assert_true(pressure_look(&p, 1, 1, 0, 2));
    assert_false(pressure_look(&p, 1, 1, 0, 3));
    assert_true(pressure_look(&p, 0, 1, 0, 4)); // ends with the first look
    assert_false(p.on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_of_waits),
        cmocka_unit_test(ends_of_the_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
