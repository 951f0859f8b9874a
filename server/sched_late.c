// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include <stdio.h>

#include "base/err.h"
#include "base/stat.h"

static int64_t late_us(const struct sched *s, const struct work *w)
{
    return w->queued_us + s->conf->workers_queue_wait * 1000;
}

// Locked.  True: the caller is to end w.  What is being brought ends by itself.
static bool refuse(struct sched *s, struct work *w)
{
    if (w->late)
        return false;
    const bool off = sched_take_off(s, w);
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

void sched_refuse(struct sched *s, struct work *w)
{
    lock(&s->lock);
    const bool off = refuse(s, w);
    unlock(&s->lock);
    if (off)
        end_late(w, clock_us());
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
    if (!s->stopping && s->pressure.on == s->pressure_told)
        cond_wait_until(&s->tick, &s->lock, next_us / 1000 + 1);
    const bool more = !s->stopping;
    unlock(&s->lock);
    return more;
}

void *sched_tick(void *arg)
{
    struct sched *const s = arg;
    int64_t next_us;
    do {
        next_us = sched_expire(s, clock_us());
        next_us = sched_ease(s, clock_us(), next_us);
    } while (wait_for_late(s, next_us));
    return NULL;
}
