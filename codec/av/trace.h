// SPDX-License-Identifier: BSD-2-Clause
//
// trace - finds where in the source the packets lie that a demuxer gives, by their bytes:
// it knows no container, and what it says was compared byte for byte.  A packet that
// is found nowhere (the demuxer made it up, or changed it) is one that nobody could read
// later.  Packets of a track come in order; what is found lies ever further on, unless
// `back` says otherwise.  No libav here.

#ifndef CODEC_AV_TRACE_H
#define CODEC_AV_TRACE_H

#include <stdint.h>

#include "base/buf.h"
#include "codec/carriage.h"
#include "codec/transport.h"
#include "codec/window.h"

// libavformat's parsers may give the last bytes before a start code twice, at the end of a packet
// and at the start of the next.
#define TRACE_OVERLAP 3

struct trace {
    // pieces: each packet stands in one run, up to so many bytes before the one found farthest
    // on (sound that is interleaved); set by whoever knows that.  -1: it may be cut
    int64_t back;

    struct window *window;    // owned
    struct carriage carriage; // of what was traced so far (owned); kind as at trace_init
    bool split;               // pieces: some packet took more than one
    int64_t at;               // pieces: nothing before that is looked at any more; as a rule the
                              // end of the packet traced last

    // private
    int64_t stream;              // pieces: length of the elementary stream
    uint8_t tail[TRACE_OVERLAP]; // and its last bytes
    int piece_cap;
    struct transport transport;
    struct buf payload;     // of a transport stream: read, but not found to be a packet's yet
    int64_t payload_at;     // of its first byte in the elementary stream
    struct trace_run *runs; // where it stands in the source
    int run_count, run_cap;
};

// how: packets of the transport stream (pid included), or {0} for all other sources.
// Reads no more than ceiling bytes.
void trace_init(struct trace *t, struct io *io, const struct carriage *how, int64_t ceiling);
void trace_finish(struct trace *t);

// The n > 0 bytes of the next packet; hint: an offset of the source that it does not begin
// much behind, or 0.  1: *offset is its place as t->carriage counts; 0: not found; or a negative
// enum err (-E_LIMITS at the ceiling, -E_NO_MEMORY, what io returned).  Blocks.
int trace_packet(struct trace *t, const uint8_t *packet, int n, int64_t hint, int64_t *offset);

#endif
