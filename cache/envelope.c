// SPDX-License-Identifier: BSD-2-Clause

#include "cache/envelope.h"

#include "base/bytes.h"
#include "base/err.h"

#define SEALED 40 // what the last checksum covers
#define AT_LENGTH 24

static const char magic[4] = { 'T', 'M', 'o', '1' };

static void put(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

void envelope_seal(uint8_t head[ENVELOPE_SIZE], const struct key *key, const void *body, size_t n)
{
    memcpy(head, magic, sizeof magic);
    put(head + 4, ENVELOPE_VERSION, 4);
    memcpy(head + 8, key->b, sizeof key->b);
    put(head + AT_LENGTH, n, 8);
    put(head + AT_LENGTH + 8, checksum(body, n), 8);
    put(head + SEALED, checksum(head, SEALED), 8);
}

int64_t envelope_length(const uint8_t head[ENVELOPE_SIZE], const struct key *key)
{
    struct reader r = reader_of(head + SEALED, 8);
    if (get_be64(&r) != checksum(head, SEALED))
        return -E_CORRUPT;
    r = reader_of(head, SEALED);
    if (memcmp(get_bytes(&r, sizeof magic), magic, sizeof magic) != 0)
        return -E_CORRUPT;
    if (get_be32(&r) != ENVELOPE_VERSION)
        return -E_CORRUPT;
    if (memcmp(get_bytes(&r, sizeof key->b), key->b, sizeof key->b) != 0)
        return -E_CORRUPT;
    const uint64_t n = get_be64(&r);
    return n <= INT64_MAX ? (int64_t)n : -E_CORRUPT;
}

bool envelope_matches(const uint8_t head[ENVELOPE_SIZE], const void *body, size_t n)
{
    struct reader r = reader_of(head + AT_LENGTH, 16);
    const uint64_t length = get_be64(&r);
    return length == n && get_be64(&r) == checksum(body, n);
}

void envelope_mac(const uint8_t head[ENVELOPE_SIZE], const void *body, size_t n, const char *secret,
                  uint8_t mac[MAC_SIZE])
{
    mac_of(secret, head, ENVELOPE_SIZE, body, n, mac);
}

bool envelope_mac_holds(const uint8_t head[ENVELOPE_SIZE], const void *body, size_t n,
                        const char *secret, const uint8_t mac[MAC_SIZE])
{
    uint8_t ours[MAC_SIZE];
    envelope_mac(head, body, n, secret, ours);
    return mac_equal(ours, mac);
}
