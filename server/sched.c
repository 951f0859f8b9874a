// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/stat.h"
#include "cache/object.h"

// ---- life

static bool start_slots(struct sched *s, char *why, size_t cap)
{
    const int count = s->conf->workers_count + s->conf->workers_probes;
    s->slots = xcalloc((size_t)count, sizeof *s->slots);
    for (int i = 0; i < count; i++) {
        struct slot *const slot = &s->slots[i];
        slot->sched = s;
        slot->probes = i >= s->conf->workers_count;
        slot->worker = worker_start(s->zygote, sched_worker_memory(slot), why, cap);
        if (!slot->worker)
            return false;
        slot->thread = thread_start(slot->probes ? "probe" : "worker", sched_drive, slot);
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
    cond_init(&s->tick);
    list_init(&s->media.works);
    list_init(&s->probes.works);
    if (!start_slots(s, why, cap)) {
        sched_destroy(s);
        return NULL;
    }
    s->clock = thread_start("queue", sched_tick, s);
    s->ticks = true;
    return s;
}

// What is being brought (and cancelled) ends on the threads that do that.
static void fail_queue(struct sched *s, struct queue *q)
{
    for (;;) {
        lock(&s->lock);
        struct work *w;
        while (!(w = sched_last_turn(q)) && q->count > 0)
            pthread_cond_wait(&s->more, &s->lock);
        if (w)
            sched_unqueue(s, w);
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
    pthread_cond_signal(&s->tick);
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
    pthread_cond_destroy(&s->tick);
    pthread_mutex_destroy(&s->lock);
    free(s->slots);
    free(s);
}

// ---- what others ask for

int sched_submit(struct sched *s, struct work *w, struct work **out)
{
    int err = 0;
    bool joined = false;
    *out = NULL;
    const int64_t bytes = sched_bytes_to_bring(s, w->job);
    lock(&s->lock);
    w->sched = s;
    w->task.run = sched_bring;
    w->bytes = bytes;
    w->queued_us = clock_us();
    w->started_us = w->bring_us = w->origin_us = w->cost_us = w->wait_us = w->ends_us = 0;
    w->late = w->alone = false;
    w->state = WORK_OUT;
    sched_take_turn(s, w);
    if (s->stopping)
        err = -E_STOPPING;
    else if (poison_has(&s->poison, &w->version, w->queued_us / 1000))
        err = -E_POISONED;
    else if (!(joined = sched_join(s, w)) && (err = sched_admit(s, w, w->queued_us)) == 0)
        err = sched_make_room(s, w, out);
    if (err == 0 && !joined)
        sched_enqueue(s, w);
    unlock(&s->lock);
    return err;
}

void sched_cancel(struct sched *s, struct work *w)
{
    lock(&s->lock);
    if (w->slot)
        sched_stop_unwanted(w->slot);
    if (w->slot && w->slot->worker)
        worker_kick(w->slot->worker);
    const bool was_queued = sched_take_off(s, w);
    unlock(&s->lock);
    if (was_queued)
        w->done(w, -E_CANCELLED, "");
}

static void hurry(struct queue *q, const struct object *o)
{
    const int64_t wanted = object_wanted(o);
    for (struct list *l = q->works.next; l != &q->works; l = l->next) {
        struct work *const w = container_of(l, struct work, link);
        if (w->object == o && wanted < w->turn)
            w->turn = wanted;
    }
}

void sched_hurry(struct sched *s, const struct object *o)
{
    lock(&s->lock);
    hurry(&s->media, o);
    hurry(&s->probes, o);
    pthread_cond_broadcast(&s->more);
    unlock(&s->lock);
}

// ---- status

bool sched_ready(struct sched *s, char *why, size_t cap)
{
    lock(&s->lock);
    copy_string(why, cap, s->trouble);
    unlock(&s->lock);
    return why[0] == '\0';
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

bool sched_is_pressed(struct sched *s)
{
    lock(&s->lock);
    const bool on = s->pressure.on;
    unlock(&s->lock);
    return on;
}

int64_t sched_wait_us(struct sched *s)
{
    lock(&s->lock);
    const int64_t us = sched_wait_of_newcomer(s, clock_us());
    unlock(&s->lock);
    return us;
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

// What a process has resident that is of no file; what it was born with is counted too, though
// it shares that with its kin until one of them writes to it.
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
