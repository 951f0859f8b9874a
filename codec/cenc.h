// SPDX-License-Identifier: BSD-2-Clause
//
// cenc - our own fMP4 with its samples encrypted by the scheme cbcs.  Pure.
// Rules: ISO/IEC 23001-7, 8 (boxes), 9 (video), 10.4 (cbcs); W3C "cenc" Initialization Data
// Format (pssh of the common system id).
//
// A constant initialization vector for all samples.  Of video, one block in ten is encrypted
// of what codec/cenc_layout.h names; all else is clear.  Of audio all whole blocks are.  What a
// rest of less than a block holds stays clear.

#ifndef CODEC_CENC_H
#define CODEC_CENC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/encryption.h"

// The init segment of a track with the key e.  0; -E_CORRUPT when it is none of fmp4.c's; or
// the buffer's error.
int cenc_init(struct buf *out, const struct encryption *e, const uint8_t *init, size_t n);

// What is encrypted of the first n bytes of a media segment of that (clear) init segment: its
// whole fragments.  Likewise.
int cenc_segment(struct buf *out, const struct encryption *e, const uint8_t *init, size_t init_size,
                 const uint8_t *bytes, size_t n);

#endif
