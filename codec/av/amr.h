// SPDX-License-Identifier: BSD-2-Clause
//
// amr - the frames of AMR.  A 3GP file may have several in a sample (phones wrote five or ten),
// of which FFmpeg's decoders take the first and forget the others.  Pure.

#ifndef CODEC_AV_AMR_H
#define CODEC_AV_AMR_H

#include "codec/media.h"

#define AMR_FRAMES_A_SECOND 50

// Bytes of the frame that begins with this one (RFC 4867 5.3); 0: it is no frame of AMR.
int amr_frame(enum codec_id codec, uint8_t first);

#endif
