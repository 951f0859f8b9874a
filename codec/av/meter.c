// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/meter.h"

#include "base/base.h"
#include "base/err.h"

static int64_t meter_read(struct io *io, int64_t offset, void *out, int64_t n)
{
    struct meter *m = container_of(io, struct meter, io);
    if (n > m->left)
        return -E_LIMITS;
    const int64_t got = m->to->read(m->to, offset, out, n);
    m->left -= got > 0 ? got : 0;
    return got;
}

static void meter_want(struct io *io, int64_t offset, int64_t n)
{
    struct meter *m = container_of(io, struct meter, io);
    if (m->to->want && n <= m->left)
        m->to->want(m->to, offset, n);
}

static bool meter_cancelled(struct io *io)
{
    struct meter *m = container_of(io, struct meter, io);
    return m->to->cancelled && m->to->cancelled(m->to);
}

void meter_init(struct meter *m, struct io *to, int64_t bytes)
{
    *m = (struct meter){
        .io = { .size = to->size,
                .read = meter_read,
                .cancelled = meter_cancelled,
                .want = meter_want },
        .to = to,
        .left = bytes,
    };
}
