// SPDX-License-Identifier: BSD-2-Clause

#include "codec/jpeg.h"

#include "base/bytes.h"
#include "base/err.h"

enum { MARK_SOF0 = 0xc0, MARK_RST0 = 0xd0, MARK_SOI = 0xd8, MARK_EOI = 0xd9, MARK_SOS = 0xda };

// The code behind the next 0xff, which may be filled up with more of them; 0: no marker.
static int next_marker(struct reader *r)
{
    if (get_u8(r) != 0xff)
        return 0;
    int code = 0xff;
    while (code == 0xff && !r->bad)
        code = get_u8(r);
    return code;
}

// Reads one segment with a length; of a frame header takes the size.
static bool read_segment(struct reader *r, int marker, int *width, int *height)
{
    const size_t length = get_be16(r);
    const uint8_t *const p = length >= 2 ? get_bytes(r, length - 2) : NULL;
    if (!p || marker < MARK_SOF0 || (marker >= MARK_RST0 && marker <= MARK_EOI))
        return false;
    if (marker == MARK_SOF0) {
        if (length < 8 || *width)
            return false;
        *height = p[1] << 8 | p[2];
        *width = p[3] << 8 | p[4];
    }
    return true;
}

int jpeg_check(const uint8_t *bytes, size_t n, int *width, int *height)
{
    struct reader r = reader_of(bytes, n);
    int marker = next_marker(&r);
    *width = *height = 0;
    if (marker != MARK_SOI)
        return -E_CORRUPT;
    while (marker != MARK_SOS) {
        marker = next_marker(&r);
        if (!read_segment(&r, marker, width, height))
            return -E_CORRUPT;
    }
    const size_t scan = reader_left(&r);
    const bool ended = scan > 2 && bytes[n - 2] == 0xff && bytes[n - 1] == MARK_EOI;
    return ended && *width && *height ? 0 : -E_CORRUPT;
}
