// SPDX-License-Identifier: BSD-2-Clause
//
// graph - a libavfilter graph that is one chain, described by one line of text.

#ifndef CODEC_AV_GRAPH_H
#define CODEC_AV_GRAPH_H

#include <stdint.h>

#include <libavfilter/avfilter.h>
#include <libavutil/frame.h>

struct graph {
    AVFilterGraph *graph; // NULL: not open
    AVFilterContext *in, *out;
};

// Opens a chain for pictures like this one, with time stamps in 1/timescale seconds.  It
// works on the calling thread alone.  0, or libav's error, and nothing is open.
int graph_open(struct graph *g, const char *chain, const AVFrame *like, int64_t timescale);

// Gives it a picture, of which it takes a reference; NULL: that was the last.
int graph_give(struct graph *g, AVFrame *frame);

// The next picture that comes out: 0, AVERROR(EAGAIN), AVERROR_EOF or another error.
int graph_take(struct graph *g, AVFrame *out);

void graph_close(struct graph *g); // may be repeated

#endif
