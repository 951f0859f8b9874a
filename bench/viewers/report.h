// SPDX-License-Identifier: BSD-2-Clause
//
// report - what the crowd felt: start-up times, stalls, errors, work for nothing.  Pure
// but for writing it out.  Times are microseconds.

#ifndef BENCH_VIEWERS_REPORT_H
#define BENCH_VIEWERS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/viewers/fetch.h"
#include "bench/viewers/player.h"

// Values of which quantiles are wanted; all are kept.
struct sample {
    int64_t *values;
    size_t count, cap;
    bool sorted;
};

enum request_kind {
    REQUEST_MASTER,
    REQUEST_PLAYLIST,
    REQUEST_INIT,
    REQUEST_SEGMENT,
    REQUEST_KINDS
};

// How a visit ended.
enum ending {
    ENDING_LEFT,      // watched as long as it wanted to
    ENDING_ALL,       // to the end of the media
    ENDING_IMPATIENT, // nothing was shown for too long
    ENDING_FAILED,    // a request failed for good
    ENDING_STOPPED,   // the run was over
    ENDINGS
};

struct report {
    int64_t endings[ENDINGS];
    int64_t stalls, visits_with_stalls, seeks;
    int64_t played, stalled, fetched; // of media, of the clock, of video media
    struct sample startup, seeking;   // one each of a visit that started, and that sought
    int64_t requests[REQUEST_KINDS], hits, bytes;
    int64_t refused, failed, gone,
        retried;                        // status 504 or 503; others; no answer or cut; tried again
    struct sample hit_first, hit_total; // segments from a cache
    struct sample miss_first, miss_total; // segments that had to be made
    int64_t lateness; // the most that an arrival was late: the crowd itself is too slow
    int64_t began, ended;
    char failure[512]; // the first visit that failed: of what and why
};

void report_finish(struct report *r);

// A request of a visit came to its end; f is borrowed.
void report_request(struct report *r, enum request_kind kind, const struct fetched *f);

// A visit fails by this request, which was tried as often as it may be.
void report_failure(struct report *r, const char *url, const struct fetched *f);

// A visit is over; fetched: of video media, whole segments.
void report_visit(struct report *r, const struct player *p, enum ending ending, int64_t fetched);

// The smallest value that the share (0 to 1) of all does not exceed; -1 without any.  Sorts, once.
int64_t sample_quantile(struct sample *s, double share);

void report_print(struct report *r, FILE *out);

// The same as one JSON object; times in milliseconds.
void report_json(struct report *r, FILE *out);

#endif
