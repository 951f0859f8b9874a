// SPDX-License-Identifier: BSD-2-Clause
//
// mp4_boxes - the boxes of an MP4 or MOV in memory, one after another and one in another.  The
// bytes may be anything.  Pure.

#ifndef CODEC_AV_MP4_BOXES_H
#define CODEC_AV_MP4_BOXES_H

#include "base/bytes.h"

#define TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

// Takes the next box out of r; false at the end.  A box that claims more than
// its parent has is cut.
bool box_next(struct reader *r, uint32_t *type, struct reader *body);

// The first of a type in r; false: there is none.
bool box_find(struct reader r, uint32_t wanted, struct reader *body);

// Takes version and flags off a full box.  flags may be NULL.
int box_version(struct reader *r, uint32_t *flags);

// The entries of a full box that is a table of so many bytes each; false when they are not all
// there.
bool box_table(struct reader r, size_t entry, struct reader *out);

#endif
