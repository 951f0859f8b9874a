// SPDX-License-Identifier: BSD-2-Clause
//
// hash - names, checksums, MACs and the one cipher.  The only door to libcrypto and xxhash.
//
// A key names things that outsiders can ask for, so it must be collision
// resistant: SHA-256 cut to 128 bits.  A checksum guards against accidents on
// disk and in Redis: XXH3, 64 bits.  A MAC guards against whoever does not know
// the secret: HMAC-SHA256.

#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base.h"

struct key {
    uint8_t b[16];
};

#define KEY_HEX 33 // 32 hex digits and the terminator

struct key key_of(const void *bytes, size_t n);

// The key of a printed text, which must fit KEY_TEXT: a text that was cut could let
// two names share a key, so that is an assertion.
#define KEY_TEXT 8192
struct key key_of_text(const char *fmt, ...) PRINTF_LIKE(1, 2);

// The same line by line, for where printing would cost more than all the rest.  n is 0 at first.
struct key_lines {
    size_t n;
    char text[KEY_TEXT];
};
void key_put(struct key_lines *l, const char *line);
void key_put_number(struct key_lines *l, int number, char end);
struct key key_of_lines(const struct key_lines *l);

// Prints k as 32 lower-case hex digits into out[KEY_HEX]; returns out.
char *key_hex(const struct key *k, char *out);

// Reads exactly 32 lower-case hex digits; false on anything else.
bool key_parse(struct key *k, const char *hex, size_t n);

static inline bool key_equal(const struct key *a, const struct key *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

// For tables whose collisions do no harm: FNV-1a, 32 bits.
uint32_t text_hash(const char *text, size_t n);

uint64_t checksum(const void *bytes, size_t n);

// The same over pieces: checksum_add(c, p, n) in order, then checksum_end,
// which frees c.  Equals checksum() of the pieces put together.
struct checksummer *checksum_begin(void);
void checksum_add(struct checksummer *c, const void *bytes, size_t n);
uint64_t checksum_end(struct checksummer *c);

#define MAC_SIZE 32

// Over two pieces put together; either may be empty.
void mac_of(const char *secret, const void *a, size_t na, const void *b, size_t nb,
            uint8_t out[MAC_SIZE]);

// In a time that does not tell where they differ.
bool mac_equal(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE]);

#define CIPHER_BLOCK 16

// AES-128 in cipher block chaining (NIST SP 800-38A), without padding: cipher_restart, then
// cipher_add as often as wanted, each of whole blocks; out may be in.  cipher_end frees c.
struct cipher *cipher_begin(const uint8_t key[16]);
void cipher_restart(struct cipher *c, const uint8_t iv[CIPHER_BLOCK]);
void cipher_add(struct cipher *c, const uint8_t *in, size_t n, uint8_t *out);
void cipher_end(struct cipher *c);

#endif
