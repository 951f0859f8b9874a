// SPDX-License-Identifier: BSD-2-Clause
//
// av1 - AV1 as MP4 holds it under av01.  Pure.
// Rules: AV1 Bitstream & Decoding Process 5.3 to 5.5; AV1 Codec ISO Media File Format
// Binding 2.3 (av1C), 2.4 (samples).

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

// A sequence header OBU, of a stream in 4:2:0 with 8 bits, in; av1C body out.  -E_CORRUPT;
// or the buffer's error.
int av1_config(struct buf *out, const uint8_t *extradata, size_t n);

// Appends a temporal unit without its delimiter.  -E_CORRUPT: these are no OBUs with sizes;
// or the buffer's error.
int av1_copy_sample(struct buf *out, const uint8_t *p, size_t n);

#endif
