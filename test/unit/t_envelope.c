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

// RFC 4231, case 2, in two pieces.
static void the_mac_is_hmac_sha256(void **state)
{
    (void)state;
    static const uint8_t want[MAC_SIZE] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
        0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
        0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
    };
    uint8_t mac[MAC_SIZE];
    mac_of("Jefe", "what do ya want ", 16, "for nothing?", 12, mac);
    assert_memory_equal(mac, want, MAC_SIZE);
    mac_of("Jefe", "what do ya want for nothing?", 28, NULL, 0, mac);
    assert_true(mac_equal(mac, want));
    mac[31] ^= 1;
    assert_false(mac_equal(mac, want));
}

static void a_mac_covers_all(void **state)
{
    (void)state;
    static const char secret[] = "0123456789abcdef";
    uint8_t head[ENVELOPE_SIZE], mac[MAC_SIZE];
    char copy[sizeof body];
    memcpy(copy, body, sizeof body);
    envelope_seal(head, &key, body, sizeof body);
    envelope_mac(head, body, sizeof body, secret, mac);
    assert_true(envelope_mac_holds(head, body, sizeof body, secret, mac));
    assert_false(envelope_mac_holds(head, body, sizeof body, "0123456789abcdeF", mac));
    assert_false(envelope_mac_holds(head, body, sizeof body - 1, secret, mac));
    for (size_t i = 0; i < ENVELOPE_SIZE; i++) {
        head[i] ^= 1;
        assert_false(envelope_mac_holds(head, body, sizeof body, secret, mac));
        head[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof copy; i++) {
        copy[i] ^= 1;
        assert_false(envelope_mac_holds(head, copy, sizeof copy, secret, mac));
        copy[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_pinned),   cmocka_unit_test(an_empty_body_fits),
        cmocka_unit_test(every_bit_counts),       cmocka_unit_test(a_sealed_lie_is_seen),
        cmocka_unit_test(the_mac_is_hmac_sha256), cmocka_unit_test(a_mac_covers_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
