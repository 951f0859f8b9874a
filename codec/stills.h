// SPDX-License-Identifier: BSD-2-Clause
//
// stills - single pictures at regular steps of an asset: trick play.  Pure.
//
// A picture every second, or the whole number of grid frames next to that: picture k shows
// frame k x every, exactly at its time, until picture k + 1 or the asset's end.  A rest under
// half a step has no picture of its own.

#ifndef CODEC_STILLS_H
#define CODEC_STILLS_H

#include "codec/plan.h"

// Appends the trick rendition to p, whose table is made: its settings, not its promises.
// m has video.
void stills_add_trick(struct plan *p, const struct conf *conf, const struct media *m);

// How many pictures that is, at least 1.
int stills_count(const struct segtab *t, int64_t every);

// The grid frame that picture k of so many shows; k = count: where the last one ends.
int64_t stills_frame(const struct segtab *t, int64_t every, int k);

#endif
