// SPDX-License-Identifier: BSD-2-Clause
//
// warm - makes the beginnings of assets that an operator names, before anybody asks for them.
//
// One after another, by the lowest class, so that nobody who watches waits for it but for the
// segment that a worker has just begun.  What is refused because others come first is asked
// for again, until it is there; only the server's end cancels it.  Of each asset: the entry
// playlist, and of some renditions the playlist, the init segment and the first segments.
//
// Thread-safe.  It is a reader like others, and knows of an asset what playlists say.

#ifndef SERVER_WARM_H
#define SERVER_WARM_H

#include <stddef.h>
#include <stdint.h>

#include "server/route.h"

#define WARM_NAMES 8      // renditions of an asset that may be named
#define WARM_PLAYLISTS 16 // of an asset; a name may have two
#define WARM_URI 96

struct object;
struct warm;

// What an operator wants of an asset.
struct warm_order {
    char base[ROUTE_ASSET_MAX];                  // its path, encoded, "/" first
    char names[WARM_NAMES][ROUTE_RENDITION_MAX]; // of renditions
    int count; // 0: those that players begin with, the first variant and the first sound
};

// What of an asset is to be made, as its master playlist writes it: URIs of playlists.
struct warm_list {
    char uris[WARM_PLAYLISTS][WARM_URI];
    int count;
};

// Those that o wants, of the n bytes of a master playlist.  Pure.
struct warm_list warm_choose(const struct warm_order *o, const char *master, size_t n);

// How it gets at objects.
struct warm_calls {
    void *arg;
    // A reader's reference to what is there or begins to be made.  Must not block.
    struct object *(*open)(void *arg, const struct route *r);
    void (*close)(void *arg, struct object **o);
};

// segments: how many of each rendition; most: orders that may wait.  Starts its thread.
struct warm *warm_create(const struct warm_calls *calls, int segments, int most);

// Ends everything, now.
void warm_stop(struct warm *w);
void warm_destroy(struct warm *w); // NULL is fine; stops it

// Takes what the n bytes of body, a JSON object, ask for: "assets" are one or several paths of
// assets, as URLs have them, and "renditions" perhaps names of renditions.  0; -E_BAD_REQUEST when
// it is no such thing, -E_NOT_FOUND for a path that no asset can have; -E_BUSY when too many wait,
// -E_STOPPING: then some of them may have been taken.
int warm_take(struct warm *w, const uint8_t *body, size_t n);

#endif
