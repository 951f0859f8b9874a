// SPDX-License-Identifier: BSD-2-Clause
//
// Turns away what would come too late.  All workers are taken for one that is as fast as they are
// together.

#include "server/sched_parts.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/stat.h"
#include "base/wanted.h"
#include "server/cmcd.h"

// ---- what is to be done before it, and behind it

// Whose work counts.
typedef bool whose(const struct work *other, const struct work *w);

static bool anybodys(const struct work *other, const struct work *w)
{
    (void)other, (void)w;
    return true;
}

static bool strangers(const struct work *other, const struct work *w)
{
    return other->client != w->client;
}

// What the workers have to do still with what they run.
static int64_t running_us(const struct sched *s, const struct work *w, int64_t now_us,
                          whose *counts)
{
    int64_t sum = 0;
    for (int i = 0; i < s->slot_count; i++) {
        const struct slot *const slot = &s->slots[i];
        if (slot->probes || !slot->work || !counts(slot->work, w))
            continue;
        const int64_t left = slot->work->cost_us - (now_us - slot->since_us);
        sum += left > 0 ? left : 0;
    }
    return sum;
}

static int64_t wait_for_worker(const struct sched *s, const struct work *w, int64_t now_us,
                               whose *counts)
{
    int64_t sum = running_us(s, w, now_us, counts);
    for (struct list *l = s->media.works.next; l != &s->media.works; l = l->next) {
        const struct work *const other = container_of(l, struct work, link);
        sum += other->turn <= w->turn && counts(other, w) ? other->cost_us : 0;
    }
    return sum / s->conf->workers_count;
}

int64_t sched_wait_of_newcomer(const struct sched *s, int64_t now_us)
{
    const struct work w = { .turn = wanted_at(WANTED_VIEWER, now_us + CMCD_PATIENCE_US) };
    return wait_for_worker(s, &w, now_us, anybodys);
}

static int by_turn(const void *a, const void *b)
{
    const int64_t x = (*(const struct work *const *)a)->turn;
    const int64_t y = (*(const struct work *const *)b)->turn;
    return (x > y) - (x < y);
}

// What other viewers than w's wait for, in the order of their turns; the caller frees it.
static const struct work **in_order(const struct queue *q, const struct work *but, int *count)
{
    const struct work **const list = xcalloc((size_t)q->count + 1, sizeof(*list));
    *count = 0;
    for (const struct list *l = q->works.next; l != &q->works; l = l->next) {
        const struct work *const w = container_of(l, const struct work, link);
        if (wanted_by_viewer(w->turn) && strangers(w, but))
            list[(*count)++] = w;
    }
    qsort(list, (size_t)*count, sizeof(*list), by_turn);
    return list;
}

static bool disturbs(const struct sched *s, const struct work *w, int64_t cost_us, int64_t now_us)
{
    int count;
    const struct work **const list = in_order(&s->media, w, &count);
    int64_t sum = running_us(s, w, now_us, strangers) + cost_us;
    bool late = false;
    for (int i = 0; i < count && !late; i++) {
        sum += list[i]->cost_us;
        late = list[i]->turn > w->turn && !list[i]->opens &&
               now_us + sum / s->conf->workers_count > list[i]->turn;
    }
    free(list);
    return late;
}

// ---- the decision

// Whether who begins to watch with w, which costs so much, had better come later.  What he has
// asked for himself keeps nobody out.
static bool is_too_many(struct sched *s, const struct work *w, int64_t cost_us, int64_t now_us)
{
    const bool too_many =
        w->opens && s->conf->workers_patience > 0 &&
        (wait_for_worker(s, w, now_us, strangers) > s->conf->workers_patience * 1000 ||
         disturbs(s, w, cost_us, now_us));
    if (too_many)
        sched_press(s, PRESSURE_REFUSED, now_us);
    return too_many;
}

static int turn_away(struct work *w, int64_t wait_us)
{
    w->wait_us = wait_us;
    stat_add(STAT_jobs_refused_total, 1);
    return -E_BUSY;
}

// Probes have workers of their own, but what is probed for somebody who would be turned away then
// is for nobody.
static int admit_probe(struct sched *s, struct work *w, int64_t now_us)
{
    return is_too_many(s, w, s->opening_us, now_us)
               ? turn_away(w, wait_for_worker(s, w, now_us, anybodys))
               : 0;
}

// A mean of what those cost who began to watch last: of their pictures.
static void learn_opening(struct sched *s, const struct work *w)
{
    if (w->opens && w->job->kind == JOB_VIDEO)
        s->opening_us += (w->cost_us - s->opening_us) / (s->opening_us ? 8 : 1);
}

int sched_admit(struct sched *s, struct work *w, int64_t now_us)
{
    if (w->job->kind == JOB_PROBE)
        return admit_probe(s, w, now_us);
    w->cost_us = forecast_of(&s->forecast, w->job);
    learn_opening(s, w);
    const int64_t wait_us = wait_for_worker(s, w, now_us, anybodys);
    if (wait_us > s->conf->workers_queue_wait * 1000 || is_too_many(s, w, w->cost_us, now_us))
        return turn_away(w, wait_us);
    return 0;
}
