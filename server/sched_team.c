// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include "base/err.h"
#include "base/stat.h"
#include "base/wanted.h"
#include "codec/plan.h"

#define LEAST_MEMORY (48 * MIB) // of an encoder, however small its pictures

struct work *team_first(const struct team *t)
{
    for (int i = 0; i < t->count; i++)
        if (t->works[i])
            return t->works[i];
    return NULL;
}

// ---- who may join

// That one of its encoders takes, about.
static int64_t memory_of(const struct video_settings *v)
{
    const int64_t bytes =
        muldiv_ceil(SCHED_PART_MEMORY, (int64_t)v->width * v->height, 1920 * 1080);
    return bytes > LEAST_MEMORY ? bytes : LEAST_MEMORY;
}

static bool fits(const struct sched *s, const struct team *t, const struct work *w)
{
    int64_t sum = memory_of(&w->job->v);
    for (int i = 0; i < t->count; i++)
        sum += t->works[i] ? memory_of(&t->works[i]->job->v) : 0;
    return t->count < JOB_RUNGS_MAX &&
           sum * job_encoders(team_first(t)->job) <= s->conf->workers_memory;
}

bool sched_shares(const struct work *w)
{
    return w->job->kind == JOB_VIDEO && !w->alone;
}

// What viewers wait for is not slowed down by what nobody waits for.
static bool is_company(const struct work *first, const struct work *w)
{
    return sched_shares(first) && sched_shares(w) && key_equal(&first->version, &w->version) &&
           (wanted_by_viewer(w->turn) || !wanted_by_viewer(first->turn)) &&
           job_shares_pictures(first->job, w->job);
}

static bool may_join(const struct sched *s, const struct team *t, const struct work *w)
{
    const struct work *const first = team_first(t);
    return first && is_company(first, w) && fits(s, t, w);
}

static void add(struct slot *slot, struct work *w)
{
    struct team *const t = &slot->team;
    team_first(t)->cost_us += forecast_in_company(&slot->sched->forecast, w->job);
    w->slot = slot;
    t->works[t->count] = w;
    t->count++; // now the driver sees it
}

void sched_gather(struct sched *s, struct slot *slot)
{
    for (struct list *l = s->media.works.next, *next; l != &s->media.works; l = next) {
        next = l->next;
        struct work *const w = container_of(l, struct work, link);
        if (w->state == WORK_BRINGING || !may_join(s, &slot->team, w))
            continue;
        sched_unqueue(s, w);
        add(slot, w);
    }
}

bool sched_join(struct sched *s, struct work *w)
{
    for (int i = 0; i < s->slot_count; i++) {
        struct slot *const slot = &s->slots[i];
        if (slot->team.closed || !slot->worker || !may_join(s, &slot->team, w))
            continue;
        if (w->state != WORK_OUT)
            sched_unqueue(s, w);
        add(slot, w);
        worker_kick(slot->worker);
        return true;
    }
    return false;
}

// ---- who leaves

// Locked.
static struct work *leave(struct slot *slot, int rung)
{
    struct team *const t = &slot->team;
    struct work *const w = t->works[rung];
    t->works[rung] = NULL;
    w->slot = NULL;
    slot->work = team_first(t);
    sched_stop_unwanted(slot);
    return w;
}

void sched_end(struct slot *slot, int rung, int err, const char *detail)
{
    lock(&slot->sched->lock);
    struct work *const w = leave(slot, rung);
    unlock(&slot->sched->lock);
    w->done(w, cancel_is_set(w->cancel) ? -E_CANCELLED : err, detail);
}

void sched_give_back(struct slot *slot, int rung)
{
    struct sched *const s = slot->sched;
    lock(&s->lock);
    struct work *const w = leave(slot, rung);
    slot->team.closed = true;
    const int err = s->stopping ? -E_STOPPING : cancel_is_set(w->cancel) ? -E_CANCELLED : 0;
    if (err == 0)
        sched_requeue(s, w);
    unlock(&s->lock);
    if (err < 0)
        w->done(w, err, "");
}

void sched_stop_unwanted(struct slot *slot)
{
    const struct team *const t = &slot->team;
    for (int i = 0; i < t->count; i++)
        if (t->works[i] && !cancel_is_set(t->works[i]->cancel))
            return;
    atomic_store(&slot->team.cancel.set, true);
}
