// SPDX-License-Identifier: BSD-2-Clause
//
// playlist - reads HLS playlists (RFC 8216) as far as a player of fragmented MP4 needs
// them.  Pure.

#ifndef BENCH_VIEWERS_PLAYLIST_H
#define BENCH_VIEWERS_PLAYLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAYLIST_VARIANTS 32

struct variant {
    char *uri;         // as written
    int64_t bandwidth; // bits per second
    int height;        // of the picture; 0: not told
    char audio[64];    // its group of sound, or ""
};

struct master {
    struct variant variants[PLAYLIST_VARIANTS]; // as written
    int count;
    // The sound of each variant: the default of its group, else the first; NULL when there is
    // none beside its pictures.
    char *audio[PLAYLIST_VARIANTS];
};

struct media_segment {
    char *uri;
    int64_t begin, end; // microseconds
};

struct media_list {
    char *map; // the init segment's URI, or NULL
    struct media_segment *segments;
    size_t count;
    int64_t target; // microseconds
    bool ended;     // nothing will be added
};

// Both read text, which they may change, up to its end.  0, or -1 for what is no such
// playlist or has nothing in it; then there is nothing to free.
int master_read(struct master *m, char *text);
int media_list_read(struct media_list *l, char *text);

void master_finish(struct master *m);
void media_list_finish(struct media_list *l);

// The variant to show: of this rendition (the last folder of its URI, or 720p for a
// height), else the best whose bandwidth is at most the given one, else the poorest.
int master_choose(const struct master *m, const char *rung, int64_t bandwidth);

// The segment that has this time; count when it lies behind all.
size_t media_list_at(const struct media_list *l, int64_t time);

#endif
