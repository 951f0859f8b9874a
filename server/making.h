// SPDX-License-Identifier: BSD-2-Clause
//
// making - makes one object: from a lower tier, or from the source by way of
// the index, the plan and, for media, a worker.  What is owed by a STORE_MAKE
// is paid here, whatever happens.
//
// A making is a short list of steps on the task threads; none of them waits on
// a thread for another making or for a worker: it parks, and who completes
// what it waits for puts it back on a queue.  When the last reader of its object
// leaves, the making stops where it is and the object fails.

#ifndef SERVER_MAKING_H
#define SERVER_MAKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/wanted.h"
#include "cache/store.h"
#include "server/reply.h"
#include "server/route.h"

struct edge;
struct object;

// What is wanted of a route.
enum want {
    WANT_BODY,
    WANT_GZIP,  // text, compressed
    WANT_CHECK, // an empty object when the body could be made, for HEAD
};

// The name of that object in all tiers.  after: the page of a listing, else "".
struct key making_key(const struct edge *e, const struct route *r, enum want want,
                      const char *after);

// Opens the object of that key, which is making_key of the rest, as store_open does: starts to
// make it if that is up to us, and hurries who makes it already.  More makings at once than
// conf->http_makings fail the object with E_BUSY.  To be closed.  Never blocks, never fails.
enum store_verdict making_open(struct edge *e, const struct key *key, const struct route *r,
                               enum want want, const char *after, struct asker who,
                               struct object **out);

// Starts to make o, a body that another making needs and that store_open gave to it as STORE_MAKE;
// takes a reference of its own.  That was let in: they are not too many.  Never blocks, never
// fails.
void making_start_for_other(struct edge *e, const struct route *r, struct asker who,
                            struct object *o);

// To be called when store_open gave o as STORE_JOIN: it is wanted so soon.
void making_hurry(struct edge *e, struct object *o, int64_t wanted);

// Gives a reader's reference back and nulls *o.  What would have nobody then, and will be whole
// within conf->workers_salvage, goes on.  Never blocks.
void making_leave(struct edge *e, struct object **o);

// Blocks until no making is left: when all readers are gone, that is soon.
void making_wait_all(void);

// What a maker tells the readers of its object (object_marks).
enum mark {
    MARK_SOURCE, // enum reply_source
    MARK_QUEUE_US,
    MARK_ORIGIN_US,
    MARK_WORK_US,
    MARK_ENDS_US, // monotonic, when it will be whole, by what others took; 0: nobody knows
    MARK_RETRY_S, // of what was refused: to be asked for again after so many seconds
    MARK_GROWS,   // the same URL will have another body soon
};

#endif
