// SPDX-License-Identifier: BSD-2-Clause
//
// wire - the protocol between the server and a worker, over a stream socketpair.
//
// A message is: u8 type, u24 length (both big-endian), payload.  The worker begins
// with HELLO; then, job after job: the server sends JOB; the worker sends any
// number of READ and APPEND; the server answers each READ by one DATA with the
// same id, in any order; the worker ends with DONE or FAIL.  CANCEL may come at
// any time; a worker that is idle ignores it.  Either side closes to end it all.
// Nobody trusts anybody: lengths and ids are checked on both sides, and a
// breach (-E_PROTOCOL) ends the worker.

#ifndef CODEC_WIRE_H
#define CODEC_WIRE_H

#include <stdint.h>

#include "base/buf.h"

#define WIRE_VERSION 1
#define WIRE_PAYLOAD_MAX (15 * 1024 * 1024) // of any message
#define WIRE_READ_MAX (1024 * 1024)         // bytes asked by one READ
#define WIRE_APPEND_MAX (1024 * 1024)       // bytes of one APPEND

enum wire_type {
    WIRE_HELLO = 1, // be32 version, then the signature text (libraries, header bytes)
    WIRE_JOB,       // job_pack
    WIRE_READ,      // be32 id, be64 offset, be32 n
    WIRE_DATA,      // be32 id, be32 code (0 or an enum err), bytes
    WIRE_APPEND,    // bytes
    WIRE_DONE,      // job_stats_pack
    WIRE_FAIL,      // be32 enum err, be32 sent, then one line for people
    WIRE_CANCEL,    // empty
    WIRE_TYPES,
};

struct wire_message {
    enum wire_type type;
    struct buf payload; // ceiling WIRE_PAYLOAD_MAX
};

void wire_message_init(struct wire_message *m);
void wire_message_finish(struct wire_message *m);

// Sends one message whose payload is two pieces put together (either may be
// empty).  Blocks; no SIGPIPE.  0, -E_WORKER when the peer is gone, -E_LIMITS.
int wire_send(int fd, enum wire_type type, const void *a, size_t na, const void *b, size_t nb);

// Receives one message, waiting until the monotonic time deadline_ms (INT64_MAX:
// for ever).  0; -E_WORKER when the peer is gone; -E_TIMEOUT; -E_PROTOCOL.
// After -E_TIMEOUT in mid-message the stream is unusable.
int wire_receive(int fd, struct wire_message *m, int64_t deadline_ms);

// True when something can be received (or the peer is gone) without waiting.
bool wire_pending(int fd);

// ---- the zygote
// The worker program is started with its control socket (SOCK_SEQPACKET) as
// descriptor 3 and forks a worker for each request: one byte 'F' with the
// worker's end of a socketpair attached.  It answers with struct zygote_reply and
// a pidfd attached when ok.  It ends when the control socket is closed.
#define ZYGOTE_FD 3

struct zygote_limits { // argv[1], as decimal text "memory_bytes"
    int64_t memory;
};

struct zygote_reply {
    int32_t ok; // 1, or 0 and error
    int32_t pid;
    int32_t error; // errno
};

#endif
