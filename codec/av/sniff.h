// SPDX-License-Identifier: BSD-2-Clause
//
// sniff - what a source is, by its first bytes.  Its name and its Content-Type are not asked:
// they lie.  No libav here.

#ifndef CODEC_AV_SNIFF_H
#define CODEC_AV_SNIFF_H

#include <stddef.h>
#include <stdint.h>

#include "codec/media.h"

#define SNIFF_BYTES 4096

// The container, or CONTAINER_NONE.  how: the packets of a transport stream, else zeros.
enum container sniff(const uint8_t *bytes, size_t n, struct carriage *how);

// How many bytes before the source proper are an ID3v2 tag; 0: none.
size_t sniff_id3(const uint8_t *bytes, size_t n);

#endif
