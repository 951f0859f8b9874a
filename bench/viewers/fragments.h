// SPDX-License-Identifier: BSD-2-Clause
//
// fragments - how far the media of a segment of fragmented MP4 goes that is still
// arriving.  Pure.
//
// A fragment is there when the next one's time (tfdt) is: that says where it ends, without
// the sums of all its samples.  The last one is there at the segment's end, which the
// playlist knows.  Rules: ISO/IEC 14496-12.

#ifndef BENCH_VIEWERS_FRAGMENTS_H
#define BENCH_VIEWERS_FRAGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAGMENTS_MOOF_MAX 65536

struct fragments {
    uint32_t timescale; // of the init segment, above 0
    uint64_t skip;      // bytes of a box that says nothing
    uint8_t *box;       // the head or the moof that is being collected
    size_t have;
    int64_t until; // microseconds: media before it is there; -1: none yet
    bool bad;      // this is no fragmented MP4
};

// The timescale of an init segment's first track (mdhd); 0 when it has none.
uint32_t fragments_timescale(const uint8_t *init, size_t n);

void fragments_init(struct fragments *f, uint32_t timescale);
void fragments_finish(struct fragments *f);

// Takes the next bytes of the segment.
void fragments_feed(struct fragments *f, const uint8_t *bytes, size_t n);

#endif
