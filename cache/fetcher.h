// SPDX-License-Identifier: BSD-2-Clause
//
// fetcher - small bodies from an HTTP(S) server that is no origin, whatever their version.
// Redirects are not followed.

#ifndef CACHE_FETCHER_H
#define CACHE_FETCHER_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct cancel;
struct fetcher;

struct fetcher_settings {
    const char *name;  // of the server, for the log
    const char *token; // sent as "Authorization: Bearer", "" for none; borrowed
    int64_t connect_timeout_ms;
    int64_t timeout_ms; // of all of an answer
    int retries, connections;
};

struct fetcher *fetcher_create(const struct fetcher_settings *s);
void fetcher_destroy(struct fetcher *f); // NULL is fine; nobody may be in fetcher_get

// GETs url into out (cleared first), at most max bytes.  Blocks; any thread.  The answer must be
// a 200.  -E_NOT_FOUND (404, 410), -E_ORIGIN, -E_ORIGIN_TIMEOUT, -E_CANCELLED.
int fetcher_get(struct fetcher *f, const char *url, size_t max, struct buf *out,
                const struct cancel *cancel);

#endif
