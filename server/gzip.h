// SPDX-License-Identifier: BSD-2-Clause
//
// gzip - compresses text answers.  The only door to zlib.

#ifndef SERVER_GZIP_H
#define SERVER_GZIP_H

#include "base/buf.h"

// Appends in as one gzip member, always the same bytes for the same text and version.
// 0, -E_LIMITS, -E_NO_MEMORY.
int gzip_pack(const struct buf *in, struct buf *out);

// The library's: another one may pack the same text to other bytes.
const char *gzip_version(void);

#endif
