// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/cmcd.h"

// As players send them, and as nobody should.
static void headers(void **state)
{
    static const struct {
        const char *value;
        int64_t buffer, deadline;
        bool startup, starved;
        const char *next;
    } cases[] = {
        { "", -1, -1, false, false, "" },
        { "bl=21300,dl=18500,mtp=48100,nor=\"1.m4s\",su", 21300, 18500, true, false, "1.m4s" },
        { "su, bl=0 ,dl=7", 0, 7, true, false, "" },
        { "bs,rtp=15000", -1, -1, false, true, "" },
        { "bs=?0,su=?1", -1, -1, true, false, "" },
        { "sid=\"a,bl=5\",dl=3", -1, 3, false, false, "" },
        { "sid=\"a\\\",bl=5\",dl=3", -1, 3, false, false, "" },
        { "bl=(2000;v 400;a),nor=(\"2.m4s\" \"b,dl=9\"),dl=(1)", 2000, 1, false, false, "2.m4s" },
        { "nor=\"a\\\"b\"", -1, -1, false, false, "a\"b" },
        { "nor=\"1.m4s", -1, -1, false, false, "" },
        { "nor=1.m4s", -1, -1, false, false, "" },
        { "bl=-3,dl=x", -1, -1, false, false, "" },
        { "bl=99999999999999999999999", CMCD_TIME_MAX, -1, false, false, "" },
        { "bl,dl=", -1, -1, false, false, "" },
        { ",,,=,bl=1", 1, -1, false, false, "" },
        { "x=((,bl=1),dl=2", -1, -1, false, false, "" },
        { "sid=\"\\", -1, -1, false, false, "" },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct cmcd c = cmcd_nothing();
        cmcd_header(&c, cases[i].value);
        print_message("%s\n", cases[i].value);
        assert_int_equal(c.buffer, cases[i].buffer);
        assert_int_equal(c.deadline, cases[i].deadline);
        assert_int_equal(c.startup, cases[i].startup);
        assert_int_equal(c.starved, cases[i].starved);
        assert_string_equal(c.next, cases[i].next);
    }
}

static void two_headers_add_up(void **state)
{
    struct cmcd c = cmcd_nothing();
    (void)state;
    cmcd_header(&c, "bl=1000,su");
    cmcd_header(&c, NULL);
    cmcd_header(&c, "bs");
    assert_int_equal(c.buffer, 1000);
    assert_true(c.startup && c.starved);
}

static void sessions_differ(void **state)
{
    struct cmcd a = cmcd_nothing(), b = cmcd_nothing(), none = cmcd_nothing();
    (void)state;
    cmcd_header(&a, "bl=1,sid=\"a,b\",su");
    cmcd_query(&b, "CMCD=sid%3D%22a,c%22");
    cmcd_header(&none, "side=\"a\"");
    assert_true(a.session && b.session && a.session != b.session);
    assert_int_equal(none.session, 0);
    cmcd_header(&b, "sid=\"a,b\"");
    assert_int_equal(a.session, b.session);
}

static void too_long_a_next_object_is_none(void **state)
{
    char value[CMCD_NEXT_MAX + 20] = "nor=\"";
    struct cmcd c = cmcd_nothing();
    (void)state;
    memset(value + 5, 'a', CMCD_NEXT_MAX);
    strcpy(value + 5 + CMCD_NEXT_MAX, "\"");
    cmcd_header(&c, value);
    assert_string_equal(c.next, "");
    strcpy(value + 5 + CMCD_NEXT_MAX - 1, "\"");
    cmcd_header(&c, value);
    assert_int_equal(strlen(c.next), CMCD_NEXT_MAX - 1);
}

static void queries(void **state)
{
    static const struct {
        const char *query;
        int64_t buffer;
        const char *next;
    } cases[] = {
        { "", -1, "" },
        { "CMCD=bl%3D2000", 2000, "" },
        { "token=x&CMCD=bl%3d2000%2Cnor%3D%22..%252Fa%22&t=1", 2000, "..%2Fa" },
        { "cmcd=bl%3D2000", -1, "" },
        { "XCMCD=bl%3D2000", -1, "" },
        { "CMCD=bl%3", -1, "" },
        { "CMCD=bl%00", -1, "" },
        { "CMCD", -1, "" },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct cmcd c = cmcd_nothing();
        cmcd_query(&c, cases[i].query);
        assert_int_equal(c.buffer, cases[i].buffer);
        assert_string_equal(c.next, cases[i].next);
    }
}

static void when_it_is_due(void **state)
{
    static const struct {
        const char *value;
        int64_t after_us;
    } cases[] = {
        { "", CMCD_PATIENCE_US },
        { "bl=3000", 3000000 },
        { "bl=3000,dl=2000", 2000000 },
        { "dl=0", 0 },
        { "bl=3000,su", 0 },
        { "bs,dl=2000", 0 },
        { "mtp=5", CMCD_PATIENCE_US },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct cmcd c = cmcd_nothing();
        cmcd_header(&c, cases[i].value);
        assert_int_equal(cmcd_due_us(&c, 77), 77 + cases[i].after_us);
    }
}

static void next_objects(void **state)
{
    static const struct {
        const char *next, *path, *is; // NULL: none
    } cases[] = {
        { "8.m4s", "/a/b/7.m4s", "/a/b/8.m4s" },
        { "../c/8.m4s", "/a/b/7.m4s", "/a/c/8.m4s" },
        { "../../8.m4s", "/a/b/7.m4s", "/8.m4s" },
        { "../../../8.m4s", "/a/b/7.m4s", NULL },
        { "", "/a/b/7.m4s", NULL },
        { "/8.m4s", "/a/b/7.m4s", NULL },
        { "http://x/8.m4s", "/a/b/7.m4s", NULL },
        { "8.m4s?x", "/a/b/7.m4s", NULL },
        { "123456789012345678901234567890.m4s", "/a/b/7.m4s", NULL },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        char out[32];
        struct cmcd c = cmcd_nothing();
        strcpy(c.next, cases[i].next);
        const bool some = cmcd_next(&c, cases[i].path, out, sizeof out);
        assert_int_equal(some, cases[i].is != NULL);
        if (some)
            assert_string_equal(out, cases[i].is);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(two_headers_add_up),
        cmocka_unit_test(sessions_differ),
        cmocka_unit_test(queries),
        cmocka_unit_test(too_long_a_next_object_is_none),
        cmocka_unit_test(when_it_is_due),
        cmocka_unit_test(next_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
