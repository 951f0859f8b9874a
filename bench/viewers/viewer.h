// SPDX-License-Identifier: BSD-2-Clause
//
// viewer - one visit: asks for what a player would, in its order, and leaves as the trace
// says.  All on one thread; times are microseconds of the monotonic clock.
//
// It begins with master.m3u8, goes on to the playlists and init segments of a rung and of
// its sound, and then fetches both tracks' segments side by side, each one after another,
// as far ahead as its player wants.  What is refused or breaks is tried again, with the
// waits of a player.

#ifndef BENCH_VIEWERS_VIEWER_H
#define BENCH_VIEWERS_VIEWER_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/viewers/cmcd.h"
#include "bench/viewers/fetch.h"
#include "bench/viewers/player.h"
#include "bench/viewers/report.h"
#include "bench/viewers/trace.h"

struct viewer_settings {
    const char *base; // URL of the server, with a slash at the end
    struct player_settings player;
    enum cmcd_mode cmcd;
    double seeks;     // mean number in a minute of playing, each to anywhere
    double switches;  // chance that a segment of video is of another rung than the one before
    int64_t patience; // mean wait for the first picture beyond PATIENCE_LEAST
    int tries;        // of one request
    uint64_t seed;
};

// Nobody leaves within it (Krishnan and Sitaraman, Video Stream Quality Impacts Viewer
// Behavior, IMC 2012: viewers begin to leave after 2 s).
#define PATIENCE_LEAST 2000000

struct viewer;

// visit, settings, fetcher and report are borrowed until viewer_destroy.
struct viewer *viewer_create(const struct viewer_settings *s, struct fetcher *f, struct report *r,
                             const struct visit *visit, uint64_t number, int64_t now);

// Does what is due.  False when the visit is over, of which the report knows then.
bool viewer_step(struct viewer *v, int64_t now);

// Ends what is under way; a visit that was not over counts as stopped.
void viewer_destroy(struct viewer *v);

#endif
