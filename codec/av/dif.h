// SPDX-License-Identifier: BSD-2-Clause
//
// dif - the sound that lies between the pictures of DV: what a frame tells of it (IEC 61834-2 and
// -4; SMPTE ST 314).  A frame of 25 Mb/s is 10 or 12 sequences of DIF blocks, with nine of sound
// in each (codec/carriage.h, CARRIAGE_DIF).  Pure.

#ifndef CODEC_AV_DIF_H
#define CODEC_AV_DIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Of two channels: of four, which tapes of 32 kHz may have, the first two.
struct dif_sound {
    int rate;    // Hz
    int bits;    // of a coded sample, 16 or 12
    int bytes;   // of all blocks of sound in the frame
    int samples; // of a channel
};

// False: the frame of n bytes has no sound, or of a kind that we do not read.
bool dif_read(const uint8_t *frame, size_t n, struct dif_sound *out);

#endif
