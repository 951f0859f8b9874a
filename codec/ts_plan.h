// SPDX-License-Identifier: BSD-2-Clause
//
// ts_plan - which MPEG-TS renditions a plan has, and what they promise.  Pure.
//
// Each is muxed of segments that other renditions have anyway: H.264 video with the first
// AAC audio, or of an asset without video that audio alone.  It bears the name of the
// one that it takes its table from, and has a recipe of its own: the hash of a record that
// names the two.

#ifndef CODEC_TS_PLAN_H
#define CODEC_TS_PLAN_H

#include "codec/plan.h"

struct ts_source {
    char name[24]; // of the rendition; "" for none
    struct key recipe;
};

struct ts_rendition {
    struct ts_source video, audio;
    struct key recipe;
};

// The one it takes its name and table from.
const struct ts_source *ts_lead(const struct ts_rendition *t);

// Those of p, in its order; returns how many.
int ts_plan(const struct plan *p, struct ts_rendition out[PLAN_RENDITIONS]);

// Bits per second that no segment exceeds when neither of the two exceeds its own
// bandwidth, and those expected.  Either may be NULL.
int64_t ts_bandwidth(const struct plan *p, const struct rendition *video,
                     const struct rendition *audio);
int64_t ts_average(const struct plan *p, const struct rendition *video,
                   const struct rendition *audio);

// The one of p with this recipe: its bandwidth, and *out; 0 when there is none.
int64_t ts_find(const struct plan *p, const struct key *recipe, struct ts_rendition *out);

// Appends the record.  0 or the buffer's error.
int ts_record_pack(const struct ts_rendition *t, struct buf *out);

// Reads it back if it is that of this recipe; else -E_CORRUPT.
int ts_record_unpack(const uint8_t *bytes, size_t n, const struct key *recipe,
                     struct ts_rendition *out);

#endif
