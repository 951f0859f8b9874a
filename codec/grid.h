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

#include <stdint.h>

#include "base/rational.h"
#include "codec/media.h"

// The output rate of presentation times pts[n] (strictly increasing, ticks of
// timescale, pts[0] = 0) that end at end: the most frequent frame distance
// snapped to a usual rate when within 0.1 %, else the mean rate; above 60
// divided by an integer.
struct rational grid_fps(const int64_t *pts, int n, int64_t end, int64_t timescale);

// How many grid frames cover [0, end) ticks: round(end / timescale x fps), at least 1.
int64_t grid_frames(int64_t end, int64_t timescale, struct rational fps);

// The index into pts[] of the source frame shown by grid frame n.
int grid_pick(const int64_t *pts, int n_pts, int64_t timescale, struct rational fps, int64_t n);

// The same for a media: an index into m->video.shown.
int grid_shown(const struct media *m, int64_t n);

#endif
