// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/amr.h"

// By frame type, the first byte included.  Those to come are not told, and hold nothing.
static const uint8_t narrow[16] = { 13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1 };
static const uint8_t wide[16] = { 18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1 };

int amr_frame(enum codec_id codec, uint8_t first)
{
    const int type = first >> 3 & 15;
    if (codec == CODEC_AMR_NB)
        return narrow[type];
    return codec == CODEC_AMR_WB ? wide[type] : 0;
}
