// SPDX-License-Identifier: BSD-2-Clause
//
// cenc_layout - which bytes of a video sample are encrypted.  Pure.
// Rules: ISO/IEC 23001-7, 9.5.2 (NAL units), 10.4; AV1 Codec ISO Media File Format Binding,
// "Common Encryption".
//
// Of H.264 and HEVC the bytes of slices behind their headers; of AV1 the data of tiles, in
// whole blocks.

#ifndef CODEC_CENC_LAYOUT_H
#define CODEC_CENC_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "codec/fmp4.h"

#define CENC_SUBSAMPLES 42 // what saiz can count: 2 + 6 x 42 bytes
#define CENC_CLEAR_MAX 65535

struct cenc_subsample {
    size_t clear, hidden;
};

struct cenc_layout {
    struct cenc_subsample list[CENC_SUBSAMPLES];
    int count;
};

struct cenc_rules;

// Of the video track t; to be destroyed.  -E_CORRUPT, -E_UNSUPPORTED: its headers are none that
// we can read; *out is NULL then.
int cenc_rules_create(const struct fmp4_track *t, struct cenc_rules **out);
void cenc_rules_destroy(struct cenc_rules *r); // NULL is fine

// Lays out a sample; those of a segment one after another.  A sample of more slices or tiles
// than a layout can hold keeps some of them clear.  -E_CORRUPT; -E_UNSUPPORTED, of AV1
// (codec/av1_frame.h); -E_LIMITS: no layout can be made.
int cenc_lay_out(struct cenc_rules *r, const uint8_t *p, size_t n, struct cenc_layout *out);

#endif
