// SPDX-License-Identifier: BSD-2-Clause
//
// A work may be run a second time, after a worker that died or with others that failed: what is
// put out already must come again, byte for byte.
//
// What the worker is told is a copy of the first work's job, because that work may be over before
// the others are.

#include "server/sched_parts.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/stat.h"
#include "cache/object.h"
#include "codec/wire.h"

// ---- what its worker asks for

// Whether as much came as before, when it was run already.
static int check_repeated(const struct team *t, int rung, char *detail, size_t cap)
{
    if (!t->differs && t->put[rung] == object_size(t->works[rung]->object))
        return 0;
    copy_string(detail, cap, "the second run did not repeat the first");
    return -E_INTERNAL;
}

// The scan of all of a source, or its last samples: segments that want the same come much later.
static bool passes(const struct job *job)
{
    return job->kind == JOB_PROBE && job->limits.first == 0;
}

static void note_read(struct team *t, int64_t us, int64_t reached)
{
    t->origin_us += us;
    for (int i = 0; i < t->told; i++) {
        struct work *const w = t->works[i];
        if (!w)
            continue;
        w->origin_us += us;
        if (reached > w->reached)
            w->reached = reached;
    }
}

static int64_t read_source(void *arg, int64_t offset, void *out, int64_t n)
{
    struct team *const t = &((struct slot *)arg)->team;
    const int64_t before = clock_us();
    const int64_t got = passes(t->job) ? source_pass(t->source, offset, out, n, &t->cancel)
                                       : source_read(t->source, offset, out, n, &t->cancel);
    note_read(t, clock_us() - before, got > 0 ? offset + got : 0);
    return got;
}

static void want(void *arg, int64_t offset, int64_t n)
{
    source_want(((struct slot *)arg)->team.source, offset, n);
}

static bool same_again(const struct object *o, size_t at, const uint8_t *bytes, size_t n)
{
    uint8_t was[4096];
    for (size_t done = 0; done < n;) {
        const size_t step = n - done < sizeof was ? n - done : sizeof was;
        if (object_read(o, at + done, was, step) != step || memcmp(was, bytes + done, step) != 0)
            return false;
        done += step;
    }
    return true;
}

static int append(void *arg, int rung, const void *bytes, size_t n)
{
    struct team *const t = &((struct slot *)arg)->team;
    struct work *const w = t->works[rung];
    const size_t have = object_size(w->object), put = t->put[rung];
    const size_t old = put < have ? (have - put < n ? have - put : n) : 0;
    if (cancel_is_set(w->cancel))
        return 0;
    t->differs |= !same_again(w->object, put, bytes, old);
    if (t->differs)
        return -E_INTERNAL;
    if (have == 0)
        w->begins(w);
    t->put[rung] += n;
    return n > old ? object_append(w->object, (const uint8_t *)bytes + old, n - old) : 0;
}

static bool cancelled(void *arg)
{
    return cancel_is_set(&((struct slot *)arg)->team.cancel);
}

// ---- what its worker is told meanwhile

static bool next_drop(struct team *t, struct worker_order *out)
{
    for (int i = 0; i < t->told; i++) {
        if (!t->works[i] || t->dropped[i] || !cancel_is_set(t->works[i]->cancel))
            continue;
        t->dropped[i] = true;
        *out = (struct worker_order){ .rung = i };
        return true;
    }
    return false;
}

// Locked: what it costs may still change.
static void begin_work(struct work *w)
{
    if (w->started_us == 0)
        w->started_us = clock_us();
    if (w->cost_us > 0)
        w->ends_us = w->started_us + w->cost_us / job_encoders(w->job);
}

static struct work *next_to_join(const struct team *t)
{
    return t->told < t->count ? t->works[t->told] : NULL;
}

// Those whom the worker was not told of; nobody joins any more.
static void turn_away(struct slot *slot)
{
    struct team *const t = &slot->team;
    lock(&slot->sched->lock);
    t->closed = true;
    unlock(&slot->sched->lock);
    for (int i = t->told; i < t->count; i++)
        sched_give_back(slot, i);
    lock(&slot->sched->lock);
    t->count = t->told;
    unlock(&slot->sched->lock);
}

static bool next_order(void *arg, struct worker_order *out)
{
    struct slot *const slot = arg;
    struct team *const t = &slot->team;
    struct work *w = next_to_join(t);
    if (w && object_expect(w->object, w->expected) < 0) { // it will hear of that by itself
        turn_away(slot);
        w = NULL;
    }
    if (!w)
        return next_drop(t, out);
    lock(&slot->sched->lock);
    begin_work(w);
    unlock(&slot->sched->lock);
    *out = (struct worker_order){ .join = &w->job->v, .rung = t->told++ };
    return true;
}

static void joined(void *arg, int rung, bool taken)
{
    struct slot *const slot = arg;
    struct team *const t = &slot->team;
    if (!taken) {
        sched_give_back(slot, rung);
        return;
    }
    stat_add(STAT_decodes_shared_total, 1);
    t->taken++;
    job_add_rung(&t->copy, t->works[rung]->job);
}

static void end(void *arg, int rung)
{
    char detail[256] = "";
    struct slot *const slot = arg;
    const int err = check_repeated(&slot->team, rung, detail, sizeof detail);
    sched_end(slot, rung, err, detail);
}

// ---- a run

// Of a video job, with all who are in the team now; of others it is the work's own.
static int describe(struct team *t)
{
    struct buf b;
    const struct work *const w = team_first(t);
    job_finish(&t->copy);
    t->job = w->job;
    if (w->job->kind != JOB_VIDEO)
        return 0;
    buf_init(&b, WIRE_JOB_MAX);
    int rc = job_pack(w->job, &b);
    if (rc == 0)
        rc = job_unpack(&t->copy, b.data, b.len);
    buf_finish(&b);
    for (int i = 1; i < t->told && rc == 0; i++)
        job_add_rung(&t->copy, t->works[i]->job);
    t->job = &t->copy;
    return rc;
}

// The next place for one that is not over.
static void move_up(struct team *t, int from)
{
    struct work *const w = t->works[from];
    t->works[from] = NULL;
    if (w)
        t->works[t->count++] = w;
}

// Those who have begun become rungs 0, 1 ..; the others join them.
static void open_team(struct slot *slot)
{
    struct team *const t = &slot->team;
    lock(&slot->sched->lock);
    const int count = t->count;
    t->count = 0;
    for (int i = 0; i < t->begun; i++)
        move_up(t, i);
    t->told = t->taken = t->count;
    for (int i = t->begun; i < count; i++)
        move_up(t, i);
    t->begun = t->told;
    t->closed = !sched_shares(team_first(t));
    atomic_store(&t->cancel.set, false);
    sched_stop_unwanted(slot);
    for (int i = 0; i < t->told; i++)
        begin_work(t->works[i]);
    unlock(&slot->sched->lock);
    memset(t->put, 0, sizeof t->put);
    memset(t->dropped, 0, sizeof t->dropped);
    t->differs = false;
    t->origin_us = 0;
    t->source = source_ref(team_first(t)->source);
    stat_add(STAT_decodes_shared_total, t->told - 1);
}

// Nobody joins any more; those whom the worker was not told of go back.
static void close_team(struct slot *slot)
{
    turn_away(slot);
    source_close(&slot->team.source);
}

static int run_job(struct slot *slot, int64_t limit_ms, char *detail, size_t cap)
{
    static const struct worker_rungs rungs = { .next = next_order, .joined = joined, .end = end };
    struct team *const t = &slot->team;
    const struct worker_calls calls = { .arg = slot,
                                        .read = read_source,
                                        .append = append,
                                        .cancelled = cancelled,
                                        .want = want,
                                        .rungs = t->job->kind == JOB_VIDEO ? &rungs : NULL };
    return worker_run(slot->worker, t->job, &calls, clock_ms() + limit_ms * t->told, &t->stats,
                      detail, cap);
}

// What is wrong with what came, of those that are not over.
static int check_all(const struct team *t, int err, char *detail, size_t cap)
{
    for (int i = 0; i < t->told; i++)
        if (t->works[i] && !cancel_is_set(t->works[i]->cancel) && (err == 0 || t->differs) &&
            check_repeated(t, i, detail, cap) < 0)
            return -E_INTERNAL;
    return err;
}

int sched_run(struct slot *slot, int64_t limit_ms, char *detail, size_t cap)
{
    struct team *const t = &slot->team;
    open_team(slot);
    int err = describe(t);
    if (err == 0)
        err = run_job(slot, limit_ms, detail, cap);
    close_team(slot);
    err = check_all(t, err, detail, cap);
    if (err == -E_TIMEOUT && t->origin_us > limit_ms * 1000 / 2) {
        copy_string(detail, cap, "most of the job's time went by waiting for the origin");
        err = -E_ORIGIN_TIMEOUT;
    }
    return err;
}
