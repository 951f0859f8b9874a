// SPDX-License-Identifier: BSD-2-Clause
//
// copier - makes a segment of what is copied, the rendition `source` or sound: reads the source
// and appends to an object (codec/copy.h, codec/sound_copy.h).  No worker is asked, as nothing
// is decoded.

#ifndef SERVER_COPIER_H
#define SERVER_COPIER_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/origin.h"
#include "codec/plan.h"

struct object;
struct source;

struct copier {
    const struct plan *plan;
    const struct rendition *rendition; // copied, of that plan
    const struct media *media;
    int k;
    struct source *source;
    struct object *object;
    struct cancel *cancel;
    int64_t *marks; // of the object's maker (server/making.h): what it took until the first byte
};

// Whether the `left` bytes of a source will not be long, when so many took so many microseconds.
// Pure.
bool copier_is_quick(int64_t asked, int64_t asked_us, int64_t left);

// 0; -E_CORRUPT when the source's samples are not what its index says; -E_BUSY when there is
// no memory for the object; or as source_read and object_append say.  The object stays in
// the making.  Blocks; a thread that may wait for the origin.
int copier_run(const struct copier *c);

#endif
