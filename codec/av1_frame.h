// SPDX-License-Identifier: BSD-2-Clause
//
// av1_frame - where in the samples of AV1 the data of tiles stands.  Pure.
// Rules: AV1 Bitstream & Decoding Process 5.9 (frame header), 5.11.1
// (tile group).  The bytes may be anything.
//
// A frame's header depends on those of frames before: samples are read in decode order, from
// a key frame on.

#ifndef CODEC_AV1_FRAME_H
#define CODEC_AV1_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/av1_sequence.h"

#define AV1_REFS 8
#define AV1_SEGMENTS 8

// Of a frame, what those that refer to it need.
struct av1_reference {
    bool valid;
    int type, order, width, upscaled, height;
    bool has_quantizer[AV1_SEGMENTS];
    int quantizer[AV1_SEGMENTS];
};

struct av1_frames {
    struct av1_sequence sequence;
    bool known; // the sequence
    struct av1_reference refs[AV1_REFS];
    // Of the frame whose tiles come.
    int tiles, tile_bits, size_bytes;
    bool begun;
};

// The body of av1C in, which may leave the sequence header to the samples.  -E_CORRUPT.
int av1_frames_begin(struct av1_frames *f, const uint8_t *config, size_t n);

// Tells what tiles a sample of n bytes has, in their order.  -E_CORRUPT; -E_UNSUPPORTED for
// short signalling of references, which no encoder that we know uses; or what tile returned.
int av1_tiles(struct av1_frames *f, const uint8_t *p, size_t n,
              int (*tile)(void *arg, const uint8_t *p, size_t n), void *arg);

#endif
