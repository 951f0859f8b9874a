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

static int ask_version(const struct source_cache *c, const struct name *n, bool only_version,
                       struct buf *data, struct origin_version *got, const struct cancel *cancel)
{
    struct origin *const o = n->origin;
    if (only_version)
        return o->stat(o, n->path, got, cancel);
    const int rc = o->read(o, n->path, NULL, 0, c->first_read, data, got, NULL, cancel);
    if (rc < 0)
        return rc;
    return (int64_t)data->len == min64(c->first_read, got->size) ? 0 : -E_ORIGIN;
}

// The source of n at a version: the one it has, if it is still that.  A reference.
static struct source *source_at(struct source_cache *c, struct name *n,
                                const struct origin_version *version)
{
    struct source *s = NULL;
    lock(&c->lock);
    if (n->source && origin_version_equal(&n->source->version, version)) {
        s = n->source;
        s->refs++;
    }
    unlock(&c->lock);
    return s ? s : source_create(c, n->origin, n->path, version);
}

// Locked.  What the origin said of n is remembered.
static int keep_answer(struct source_cache *c, struct name *n, struct source *s, int rc,
                       int64_t now_ms, struct list *gone)
{
    if (rc == 0 && s->dead) // since source_at
        return -E_CHANGED;
    if (rc != 0 && rc != -E_NOT_FOUND)
        return rc;
    if (s)
        s->refs++;
    set_source(c, n, s, gone);
    n->until_ms = now_ms + (s ? c->fresh_ms : c->negative_ms);
    return rc;
}

// The asker's part of n->opening.
static int lead_opening(struct source_cache *c, struct name *n, bool only_version, int64_t now_ms,
                        const struct cancel *cancel)
{
    struct flight *const f = n->opening;
    struct list made, gone;
    list_init(&made);
    list_init(&gone);
    struct origin_version got;
    int rc = ask_version(c, n, only_version, &f->data, &got, cancel);
    if (rc == 0) {
        f->source = source_at(c, n, &got);
        blocks_cut(&c->blocks, 0, &f->data, &f->source->file, &made);
    }
    lock(&c->lock);
    if (rc == 0)
        blocks_keep(&c->blocks, &made, BLOCK_STAYS, &gone);
    rc = keep_answer(c, n, f->source, rc, now_ms, &gone);
    n->opening = NULL;
    flight_end(f, rc);
    names_trim(c, &c->known, &gone);
    names_trim(c, &c->absent, &gone);
    unlock(&c->lock);
    blocks_free(&gone);
    return rc;
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

static int open_once(struct source_cache *c, struct origin *origin, const char *path,
                     int64_t now_ms, const struct cancel *cancel, struct source **out)
{
    lock(&c->lock);
    struct name *n = *name_slot(c, origin, path);
    if (n && now_ms < n->until_ms) {
        const int rc = open_believed(c, n, out);
        unlock(&c->lock);
        return rc;
    }
    if (!n)
        n = add_name(c, origin, path);
    const bool lead = !n->opening;
    const bool only_version = n->source && !block_file_is_empty(&n->source->file);
    if (lead)
        n->opening = flight_create(c->first_read);
    else
        n->opening->refs++;
    struct flight *const f = n->opening;
    int rc = lead ? 0 : flight_wait(f, c, cancel);
    unlock(&c->lock);
    if (lead)
        rc = lead_opening(c, n, only_version, now_ms, cancel);
    if (rc == 0)
        *out = source_ref(f->source);
    flight_leave(f, c);
    return rc;
}

int source_open(struct source_cache *c, struct origin *origin, const char *path, int64_t now_ms,
                const struct cancel *cancel, struct source **out)
{
    *out = NULL;
    if (!origin_path_ok(path))
        return -E_BAD_REQUEST;
    int rc;
    do
        rc = open_once(c, origin, path, now_ms, cancel, out);
    while (rc == AGAIN);
    return rc;
}
