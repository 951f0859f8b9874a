// SPDX-License-Identifier: BSD-2-Clause
//
// out - collects coded samples into fragments and appends those to the answer.

#ifndef CODEC_AV_OUT_H
#define CODEC_AV_OUT_H

#include "base/buf.h"
#include "codec/av/fail.h"
#include "codec/fmp4.h"
#include "codec/io.h"

#define OUT_SAMPLES 256 // of one fragment

struct out {
    // constant after out_init; borrowed
    struct io *io;
    const struct why *why;
    struct fmp4_track track; // what a fragment needs of it

    int64_t sequence; // of the next fragment
    int64_t time;     // decode time of the next sample
    struct fmp4_sample samples[OUT_SAMPLES];
    int count;
    struct buf data;     // the samples' bytes; whoever adds a sample appends them here first
    size_t counted;      // bytes of data that belong to samples[]
    struct buf fragment; // scratch, and the styp before the first
    int64_t bytes;       // appended so far
};

void out_init(struct out *o, struct io *io, int64_t sequence, int64_t time, const struct why *why);

// Makes what was appended to o->data since the last call one sample.
int out_sample(struct out *o, uint32_t duration, int32_t offset, bool sync);

// Ends the fragment and sends it; nothing when it is empty.
int out_cut(struct out *o);

void out_finish(struct out *o);

#endif
