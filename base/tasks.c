// SPDX-License-Identifier: BSD-2-Clause

#include "base/tasks.h"

#include "base/base.h"

struct tasks {
    // constant after create
    const char *name;
    int thread_max;

    // protected by lock
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list queue;
    int queued;
    pthread_t *threads; // [thread_count]
    int thread_count, idle;
    bool stopping; // no thread is started any more
};

// The next task, or NULL when the queue is empty and the pool is stopping.
static struct task *take(struct tasks *p)
{
    lock(&p->lock);
    p->idle++;
    while (list_empty(&p->queue) && !p->stopping)
        pthread_cond_wait(&p->more, &p->lock);
    p->idle--;
    struct list *l = list_pop(&p->queue);
    p->queued -= l != NULL;
    unlock(&p->lock);
    return l ? container_of(l, struct task, link) : NULL;
}

static void *run(void *arg)
{
    struct task *t;
    while ((t = take(arg)))
        t->run(t);
    return NULL;
}

struct tasks *tasks_create(const char *name, int threads)
{
    struct tasks *p = xcalloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    cond_init(&p->more);
    list_init(&p->queue);
    p->name = name;
    p->threads = xcalloc((size_t)threads, sizeof *p->threads);
    p->thread_max = threads;
    return p;
}

void tasks_destroy(struct tasks *p)
{
    if (!p)
        return;
    lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->more);
    unlock(&p->lock);
    for (int i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
}

void tasks_add(struct tasks *p, struct task *t)
{
    lock(&p->lock);
    list_push_back(&p->queue, &t->link);
    p->queued++;
    if (p->queued > p->idle && p->thread_count < p->thread_max && !p->stopping)
        p->threads[p->thread_count++] = thread_start(p->name, run, p);
    pthread_cond_signal(&p->more);
    unlock(&p->lock);
}

bool tasks_take_back(struct tasks *p, struct task *t)
{
    lock(&p->lock);
    const bool queued = !list_empty(&t->link);
    if (queued)
        list_remove(&t->link);
    p->queued -= queued;
    unlock(&p->lock);
    return queued;
}

int tasks_threads(const struct tasks *p)
{
    return p->thread_max;
}
