// SPDX-License-Identifier: BSD-2-Clause
//
// hardware - the encoders of graphics processors that a rung may name.  None was ever tested
// here, and none promises the same bytes twice (docs/codecs.md).  Pure.

#ifndef CODEC_HARDWARE_H
#define CODEC_HARDWARE_H

#include "codec/job.h"

// FFmpeg's name of it; of ENCODER_SOFTWARE "".
const char *hardware_name(enum video_encoder e);

// What it codes in.  Not of ENCODER_SOFTWARE.
enum video_codec hardware_codec(enum video_encoder e);

#endif
