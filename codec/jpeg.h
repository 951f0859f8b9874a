// SPDX-License-Identifier: BSD-2-Clause
//
// jpeg - what we must know of a JPEG that somebody else made.  Pure.

#ifndef CODEC_JPEG_H
#define CODEC_JPEG_H

#include <stddef.h>
#include <stdint.h>

// Walks the marker segments of a baseline JPEG (ITU-T T.81, annex B) up to its one scan and
// looks for the end of the image at the end of the bytes.  0 and the size of the picture, or
// -E_CORRUPT.
int jpeg_check(const uint8_t *bytes, size_t n, int *width, int *height);

#endif
