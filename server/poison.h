// SPDX-License-Identifier: BSD-2-Clause
//
// poison - remembers which sources brought their workers down.  The newest 1024 of them:
// the oldest makes room.  No locks: its owner has one.

#ifndef SERVER_POISON_H
#define SERVER_POISON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

#define POISON_SOURCES 1024
#define POISON_CRASHES 2 // with as many a source is refused

// All zero is empty.
struct poison {
    struct suspect {
        struct key version; // of a source
        int crashes;        // 0: nobody
        int64_t until_ms;   // forgotten then
    } suspects[POISON_SOURCES];
    int next; // to be written over
};

// One more worker went down with this version, at the monotonic time now_ms; that is
// remembered for for_ms.  True: from now on it is refused.
bool poison_note(struct poison *p, const struct key *version, int64_t now_ms, int64_t for_ms);

// Whether it is refused at now_ms.
bool poison_has(const struct poison *p, const struct key *version, int64_t now_ms);

#endif
