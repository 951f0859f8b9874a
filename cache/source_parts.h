// SPDX-License-Identifier: BSD-2-Clause
//
// source_parts - what the files of the source cache share.  Only source*.c include this.
//
//   source.c         reading, what others ask for, life
//   source_flight.c  questions to the origin that are under way
//   source_names.c   what is remembered of paths, and their opening
//
// A question to the origin is a flight.  Whoever wants what it brings waits for it,
// who began it like all others, and copies what has come while the rest comes.  It
// is flown without the lock by a thread of the origin, or, where a read is soon
// over, by who began it.  There are two kinds: reading a run of missing blocks
// (flights of one source seldom overlap), and opening a path, which is the reading
// of its first blocks as soon as the version is known (one per path until then).
// A failure is for those who wait for what did not come, and is not remembered.
//
// A flight is cut when who leaves it was cancelled and nobody else waits.  Who
// leaves it with his bytes lets it go on, as he or others will come for the rest: it
// is no more than what was asked for, hinted at, or a few blocks.
//
// Waiters copy from the flight's bytes, not from the cache, so blocks may be
// evicted at any time and a budget of zero works.  What is read and not cached is
// bounded: a flight is of read_max at most, and an origin has so many threads.
//
// A name is what is remembered of a path: its current source, or that there is
// none.  It holds a reference to its source, so blocks outlive their readers.
// Readers may hold older sources, which end with their last reader.
//
// One lock guards everything; under it there is bookkeeping only.  Bytes are
// copied and freed outside: what is taken out under the lock is put on a list
// called gone.  "Locked" above a function: the caller holds the lock.

#ifndef CACHE_SOURCE_PARTS_H
#define CACHE_SOURCE_PARTS_H

#include "cache/source.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/tasks.h"
#include "cache/blocks.h"

#define SOURCE_WANTS 16 // hints kept per source
#define NAME_BUCKETS 4096

// Blocks first..last, both included; none when last < first.
struct run {
    int64_t first, last;
};

struct flight {
    // constant
    struct source_cache *cache;
    struct origin *origin; // borrowed
    char *path;
    bool only_version; // of an opening: its blocks are here
    int64_t now_ms;    // of an opening

    // protected by the cache's lock
    struct list link;      // in source.flights, until it has landed or is given up
    struct list sibling;   // in source_cache.flights, until it has landed
    struct name *name;     // that it opens; NULL: it opens none, or the version is known
    struct source *source; // that the bytes are of, a reference; NULL: not known yet
    struct run run;        // constant once the source is known
    enum block_use use;    // of its blocks, as it turned out
    int refs;              // those who wait, and who flies it
    int64_t have;          // bytes that came
    bool done;
    int result; // once done
    pthread_cond_t news;

    // its thread's; bytes that came are constant
    struct buf data;
    struct cancel cancel;
    struct origin_progress progress;
    struct task task;
};

struct name {
    struct list lru;   // in source_cache.known or .absent
    struct name *next; // in its bucket
    struct origin *origin;
    struct source *source;  // a reference; NULL: absent
    int64_t until_ms;       // how long that is believed
    struct flight *opening; // under way, or NULL; the name stays while it is
    char path[];
};

struct source {
    // constant
    struct source_cache *cache;
    struct origin *origin; // borrowed
    struct origin_version version;
    char *path;

    // protected by cache->lock
    int refs;
    bool dead;              // it changed at the origin
    struct block_file file; // what of it is here
    struct list flights;
    struct run wants[SOURCE_WANTS];
    int next_want;
    int64_t next_block; // behind the last read
};

struct names {
    struct list list; // the last used first
    int count, max;
};

struct source_cache {
    // constant
    int64_t block_size, first_read, fresh_ms, negative_ms;
    int64_t run_max, near_max; // blocks

    pthread_mutex_t lock; // protects the rest
    struct blocks blocks;
    struct name *name_buckets[NAME_BUCKETS];
    struct names known, absent;
    struct list flights;
    pthread_cond_t landed; // for who destroys it
};

// ---- source.c

// A reference; takes no lock.
struct source *source_create(struct source_cache *c, struct origin *origin, const char *path,
                             const struct origin_version *version);

// Locked.  NULL is fine.
void source_unref(struct source *s, struct list *gone);

// Locked.  It changed at its origin.
void source_bury(struct source *s, struct list *gone);

// ---- source_flight.c

// A flight that was not begun yet, and its one reference.
struct flight *flight_create(struct source_cache *c, struct origin *origin, const char *path);

// Locked; released meanwhile.  Its name or its source and run are set, and it can be found there.
void flight_begin(struct flight *f);

// Locked; released while it waits, until the source is known and need bytes have come: 0.
// Its error when it ended before that; -E_CANCELLED when the waiter was cancelled.
int flight_wait(struct flight *f, int64_t need, const struct cancel *cancel);

// Gives a reference back.  cancelled: he did not get what he came for; the last one of those who
// wait cuts the flight then.
void flight_leave(struct flight *f, bool cancelled);

// The bytes that one of its blocks' run has.  Its source is known.
int64_t flight_size(const struct flight *f);

// ---- source_names.c

// Locked.  The origin said what is at f->name: that is f->source from now on.
void names_found(struct flight *f, const struct origin_version *version, struct list *gone);

// Locked.  It said err; or nothing, as f was given up.
void names_not_found(struct flight *f, int err, struct list *gone);

// Locked.  The origin does not have this version any more: the next opening asks.
void names_forget(struct source *s, struct list *gone);

// Locked.  Passes over what is being opened: that is one per reader at most.
void names_trim(struct source_cache *c, struct names *names, struct list *gone);

#endif
