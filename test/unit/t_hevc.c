// SPDX-License-Identifier: BSD-2-Clause
//
// hvcC of the headers that x265 writes; anything else is refused or survived.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/hevc.h"

#define START "\0\0\0\1"
// 640x360, Main, level 3.1, by x265 3.5.
#define VPS                                                                                        \
    "\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03"                 \
    "\x00\x5d\x95\x98\x09"
#define SPS                                                                                        \
    "\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0"                 \
    "\x05\x02\x01\x69\x65\x95\x9a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00"                 \
    "\x00\x03\x03\x21"
#define PPS "\x44\x01\xc1\x72\xb4\x22\x40"
#define SEI "\x4e\x01\x05\x01\x80"

static const char headers[] = START VPS START SPS START PPS;

static int config(struct buf *out, const void *bytes, size_t n)
{
    buf_init(out, 4096);
    return hevc_config(out, bytes, n);
}

static void what_x265_writes(void **state)
{
    (void)state;
    static const char want[] =
        "\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f"
        "\x03\xa0\x00\x01\x00\x18" VPS "\xa1\x00\x01\x00\x2a" SPS "\xa2\x00\x01\x00\x07" PPS;
    struct buf b;
    assert_int_equal(config(&b, headers, sizeof headers - 1), 0);
    assert_int_equal(b.len, sizeof want - 1);
    assert_memory_equal(b.data, want, b.len);
    buf_finish(&b);
    // Notes are left out.
    static const char noted[] = START SEI START VPS START SPS START PPS START SEI;
    assert_int_equal(config(&b, noted, sizeof noted - 1), 0);
    assert_int_equal(b.len, sizeof want - 1);
    buf_finish(&b);
}

static void what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
#define ROW(s) { s, sizeof(s) - 1 }
        ROW(""),
        ROW(START),
        ROW(VPS SPS PPS),
        ROW(START VPS START SPS),
        ROW(START VPS START PPS),
        ROW(START SPS START PPS),
        ROW(START VPS START "\x42\x01" START PPS),
        ROW(START VPS START SPS START SPS START SPS START SPS START SPS START SPS START SPS START
                SPS START SPS START PPS),
#undef ROW
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf b;
        assert_int_equal(config(&b, rows[i].bytes, rows[i].n), -E_CORRUPT);
        buf_finish(&b);
    }
}

// From memory of exactly that size, which the sanitizers watch.
static void any_bit_and_length(void **state)
{
    (void)state;
    const size_t n = sizeof headers - 1;
    for (size_t at = 0; at < n; at++)
        for (int bit = 0; bit <= 8; bit++) {
            const size_t length = bit < 8 ? n : at;
            uint8_t *const p = malloc(length + !length);
            struct buf b;
            memcpy(p, headers, length);
            if (bit < 8)
                p[at] ^= (uint8_t)(1 << bit);
            const int rc = config(&b, p, length);
            assert_true(rc == 0 || rc == -E_CORRUPT);
            buf_finish(&b);
            free(p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_x265_writes),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(any_bit_and_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
