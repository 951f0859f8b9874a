// SPDX-License-Identifier: BSD-2-Clause
//
// timeline - makes one time line of the clocks of a transport stream: they count 33 bits
// and begin anywhere (ISO/IEC 13818-1 2.4.3.7), and begin anew where two recordings were
// put together.  Times of a track that jump back by more than a second, or ahead by more
// than ten, go on where they were instead; the tracks of a recording by the same step, so
// that they stay together.  Pure.

#ifndef CODEC_AV_TIMELINE_H
#define CODEC_AV_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#define TIMELINE_TRACKS 64

struct timeline {
    int64_t second; // ticks
    int64_t newest; // what the track that jumped last adds to its times
    int64_t last;   // time of the packet before, of whatever track
    bool begun;
    struct timeline_track {
        bool begun;
        int64_t add;  // to times as they stand in the source
        int64_t last; // time of the packet before
        int64_t step; // between the last two
    } tracks[TIMELINE_TRACKS];
};

void timeline_init(struct timeline *l, int64_t timescale);

// What is to be added to the times of this packet, the next of the source; time is its time of
// decoding, within 33 bits.  Packets without a time share what the one before had.
int64_t timeline_add(struct timeline *l, int track, int64_t time);

#endif
