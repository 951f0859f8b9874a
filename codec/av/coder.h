// SPDX-License-Identifier: BSD-2-Clause
//
// coder - libav's decoder as a job's track wants it, and those that jobs before have left.
//
// Where a GOP goes on behind a segment's end, the decoder stays open, standing where the job
// ended; a job that would decode the very same samples before its own goes on with it and
// decodes none of them again.  So it gives the pictures that a fresh one would give: it has
// taken the same samples, none of them damaged, or others before an IDR picture.  The process has
// the last few; all calls are the thread's that runs jobs.

#ifndef CODEC_AV_CODER_H
#define CODEC_AV_CODER_H

#include <stdatomic.h>

#include <libavcodec/avcodec.h>

#include "codec/av/fail.h"
#include "codec/job.h"

// The first pictures that whoever shows them keeps for those who come late: so many, and bytes.
#define CODER_SHOWN_MAX 16
#define CODER_SHOWN_BYTES (48 * MIB)

// Samples that a decoder has taken, from one on where a fresh one could begin.
struct taken {
    struct sample first, last;
    int count; // 0: none
};

struct coder {
    AVCodecContext *ctx;
    AVPacket *packet;    // read, not yet taken by the decoder
    AVPacket *last;      // taken; no bytes where nobody needs it (coder_packet_for_end)
    atomic_bool made_up; // parts of a picture were, by a thread of the decoder
    struct taken all;    // of its samples
    struct taken clean;  // since the last IDR picture
    bool has_sets;       // parameter sets stood in its samples
};

// Opens the one decoder codecs.def names for the job's video or audio.  steady: damage is
// concealed, always in the same way.  *out is to be closed in either case; 0, -E_CONFIG,
// -E_NO_MEMORY or -E_CORRUPT.
int coder_open(struct coder **out, const struct job *job, bool video, bool steady,
               const struct why *why);

// *c becomes NULL.  NULL is fine.
void coder_close(struct coder **c);

// Notes that the sample, coded so in p, is given to it next: all samples of jobs that leave it.
void coder_note(struct coder *c, const struct job *job, const struct sample *s, const AVPacket *p);

// Notes that c->packet goes to the decoder, which is of video.
void coder_note_last(struct coder *c);

// What the decoder is given at the end, before it is told that no more comes: that of RealVideo 2
// holds a picture back and gives it only when another comes.  NULL: nothing.
const AVPacket *coder_packet_for_end(const struct coder *c);

// Leaves *c, which becomes NULL, for a job that goes on behind the picture of this pts: it has met
// no damage and no end.  Frees those that were left longest ago, where there are too many.
void coder_leave(struct coder **c, const struct job *job, int64_t pts);

// One that was left, if the job goes on with it: then *count of its samples were taken.  To be
// closed. Else NULL, and *count stays.
struct coder *coder_resume(const struct job *job, int *count);

// Says in stats which are left.
void coder_report(struct job_stats *stats);

// Frees all that were left.
void coder_forget(void);

// What is left, and one that is opened beside it, may take so many bytes, about, from now on; one
// always may.
void coder_allow(int64_t bytes);

#endif
