// SPDX-License-Identifier: BSD-2-Clause
//
// What copier_run does is seen from outside, in test/e2e/test_source.py.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/copier.h"

static void readers_wait_for_what_comes_soon(void **state)
{
    (void)state;
    static const struct {
        int64_t asked, asked_us, left;
        bool quick;
    } cases[] = {
        { 0, 0, 1, false }, // nobody knows
        { MIB, 4000, 5 * MIB, true },
        { MIB, 4000, 5 * MIB + 1, false },
        { MIB, 50000, 256 * KIB, true },
        { MIB, 0, 64 * MIB, true },
        { 1, INT32_MAX, 64 * MIB, false },
    };
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(copier_is_quick(cases[i].asked, cases[i].asked_us, cases[i].left),
                         cases[i].quick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_wait_for_what_comes_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
