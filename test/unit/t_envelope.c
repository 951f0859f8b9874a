// SPDX-License-Identifier: BSD-2-Clause

#include "cache/envelope.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"

static const struct key key = { "fedcba9876543210" };
static const char body[] = "what was made once";

static bool fits(const uint8_t *head, const struct key *k, const void *bytes, size_t n)
{
    return envelope_length(head, k) >= 0 && envelope_matches(head, bytes, n);
}

static void the_bytes_are_pinned(void **state)
{
    (void)state;
    static const uint8_t want[] = "TMo1\0\0\0\1fedcba9876543210\0\0\0\0\0\0\0\22";
    uint8_t head[ENVELOPE_SIZE];
    envelope_seal(head, &key, body, 18);
    assert_memory_equal(head, want, 32);
    assert_int_equal(envelope_length(head, &key), 18);
    assert_true(envelope_matches(head, body, 18));
}

static void an_empty_body_fits(void **state)
{
    (void)state;
    uint8_t head[ENVELOPE_SIZE];
    envelope_seal(head, &key, NULL, 0);
    assert_true(fits(head, &key, NULL, 0));
}

static void every_bit_counts(void **state)
{
    (void)state;
    uint8_t all[ENVELOPE_SIZE + sizeof body];
    envelope_seal(all, &key, body, sizeof body);
    memcpy(all + ENVELOPE_SIZE, body, sizeof body);
    for (size_t bit = 0; bit < 8 * sizeof all; bit++) {
        all[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(fits(all, &key, all + ENVELOPE_SIZE, sizeof body));
        all[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(fits(all, &key, all + ENVELOPE_SIZE, sizeof body));
    assert_false(fits(all, &key, all + ENVELOPE_SIZE, sizeof body - 1));
    struct key other = key;
    other.b[15] ^= 1;
    assert_int_equal(envelope_length(all, &other), -E_CORRUPT);
}

// A header sealed by somebody who knows how, with one field that is not ours.
static void a_sealed_lie_is_seen(void **state)
{
    (void)state;
    static const struct {
        int at;
        uint8_t byte;
    } t[] = { { 0, 'X' }, { 7, 2 }, { 4, 1 }, { 8, 'x' }, { 24, 0x80 } };
    for (size_t i = 0; i < countof(t); i++) {
        uint8_t head[ENVELOPE_SIZE];
        envelope_seal(head, &key, body, sizeof body);
        head[t[i].at] = t[i].byte;
        const uint64_t sum = checksum(head, 40);
        for (int b = 0; b < 8; b++)
            head[40 + b] = (uint8_t)(sum >> (56 - 8 * b));
        assert_int_equal(envelope_length(head, &key), -E_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_pinned),
        cmocka_unit_test(an_empty_body_fits),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(a_sealed_lie_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
