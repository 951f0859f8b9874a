// SPDX-License-Identifier: BSD-2-Clause
//
// beginning - a source that must be scanned from its first byte to its last can be
// played before that is done.  Pure.
//
// A long scan breaks off once, and gives what it knows as an index of its own: the
// beginning (MEDIA_BEGINNING).  Everything that a rendition is made by is taken from it, and
// stays: when all was scanned, its index is continued (MEDIA_CONTINUED), not replaced.  So the
// segments of the beginning have the same bytes, whoever asks when, and a playlist only grows.
// Both indexes are functions of the source's bytes alone.

#ifndef CODEC_BEGINNING_H
#define CODEC_BEGINNING_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/media.h"

// A scan that is long breaks off when it has read half of its limit (job_limits.first), and so
// many seconds at least.
#define BEGINNING_SECONDS 20

// Whether one of that limit (0: it never breaks off), of a source of so many bytes, has come far
// enough at this byte; how long its tracks are is another question.
static inline bool beginning_may_end(int64_t first, int64_t size, int64_t at)
{
    return first > 0 && size > first && at >= first / 2;
}

// What lies nearer to the end of a beginning than this may still change: pictures that are
// shown later than they are coded, sound that comes later in the file than its pictures.
#define BEGINNING_UNSURE_SECONDS 8

// How many frames of its grid are sure in a beginning; maybe none.
int64_t beginning_frames(const struct media *beginning);

// Makes the index of all one that continues this beginning.  0; -E_CORRUPT, and it is as it
// was, when the source reads differently now: then nothing that was made of the beginning
// holds.
int beginning_continue(const struct media *beginning, struct media *all);

#endif
