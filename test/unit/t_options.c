// SPDX-License-Identifier: BSD-2-Clause

#include "server/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"

#define ARGS 8

static const struct good {
    const char *args[ARGS];
    struct options want;
} good[] = {
    { { 0 }, { ACTION_SERVE, { 0 }, NULL } },
    { { "/srv" }, { ACTION_SERVE, { .origin = "/srv" }, NULL } },
    { { "-c", "a.json", "-l", ":1", "-d", "/c", "http://h/" },
      { ACTION_SERVE, { "a.json", ":1", "/c", "http://h/" }, NULL } },
    { { "/srv", "-ca.json" }, { ACTION_SERVE, { .file = "a.json", .origin = "/srv" }, NULL } },
    { { "--config=a", "--listen", "b", "--cache-dir=c" },
      { ACTION_SERVE, { "a", "b", "c", NULL }, NULL } },
    { { "-t", "x" }, { ACTION_CHECK, { .origin = "x" }, NULL } },
    { { "-Tc", "f" }, { ACTION_PRINT, { .file = "f" }, NULL } },
    { { "--check" }, { ACTION_CHECK, { 0 }, NULL } },
    { { "--print" }, { ACTION_PRINT, { 0 }, NULL } },
    { { "-V" }, { ACTION_VERSION, { 0 }, NULL } },
    { { "-h", "a", "b" }, { ACTION_HELP, { 0 }, NULL } },
    { { "--help-config" }, { ACTION_HELP_CONFIG, { 0 }, NULL } },
    { { "probe", "f.mp4" }, { ACTION_PROBE, { .origin = "/" }, "f.mp4" } },
    { { "--", "-odd" }, { ACTION_SERVE, { .origin = "-odd" }, NULL } },
    { { "./probe" }, { ACTION_SERVE, { .origin = "./probe" }, NULL } },
};

static const struct bad {
    const char *args[ARGS];
    const char *why;
} bad[] = {
    { { "-x" }, "wrong option -x (see tidemill -h)" },
    { { "--check", "-xt" }, "wrong option -x (see tidemill -h)" },
    { { "-tx", "a" }, "wrong option -x (see tidemill -h)" },
    { { "--wrong" }, "wrong option --wrong (see tidemill -h)" },
    { { "--check=1" }, "wrong option --check=1 (see tidemill -h)" },
    { { "--help-config=1" }, "wrong option --help-config=1 (see tidemill -h)" },
    { { "-c" }, "a value is missing after -c (see tidemill -h)" },
    { { "/srv", "--listen" }, "a value is missing after --listen (see tidemill -h)" },
    { { "a", "b" }, "only one ORIGIN can be given here, so what is b (see tidemill -h)" },
    { { "probe" }, "probe wants one FILE (see tidemill -h)" },
    { { "probe", "a", "b" }, "probe wants one FILE (see tidemill -h)" },
};

static int parse(const char *const *args, struct options *o, char *why, size_t cap)
{
    char *argv[ARGS + 2] = { (char *)"tidemill" };
    int argc = 1;
    for (int i = 0; i < ARGS && args[i]; i++)
        argv[argc++] = (char *)args[i];
    return options_parse(o, argc, argv, why, cap);
}

static void same(const char *a, const char *b)
{
    if (!a || !b)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(good); i++) {
        struct options o;
        char why[200] = "";
        assert_int_equal(parse(good[i].args, &o, why, sizeof why), 0);
        assert_int_equal(o.action, good[i].want.action);
        same(o.flags.file, good[i].want.flags.file);
        same(o.flags.listen, good[i].want.flags.listen);
        same(o.flags.cache_dir, good[i].want.flags.cache_dir);
        same(o.flags.origin, good[i].want.flags.origin);
        same(o.probe_file, good[i].want.probe_file);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(bad); i++) {
        struct options o;
        char why[200] = "";
        assert_int_equal(parse(bad[i].args, &o, why, sizeof why), -E_BAD_REQUEST);
        assert_string_equal(why, bad[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
