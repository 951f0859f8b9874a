// SPDX-License-Identifier: BSD-2-Clause
//
// http - the door to libmicrohttpd: sockets, the gate against malformed and
// smuggled requests, suspending and resuming, and sending bodies.
//
// For every request that passes the gate the handler's step is called, on an
// HTTP thread, and again each time what it waited for has changed, until it
// answers.  It never blocks.  The only thing to wait for is an object: to wait,
// step names it and how many bytes it has seen of it.
//
// A client that leaves is noticed while its connection is suspended too (its
// socket is watched for a hang-up); then done is called soon, and step no more.
// A client that closes its sending side has left, even if it still reads.

#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/reply.h"

struct conf;
struct http;
struct object;

// One request and its answer.  The fields are constant during the request.
struct http_exchange {
    const char *path;  // request target up to '?', percent-encoded
    const char *query; // after '?', "" if none, percent-encoded
    struct reply_request request;
    const uint8_t *body; // of POST, which is answered when all of it is there; borrowed
    size_t body_size;
    bool accepts_gzip;
    bool from_page;      // a page in a browser asks, perhaps of another site (Origin, RFC 6454 7)
    const char *cmcd[3]; // the values of its fields Request, Session, Status; NULL where absent
    char client[64];     // address without port, for logs and fair shares
    int64_t start_us;    // monotonic, when the header was complete
    // For the handler.
    void *state;           // its own, starts NULL
    struct object *object; // the object that BODY_RANGE and BODY_STREAM send; a
                           // reference of the handler's, given back in done
    // The body is several objects, one behind the other: object, without its first `skip`
    // bytes, and those that next puts in its place.  A range is one of them all.
    bool chained;
    size_t skip;
};

enum http_verdict {
    HTTP_REPLY, // reply is filled in (http finishes it)
    // x->object is whole, and the answer, all of it with 200, is the same for all who get this
    // verdict for it.  It is prepared once: describe fills reply in.
    HTTP_PREPARED,
    HTTP_WAIT, // step again when *wait_for has other than *have bytes, or has ended
};

// How an exchange ended, for the access line.
struct http_outcome {
    int status;         // 0 when the client left before an answer
    int64_t body_bytes; // handed to the network; of a body that was whole before
                        // it was sent, all or (when the client left) nothing
    bool client_gone;   // left before the end of the answer
    bool cut;           // the body failed in the middle and the connection was cut
    int64_t first_us;   // monotonic time of the answer's header; 0 if none
};

#define HTTP_BODY_MAX 1024

struct http_handler {
    void *arg;
    // Whether a POST to this path is to be stepped, with at most HTTP_BODY_MAX bytes; all others
    // are answered 405.  NULL where none is.
    bool (*posts)(void *arg, const char *path);
    enum http_verdict (*step)(void *arg, struct http_exchange *x, struct reply *reply,
                              struct object **wait_for, size_t *have);
    // Fills in the reply that is the same for all.  NULL where none is.
    void (*describe)(void *arg, struct http_exchange *x, struct reply *reply);
    // Puts the object behind x->object in its place; false: there is none.  Of exchanges that are
    // chained; NULL where none is.
    bool (*next)(void *arg, struct http_exchange *x);
    // Called exactly once per exchange for which step was called; frees state.
    void (*done)(void *arg, struct http_exchange *x, const struct http_outcome *outcome);
};

// Starts to listen on address (conf's forms) with threads HTTP threads.  NULL and
// one line in why on failure.
struct http *http_start(const struct conf *conf, const char *address, int threads,
                        const struct http_handler *handler, char *why, size_t cap);

// Name and version of the library behind it: "libmicrohttpd 0.9.75".
const char *http_library(void);

// The address as bound: "127.0.0.1:43211", "[::1]:8080" or "unix:/path".
const char *http_address(const struct http *h);

// Resumes what is suspended, answering 504, as to all requests from now on; gives
// answers on their way two seconds; stops listening, and ends all threads.
void http_stop(struct http *h); // NULL is fine

#endif
