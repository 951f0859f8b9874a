// SPDX-License-Identifier: BSD-2-Clause

#include "cache/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

enum { N = 4 };

// A story is a row of letters: a..d adds, A..D touches, 0..3 removes.
static void play(struct policy *p, struct policy_entry *e, const char *story)
{
    for (; *story; story++) {
        if (*story >= 'a')
            p->add(p, &e[*story - 'a']);
        else if (*story >= 'A')
            p->touch(p, &e[*story - 'A']);
        else
            p->remove(p, &e[*story - '0']);
    }
}

static void the_coldest_goes_first(void **state)
{
    (void)state;
    static const struct {
        const char *story, *order;
    } t[] = {
        { "", "" },          { "a", "a" },         { "abcd", "abcd" },
        { "abcdA", "bcda" }, { "abcdAB", "cdab" }, { "abcdD", "abcd" },
        { "abcd1", "acd" },  { "abcd0a", "bcda" }, { "abcdCAC", "bdac" },
        { "abcd0123", "" },  { "aAAA", "a" },
    };
    for (size_t i = 0; i < countof(t); i++) {
        struct policy_entry e[N] = { 0 };
        struct policy *p = policy_lru_create();
        play(p, e, t[i].story);
        for (const char *want = t[i].order; *want; want++) {
            assert_ptr_equal(p->victim(p), &e[*want - 'a']);
            assert_ptr_equal(p->victim(p), &e[*want - 'a']);
            p->remove(p, &e[*want - 'a']);
        }
        assert_null(p->victim(p));
        p->destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_coldest_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
