// SPDX-License-Identifier: BSD-2-Clause
//
// dOps of the headers that libopus writes; anything else is refused.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/opus.h"

// Stereo, 312 samples to be skipped, of 48 kHz, a gain of 1.5 dB.
static const uint8_t head[] = { 'O',  'p', 'u',  's',  'H', 'e', 'a',  'd', 1, 2,
                                0x38, 1,   0x80, 0xbb, 0,   0,   0x80, 1,   0 };

static int config(struct buf *out, const uint8_t *bytes, size_t n)
{
    buf_init(out, 100);
    return opus_config(out, bytes, n);
}

static void what_libopus_writes(void **state)
{
    (void)state;
    static const uint8_t dops[] = { 0, 2, 0, 0, 0, 0, 0xbb, 0x80, 1, 0x80, 0 };
    struct buf b;
    assert_int_equal(config(&b, head, sizeof head), 0);
    assert_int_equal(b.len, sizeof dops);
    assert_memory_equal(b.data, dops, sizeof dops);
    buf_finish(&b);
}

static void anything_else(void **state)
{
    (void)state;
    static const struct {
        int at;
        uint8_t byte;
    } changes[] = { { 0, 'o' }, { 8, 2 }, { 9, 0 }, { 9, 3 }, { 18, 1 } };
    struct buf b;
    uint8_t bytes[sizeof head];
    for (size_t i = 0; i < countof(changes); i++) {
        memcpy(bytes, head, sizeof head);
        bytes[changes[i].at] = changes[i].byte;
        assert_int_equal(config(&b, bytes, sizeof bytes), -E_CORRUPT);
        buf_finish(&b);
    }
    for (size_t n = 0; n < sizeof head; n++) {
        uint8_t *const part = xmalloc(n + 1);
        memcpy(part, head, n);
        assert_int_equal(config(&b, part, n), -E_CORRUPT);
        buf_finish(&b);
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_libopus_writes),
                                        cmocka_unit_test(anything_else) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
