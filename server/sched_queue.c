// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include "base/err.h"
#include "base/stat.h"
#include "base/wanted.h"
#include "cache/object.h"

#define NEAR_US 1000000        // of two turns
#define OTHER_SHARE_US 1000000 // of what makes no media: a probe, an init segment

struct queue *sched_queue_of(struct sched *s, const struct work *w)
{
    return w->job->kind == JOB_PROBE ? &s->probes : &s->media;
}

// Of those that may, and of equal turns, the one that came first.
struct work *sched_first_turn(const struct queue *q, filter *may, const void *arg)
{
    struct work *best = NULL;
    for (struct list *l = q->works.next; l != &q->works; l = l->next) {
        struct work *const w = container_of(l, struct work, link);
        if ((!best || w->turn < best->turn) && may(arg, w))
            best = w;
    }
    return best;
}

static bool goes_on_at(const struct slot *slot, const struct work *w)
{
    return slot->worker && job_goes_on(w->job, &slot->left);
}

static bool is_for_another(const struct sched *s, const struct slot *slot, const struct work *w)
{
    bool found = false;
    for (int i = 0; i < s->slot_count && !found; i++)
        found = !s->slots[i].work && goes_on_at(&s->slots[i], w);
    return found && !goes_on_at(slot, w);
}

static bool is_warmer(const struct slot *than, const struct slot *slot)
{
    return !slot->probes && !slot->work && slot->worker && slot->since_us > than->since_us;
}

// Who ran last has its memory still: it goes first, if it has nothing to do.  It looks, too.
static bool is_for_warmer(const struct sched *s, const struct slot *slot, const struct work *w)
{
    bool found = false;
    for (int i = 0; i < s->slot_count && !found; i++)
        found = is_warmer(slot, &s->slots[i]);
    return found && !goes_on_at(slot, w);
}

struct taker {
    const struct sched *sched;
    const struct slot *slot;
    int64_t latest; // turn
};

// What nobody waits for leaves a worker to those who come.
static bool may_run(const void *arg, const struct work *w)
{
    const struct taker *const t = arg;
    const struct sched *const s = t->sched;
    const int most = s->conf->workers_count > 1 ? s->conf->workers_count - 1 : 1;
    return w->state == WORK_READY && (wanted_by_viewer(w->turn) || s->running < most) &&
           !is_for_another(s, t->slot, w) && !is_for_warmer(s, t->slot, w);
}

static bool goes_on_anywhere(const struct sched *s, const struct work *w)
{
    for (int i = 0; i < s->slot_count; i++)
        if (goes_on_at(&s->slots[i], w))
            return true;
    return false;
}

static bool may_go_on(const void *arg, const struct work *w)
{
    const struct taker *const t = arg;
    return w->turn <= t->latest && may_run(arg, w) && goes_on_at(t->slot, w);
}

static bool may_begin(const void *arg, const struct work *w)
{
    const struct taker *const t = arg;
    return w->turn <= t->latest && may_run(arg, w) && !goes_on_anywhere(t->sched, w);
}

// Where all are busy, who is due a little later may come first, so that each goes on where its
// decoder stands.
struct work *sched_next_media(const struct sched *s, const struct slot *slot)
{
    struct taker t = { s, slot, 0 };
    struct work *const first = sched_first_turn(&s->media, may_run, &t);
    if (!first)
        return NULL;
    t.latest = first->turn + NEAR_US;
    struct work *w = sched_first_turn(&s->media, may_go_on, &t);
    if (!w && goes_on_anywhere(s, first))
        w = sched_first_turn(&s->media, may_begin, &t);
    return w ? w : first;
}

// Of those that are not being brought, and of equal turns, the one that came last.
struct work *sched_last_turn(const struct queue *q)
{
    struct work *worst = NULL;
    for (struct list *l = q->works.next; l != &q->works; l = l->next) {
        struct work *const w = container_of(l, struct work, link);
        if ((!worst || w->turn >= worst->turn) && w->state != WORK_BRINGING)
            worst = w;
    }
    return worst;
}

static int64_t *next_due(struct sched *s, const struct work *w)
{
    return &s->next_due[w->client % CLIENT_BUCKETS];
}

// How much later the client's next work is due.  Of the same time there are picture and sound.
static int64_t share_of(const struct work *w)
{
    return w->span_us > 0 ? w->span_us / 2 : OTHER_SHARE_US;
}

void sched_take_turn(struct sched *s, struct work *w)
{
    const int64_t wanted = object_wanted(w->object);
    const int64_t last = wanted_by_viewer(wanted) ? wanted + SCHED_LEAD_US : wanted;
    const int64_t next = *next_due(s, w) < last ? *next_due(s, w) : last;
    w->turn = next > wanted ? next : wanted;
}

void sched_become_ready(struct sched *s, struct work *w)
{
    w->state = WORK_READY;
    sched_queue_of(s, w)->ready++;
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
void sched_feed(struct sched *s, int origin)
{
    struct feed *const f = &s->feeds[origin];
    struct work *w;
    while ((w = sched_first_turn(&s->media, is_cold, &origin)) && has_room(s, f, w)) {
        w->state = WORK_BRINGING;
        f->bringing++;
        f->held += w->bytes;
        tasks_add(w->threads, &w->task);
    }
}

void sched_enqueue(struct sched *s, struct work *w)
{
    struct queue *const q = sched_queue_of(s, w);
    w->share_us = wanted_by_viewer(w->turn) ? share_of(w) : 0;
    if (w->share_us > 0)
        *next_due(s, w) = w->turn + w->share_us;
    list_push_back(&q->works, &w->link);
    q->count++;
    stat_add(STAT_jobs_queued, 1);
    w->state = WORK_COLD;
    if (w->bytes > 0)
        sched_feed(s, w->origin);
    else
        sched_become_ready(s, w);
    sched_press(s, sched_wait_of_newcomer(s, w->queued_us), w->queued_us);
}

// It came before all that is new; its bytes are here.
void sched_requeue(struct sched *s, struct work *w)
{
    struct queue *const q = sched_queue_of(s, w);
    list_push_front(&q->works, &w->link);
    q->count++;
    stat_add(STAT_jobs_queued, 1);
    w->bytes = w->started_us = 0;
    sched_become_ready(s, w);
}

void sched_unqueue(struct sched *s, struct work *w)
{
    struct queue *const q = sched_queue_of(s, w);
    list_remove(&w->link);
    q->count--;
    stat_add(STAT_jobs_queued, -1);
    q->ready -= w->state == WORK_READY;
    stat_add(STAT_jobs_ready, w->state == WORK_READY ? -1 : 0);
    if (w->state != WORK_COLD)
        s->feeds[w->origin].held -= w->bytes;
    w->state = WORK_OUT;
    if (!s->stopping)
        sched_feed(s, w->origin);
}

// Unqueues work that will not run: its client gets the turn back.
void sched_withdraw(struct sched *s, struct work *w)
{
    sched_unqueue(s, w);
    *next_due(s, w) -= w->share_us;
}

// Withdraws what nobody has in hand.  What is brought looks at its token itself.
bool sched_take_off(struct sched *s, struct work *w)
{
    if (w->state == WORK_OUT)
        return false;
    if (w->state == WORK_BRINGING) {
        if (!tasks_take_back(w->threads, &w->task))
            return false;
        s->feeds[w->origin].bringing--;
    }
    sched_withdraw(s, w);
    return true;
}

// Finds room for w, whose turn is set: 0 and perhaps *out, or -E_BUSY.
int sched_make_room(struct sched *s, const struct work *w, struct work **out)
{
    const struct queue *const q = sched_queue_of(s, w);
    if (q->count < s->conf->workers_queue)
        return 0;
    stat_add(STAT_jobs_refused_total, 1);
    struct work *const last = sched_last_turn(q);
    if (!last || last->turn <= w->turn)
        return -E_BUSY;
    sched_withdraw(s, last);
    *out = last;
    return 0;
}
