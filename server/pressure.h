// SPDX-License-Identifier: BSD-2-Clause
//
// pressure - whether viewers ask for more than the workers can make.  It begins when who comes
// would wait too long, and is over when for a while he would have waited less than half of that:
// what is decided by it does not flap.  Pure: the clock and the wait are given.

#ifndef SERVER_PRESSURE_H
#define SERVER_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#define PRESSURE_REFUSED INT64_MAX // the wait of who is turned away

// Starts zeroed.
struct pressure {
    bool on;
    int64_t calm_us; // while it is on: so long is the wait short; 0: it is not
};

// Takes a look at now_us, monotonic and above 0: who comes would wait for wait_us.  limit_us is
// too long, 0: nothing is; ease_us is how long the wait has to be short.  True: on has changed.
bool pressure_look(struct pressure *p, int64_t wait_us, int64_t limit_us, int64_t ease_us,
                   int64_t now_us);

#endif
