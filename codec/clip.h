// SPDX-License-Identifier: BSD-2-Clause
//
// clip - a part of an asset, cut by times: its index is the asset's, with other times.  It
// begins with the first picture that the asset presents at or after `from`, which is its
// T0; with pictures before that decoding starts.  Pure.

#ifndef CODEC_CLIP_H
#define CODEC_CLIP_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/media.h"

#define CLIP_SUFFIX 40 // bytes of what clip_print writes

// Milliseconds of the asset's time, from < to; to 0: there is no clip, but all of it.
struct clip {
    int64_t from, to;
};

// Reads the "10.5,25" of ";t=10.5,25": decimal seconds, snapped to milliseconds.  False for
// anything else, and for what ends before it begins.
bool clip_parse(struct clip *c, const char *s);

// ";t=10.5,25": of all ways to write a clip, one.
void clip_print(const struct clip *c, char out[CLIP_SUFFIX]);

// Makes m, a whole index, that of its clip.  -E_NOT_FOUND when nothing is presented in it;
// -E_CORRUPT; -E_NO_MEMORY.  m is to be destroyed in any case.
int clip_media(struct media *m, const struct clip *c);

#endif
