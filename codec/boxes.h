// SPDX-License-Identifier: BSD-2-Clause
//
// boxes - writing and reading the boxes of MP4 (ISO/IEC 14496-12, 4.2), of a 32-bit size.

#ifndef CODEC_BOXES_H
#define CODEC_BOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

// Begins a box; what it returns is for box_close, which writes the size.
static inline size_t box_open(struct buf *b, const char *type)
{
    const size_t at = b->len;
    put_be32(b, 0);
    buf_append(b, type, 4);
    return at;
}

static inline size_t full_open(struct buf *b, const char *type, int version, uint32_t flags)
{
    const size_t at = box_open(b, type);
    put_be32(b, (uint32_t)version << 24 | flags);
    return at;
}

static inline void patch_be32(struct buf *b, size_t at, uint32_t v)
{
    if (b->failed)
        return;
    for (int i = 0; i < 4; i++)
        b->data[at + (size_t)i] = (uint8_t)(v >> 8 * (3 - i));
}

static inline void box_close(struct buf *b, size_t at)
{
    patch_be32(b, at, (uint32_t)(b->len - at));
}

// Takes the next box off r: its type, of four bytes, and its payload.
static inline const char *next_box(struct reader *r, struct reader *body)
{
    const uint32_t size = get_be32(r);
    const uint8_t *const type = get_bytes(r, 4);
    const uint8_t *const p = type && size >= 8 ? get_bytes(r, size - 8) : NULL;
    if (!p)
        return NULL;
    *body = reader_of(p, size - 8);
    return (const char *)type;
}

// The same; it must be of this type.
static inline bool get_box(struct reader *r, const char *type, struct reader *body)
{
    const char *const got = next_box(r, body);
    return got && memcmp(got, type, 4) == 0;
}

#endif
