// SPDX-License-Identifier: BSD-2-Clause
//
// sound_copy - the source's own AAC as an audio rendition, its frames as they are in a new
// container, nothing decoded.  Pure but for the bytes that come and go through struct io.
//
// Frame n of the rendition has samples [1024 n, 1024 (n + 1)) from T0, as if it were encoded:
// cuts, playlists and numbers are the same.  That can be where the source's frames lie on that
// very grid.  What ends before T0 is left out (the priming of encoders), and with it what the
// first frame overlaps with: its first 21 ms fade in, as those of an encoded one do.  Where the
// source has no frame, before its sound begins and behind its end, a silent one is put.

#ifndef CODEC_SOUND_COPY_H
#define CODEC_SOUND_COPY_H

#include <stdint.h>

#include "base/buf.h"
#include "codec/io.h"
#include "codec/plan.h"

#define SOUND_FRAME_BYTES 8192 // more than any frame of AAC-LC in stereo has

// Whether r, of plan p, an audio rendition that is encoded so far, can be a copy: NULL, and it is
// one then, with the bandwidth of that; or why not.  Its table is that of the whole asset.
const char *sound_copy_make(struct rendition *r, const struct plan *p, const struct media *m);

// Most bytes that segment k of r can have, a copy.
int64_t sound_copy_bytes(const struct plan *p, const struct rendition *r, const struct media *m,
                         int k);

// The bytes of the source that hold its frames, and others between them; none: *n is 0.
void sound_copy_range(const struct plan *p, const struct rendition *r, const struct media *m, int k,
                      int64_t *offset, int64_t *n);

// 0 or the buffer's error.
int sound_copy_init(const struct rendition *r, struct buf *out);

// Reads segment k and appends it in fragments of about two seconds.  0; -E_CORRUPT when the
// source ends before its frames do, or when its index is another than r was made of;
// -E_CANCELLED; or what io returned.  Blocks as io does.
int sound_copy_segment(const struct plan *p, const struct rendition *r, const struct media *m,
                       int k, struct io *io);

#endif
