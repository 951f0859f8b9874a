// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/object.h"
#include "codec/plan.h"
#include "config/memory.h"
#include "server/attempt.h"

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
    slot->left.left = false;
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
static void count_running(struct sched *s, const struct work *w, int n)
{
    if (!w->slot->probes) {
        s->running += n;
        return;
    }
    s->probing += n;
    s->probing_at[w->origin] += n;
}

static struct work *take(struct slot *slot)
{
    struct sched *const s = slot->sched;
    struct work *w = NULL;
    lock(&s->lock);
    while (!s->stopping && !(w = next_for(slot)))
        idle(slot);
    if (w) {
        sched_unqueue(s, w);
        w->slot = slot;
        slot->work = w;
        slot->since_us = clock_us();
        count_running(s, w, 1);
        if (slot->left.left && s->media.ready > 0)
            pthread_cond_broadcast(&s->more); // for what was left to this one
    }
    unlock(&s->lock);
    return w;
}

// ---- running

static int64_t limit_of(const struct conf *conf, const struct job *job)
{
    return job->kind != JOB_PROBE    ? conf->workers_job_time
           : is_long_scan(conf, job) ? conf->workers_scan_time
                                     : conf->workers_probe_time;
}

static int run_once(struct slot *slot, struct work *w, char *detail, size_t cap)
{
    const struct conf *const conf = slot->sched->conf;
    const int err = ensure_worker(slot, detail, cap);
    if (err < 0)
        return err;
    slot->jobs++;
    return attempt_run(slot->worker, w, limit_of(conf, w->job), detail, cap);
}

// Whether this work brought its worker down: a crash, a breach, or the watchdog.
static bool brought_down(const struct slot *slot, const struct work *w, int err)
{
    return (err == -E_WORKER || err == -E_TIMEOUT || err == -E_PROTOCOL) && slot->worker &&
           !worker_alive(slot->worker) && !cancel_is_set(w->cancel);
}

static int run_work(struct slot *slot, struct work *w, char *detail, size_t cap)
{
    struct sched *const s = slot->sched;
    int64_t offset, n;
    plan_job_range(w->job, &offset, &n);
    if (n > 0)
        source_want(w->source, offset, n);

    int crashes = 0, killed = 0;
    for (;;) {
        const int err = run_once(slot, w, detail, cap);
        if (brought_down(slot, w, err)) {
            note_crash(s, &w->version);
            log_warn("worker", "%s: worker went down (%s)", source_path(w->source), detail);
            if (++crashes == POISON_CRASHES) {
                snprintf(detail, cap, "two workers went down with this source");
                return -E_POISONED;
            }
        } else if (err != -E_KILLED || cancel_is_set(w->cancel) || ++killed == KILLED_MAX) {
            return err;
        }
        stat_add(STAT_jobs_retried_total, 1);
    }
}

// As many encoders as run at once, each of which stands for a worker.
static int workers_of(const struct job *j)
{
    const int parts = j->parts_at_once < j->part_count ? j->parts_at_once : j->part_count;
    return parts > 1 ? parts : 1;
}

static int64_t worker_us(const struct work *w)
{
    return (clock_us() - w->started_us - w->origin_us) * workers_of(w->job);
}

// What decodes pictures makes an end of what was left before.
static void note_left(struct slot *slot, const struct work *w)
{
    if (w->job->kind != JOB_VIDEO && w->job->kind != JOB_SHEET)
        return;
    slot->left = w->stats;
    slot->left_of = w->version;
}

static void drive_one(struct slot *slot, struct work *w)
{
    struct sched *const s = slot->sched;
    char detail[256] = "";
    int err;
    w->started_us = clock_us();
    if (w->cost_us > 0)
        w->ends_us = w->started_us + w->cost_us / workers_of(w->job);
    if (cancel_is_set(w->cancel)) {
        err = -E_CANCELLED;
    } else if (object_expect(w->object, w->expected) < 0) {
        err = -E_BUSY; // now, while nothing was sent of it
        copy_string(detail, sizeof detail, "too many objects are being made or read");
    } else {
        stat_add(STAT_jobs_running, 1);
        err = run_work(slot, w, detail, sizeof detail);
        stat_add(STAT_jobs_running, -1);
    }
    const int64_t us = worker_us(w);
    stat_add(STAT_workers_busy_us_total, us);
    stat_add(STAT_workers_vain_us_total, err == -E_CANCELLED ? us : 0);
    lock(&s->lock);
    if (err == 0)
        forecast_learn(&s->forecast, w->job, us);
    count_running(s, w, -1);
    note_left(slot, w);
    w->slot = NULL;
    slot->work = NULL;
    if (slot->probes)
        pthread_cond_broadcast(&s->more); // for what may_probe kept waiting
    unlock(&s->lock);
    w->done(w, err, detail);
}

void *sched_drive(void *arg)
{
    struct slot *const slot = arg;
    struct work *w;
    while ((w = take(slot)))
        drive_one(slot, w);
    return NULL;
}
