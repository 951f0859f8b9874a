// SPDX-License-Identifier: BSD-2-Clause
//
// grid - the constant-rate output timeline of a source.  Pure.
//
// The output is constant frame rate anchored at T0: frame n shows the source
// frame whose presentation time is nearest to n / fps (a tie takes the
// earlier), computed from absolute time and so free of history.  For a source
// of constant rate that is the identity: every source frame exactly once.

#ifndef CODEC_GRID_H
#define CODEC_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rational.h"
#include "codec/media.h"

// The output rate of presentation times pts[n] (strictly increasing, ticks of
// timescale, pts[0] = 0) that end at end.  In this order:
// 1. the usual rate (24000/1001, 25, ...) nearest to the most frequent frame distance,
//    when within 1 % of it (or within what rounded time stamps explain) and when it
//    makes the grid the identity, which over 500 frames means within 0.1 %;
// 2. the mean of such distances, when that makes the grid the identity: a constant but
//    unusual rate;
// 3. 24000/1001, when that makes the grid the identity: film whose pictures last two and
//    three fields of video in turn;
// 4. the usual rate all the same: variable rates;
// 5. the mean of all distances.
// Rates above 60 are divided by an integer first (up to 2 % above count as 60),
// rates below 1 multiplied by one, so that segments keep their length.
// The result is reduced, lies in [1, 60] and has a denominator of at most 1001.
struct rational grid_fps(const int64_t *pts, int n, int64_t end, int64_t timescale);

// How many grid frames cover [0, end) ticks: round(end / timescale x fps), at least 1.
int64_t grid_frames(int64_t end, int64_t timescale, struct rational fps);

// The index into pts[] of the source frame shown by grid frame n.
int grid_pick(const int64_t *pts, int n_pts, int64_t timescale, struct rational fps, int64_t n);

// Whether frame n of the grid is source frame n, for all n < n_pts.
bool grid_identity(const int64_t *pts, int n_pts, int64_t timescale, struct rational fps);

// The same as grid_pick for a media: an index into m->video.shown.
int grid_shown(const struct media *m, int64_t n);

#endif
