// SPDX-License-Identifier: BSD-2-Clause
//
// edge - the running server: everything that answering a request needs, built
// in order and torn down in reverse.  Constant while the server runs, but for
// stopping; every part is thread-safe.

#ifndef SERVER_EDGE_H
#define SERVER_EDGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/conf.h"

#define EDGE_TIERS 2

struct edge {
    const struct conf *conf; // borrowed
    struct zygote *zygote;
    const char *signature;          // of the workers' libraries (codec/av/av.h)
    const char *headers;            // the part of it that stands for header bytes
    char *builds;                   // all of it but the CPU's class
    char *cpu;                      // that
    struct tier *tiers[EDGE_TIERS]; // nearest first
    int tier_count;
    struct spill *spill; // NULL without tiers
    struct store *store;
    struct source_cache *sources;
    struct origin *origins[CONF_ORIGINS]; // in the order of conf->origins
    // Threads of each origin that open its sources and bring their bytes: one that does
    // not answer keeps nobody from the others.
    struct tasks *open[CONF_ORIGINS];
    struct assets *assets;
    struct sched *sched;
    struct tasks *lookup;        // threads that ask the lower tiers
    struct tasks *plan;          // threads that plan and print
    struct keyring *keyring;     // NULL without a key server
    struct tasks *ask;           // threads that ask it; likewise
    struct deadlines *deadlines; // of makings
    struct ahead *ahead;         // what will be asked for next
    struct warm *warm;           // what an operator wants to be there
    struct keeper *keeper;       // long ones go on without readers
    struct measured *measured;   // sizes of segments that were seen
    struct pages *pages;         // scripts and styles; NULL without ui
    bool encrypts;               // players get audio and video only encrypted
    atomic_bool stopping;        // set before the viewers' listener is stopped
};

// Builds all of it; must be called while the process has one thread (it forks
// the zygote).  NULL and one line in why on failure.
struct edge *edge_create(const struct conf *conf, char *why, size_t cap);

// Nobody may have an object open.  NULL is fine; so is a half-built one.
void edge_destroy(struct edge *e);

// The number of the origin that serves this asset path, and the path there; -1 when
// no prefix matches.  The path points into asset.
int edge_origin(const struct edge *e, const char *asset, const char **path);

#endif
