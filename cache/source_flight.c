// SPDX-License-Identifier: BSD-2-Clause

#include "cache/source_parts.h"

#include "base/base.h"
#include "base/err.h"

#define LOOK_MS 50 // how often a waiter looks at its cancel token

// Locked.  Whether version is the one that f is of; an opening learns that now.
static bool is_of(struct flight *f, const struct origin_version *version, struct list *gone)
{
    if (f->name)
        names_found(f, version, gone);
    return f->source && origin_version_equal(&f->source->version, version);
}

// The same.  Who waits hears of it when there are bytes, or at the end.
static bool learn(struct flight *f, const struct origin_version *version)
{
    struct list gone;
    list_init(&gone);
    lock(&f->cache->lock);
    const bool same = is_of(f, version, &gone);
    unlock(&f->cache->lock);
    blocks_free(&gone);
    return same;
}

static void came(struct origin_progress *p, const struct origin_version *got, int64_t have)
{
    struct flight *const f = container_of(p, struct flight, progress);
    struct list gone;
    list_init(&gone);
    lock(&f->cache->lock);
    if (is_of(f, got, &gone))
        f->have = have;
    pthread_cond_broadcast(&f->news);
    unlock(&f->cache->lock);
    blocks_free(&gone);
}

static void fly(struct task *t);

struct flight *flight_create(struct source_cache *c, struct origin *origin, const char *path)
{
    struct flight *f = xcalloc(1, sizeof *f);
    f->cache = c;
    f->origin = origin;
    f->path = xstrdup(path);
    f->refs = 1;
    f->run = (struct run){ 0, -1 };
    f->progress.came = came;
    f->task.run = fly;
    list_init(&f->link);
    list_init(&f->sibling);
    list_init(&f->task.link);
    cond_init(&f->news);
    return f;
}

static void destroy(struct flight *f)
{
    pthread_cond_destroy(&f->news);
    buf_finish(&f->data);
    free(f->path);
    free(f);
}

int64_t flight_size(const struct flight *f)
{
    const int64_t size = f->cache->block_size;
    return min64((f->run.last + 1) * size, f->source->version.size) - f->run.first * size;
}

// ---- asking

static int ask_version(struct flight *f)
{
    struct origin_version got;
    const int rc = f->origin->stat(f->origin, f->path, &got, &f->cancel);
    if (rc == 0)
        learn(f, &got);
    return rc;
}

static int ask_bytes(struct flight *f)
{
    const struct source_cache *const c = f->cache;
    const struct source *const s = f->source;
    const int64_t offset = s ? f->run.first * c->block_size : 0;
    const int64_t n = s ? flight_size(f) : c->first_read;
    struct origin_version got;
    buf_init(&f->data, (size_t)n);
    if (buf_reserve(&f->data, (size_t)n) < 0)
        return -E_NO_MEMORY;
    const int rc = f->origin->read(f->origin, f->path, s ? &s->version : NULL, offset, n, &f->data,
                                   &got, &f->progress, &f->cancel);
    if (rc < 0)
        return rc;
    if (!learn(f, &got))
        return f->source ? -E_CHANGED : -E_CANCELLED; // nobody wants to know any more
    return (int64_t)f->data.len == flight_size(f) ? 0 : -E_ORIGIN;
}

// ---- its end

// Locked.  Hints that were followed are taken back, so that they do not make
// reads larger once their blocks have been evicted.
static void fulfil_wants(struct source *s, struct run run)
{
    for (int i = 0; i < SOURCE_WANTS; i++) {
        struct run *w = &s->wants[i];
        if (run.first <= w->first && w->first <= run.last)
            w->first = run.last + 1;
        if (run.first <= w->last && w->last <= run.last)
            w->last = run.first - 1;
    }
}

// Locked.
static void tell(struct flight *f, int rc, struct list *gone)
{
    f->have = rc == 0 ? (int64_t)f->data.len : f->have;
    if (f->name)
        names_not_found(f, rc, gone);
    else if (f->source && rc == 0)
        fulfil_wants(f->source, f->run);
    else if (f->source && rc == -E_CHANGED)
        source_bury(f->source, gone);
    else if (f->source && rc == -E_NOT_FOUND)
        names_forget(f->source, gone);
    f->result = rc;
    f->done = true;
    pthread_cond_broadcast(&f->news);
    list_remove(&f->link);
}

// Locked.  Whether that was the last reference.
static bool drop(struct flight *f, struct list *gone)
{
    if (--f->refs > 0)
        return false;
    source_unref(f->source, gone);
    return true;
}

// What came is kept, also of a flight that failed.  The cache may be gone afterwards.
static void land(struct flight *f, int rc)
{
    struct source_cache *const c = f->cache;
    const struct buf bytes = { .data = f->data.data,
                               .len = rc == 0 ? f->data.len : (size_t)f->have };
    struct list made, gone;
    list_init(&made);
    list_init(&gone);
    if (bytes.len > 0 && rc != -E_CHANGED)
        blocks_cut(&c->blocks, f->run.first, &bytes, &f->source->file, &made);
    lock(&c->lock);
    if (f->source && !f->source->dead)
        blocks_keep(&c->blocks, &made, f->use, &gone);
    tell(f, rc, &gone);
    const bool last = drop(f, &gone);
    list_remove(&f->sibling);
    pthread_cond_broadcast(&c->landed);
    unlock(&c->lock);
    blocks_free(&made);
    blocks_free(&gone);
    if (last)
        destroy(f);
}

static void fly(struct task *t)
{
    struct flight *const f = container_of(t, struct flight, task);
    land(f, f->only_version ? ask_version(f) : ask_bytes(f));
}

// ---- for those who wait

void flight_begin(struct flight *f)
{
    struct source_cache *const c = f->cache;
    f->refs++;
    list_push_back(&c->flights, &f->sibling);
    unlock(&c->lock);
    if (f->origin->threads)
        tasks_add(f->origin->threads, &f->task);
    else
        fly(&f->task);
    lock(&c->lock);
}

int flight_wait(struct flight *f, int64_t need, const struct cancel *cancel)
{
    while (!f->done && !(f->source && f->have >= need) && !cancel_is_set(cancel))
        cond_wait_until(&f->news, &f->cache->lock, clock_ms() + LOOK_MS);
    if (cancel_is_set(cancel)) // also when they came: nobody comes for the rest
        return -E_CANCELLED;
    if (f->source && f->have >= need)
        return 0;
    return f->result;
}

// Locked.  Nobody can find it any more.
static void give_up(struct flight *f, struct list *gone)
{
    atomic_store(&f->cancel.set, true);
    if (f->name)
        names_not_found(f, -E_CANCELLED, gone);
    list_remove(&f->link);
}

void flight_leave(struct flight *f, bool cancelled)
{
    struct source_cache *const c = f->cache;
    struct list gone;
    list_init(&gone);
    lock(&c->lock);
    const bool last = drop(f, &gone);
    if (!last && cancelled && f->refs == 1 && !f->done)
        give_up(f, &gone);
    unlock(&c->lock);
    blocks_free(&gone);
    if (last)
        destroy(f);
}
