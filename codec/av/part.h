// SPDX-License-Identifier: BSD-2-Clause
//
// part - one closed GOP of a segment: an encoder of its own on a thread of its
// own, and the fragments that come out of it.
//
// Parts depend on nothing but their pictures, so how many of them run at once
// changes the speed, never the bytes.  Pictures go in by part_give, a bounded number
// ahead of the encoder; fragments come out by part_take, in order.  All calls are
// the owner's thread's.

#ifndef CODEC_AV_PART_H
#define CODEC_AV_PART_H

#include <libavutil/frame.h>

#include "base/buf.h"
#include "codec/av/fail.h"
#include "codec/job.h"

#define PART_AHEAD_MAX 64

struct part;

struct part_order {
    const struct video_settings *v; // borrowed while the part lives
    int64_t frames;                 // it shall have
    int64_t first;                  // number of its first frame in the asset
    int64_t sequence;               // of its first fragment
    int cut_every;                  // packets of a fragment
    int64_t last_ticks;             // its last frame lasts so many; the others v->fps.den
    bool begins_segment;            // a styp goes before its first fragment
};

// Opens the encoder and starts the thread.  0 and *out, or a negative enum err.
int part_start(struct part **out, const struct part_order *order, const struct why *why);

// The headers its encoder writes (of all parts the same); valid while the part lives.
const uint8_t *part_headers(const struct part *p, size_t *n);

// Gives the next picture (a reference is taken; its pts is ignored).  Waits, at most
// wait_ms, while ahead of them (at most PART_AHEAD_MAX) are on their way to the encoder.
// 1 when it was taken, 0 when there was no room, or a negative enum err with why filled
// in: no memory, or what the encoder met.
int part_give(struct part *p, const AVFrame *frame, int ahead, int wait_ms, const struct why *why);

// True when it was given all its pictures.
bool part_is_fed(const struct part *p);

// The part behind it has begun: from its first fragment on its thread has a lower priority.  A
// segment is complete when its last part is, which began last; so that has more of the CPU.
void part_followed(struct part *p);

// Moves the bytes of fragments that are finished into out (inited; appended to).
// Waits at most wait_ms for the part's end, 0: not at all.  1 when the part ended
// and all of it was taken, 0 when more will come, or a negative enum err with why
// filled in.
int part_take(struct part *p, struct buf *out, int wait_ms, const struct why *why);

// Ends the thread, whatever it is at, and frees all.  Adds the time that encoding
// took to *us.  NULL is fine; nulls *p.
void part_stop(struct part **p, int64_t *us);

#endif
