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

struct io;
struct video_settings;

// Of a video job, which makes several rungs of the same pictures or may come to do so; they are
// numbered from 0, the job's own.
struct io_rungs {
    // As append, to the answer of that rung.
    int (*append)(struct io *io, int rung, const void *bytes, size_t n);
    // All of it was appended.
    void (*end)(struct io *io, int rung);
    // Asked where cancelled is: nobody wants that one any more.
    bool (*dropped)(struct io *io, int rung);
    // Asked now and then: the number of one more that is to be made, from the first picture on, and
    // *v; or -1.  room: whether it could be; if not, who wants it is told so.
    int (*join)(struct io *io, bool room, struct video_settings *v);
};

struct io {
    int64_t size; // bytes of the source
    // Reads n bytes at offset; fewer only at the end of the source (0 at or
    // past it); negative enum err on failure.  Blocks.
    int64_t (*read)(struct io *io, int64_t offset, void *out, int64_t n);
    // Appends to the answer, of rung 0; 0 or a negative enum err.  Blocks.
    int (*append)(struct io *io, const void *bytes, size_t n);
    // Asked between frames and packets: true means stop with -E_CANCELLED.
    bool (*cancelled)(struct io *io);
    // These bytes will be read soon, in pieces perhaps: whoever fetches them from afar may do that
    // at once.  NULL where nobody does.
    void (*want)(struct io *io, int64_t offset, int64_t n);
    // NULL where there is but one rung.
    const struct io_rungs *rungs;
};

#endif
