// SPDX-License-Identifier: BSD-2-Clause
//
// A reader that goes on where the last read ended, with no hint of where it will
// stop, is likely to go on: it gets some blocks more (the rest of an index, and
// the first pictures behind it, by one read).

#include "cache/source_parts.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "config/conf.h"

#define KNOWN_MAX 10000 // names with a source
#define ABSENT_MAX 1000 // names without
#define AHEAD 8         // blocks read at once where nobody said how many

// ---- sources, without their opening and reading

struct source *source_create(struct source_cache *c, struct origin *origin, const char *path,
                             const struct origin_version *version)
{
    struct source *s = xcalloc(1, sizeof *s);
    s->cache = c;
    s->origin = origin;
    s->version = *version;
    s->path = xstrdup(path);
    s->refs = 1;
    block_file_init(&s->file, version->size);
    list_init(&s->flights);
    for (int i = 0; i < SOURCE_WANTS; i++)
        s->wants[i] = (struct run){ 0, -1 };
    s->next_block = c->first_read / c->block_size;
    return s;
}

void source_unref(struct source *s, struct list *gone)
{
    if (!s || --s->refs > 0)
        return;
    assert(list_empty(&s->flights));
    blocks_drop(&s->cache->blocks, &s->file, gone);
    free(s->path);
    free(s);
}

struct source *source_ref(struct source *s)
{
    lock(&s->cache->lock);
    s->refs++;
    unlock(&s->cache->lock);
    return s;
}

void source_close(struct source **s)
{
    if (!*s)
        return;
    struct source_cache *c = (*s)->cache;
    struct list gone;
    list_init(&gone);
    lock(&c->lock);
    source_unref(*s, &gone);
    unlock(&c->lock);
    blocks_free(&gone);
    *s = NULL;
}

const struct origin_version *source_version(const struct source *s)
{
    return &s->version;
}

const char *source_path(const struct source *s)
{
    return s->path;
}

// ---- reading

// Locked.
static struct flight *flight_over(const struct source *s, int64_t number)
{
    for (struct list *l = s->flights.next; l != &s->flights; l = l->next) {
        struct flight *f = container_of(l, struct flight, link);
        if (f->run.first <= number && number <= f->run.last)
            return f;
    }
    return NULL;
}

// Locked.
static bool is_missing(const struct source *s, int64_t number)
{
    return !blocks_find(&s->cache->blocks, &s->file, number) && !flight_over(s, number);
}

// Locked.  Where the reading of blocks at..last may begin and end.
static struct run limit_of(const struct source *s, int64_t at, int64_t last)
{
    struct run limit = { at, last };
    bool hinted = false;
    for (int i = 0; i < SOURCE_WANTS; i++) {
        if (s->wants[i].first > last || s->wants[i].last < at)
            continue;
        hinted = true;
        limit.first = min64(limit.first, s->wants[i].first);
        limit.last = max64(limit.last, s->wants[i].last);
    }
    if (hinted || at != s->next_block)
        return limit;
    const int64_t end = (s->version.size - 1) / s->cache->block_size;
    limit.last = max64(last, min64(end, at + AHEAD - 1));
    return limit;
}

// Locked.  The missing blocks around at, one of wanted, which are fetched with
// it: those of wanted, of the hints that it meets, or ahead.
static struct run plan_run(const struct source *s, int64_t at, struct run wanted)
{
    const int64_t max = s->cache->run_max;
    const struct run limit = limit_of(s, at, wanted.last);
    struct run run = { at, at };
    while (run.last < limit.last && run.last - at + 1 < max && is_missing(s, run.last + 1))
        run.last++;
    while (run.first > limit.first && run.last - run.first + 1 < max &&
           is_missing(s, run.first - 1))
        run.first--;
    return run;
}

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

static int ask_bytes(struct source *s, struct flight *f, const struct cancel *cancel)
{
    const int64_t size = s->cache->block_size, offset = f->run.first * size;
    const int64_t n = min64((f->run.last - f->run.first + 1) * size, s->version.size - offset);
    struct origin_version got;
    const int rc =
        s->origin->read(s->origin, s->path, &s->version, offset, n, &f->data, &got, NULL, cancel);
    if (rc < 0)
        return rc;
    if (!origin_version_equal(&got, &s->version))
        return -E_CHANGED;
    return (int64_t)f->data.len == n ? 0 : -E_ORIGIN;
}

// Locked.
static void bury(struct source *s, struct list *gone)
{
    if (s->dead)
        return;
    s->dead = true;
    stat_add(STAT_source_changed_total, 1);
    log_info("origin", "%s: changed", s->path);
    blocks_drop(&s->cache->blocks, &s->file, gone);
    names_forget(s, gone);
}

// The asker's part of a flight over missing blocks.
static int lead_read(struct source *s, struct flight *f, const struct cancel *cancel)
{
    struct source_cache *c = s->cache;
    struct list made, gone;
    list_init(&made);
    list_init(&gone);
    const int rc = ask_bytes(s, f, cancel);
    if (rc == 0)
        blocks_cut(&c->blocks, f->run.first, &f->data, &s->file, &made);
    lock(&c->lock);
    if (rc == 0) {
        fulfil_wants(s, f->run);
        blocks_keep(&c->blocks, &made, f->use, &gone);
    } else if (rc == -E_CHANGED) {
        bury(s, &gone);
    } else if (rc == -E_NOT_FOUND) {
        names_forget(s, &gone);
    }
    flight_end(f, rc);
    unlock(&c->lock);
    blocks_free(&gone);
    return rc;
}

// Copies what a flight that went well brought of [at, at + n); with no out only says how many
// bytes those are.
static int64_t copy(const struct source_cache *c, const struct flight *f, int64_t at, void *out,
                    int64_t n)
{
    const int64_t skip = at - f->run.first * c->block_size, size = (int64_t)f->data.len;
    assert(skip >= 0 && skip < size);
    const int64_t take = min64(n, size - skip);
    if (out)
        memcpy(out, f->data.data + skip, (size_t)take);
    return take;
}

// Locked; unlocks.
static int64_t read_block(struct source_cache *c, struct block *b, int64_t at, void *out, int64_t n,
                          enum block_use use)
{
    blocks_use(&c->blocks, b, use);
    unlock(&c->lock);
    const int64_t took = block_copy(&c->blocks, b, at, out, n);
    block_leave(b);
    if (out)
        stat_add(STAT_source_blocks_hit_total, 1);
    return took;
}

// Copies the next bytes of [at, at + n) and adds to *took how many; or nothing,
// when the flight it waited for was cancelled.
static int read_some(struct source *s, int64_t at, void *out, int64_t n, enum block_use use,
                     const struct cancel *cancel, int64_t *took)
{
    struct source_cache *c = s->cache;
    const int64_t number = at / c->block_size;
    lock(&c->lock);
    if (s->dead) {
        unlock(&c->lock);
        return -E_CHANGED;
    }
    struct block *b = blocks_find(&c->blocks, &s->file, number);
    if (b) {
        *took += read_block(c, b, at, out, n, use);
        return 0;
    }
    struct flight *f = flight_over(s, number);
    const bool lead = !f;
    if (lead) {
        const struct run run =
            plan_run(s, number, (struct run){ number, (at + n - 1) / c->block_size });
        f = flight_create((run.last - run.first + 1) * c->block_size);
        f->run = run;
        f->use = use;
        s->next_block = run.last + 1;
        list_push_back(&s->flights, &f->link);
    } else {
        f->refs++;
        f->use = use == BLOCK_STAYS ? use : f->use;
    }
    int rc = lead ? 0 : flight_wait(f, c, cancel);
    unlock(&c->lock);
    if (lead)
        rc = lead_read(s, f, cancel);
    if (rc == 0)
        *took += copy(c, f, at, out, n);
    flight_leave(f, c);
    return rc < 0 ? rc : 0;
}

static int64_t read_all(struct source *s, int64_t offset, void *out, int64_t n, enum block_use use,
                        const struct cancel *cancel)
{
    if (offset < 0 || n < 0)
        return -E_BAD_REQUEST;
    if (offset >= s->version.size)
        return 0;
    n = min64(n, s->version.size - offset);
    for (int64_t took = 0; took < n;) {
        if (cancel_is_set(cancel))
            return -E_CANCELLED;
        void *const to = out ? (uint8_t *)out + took : NULL;
        const int rc = read_some(s, offset + took, to, n - took, use, cancel, &took);
        if (rc < 0)
            return rc;
    }
    return n;
}

int64_t source_read(struct source *s, int64_t offset, void *out, int64_t n,
                    const struct cancel *cancel)
{
    return read_all(s, offset, out, n, BLOCK_STAYS, cancel);
}

int64_t source_pass(struct source *s, int64_t offset, void *out, int64_t n,
                    const struct cancel *cancel)
{
    return read_all(s, offset, out, n, BLOCK_PASSES, cancel);
}

int source_bring(struct source *s, int64_t offset, int64_t n, const struct cancel *cancel)
{
    const int64_t rc = source_read(s, offset, NULL, n, cancel);
    return rc < 0 ? (int)rc : 0;
}

bool source_has(struct source *s, int64_t offset, int64_t n)
{
    if (offset < 0 || n <= 0 || offset >= s->version.size)
        return true; // nothing is read then
    const int64_t size = s->cache->block_size;
    const int64_t last = (offset + min64(n, s->version.size - offset) - 1) / size;
    int64_t at = offset / size;
    lock(&s->cache->lock);
    while (at <= last && blocks_find(&s->cache->blocks, &s->file, at))
        at++;
    unlock(&s->cache->lock);
    return at > last;
}

// Locked.
static bool any_missing(const struct source *s, struct run run)
{
    int64_t at = run.first;
    while (at <= run.last && !is_missing(s, at))
        at++;
    return at <= run.last;
}

void source_want(struct source *s, int64_t offset, int64_t n)
{
    if (offset < 0 || n <= 0 || offset >= s->version.size)
        return;
    const int64_t size = s->cache->block_size;
    const int64_t last = offset + min64(n, s->version.size - offset) - 1;
    const struct run want = { offset / size, last / size };
    lock(&s->cache->lock);
    bool known = false;
    for (int i = 0; i < SOURCE_WANTS; i++)
        known |= s->wants[i].first <= want.first && want.last <= s->wants[i].last;
    if (!known && any_missing(s, want)) {
        s->wants[s->next_want] = want;
        s->next_want = (s->next_want + 1) % SOURCE_WANTS;
    }
    unlock(&s->cache->lock);
}

// ---- life

struct source_cache *source_cache_create(const struct conf *conf)
{
    struct source_cache *c = xcalloc(1, sizeof *c);
    blocks_init(&c->blocks, conf->cache_source_blocks, conf->origin_block);
    c->block_size = conf->origin_block;
    // A first read of whole blocks, so that all of it can be kept.
    const int64_t first_blocks = (conf->origin_first_read + c->block_size - 1) / c->block_size;
    c->first_read = first_blocks * c->block_size;
    c->run_max = max64(1, conf->origin_read_max / c->block_size);
    c->fresh_ms = conf->origin_fresh;
    c->negative_ms = conf->cache_negative;
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->known.list);
    list_init(&c->absent.list);
    c->known.max = KNOWN_MAX;
    c->absent.max = ABSENT_MAX;
    return c;
}

void source_cache_destroy(struct source_cache *c)
{
    if (!c)
        return;
    struct list gone;
    list_init(&gone);
    lock(&c->lock);
    c->known.max = c->absent.max = 0;
    names_trim(c, &c->known, &gone);
    names_trim(c, &c->absent, &gone);
    assert(c->known.count == 0 && c->absent.count == 0);
    unlock(&c->lock);
    blocks_free(&gone);
    pthread_mutex_destroy(&c->lock);
    blocks_finish(&c->blocks);
    free(c);
}
