// SPDX-License-Identifier: BSD-2-Clause

#include "config/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static const struct good {
    enum quantity q;
    const char *text;
    int64_t value;
    const char *printed;
} good[] = {
    { QUANTITY_SIZE, "0", 0, "0" },
    { QUANTITY_SIZE, "0GiB", 0, "0" },
    { QUANTITY_SIZE, "1B", 1, "1B" },
    { QUANTITY_SIZE, "1024B", 1024, "1KiB" },
    { QUANTITY_SIZE, "1025B", 1025, "1025B" },
    { QUANTITY_SIZE, "64MiB", 64 * MIB, "64MiB" },
    { QUANTITY_SIZE, "1536MiB", 1536 * MIB, "1536MiB" },
    { QUANTITY_SIZE, "10GiB", 10 * GIB, "10GiB" },
    { QUANTITY_SIZE, "3TiB", 3072 * GIB, "3TiB" },
    { QUANTITY_SIZE, "007KiB", 7 * KIB, "7KiB" },
    { QUANTITY_SIZE, "9223372036854775807B", INT64_MAX, "9223372036854775807B" },
    { QUANTITY_SIZE, "9223372036854775808B", INT64_MAX, NULL },
    { QUANTITY_SIZE, "99999999999999999999999999999TiB", INT64_MAX, NULL },
    { QUANTITY_SIZE, "9000000TiB", INT64_MAX, NULL },
    { QUANTITY_TIME, "0", 0, "0" },
    { QUANTITY_TIME, "200ms", 200, "200ms" },
    { QUANTITY_TIME, "1500ms", 1500, "1500ms" },
    { QUANTITY_TIME, "30s", 30000, "30s" },
    { QUANTITY_TIME, "90s", 90000, "90s" },
    { QUANTITY_TIME, "10m", 600000, "10m" },
    { QUANTITY_TIME, "24h", 86400000, "1d" },
    { QUANTITY_TIME, "365d", 31536000000, "365d" },
};

static const struct bad {
    enum quantity q;
    const char *text;
} bad[] = {
    { QUANTITY_SIZE, "" },        { QUANTITY_SIZE, "64" },     { QUANTITY_SIZE, "MiB" },
    { QUANTITY_SIZE, "64MB" },    { QUANTITY_SIZE, "64mib" },  { QUANTITY_SIZE, "64 MiB" },
    { QUANTITY_SIZE, " 64MiB" },  { QUANTITY_SIZE, "64MiB " }, { QUANTITY_SIZE, "-1MiB" },
    { QUANTITY_SIZE, "1.5GiB" },  { QUANTITY_SIZE, "30s" },    { QUANTITY_SIZE, "+1B" },
    { QUANTITY_SIZE, "0x10KiB" }, { QUANTITY_TIME, "30" },     { QUANTITY_TIME, "30sec" },
    { QUANTITY_TIME, "1h30m" },   { QUANTITY_TIME, "1B" },
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(good); i++) {
        int64_t v = -1;
        char text[QUANTITY_TEXT];
        assert_true(quantity_parse(good[i].q, good[i].text, &v));
        assert_true(v == good[i].value);
        if (good[i].printed)
            assert_string_equal(quantity_print(good[i].q, v, text), good[i].printed);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(bad); i++) {
        int64_t v;
        assert_false(quantity_parse(bad[i].q, bad[i].text, &v));
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
