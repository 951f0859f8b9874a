// SPDX-License-Identifier: BSD-2-Clause
//
// sights - a look at some sync samples of a source, to see whether its own video could be
// a rendition (codec/coding.h).

#ifndef CODEC_AV_SIGHTS_H
#define CODEC_AV_SIGHTS_H

#include "codec/av/fail.h"
#include "codec/io.h"
#include "codec/media.h"

// Sets sight of m's video, whose samples are there, and for AV1 its headers as the samples
// have them.  Reads some KiB of a few samples.  0, also where it cannot be a rendition; or
// what io returned.
int sights_take(struct media *m, struct io *io, const struct why *why);

#endif
