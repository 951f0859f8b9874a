// SPDX-License-Identifier: BSD-2-Clause
//
// envelope - what stands before a body outside of memory, so that whatever
// comes back can be told from damage, from truncation and from another's bytes.
//
//   0  "TMo1"    magic
//   4  u32       version of this format
//   8  16 bytes  key
//  24  u64       length of the body
//  32  u64       XXH3 of the body
//  40  u64       XXH3 of the 40 bytes before
//
// Big endian.  It guards against accidents, not against somebody who writes
// valid envelopes: where that matters, a MAC with a shared secret stands between
// the envelope and the body.

#ifndef CACHE_ENVELOPE_H
#define CACHE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

#define ENVELOPE_SIZE 48
#define ENVELOPE_VERSION 1

void envelope_seal(uint8_t head[ENVELOPE_SIZE], const struct key *key, const void *body, size_t n);

// The length of the body that follows head, or -E_CORRUPT when head is damaged
// or not of this key.
int64_t envelope_length(const uint8_t head[ENVELOPE_SIZE], const struct key *key);

// True when the n bytes are the body of head, which envelope_length took.
bool envelope_matches(const uint8_t head[ENVELOPE_SIZE], const void *body, size_t n);

// The MAC of a sealed head and its body.
void envelope_mac(const uint8_t head[ENVELOPE_SIZE], const void *body, size_t n, const char *secret,
                  uint8_t mac[MAC_SIZE]);
bool envelope_mac_holds(const uint8_t head[ENVELOPE_SIZE], const void *body, size_t n,
                        const char *secret, const uint8_t mac[MAC_SIZE]);

#endif
