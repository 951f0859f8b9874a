// SPDX-License-Identifier: BSD-2-Clause

#include "server/deadlines.h"

#include "base/base.h"

struct deadlines {
    // constant after create
    int64_t after_ms;
    pthread_t thread;

    // protected by lock
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct list list; // the first is due first
    bool stopping;
};

// The first one that has passed at now_ms, taken off; or NULL and when one will.
static struct deadline *take(struct deadlines *p, int64_t now_ms, int64_t *next_ms)
{
    struct deadline *d = NULL;
    *next_ms = INT64_MAX;
    lock(&p->lock);
    if (!list_empty(&p->list)) {
        d = container_of(p->list.next, struct deadline, link);
        *next_ms = d->at_ms;
    }
    const bool passed = d && d->at_ms <= now_ms;
    if (passed)
        list_remove(&d->link);
    unlock(&p->lock);
    return passed ? d : NULL;
}

int64_t deadlines_pass(struct deadlines *p, int64_t now_ms)
{
    int64_t next_ms;
    struct deadline *d;
    while ((d = take(p, now_ms, &next_ms)))
        d->passed(d);
    return next_ms;
}

// Until next_ms, or until there is a first one.  False when it is over.
static bool wait_for_next(struct deadlines *p, int64_t next_ms)
{
    lock(&p->lock);
    if (next_ms < INT64_MAX && !p->stopping)
        cond_wait_until(&p->change, &p->lock, next_ms);
    while (list_empty(&p->list) && !p->stopping)
        pthread_cond_wait(&p->change, &p->lock);
    const bool more = !p->stopping;
    unlock(&p->lock);
    return more;
}

static void *run(void *arg)
{
    struct deadlines *const p = arg;
    int64_t next_ms;
    do
        next_ms = deadlines_pass(p, clock_ms());
    while (wait_for_next(p, next_ms));
    return NULL;
}

struct deadlines *deadlines_create(int64_t after_ms)
{
    struct deadlines *p = xcalloc(1, sizeof *p);
    p->after_ms = after_ms;
    pthread_mutex_init(&p->lock, NULL);
    cond_init(&p->change);
    list_init(&p->list);
    p->thread = thread_start("deadlines", run, p);
    return p;
}

void deadlines_destroy(struct deadlines *p)
{
    if (!p)
        return;
    lock(&p->lock);
    assert(list_empty(&p->list));
    p->stopping = true;
    pthread_cond_signal(&p->change);
    unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->change);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void deadlines_add(struct deadlines *p, struct deadline *d)
{
    lock(&p->lock);
    d->at_ms = clock_ms() + p->after_ms;
    if (list_empty(&p->list))
        pthread_cond_signal(&p->change);
    list_push_back(&p->list, &d->link);
    unlock(&p->lock);
}

bool deadlines_remove(struct deadlines *p, struct deadline *d)
{
    lock(&p->lock);
    const bool there = !list_empty(&d->link);
    if (there)
        list_remove(&d->link);
    unlock(&p->lock);
    return there;
}
