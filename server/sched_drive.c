// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/object.h"
#include "codec/plan.h"
#include "config/memory.h"

#define RESTART_MS 2000 // a driver without a worker tries again after this
#define KILLED_MAX 8    // tries of one job while somebody kills its workers

// ---- its worker

static void note_crash(struct sched *s, const struct key *version)
{
    lock(&s->lock);
    const bool refused = poison_note(&s->poison, version, clock_ms(), s->conf->workers_poison);
    unlock(&s->lock);
    if (refused)
        stat_add(STAT_sources_poisoned_total, 1);
}

int64_t sched_worker_memory(const struct slot *slot)
{
    const struct conf *const conf = slot->sched->conf;
    return slot->probes ? memory_of_prober(conf) : conf->workers_memory;
}

static int ensure_worker(struct slot *slot, char *detail, size_t cap)
{
    const bool worn = slot->jobs >= slot->sched->conf->workers_jobs;
    if (slot->worker && worker_alive(slot->worker) && !worn)
        return 0;
    slot->jobs = 0;
    struct worker *old = slot->worker;
    struct worker *const fresh =
        worker_start(slot->sched->zygote, sched_worker_memory(slot), detail, cap);
    lock(&slot->sched->lock);
    slot->worker = fresh;
    slot->left.left_count = 0;
    copy_string(slot->sched->trouble, sizeof slot->sched->trouble, fresh ? "" : detail);
    unlock(&slot->sched->lock);
    worker_stop(&old);
    return fresh ? 0 : -E_WORKER;
}

// ---- what it takes

// Waits for more to do; without a worker, not for ever.  The lock is held, but not
// while a worker is started.
static void idle(struct slot *slot)
{
    struct sched *const s = slot->sched;
    char detail[256];
    if (slot->worker) {
        pthread_cond_wait(&s->more, &s->lock);
    } else if (!cond_wait_until(&s->more, &s->lock, clock_ms() + RESTART_MS)) {
        unlock(&s->lock);
        ensure_worker(slot, detail, sizeof detail);
        lock(&s->lock);
    }
}

// Of what follows a beginning.
static bool is_long_scan(const struct conf *conf, const struct job *job)
{
    return job->kind == JOB_PROBE && conf->workers_first > 0 && job->limits.first == 0;
}

// Of several origins, one that does not answer gets no worker more when only one is
// left: the others' sources are probed by that.  Nor does a long scan, if there are others.
static bool may_probe(const void *arg, const struct work *w)
{
    const struct sched *const s = arg;
    const bool last = s->probing == s->conf->workers_probes - 1;
    if (last && s->conf->workers_probes > 1 && is_long_scan(s->conf, w->job))
        return false;
    return !last || s->conf->origin_count < 2 || s->probing_at[w->origin] == 0;
}

static struct work *next_for(const struct slot *slot)
{
    const struct sched *const s = slot->sched;
    return slot->probes ? sched_first_turn(&s->probes, may_probe, s) : sched_next_media(s, slot);
}

// What has a worker, for how many of its kind there are.
static void count_running(const struct slot *slot, int origin, int n)
{
    struct sched *const s = slot->sched;
    if (!slot->probes) {
        s->running += n;
        return;
    }
    s->probing += n;
    s->probing_at[origin] += n;
}

// False: the scheduler stops.
static bool take(struct slot *slot)
{
    struct sched *const s = slot->sched;
    struct work *w = NULL;
    lock(&s->lock);
    while (!s->stopping && !(w = next_for(slot)))
        idle(slot);
    if (w) {
        sched_unqueue(s, w);
        slot->team = (struct team){ .works = { w }, .count = 1, .closed = !sched_shares(w) };
        w->slot = slot;
        slot->work = w;
        slot->since_us = clock_us();
        sched_gather(s, slot);
        count_running(slot, w->origin, 1);
        if (s->media.ready > 0)
            pthread_cond_broadcast(&s->more); // for what was left to this one, or by it
    }
    unlock(&s->lock);
    return w != NULL;
}

// ---- running

static int64_t limit_of(const struct conf *conf, const struct job *job)
{
    return job->kind != JOB_PROBE    ? conf->workers_job_time
           : is_long_scan(conf, job) ? conf->workers_scan_time
                                     : conf->workers_probe_time;
}

static int run_once(struct slot *slot, char *detail, size_t cap)
{
    const struct conf *const conf = slot->sched->conf;
    const int err = ensure_worker(slot, detail, cap);
    if (err < 0)
        return err;
    slot->jobs++;
    return sched_run(slot, limit_of(conf, team_first(&slot->team)->job), detail, cap);
}

// Whether what ran brought the worker down: a crash, a breach, or the watchdog.
static bool brought_down(const struct slot *slot, int err)
{
    return (err == -E_WORKER || err == -E_TIMEOUT || err == -E_PROTOCOL) && slot->worker &&
           !worker_alive(slot->worker) && !cancel_is_set(&slot->team.cancel);
}

// Of what failed in company nobody knows whose fault it was: each is run alone.  False: there was
// none.
static bool part(struct slot *slot, int err)
{
    struct team *const t = &slot->team;
    if (t->taken < 2 || err == -E_CANCELLED || err == -E_SEEK)
        return false;
    for (int i = t->told - 1; i >= 0; i--) { // each in front of those behind it
        if (!t->works[i])
            continue;
        t->works[i]->alone = true;
        sched_give_back(slot, i);
    }
    return true;
}

// Who is not over then is the team's still, unless they go on alone.
static int run_works(struct slot *slot, char *detail, size_t cap)
{
    struct sched *const s = slot->sched;
    const struct work *const w = team_first(&slot->team); // may be over before others
    const struct key version = w->version;
    char path[256];
    int64_t offset, n;
    copy_string(path, sizeof path, source_path(w->source));
    plan_job_range(w->job, &offset, &n);
    if (n > 0)
        source_want(w->source, offset, n);

    int crashes = 0, killed = 0;
    for (;;) {
        const int err = run_once(slot, detail, cap);
        const bool down = brought_down(slot, err);
        if (down) {
            note_crash(s, &version);
            log_warn("worker", "%s: worker went down (%s)", path, detail);
        }
        if (err == 0 || part(slot, err))
            return err;
        if (down && ++crashes == POISON_CRASHES) {
            snprintf(detail, cap, "two workers went down with this source");
            return -E_POISONED;
        }
        if (!down &&
            (err != -E_KILLED || cancel_is_set(&slot->team.cancel) || ++killed == KILLED_MAX))
            return err;
        stat_add(STAT_jobs_retried_total, 1);
    }
}

// The next that has not begun; NULL: they all have.
static struct work *next_to_begin(struct slot *slot)
{
    struct team *const t = &slot->team;
    lock(&slot->sched->lock);
    struct work *const w = t->begun < t->count ? t->works[t->begun++] : NULL;
    unlock(&slot->sched->lock);
    return w;
}

// Those that cannot begin are over.
static void begin_works(struct slot *slot)
{
    for (struct work *w; (w = next_to_begin(slot));) {
        const int rung = slot->team.begun - 1;
        if (cancel_is_set(w->cancel))
            sched_end(slot, rung, -E_CANCELLED, "");
        else if (object_expect(w->object, w->expected) < 0) // now, while nothing was sent of it
            sched_end(slot, rung, -E_BUSY, "too many objects are being made or read");
    }
}

// The account of a run is that of the work that is over last.
static void end_works(struct slot *slot, int err, const char *detail)
{
    struct team *const t = &slot->team;
    for (int i = 0; i < t->count; i++) {
        if (!t->works[i])
            continue;
        t->works[i]->stats = t->stats;
        t->stats = (struct job_stats){ 0 };
        sched_end(slot, i, err, detail);
    }
}

// Before anybody hears of the end.
static void note_run(struct slot *slot, int workers, int64_t began_us, int err)
{
    struct sched *const s = slot->sched;
    const struct team *const t = &slot->team;
    const int64_t us = (clock_us() - began_us - t->origin_us) * workers;
    stat_add(STAT_workers_busy_us_total, us);
    stat_add(STAT_workers_vain_us_total, err == -E_CANCELLED ? us : 0);
    lock(&s->lock);
    if (err == 0 && t->job)
        forecast_learn(&s->forecast, t->job, us);
    slot->left = t->stats;
    unlock(&s->lock);
}

static void free_slot(struct slot *slot, int origin)
{
    struct sched *const s = slot->sched;
    lock(&s->lock);
    count_running(slot, origin, -1);
    slot->team.closed = true;
    slot->work = NULL;
    if (slot->probes || s->media.ready > 0)
        pthread_cond_broadcast(
            &s->more); // for what may_probe kept waiting, or what warmer ones take
    unlock(&s->lock);
}

static void drive_one(struct slot *slot)
{
    char detail[256] = "";
    int err = -E_CANCELLED;
    const struct work *const w = team_first(&slot->team);
    const int origin = w->origin, workers = job_encoders(w->job);
    begin_works(slot);
    if (team_first(&slot->team)) {
        const int64_t began_us = clock_us();
        stat_add(STAT_jobs_running, 1);
        err = run_works(slot, detail, sizeof detail);
        stat_add(STAT_jobs_running, -1);
        note_run(slot, workers, began_us, err);
    }
    free_slot(slot, origin);
    end_works(slot, err, detail);
    job_finish(&slot->team.copy);
}

void *sched_drive(void *arg)
{
    struct slot *const slot = arg;
    while (take(slot))
        drive_one(slot);
    return NULL;
}
