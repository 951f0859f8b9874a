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
#include "codec/av1_copy.h"

// 426x240, Main, level 2.0, by SVT-AV1 1.4.
#define SEQUENCE "\x0a\x0b\x00\x00\x00\x04\x3e\xa7\xbc\x02\xf8\x00\x40"
// 720x1280, Main, 10 bits, PQ, of no level, by a phone.
#define PHONE "\x0a\x0e\x00\x00\x00\xfa\x6a\xcf\x9f\xe2\x10\xae\x84\x88\x04\x9a"
// 1920x1080, Main, level 4.0, 10 bits, BT.2020 and PQ, by the same.
#define DEEP "\x0a\x0e\x00\x00\x00\x42\xab\xbf\xc3\x73\xef\xe5\x42\x44\x02\x41"
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
        ROW(PHONE, "\x81\x1f\x4d\x00" PHONE),
        ROW("\x81\x00\x0c\x00" SEQUENCE, "\x81\x00\x0c\x00" SEQUENCE), // av1C as it is
        // Level 4.0: a tier is told.
        ROW(DEEP, "\x81\x08\x4c\x00" DEEP), BAD(""), BAD(FRAME),
        BAD("\x0a\x02\x00\x00"),                 // cut
        BAD("\x81\x00\x0c\x00"),                 // without OBUs
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

// ---- copies of a source's

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *name;
    } rows[] = {
#define NAME(in, name) { in, sizeof(in) - 1, name }
        NAME(SEQUENCE, "av01.0.00M.08"),
        NAME(PHONE, "av01.0.31M.10.0.111.09.16.09.0"),
#undef NAME
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct av1_header h;
        char name[48];
        assert_int_equal(av1_header_read(&h, (const uint8_t *)rows[i].in, rows[i].n), 0);
        av1_name(&h.sequence, name, sizeof name);
        assert_string_equal(name, rows[i].name);
    }
}

#define KEY "\x32\x02\x10\x11"
#define INTER "\x32\x02\x30\x11"
#define CAPTIONS "\x2a\x03\x04\xb5\x80"
#define LIGHT "\x2a\x06\x01\x03\xe8\x01\x90\x80"

static const struct {
    struct row row;
    enum sight sight;
    enum start start;
} units[] = {
    { ROW(DELIMITER SEQUENCE KEY, SEQUENCE KEY), SIGHT_START, START_CLEAN },
    { ROW(DELIMITER SEQUENCE LIGHT CAPTIONS KEY, SEQUENCE LIGHT KEY), SIGHT_START, START_CLEAN },
    { ROW(DELIMITER INTER, INTER), SIGHT_OTHER, START_NOT },
    { ROW(DELIMITER KEY, KEY), SIGHT_OTHER, START_NOT }, // nothing says how to read it
    { ROW(SEQUENCE "\x1a\x01\x90", SEQUENCE "\x1a\x01\x90"), SIGHT_OTHER, START_NOT }, // an old one
    { BAD(DELIMITER PHONE KEY), SIGHT_OTHER_SETS, START_NOT },
    { BAD(DELIMITER SEQUENCE), SIGHT_UNSEEN, START_NOT },
    { BAD(""), SIGHT_UNSEEN, START_NOT },
    { BAD(SEQUENCE "\x32\x04\x10"), SIGHT_DAMAGED, START_NOT },
    { BAD("\x30\x10\x11"), SIGHT_DAMAGED, START_NOT },
};

static void copies(void **state)
{
    (void)state;
    struct av1_header h;
    assert_int_equal(av1_header_read(&h, (const uint8_t *)SEQUENCE, sizeof SEQUENCE - 1), 0);
    for (size_t i = 0; i < countof(units); i++) {
        const uint8_t *const in = (const uint8_t *)units[i].row.in;
        const size_t n = units[i].row.n, want = units[i].row.out_n;
        struct buf b;
        enum start start = START_NOT;
        buf_init(&b, 4096);
        assert_int_equal(av1_copy_unit(&b, &h, in, n, &start), units[i].row.out ? 0 : -E_CORRUPT);
        assert_int_equal(av1_look(&h, in, n, n), units[i].sight);
        if (units[i].row.out) {
            assert_int_equal(start, units[i].start);
            assert_int_equal(b.len, want);
            assert_memory_equal(b.data, units[i].row.out, want);
        }
        buf_finish(&b);
    }
}

// Seen from its beginning alone, a unit may be what the whole is, or is not seen yet.
static void first_bytes(void **state)
{
    (void)state;
    static const char whole[] = DELIMITER SEQUENCE LIGHT KEY;
    const size_t n = sizeof whole - 1, seen = n - 1;
    struct av1_header h;
    assert_int_equal(av1_header_read(&h, (const uint8_t *)SEQUENCE, sizeof SEQUENCE - 1), 0);
    for (size_t i = 0; i <= n; i++) {
        uint8_t *const copy = malloc(i + !i);
        memcpy(copy, whole, i);
        assert_int_equal(av1_look(&h, copy, i, n), i < seen ? SIGHT_UNSEEN : SIGHT_START);
        free(copy);
    }
}

static int copy_with_own(struct buf *out, const uint8_t *p, size_t n)
{
    struct av1_header h;
    enum start start;
    if (av1_header_read(&h, p, n) < 0)
        return -E_CORRUPT;
    av1_look(&h, p, n / 2, n);
    return av1_copy_unit(out, &h, p, n, &start);
}

// From memory of exactly that size, which the sanitizers watch.
static void any_bit_and_length(void **state)
{
    (void)state;
    static const char whole[] = DELIMITER SEQUENCE LONG_FRAME;
    static reads *const all[] = { av1_config, av1_copy_sample, copy_with_own };
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
        cmocka_unit_test(configurations), cmocka_unit_test(samples),
        cmocka_unit_test(names),          cmocka_unit_test(copies),
        cmocka_unit_test(first_bytes),    cmocka_unit_test(any_bit_and_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
