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

// A sequence header OBU, of a stream in 4:2:0 with 8 bits, in; av1C body out.  -E_CORRUPT;
// or the buffer's error.
int av1_config(struct buf *out, const uint8_t *extradata, size_t n);

// Appends a temporal unit without its delimiter.  -E_CORRUPT: these are no OBUs with sizes;
// or the buffer's error.
int av1_copy_sample(struct buf *out, const uint8_t *p, size_t n);

#endif
