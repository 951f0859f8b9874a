// SPDX-License-Identifier: BSD-2-Clause
//
// A chained table and one list from the newest to the oldest use.  An asset
// that is pushed out lives on until its last reference goes.

#include "server/assets.h"

#include <string.h>

#include "base/base.h"

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

// Takes the table's reference away; the asset when that was the last one.
static struct asset *drop(struct assets *t, struct asset *a)
{
    struct asset **at = bucket_of(t, &a->version);
    while (*at != a)
        at = &(*at)->chain;
    *at = a->chain;
    a->chain = NULL;
    use_list_remove(t, a);
    t->bytes -= a->memory;
    return --a->refs == 0 ? a : NULL;
}

// Takes assets out, from the oldest, until the budget holds; but not keep.
// Those that nobody else holds come back as a chain.
static struct asset *shrink(struct assets *t, const struct asset *keep)
{
    struct asset *gone = NULL;
    while (t->bytes > t->budget && t->oldest != keep) {
        struct asset *const a = drop(t, t->oldest);
        if (a) {
            a->chain = gone;
            gone = a;
        }
    }
    return gone;
}

static void destroy(struct asset *a)
{
    while (a) {
        struct asset *const next = a->chain;
        media_destroy(a->media);
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
        struct asset *const a = drop(t, t->oldest);
        assert(a); // somebody still holds one
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
    a->memory = sizeof *a + media_memory(media);
    return a;
}

struct asset *assets_add(struct assets *t, const struct key *version, struct media *media,
                         const struct plan *plan)
{
    struct asset *fresh = create(version, media, plan);
    lock(&t->lock);
    struct asset *const there = find(t, version);
    if (!there) {
        fresh->chain = *bucket_of(t, version);
        *bucket_of(t, version) = fresh;
        use_list_push(t, fresh);
        t->bytes += fresh->memory;
    }
    struct asset *const out = shrink(t, there ? there : fresh);
    unlock(&t->lock);
    destroy(out);
    if (!there)
        return fresh;
    destroy(fresh);
    return there;
}

void asset_unref(struct assets *t, struct asset **a)
{
    if (!*a)
        return;
    lock(&t->lock);
    struct asset *const last = --(*a)->refs == 0 ? *a : NULL;
    unlock(&t->lock);
    *a = NULL;
    destroy(last);
}
