// SPDX-License-Identifier: BSD-2-Clause
//
// wanted - how soon somebody wants something, as one number: less is sooner.
//
// A class comes before the next, whatever its times; inside a class it is the time at which it is
// due, microseconds of the monotonic clock.

#ifndef BASE_WANTED_H
#define BASE_WANTED_H

#include <stdbool.h>
#include <stdint.h>

enum wanted_class {
    WANTED_VIEWER, // somebody waits for it
    WANTED_AHEAD,  // somebody will ask for it next
    WANTED_WARM,   // an operator wants it to be there
};

#define WANTED_BY_NOBODY INT64_MAX
#define WANTED_CLASS ((int64_t)1 << 60)

// Who asks for something, and how soon it is wanted.
struct asker {
    uint32_t client; // hash of who that is
    int64_t wanted;
};

static inline int64_t wanted_at(enum wanted_class c, int64_t due_us)
{
    return c * WANTED_CLASS + due_us;
}

static inline bool wanted_by_viewer(int64_t wanted)
{
    return wanted < WANTED_CLASS;
}

#endif
