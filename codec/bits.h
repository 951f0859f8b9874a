// SPDX-License-Identifier: BSD-2-Clause
//
// bits - reading the headers of H.264, HEVC and AV1 bit by bit.  A reader that was asked for
// more than there is gives zeros and is bad, as in base/bytes.h.
// Rules: Rec. ITU-T H.264 7.2, 7.4.1, 9.1; the same in H.265.

#ifndef CODEC_BITS_H
#define CODEC_BITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct bits {
    struct reader bytes;
    uint8_t byte;
    int left; // bits of byte
};

static inline int get_bit(struct bits *b)
{
    if (b->left == 0) {
        b->byte = get_u8(&b->bytes);
        b->left = 8;
    }
    return b->byte >> --b->left & 1;
}

// An Exp-Golomb number below 2^32; anything longer turns the reader bad.
static inline uint32_t get_ue(struct bits *b)
{
    int n = 0;
    while (!b->bytes.bad && !get_bit(b))
        if (++n > 31)
            b->bytes.bad = true;
    uint64_t v = 1;
    for (int i = 0; i < n && !b->bytes.bad; i++)
        v = v << 1 | (uint64_t)get_bit(b);
    return (uint32_t)(v - 1);
}

static inline uint32_t get_bits(struct bits *b, int n)
{
    uint32_t v = 0;
    while (n-- > 0)
        v = v << 1 | (uint32_t)get_bit(b);
    return v;
}

static inline void skip_bits(struct bits *b, int n)
{
    while (n-- > 0)
        get_bit(b);
}

// Whether the bits up to the next byte are zeros.
static inline bool rest_is_zero(const struct bits *b)
{
    return (b->byte & ((1 << b->left) - 1)) == 0;
}

// Copies a NAL unit without the bytes that keep start codes out of it, at most cap bytes.
static inline size_t unescape(uint8_t *out, size_t cap, const uint8_t *p, size_t size)
{
    size_t n = 0;
    int zeros = 0;
    for (size_t i = 0; i < size && n < cap; i++) {
        if (zeros >= 2 && p[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = p[i] == 0 ? zeros + 1 : 0;
        out[n++] = p[i];
    }
    return n;
}

// How many bytes of a NAL unit hold its first n when unescaped.
static inline size_t escaped(const uint8_t *p, size_t size, size_t n)
{
    size_t at = 0;
    for (int zeros = 0; at < size && n > 0; at++) {
        if (zeros >= 2 && p[at] == 3) {
            zeros = 0;
            continue;
        }
        zeros = p[at] == 0 ? zeros + 1 : 0;
        n--;
    }
    return at;
}

// Where the next start code (00 00 01) begins at or behind i; n: there is none.
static inline size_t next_start_code(const uint8_t *p, size_t n, size_t i)
{
    for (; i + 3 <= n; i++)
        if (p[i] == 0 && p[i + 1] == 0 && p[i + 2] == 1)
            return i;
    return n;
}

#endif
