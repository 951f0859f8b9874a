// SPDX-License-Identifier: BSD-2-Clause
//
// bytes - reading and writing binary formats within bounds.
//
// A reader past its end returns zeros and turns bad; ask once at the end.
// Suffixes: be and le are the byte order, v is an unsigned LEB128 varint, z a
// zig-zag signed one.

#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

struct reader {
    const uint8_t *p;   // next byte
    const uint8_t *end; // one past the last
    bool bad;           // read past the end, or a malformed varint
};

static inline struct reader reader_of(const void *p, size_t n)
{
    // An empty buffer has no address to add to.
    return (struct reader){ p, n ? (const uint8_t *)p + n : p, false };
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

// n bytes, or NULL (and the reader is bad) when fewer are left.
static inline const uint8_t *get_bytes(struct reader *r, size_t n)
{
    if (r->bad || reader_left(r) < n) {
        r->bad = true;
        r->p = r->end;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

static inline uint64_t get_be(struct reader *r, int n)
{
    const uint8_t *p = get_bytes(r, (size_t)n);
    uint64_t v = 0;
    for (int i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static inline uint8_t get_u8(struct reader *r)
{
    return (uint8_t)get_be(r, 1);
}
static inline uint16_t get_be16(struct reader *r)
{
    return (uint16_t)get_be(r, 2);
}
static inline uint32_t get_be32(struct reader *r)
{
    return (uint32_t)get_be(r, 4);
}
static inline uint64_t get_be64(struct reader *r)
{
    return get_be(r, 8);
}

static inline uint64_t get_v(struct reader *r)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t b = get_u8(r);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

static inline int64_t get_z(struct reader *r)
{
    const uint64_t v = get_v(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline void put_be(struct buf *b, uint64_t v, int n)
{
    uint8_t t[8];
    for (int i = 0; i < n; i++)
        t[i] = (uint8_t)(v >> 8 * (n - 1 - i));
    buf_append(b, t, (size_t)n);
}

static inline void put_u8(struct buf *b, uint8_t v)
{
    put_be(b, v, 1);
}
static inline void put_be16(struct buf *b, uint16_t v)
{
    put_be(b, v, 2);
}
static inline void put_be32(struct buf *b, uint32_t v)
{
    put_be(b, v, 4);
}
static inline void put_be64(struct buf *b, uint64_t v)
{
    put_be(b, v, 8);
}

static inline void put_v(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put_u8(b, (uint8_t)(v | 0x80));
    put_u8(b, (uint8_t)v);
}

static inline void put_z(struct buf *b, int64_t v)
{
    put_v(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

#endif
