// SPDX-License-Identifier: BSD-2-Clause

#include "codec/window.h"

#include <string.h>

#include "base/err.h"

#define READ_MAX MIB // of one call of io->read

void window_init(struct window *w, struct io *io, int64_t ceiling)
{
    w->io = io;
    w->left = ceiling;
    w->at = w->n = 0;
    w->err = 0;
}

// Reads n bytes that lie within the source.
static bool read_fully(struct window *w, int64_t offset, uint8_t *out, int64_t n)
{
    if (n > w->left)
        w->err = -E_LIMITS;
    for (int64_t done = 0; !w->err && done < n;) {
        if (w->io->cancelled && w->io->cancelled(w->io)) {
            w->err = -E_CANCELLED;
            break;
        }
        const int64_t want = min64(n - done, READ_MAX);
        const int64_t got = w->io->read(w->io, offset + done, out + done, want);
        if (got <= 0)
            w->err = got < 0 ? (int)got : -E_IO; // shorter than io->size said
        else
            done += got;
    }
    if (!w->err)
        w->left -= n;
    return !w->err;
}

const uint8_t *window_look(struct window *w, int64_t offset, int64_t n)
{
    assert(offset >= 0 && n >= 0 && n <= WINDOW_SIZE);
    if (w->err || offset > w->io->size - n)
        return NULL;
    if (offset < w->at || offset + n > w->at + w->n) {
        const int64_t fill = min64(WINDOW_SIZE, w->io->size - offset);
        w->n = 0;
        if (!read_fully(w, offset, w->bytes, fill))
            return NULL;
        w->at = offset;
        w->n = fill;
    }
    return w->bytes + (offset - w->at);
}

bool window_copy(struct window *w, int64_t offset, uint8_t *out, int64_t n)
{
    assert(offset >= 0 && n >= 0);
    if (w->err || offset > w->io->size - n)
        return false;
    int64_t have = 0;
    if (offset >= w->at && offset < w->at + w->n) {
        have = min64(n, w->at + w->n - offset);
        memcpy(out, w->bytes + (offset - w->at), (size_t)have);
    }
    return read_fully(w, offset + have, out + have, n - have);
}
