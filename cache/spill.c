// SPDX-License-Identifier: BSD-2-Clause

#include "cache/spill.h"

#include <string.h>

#include "base/base.h"
#include "base/stat.h"
#include "cache/object.h"
#include "cache/tier.h"
#include "config/conf.h"

#define DRAIN_MS 2000
#define TIERS_MAX 8

struct spill {
    // constant after create
    struct tier *tiers[TIERS_MAX]; // borrowed
    int tier_count;
    pthread_t *threads;
    int thread_count;

    pthread_mutex_t lock;
    pthread_cond_t changed; // queued or stop_at
    // protected by lock
    struct object *queue[SPILL_QUEUE]; // a ring of references
    int first, queued;
    int64_t stop_at; // 0 until the end
};

// The next object, or NULL at the end.
static struct object *next(struct spill *s)
{
    struct object *o = NULL;
    lock(&s->lock);
    while (s->queued == 0 && !s->stop_at)
        pthread_cond_wait(&s->changed, &s->lock);
    if (s->queued && (!s->stop_at || clock_ms() < s->stop_at)) {
        o = s->queue[s->first];
        s->first = (s->first + 1) % SPILL_QUEUE;
        s->queued--;
    }
    unlock(&s->lock);
    return o;
}

static void *run(void *arg)
{
    struct spill *s = arg;
    for (struct object *o; (o = next(s)); object_unref(&o)) {
        size_t n;
        const uint8_t *bytes = object_bytes(o, &n);
        for (int i = 0; i < s->tier_count; i++)
            s->tiers[i]->put(s->tiers[i], object_key(o), bytes, n);
    }
    return NULL;
}

struct spill *spill_create(const struct conf *conf, struct tier *const *tiers, int n)
{
    assert(n >= 0 && n <= TIERS_MAX);
    struct spill *s = xcalloc(1, sizeof *s);
    for (int i = 0; i < n; i++)
        s->tiers[s->tier_count++] = tiers[i];
    const int rc = pthread_mutex_init(&s->lock, NULL);
    assert(rc == 0);
    cond_init(&s->changed);
    s->thread_count = n ? conf->disk_threads : 0;
    s->threads = xcalloc((size_t)s->thread_count, sizeof *s->threads);
    for (int i = 0; i < s->thread_count; i++)
        s->threads[i] = thread_start("spill", run, s);
    return s;
}

void spill_offer(struct spill *s, struct object *o)
{
    if (s->tier_count == 0)
        return;
    lock(&s->lock);
    const bool room = s->queued < SPILL_QUEUE;
    if (room) {
        s->queue[(s->first + s->queued++) % SPILL_QUEUE] = object_ref(o);
        pthread_cond_signal(&s->changed);
    }
    unlock(&s->lock);
    if (!room)
        stat_add(STAT_cache_spills_dropped_total, 1);
}

void spill_destroy(struct spill *s)
{
    if (!s)
        return;
    lock(&s->lock);
    s->stop_at = clock_ms() + DRAIN_MS;
    pthread_cond_broadcast(&s->changed);
    unlock(&s->lock);
    for (int i = 0; i < s->thread_count; i++)
        pthread_join(s->threads[i], NULL);
    for (; s->queued; s->queued--, s->first = (s->first + 1) % SPILL_QUEUE) {
        object_unref(&s->queue[s->first]);
        stat_add(STAT_cache_spills_dropped_total, 1);
    }
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->threads);
    free(s);
}
