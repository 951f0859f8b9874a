// SPDX-License-Identifier: BSD-2-Clause
//
// hevc - HEVC as MP4 holds it under hvc1: parameter sets in the decoder configuration
// alone.  Pure.
// Rules: Rec. ITU-T H.265 7.3, ISO/IEC 14496-15 8.3 (hvcC).

#ifndef CODEC_HEVC_H
#define CODEC_HEVC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

// Annex B extradata (VPS, SPS, PPS; other units are left out) in, hvcC body out.
// -E_CORRUPT: a set is missing or makes no sense; or the buffer's error.
int hevc_config(struct buf *out, const uint8_t *extradata, size_t n);

#endif
