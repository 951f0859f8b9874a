// SPDX-License-Identifier: BSD-2-Clause
//
// fetch - many HTTP requests at once on one thread: the door to libcurl.
//
// All viewers share a pool of kept connections, so there are about as many as requests at
// a time; a player in the world has its own.

#ifndef BENCH_VIEWERS_FETCH_H
#define BENCH_VIEWERS_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetched {
    int status;           // of HTTP; 0: no answer
    const char *why;      // without an answer, or when it was cut
    bool whole;           // the body came to its end
    bool hit;             // Cache-Status says that it was in a cache
    int retry_after;      // seconds, 0: not said
    int64_t bytes;        // of the body
    int64_t first, total; // microseconds until the body's first byte and its end
};

// Called in fetcher_run.  data may be called for the body of any status.
struct fetch_handler {
    void (*data)(void *ctx, int status, const uint8_t *bytes, size_t n);
    void (*done)(void *ctx, const struct fetched *f);
};

struct fetcher;
struct fetch;

// NULL when libcurl has no memory.
struct fetcher *fetcher_create(void);
void fetcher_destroy(struct fetcher *f); // no fetch is left

// Begins a GET.  header_count lines of headers; handler and ctx live until done was called or
// fetch_cancel has returned.
struct fetch *fetch_start(struct fetcher *f, const char *url, const char *const *headers,
                          int header_count, const struct fetch_handler *handler, void *ctx);

// Ends it without a call of done.  Not from within data.
void fetch_cancel(struct fetch *fetch);

// Waits for the network, for at most so long, and calls handlers.
void fetcher_run(struct fetcher *f, int timeout_ms);

// The URL that uri means on the page base, with the query joined if there is one; to be
// freed.  NULL for what is no URL.
char *fetch_resolve(const char *base, const char *uri, const char *query);

// A path as it stands in a URL, its slashes kept; to be freed.
char *fetch_escape(const char *path);

#endif
