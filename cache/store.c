// SPDX-License-Identifier: BSD-2-Clause
//
// A table from keys to entries.  An entry is in one of three conditions:
//   making  its object has no end yet; only its maker or an opener that finds
//           it abandoned takes it out;
//   held    whole; while it has no reader, it is kept: counted in the budget of the
//           kept ones, and known to the policy;
//   failed  on the list of failures, oldest first, which has a ceiling of its
//           own, so that a storm of bad keys cannot push good bytes out.
//
// The joining of an object happens under store.lock and object.lock together
// and fails for an abandoned one: there is no moment in which an opener could
// be handed an object whose maker was told to stop.
//
// What leaves the table goes to a list of the dead, whose bytes are freed after
// store.lock was given back.  One lock serves for now: it is held for a look-up
// and a few pointers.  Should it ever show in a profile, split the table by a
// byte of the key into shards with a lock, a policy and a share of the budget each.

#include "cache/store.h"

#include "base/base.h"
#include "base/list.h"
#include "base/stat.h"
#include "cache/keymap.h"
#include "cache/object.h"
#include "cache/policy.h"

struct entry {
    struct keymap_node node;
    struct policy_entry rank; // in the policy while kept
    struct list link;         // in failures, or on a list local to a function
    struct object *object;    // a reference
    int64_t expires_ms;       // STORE_FOREVER while making
    bool held;
    bool kept;
    bool failed;
};

struct store {
    // constant after create
    int64_t budget; // of the kept
    size_t object_max;
    struct policy *policy; // called under lock

    struct object_budget in_use;

    pthread_mutex_t lock;
    // protected by lock
    struct keymap table;
    int64_t kept_bytes;
    struct list failures;
    int failure_count;
};

static struct entry *entry_of(struct keymap_node *n)
{
    return n ? container_of(n, struct entry, node) : NULL;
}

// ---- leaving the table

// From one budget to the other, with the first reader and after the last.
static void count_kept(struct store *s, struct entry *e, bool kept)
{
    const int64_t bytes = kept ? e->rank.bytes : -e->rank.bytes;
    e->kept = kept;
    s->kept_bytes += bytes;
    object_budget_add(&s->in_use, -bytes);
    stat_add(STAT_cache_memory_bytes, bytes);
}

static void keep(struct store *s, struct entry *e)
{
    if (e->held && !e->kept && object_readers(e->object) == 0) {
        s->policy->add(s->policy, &e->rank);
        count_kept(s, e, true);
    }
}

static void release(struct store *s, struct entry *e)
{
    if (e->kept) {
        s->policy->remove(s->policy, &e->rank);
        count_kept(s, e, false);
    }
}

static void detach(struct store *s, struct entry *e, struct list *dead)
{
    keymap_remove(&s->table, &e->node);
    release(s, e);
    if (e->failed)
        s->failure_count--;
    list_remove(&e->link);
    list_push_back(dead, &e->link);
}

static void bury_entry(struct entry *e)
{
    stat_add(STAT_cache_memory_objects, -(int64_t)e->held);
    object_unref(&e->object);
    free(e);
}

// After unlock: this is where bytes are freed.
static void bury(struct list *dead)
{
    for (struct list *l; (l = list_pop(dead));)
        bury_entry(container_of(l, struct entry, link));
}

// ---- making room

// Evicts until the kept objects are within their budget.
static void trim(struct store *s, struct list *dead)
{
    for (struct policy_entry *r; s->kept_bytes > s->budget && (r = s->policy->victim(s->policy));) {
        detach(s, container_of(r, struct entry, rank), dead);
        stat_add(STAT_cache_evictions_memory_total, 1);
    }
}

// ---- opening

static struct object *insert(struct store *s, const struct key *key)
{
    struct entry *e = xcalloc(1, sizeof *e);
    e->node.key = *key;
    e->object = object_create(key, s->object_max, &s->in_use);
    e->expires_ms = STORE_FOREVER;
    list_init(&e->link);
    keymap_add(&s->table, &e->node);
    object_join(e->object);
    return object_ref(e->object);
}

// What store_open does but for making.  An entry that is of no use leaves.
static enum store_verdict find(struct store *s, const struct key *key, int64_t now_ms,
                               struct object **out, struct list *dead)
{
    struct entry *e = entry_of(keymap_find(&s->table, key));
    if (!e)
        return STORE_MAKE;
    if (e->expires_ms <= now_ms || !object_try_join(e->object)) {
        detach(s, e, dead);
        return STORE_MAKE;
    }
    *out = object_ref(e->object);
    release(s, e);
    return object_state(e->object) == OBJECT_MAKING ? STORE_JOIN : STORE_HIT;
}

static enum store_verdict open_or_find(struct store *s, const struct key *key, int64_t now_ms,
                                       struct object **out, bool make)
{
    assert(!*out);
    struct list dead;
    list_init(&dead);
    lock(&s->lock);
    const enum store_verdict verdict = find(s, key, now_ms, out, &dead);
    if (verdict == STORE_MAKE && make)
        *out = insert(s, key);
    unlock(&s->lock);
    bury(&dead);
    if (verdict != STORE_MAKE)
        stat_add(verdict == STORE_HIT ? STAT_cache_hits_memory_total : STAT_cache_joins_total, 1);
    return verdict;
}

enum store_verdict store_open(struct store *s, const struct key *key, int64_t now_ms,
                              struct object **out)
{
    return open_or_find(s, key, now_ms, out, true);
}

bool store_peek(struct store *s, const struct key *key, int64_t now_ms, struct object **out)
{
    return open_or_find(s, key, now_ms, out, false) != STORE_MAKE;
}

bool store_has(struct store *s, const struct key *key, int64_t now_ms)
{
    lock(&s->lock);
    const struct entry *const e = entry_of(keymap_find(&s->table, key));
    const bool has = e && e->expires_ms > now_ms && !object_abandoned(e->object);
    unlock(&s->lock);
    return has;
}

// Its entry, unless it was dropped or replaced.
static struct entry *entry_for(struct store *s, const struct object *o)
{
    struct entry *e = entry_of(keymap_find(&s->table, object_key(o)));
    return e && e->object == o ? e : NULL;
}

void store_close(struct store *s, struct object **o)
{
    if (!*o)
        return;
    struct list dead;
    list_init(&dead);
    object_leave(*o);
    lock(&s->lock);
    struct entry *const e = entry_for(s, *o);
    if (e)
        keep(s, e);
    trim(s, &dead);
    unlock(&s->lock);
    bury(&dead);
    object_unref(o);
}

// ---- ending

static void hold(struct store *s, struct entry *e, int64_t expires_ms, struct list *dead)
{
    e->rank.bytes = object_counted(e->object);
    if (e->rank.bytes > s->budget) {
        detach(s, e, dead);
        return;
    }
    e->expires_ms = expires_ms;
    e->held = true;
    stat_add(STAT_cache_memory_objects, 1);
    keep(s, e); // its last reader may have left since
    trim(s, dead);
}

static void remember(struct store *s, struct entry *e, int64_t forget_ms, struct list *dead)
{
    e->expires_ms = forget_ms;
    e->failed = true;
    list_push_back(&s->failures, &e->link);
    if (++s->failure_count > STORE_FAILURES_MAX)
        detach(s, container_of(s->failures.next, struct entry, link), dead);
}

// The object has ended, so it cannot become abandoned any more.
static void settle(struct store *s, struct object *o, int64_t until_ms)
{
    struct list dead;
    list_init(&dead);
    lock(&s->lock);
    struct entry *e = entry_for(s, o);
    if (e && object_abandoned(o))
        detach(s, e, &dead);
    else if (e && object_state(o) == OBJECT_WHOLE)
        hold(s, e, until_ms, &dead);
    else if (e)
        remember(s, e, until_ms, &dead);
    unlock(&s->lock);
    bury(&dead);
}

void store_commit(struct store *s, struct object *o, int64_t expires_ms)
{
    object_commit(o);
    settle(s, o, expires_ms);
}

static void expire(struct store *s, const struct object *o, int64_t at_ms)
{
    lock(&s->lock);
    struct entry *e = entry_for(s, o);
    if (e)
        e->expires_ms = at_ms;
    unlock(&s->lock);
}

void store_fail(struct store *s, struct object *o, int code, const char *detail, int64_t forget_ms)
{
    // First, for whoever hears of the failure and asks again at once.
    expire(s, o, forget_ms);
    object_fail(o, code, detail);
    settle(s, o, forget_ms);
}

bool store_drop(struct store *s, const struct key *key)
{
    struct list dead;
    list_init(&dead);
    lock(&s->lock);
    struct entry *e = entry_of(keymap_find(&s->table, key));
    if (e)
        detach(s, e, &dead);
    unlock(&s->lock);
    bury(&dead);
    return e != NULL;
}

bool store_full(struct store *s)
{
    const bool full = atomic_load_explicit(&s->in_use.used, memory_order_relaxed) > s->in_use.max;
    if (full)
        stat_add(STAT_cache_refused_total, 1);
    return full;
}

// ---- life

struct store *store_create(int64_t kept, int64_t in_use, size_t object_max, struct policy *policy)
{
    struct store *s = xcalloc(1, sizeof *s);
    s->budget = kept;
    s->in_use.max = in_use;
    s->object_max = object_max;
    s->policy = policy;
    const int rc = pthread_mutex_init(&s->lock, NULL);
    assert(rc == 0);
    keymap_init(&s->table);
    list_init(&s->failures);
    return s;
}

static void bury_node(struct keymap_node *n)
{
    bury_entry(entry_of(n));
}

void store_destroy(struct store *s)
{
    if (!s)
        return;
    for (struct policy_entry *r; (r = s->policy->victim(s->policy));)
        release(s, container_of(r, struct entry, rank));
    keymap_finish(&s->table, bury_node);
    s->policy->destroy(s->policy);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
