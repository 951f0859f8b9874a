// SPDX-License-Identifier: BSD-2-Clause
//
// scan - the index of a source whose container has none of use (MPEG-TS, FLV, AVI, Ogg and
// others): all its packets are read once, by libavformat, and none is decoded.  Where each
// lies in the source is found by its bytes (trace.h).

#ifndef CODEC_AV_SCAN_H
#define CODEC_AV_SCAN_H

#include "codec/av/demux.h"
#include "codec/av/index.h"

// Reads d, freshly opened on io, to its end.  how: from index_sniff.  Tracks of out stand as
// for the parsers of index.h; their numbers are those of d's streams.  A source that is
// damaged somewhere gives what could be read.  0; -E_LIMITS, -E_CORRUPT when there is nothing
// in it, -E_NO_MEMORY, -E_CANCELLED; or what io returned.  index_finish is due in either
// case.  Blocks.
int index_scan(struct io *io, struct demux *d, enum container container, const struct carriage *how,
               const struct job_limits *limits, struct index *out, const struct why *why);

#endif
