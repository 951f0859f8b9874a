// SPDX-License-Identifier: BSD-2-Clause
//
// Hot paths pay one store: a deadline is an atomic in the connection, and the
// thread looks through all of them now and then.  It cannot oversleep a new one:
// while anybody is watched it wakes eight times per period, and otherwise once (in
// both cases once a second if that is more), and a deadline is set at least a
// period ahead.
//
// The thread waits for events with poll() on the epoll set, without the lock,
// and takes them out of the set under the lock.  Removal from the set is under
// the lock too, so an event never points at a connection that is gone.
//
// A look asks the system about each, so it is taken at a few at a time, and the
// lock left alone in between: HTTP threads want it too.  Those seen go to the end of
// the list.
//
// Lock order: ours, then whatever hung_up takes.

#include "server/watch.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/stat.h"

#define EVENTS_AT_ONCE 64
#define LOOKS_AT_ONCE 64
#define LOOK_MS 1000 // at least so often

struct watch {
    // constant after create
    int epoll;
    int stop; // an eventfd in the set; the only member without a connection
    int64_t period_ms, rate, rate_ms;
    pthread_t thread;

    pthread_mutex_t lock;
    struct list watched; // protected by lock
    int count;           // of them; protected by lock
};

static int sleep_ms(struct watch *t)
{
    lock(&t->lock);
    const bool idle = list_empty(&t->watched);
    unlock(&t->lock);
    const int64_t ms = idle ? t->period_ms : t->period_ms / 8;
    return ms < 1 ? 1 : ms > LOOK_MS ? LOOK_MS : (int)ms;
}

// An event that was told is armed no more.
static void tell(struct watched *w, uint32_t events)
{
    w->armed = 0;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        w->hung_up(w);
    else
        w->writable(w);
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
            tell(w, events[i].events);
        else
            go_on = false;
    }
    unlock(&t->lock);
    return go_on;
}

static bool is_late(struct watched *w, int64_t now)
{
    int64_t deadline = atomic_load_explicit(&w->deadline_ms, memory_order_relaxed);
    // Its owner may just have moved it.
    return deadline && deadline <= now &&
           atomic_compare_exchange_strong(&w->deadline_ms, &deadline, 0);
}

// What the system has not sent is owed: it sends what the client has room for.
static bool is_slow(const struct watch *t, struct watched *w, int64_t now)
{
    struct tcp_info info = { 0 };
    socklen_t n = sizeof info;
    if (t->rate == 0 || atomic_load_explicit(&w->deadline_ms, memory_order_relaxed) ||
        getsockopt(w->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
        return false;
    const struct pace_look look = { .now_ms = now,
                                    .taken = info.tcpi_bytes_acked,
                                    .owed = info.tcpi_notsent_bytes > 0 };
    return pace_is_slow(&w->pace, &look, t->rate, t->rate_ms);
}

// What the system holds for the client goes at once when the socket is closed, and
// not when the client has read it.
static void cut_the_slow(struct watched *w)
{
    const struct linger none = { .l_onoff = 1 };
    setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    shutdown(w->fd, SHUT_RDWR);
    stat_add(STAT_http_slow_clients_total, 1);
}

// libmicrohttpd does not see a hang-up that came together with the last bytes.  Once
// it has taken those, it is told again; a request that they completed is answered.
static void tell_again(struct watched *w)
{
    char byte;
    if (atomic_load_explicit(&w->deadline_ms, memory_order_relaxed) &&
        recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        shutdown(w->fd, SHUT_RD);
}

static void look_at(const struct watch *t, struct watched *w, int64_t now)
{
    tell_again(w);
    if (is_late(w, now))
        shutdown(w->fd, SHUT_RDWR);
    else if (is_slow(t, w, now))
        cut_the_slow(w);
}

static int count(struct watch *t)
{
    lock(&t->lock);
    const int n = t->count;
    unlock(&t->lock);
    return n;
}

// Looks at some of the next n; returns how many are left.
static int look_at_some(struct watch *t, int n)
{
    const int64_t now = clock_ms();
    lock(&t->lock);
    for (int i = 0; i < LOOKS_AT_ONCE && n > 0; i++, n--) {
        struct list *const l = list_pop(&t->watched);
        if (!l)
            break;
        list_push_back(&t->watched, l);
        look_at(t, container_of(l, struct watched, link), now);
    }
    n = list_empty(&t->watched) ? 0 : n;
    unlock(&t->lock);
    return n;
}

static void *run(void *arg)
{
    struct watch *const t = arg;
    struct pollfd p = { .fd = t->epoll, .events = POLLIN };
    int64_t next_ms = 0;
    int left = 0;
    do {
        poll(&p, 1, left ? 1 : sleep_ms(t));
        if (left == 0 && clock_ms() >= next_ms) {
            left = count(t);
            next_ms =
                clock_ms() + (t->period_ms / 16 < LOOK_MS / 2 ? t->period_ms / 16 : LOOK_MS / 2);
        }
        left = look_at_some(t, left);
    } while (take_events(t));
    return NULL;
}

struct watch *watch_create(int64_t period_ms, int64_t rate, int64_t rate_ms)
{
    struct watch *const t = xcalloc(1, sizeof *t);
    t->period_ms = period_ms;
    t->rate = rate;
    t->rate_ms = rate_ms;
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
    w->member = false;
    w->armed = 0;
    w->pace = (struct pace){ 0 };
    lock(&t->lock);
    list_push_back(&t->watched, &w->link);
    t->count++;
    unlock(&t->lock);
}

void watch_remove(struct watch *t, struct watched *w)
{
    lock(&t->lock);
    list_remove(&w->link);
    t->count--;
    if (w->member)
        epoll_ctl(t->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    unlock(&t->lock);
}

// One shot: a closed socket stays ready for ever, and once is enough.
static bool arm(struct watch *t, struct watched *w, uint32_t events)
{
    struct epoll_event event = { .events = events | EPOLLONESHOT, .data.ptr = w };
    lock(&t->lock);
    bool armed = (w->armed & events) == events;
    if (!armed) {
        armed = epoll_ctl(t->epoll, w->member ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &event) == 0;
        w->member |= armed;
        w->armed = armed ? events : w->armed;
    }
    unlock(&t->lock);
    return armed;
}

// When the system has no room for it, the client is noticed at the next write.
void watch_arm(struct watch *t, struct watched *w)
{
    arm(t, w, EPOLLRDHUP);
}

bool watch_writable(struct watch *t, struct watched *w)
{
    return arm(t, w, EPOLLRDHUP | EPOLLOUT);
}

void watch_each(struct watch *t, void (*call)(struct watched *w))
{
    lock(&t->lock);
    for (struct list *l = t->watched.next; l != &t->watched; l = l->next)
        call(container_of(l, struct watched, link));
    unlock(&t->lock);
}
