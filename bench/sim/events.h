// SPDX-License-Identifier: BSD-2-Clause
//
// events - what happens next in a simulation: a heap of times.  Of equal times, who came first.

#ifndef BENCH_SIM_EVENTS_H
#define BENCH_SIM_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct event {
    int64_t at_us;
    void (*happens)(void *what, uint64_t epoch);
    void *what;
    uint64_t epoch;  // for what, to know that it is out of date
    uint64_t number; // private
};

struct events {
    struct event *heap;
    size_t count, cap;
    uint64_t numbers;
};

void events_add(struct events *e, const struct event *event);

// Takes the next one off; false when there is none.
int events_next(struct events *e, struct event *out);

void events_finish(struct events *e);

#endif
