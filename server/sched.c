// SPDX-License-Identifier: BSD-2-Clause
//
// The way of a work: cold, bringing (its bytes), ready, out of the queue (with a
// worker, or done).  What has no bytes to bring begins as ready.
//
// Locks: sched.lock guards the queues, the works in them, the slots' current work and
// worker pointers, and the poison list.  Nothing blocks under it; done is called
// outside it.  Order: sched.lock, then that of a task queue.

#include "server/sched.h"

#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/object.h"
#include "cache/source.h"
#include "codec/plan.h"
#include "config/conf.h"
#include "config/memory.h"
#include "server/attempt.h"
#include "server/poison.h"
#include "server/worker.h"

#define CLIENT_BUCKETS 1024 // clients that fall together share a share
#define RESTART_MS 2000     // a driver without a worker tries again after this
#define KILLED_MAX 8        // tries of one job while somebody kills its workers

// One driver and its worker.
struct slot {
    struct sched *sched;
    pthread_t thread;
    bool probes; // takes probes, and nothing else
    int jobs;    // run by this worker; driver only

    // protected by sched.lock; the worker itself is run by the driver alone
    struct worker *worker;
    const struct work *work; // that it runs; NULL while it has none
    int64_t since_us;        // of that
};

struct queue {
    struct list works; // in order of arrival
    int count, ready;
};

// What is brought of one origin.
struct feed {
    int bringing; // works
    int64_t held; // bytes of works that are bringing or ready
};

struct sched {
    // constant after create
    const struct conf *conf;
    struct zygote *zygote;
    struct slot *slots;
    int slot_count;
    pthread_t clock;   // refuses what waits too long
    bool ticks;        // it was started
    int64_t bring_max; // bytes for one work
    int64_t held_max;  // for all of an origin, but one may always be brought

    // protected by lock
    pthread_mutex_t lock;
    pthread_cond_t more; // there is something to do, perhaps
    pthread_cond_t stop;
    struct queue media, probes;
    struct feed feeds[CONF_ORIGINS];
    int running;                        // works of the media queue that have a worker
    int probing;                        // works of the probe queue that have one
    int probing_at[CONF_ORIGINS];       // of each origin
    uint64_t turn;                      // the largest that has started
    uint64_t next_turn[CLIENT_BUCKETS]; // of each client
    struct poison poison;
    bool stopping;
    char trouble[256]; // why the last worker could not be started; "" if it could
};

// ---- queue

static struct queue *queue_of(struct sched *s, const struct work *w)
{
    return w->job->kind == JOB_PROBE ? &s->probes : &s->media;
}

typedef bool filter(const void *arg, const struct work *w);

// Of those that may, and of equal turns, the one that came first.
static struct work *first_turn(const struct queue *q, filter *may, const void *arg)
{
    struct work *best = NULL;
    for (struct list *l = q->works.next; l != &q->works; l = l->next) {
        struct work *const w = container_of(l, struct work, link);
        if ((!best || w->turn < best->turn) && may(arg, w))
            best = w;
    }
    return best;
}

// Of those that are not being brought, and of equal turns, the one that came last.
static struct work *last_turn(const struct queue *q)
{
    struct work *worst = NULL;
    for (struct list *l = q->works.next; l != &q->works; l = l->next) {
        struct work *const w = container_of(l, struct work, link);
        if ((!worst || w->turn >= worst->turn) && w->state != WORK_BRINGING)
            worst = w;
    }
    return worst;
}

static uint64_t *next_turn(struct sched *s, const struct work *w)
{
    return &s->next_turn[w->client % CLIENT_BUCKETS];
}

static void become_ready(struct sched *s, struct work *w)
{
    w->state = WORK_READY;
    queue_of(s, w)->ready++;
    stat_add(STAT_jobs_ready, 1);
    pthread_cond_broadcast(&s->more);
}

static bool is_cold(const void *arg, const struct work *w)
{
    return w->state == WORK_COLD && w->origin == *(const int *)arg;
}

// Whether w may be brought now.  A quarter of the threads is left to what is opened.
static bool has_room(const struct sched *s, const struct feed *f, const struct work *w)
{
    const int threads = tasks_threads(w->threads);
    return f->bringing < threads - threads / 4 &&
           (f->held == 0 || f->held + w->bytes <= s->held_max);
}

// Starts to bring what may be brought of an origin.
static void feed(struct sched *s, int origin)
{
    struct feed *const f = &s->feeds[origin];
    struct work *w;
    while ((w = first_turn(&s->media, is_cold, &origin)) && has_room(s, f, w)) {
        w->state = WORK_BRINGING;
        f->bringing++;
        f->held += w->bytes;
        tasks_add(w->threads, &w->task);
    }
}

static void enqueue(struct sched *s, struct work *w)
{
    struct queue *const q = queue_of(s, w);
    *next_turn(s, w) = w->turn + 1;
    list_push_back(&q->works, &w->link);
    q->count++;
    stat_add(STAT_jobs_queued, 1);
    w->state = WORK_COLD;
    if (w->bytes > 0)
        feed(s, w->origin);
    else
        become_ready(s, w);
}

static void unqueue(struct sched *s, struct work *w)
{
    struct queue *const q = queue_of(s, w);
    list_remove(&w->link);
    q->count--;
    stat_add(STAT_jobs_queued, -1);
    q->ready -= w->state == WORK_READY;
    stat_add(STAT_jobs_ready, w->state == WORK_READY ? -1 : 0);
    if (w->state != WORK_COLD)
        s->feeds[w->origin].held -= w->bytes;
    w->state = WORK_OUT;
    if (!s->stopping)
        feed(s, w->origin);
}

// Unqueues work that will not run: its client gets the turn back.
static void withdraw(struct sched *s, struct work *w)
{
    unqueue(s, w);
    --*next_turn(s, w);
}

// ---- workers

static void note_crash(struct sched *s, const struct key *version)
{
    lock(&s->lock);
    const bool refused = poison_note(&s->poison, version, clock_ms(), s->conf->workers_poison);
    unlock(&s->lock);
    if (refused)
        stat_add(STAT_sources_poisoned_total, 1);
}

static int64_t memory_of(const struct slot *slot)
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
    struct worker *const fresh = worker_start(slot->sched->zygote, memory_of(slot), detail, cap);
    lock(&slot->sched->lock);
    slot->worker = fresh;
    copy_string(slot->sched->trouble, sizeof slot->sched->trouble, fresh ? "" : detail);
    unlock(&slot->sched->lock);
    worker_stop(&old);
    return fresh ? 0 : -E_WORKER;
}

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

static bool is_ready(const void *arg, const struct work *w)
{
    (void)arg;
    return w->state == WORK_READY;
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
    return slot->probes ? first_turn(&s->probes, may_probe, s)
                        : first_turn(&s->media, is_ready, NULL);
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
        unqueue(s, w);
        s->turn = w->turn > s->turn ? w->turn : s->turn;
        w->slot = slot;
        slot->work = w;
        slot->since_us = clock_us();
        count_running(s, w, 1);
    }
    unlock(&s->lock);
    return w;
}

// ---- bringing

// Workers that nothing is ready for.
static int spare(const struct sched *s)
{
    return s->conf->workers_count - s->running - s->media.ready;
}

// Work whose bytes are here, or the first of them while there are workers to spare:
// then one may wait for the rest, but not the last one.  False: neither, or nobody
// wants it any more; sched_cancel leaves it to us to see that.
static bool end_bringing(struct sched *s, struct work *w, bool all)
{
    lock(&s->lock);
    const bool wanted = !s->stopping && !cancel_is_set(w->cancel);
    const bool ready = wanted && (all || spare(s) > 1);
    if (ready) {
        s->feeds[w->origin].bringing--;
        become_ready(s, w);
        feed(s, w->origin);
    }
    unlock(&s->lock);
    return ready;
}

static void fail_bringing(struct sched *s, struct work *w, int err)
{
    lock(&s->lock);
    if (w->late)
        err = -E_ORIGIN_TIMEOUT;
    s->feeds[w->origin].bringing--;
    withdraw(s, w);
    pthread_cond_broadcast(&s->more); // for sched_destroy
    unlock(&s->lock);
    w->done(w, err, err_sentence(err));
}

// Reads what the worker will read, in its order; that is one read of the origin for
// each stretch that is missing.  On one of w->threads.
static void bring(struct task *t)
{
    struct work *const w = container_of(t, struct work, task);
    struct sched *const s = w->sched;
    const int64_t start = clock_us();
    int64_t offset, n, brought = 0;
    plan_job_range(w->job, &offset, &n);
    if (n > 0)
        source_want(w->source, offset, n < s->bring_max ? n : s->bring_max);
    for (int i = 0; i < w->job->sample_count && brought < s->bring_max; i++) {
        const struct sample *const p = &w->job->samples[i];
        const int err = source_bring(w->source, p->offset, p->size, w->cancel);
        w->bring_us = clock_us() - start;
        if (err < 0) {
            fail_bringing(s, w, err);
            return;
        }
        brought += p->size;
        // What the first read brought is not all used up by then.
        if (brought >= s->conf->origin_read_max / 2 && end_bringing(s, w, false))
            return; // it may be gone
    }
    if (!end_bringing(s, w, true))
        fail_bringing(s, w, cancel_is_set(w->cancel) ? -E_CANCELLED : -E_STOPPING);
}

// About how many bytes that reads: what lies between the samples comes along, as far
// as one read reaches.
static int64_t bytes_to_bring(const struct sched *s, const struct job *job)
{
    int64_t offset, span, sum = 0;
    plan_job_range(job, &offset, &span);
    for (int i = 0; i < job->sample_count; i++)
        sum += job->samples[i].size;
    const int64_t around = sum + s->conf->origin_read_max;
    const int64_t n = span == 0 ? sum : around < span ? around : span;
    return n < s->bring_max ? n : s->bring_max;
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

static void drive_one(struct slot *slot, struct work *w)
{
    struct sched *const s = slot->sched;
    char detail[256] = "";
    int err;
    w->started_us = clock_us();
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
    lock(&s->lock);
    count_running(s, w, -1);
    w->slot = NULL;
    slot->work = NULL;
    if (slot->probes)
        pthread_cond_broadcast(&s->more); // for what may_probe kept waiting
    unlock(&s->lock);
    w->done(w, err, detail);
}

static void *drive(void *arg)
{
    struct slot *const slot = arg;
    struct work *w;
    while ((w = take(slot)))
        drive_one(slot, w);
    return NULL;
}

// Withdraws what nobody has in hand.  What is brought looks at its token itself.
static bool take_off(struct sched *s, struct work *w)
{
    if (w->state == WORK_OUT)
        return false;
    if (w->state == WORK_BRINGING) {
        if (!tasks_take_back(w->threads, &w->task))
            return false;
        s->feeds[w->origin].bringing--;
    }
    withdraw(s, w);
    return true;
}

// ---- what waits too long

static int64_t late_us(const struct sched *s, const struct work *w)
{
    return w->queued_us + s->conf->workers_queue_wait * 1000;
}

// Locked.  True: the caller is to end w.  What is being brought ends by itself.
static bool refuse(struct sched *s, struct work *w)
{
    if (w->late)
        return false;
    const bool off = take_off(s, w);
    w->late = !off && w->state == WORK_BRINGING;
    if (w->late)
        atomic_store(&w->cancel->set, true);
    if (off || w->late)
        stat_add(STAT_jobs_refused_total, 1);
    return off;
}

// Locked.  The next one to be ended for being late at now; NULL, and *next_us is sooner
// if one will be.
static struct work *refuse_late(struct sched *s, struct queue *q, int64_t now_us, int64_t *next_us)
{
    for (struct list *l = q->works.next, *next; l != &q->works; l = next) {
        next = l->next;
        struct work *const w = container_of(l, struct work, link);
        if (now_us < late_us(s, w)) { // nor are those behind it
            *next_us = late_us(s, w) < *next_us ? late_us(s, w) : *next_us;
            return NULL;
        }
        if (refuse(s, w))
            return w;
    }
    return NULL;
}

static void end_late(struct work *w, int64_t now_us)
{
    char detail[80];
    snprintf(detail, sizeof detail, "waited %lld ms for a worker",
             (long long)(now_us - w->queued_us) / 1000);
    w->done(w, -E_BUSY, detail);
}

int64_t sched_expire(struct sched *s, int64_t now_us)
{
    for (;;) {
        int64_t next_us = now_us + s->conf->workers_queue_wait * 1000; // of what comes now
        lock(&s->lock);
        struct work *w = refuse_late(s, &s->probes, now_us, &next_us);
        if (!w)
            w = refuse_late(s, &s->media, now_us, &next_us);
        unlock(&s->lock);
        if (!w)
            return next_us;
        end_late(w, now_us);
    }
}

static bool wait_for_late(struct sched *s, int64_t next_us)
{
    lock(&s->lock);
    if (!s->stopping)
        cond_wait_until(&s->stop, &s->lock, next_us / 1000 + 1);
    const bool more = !s->stopping;
    unlock(&s->lock);
    return more;
}

static void *tick(void *arg)
{
    struct sched *const s = arg;
    int64_t next_us;
    do
        next_us = sched_expire(s, clock_us());
    while (wait_for_late(s, next_us));
    return NULL;
}

// ---- public

static bool start_slots(struct sched *s, char *why, size_t cap)
{
    const int count = s->conf->workers_count + s->conf->workers_probes;
    s->slots = xcalloc((size_t)count, sizeof *s->slots);
    for (int i = 0; i < count; i++) {
        struct slot *const slot = &s->slots[i];
        slot->sched = s;
        slot->probes = i >= s->conf->workers_count;
        slot->worker = worker_start(s->zygote, memory_of(slot), why, cap);
        if (!slot->worker)
            return false;
        slot->thread = thread_start(slot->probes ? "probe" : "worker", drive, slot);
        s->slot_count++;
    }
    return true;
}

struct sched *sched_create(const struct conf *conf, struct zygote *zygote, char *why, size_t cap)
{
    struct sched *s = xcalloc(1, sizeof *s);
    s->conf = conf;
    s->zygote = zygote;
    s->bring_max = conf->cache_source_blocks / 4;
    s->held_max = conf->cache_source_blocks / 2 / (conf->origin_count ? conf->origin_count : 1);
    pthread_mutex_init(&s->lock, NULL);
    cond_init(&s->more);
    cond_init(&s->stop);
    list_init(&s->media.works);
    list_init(&s->probes.works);
    if (!start_slots(s, why, cap)) {
        sched_destroy(s);
        return NULL;
    }
    s->clock = thread_start("queue", tick, s);
    s->ticks = true;
    return s;
}

// What is being brought (and cancelled) ends on the threads that do that.
static void fail_queue(struct sched *s, struct queue *q)
{
    for (;;) {
        lock(&s->lock);
        struct work *w;
        while (!(w = last_turn(q)) && q->count > 0)
            pthread_cond_wait(&s->more, &s->lock);
        if (w)
            unqueue(s, w);
        unlock(&s->lock);
        if (!w)
            return;
        w->done(w, -E_STOPPING, "");
    }
}

void sched_destroy(struct sched *s)
{
    if (!s)
        return;
    lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->more);
    pthread_cond_signal(&s->stop);
    unlock(&s->lock);
    if (s->ticks)
        pthread_join(s->clock, NULL);
    fail_queue(s, &s->media);
    fail_queue(s, &s->probes);
    for (int i = 0; i < s->slot_count; i++) {
        pthread_join(s->slots[i].thread, NULL);
        worker_stop(&s->slots[i].worker);
    }
    pthread_cond_destroy(&s->more);
    pthread_cond_destroy(&s->stop);
    pthread_mutex_destroy(&s->lock);
    free(s->slots);
    free(s);
}

// Finds room for w, whose turn is set: 0 and perhaps *out, or -E_BUSY.
static int make_room(struct sched *s, const struct work *w, struct work **out)
{
    const struct queue *const q = queue_of(s, w);
    if (q->count < s->conf->workers_queue)
        return 0;
    stat_add(STAT_jobs_refused_total, 1);
    struct work *const last = last_turn(q);
    if (!last || last->turn <= w->turn)
        return -E_BUSY;
    withdraw(s, last);
    *out = last;
    return 0;
}

int sched_submit(struct sched *s, struct work *w, struct work **out)
{
    int err = 0;
    *out = NULL;
    const int64_t bytes = bytes_to_bring(s, w->job);
    lock(&s->lock);
    w->sched = s;
    w->task.run = bring;
    w->bytes = bytes;
    w->queued_us = clock_us();
    w->started_us = w->bring_us = w->origin_us = 0;
    w->late = false;
    w->turn = *next_turn(s, w) > s->turn ? *next_turn(s, w) : s->turn;
    if (s->stopping)
        err = -E_STOPPING;
    else if (poison_has(&s->poison, &w->version, w->queued_us / 1000))
        err = -E_POISONED;
    else
        err = make_room(s, w, out);
    if (err == 0)
        enqueue(s, w);
    unlock(&s->lock);
    return err;
}

void sched_cancel(struct sched *s, struct work *w)
{
    lock(&s->lock);
    if (w->slot && w->slot->worker)
        worker_kick(w->slot->worker);
    const bool was_queued = take_off(s, w);
    unlock(&s->lock);
    if (was_queued)
        w->done(w, -E_CANCELLED, "");
}

bool sched_ready(struct sched *s, char *why, size_t cap)
{
    lock(&s->lock);
    copy_string(why, cap, s->trouble);
    unlock(&s->lock);
    return why[0] == '\0';
}

void sched_refuse(struct sched *s, struct work *w)
{
    lock(&s->lock);
    const bool off = refuse(s, w);
    unlock(&s->lock);
    if (off)
        end_late(w, clock_us());
}

int sched_workers(struct sched *s)
{
    return s->slot_count;
}

int sched_idle(struct sched *s)
{
    lock(&s->lock);
    const int n = s->conf->workers_count - s->running - s->media.count;
    unlock(&s->lock);
    return n > 0 ? n : 0;
}

int sched_probes(struct sched *s, struct sched_probe *out, int max)
{
    int n = 0;
    lock(&s->lock);
    for (int i = 0; i < s->slot_count && n < max; i++) {
        const struct work *const w = s->slots[i].work;
        if (!s->slots[i].probes || !w)
            continue;
        struct sched_probe *const p = &out[n++];
        copy_string(p->source, sizeof p->source, source_path(w->source));
        p->reached = w->reached;
        p->size = source_version(w->source)->size;
        p->us = clock_us() - s->slots[i].since_us;
    }
    unlock(&s->lock);
    return n;
}

int sched_queued(struct sched *s)
{
    lock(&s->lock);
    const int n = s->media.count + s->probes.count;
    unlock(&s->lock);
    return n;
}

// What a process has resident and does not share with its kin, nor with a file.
static int64_t own_memory(pid_t pid)
{
    char name[40], line[80];
    long long resident = 0, shared = 0;
    snprintf(name, sizeof name, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(name, "re");
    if (f && fgets(line, sizeof line, f))
        (void)!sscanf(line, "%*d %lld %lld", &resident, &shared);
    if (f)
        fclose(f);
    return (resident - shared) * sysconf(_SC_PAGESIZE);
}

int64_t sched_memory(struct sched *s)
{
    int64_t sum = 0;
    for (int i = 0; i < s->slot_count; i++) {
        lock(&s->lock);
        const struct worker *const w = s->slots[i].worker;
        const pid_t pid = w ? worker_pid(w) : 0;
        unlock(&s->lock);
        sum += pid ? own_memory(pid) : 0;
    }
    return sum;
}
