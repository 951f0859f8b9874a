// SPDX-License-Identifier: BSD-2-Clause
//
// sound_times - where each audio packet stands, in decoded samples from T0.
//
// A container's time stamps are rounded, often to milliseconds, and real files
// have packets stamped 10 to 18 ms off, forth and back, in sound that has no gap
// at all.  To follow those would click at each.  So packets follow each other
// without a seam by their real durations, from an anchor, and a time stamp
// counts only where it is off by 20 ms or more (less than a picture lasts, and
// than anybody hears): there is a real gap or overlap, and the anchor is set anew.  (WMA
// is stamped still more roughly, and counts from two of its frames on.)

#ifndef CODEC_AV_SOUND_TIMES_H
#define CODEC_AV_SOUND_TIMES_H

#include "codec/av/index.h"
#include "codec/media.h"

// T0 in ticks of another track.
struct sound_origin {
    int64_t ticks, timescale; // timescale 0: there is none, the sound's first sample is T0
};

// Fills a->samples and a->sample_count (0: nothing is left) from t; sample_rate,
// codec and extradata of a are known.  frame_samples is what one packet of a codec
// with frames of one size decodes to, first what the first packet does.  0, -E_CORRUPT or
// -E_NO_MEMORY.
int sound_times(struct audio_track *a, const struct index_track *t, int frame_samples, int first,
                struct sound_origin t0);

#endif
