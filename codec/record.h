// SPDX-License-Identifier: BSD-2-Clause
//
// record - what a recipe is the hash of: everything a player relies on below a
// recipe's URL.  Kept beside the objects, it answers a player in mid-film whose
// recipe the present settings would not make any more.
//
// The hash proves a record, wherever it came from; unpacking checks it all the
// same, because a right hash does not make sane numbers.

#ifndef CODEC_RECORD_H
#define CODEC_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "codec/plan.h"

#define RECORD_MAX (128 * 1024) // a table of SEGTAB_CUTS_MAX cuts takes up to 100 KiB

// Appends the record of r, which belongs to p.  asset, version, headers: as for
// plan_make.  0 or the buffer's error.
int record_pack(const struct plan *p, const struct rendition *r, const char *asset,
                const char *version, const char *headers, struct buf *out);

// Reads a record back as a plan of one rendition, when it is the record of this
// recipe, asset and version; else -E_CORRUPT.  plan_finish is due after 0 only.
int record_unpack(const uint8_t *bytes, size_t n, const struct key *recipe, const char *asset,
                  const char *version, struct plan *out);

#endif
