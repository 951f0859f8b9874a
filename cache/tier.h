// SPDX-License-Identifier: BSD-2-Clause
//
// tier - a slower home for whole immutable objects: disk, Redis.
//
// What comes out of a tier is hostile until checked: get verifies length, key
// and checksum, and drops and counts what fails.  Calls may block (never on an
// HTTP thread) and are thread-safe.

#ifndef CACHE_TIER_H
#define CACHE_TIER_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct buf;
struct conf;

struct tier {
    const char *name; // "disk", "redis"
    // Replaces out (inited by the caller; its ceiling is the largest body taken)
    // with the body.  0, -E_NOT_FOUND (also for damaged), or another error,
    // which the caller treats like not found.
    int (*get)(struct tier *t, const struct key *key, struct buf *out);
    // Keeps a copy if it can; failures are counted, not reported.
    void (*put)(struct tier *t, const struct key *key, const void *body, size_t n);
    void (*drop)(struct tier *t, const struct key *key);
    void (*destroy)(struct tier *t);
};

// The disk tier under conf->cache_dir, which is created, locked against a
// second server, checked for its format version, swept of leftovers and
// adopted.  NULL and one line in why on failure.
struct tier *tier_disk_create(const struct conf *conf, char *why, size_t cap);

// Name and version of the library behind the Redis tier.
const char *tier_redis_library(void);

// The Redis tier of conf->redis_url.  Never fails for Redis being away; NULL
// and one line in why for a malformed URL.
struct tier *tier_redis_create(const struct conf *conf, char *why, size_t cap);

#endif
