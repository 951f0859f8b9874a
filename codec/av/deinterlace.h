// SPDX-License-Identifier: BSD-2-Clause
//
// deinterlace - makes whole pictures of interlaced ones, at the size they have: before
// anything is scaled, which would mix the lines of two moments.
//
// A picture is made of a frame and its two neighbours, nothing else; so what comes out for
// a frame between two others is the same wherever giving began.  It comes out when the
// frame after it goes in.

#ifndef CODEC_AV_DEINTERLACE_H
#define CODEC_AV_DEINTERLACE_H

#include <libavutil/frame.h>

#include "codec/av/fail.h"
#include "codec/av/graph.h"
#include "codec/job.h"

struct deinterlacer {
    const struct job *job; // borrowed
    const struct why *why; // borrowed
    struct graph graph;    // for pictures of this size and format; a new one when they change
    int width, height, format;
    AVFrame *waiting; // for the graph before it to be empty; NULL: none
};

void deinterlace_init(struct deinterlacer *d, const struct job *job, const struct why *why);

// Gives the next frame in presentation order (a reference is taken), NULL: there is none.
// Only after deinterlace_take has given all it had.  0 or a negative enum err.
int deinterlace_give(struct deinterlacer *d, const AVFrame *frame);

// The next picture, pictures_per_frame for each frame: 1; 0 when it wants another frame
// first; or a negative enum err.
int deinterlace_take(struct deinterlacer *d, AVFrame *out);

void deinterlace_finish(struct deinterlacer *d);

#endif
