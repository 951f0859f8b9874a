// SPDX-License-Identifier: BSD-2-Clause
//
// pace - whether a client takes its answer too slowly.  Pure: the clock and what
// the client has taken are given.

#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include <stdbool.h>
#include <stdint.h>

// Starts zeroed.
struct pace {
    int64_t since_ms; // it has been owed bytes at every look since then; 0: it was not
    uint64_t taken;   // what it had taken by then
};

// What is seen of a connection now.
struct pace_look {
    int64_t now_ms; // monotonic
    uint64_t taken; // bytes that the client has taken so far
    bool owed;      // there is more that only the client keeps from being sent
};

// True when the client took less than rate bytes a second over at least period_ms,
// owed more at every look: whoever waits for us is not slow.
bool pace_is_slow(struct pace *p, const struct pace_look *l, int64_t rate, int64_t period_ms);

#endif
