// SPDX-License-Identifier: BSD-2-Clause
//
// segment - the segment table: the one list of cut times of an asset, exact
// rationals.  Pure.  Playlists print it and encoders obey it; nothing else
// decides a cut.
//
// A regular table: every segment has `per` grid frames, but for the last: it is short,
// or, where the rest would be under a second and the sum still rounds to the same target
// duration, it is joined to its predecessor.  A rest under a tenth of a second is
// always joined: as a segment of its own it could be left without an audio frame.
//
// With a ramp its first segments are shorter, as long as they are told, each while at least twice
// its frames are left: what follows is never shorter than the ramp's last.
//
// An open table: of a source whose end is not known yet.  Its segments have `per` frames, and
// the last, once there is one, half to one and a half of that: no other is another when the end
// becomes known, and what is promised for all of them holds for whatever end.
//
// A table cut by the source: where its own pictures are a rendition, all renditions are cut
// where it has sync samples; after each cut at the one that comes nearest to `per` frames, but at
// none before half of them if the next one makes no segment that is too long.  In the ramp it comes
// nearest to what that wants, and leaves a second to either side.

#ifndef CODEC_SEGMENT_H
#define CODEC_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rational.h"

#define SEGTAB_CUTS_MAX 16384
#define SEGTAB_RAMP_MAX 4
#define SEGTAB_CLOCK_MAX 50000000 // ticks a second: 40 seconds of them fit 31 bits

// Where a segment begins: on the grid, and on the clock of the source's own pictures.
struct cut {
    int64_t tick;
    int64_t frame;
};

struct segtab {
    struct rational fps;
    int64_t frames;                     // of the whole asset
    int64_t per;                        // frames of a segment: round(target x fps), even when > 1
    int count;                          // segments, >= 1
    int64_t part;                       // frames of a part, per / 2 (about two seconds), >= 1
    int ramp;                           // segments of the ramp, < count
    int64_t ramp_ends[SEGTAB_RAMP_MAX]; // frames
    bool open;                          // frames is a multiple of per while the end is not known
    int64_t clock;    // ticks a second of the source's own pictures; 0 for a regular table
    struct cut *cuts; // owned; count + 1, both numbers rising from 0; NULL for a regular table
};

// A regular table.
struct segtab segtab_make(struct rational fps, int64_t frames, int64_t target_ms);

// Gives a regular table a ramp of n segments, none shorter than the one before it.
void segtab_ramp(struct segtab *t, const int64_t *ms, int n);

// An open table.  frames: of the asset, or those of it that are known.
struct segtab segtab_make_open(struct rational fps, int64_t frames, int64_t target_ms);

// Gives an open table so many frames, more or fewer.
void segtab_set_frames(struct segtab *t, int64_t frames);

// A copy, to be finished too.
struct segtab segtab_copy(const struct segtab *t);

// Frees what a table owns; one that is regular owns nothing.
void segtab_finish(struct segtab *t);
size_t segtab_memory(const struct segtab *t); // of what it owns

// Makes a regular table, with a ramp or not, one that is cut by the source: begin with the clock,
// offer every place where it may be cut, both numbers rising, but for the beginning, and then end
// with that of the asset.  True when it is done; false, and the table is what it was, when a
// segment would be longer than so many frames (*longest says how long), or when there would be
// more than SEGTAB_CUTS_MAX.
struct cutter {
    struct segtab made;
    int cap;
    int ramp;
    int64_t wants[SEGTAB_RAMP_MAX]; // of the ramp's segments, in frames
    struct cut next;                // the best so far
    int64_t longest, limit;         // in frames
};
void cutter_begin(struct cutter *c, const struct segtab *t, int64_t clock, int64_t limit);
void cutter_offer(struct cutter *c, struct cut at);
bool cutter_end(struct cutter *c, struct cut end, struct segtab *t, int64_t *longest);

// Frames that a segment cut by the source may have: those of this time, or one and a half
// times `per` if that is more, and not above 21 seconds.
int64_t segtab_longest(const struct segtab *t, int64_t longest_ms);

// First frame of segment k; k = count gives the end, t->frames.
int64_t segtab_frame(const struct segtab *t, int k);

// Start time of segment k in microseconds, rounded: what telescoping EXTINFs are made of.
int64_t segtab_start_us(const struct segtab *t, int k);

// The same on the clock of a table cut by the source.
int64_t segtab_tick(const struct segtab *t, int k);
int64_t segtab_tick_us(const struct segtab *t, int k);

// First audio frame of segment k, of which there are `rate` a second: ceil(start x rate);
// k = count gives the end: ceil(duration x rate).
int64_t segtab_audio_frame(const struct segtab *t, int k, struct rational rate);

// Start time of that frame in microseconds, rounded.
int64_t segtab_audio_start_us(const struct segtab *t, int k, struct rational rate);

// The parts of segment k: how many, and [first, first + n) of part j in frames of the asset.
int segtab_parts(const struct segtab *t, int k);
void segtab_part(const struct segtab *t, int k, int j, int64_t *first, int64_t *n);

// Longest and shortest part of the whole asset, in frames; of an open table, whatever its end.
int64_t segtab_part_max(const struct segtab *t);
int64_t segtab_part_min(const struct segtab *t);

// The shortest of segments [k, end), likewise.
int64_t segtab_part_least(const struct segtab *t, int k, int end);

// AAC or Opus frames, so many a second, of the shortest of the segments, likewise.
int64_t segtab_audio_min(const struct segtab *t, struct rational rate);

// EXT-X-TARGETDURATION that holds for video, the source's own too, and for audio of so many
// frames a second (0/1: no audio).
int segtab_target_duration(const struct segtab *t, struct rational audio_rate);

#endif
