// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/mp4_boxes.h"

bool box_next(struct reader *r, uint32_t *type, struct reader *body)
{
    if (reader_left(r) < 8)
        return false;
    uint64_t size = get_be32(r);
    *type = get_be32(r);
    uint64_t head = 8;
    if (size == 1) {
        size = get_be64(r);
        head = 16;
    }
    if (r->bad || (size && size < head))
        return false;
    const size_t left = reader_left(r);
    const size_t n = size == 0 || size - head > left ? left : (size_t)(size - head);
    *body = reader_of(get_bytes(r, n), n);
    return true;
}

bool box_find(struct reader r, uint32_t wanted, struct reader *body)
{
    uint32_t type;
    while (box_next(&r, &type, body))
        if (type == wanted)
            return true;
    return false;
}

int box_version(struct reader *r, uint32_t *flags)
{
    const uint32_t v = get_be32(r);
    if (flags)
        *flags = v & 0xffffff;
    return (int)(v >> 24);
}

// The entries of a table whose count comes next in r; false when they are not all there.
static bool get_entries(struct reader *r, size_t entry, struct reader *out)
{
    const uint64_t n = (uint64_t)get_be32(r) * entry;
    if (r->bad || n > reader_left(r))
        return false;
    *out = reader_of(get_bytes(r, (size_t)n), (size_t)n);
    return true;
}

bool box_table(struct reader r, size_t entry, struct reader *out)
{
    box_version(&r, NULL);
    return get_entries(&r, entry, out);
}
