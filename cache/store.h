// SPDX-License-Identifier: BSD-2-Clause
//
// store - the memory tier: one object per key, made once, read by many.
//
// Whoever opens a key learns what to do from the verdict.  Exactly one caller
// per absent key gets STORE_MAKE and owes the object an end by store_commit or
// store_fail.  Everybody else reads along, also while it is being made.
//
// Locks: store.lock, then object.lock.  Under store.lock there is bookkeeping
// only: no I/O, no waking of readers, no freeing of bytes.
//
// Two budgets: of objects that are kept, which go when they do not fit, the coldest
// first; and of those in use: being made, read, or held by others.  An object goes from
// one to the other with its readers.  A hit is never refused: its bytes are there.  But
// nothing new is to be made while the objects in use exceed their budget (store_full),
// and one in the making cannot grow then.
//
// Counted here: hits_memory, joins, evictions_memory and the memory gauges.  Not
// misses: whether nobody had an object shows only when the lower tiers were asked.

#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct object;
struct policy;
struct store;

enum store_verdict {
    STORE_HIT,  // ended and fresh: whole, or a failure that is still remembered
    STORE_JOIN, // being made by somebody else: read along
    STORE_MAKE, // absent, stale or abandoned: the caller makes it, or fails it
};

#define STORE_FOREVER INT64_MAX

// At most so many failures are remembered; then the oldest is forgotten.
#define STORE_FAILURES_MAX 4096

// kept, in_use: the budgets, in bytes; object_max: ceiling of one object.  Owns the
// policy, which sees the kept objects.
struct store *store_create(int64_t kept, int64_t in_use, size_t object_max, struct policy *policy);
void store_destroy(struct store *s); // NULL is fine; no object may be open

// Looks key up at the monotonic time now_ms.  Never blocks.  *out must be NULL;
// it receives a reference that counts as a reader, given back by store_close.
enum store_verdict store_open(struct store *s, const struct key *key, int64_t now_ms,
                              struct object **out);

// Like store_open, but only finds: false when that would have been STORE_MAKE.
bool store_peek(struct store *s, const struct key *key, int64_t now_ms, struct object **out);

// Whether store_open would find it, ended or being made, without reading it.  Counts nothing.
bool store_has(struct store *s, const struct key *key, int64_t now_ms);

// Gives the reader's reference back and nulls *o.  Thread-safe.
void store_close(struct store *s, struct object **o);

// The maker's two ends.  The object is served from here until expires_ms
// (STORE_FOREVER: until evicted); an abandoned object is not kept.
void store_commit(struct store *s, struct object *o, int64_t expires_ms);
// Failures are remembered until forget_ms, so that a storm on a bad key costs
// one attempt; pass now (or less) to forget at once.
void store_fail(struct store *s, struct object *o, int code, const char *detail, int64_t forget_ms);

// Forgets a key; readers keep what they hold.  True if it was there.
bool store_drop(struct store *s, const struct key *key);

// Whether the objects in use have all their memory: what was opened to be made now
// should be failed instead.
bool store_full(struct store *s);

#endif
