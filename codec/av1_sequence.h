// SPDX-License-Identifier: BSD-2-Clause
//
// av1_sequence - what a sequence header of AV1 says of its pictures, and what frame headers
// depend on.  Pure.
// Rules: AV1 Bitstream & Decoding Process 5.5.  The bytes may be anything.

#ifndef CODEC_AV1_SEQUENCE_H
#define CODEC_AV1_SEQUENCE_H

#include <stdbool.h>

#include "codec/av1.h"

#define AV1_POINTS 32
#define AV1_SAID_BY_FRAME 2

struct av1_sequence {
    bool reduced, timed, super_big, order, reference_vectors, warped, superres, cdef, restoration;
    bool mono, separate_uv, sub_x, sub_y, grain;
    bool deep;                      // more than 8 bits
    bool has_model, equal_interval; // of the decoder's buffers
    int delay_bits, removal_bits, time_bits;
    int points, point[AV1_POINTS]; // operating points, and layers in each
    bool point_has_model[AV1_POINTS];
    int width_bits, height_bits, id_bits, delta_id_bits, order_bits;
    int width, height;
    int profile, level, tier; // of the first operating point, which is all of it
    bool still;               // a picture, no video
    int bits;                 // 8, 10 or 12
    bool coloured;            // it tells of colours; else these are 2 (unspecified)
    int primaries, transfer, matrix;
    bool full_range;
    int position;                        // of 4:2:0, where samples of chroma are
    int screen_content, integer_vectors; // or AV1_SAID_BY_FRAME
};

// The header in this OBU.  -E_CORRUPT.
int av1_sequence_read(struct av1_sequence *s, const struct av1_obu *o);

#endif
