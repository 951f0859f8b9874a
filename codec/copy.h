// SPDX-License-Identifier: BSD-2-Clause
//
// copy - init segment and media segments of the rendition `source`: the source's own
// pictures in a new container, nothing decoded.  Pure but for the bytes that come and
// go through struct io.  Segment k is a function of (source bytes, index, table, k).
//
// The clock.  Pictures of a constant rate are put on the grid, as those of the other
// renditions are, so that all cuts are at the same ticks; others keep the times that the
// source gives them, in ticks of its track.

#ifndef CODEC_COPY_H
#define CODEC_COPY_H

#include <stdint.h>

#include "base/buf.h"
#include "codec/io.h"
#include "codec/plan.h"

#define COPY_SAMPLE_MAX (4 * MIB)

// The samples of a segment: [first, last) in decode order, and as many in order of
// presentation.
struct copy_span {
    int first, last;
};

// Ticks a second, and when the picture is presented that is the i-th in order of
// presentation.  m has the sample tables.
int64_t copy_clock(const struct media *m);
int64_t copy_time(const struct media *m, int i);

// Where the samples of segment k are.  -E_CORRUPT when the table is not one of this index: a
// cut is at no sync sample, or pictures from both sides of one lean on each other.
int copy_span(const struct plan *p, const struct media *m, int k, struct copy_span *out);

// Most bytes that segment k can have; 0 when a sample is larger than COPY_SAMPLE_MAX.
int64_t copy_bytes(const struct plan *p, const struct media *m, int k,
                   const struct copy_span *span);

// The bytes of the source that hold those samples, and others between them.
void copy_range(const struct media *m, const struct copy_span *span, int64_t *offset, int64_t *n);

// 0, -E_CORRUPT, or the buffer's error.
int copy_init(const struct plan *p, const struct rendition *r, const struct media *m,
              struct buf *out);

// Reads segment k, sample by sample, and appends it in fragments: its first picture, which is
// here long before the rest when the source is far away, and then about half a second each.
// 0; -E_CORRUPT when the samples are not what the index says: nothing, or not all of it, was
// appended then; -E_CANCELLED; -E_LIMITS; or what io returned.  Blocks as io does.
int copy_segment(const struct plan *p, const struct rendition *r, const struct media *m, int k,
                 struct io *io);

#endif
