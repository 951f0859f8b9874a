// SPDX-License-Identifier: BSD-2-Clause
//
// wire - the protocol between the server and a worker, over a stream socketpair.
//
// A message is: u8 type, u24 length (both big-endian), payload.  The worker begins
// with HELLO; then, job after job: the server sends JOB; the worker sends any
// number of READ and APPEND; the server answers each READ by one DATA with the
// same id, in any order; the worker ends with DONE or FAIL.  CANCEL may come at
// any time; a worker that is idle ignores it.  Either side closes to end it all.
// A video job makes one rung or more of the same pictures.  While it runs, the server may send
// JOIN, which the worker answers with JOINED, and DROP; the worker says END of a rung that is whole
// while there are others, DONE of all.  What it has not answered by then it has not taken. While a
// job runs, the worker may send some LOG: it has no other way to be heard. Nobody trusts anybody:
// lengths and ids are checked on both sides, and a breach (-E_PROTOCOL) ends the worker.

#ifndef CODEC_WIRE_H
#define CODEC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define WIRE_VERSION 11
#define WIRE_JOB_MAX (15 * 1024 * 1024) // a packed job
#define WIRE_READ_MAX (1024 * 1024)     // bytes asked by one READ
#define WIRE_APPEND_MAX (1024 * 1024)   // bytes of the answer in one APPEND
#define WIRE_RUNG_MAX 400               // packed settings of one rung
#define WIRE_STATS_MAX 400              // of a DONE
#define WIRE_TEXT_MAX 4000              // the signature; the line of a FAIL
#define WIRE_LINE_MAX 400               // the line of a LOG
#define WIRE_LINES_MAX 16               // LOGs of one job

enum wire_type {
    WIRE_HELLO = 1, // be32 version, then the signature text (libraries, header bytes)
    WIRE_JOB,       // job_pack
    WIRE_READ,      // be32 id, be64 offset, be32 n
    WIRE_DATA,      // be32 id, be32 code (0 or an enum err), bytes
    WIRE_APPEND,    // u8 rung, bytes of its answer
    WIRE_DONE,      // job_stats_pack
    WIRE_FAIL,      // be32 enum err, then one line for people
    WIRE_CANCEL,    // empty
    WIRE_LOG,       // u8 enum log_level, then one line for people
    WIRE_WANT,      // be64 offset, be64 n: bytes that will be read soon
    WIRE_JOIN,      // job_rung_pack: one more rung is wanted, whose number is the next one
    WIRE_JOINED,    // u8 rung, u8 whether it is made: the answer
    WIRE_DROP,      // u8 rung: it is not wanted any more
    WIRE_END,       // u8 rung: all of it was appended
    WIRE_TYPES,
};

struct wire_message {
    enum wire_type type;
    struct buf payload; // its length is one that the type may have
    uint8_t _head[4];
    size_t _have; // bytes received so far, head included; 0: none
};

void wire_message_init(struct wire_message *m);
void wire_message_finish(struct wire_message *m);

// Sends one message whose payload is two pieces put together (either may be
// empty).  Blocks; no SIGPIPE.  0; -E_WORKER when the peer is gone; -E_LIMITS when
// the length is none that the type may have.
int wire_send(int fd, enum wire_type type, const void *a, size_t na, const void *b, size_t nb);

// Receives one message, waiting until the monotonic time deadline_ms (INT64_MAX:
// for ever).  0; -E_WORKER when the peer is gone; -E_TIMEOUT (what came of the
// message is kept in m, so asking again goes on); -E_PROTOCOL; -E_NO_MEMORY.
int wire_receive(int fd, struct wire_message *m, int64_t deadline_ms);

// True when something can be received (or the peer is gone) without waiting.
bool wire_pending(int fd);

// ---- the same without ever waiting, for who has more to watch than one socket

// Receives what there is of a message: 1 when it is whole, 0 when more must come, or
// an error as above.
int wire_take(int fd, struct wire_message *m);

// Messages on their way out.
struct wire_out {
    struct buf bytes;
    size_t sent;
};

void wire_out_init(struct wire_out *o);
void wire_out_finish(struct wire_out *o);
bool wire_out_empty(const struct wire_out *o);

// Adds one message, as wire_send.  0; -E_LIMITS; -E_NO_MEMORY, and the stream is of
// no more use.
int wire_out_put(struct wire_out *o, enum wire_type type, const void *a, size_t na, const void *b,
                 size_t nb);

// Sends what the socket takes now: 0, or -E_WORKER when the peer is gone.
int wire_out_flush(int fd, struct wire_out *o);

// ---- the zygote
// The worker program is started with its control socket (SOCK_SEQPACKET) as
// descriptor 3 and the most memory of a worker in bytes, as decimal text, as argv[1].
// It loads the libraries, says struct zygote_hello, and forks a worker for each
// ZYGOTE_FORK that has the worker's end of a socketpair attached.  It answers with
// struct zygote_reply, and a pidfd attached when ok.  ZYGOTE_STATUS asks how a worker
// ended, which must be dead by then.  It ends when the control socket is closed, and
// its workers with it.
#define ZYGOTE_FD 3

enum zygote_kind { ZYGOTE_FORK = 'F', ZYGOTE_STATUS = 'S' };

struct zygote_request {
    int32_t kind;
    int32_t pid;    // ZYGOTE_STATUS
    int64_t memory; // ZYGOTE_FORK: bytes, at most those of argv[1]
};

struct zygote_hello {
    int32_t version;          // WIRE_VERSION
    int32_t ok;               // 1: text is the signature; 0: text says what is wrong
    char text[WIRE_TEXT_MAX]; // terminated
};

struct zygote_reply {
    int32_t ok; // 1, or 0 and error
    int32_t pid;
    int32_t error; // errno; of ZYGOTE_STATUS what waitpid said
};

// How a worker exits that found no memory: it is not a crash.
#define WORKER_NO_MEMORY 3

// One message of a seqpacket socket, with or without (-1) a descriptor.  0 or
// -E_WORKER.  zygote_receive wants exactly n bytes; a descriptor that came along is
// the caller's; other than one or none of them is an error.
int zygote_send(int control, const void *bytes, size_t n, int fd);
int zygote_receive(int control, void *bytes, size_t n, int *fd);

#endif
