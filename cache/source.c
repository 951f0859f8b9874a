// SPDX-License-Identifier: BSD-2-Clause
//
// source - versions of files and their blocks (cache/blocks.h), asked for once.
//
// A question to the origin is a flight: one caller asks, on its own thread and
// without the lock, and whoever wants the same waits for the flight's end.
// There are two kinds: opening a path (one flight per path at a time) and
// reading a run of missing blocks (flights of one source never overlap).  When
// the asker was cancelled, those who wait start again and one of them asks; any
// other failure is theirs too, and is not remembered.
//
// Waiters copy from the flight's bytes, not from the cache, so blocks may be
// evicted at any time and a budget of zero works.  What is read and not cached
// is bounded by the readers: each asks for at most read_max at a time.
//
// A reader that goes on where the last read ended, with no hint of where it will
// stop, is likely to go on: it gets some blocks more (the rest of an index, and
// the first pictures behind it, by one read).
//
// A name is what is remembered of a path: its current source, or that there is
// none.  It holds a reference to its source, so blocks outlive their readers.
// Readers may hold older sources, which end with their last reader.
//
// One lock guards everything; under it there is bookkeeping only.  Bytes are
// copied and freed outside: what is taken out under the lock is put on a list
// called gone.  "Locked" above a function: the caller holds the lock.

#include "cache/source.h"

#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/blocks.h"
#include "config/conf.h"

#define KNOWN_MAX 10000 // names with a source
#define ABSENT_MAX 1000 // names without
#define NAME_BUCKETS 4096
#define WANTS 16   // hints kept per source
#define AHEAD 8    // blocks read at once where nobody said how many
#define LOOK_MS 50 // how often a waiter looks at its cancel token

enum { AGAIN = 1 }; // beside 0 and errors: nothing came of it, start over

// Blocks first..last, both included; none when last < first.
struct run {
    int64_t first, last;
};

struct flight {
    // protected by the cache's lock
    struct list link; // in source.flights, while a read is under way
    int refs;         // the asker and the waiters
    bool done;
    pthread_cond_t end;

    // the asker's until done, then constant
    enum block_use use; // of a read's blocks, as it turned out; the cache's lock's until done
    struct run run;     // the blocks of a read; constant from the start
    int result;
    struct buf data;       // of a read that went well
    struct source *source; // of an opening that went well; a reference
};

struct name {
    struct list lru;   // in source_cache.known or .absent
    struct name *next; // in its bucket
    struct origin *origin;
    struct source *source;  // a reference; NULL: absent
    int64_t until_ms;       // how long that is believed
    struct flight *opening; // under way, or NULL; the name stays while it is
    char path[];
};

struct source {
    // constant
    struct source_cache *cache;
    struct origin *origin; // borrowed
    struct origin_version version;
    char *path;

    // protected by cache->lock
    int refs;
    bool dead;              // it changed at the origin
    struct block_file file; // what of it is here
    struct list flights;
    struct run wants[WANTS];
    int next_want;
    int64_t next_block; // behind the last read
};

struct names {
    struct list list; // the last used first
    int count, max;
};

struct source_cache {
    // constant
    int64_t block_size, first_read, fresh_ms, negative_ms;
    int64_t run_max; // blocks

    pthread_mutex_t lock; // protects the rest
    struct blocks blocks;
    struct name *name_buckets[NAME_BUCKETS];
    struct names known, absent;
};

// ---- sources, without their opening and reading

static struct source *create_source(struct source_cache *c, struct origin *origin, const char *path,
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
    for (int i = 0; i < WANTS; i++)
        s->wants[i] = (struct run){ 0, -1 };
    s->next_block = c->first_read / c->block_size;
    return s;
}

// Locked.  NULL is fine.
static void unref_source(struct source *s, struct list *gone)
{
    if (!s || --s->refs > 0)
        return;
    assert(list_empty(&s->flights));
    blocks_drop(&s->cache->blocks, &s->file, gone);
    free(s->path);
    free(s);
}

// ---- flights

static struct flight *create_flight(int64_t max)
{
    struct flight *f = xcalloc(1, sizeof *f);
    list_init(&f->link);
    f->refs = 1;
    cond_init(&f->end);
    buf_init(&f->data, (size_t)max);
    return f;
}

// Locked; released while it waits.  The flight's result, or -E_CANCELLED when
// the waiter was cancelled, AGAIN when the asker was.
static int wait_for(struct flight *f, struct source_cache *c, const struct cancel *cancel)
{
    while (!f->done && !cancel_is_set(cancel))
        cond_wait_until(&f->end, &c->lock, clock_ms() + LOOK_MS);
    if (!f->done)
        return -E_CANCELLED;
    return f->result == -E_CANCELLED ? AGAIN : f->result;
}

// Locked.
static void end_flight(struct flight *f, int result)
{
    f->result = result;
    f->done = true;
    list_remove(&f->link);
    pthread_cond_broadcast(&f->end);
}

static void leave_flight(struct flight *f, struct source_cache *c)
{
    struct list gone;
    list_init(&gone);
    lock(&c->lock);
    const bool last = --f->refs == 0;
    if (last)
        unref_source(f->source, &gone);
    unlock(&c->lock);
    blocks_free(&gone);
    if (!last)
        return;
    pthread_cond_destroy(&f->end);
    buf_finish(&f->data);
    free(f);
}

// ---- names

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
    unref_source(old, gone);
}

// Locked.
static void drop_name(struct source_cache *c, struct name *n, struct list *gone)
{
    struct name **slot = name_slot(c, n->origin, n->path);
    assert(*slot == n && !n->opening);
    *slot = n->next;
    unlink_name(c, n);
    unref_source(n->source, gone);
    free(n);
}

// Locked.  Passes over what is being opened: that is one per thread at most.
static void trim_names(struct source_cache *c, struct names *names, struct list *gone)
{
    struct list *l = names->list.prev;
    while (names->count > names->max && l != &names->list) {
        struct name *n = container_of(l, struct name, lru);
        l = l->prev;
        if (!n->opening)
            drop_name(c, n, gone);
    }
}

// Locked.  The origin does not have this version any more: the next opening asks.
static void forget(struct source *s, struct list *gone)
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
    const int rc = o->read(o, n->path, NULL, 0, c->first_read, data, got, cancel);
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
    return s ? s : create_source(c, n->origin, n->path, version);
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
    end_flight(f, rc);
    trim_names(c, &c->known, &gone);
    trim_names(c, &c->absent, &gone);
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
        n->opening = create_flight(c->first_read);
    else
        n->opening->refs++;
    struct flight *const f = n->opening;
    int rc = lead ? 0 : wait_for(f, c, cancel);
    unlock(&c->lock);
    if (lead)
        rc = lead_opening(c, n, only_version, now_ms, cancel);
    if (rc == 0)
        *out = source_ref(f->source);
    leave_flight(f, c);
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
    unref_source(*s, &gone);
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
    for (int i = 0; i < WANTS; i++) {
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
    for (int i = 0; i < WANTS; i++) {
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
        s->origin->read(s->origin, s->path, &s->version, offset, n, &f->data, &got, cancel);
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
    forget(s, gone);
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
        forget(s, &gone);
    }
    end_flight(f, rc);
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
        f = create_flight((run.last - run.first + 1) * c->block_size);
        f->run = run;
        f->use = use;
        s->next_block = run.last + 1;
        list_push_back(&s->flights, &f->link);
    } else {
        f->refs++;
        f->use = use == BLOCK_STAYS ? use : f->use;
    }
    int rc = lead ? 0 : wait_for(f, c, cancel);
    unlock(&c->lock);
    if (lead)
        rc = lead_read(s, f, cancel);
    if (rc == 0)
        *took += copy(c, f, at, out, n);
    leave_flight(f, c);
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
    for (int i = 0; i < WANTS; i++)
        known |= s->wants[i].first <= want.first && want.last <= s->wants[i].last;
    if (!known && any_missing(s, want)) {
        s->wants[s->next_want] = want;
        s->next_want = (s->next_want + 1) % WANTS;
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
    trim_names(c, &c->known, &gone);
    trim_names(c, &c->absent, &gone);
    assert(c->known.count == 0 && c->absent.count == 0);
    unlock(&c->lock);
    blocks_free(&gone);
    pthread_mutex_destroy(&c->lock);
    blocks_finish(&c->blocks);
    free(c);
}
