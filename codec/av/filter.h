// SPDX-License-Identifier: BSD-2-Clause
//
// filter - makes the output picture from a decoded one: size, orientation,
// 8-bit 4:2:0 of the range that the job's settings say, HDR to SDR.  One picture in, one out;
// nothing is remembered from picture to picture.

#ifndef CODEC_AV_FILTER_H
#define CODEC_AV_FILTER_H

#include <libavutil/frame.h>

#include "codec/av/fail.h"
#include "codec/av/graph.h"
#include "codec/job.h"

struct filter {
    // borrowed
    const struct media *media;
    const struct video_settings *v;
    const struct why *why;

    struct graph graph; // for pictures of this size and format; rebuilt when they change
    int width, height, format;
    bool full_range;
};

void filter_init(struct filter *f, const struct media *media, const struct video_settings *v,
                 const struct why *why);

// *out becomes the picture made from *in, which keeps its pixels but loses its
// side data.  0 or a negative enum err.
int filter_picture(struct filter *f, AVFrame *in, AVFrame *out);

void filter_finish(struct filter *f);

#endif
