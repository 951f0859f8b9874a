// SPDX-License-Identifier: BSD-2-Clause

#include "cache/source_parts.h"

#include "base/base.h"
#include "base/err.h"

#define LOOK_MS 50 // how often a waiter looks at its cancel token

struct flight *flight_create(int64_t max)
{
    struct flight *f = xcalloc(1, sizeof *f);
    list_init(&f->link);
    f->refs = 1;
    cond_init(&f->end);
    buf_init(&f->data, (size_t)max);
    return f;
}

int flight_wait(struct flight *f, struct source_cache *c, const struct cancel *cancel)
{
    while (!f->done && !cancel_is_set(cancel))
        cond_wait_until(&f->end, &c->lock, clock_ms() + LOOK_MS);
    if (!f->done)
        return -E_CANCELLED;
    return f->result == -E_CANCELLED ? AGAIN : f->result;
}

void flight_end(struct flight *f, int result)
{
    f->result = result;
    f->done = true;
    list_remove(&f->link);
    pthread_cond_broadcast(&f->end);
}

void flight_leave(struct flight *f, struct source_cache *c)
{
    struct list gone;
    list_init(&gone);
    lock(&c->lock);
    const bool last = --f->refs == 0;
    if (last)
        source_unref(f->source, &gone);
    unlock(&c->lock);
    blocks_free(&gone);
    if (!last)
        return;
    pthread_cond_destroy(&f->end);
    buf_finish(&f->data);
    free(f);
}
