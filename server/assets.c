// SPDX-License-Identifier: BSD-2-Clause
//
// A chained table and one list from the newest to the oldest use.  Who is not in the
// table, is no more.

#include "server/assets.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/stat.h"

#define BUCKETS 4096

struct assets {
    pthread_mutex_t lock;
    // protected by lock
    struct asset *buckets[BUCKETS];
    struct asset *newest, *oldest;
    size_t bytes, budget;
};

static struct asset **bucket_of(struct assets *t, const struct key *version)
{
    return &t->buckets[(version->b[0] | version->b[1] << 8) % BUCKETS];
}

static void use_list_remove(struct assets *t, struct asset *a)
{
    *(a->newer ? &a->newer->older : &t->newest) = a->older;
    *(a->older ? &a->older->newer : &t->oldest) = a->newer;
    a->newer = a->older = NULL;
}

static void use_list_push(struct assets *t, struct asset *a)
{
    a->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = a;
    t->newest = a;
}

static struct asset *find(struct assets *t, const struct key *version)
{
    struct asset *a = *bucket_of(t, version);
    while (a && !key_equal(&a->version, version))
        a = a->chain;
    if (a) {
        use_list_remove(t, a);
        use_list_push(t, a);
        a->refs++;
    }
    return a;
}

static void drop(struct assets *t, struct asset *a)
{
    struct asset **at = bucket_of(t, &a->version);
    while (*at != a)
        at = &(*at)->chain;
    *at = a->chain;
    use_list_remove(t, a);
    t->bytes -= a->memory;
    stat_add(STAT_index_bytes, -(int64_t)a->memory);
}

// Takes assets out that nobody holds, from the oldest, until there is room for more
// bytes.  They come back as a chain.
static struct asset *shrink(struct assets *t, size_t more)
{
    struct asset *gone = NULL;
    for (struct asset *a = t->oldest, *newer; a && t->bytes + more > t->budget; a = newer) {
        newer = a->newer;
        if (a->refs > 1)
            continue;
        drop(t, a);
        a->chain = gone;
        gone = a;
    }
    return gone;
}

static void destroy(struct asset *a)
{
    while (a) {
        struct asset *const next = a->chain;
        media_destroy(a->media);
        plan_finish(&a->plan);
        free(a);
        a = next;
    }
}

struct assets *assets_create(size_t budget)
{
    struct assets *t = xcalloc(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->budget = budget;
    return t;
}

void assets_destroy(struct assets *t)
{
    if (!t)
        return;
    while (t->oldest) {
        struct asset *const a = t->oldest;
        assert(a->refs == 1);
        drop(t, a);
        a->chain = NULL;
        destroy(a);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

struct asset *assets_find(struct assets *t, const struct key *version)
{
    lock(&t->lock);
    struct asset *const a = find(t, version);
    unlock(&t->lock);
    return a;
}

static struct asset *create(const struct key *version, struct media *media, const struct plan *plan)
{
    struct asset *a = xcalloc(1, sizeof *a);
    a->version = *version;
    a->media = media;
    a->plan = *plan;
    a->refs = 2; // the table's and the caller's
    a->memory = sizeof *a + media_memory(media) + segtab_memory(&plan->table);
    return a;
}

static void insert(struct assets *t, struct asset *a)
{
    a->chain = *bucket_of(t, &a->version);
    *bucket_of(t, &a->version) = a;
    use_list_push(t, a);
    t->bytes += a->memory;
    stat_add(STAT_index_bytes, (int64_t)a->memory);
}

int assets_add(struct assets *t, const struct key *version, struct media *media,
               const struct plan *plan, struct asset **out)
{
    struct asset *const fresh = create(version, media, plan);
    struct asset *gone = NULL;
    int err = 0;
    lock(&t->lock);
    *out = find(t, version);
    if (!*out) {
        gone = shrink(t, fresh->memory);
        if (fresh->memory > t->budget)
            err = -E_LIMITS;
        else if (t->bytes + fresh->memory > t->budget)
            err = -E_BUSY;
        else
            insert(t, *out = fresh);
    }
    unlock(&t->lock);
    destroy(gone);
    if (*out != fresh)
        destroy(fresh);
    return err;
}

void asset_unref(struct assets *t, struct asset **a)
{
    if (!*a)
        return;
    lock(&t->lock);
    const int left = --(*a)->refs;
    unlock(&t->lock);
    assert(left > 0); // the table's
    *a = NULL;
}
