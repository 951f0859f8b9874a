// SPDX-License-Identifier: BSD-2-Clause
//
// io - the two seams of the codec side: bytes of the source come in, bytes of
// the answer go out.  A worker puts its socket behind them, tests a file and a
// buffer.

#ifndef CODEC_IO_H
#define CODEC_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io {
    int64_t size; // bytes of the source
    // Reads n bytes at offset; fewer only at the end of the source (0 at or
    // past it); negative enum err on failure.  Blocks.
    int64_t (*read)(struct io *io, int64_t offset, void *out, int64_t n);
    // Appends to the answer; 0 or a negative enum err.  Blocks.
    int (*append)(struct io *io, const void *bytes, size_t n);
    // Asked between frames and packets: true means stop with -E_CANCELLED.
    bool (*cancelled)(struct io *io);
    // These bytes will be read soon, in pieces perhaps: whoever fetches them from afar may do that
    // at once.  NULL where nobody does.
    void (*want)(struct io *io, int64_t offset, int64_t n);
};

#endif
