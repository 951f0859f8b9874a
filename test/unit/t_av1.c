// SPDX-License-Identifier: BSD-2-Clause
//
// av1C and samples of what SVT-AV1 writes; anything else is refused or survived.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/av1.h"

// 426x240, Main, level 2.0, by SVT-AV1 1.4.
#define SEQUENCE "\x0a\x0b\x00\x00\x00\x04\x3e\xa7\xbc\x02\xf8\x00\x40"
#define DELIMITER "\x12\x00"
#define FRAME "\x32\x03\x01\x02\x03"
#define LONG_FRAME "\x32\x83\x00\x01\x02\x03" // its size in two bytes

typedef int reads(struct buf *out, const uint8_t *p, size_t n);

struct row {
    const char *in;
    size_t n;
    const char *out;
    size_t out_n;
};

#define ROW(in, out)                                                                               \
    {                                                                                              \
        in, sizeof(in) - 1, out, sizeof(out) - 1                                                   \
    }
#define BAD(in)                                                                                    \
    {                                                                                              \
        in, sizeof(in) - 1, NULL, 0                                                                \
    }

static void check(reads *f, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf b;
        buf_init(&b, 4096);
        const int rc = f(&b, (const uint8_t *)rows[i].in, rows[i].n);
        assert_int_equal(rc, rows[i].out ? 0 : -E_CORRUPT);
        if (rows[i].out) {
            assert_int_equal(b.len, rows[i].out_n);
            assert_memory_equal(b.data, rows[i].out, b.len);
        }
        buf_finish(&b);
    }
}

static void configurations(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW(SEQUENCE, "\x81\x00\x0c\x00" SEQUENCE),
        ROW(DELIMITER SEQUENCE FRAME, "\x81\x00\x0c\x00" SEQUENCE),
        // Level 4.0: a tier is told.
        ROW("\x0a\x06\x00\x00\x00\x40\x00\x00", "\x81\x08\x0c\x00\x0a\x06\x00\x00\x00\x40\x00\x00"),
        BAD(""), BAD(FRAME),
        BAD("\x0a\x02\x00\x00"),                 // cut
        BAD("\x0a\x06\x04\x00\x00\x00\x00\x00"), // with timing
        BAD("\x08\x00\x00\x00\x04\x3e\xa7\xbc"), // without a size
    };
    check(av1_config, rows, countof(rows));
}

static void samples(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW(DELIMITER FRAME, FRAME),
        ROW(DELIMITER SEQUENCE FRAME FRAME, SEQUENCE FRAME FRAME),
        ROW(LONG_FRAME, LONG_FRAME),
        ROW(FRAME "\x7a\x02\x00\x00", FRAME), // padding
        ROW("", ""),
        BAD("\x32\x04\x01\x02\x03"),
        BAD("\x32"),
        BAD("\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        BAD("\xb2\x03\x01\x02\x03"), // the forbidden bit
    };
    check(av1_copy_sample, rows, countof(rows));
}

// From memory of exactly that size, which the sanitizers watch.
static void any_bit_and_length(void **state)
{
    (void)state;
    static const char whole[] = DELIMITER SEQUENCE LONG_FRAME;
    static reads *const all[] = { av1_config, av1_copy_sample };
    const size_t n = sizeof whole - 1;
    for (size_t i = 0; i < countof(all) * n * 9; i++) {
        const size_t at = i / 9 % n, bit = i % 9, length = bit < 8 ? n : at;
        uint8_t *const p = malloc(length + !length);
        struct buf b;
        memcpy(p, whole, length);
        if (bit < 8)
            p[at] ^= (uint8_t)(1 << bit);
        buf_init(&b, 4096);
        const int rc = all[i / 9 / n](&b, p, length);
        assert_true(rc == 0 || rc == -E_CORRUPT);
        buf_finish(&b);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations),
        cmocka_unit_test(samples),
        cmocka_unit_test(any_bit_and_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
