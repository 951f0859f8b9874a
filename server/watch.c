// SPDX-License-Identifier: BSD-2-Clause
//
// Hot paths pay one store: a deadline is an atomic in the connection, and the
// thread looks through all of them now and then.  It cannot oversleep a new one:
// while anybody is watched it wakes eight times per period, and otherwise once,
// and a deadline is set at least a period ahead.
//
// The thread waits for events with poll() on the epoll set, without the lock,
// and takes them out of the set under the lock.  Removal from the set is under
// the lock too, so an event never points at a connection that is gone.
//
// Lock order: ours, then whatever hung_up takes.

#include "server/watch.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define EVENTS_AT_ONCE 64

struct watch {
    // constant after create
    int epoll;
    int stop; // an eventfd in the set; the only member without a connection
    int64_t period_ms;
    pthread_t thread;

    pthread_mutex_t lock;
    struct list watched; // protected by lock
};

static int sleep_ms(struct watch *t)
{
    lock(&t->lock);
    const bool idle = list_empty(&t->watched);
    unlock(&t->lock);
    const int64_t ms = idle ? t->period_ms : t->period_ms / 8;
    return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

// False when the watch is to end.
static bool take_events(struct watch *t)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    bool go_on = true;
    lock(&t->lock);
    const int n = epoll_wait(t->epoll, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++) {
        struct watched *const w = events[i].data.ptr;
        if (w)
            w->hung_up(w);
        else
            go_on = false;
    }
    unlock(&t->lock);
    return go_on;
}

static void cut_the_late(struct watch *t)
{
    const int64_t now = clock_ms();
    lock(&t->lock);
    for (struct list *l = t->watched.next; l != &t->watched; l = l->next) {
        struct watched *const w = container_of(l, struct watched, link);
        int64_t deadline = atomic_load_explicit(&w->deadline_ms, memory_order_relaxed);
        // Its owner may just have moved it.
        if (deadline && deadline <= now &&
            atomic_compare_exchange_strong(&w->deadline_ms, &deadline, 0))
            shutdown(w->fd, SHUT_RDWR);
    }
    unlock(&t->lock);
}

static void *run(void *arg)
{
    struct watch *const t = arg;
    struct pollfd p = { .fd = t->epoll, .events = POLLIN };
    int64_t next_ms = 0;
    do {
        poll(&p, 1, sleep_ms(t));
        if (clock_ms() >= next_ms) {
            cut_the_late(t);
            next_ms = clock_ms() + t->period_ms / 16;
        }
    } while (take_events(t));
    return NULL;
}

struct watch *watch_create(int64_t period_ms)
{
    struct watch *const t = xcalloc(1, sizeof *t);
    t->period_ms = period_ms;
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    t->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN };
    if (t->epoll < 0 || t->stop < 0 || epoll_ctl(t->epoll, EPOLL_CTL_ADD, t->stop, &event) < 0) {
        close(t->epoll);
        close(t->stop);
        free(t);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    list_init(&t->watched);
    t->thread = thread_start("watch", run, t);
    return t;
}

void watch_destroy(struct watch *t)
{
    if (!t)
        return;
    assert(list_empty(&t->watched));
    eventfd_write(t->stop, 1);
    pthread_join(t->thread, NULL);
    pthread_mutex_destroy(&t->lock);
    close(t->epoll);
    close(t->stop);
    free(t);
}

void watch_add(struct watch *t, struct watched *w)
{
    w->armed = false;
    lock(&t->lock);
    list_push_back(&t->watched, &w->link);
    unlock(&t->lock);
}

void watch_remove(struct watch *t, struct watched *w)
{
    lock(&t->lock);
    list_remove(&w->link);
    if (w->armed)
        epoll_ctl(t->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    unlock(&t->lock);
}

void watch_arm(struct watch *t, struct watched *w)
{
    // One shot: a closed socket stays ready for ever, and once is enough.  When
    // the system has no room for it, the client is noticed at the next write.
    struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = w };
    lock(&t->lock);
    if (!w->armed)
        w->armed = epoll_ctl(t->epoll, EPOLL_CTL_ADD, w->fd, &event) == 0;
    unlock(&t->lock);
}

void watch_each(struct watch *t, void (*call)(struct watched *w))
{
    lock(&t->lock);
    for (struct list *l = t->watched.next; l != &t->watched; l = l->next)
        call(container_of(l, struct watched, link));
    unlock(&t->lock);
}
