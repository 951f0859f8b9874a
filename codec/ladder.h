// SPDX-License-Identifier: BSD-2-Clause
//
// ladder - which video renditions an asset gets, and how each is encoded.  Pure.
// The rules are in plan.h.

#ifndef CODEC_LADDER_H
#define CODEC_LADDER_H

#include "codec/plan.h"

// Appends the video renditions to p (name, video, v, codecs) and the rungs that
// it does not get to p->dropped.  m has video.
void ladder_make(struct plan *p, const struct conf *conf, const struct media *m);

// Size of a picture of m that is within these sides: upright, even, never larger than the
// source but for that.
void ladder_fit(const struct media *m, int long_max, int short_max, int *width, int *height);

// The colour of our output for this source.
struct colour ladder_colour(const struct media *m);

// That of an HDR source, m, for renditions that keep its range.
struct colour ladder_hdr_colour(const struct media *m);

#endif
