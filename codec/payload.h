// SPDX-License-Identifier: BSD-2-Clause
//
// payload - reads the bytes of coded samples, however their source carries them.
//
// Neighbouring samples are fetched by one read, because each read of a worker is a round
// trip to its server.  Only the bytes from the first to the last sample of a run are asked
// for, small gaps (the other track) included; where samples are in pieces, up to 64 KiB
// more.

#ifndef CODEC_PAYLOAD_H
#define CODEC_PAYLOAD_H

#include "base/buf.h"
#include "codec/fail.h"
#include "codec/io.h"
#include "codec/media.h"
#include "codec/transport.h"
#include "codec/window.h"

#define PAYLOAD_SAMPLE_MAX (64 * MIB) // of one coded picture

struct payload {
    // borrowed
    struct io *io;
    const struct why *why;
    const struct carriage *carriage;
    const struct sample *samples;
    int count;

    struct buf run; // whole samples: bytes of the source from run_at; of others the last looked at
    int64_t run_at;
    struct window *window; // others
    struct transport transport;
};

void payload_init(struct payload *p, struct io *io, const struct carriage *c,
                  const struct sample *samples, int count, const struct why *why);
void payload_finish(struct payload *p);

// Copies the bytes of sample i, at most PAYLOAD_SAMPLE_MAX, into out, which has room for
// them.  Faster in order.  0, or a negative enum err: -E_CORRUPT when the source has no
// such bytes, what io returned.  Blocks.
int payload_read(struct payload *p, int i, uint8_t *out);

// The same without a copy where the samples are whole: *out is valid until the next call.
int payload_look(struct payload *p, int i, const uint8_t **out);

// Whether bytes are missing in the samples read so far, which were read in order, or between one
// and another that leans on it.  Only a transport stream tells.
static inline bool payload_is_torn(const struct payload *p)
{
    return p->transport.torn;
}

#endif
