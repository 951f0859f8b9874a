// SPDX-License-Identifier: BSD-2-Clause

#include "config/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static const char text[] = "{\n"
                           "  \"listen\": \"a \\\" { b\", \"ünï\": 1, \"ui\":true,\n"
                           "  \"origins\": [{\"prefix\": \"/\"},\n"
                           "    {\"prefix\" : \"/cdn/\", \"list\": [1, [2, 3], \"x\", {}]}],\n"
                           "\t\"cache\": { \"memory\": \"1GiB\", \"none\": {}, \"disk\": null },\n"
                           "  \"last\": []\n"
                           "}\n";

static const struct {
    const char *path;
    int line, column; // 0: not there
} places[] = {
    { "listen", 2, 3 },
    { "ünï", 2, 25 },
    { "ui", 2, 35 },
    { "origins", 3, 3 },
    { "origins[0]", 3, 15 },
    { "origins[0].prefix", 3, 16 },
    { "origins[1].prefix", 4, 6 },
    { "origins[1].list[0]", 4, 35 },
    { "origins[1].list[1][1]", 4, 42 },
    { "origins[1].list[2]", 4, 46 },
    { "origins[1].list[3]", 4, 51 },
    { "cache", 5, 2 },
    { "cache.memory", 5, 13 },
    { "cache.none", 5, 31 },
    { "cache.disk", 5, 43 },
    { "last", 6, 3 },
    { "memory", 0, 0 },
    { "last[0]", 0, 0 },
    { "", 0, 0 },
};

static void test_find(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(places); i++) {
        struct place at;
        const bool there = place_find(&at, text, strlen(text), places[i].path);
        assert_int_equal(there, places[i].line != 0);
        assert_int_equal(at.line, there ? places[i].line : 1);
        assert_int_equal(at.column, there ? places[i].column : 1);
    }
}

static void test_before(void **state)
{
    (void)state;
    struct place at;
    assert_false(place_before(&at, text, strlen(text), 0));
    const char *const memory = strstr(text, "\"memory\"");
    assert_true(place_before(&at, text, strlen(text), (size_t)(memory - text) + 8));
    assert_string_equal(at.path, "cache.memory");
    assert_true(place_before(&at, text, strlen(text), 100000));
    assert_string_equal(at.path, "last");
}

// Whatever the text, nothing is read outside it (the sanitizers watch) and the
// search ends.
static void test_any_text(void **state)
{
    (void)state;
    struct place at;
    for (size_t n = 0; n <= strlen(text); n++) {
        char *const part = xmalloc(n);
        memcpy(part, text, n);
        place_find(&at, part, n, "no such");
        for (size_t i = 0; i < n; i++) {
            const char was = part[i];
            part[i] = "{}[]\":,\\\n\xc3"[(i + n) % 10];
            place_find(&at, part, n, "no such");
            part[i] = was;
        }
        free(part);
    }
    char deep[1000];
    memset(deep, '[', sizeof deep);
    assert_false(place_find(&at, deep, sizeof deep, "no such"));
    memset(deep, 'k', sizeof deep);
    memcpy(deep, "{\"", 2);
    memcpy(deep + 900, "\":{\"a\":1}}", 10);
    assert_false(place_find(&at, deep, 910, "no such"));
    assert_int_equal(strlen(at.path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_before),
        cmocka_unit_test(test_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
