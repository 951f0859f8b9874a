// SPDX-License-Identifier: BSD-2-Clause

#include "server/ahead.h"

#include "base/base.h"
#include "base/stat.h"
#include "cache/object.h"

#define SETS 512
#define WAYS 4
#define NONE_YET (-2) // the one behind it is none either

// What was begun and not asked for yet.
struct hold {
    int n;                 // of its watcher's rendition
    struct object *object; // NULL when it was let go, whole
};

struct watcher {
    uint32_t client;
    struct key recipe; // of the rendition that it watches
    int n;             // the segment that it asked for last
    int64_t seen_us;   // when; 0: the place is free
    int count;
    struct hold holds[AHEAD_MAX];
};

struct ahead {
    // constant after create
    struct ahead_calls calls;
    int depth, most;
    pthread_t thread;
    bool runs; // it was started

    pthread_mutex_t lock;
    pthread_cond_t changed; // stopped, or the first is held
    // protected by lock
    struct watcher watchers[SETS][WAYS];
    int held; // objects
    bool stopped;
};

// What is to be given back once the lock is.
struct dropped {
    struct object *list[4 * AHEAD_MAX];
    int count;
};

static void give_back(struct ahead *a, struct dropped *d)
{
    for (int i = 0; i < d->count; i++)
        a->calls.end(a->calls.arg, &d->list[i]);
}

// ---- holds; the lock is held

static bool is_hold_of(const struct watcher *w, const struct hold *h, const struct route *r)
{
    return h->n == r->n && key_equal(&w->recipe, &r->recipe);
}

static struct hold *hold_of(struct watcher *w, const struct route *r)
{
    for (int i = 0; i < w->count; i++)
        if (is_hold_of(w, &w->holds[i], r))
            return &w->holds[i];
    return NULL;
}

// Takes its object, to be given back.
static void take_object(struct ahead *a, struct hold *h, struct dropped *d)
{
    if (!h->object)
        return;
    d->list[d->count++] = h->object;
    h->object = NULL;
    a->held--;
}

static void drop(struct ahead *a, struct watcher *w, struct hold *h, struct dropped *d)
{
    take_object(a, h, d);
    *h = w->holds[--w->count];
}

static bool has_failed(const struct hold *h)
{
    return h->object && object_state(h->object) == OBJECT_FAILED;
}

// ---- watchers; the lock is held

static bool is_of(const struct watcher *w, uint32_t client, const struct key *recipe)
{
    return w->seen_us > 0 && w->client == client && key_equal(&w->recipe, recipe);
}

// Its place, or the one of its set whose client was silent for longest.
static struct watcher *watcher_of(struct ahead *a, uint32_t client, const struct key *recipe)
{
    struct watcher *const set =
        a->watchers[(client ^ recipe->b[0] ^ (uint32_t)recipe->b[1] << 8) % SETS];
    struct watcher *oldest = set;
    for (int i = 0; i < WAYS; i++) {
        if (is_of(&set[i], client, recipe))
            return &set[i];
        oldest = set[i].seen_us < oldest->seen_us ? &set[i] : oldest;
    }
    return oldest;
}

static void forget(struct ahead *a, struct watcher *w, struct dropped *d)
{
    while (w->count > 0)
        drop(a, w, &w->holds[0], d);
    w->seen_us = 0;
}

// Its place, new or not.
static struct watcher *watch(struct ahead *a, const struct route *r, uint32_t client,
                             int64_t now_us, struct dropped *d)
{
    struct watcher *const w = watcher_of(a, client, &r->recipe);
    if (!is_of(w, client, &r->recipe)) {
        forget(a, w, d);
        w->client = client;
        w->recipe = r->recipe;
        w->n = NONE_YET;
    }
    w->seen_us = now_us;
    return w;
}

// Whether r was begun ahead: it has been asked for now.
static bool take_hold(struct ahead *a, struct watcher *w, const struct route *r, struct dropped *d)
{
    struct hold *const h = hold_of(w, r);
    if (!h)
        return false;
    stat_add(has_failed(h) ? STAT_ahead_void_total : STAT_ahead_used_total, 1);
    drop(a, w, h, d);
    return true;
}

// ---- what is next

struct wish {
    struct route list[AHEAD_MAX];
    int count;
};

static void wish_for_those_behind(struct wish *wish, const struct route *r, int depth)
{
    for (int i = 1; i <= depth && r->n + i < ROUTE_SEGMENT_MAX; i++) {
        wish->list[wish->count] = *r;
        wish->list[wish->count++].n = r->n + i;
    }
}

static bool is_wished(const struct wish *wish, const struct watcher *w, const struct hold *h)
{
    for (int i = 0; i < wish->count; i++)
        if (is_hold_of(w, h, &wish->list[i]))
            return true;
    return false;
}

// Drops what is not wished for, and leaves of the wishes what is not begun yet.
static void settle(struct ahead *a, struct watcher *w, struct wish *wish, struct dropped *d)
{
    for (int i = w->count - 1; i >= 0; i--)
        if (!is_wished(wish, w, &w->holds[i]))
            drop(a, w, &w->holds[i], d);
    int n = 0;
    for (int i = 0; i < wish->count; i++)
        if (!hold_of(w, &wish->list[i]) && a->held + n < a->most)
            wish->list[n++] = wish->list[i];
    wish->count = n;
}

// What is to be begun now that w's client has asked for r.
static void decide(struct ahead *a, struct watcher *w, const struct route *r, bool cold,
                   const struct route *next, struct wish *wish, struct dropped *d)
{
    const bool used = take_hold(a, w, r, d);
    if (w->n == r->n) // once more: nothing new
        return;
    if (next) {
        wish->list[wish->count++] = *next;
        wish_for_those_behind(wish, next, a->depth - 1);
    } else if (w->n == r->n - 1 && (cold || used)) {
        wish_for_those_behind(wish, r, a->depth);
    }
    settle(a, w, wish, d);
    w->n = r->n;
}

// Keeps what was begun, with its own rendition, which CMCD may have named; false: it does not.
static bool keep(struct ahead *a, uint32_t client, const struct route *r, struct object *o,
                 int64_t now_us, struct dropped *d)
{
    if (a->stopped)
        return false;
    struct watcher *const w = watch(a, r, client, now_us, d);
    if (w->count == AHEAD_MAX)
        return false;
    w->n = w->n == NONE_YET ? r->n - 1 : w->n; // as if it had been asked for what comes before
    w->holds[w->count++] = (struct hold){ r->n, o };
    if (a->held++ == 0)
        pthread_cond_signal(&a->changed);
    return true;
}

static void begin(struct ahead *a, uint32_t client, const struct route *r, int64_t now_us)
{
    struct dropped dropped = { .count = 0 };
    struct object *o = a->calls.begin(a->calls.arg, r, client);
    if (!o)
        return;
    stat_add(STAT_ahead_begun_total, 1);
    lock(&a->lock);
    const bool kept = keep(a, client, r, o, now_us, &dropped);
    unlock(&a->lock);
    give_back(a, &dropped);
    if (!kept)
        a->calls.end(a->calls.arg, &o);
}

void ahead_note(struct ahead *a, const struct route *r, uint32_t client, bool cold,
                const struct route *next, int64_t now_us)
{
    struct wish wish = { .count = 0 };
    struct dropped dropped = { .count = 0 };
    if (a->depth == 0)
        return;
    lock(&a->lock);
    if (!a->stopped) {
        struct watcher *const w = watch(a, r, client, now_us, &dropped);
        decide(a, w, r, cold, next, &wish, &dropped);
    }
    unlock(&a->lock);
    give_back(a, &dropped);
    for (int i = 0; i < wish.count; i++)
        begin(a, client, &wish.list[i], now_us);
}

void ahead_leave(struct ahead *a, const struct route *r, uint32_t client)
{
    struct dropped dropped = { .count = 0 };
    lock(&a->lock);
    struct watcher *const w = watcher_of(a, client, &r->recipe);
    if (is_of(w, client, &r->recipe))
        forget(a, w, &dropped);
    unlock(&a->lock);
    give_back(a, &dropped);
}

// ---- its thread

// Those of one watcher that have ended are let go; what failed was no use.
static void let_go(struct ahead *a, struct watcher *w, struct dropped *d)
{
    for (int i = w->count - 1; i >= 0; i--) {
        struct hold *const h = &w->holds[i];
        if (has_failed(h)) {
            stat_add(STAT_ahead_void_total, 1);
            drop(a, w, h, d);
        } else if (h->object && object_state(h->object) == OBJECT_WHOLE) {
            take_object(a, h, d);
        }
    }
}

static void sweep_set(struct ahead *a, struct watcher set[WAYS], int64_t now_us)
{
    struct dropped dropped = { .count = 0 };
    lock(&a->lock);
    for (struct watcher *w = set; w < set + WAYS; w++) {
        let_go(a, w, &dropped);
        if (w->seen_us > 0 && (a->stopped || now_us - w->seen_us > AHEAD_IDLE_US))
            forget(a, w, &dropped);
    }
    unlock(&a->lock);
    give_back(a, &dropped);
}

void ahead_sweep(struct ahead *a, int64_t now_us)
{
    for (int i = 0; i < SETS; i++)
        sweep_set(a, a->watchers[i], now_us);
}

static bool wait_for_next(struct ahead *a)
{
    lock(&a->lock);
    while (!a->stopped && a->held == 0)
        pthread_cond_wait(&a->changed, &a->lock);
    if (!a->stopped)
        cond_wait_until(&a->changed, &a->lock, clock_ms() + AHEAD_SWEEP_US / 1000);
    const bool more = !a->stopped;
    unlock(&a->lock);
    return more;
}

static void *look(void *arg)
{
    struct ahead *const a = arg;
    while (wait_for_next(a))
        ahead_sweep(a, clock_us());
    return NULL;
}

// ---- life

struct ahead *ahead_create(const struct ahead_calls *calls, int depth, int most)
{
    struct ahead *const a = xcalloc(1, sizeof *a);
    a->calls = *calls;
    a->depth = depth < AHEAD_MAX ? depth : AHEAD_MAX;
    a->most = most;
    pthread_mutex_init(&a->lock, NULL);
    cond_init(&a->changed);
    a->runs = depth > 0;
    if (a->runs)
        a->thread = thread_start("ahead", look, a);
    return a;
}

void ahead_stop(struct ahead *a)
{
    lock(&a->lock);
    a->stopped = true;
    pthread_cond_signal(&a->changed);
    unlock(&a->lock);
    ahead_sweep(a, 0);
}

void ahead_destroy(struct ahead *a)
{
    if (!a)
        return;
    ahead_stop(a);
    if (a->runs)
        pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
