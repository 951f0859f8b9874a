// SPDX-License-Identifier: BSD-2-Clause
//
// real - the pictures of RealMedia.  Each of its packets holds a slice of a picture, or a
// whole one, and says so in a header of its own.  Decoders want to know where the slices
// begin: libavformat puts a table of them before the picture, which does not stand in the
// source.  So the index counts the slices alone, each as a piece of the carriage, and the
// table is made again of the pieces.  (Where all pictures have one slice, there are no pieces.)
//
// The table: how many slices, less one, in a byte; then for each the number 1 and where it begins
// in the picture, in four bytes each, little endian.

#ifndef CODEC_AV_REAL_H
#define CODEC_AV_REAL_H

#include "codec/av/trace.h"
#include "codec/media.h"

// Whether pictures of this kind in this container are so.
bool real_is_sliced(enum container container, enum codec_id codec);

// The bytes of the table that the n bytes of a packet of libavformat begin with; 0: it is none.
int real_table_length(const uint8_t *packet, int n);

// As trace_packet, for a picture of n bytes whose table has so many.  t->back is 0.
int real_trace(struct trace *t, const uint8_t *packet, int n, int table, int64_t *offset);

// What the header of a picture of RealVideo 2 says.
struct real_picture {
    bool intra, b;
    int time; // 13 bits of milliseconds; -1: untold
};

// Of the n bytes of its first slice.  version: of the encoder, the second word of the track's
// headers.
struct real_picture real_look(uint32_t version, const uint8_t *slice, int n);

// The table of a sample, into out unless that is NULL.  How many bytes it has.  Pure.
int real_table(const struct carriage *c, const struct sample *s, uint8_t *out);

#endif
