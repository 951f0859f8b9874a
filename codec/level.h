// SPDX-License-Identifier: BSD-2-Clause
//
// level - H.264 levels (Rec. ITU-T H.264, table A-1).  Pure.

#ifndef CODEC_LEVEL_H
#define CODEC_LEVEL_H

#include <stdint.h>

#include "base/rational.h"

// The smallest level_idc (31 = 3.1) of the High profile for pictures of this
// size and rate with a coded picture buffer of bufsize bits filled at maxrate,
// and four reference pictures; 62 when none is large enough.
int level_h264(int width, int height, struct rational fps, int64_t maxrate, int64_t bufsize);

#endif
