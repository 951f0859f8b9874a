// SPDX-License-Identifier: BSD-2-Clause
//
// The bytes lie in one buffer that grows by doubling, up to the ceiling.  While
// the object is in the making the buffer may move, so readers copy under the
// lock; from the end on nothing in it changes any more, and readers look at it
// without.
//
// A waiter is registered while its link has a prev.  A change takes all waiters
// off under the lock, chains them by next, and wakes them after it: the next of
// one is read before it is woken, because it may be gone afterwards, and the
// ones behind it stay, because object_unwait tells them that they will be woken.

#include "cache/object.h"

#include <string.h>

#include "base/err.h"
#include "base/stat.h"
#include "base/wanted.h"

#define FIRST_CAP 1024
#define DETAIL_MAX 200

struct object {
    // constant after create
    struct key key;
    size_t max;
    struct object_budget *budget; // borrowed

    atomic_int refs;
    _Atomic int64_t wanted;
    _Atomic(void *) attached;  // changes once
    _Atomic uint64_t checksum; // 0: not known yet

    pthread_mutex_t lock;
    pthread_cond_t changed; // the state, or calling

    // protected by lock; those of the first group are constant after the end
    enum object_state state;
    uint8_t *data;
    size_t len, cap;
    size_t seen;     // bytes that readers see: all, but those that are staged
    size_t reserve;  // bytes that are counted at least while it is made
    bool expected;   // to come: room is made for them at once
    int64_t counted; // in the budget
    int error;
    char *detail;

    int64_t marks[OBJECT_MARKS];
    int readers;
    bool abandoned;
    struct list waiters;
    void (*on_abandon)(void *arg); // NULL before it is set and once it was taken
    void *on_abandon_arg;
    void (*destroy_attached)(void *thing);
    bool calling;     // on_abandon runs
    pthread_t caller; // in this thread
};

// Looking does not change an object, but it locks.
static void lock_object(const struct object *o)
{
    lock((pthread_mutex_t *)&o->lock);
}

static void unlock_object(const struct object *o)
{
    unlock((pthread_mutex_t *)&o->lock);
}

void object_budget_add(struct object_budget *b, int64_t bytes)
{
    atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed);
    stat_add(STAT_cache_in_use_bytes, bytes);
}

// What an object in the making counts that has room for cap bytes.
static int64_t while_made(const struct object *o, size_t cap)
{
    return (int64_t)(cap > o->reserve ? cap : o->reserve) + OBJECT_COST;
}

// Counts o as that many bytes; false when it may not have them.
static bool count(struct object *o, int64_t bytes, bool may_fail)
{
    struct object_budget *const b = o->budget;
    const int64_t more = bytes - o->counted;
    if (!b || more == 0)
        return true;
    object_budget_add(b, more);
    if (may_fail && more > 0 && atomic_load_explicit(&b->used, memory_order_relaxed) > b->max) {
        object_budget_add(b, -more);
        stat_add(STAT_cache_refused_total, 1);
        return false;
    }
    o->counted = bytes;
    return true;
}

struct object *object_create(const struct key *key, size_t max, struct object_budget *budget)
{
    struct object *o = xcalloc(1, sizeof *o);
    o->key = *key;
    o->max = max;
    atomic_init(&o->refs, 1);
    atomic_init(&o->wanted, WANTED_BY_NOBODY);
    const int rc = pthread_mutex_init(&o->lock, NULL);
    assert(rc == 0);
    cond_init(&o->changed);
    list_init(&o->waiters);
    o->budget = budget;
    o->reserve = max < (size_t)OBJECT_RESERVE ? max : (size_t)OBJECT_RESERVE;
    count(o, while_made(o, 0), false);
    return o;
}

struct object *object_ref(struct object *o)
{
    const int before = atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return o;
}

void object_unref(struct object **op)
{
    struct object *o = *op;
    *op = NULL;
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) > 1)
        return;
    assert(o->readers == 0 && list_empty(&o->waiters));
    count(o, 0, false);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
    if (o->attached)
        o->destroy_attached(o->attached);
    free(o->data);
    free(o->detail);
    free(o);
}

const struct key *object_key(const struct object *o)
{
    return &o->key;
}

// ---- waking

static struct list *take_waiters(struct object *o)
{
    struct list *chain = NULL;
    while (!list_empty(&o->waiters)) {
        struct list *l = o->waiters.prev;
        list_remove(l);
        *l = (struct list){ .next = chain };
        chain = l;
    }
    return chain;
}

static void wake(struct list *chain)
{
    while (chain) {
        struct object_waiter *w = container_of(chain, struct object_waiter, link);
        chain = chain->next;
        w->wake(w);
    }
}

// ---- abandoning

// Calls the maker if it is to be told.  The lock is held, but not meanwhile.
static void tell_abandoned(struct object *o)
{
    void (*call)(void *) = o->on_abandon;
    if (!o->abandoned || !call)
        return;
    o->on_abandon = NULL;
    o->calling = true;
    o->caller = pthread_self();
    unlock_object(o);
    call(o->on_abandon_arg);
    lock_object(o);
    o->calling = false;
    pthread_cond_broadcast(&o->changed);
}

void object_on_abandon(struct object *o, void (*call)(void *arg), void *arg)
{
    // If call ends the object, the maker's reference may go with it.
    object_ref(o);
    lock_object(o);
    assert(o->state == OBJECT_MAKING && !o->on_abandon && !o->calling);
    o->on_abandon = call;
    o->on_abandon_arg = arg;
    tell_abandoned(o);
    unlock_object(o);
    object_unref(&o);
}

bool object_abandoned(const struct object *o)
{
    lock_object(o);
    const bool abandoned = o->abandoned;
    unlock_object(o);
    return abandoned;
}

void object_set_marks(struct object *o, const int64_t marks[OBJECT_MARKS])
{
    lock_object(o);
    memcpy(o->marks, marks, sizeof o->marks);
    unlock_object(o);
}

void object_marks(const struct object *o, int64_t marks[OBJECT_MARKS])
{
    lock_object(o);
    memcpy(marks, o->marks, sizeof o->marks);
    unlock_object(o);
}

// ---- making

static int grow(struct object *o, size_t n)
{
    if (n > o->max - o->len)
        return -E_LIMITS;
    const size_t need = o->len + n;
    if (need <= o->cap)
        return 0;
    size_t cap = o->cap > o->max / 2 ? o->max : 2 * o->cap;
    if (cap < FIRST_CAP)
        cap = FIRST_CAP < o->max ? FIRST_CAP : o->max;
    if (need <= o->reserve && (cap > o->reserve || o->expected))
        cap = o->reserve;
    if (cap < need)
        cap = need;
    if (!count(o, while_made(o, cap), true))
        return -E_NO_MEMORY;
    uint8_t *p = realloc(o->data, cap);
    if (!p)
        return -E_NO_MEMORY;
    o->data = p;
    o->cap = cap;
    return 0;
}

int object_expect(struct object *o, size_t n)
{
    lock_object(o);
    const size_t before = o->reserve;
    o->reserve = n < before ? before : n < o->max ? n : o->max;
    const bool counted = count(o, while_made(o, o->cap), true);
    if (!counted)
        o->reserve = before;
    o->expected = counted;
    unlock_object(o);
    return counted ? 0 : -E_NO_MEMORY;
}

static int append(struct object *o, const void *bytes, size_t n)
{
    assert(o->state == OBJECT_MAKING);
    if (o->abandoned)
        return -E_CANCELLED;
    const int err = grow(o, n);
    if (err || n == 0)
        return err;
    memcpy(o->data + o->len, bytes, n);
    o->len += n;
    return 0;
}

int object_stage(struct object *o, const void *bytes, size_t n)
{
    lock_object(o);
    const int err = append(o, bytes, n);
    unlock_object(o);
    return err;
}

void object_publish(struct object *o)
{
    lock_object(o);
    struct list *woken = o->seen < o->len ? take_waiters(o) : NULL;
    o->seen = o->len;
    unlock_object(o);
    wake(woken);
}

int object_append(struct object *o, const void *bytes, size_t n)
{
    const int err = object_stage(o, bytes, n);
    object_publish(o);
    return err;
}

// Ends o, whose lock is held, and unlocks it.
static void end(struct object *o, enum object_state state)
{
    assert(o->state == OBJECT_MAKING);
    o->state = state;
    o->seen = o->len;
    struct list *woken = take_waiters(o);
    pthread_cond_broadcast(&o->changed);
    while (o->calling && !pthread_equal(o->caller, pthread_self()))
        pthread_cond_wait(&o->changed, &o->lock);
    unlock_object(o);
    wake(woken);
}

const uint8_t *object_made(const struct object *o, size_t *n)
{
    lock_object(o);
    *n = o->len;
    const uint8_t *const bytes = o->data;
    unlock_object(o);
    return bytes;
}

void object_commit(struct object *o)
{
    lock_object(o);
    uint8_t *p = o->len && o->len < o->cap ? realloc(o->data, o->len) : NULL;
    if (p) {
        o->data = p;
        o->cap = o->len;
    }
    count(o, (int64_t)o->cap + OBJECT_COST, false);
    end(o, OBJECT_WHOLE);
}

void object_fail(struct object *o, int code, const char *detail)
{
    lock_object(o);
    o->error = code < 0 ? -code : code;
    if (detail && *detail) {
        o->detail = xmalloc(DETAIL_MAX);
        copy_string(o->detail, DETAIL_MAX, detail);
    }
    free(o->data);
    o->data = NULL;
    o->len = o->cap = 0;
    count(o, 0, false);
    end(o, OBJECT_FAILED);
}

// ---- reading

void object_join(struct object *o)
{
    lock_object(o);
    o->readers++;
    unlock_object(o);
}

bool object_try_join(struct object *o)
{
    lock_object(o);
    const bool joined = !o->abandoned;
    o->readers += joined;
    unlock_object(o);
    return joined;
}

void object_leave(struct object *o)
{
    // The last reader may be the last reference too, once call ended the object.
    object_ref(o);
    lock_object(o);
    assert(o->readers > 0);
    o->readers--;
    if (o->readers == 0 && o->state == OBJECT_MAKING) {
        o->abandoned = true;
        tell_abandoned(o);
    }
    unlock_object(o);
    object_unref(&o);
}

bool object_want(struct object *o, int64_t wanted)
{
    int64_t was = atomic_load(&o->wanted);
    while (wanted < was)
        if (atomic_compare_exchange_weak(&o->wanted, &was, wanted))
            return true;
    return false;
}

int64_t object_wanted(const struct object *o)
{
    return atomic_load(&o->wanted);
}

int object_readers(const struct object *o)
{
    lock_object(o);
    const int n = o->readers;
    unlock_object(o);
    return n;
}

enum object_state object_state(const struct object *o)
{
    lock_object(o);
    const enum object_state state = o->state;
    unlock_object(o);
    return state;
}

int64_t object_counted(const struct object *o)
{
    lock_object(o);
    const int64_t n = o->counted;
    unlock_object(o);
    return n;
}

size_t object_size(const struct object *o)
{
    lock_object(o);
    const size_t n = o->seen;
    unlock_object(o);
    return n;
}

size_t object_read(const struct object *o, size_t offset, void *out, size_t n)
{
    lock_object(o);
    const size_t left = offset < o->seen ? o->seen - offset : 0;
    const size_t take = n < left ? n : left;
    if (take)
        memcpy(out, o->data + offset, take);
    unlock_object(o);
    return take;
}

const uint8_t *object_bytes(const struct object *o, size_t *n)
{
    assert(object_state(o) == OBJECT_WHOLE);
    *n = o->len;
    return o->data;
}

uint64_t object_checksum(const struct object *o)
{
    assert(object_state(o) == OBJECT_WHOLE);
    uint64_t sum = atomic_load(&o->checksum);
    if (sum == 0) {
        // Whoever else finds it at the same time finds the same.
        sum = checksum(o->data, o->len);
        atomic_store(&((struct object *)o)->checksum, sum);
    }
    return sum;
}

void *object_attached(const struct object *o)
{
    return atomic_load_explicit(&((struct object *)o)->attached, memory_order_acquire);
}

void *object_attach(struct object *o, void *thing, void (*destroy)(void *thing))
{
    lock_object(o);
    assert(o->state == OBJECT_WHOLE);
    if (!o->attached) {
        o->destroy_attached = destroy;
        atomic_store_explicit(&o->attached, thing, memory_order_release);
    }
    unlock_object(o);
    return o->attached;
}

int object_error(const struct object *o)
{
    assert(object_state(o) == OBJECT_FAILED);
    return o->error;
}

const char *object_error_detail(const struct object *o)
{
    assert(object_state(o) == OBJECT_FAILED);
    return o->detail ? o->detail : "";
}

// ---- waiting

bool object_wait(struct object *o, struct object_waiter *w, size_t have)
{
    lock_object(o);
    const bool registered = o->state == OBJECT_MAKING && o->seen == have;
    w->link = (struct list){ 0 };
    if (registered)
        list_push_back(&o->waiters, &w->link);
    unlock_object(o);
    return registered;
}

bool object_unwait(struct object *o, struct object_waiter *w)
{
    lock_object(o);
    const bool registered = w->link.prev != NULL;
    if (registered) {
        list_remove(&w->link);
        w->link = (struct list){ 0 };
    }
    unlock_object(o);
    return registered;
}

enum object_state object_wait_end(struct object *o, int64_t deadline_ms)
{
    lock_object(o);
    while (o->state == OBJECT_MAKING)
        if (!cond_wait_until(&o->changed, &o->lock, deadline_ms))
            break;
    const enum object_state state = o->state;
    unlock_object(o);
    return state;
}
