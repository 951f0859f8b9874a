// SPDX-License-Identifier: BSD-2-Clause
//
// crowd - lets the visits of a trace happen when they are due, however slow the server is
// (open loop: nobody waits for another's answer).

#ifndef BENCH_VIEWERS_CROWD_H
#define BENCH_VIEWERS_CROWD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "bench/viewers/viewer.h"

struct crowd_settings {
    struct viewer_settings viewer;
    double speed;  // arrivals this much faster than in the trace
    int64_t limit; // us: who is still there then is stopped; INT64_MAX: nobody
    void (*progress)(size_t begun, size_t present); // each second; NULL: not wanted
};

// Returns when all visits are over, or soon after *stop has become true.  0, or -1 without
// memory for libcurl.
int crowd_run(const struct crowd_settings *s, const struct trace *t, struct report *r,
              const atomic_bool *stop);

#endif
