// SPDX-License-Identifier: BSD-2-Clause
//
// window - reading a source here and there without asking io for every few
// bytes: a look inside the window is free, a look outside moves it.  What was
// read is counted against a ceiling, so that no file can make a parser read for
// ever.  One thread.

#ifndef CODEC_WINDOW_H
#define CODEC_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "codec/io.h"

#define WINDOW_SIZE 65536

struct window {
    struct io *io;
    int64_t left; // bytes that may still be read
    int64_t at;   // of the window in the source
    int64_t n;    // bytes in it
    int err;      // the first failure, sticky: what io returned, -E_LIMITS, -E_CANCELLED
    uint8_t bytes[WINDOW_SIZE];
};

void window_init(struct window *w, struct io *io, int64_t ceiling);

// The n <= WINDOW_SIZE bytes at offset >= 0, valid until the next call; NULL
// past the end of the source, or after a failure (w->err says which).
const uint8_t *window_look(struct window *w, int64_t offset, int64_t n);

// Copies n bytes at offset into out; false as above.
bool window_copy(struct window *w, int64_t offset, uint8_t *out, int64_t n);

#endif
