// SPDX-License-Identifier: BSD-2-Clause
//
// player - what a viewer sees of a player with a media buffer: when it starts, plays,
// stalls, and what it wants next.  Pure: now is a parameter.  Times are microseconds, of a
// monotonic clock and of the media.

#ifndef BENCH_VIEWERS_PLAYER_H
#define BENCH_VIEWERS_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#define PLAYER_TRACKS 2
#define PLAYER_NEVER INT64_MAX

struct player_settings {
    int64_t start;  // buffered media with which it begins to play, also after a seek
    int64_t resume; // the same after a stall
    int64_t ahead;  // buffered media with which it fetches no more
};

enum player_state {
    PLAYER_STARTING, // nothing was shown yet
    PLAYER_SEEKING,
    PLAYER_PLAYING,
    PLAYER_STALLED,
    PLAYER_ENDED, // all was shown
};

struct player {
    struct player_settings settings;
    enum player_state state;
    int tracks;
    int64_t end;                     // of the media
    int64_t position;                // what is shown at now
    int64_t buffered[PLAYER_TRACKS]; // without a hole from position on
    int64_t now, since;              // since: the state began
    // What came of it.
    int64_t startup; // until the first picture; -1 before
    int64_t played, stalled;
    int stalls, seeks;
    int64_t seeking; // all seeks together
};

// Begins to wait at now; knows no media yet.
void player_init(struct player *p, const struct player_settings *s, int64_t now);

// What was learnt from the playlists: the number of tracks and where the media ends.
void player_know(struct player *p, int tracks, int64_t end);

// Lets time go on to now: plays, stalls, ends.
void player_advance(struct player *p, int64_t now);

// Media of a track is there up to here.
void player_buffer(struct player *p, int track, int64_t until, int64_t now);

// Goes to position and forgets what was buffered, as it has to be asked for again.
void player_seek(struct player *p, int64_t position, int64_t now);

// Whether it would fetch more of this track now.
bool player_wants(const struct player *p, int track);

// Media buffered in all tracks from the position on.
int64_t player_ahead(const struct player *p);

#endif
