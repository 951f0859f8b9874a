// SPDX-License-Identifier: BSD-2-Clause
//
// level - levels of H.264 (Rec. ITU-T H.264, table A-1), HEVC and AV1.  Pure.

#ifndef CODEC_LEVEL_H
#define CODEC_LEVEL_H

#include <stdint.h>

#include "base/rational.h"

// The smallest level_idc (31 = 3.1) of the High profile for pictures of this
// size and rate with a coded picture buffer of bufsize bits filled at maxrate,
// and four reference pictures; 62 when none is large enough.
int level_h264(int width, int height, struct rational fps, int64_t maxrate, int64_t bufsize);

// The same for HEVC, Main profile and tier (Rec. ITU-T H.265, table A.8): general_level_idc,
// 93 = 3.1; 186 when none is large enough.
int level_hevc(int width, int height, struct rational fps, int64_t maxrate, int64_t bufsize);

// The same for AV1, Main profile and tier (AV1 Bitstream & Decoding Process, A.3):
// seq_level_idx, 5 = 3.1; 19 = 6.3 when none is large enough.
int level_av1(int width, int height, struct rational fps, int64_t maxrate);

#endif
