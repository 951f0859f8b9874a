// SPDX-License-Identifier: BSD-2-Clause
//
// opus - Opus as MP4 holds it.  Pure.
// Rules: RFC 7845 5.1 (OpusHead), "Encapsulation of Opus in ISO Base Media File Format".

#ifndef CODEC_OPUS_H
#define CODEC_OPUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

// OpusHead of one stream in mono or stereo in, dOps body out, which says that nothing is to be
// skipped at the start: our packets begin where the sound does.  -E_CORRUPT, or the buffer's
// error.
int opus_config(struct buf *out, const uint8_t *extradata, size_t n);

#endif
