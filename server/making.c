// SPDX-License-Identifier: BSD-2-Clause
//
// Life: a making has one reference of its own, given back by end(), which also
// ends the object.  The abandon hook may run beside everything else until the
// object has ended, and end() waits for it; but the hook itself may be what leads
// to end(), so it holds a reference while it runs.
//
// Parking: `parked` says where, under making.lock.  A step sets it before it
// registers itself and touches the making no more once registered; the hook sets
// the cancel token first and looks at `parked` then, so that one of the two
// always sees the other.  Lock order: making.lock, then store, object, sched, tasks.
//
// The deadline is over the waiting, not over the work: until a worker has it, a
// making that is late ends like one that is abandoned, wherever it waits, but for its
// readers, who hear of it.  It has a reference too, until it is removed or has passed.

#include "server/making_steps.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/stat.h"
#include "base/zip.h"
#include "cache/source.h"
#include "cache/spill.h"
#include "cache/store.h"
#include "codec/recipe.h"
#include "server/assets.h"
#include "server/encrypting.h"
#include "server/ingredients.h"
#include "server/keeper.h"
#include "server/measured.h"

// How many there are, in the whole process.
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t count_zero = PTHREAD_COND_INITIALIZER;
static int count;

static bool count_up(int max)
{
    lock(&count_lock);
    const bool ok = count < max;
    count += ok;
    unlock(&count_lock);
    return ok;
}

static void count_down(void)
{
    lock(&count_lock);
    if (--count == 0)
        pthread_cond_broadcast(&count_zero);
    unlock(&count_lock);
}

// Planning waits for nothing.  Threads of its own are for what takes long, the unpacking of an
// index above all; with that at hand it goes on where it is.
static bool stays(const struct making *m, enum where here)
{
    const enum where next = m->steps[m->at].where;
    return next == here || (next == ON_PLAN && here == ON_OPEN && m->asset);
}

static struct tasks *threads_for(const struct making *m, enum where where)
{
    if (cancel_is_set(&m->cancel)) // it only has to end, and waits for nobody there
        return m->edge->plan;
    if (where == ON_LOOKUP)
        return m->edge->lookup;
    if (where == ON_KEYS)
        return m->edge->ask;
    return where == ON_OPEN && m->origin >= 0 ? m->edge->open[m->origin] : m->edge->plan;
}

void making_enqueue(struct making *m)
{
    lock(&m->lock);
    if (m->steps[m->at].where == ON_LOOKUP && !making_asks_tiers(m))
        m->at++; // nobody has to look where nothing of it is
    m->parked = PARKED_QUEUE;
    m->queue = threads_for(m, m->steps[m->at].where);
    tasks_add(m->queue, &m->task);
    unlock(&m->lock);
}

// ---- the end

static void making_unref(struct making *m)
{
    if (atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&m->lock);
    object_unref(&m->object);
    free(m);
    count_down();
}

// Failures that asking again soon will not mend.
static bool is_lasting(int code)
{
    switch (code < 0 ? -code : code) {
    case E_NOT_FOUND:
    case E_UNSUPPORTED:
    case E_CORRUPT:
    case E_LIMITS:
    case E_POISONED:
        return true;
    default:
        return false;
    }
}

static int64_t expiry(const struct making *m)
{
    if (m->asks_key)
        return clock_ms() + m->edge->conf->encryption_key_age;
    if (m->marks[MARK_GROWS])
        return clock_ms() + 1000;
    if (m->probe || (route_is_immutable(&m->route) && m->want != WANT_CHECK))
        return STORE_FOREVER;
    return clock_ms() + (m->route.kind == ROUTE_ROOT ? 1000 : m->edge->conf->http_entry_age);
}

// Not what is encrypted: the lower tiers have what it is made of.
bool making_is_for_tiers(const struct making *m)
{
    return expiry(m) == STORE_FOREVER && (m->probe || !encrypting_covers(m->edge, &m->route));
}

void making_drop_deadline(struct making *m)
{
    if (deadlines_remove(m->edge->deadlines, &m->deadline))
        making_unref(m); // not the last one
}

// Only of what lies by itself in all tiers: what is made of that adds a little that is known.
static void measure(const struct making *m)
{
    size_t n;
    object_made(m->object, &n);
    if (m->route.kind == ROUTE_SEGMENT && m->want == WANT_BODY && m->route.format != FORMAT_TS &&
        m->encrypted.method == ENCRYPTION_NONE)
        measured_add(m->edge->measured, &m->route.recipe, m->route.n, n);
}

static void fail_object(struct making *m, int code, const char *detail)
{
    const int64_t now = clock_ms();
    const int64_t forget = is_lasting(code) ? now + m->edge->conf->cache_negative : now;
    if (code == -E_CANCELLED)
        stat_add(STAT_jobs_cancelled_total, 1);
    object_set_marks(m->object, m->marks);
    store_fail(m->edge->store, m->object, code, detail, forget);
}

static void fail_late(struct making *m)
{
    char late[100];
    snprintf(late, sizeof late, "waited %lld ms, for %s at last",
             (long long)m->edge->conf->http_answer_wait, m->steps[m->at].waits_for);
    stat_add(STAT_jobs_refused_total, 1);
    fail_object(m, -E_TIMEOUT, late);
}

static void give_back(struct making *m)
{
    struct edge *const e = m->edge;
    if (m->index)
        store_close(e->store, &m->index);
    if (m->keys)
        store_close(e->store, &m->keys);
    ingredients_close(e, &m->ingredients);
    asset_unref(e->assets, &m->asset);
    source_close(&m->source);
    source_close(&m->file);
    media_destroy(m->beginning);
    job_finish(&m->job);
    if (m->old)
        plan_finish(m->old);
    free(m->old);
    making_unref(m);
}

static void end(struct making *m, int code, const char *detail)
{
    making_drop_deadline(m);
    if (code == -E_CANCELLED && atomic_load(&m->late)) {
        fail_late(m);
    } else if (code < 0) {
        fail_object(m, code, detail);
    } else {
        if (!m->probe && !m->asks_key)
            measure(m);
        store_commit(m->edge->store, m->object, expiry(m));
    }
    keeper_drop(m->edge->keeper, m->object);
    give_back(m);
}

enum step_end making_done(struct making *m, int code, const char *detail)
{
    end(m, code, detail);
    return STEP_DONE;
}

void making_mark(struct making *m, enum reply_source source)
{
    m->marks[MARK_SOURCE] = source;
    object_set_marks(m->object, m->marks);
}

enum step_end making_done_checked(struct making *m)
{
    making_mark(m, FROM_NOWHERE);
    return making_done(m, 0, NULL);
}

enum step_end making_done_made(struct making *m)
{
    struct object *o = object_ref(m->object);
    struct spill *const spill = making_is_for_tiers(m) ? m->edge->spill : NULL;
    end(m, 0, NULL);
    if (spill)
        spill_offer(spill, o);
    object_unref(&o);
    return STEP_DONE;
}

bool making_park_on(struct making *m, struct object *o, size_t have)
{
    lock(&m->lock);
    m->waits_for = o;
    const bool parked = !cancel_is_set(&m->cancel) && object_wait(o, &m->waiter, have);
    if (parked)
        m->parked = PARKED_OBJECT;
    unlock(&m->lock);
    return parked;
}

enum step_end making_other_failed(struct making *m, const struct object *o)
{
    object_marks(o, m->marks);
    m->marks[MARK_ORIGIN_US] += m->locate_us;
    return making_done(m, -object_error(o), object_error_detail(o));
}

enum step_end making_await(struct making *m, struct object *o)
{
    while (object_state(o) == OBJECT_MAKING) {
        if (cancel_is_set(&m->cancel))
            return making_done(m, -E_CANCELLED, NULL);
        if (making_park_on(m, o, object_size(o)))
            return STEP_PARK;
    }
    return object_state(o) == OBJECT_FAILED ? making_other_failed(m, o) : STEP_NEXT;
}

static void object_changed(struct object_waiter *w)
{
    struct making *const m = container_of(w, struct making, waiter);
    making_enqueue(m);
}

// ---- running

static const struct step route_steps[] = {
    { making_step_lower, ON_LOOKUP, "the lower tiers" },
    { making_step_locate, ON_OPEN, "the origin" },
    { making_step_index, ON_PLAN, "the index" },
    { making_step_keys, ON_PLAN, "the key server" },
    { making_step_produce, ON_PLAN, "a worker" },
    { making_step_combine, ON_PLAN, "what it is made of" },
};
static const struct step text_steps[] = {
    { making_step_lower, ON_LOOKUP, "the lower tiers" },
    { making_step_locate, ON_OPEN, "the origin" },
    { making_step_index, ON_PLAN, "the index" },
    { making_step_keys, ON_PLAN, "the key server" },
    { making_step_beside, ON_OPEN, "the origin" },
    { making_step_produce, ON_PLAN, "a worker" },
    { making_step_combine, ON_PLAN, "what it is made of" },
};
static const struct step list_steps[] = { { making_step_list, ON_PLAN, "the listing" } };
static const struct step ask_steps[] = { { making_step_ask, ON_KEYS, "the key server" } };
static const struct step probe_steps[] = {
    { making_step_lower, ON_LOOKUP, "the lower tiers" },
    { making_step_probe, ON_PLAN, "a worker" },
};

static void run(struct task *t)
{
    struct making *const m = container_of(t, struct making, task);
    lock(&m->lock);
    m->parked = PARKED_NOT;
    unlock(&m->lock);
    const enum where here = m->steps[m->at].where;
    for (;;) {
        if (cancel_is_set(&m->cancel)) {
            end(m, -E_CANCELLED, NULL);
            return;
        }
        if (m->steps[m->at].run(m) != STEP_NEXT)
            return;
        m->at++;
        if (!stays(m, here)) {
            making_enqueue(m);
            return;
        }
    }
}

// Its cancel token is set: ends it where it waits.  The caller has a reference.
static void stop(struct making *m)
{
    lock(&m->lock);
    const enum parked parked = m->parked;
    const bool woken = (parked == PARKED_OBJECT && object_unwait(m->waits_for, &m->waiter)) ||
                       (parked == PARKED_QUEUE && tasks_take_back(m->queue, &m->task));
    if (woken)
        m->parked = PARKED_NOT;
    unlock(&m->lock);
    if (woken)
        making_enqueue(m);
    else if (parked == PARKED_WORK)
        sched_cancel(m->edge->sched, &m->work);
}

// The last reader left, on its thread.
static void abandoned(void *arg)
{
    struct making *const m = arg;
    atomic_fetch_add(&m->refs, 1);
    atomic_store(&m->cancel.set, true);
    stop(m);
    making_unref(m);
}

// Nobody has begun to make it, or else the work goes on.
static void deadline_passed(struct deadline *d)
{
    struct making *const m = container_of(d, struct making, deadline);
    lock(&m->lock);
    const bool submitted = m->parked == PARKED_WORK;
    if (!submitted) {
        atomic_store(&m->late, true);
        atomic_store(&m->cancel.set, true);
    }
    unlock(&m->lock);
    if (submitted)
        sched_refuse(m->edge->sched, &m->work);
    else
        stop(m);
    making_unref(m);
}

static struct making *create(struct edge *e, const struct route *r, struct object *o)
{
    struct making *m = xcalloc(1, sizeof *m);
    m->edge = e;
    m->route = *r;
    route_source(r, m->source_path);
    m->origin = edge_origin(e, m->source_path, &m->path);
    m->object = object_ref(o);
    m->task.run = run;
    m->waiter.wake = object_changed;
    m->deadline.passed = deadline_passed;
    atomic_init(&m->refs, 2); // end's, and the deadline's
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

static void launch(struct making *m)
{
    // The hook may run at once; the making is not on a queue yet, so it only
    // finds its cancel token.
    object_on_abandon(m->object, abandoned, m);
    deadlines_add(m->edge->deadlines, &m->deadline);
    making_enqueue(m);
}

// True when o was failed, because there is no memory for it.
static bool refuse(struct edge *e, struct object *o)
{
    if (!store_full(e->store))
        return false;
    store_fail(e->store, o, -E_BUSY, "too many objects are being made or read", clock_ms());
    return true;
}

// NULL when o was refused.  Who needs it was let in.
static struct making *create_for_other(struct edge *e, const struct route *r, struct object *o)
{
    if (refuse(e, o))
        return NULL;
    count_up(INT_MAX);
    return create(e, r, o);
}

void making_start_probe(const struct making *parent, struct object *o, bool all)
{
    struct making *const m = create_for_other(parent->edge, &parent->route, o);
    if (!m)
        return;
    m->probe = true;
    m->all = all;
    if (all)
        keeper_keep(m->edge->keeper, o);
    m->steps = probe_steps;
    m->client = parent->client;
    object_want(o, object_wanted(parent->object));
    m->source = source_ref(parent->source);
    m->version = parent->version;
    launch(m);
}

void making_start_keys(const struct making *parent, struct object *o)
{
    struct making *const m = create_for_other(parent->edge, &parent->route, o);
    if (!m)
        return;
    m->asks_key = true;
    m->steps = ask_steps;
    m->client = parent->client;
    launch(m);
}

struct key making_key(const struct edge *e, const struct route *r, enum want want,
                      const char *after)
{
    char hex[KEY_HEX];
    // What of this machine changes the bytes.
    const bool media = r->kind == ROUTE_INIT || r->kind == ROUTE_SEGMENT;
    const char *const library = media ? e->builds : want == WANT_GZIP ? gzip_version() : "";
    const bool machine = r->kind == ROUTE_SEGMENT && recipe_is_of_machine(&r->recipe);
    // What viewers may have is another thing where encryption is on.
    const bool outside = e->encrypts && !r->inside;
    struct key_lines l;
    l.n = 0;
    key_put(&l, "object 3");
    key_put_number(&l, (int)r->kind, ' ');
    key_put_number(&l, (int)r->format, ' ');
    key_put_number(&l, (int)want, '\n');
    key_put(&l, library);
    key_put(&l, machine ? e->cpu : "");
    key_put(&l, r->asset);
    key_put(&l, key_hex(&r->recipe, hex));
    key_put(&l, r->rendition);
    key_put_number(&l, r->n, '\n');
    key_put(&l, after);
    if (outside)
        key_put(&l, "encrypted");
    if (r->pressed)
        key_put(&l, "pressed");
    return key_of_lines(&l);
}

static const struct step *steps_of(const struct route *r)
{
    if (r->kind == ROUTE_ROOT)
        return list_steps;
    const bool names_texts =
        (r->kind == ROUTE_MASTER && r->format != FORMAT_TS) || r->kind == ROUTE_MANIFEST;
    return names_texts || route_names_subtitles(r) ? text_steps : route_steps;
}

static void start(struct edge *e, const struct route *r, enum want want, const char *after,
                  struct asker who, struct object *o)
{
    object_want(o, who.wanted);
    if (refuse(e, o))
        return;
    if (!count_up(e->conf->http_makings)) {
        store_fail(e->store, o, -E_BUSY, "too many objects are being made", clock_ms());
        return;
    }
    struct making *m = create(e, r, o);
    m->want = want;
    copy_string(m->after, sizeof m->after, after);
    m->client = who.client;
    m->steps = steps_of(r);
    launch(m);
}

void making_start_for_other(struct edge *e, const struct route *r, struct asker who,
                            struct object *o)
{
    object_want(o, who.wanted);
    struct making *const m = create_for_other(e, r, o);
    if (!m)
        return;
    m->client = who.client;
    m->steps = steps_of(r);
    launch(m);
}

void making_hurry(struct edge *e, struct object *o, int64_t wanted)
{
    if (object_want(o, wanted))
        sched_hurry(e->sched, o);
}

enum store_verdict making_open(struct edge *e, const struct key *key, const struct route *r,
                               enum want want, const char *after, struct asker who,
                               struct object **out)
{
    const enum store_verdict verdict = store_open(e->store, key, clock_ms(), out);
    if (verdict == STORE_MAKE)
        start(e, r, want, after, who, *out);
    else if (verdict == STORE_JOIN)
        making_hurry(e, *out, who.wanted);
    return verdict;
}

static bool is_nearly_made(const struct edge *e, const struct object *o)
{
    int64_t marks[OBJECT_MARKS];
    if (object_state(o) != OBJECT_MAKING || object_readers(o) > 1)
        return false;
    object_marks(o, marks);
    // What should have ended long ago is not what was expected.
    const int64_t left_us = marks[MARK_ENDS_US] - clock_us();
    return marks[MARK_ENDS_US] > 0 && llabs(left_us) < e->conf->workers_salvage * 1000;
}

// It may end meanwhile: either its making sees that it is kept, or we see that it has ended.
void making_leave(struct edge *e, struct object **o)
{
    if (is_nearly_made(e, *o)) {
        stat_add(STAT_jobs_salvaged_total, 1);
        keeper_keep(e->keeper, *o);
        if (object_state(*o) != OBJECT_MAKING)
            keeper_drop(e->keeper, *o);
    }
    store_close(e->store, o);
}

void making_wait_all(void)
{
    lock(&count_lock);
    while (count > 0)
        pthread_cond_wait(&count_zero, &count_lock);
    unlock(&count_lock);
}
