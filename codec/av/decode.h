// SPDX-License-Identifier: BSD-2-Clause
//
// decode - turns the samples of a job into frames, pictures or sound alike.

#ifndef CODEC_AV_DECODE_H
#define CODEC_AV_DECODE_H

#include "codec/av/coder.h"
#include "codec/av/fail.h"
#include "codec/io.h"
#include "codec/job.h"
#include "codec/payload.h"

struct decoder {
    // constant after decoder_open; borrowed
    const struct job *job;
    struct io *io;
    const struct why *why;
    const struct strip *strip;
    bool video;
    bool sliced; // real.h

    struct coder *coder;
    uint8_t headers;  // of the sample it got last
    int next, end;    // indices of the next sample to read, and behind the last
    bool drained;     // the decoder knows that no more comes
    bool between;     // or thinks so, for what comes does not go on with what it has
    int drain_errors; // a broken decoder must not keep us for ever
    struct payload payload;

    bool steady;       // with one thread: damage is concealed
    bool damaged;      // something could not be decoded
    bool resumed;      // the decoder is one that a job before has left
    int64_t given_pts; // of the picture given out last

    // for struct job_stats
    int64_t samples, frames, us;
};

// Opens the one decoder codecs.def names for the job's video or audio.  d is to
// be closed in either case.
int decoder_open(struct decoder *d, const struct job *job, struct io *io, bool video,
                 const struct why *why);

// The same of a job's video, going on with what the job before has left, if it can: the first
// picture that it gives then is the first pick.
int decoder_resume(struct decoder *d, const struct job *job, struct io *io, const struct why *why);

// The next frame that could be decoded, in presentation order, its pts that of
// its sample: 1; 0 when there are no more; or a negative enum err.  Damage is not
// an error: such frames are missing, or flagged (decoder_damaged).
int decoder_next(struct decoder *d, AVFrame *frame);

bool decoder_damaged(const AVFrame *frame);

// What libav says, as its log has it.  Any thread.
void decoder_overhear(void *context, const char *fmt);

void decoder_close(struct decoder *d);

// The same of a job that was done, without concealing anything: its decoder is left for the job
// that goes on, if it can be.
void decoder_leave(struct decoder *d);

#endif
