// SPDX-License-Identifier: BSD-2-Clause
//
// av1 - AV1 as MP4 holds it under av01.  Pure.
// Rules: AV1 Bitstream & Decoding Process 5.3 to 5.5; AV1 Codec ISO Media File Format
// Binding 2.3 (av1C), 2.4 (samples).  The bytes may be anything.

#ifndef CODEC_AV1_H
#define CODEC_AV1_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

enum av1_type {
    AV1_SEQUENCE_HEADER = 1,
    AV1_TEMPORAL_DELIMITER = 2,
    AV1_FRAME_HEADER = 3,
    AV1_TILE_GROUP = 4,
    AV1_METADATA = 5,
    AV1_FRAME = 6,
    AV1_TILE_LIST = 8,
    AV1_PADDING = 15,
};

struct av1_obu {
    int type;              // enum av1_type, or another
    int temporal, spatial; // layers
    const uint8_t *p;      // of the whole of it, header and all; borrowed
    size_t n;
    const uint8_t *payload;
    size_t payload_size;
};

// Takes the next OBU, which says its size, off r.  -E_CORRUPT.
int av1_next_obu(struct reader *r, struct av1_obu *o);

// The same of the beginning of a sample, behind which so many of its bytes follow: an OBU may
// end there, and is cut then.  r is bad where the head of one is cut.
int av1_next_cut(struct reader *r, size_t beyond, struct av1_obu *o);

// The first sequence header of av1C, or of OBUs.  -E_CORRUPT.
int av1_find_sequence(const uint8_t *extradata, size_t n, struct av1_obu *out);

// The same in; av1C body out.  -E_CORRUPT; or the buffer's error.
int av1_config(struct buf *out, const uint8_t *extradata, size_t n);

// Appends a temporal unit without its delimiter.  -E_CORRUPT: these are no OBUs with sizes;
// or the buffer's error.
int av1_copy_sample(struct buf *out, const uint8_t *p, size_t n);

#endif
