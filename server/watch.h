// SPDX-License-Identifier: BSD-2-Clause
//
// watch - one thread that looks after connections while nobody else does: it
// shuts down those past their deadline and those whose client takes its answer too
// slowly, and says when a client hangs up: to the owner while the connection is
// suspended, to libmicrohttpd, if that has missed it, while it waits for a header.
// It also says when a socket that was full takes bytes again.
//
// How slowly is asked of the system (TCP_INFO), which knows what the client has
// taken and whether it is the client that keeps us from sending more.  Of a unix
// socket it does not know; behind those is a proxy of one's own.
//
// A client that closes its writing side counts as hung up, though it may still
// read: to the socket both look the same, and clients of HTTP do not do that.

#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "server/pace.h"

struct watch;

// Embedded in whatever a connection is to its owner.
struct watched {
    struct list link; // private
    bool member;      // private
    uint32_t armed;   // private
    struct pace pace; // private
    int fd;           // open from watch_add to watch_remove
    // Monotonic; past it the socket is shut down, once.  0 for none: then the
    // client's pace is looked at.  May be set at any time, by any thread, to no
    // less than period_ms from then.
    _Atomic int64_t deadline_ms;
    // The client has hung up, or the socket takes bytes again: one of them is called, at
    // most once after watch_arm or watch_writable, on the watch's thread and under its
    // lock.  Must not block, nor call watch_*.
    void (*hung_up)(struct watched *w);
    void (*writable)(struct watched *w);
};

// period_ms is the shortest time to a deadline that anybody will set; one is
// noticed late by an eighth of that at most.  A client has to take rate bytes a
// second (0: as it likes) over rate_ms.  NULL when the system refuses.
struct watch *watch_create(int64_t period_ms, int64_t rate, int64_t rate_ms);
void watch_destroy(struct watch *t); // NULL is fine; nobody may be watched

void watch_add(struct watch *t, struct watched *w);
// When this returns, nothing of w is used any more.
void watch_remove(struct watch *t, struct watched *w);

// From now until w is called or removed, a hang-up of it is noticed; also one that has
// happened before.  Safe to repeat.
void watch_arm(struct watch *t, struct watched *w);

// The same, and that its socket takes bytes.  False when the system has no room for that.
bool watch_writable(struct watch *t, struct watched *w);

// Calls call for all that are watched, under the lock.
void watch_each(struct watch *t, void (*call)(struct watched *w));

#endif
