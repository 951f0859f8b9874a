// SPDX-License-Identifier: BSD-2-Clause

#include "base/hash.h"

#include <openssl/sha.h>
#include <xxhash.h>

#include "base/base.h"

struct key key_of(const void *bytes, size_t n)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(bytes, n, digest);
    struct key k;
    memcpy(k.b, digest, sizeof k.b);
    return k;
}

char *key_hex(const struct key *k, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof k->b; i++) {
        out[2 * i] = digits[k->b[i] >> 4];
        out[2 * i + 1] = digits[k->b[i] & 15];
    }
    out[2 * sizeof k->b] = '\0';
    return out;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool key_parse(struct key *k, const char *hex, size_t n)
{
    if (n != 2 * sizeof k->b)
        return false;
    for (size_t i = 0; i < sizeof k->b; i++) {
        const int hi = digit_value(hex[2 * i]);
        const int lo = digit_value(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        k->b[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

uint64_t checksum(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

struct checksummer *checksum_begin(void)
{
    XXH3_state_t *const s = XXH3_createState();
    assert(s);
    XXH3_64bits_reset(s);
    return (struct checksummer *)s;
}

void checksum_add(struct checksummer *c, const void *bytes, size_t n)
{
    XXH3_64bits_update((XXH3_state_t *)c, bytes, n);
}

uint64_t checksum_end(struct checksummer *c)
{
    XXH3_state_t *const s = (XXH3_state_t *)c;
    const uint64_t sum = XXH3_64bits_digest(s);
    XXH3_freeState(s);
    return sum;
}
