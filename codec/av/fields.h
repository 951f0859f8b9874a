// SPDX-License-Identifier: BSD-2-Clause
//
// fields - whether a source's pictures are interlaced, decided once for all of them.
//
// A source is looked at only when its container or its first picture hints at fields.
// Then pictures at a few places of it are decoded, and both are heard: what they say of
// themselves, and what libavfilter's idet sees in them.  Cameras and broadcasters send
// progressive pictures as interlaced ones (PsF): such a source is progressive when its
// pictures are so wherever they move.  One that is partly interlaced, as film that was
// brought to 30 frames by telecine, is interlaced.

#ifndef CODEC_AV_FIELDS_H
#define CODEC_AV_FIELDS_H

#include <libavcodec/avcodec.h>

#include "codec/av/fail.h"
#include "codec/io.h"
#include "codec/job.h"

// Whether that is worth a look.
bool fields_hinted(enum codec_id codec, enum AVFieldOrder container, const AVFrame *first);

struct fields_found {
    enum field_order order;
    // Some multiplexers give each field a packet of its own, with a pts so many ticks behind
    // that of the first field.  0: a packet holds a whole picture.
    int64_t half;
};

// Looks.  like: a job with limits, source_size and the head of the index so far; samples:
// all of the video.  0 or a negative enum err.
int fields_see(const struct job *like, struct io *io, const struct sample *samples, int count,
               enum AVFieldOrder container, struct fields_found *out, const struct why *why);

// Which samples hold nothing but the second field of the picture before them, for `half`;
// to be freed.
bool *fields_second(const struct sample *samples, int count, int64_t half);

#endif
