// SPDX-License-Identifier: BSD-2-Clause
//
// av1_copy - AV1 of a source in a new container.  Pure.
// Rules: AV1 Bitstream & Decoding Process 5.8 (metadata), 5.9; AV1 Codec ISO Media File
// Format Binding 2.4 (samples), 5 (CODECS).  The bytes may be anything.

#ifndef CODEC_AV1_COPY_H
#define CODEC_AV1_COPY_H

#include "codec/av1.h"
#include "codec/av1_sequence.h"
#include "codec/start.h"

struct av1_header {
    struct av1_obu obu; // borrowed
    struct av1_sequence sequence;
};

// The first of av1C, or of OBUs.  -E_CORRUPT.
int av1_header_read(struct av1_header *out, const uint8_t *extradata, size_t n);

// "av01.0.04M.08", and what colours it has when it tells.
void av1_name(const struct av1_sequence *s, char *out, size_t cap);

// Appends a temporal unit without its delimiter, and without what its maker noted beside the
// pictures, but for how bright they are.  -E_CORRUPT: these are no OBUs with sizes, another
// sequence header stands in it, or no picture; or the buffer's error.
int av1_copy_unit(struct buf *out, const struct av1_header *h, const uint8_t *p, size_t n,
                  enum start *start);

// What begins a sample of which only the first n of size bytes are known.
enum sight av1_look(const struct av1_header *h, const uint8_t *p, size_t n, size_t size);

#endif
