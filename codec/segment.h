// SPDX-License-Identifier: BSD-2-Clause
//
// segment - the segment table: the one list of cut times of an asset, exact
// rationals.  Pure.  Playlists print it and encoders obey it; nothing else
// decides a cut.
//
// Every segment has `per` grid frames, but for the last: it is short, or, where
// the rest would be under a second and the sum still rounds to the same target
// duration, it is joined to its predecessor.  A rest under a tenth of a second is
// always joined: as a segment of its own it could be left without an audio frame.

#ifndef CODEC_SEGMENT_H
#define CODEC_SEGMENT_H

#include <stdint.h>

#include "base/rational.h"

#define AUDIO_FRAME 1024 // samples of one AAC frame

struct segtab {
    struct rational fps;
    int64_t frames; // of the whole asset
    int64_t per;    // frames of a segment: round(target x fps), even when > 1
    int count;      // segments, >= 1
    int64_t part;   // frames of a part, per / 2 (about two seconds), >= 1
};

struct segtab segtab_make(struct rational fps, int64_t frames, int64_t target_ms);

// First frame of segment k; k = count gives the end, t->frames.
int64_t segtab_frame(const struct segtab *t, int k);

// Start time of segment k in microseconds, rounded: what telescoping EXTINFs are made of.
int64_t segtab_start_us(const struct segtab *t, int k);

// First AAC frame of segment k at this sample rate: ceil(start x rate / 1024);
// k = count gives the end: ceil(duration x rate / 1024).
int64_t segtab_audio_frame(const struct segtab *t, int k, int sample_rate);

// Start time of that frame in microseconds, rounded.
int64_t segtab_audio_start_us(const struct segtab *t, int k, int sample_rate);

// The parts of segment k: how many, and [first, first + n) of part j in frames of the asset.
int segtab_parts(const struct segtab *t, int k);
void segtab_part(const struct segtab *t, int k, int j, int64_t *first, int64_t *n);

// Longest and shortest part of the whole asset, in frames.
int64_t segtab_part_max(const struct segtab *t);
int64_t segtab_part_min(const struct segtab *t);

// EXT-X-TARGETDURATION that holds for video and for audio at sample_rate (0: no audio).
int segtab_target_duration(const struct segtab *t, int sample_rate);

#endif
