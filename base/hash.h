// SPDX-License-Identifier: BSD-2-Clause
//
// hash - names and checksums.  The only door to libcrypto and xxhash.
//
// A key names things that outsiders can ask for, so it must be collision
// resistant: SHA-256 cut to 128 bits.  A checksum guards against accidents on
// disk and in Redis: XXH3, 64 bits.

#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct key {
    uint8_t b[16];
};

#define KEY_HEX 33 // 32 hex digits and the terminator

struct key key_of(const void *bytes, size_t n);

// Prints k as 32 lower-case hex digits into out[KEY_HEX]; returns out.
char *key_hex(const struct key *k, char *out);

// Reads exactly 32 lower-case hex digits; false on anything else.
bool key_parse(struct key *k, const char *hex, size_t n);

static inline bool key_equal(const struct key *a, const struct key *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

uint64_t checksum(const void *bytes, size_t n);

// The same over pieces: checksum_add(c, p, n) in order, then checksum_end,
// which frees c.  Equals checksum() of the pieces put together.
struct checksummer *checksum_begin(void);
void checksum_add(struct checksummer *c, const void *bytes, size_t n);
uint64_t checksum_end(struct checksummer *c);

#endif
