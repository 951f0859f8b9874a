// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/recent.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

// Reads n bytes in full: 0 or a negative enum err.
static int fill(struct recent *r, int64_t offset, uint8_t *out, int64_t n)
{
    for (int64_t done = 0; done < n;) {
        const int64_t got = r->to->read(r->to, offset + done, out + done, n - done);
        if (got <= 0)
            return got < 0 ? (int)got : -E_IO; // shorter than io->size said
        done += got;
    }
    return 0;
}

// The bytes of block number n; NULL with *err.
static const uint8_t *block(struct recent *r, int64_t n, int *err)
{
    const int slot = (int)(n % RECENT_BLOCKS);
    uint8_t *const bytes = r->bytes + (size_t)slot * RECENT_BLOCK;
    if (r->number[slot] == n)
        return bytes;
    r->number[slot] = -1;
    const int64_t at = n * RECENT_BLOCK;
    *err = fill(r, at, bytes, min64(RECENT_BLOCK, r->io.size - at));
    if (*err < 0)
        return NULL;
    r->number[slot] = n;
    return bytes;
}

static int64_t read_recent(struct io *io, int64_t offset, void *out, int64_t n)
{
    struct recent *const r = container_of(io, struct recent, io);
    n = min64(n, io->size - offset);
    for (int64_t done = 0, part; done < n; done += part) {
        int err = 0;
        const int64_t at = offset + done, in = at % RECENT_BLOCK;
        const uint8_t *const bytes = block(r, at / RECENT_BLOCK, &err);
        if (!bytes)
            return err;
        part = min64(n - done, RECENT_BLOCK - in);
        memcpy((uint8_t *)out + done, bytes + in, (size_t)part);
    }
    return n > 0 ? n : 0;
}

static bool is_cancelled(struct io *io)
{
    struct recent *const r = container_of(io, struct recent, io);
    return r->to->cancelled && r->to->cancelled(r->to);
}

void recent_init(struct recent *r, struct io *to)
{
    *r =
        (struct recent){ .io = { .size = to->size, .read = read_recent, .cancelled = is_cancelled },
                         .to = to };
    r->bytes = xmalloc((size_t)RECENT_BLOCKS * RECENT_BLOCK);
    for (int i = 0; i < RECENT_BLOCKS; i++)
        r->number[i] = -1;
}

void recent_finish(struct recent *r)
{
    free(r->bytes);
    *r = (struct recent){ 0 };
}
