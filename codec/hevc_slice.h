// SPDX-License-Identifier: BSD-2-Clause
//
// hevc_slice - where in a slice segment of HEVC its header ends.  Pure.
// Rules: Rec. ITU-T H.265 7.3.6 (slice segment header).  The bytes may be anything.

#ifndef CODEC_HEVC_SLICE_H
#define CODEC_HEVC_SLICE_H

#include "codec/hevc_sets.h"

// Whether a NAL unit that begins with this byte is a slice segment.
bool hevc_is_slice(uint8_t first);

// How many of the n bytes of a NAL unit, which is one, are its header, with the alignment at
// its end.  Bytes against start codes count.  Uses room in s; of one thread.  -E_CORRUPT.
int hevc_slice_header(struct hevc_sets *s, const uint8_t *p, size_t n, size_t *bytes);

#endif
