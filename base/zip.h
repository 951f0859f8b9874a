// SPDX-License-Identifier: BSD-2-Clause
//
// zip - compresses text answers, and expands what sources hold compressed.  The only door to zlib.

#ifndef BASE_ZIP_H
#define BASE_ZIP_H

#include "base/buf.h"

// Appends in as one gzip member, always the same bytes for the same text and version.
// 0, -E_LIMITS, -E_NO_MEMORY.
int gzip_pack(const struct buf *in, struct buf *out);

// The library's: another one may pack the same text to other bytes.
const char *gzip_version(void);

// Appends to out what n bytes (RFC 1950) expand to.  0; -E_CORRUPT when they are something else, or
// it is more than `most`; -E_LIMITS, -E_NO_MEMORY.
int zlib_expand(const uint8_t *in, size_t n, size_t most, struct buf *out);

#endif
