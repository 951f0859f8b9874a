// SPDX-License-Identifier: BSD-2-Clause
//
// rung - one rendition's segment on its way: encodes the pictures that it is shown part after
// part, each on a thread of its own (part.h), and sends their bytes in order.
//
// With one part at a time decoding and encoding still overlap; more at a time pay on idle
// cores only, and what is sent is the first one's.  They run at a time because we decode far
// ahead of them; but not before the first bytes are out: until then that would only take time
// from the encoder that somebody waits for.
//
// All calls are the thread's that shows the pictures.

#ifndef CODEC_AV_RUNG_H
#define CODEC_AV_RUNG_H

#include "codec/av/part.h"
#include "codec/av/video.h"

struct rung {
    struct sink sink;
    // borrowed
    const struct job *job;
    struct io *io;
    const struct why *why;
    struct job_stats *stats;
    int number; // of the job's rungs

    struct video_settings v; // perhaps coarser than was ordered
    struct buf kept;         // of an encoder that is watched, until it is whole

    // Parts [sending, begun) run; the bytes of the first of them go out, the others wait.
    struct part *parts[JOB_PARTS_MAX];
    int sending, begun;
    int64_t first;    // frame of the next part
    int64_t sequence; // of its first fragment
    int64_t sent;     // bytes
    struct buf bytes; // on their way out
    uint8_t *headers; // of the first part: all others must have the same
    size_t headers_size;
};

void rung_init(struct rung *r, const struct job *job, int number, const struct video_settings *v,
               struct io *io, struct job_stats *stats, const struct why *why);

// Sends what is ready, or what of its first part becomes so in wait_ms.  What nobody wants any more
// is gone then (struct sink), which is no error.  0 or a negative enum err and why filled in.
int rung_send(struct rung *r, int wait_ms);

// Whether all that was shown is sent, or nobody wants it.
bool rung_is_over(const struct rung *r);

// Appends to its answer, at once.
int rung_append(struct rung *r, struct buf *bytes);

// Makes ready to be shown the same pictures again.
void rung_restart(struct rung *r);

void rung_finish(struct rung *r);

#endif
