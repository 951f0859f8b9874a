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
#define NEAR_MAX MIB    // of one read of an origin where none takes a while: who asks waits for all

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

void source_bury(struct source *s, struct list *gone)
{
    if (s->dead)
        return;
    s->dead = true;
    stat_add(STAT_source_changed_total, 1);
    log_info("origin", "%s: changed", s->path);
    blocks_drop(&s->cache->blocks, &s->file, gone);
    names_forget(s, gone);
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

// Locked.
static bool is_here(const struct source *s, int64_t number)
{
    const struct flight *const f = flight_over(s, number);
    const int64_t end = f ? (number + 1 - f->run.first) * s->cache->block_size : 0;
    return blocks_find(&s->cache->blocks, &s->file, number) ||
           (f && f->have >= min64(end, flight_size(f)));
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
    const int64_t max = s->origin->threads ? s->cache->run_max : s->cache->near_max;
    const struct run limit = limit_of(s, at, wanted.last);
    struct run run = { at, at };
    while (run.last < limit.last && run.last - at + 1 < max && is_missing(s, run.last + 1))
        run.last++;
    while (run.first > limit.first && run.last - run.first + 1 < max &&
           is_missing(s, run.first - 1))
        run.first--;
    return run;
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

// Locked; released meanwhile.  A flight over the block at..., whose reference is the caller's.
static struct flight *begin_run(struct source *s, int64_t number, int64_t last, enum block_use use)
{
    struct flight *const f = flight_create(s->cache, s->origin, s->path);
    f->run = plan_run(s, number, (struct run){ number, last });
    f->use = use;
    f->source = s;
    s->refs++;
    s->next_block = f->run.last + 1;
    list_push_back(&s->flights, &f->link);
    flight_begin(f);
    return f;
}

// Locked; released meanwhile.
static struct flight *join_flight(struct source *s, int64_t number, int64_t last,
                                  enum block_use use)
{
    struct flight *const f = flight_over(s, number);
    if (!f)
        return begin_run(s, number, last, use);
    f->refs++;
    f->use = use == BLOCK_STAYS ? use : f->use;
    return f;
}

// Locked; unlocks.  Waits for the bytes of [at, at + n) that a flight brings and copies them.
// How many, or an error.
static int64_t read_flight(struct source *s, int64_t at, void *out, int64_t n, enum block_use use,
                           const struct cancel *cancel)
{
    struct source_cache *const c = s->cache;
    struct flight *const f = join_flight(s, at / c->block_size, (at + n - 1) / c->block_size, use);
    const int64_t skip = at - f->run.first * c->block_size;
    const int64_t take = min64(n, flight_size(f) - skip);
    assert(skip >= 0 && take > 0);
    const int rc = flight_wait(f, skip + take, cancel);
    unlock(&c->lock);
    if (rc == 0 && out)
        memcpy(out, f->data.data + skip, (size_t)take);
    flight_leave(f, rc == -E_CANCELLED);
    return rc == 0 ? take : rc;
}

// Copies the next bytes of [at, at + n).  How many, or an error.
static int64_t read_some(struct source *s, int64_t at, void *out, int64_t n, enum block_use use,
                         const struct cancel *cancel)
{
    struct source_cache *const c = s->cache;
    lock(&c->lock);
    if (s->dead) {
        unlock(&c->lock);
        return -E_CHANGED;
    }
    struct block *const b = blocks_find(&c->blocks, &s->file, at / c->block_size);
    return b ? read_block(c, b, at, out, n, use) : read_flight(s, at, out, n, use, cancel);
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
        const int64_t some = read_some(s, offset + took, to, n - took, use, cancel);
        if (some < 0)
            return some;
        took += some;
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
    while (at <= last && is_here(s, at))
        at++;
    unlock(&s->cache->lock);
    return at > last;
}

// Locked.  The first block of a run that is missing; behind its last: none.
static int64_t first_missing(const struct source *s, struct run run)
{
    while (run.first <= run.last && !is_missing(s, run.first))
        run.first++;
    return run.first;
}

// Locked.  Whether that was not said yet.
static bool note_want(struct source *s, struct run want)
{
    for (int i = 0; i < SOURCE_WANTS; i++)
        if (s->wants[i].first <= want.first && want.last <= s->wants[i].last)
            return false;
    s->wants[s->next_want] = want;
    s->next_want = (s->next_want + 1) % SOURCE_WANTS;
    return true;
}

// Locked.  Whether a read may begin before somebody waits for it: a second one of a source, as the
// first is that of its opening or of what was wanted before.
static bool may_hurry(const struct source *s)
{
    return s->origin->threads && !s->dead &&
           (list_empty(&s->flights) || s->flights.next == s->flights.prev);
}

void source_want(struct source *s, int64_t offset, int64_t n)
{
    if (offset < 0 || n <= 0 || offset >= s->version.size)
        return;
    const int64_t size = s->cache->block_size;
    const int64_t last = offset + min64(n, s->version.size - offset) - 1;
    const struct run want = { offset / size, last / size };
    struct flight *f = NULL;
    lock(&s->cache->lock);
    const int64_t number = first_missing(s, want);
    if (number <= want.last && note_want(s, want) && may_hurry(s))
        f = begin_run(s, number, want.last, BLOCK_STAYS);
    unlock(&s->cache->lock);
    if (f)
        flight_leave(f, false);
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
    c->near_max = max64(1, min64(conf->origin_read_max, NEAR_MAX) / c->block_size);
    c->fresh_ms = conf->origin_fresh;
    c->negative_ms = conf->cache_negative;
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->known.list);
    list_init(&c->absent.list);
    c->known.max = KNOWN_MAX;
    c->absent.max = ABSENT_MAX;
    list_init(&c->flights);
    cond_init(&c->landed);
    return c;
}

// Locked; released while it waits.  All who waited for them have left.
static void end_flights(struct source_cache *c)
{
    for (struct list *l = c->flights.next; l != &c->flights; l = l->next)
        atomic_store(&container_of(l, struct flight, sibling)->cancel.set, true);
    while (!list_empty(&c->flights))
        pthread_cond_wait(&c->landed, &c->lock);
}

void source_cache_destroy(struct source_cache *c)
{
    if (!c)
        return;
    struct list gone;
    list_init(&gone);
    lock(&c->lock);
    end_flights(c);
    c->known.max = c->absent.max = 0;
    names_trim(c, &c->known, &gone);
    names_trim(c, &c->absent, &gone);
    assert(c->known.count == 0 && c->absent.count == 0);
    unlock(&c->lock);
    blocks_free(&gone);
    pthread_cond_destroy(&c->landed);
    pthread_mutex_destroy(&c->lock);
    blocks_finish(&c->blocks);
    free(c);
}
