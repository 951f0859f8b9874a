// SPDX-License-Identifier: BSD-2-Clause
//
// cmcd - Common Media Client Data (CTA-5004), what a player tells with a request.  Pure.

#ifndef BENCH_VIEWERS_CMCD_H
#define BENCH_VIEWERS_CMCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cmcd_mode { CMCD_NONE, CMCD_QUERY, CMCD_HEADERS };

#define CMCD_HEADER_COUNT 4 // Object, Request, Session, Status
#define CMCD_HEADER_MAX 512

struct cmcd {
    const char *session, *content;
    const char *type; // ot: m, i, v, a
    int64_t bitrate;  // kb/s of the object; 0: not told
    int64_t duration; // ms of the object; 0: not told
    int64_t buffer;   // ms of media buffered; -1: not told
    int64_t deadline; // ms until the buffer is empty; -1: not told
    int64_t measured; // kb/s of throughput; 0: not told
    bool startup;     // needed to begin, or to go on
    bool starved;     // it stalled before this request
    const char *next; // the next object's URI, relative to this one; NULL: not told
};

// The query's value, percent-encoded: CMCD=...; false when it does not fit.
bool cmcd_query(const struct cmcd *c, char *out, size_t cap);

// The four headers' lines, empty ones for what has nothing to say; false when one does not
// fit.
bool cmcd_headers(const struct cmcd *c, char out[CMCD_HEADER_COUNT][CMCD_HEADER_MAX]);

#endif
