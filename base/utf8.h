// SPDX-License-Identifier: BSD-2-Clause
//
// utf8 - the one question that paths, messages and titles ask of their bytes.

#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

// Length of the well-formed sequence that the n bytes at s begin with (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF), or 0.
static inline size_t utf8_sequence(const void *s, size_t n)
{
    const unsigned char *const p = s;
    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    const size_t len = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (len == 0 || n < len)
        return 0;
    // Only the second byte's range depends on the first.
    const unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

#endif
