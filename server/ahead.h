// SPDX-License-Identifier: BSD-2-Clause
//
// ahead - begins the segments that somebody will ask for next, before he does.
//
// Next is what CMCD names (nor), else the segments behind two that a client asked for in their
// order, of the same rendition, while those were not in memory already: who watches has them
// made one ahead, who swipes away after the first costs nothing, and where all is cached nobody
// looks.  What is begun is read here, so that it goes on without a viewer; it is let go when it
// has ended, and cancelled when the client asks for something else of that rendition, leaves in
// the middle of an answer, or asks for nothing for AHEAD_IDLE_US.
//
// A table of fixed size: who finds no place takes that of whoever was silent for longest.
// Thread-safe; nothing is called under its lock.

#ifndef SERVER_AHEAD_H
#define SERVER_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "server/route.h"

#define AHEAD_MAX 4            // segments of one rendition for one client
#define AHEAD_IDLE_US 20000000 // longer than any player waits to fill its buffer again
#define AHEAD_SWEEP_US 1000000 // so often its thread looks while anything is held

struct ahead;
struct object;

// What it does with segments.
struct ahead_calls {
    void *arg;
    // Begins to make what is absent: a reader's reference; NULL when it is there or being made.
    // Must not block.
    struct object *(*begin)(void *arg, const struct route *r, uint32_t client);
    // Gives that back; what nobody else reads is cancelled.
    void (*end)(void *arg, struct object **o);
};

// depth: segments that are begun at a time for one client, at most AHEAD_MAX, 0 for none;
// most: of all clients.  Starts its thread.
struct ahead *ahead_create(const struct ahead_calls *calls, int depth, int most);

// Ends everything and begins nothing more.
void ahead_stop(struct ahead *a);
void ahead_destroy(struct ahead *a); // NULL is fine; stops it

// At the time now_us client asked for r, a segment; cold: it was not in memory.  next: what it
// says that it will ask for next, a segment too; NULL: nothing.
void ahead_note(struct ahead *a, const struct route *r, uint32_t client, bool cold,
                const struct route *next, int64_t now_us);

// The client left before it had r.
void ahead_leave(struct ahead *a, const struct route *r, uint32_t client);

// Lets go what has ended or whose client was silent too long at now_us, as its thread does with
// its clock.
void ahead_sweep(struct ahead *a, int64_t now_us);

#endif
