// SPDX-License-Identifier: BSD-2-Clause
//
// transfer - requests to one HTTP(S) server, each with an answer that is judged before it is
// taken.  Origins (cache/origin_http.c) and fetchers (cache/fetcher.h) are made of it.
//
// Connections are shared by all who ask; an answer that may pass (a 5xx, a cut, a stall) is
// asked for again, so often and so seldom as the settings allow.

#ifndef CACHE_TRANSFER_H
#define CACHE_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct answer;
struct buf;
struct cancel;
struct transfers;

// More of a body than this is not read for the connection's sake.
#define TRANSFER_DRAIN_MAX (16 * KIB)

struct transfer_settings {
    int64_t connect_timeout_ms;
    int64_t timeout_ms; // for each bit of progress
    int retries, connections;
};

// Starts a thread.
struct transfers *transfers_create(const struct transfer_settings *s);

// NULL is fine; nobody may be in transfer_ask.
void transfers_destroy(struct transfers *ts);

// How requests are signed.  The name of a key has no blanks and ':'.
struct signer {
    const char *how; // as CURLOPT_AWS_SIGV4 has it
    const char *key_id, *secret;
};

// All borrowed until transfer_ask returns.
struct request {
    const char *name; // of what is asked for, for the log
    const char *url;
    const char *const *headers;  // lines, NULL-ended
    bool head;                   // the answer has no body
    bool redirects;              // are followed, a few, but never further inside (cache/reach.h)
    const struct cancel *cancel; // or NULL
    const struct signer *signer; // or NULL: it is not signed
    struct buf *out;             // the body; NULL for head

    // Before each try; out has what came of the body before it was cut, and the headers may ask
    // for the rest.  NULL: each try begins anew.
    void (*prepare)(void *arg, int64_t have);

    // Called for each answer when its first body byte or its end has come, on a thread that
    // may not block.  0: what answer_take or answer_take_all says is taken, and the body of
    // any other version never; or an error, by answer_fault where people should know more.
    int (*judge)(struct answer *a, void *arg);

    // Bytes were added to out.  NULL: nobody wants to know.  On the same thread.
    void (*came)(void *arg);
    void *arg; // of all three
};

// Asks, if need be again.  Blocks; any thread.  What judge returned, -E_ORIGIN,
// -E_ORIGIN_TIMEOUT, -E_CANCELLED, -E_NO_MEMORY; out is empty then.
int transfer_ask(struct transfers *ts, const struct request *r);

// ---- for who judges

long answer_status(const struct answer *a);

// The value of a header; NULL when it is absent, repeated or not plain text.  Valid until judge
// returns.
const char *answer_header(const struct answer *a, const char *name);

// As the header tells it; -1: it does not.
int64_t answer_length(const struct answer *a);

// Whether its body is anything but the bytes themselves.
bool answer_is_encoded(const struct answer *a);

// Of the body, n bytes behind the first skip, put behind what out has; size is all of it.  Without
// a call: none.
void answer_take(struct answer *a, int64_t skip, int64_t n, int64_t size);

// All of the body, which may have so many bytes at most.
void answer_take_all(struct answer *a, int64_t max);

// Says why, returns code.
int answer_fault(struct answer *a, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

// The same of a status that is not understood; asking again may help with some.
int answer_refuse(struct answer *a);

// ---- connections

// Whether the `left` bytes of a body, of which so many were seen since its first, will have come
// before a new connection is there; that takes as much longer as first bytes take on a fresh one
// than on a kept one (0: not known).  Pure.
bool transfer_is_soon(int64_t left, int64_t seen, int64_t since_us, int64_t fresh_us,
                      int64_t kept_us);

// ---- the library

// NULL when base can be what paths are put behind, else why not.
const char *transfer_base_fault(const char *base);

// Name and version of libcurl and what it is built on.
const char *transfer_library(void);

// Once per process, before threads: libcurl's global state.
int transfer_global_init(void);

#endif
