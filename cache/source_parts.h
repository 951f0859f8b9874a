// SPDX-License-Identifier: BSD-2-Clause
//
// source_parts - what the files of the source cache share.  Only source*.c include this.
//
//   source.c         reading, what others ask for, life
//   source_flight.c  questions to the origin that are under way
//   source_names.c   what is remembered of paths, and their opening
//
// A question to the origin is a flight: one caller asks, on its own thread and
// without the lock, and whoever wants the same waits for the flight's end.
// There are two kinds: opening a path (one flight per path at a time) and
// reading a run of missing blocks (flights of one source never overlap).  When
// the asker was cancelled, those who wait start again and one of them asks; any
// other failure is theirs too, and is not remembered.
//
// Waiters copy from the flight's bytes, not from the cache, so blocks may be
// evicted at any time and a budget of zero works.  What is read and not cached
// is bounded by the readers: each asks for at most read_max at a time.
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
#include "cache/blocks.h"

#define SOURCE_WANTS 16 // hints kept per source
#define NAME_BUCKETS 4096

enum { AGAIN = 1 }; // beside 0 and errors: nothing came of it, start over

// Blocks first..last, both included; none when last < first.
struct run {
    int64_t first, last;
};

struct flight {
    // protected by the cache's lock
    struct list link; // in source.flights, while a read is under way
    int refs;         // the asker and the waiters
    bool done;
    pthread_cond_t end;

    // the asker's until done, then constant
    enum block_use use; // of a read's blocks, as it turned out; the cache's lock's until done
    struct run run;     // the blocks of a read; constant from the start
    int result;
    struct buf data;       // of a read that went well
    struct source *source; // of an opening that went well; a reference
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
    int64_t run_max; // blocks

    pthread_mutex_t lock; // protects the rest
    struct blocks blocks;
    struct name *name_buckets[NAME_BUCKETS];
    struct names known, absent;
};

// ---- source.c

// A reference; takes no lock.
struct source *source_create(struct source_cache *c, struct origin *origin, const char *path,
                             const struct origin_version *version);

// Locked.  NULL is fine.
void source_unref(struct source *s, struct list *gone);

// ---- source_flight.c

// With one reference; max: bytes that it brings at most.
struct flight *flight_create(int64_t max);

// Locked; released while it waits.  The flight's result, or -E_CANCELLED when
// the waiter was cancelled, AGAIN when the asker was.
int flight_wait(struct flight *f, struct source_cache *c, const struct cancel *cancel);

// Locked.
void flight_end(struct flight *f, int result);

// Gives a reference back.
void flight_leave(struct flight *f, struct source_cache *c);

// ---- source_names.c

// Locked.  The origin does not have this version any more: the next opening asks.
void names_forget(struct source *s, struct list *gone);

// Locked.  Passes over what is being opened: that is one per thread at most.
void names_trim(struct source_cache *c, struct names *names, struct list *gone);

#endif
