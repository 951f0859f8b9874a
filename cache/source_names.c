// SPDX-License-Identifier: BSD-2-Clause

#include "cache/source_parts.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/hash.h"

// Locked.  Where the name is, or NULL where it would be.
static struct name **name_slot(struct source_cache *c, const struct origin *origin,
                               const char *path)
{
    struct name **slot = &c->name_buckets[checksum(path, strlen(path)) % NAME_BUCKETS];
    while (*slot && ((*slot)->origin != origin || strcmp((*slot)->path, path) != 0))
        slot = &(*slot)->next;
    return slot;
}

// Locked.  Puts n first where it belongs.
static void link_name(struct source_cache *c, struct name *n)
{
    struct names *names = n->source ? &c->known : &c->absent;
    list_push_front(&names->list, &n->lru);
    names->count++;
}

// Locked.
static void unlink_name(struct source_cache *c, struct name *n)
{
    struct names *names = n->source ? &c->known : &c->absent;
    list_remove(&n->lru);
    names->count--;
}

// Locked.
static struct name *add_name(struct source_cache *c, struct origin *origin, const char *path)
{
    const size_t size = strlen(path) + 1;
    struct name *n = xcalloc(1, sizeof *n + size);
    n->origin = origin;
    n->until_ms = INT64_MIN;
    memcpy(n->path, path, size);
    *name_slot(c, origin, path) = n;
    link_name(c, n);
    return n;
}

// Locked.  The name's source becomes s, whose reference it takes over, or none.
static void set_source(struct source_cache *c, struct name *n, struct source *s, struct list *gone)
{
    struct source *old = n->source;
    unlink_name(c, n);
    n->source = s;
    link_name(c, n);
    source_unref(old, gone);
}

// Locked.
static void drop_name(struct source_cache *c, struct name *n, struct list *gone)
{
    struct name **slot = name_slot(c, n->origin, n->path);
    assert(*slot == n && !n->opening);
    *slot = n->next;
    unlink_name(c, n);
    source_unref(n->source, gone);
    free(n);
}

void names_trim(struct source_cache *c, struct names *names, struct list *gone)
{
    struct list *l = names->list.prev;
    while (names->count > names->max && l != &names->list) {
        struct name *n = container_of(l, struct name, lru);
        l = l->prev;
        if (!n->opening)
            drop_name(c, n, gone);
    }
}

void names_forget(struct source *s, struct list *gone)
{
    struct name *n = *name_slot(s->cache, s->origin, s->path);
    if (!n || n->source != s)
        return;
    n->until_ms = INT64_MIN;
    set_source(s->cache, n, NULL, gone);
}

// ---- opening

// Locked.  f is not to be found by its name any more.
static struct name *answered(struct flight *f)
{
    struct name *const n = f->name;
    assert(n->opening == f);
    n->opening = NULL;
    f->name = NULL;
    return n;
}

// Locked.
static void trim(struct source_cache *c, struct list *gone)
{
    names_trim(c, &c->known, gone);
    names_trim(c, &c->absent, gone);
}

// Locked.  The source of n at a version: the one it has, if it is still that.  A reference.
static struct source *source_at(struct source_cache *c, const struct name *n,
                                const struct origin_version *version)
{
    if (!n->source || !origin_version_equal(&n->source->version, version))
        return source_create(c, n->origin, n->path, version);
    n->source->refs++;
    return n->source;
}

void names_found(struct flight *f, const struct origin_version *version, struct list *gone)
{
    struct source_cache *const c = f->cache;
    struct name *const n = answered(f);
    struct source *const s = f->source = source_at(c, n, version);
    s->refs++;
    set_source(c, n, s, gone);
    n->until_ms = f->now_ms + c->fresh_ms;
    if (!f->only_version) {
        f->run.last = (min64(c->first_read, version->size) + c->block_size - 1) / c->block_size - 1;
        list_push_back(&s->flights, &f->link);
    }
    trim(c, gone);
}

void names_not_found(struct flight *f, int err, struct list *gone)
{
    struct source_cache *const c = f->cache;
    struct name *const n = answered(f);
    if (err == -E_NOT_FOUND) {
        set_source(c, n, NULL, gone);
        n->until_ms = f->now_ms + c->negative_ms;
    }
    trim(c, gone);
}

// Locked.
static int open_believed(struct source_cache *c, struct name *n, struct source **out)
{
    unlink_name(c, n);
    link_name(c, n);
    if (!n->source)
        return -E_NOT_FOUND;
    *out = n->source;
    n->source->refs++;
    return 0;
}

// Locked; released meanwhile.
static int ask(struct source_cache *c, struct name *n, int64_t now_ms, const struct cancel *cancel,
               struct flight **out)
{
    struct flight *f = *out = n->opening;
    if (f) {
        f->refs++;
        return flight_wait(f, 0, cancel);
    }
    f = *out = n->opening = flight_create(c, n->origin, n->path);
    f->name = n;
    f->now_ms = now_ms;
    f->only_version = n->source && !block_file_is_empty(&n->source->file);
    flight_begin(f);
    return flight_wait(f, 0, cancel);
}

int source_open(struct source_cache *c, struct origin *origin, const char *path, int64_t now_ms,
                const struct cancel *cancel, struct source **out)
{
    *out = NULL;
    if (!origin_path_ok(path))
        return -E_BAD_REQUEST;
    struct flight *f = NULL;
    lock(&c->lock);
    struct name *n = *name_slot(c, origin, path);
    if (!n)
        n = add_name(c, origin, path);
    const int rc = now_ms < n->until_ms ? open_believed(c, n, out) : ask(c, n, now_ms, cancel, &f);
    if (f && rc == 0)
        (*out = f->source)->refs++;
    unlock(&c->lock);
    if (f)
        flight_leave(f, rc == -E_CANCELLED);
    return rc;
}
