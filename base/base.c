// SPDX-License-Identifier: BSD-2-Clause

#include "base/base.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define GROW_LEAST 64

static void (*end_without)(void);

void on_no_memory(void (*end)(void))
{
    end_without = end;
}

static void no_memory(void)
{
    if (end_without) {
        log_error("memory", "there is none");
        end_without();
    }
    fputs("tidemill: out of memory\n", stderr);
    abort();
}

static void *or_end(void *p)
{
    if (!p)
        no_memory();
    return p;
}

void *xmalloc(size_t n)
{
    return or_end(malloc(n ? n : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return or_end(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
    return or_end(realloc(p, n ? n : 1));
}

void *xgrow(void *p, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return p;
    *cap = *cap ? 2 * *cap : GROW_LEAST;
    return xrealloc(p, *cap * size);
}

char *xstrdup(const char *s)
{
    return or_end(strdup(s));
}

char *xasprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *s = NULL;
    const int n = vasprintf(&s, fmt, args);
    va_end(args);
    return or_end(n < 0 ? NULL : s);
}

bool copy_string(char *dst, size_t cap, const char *src)
{
    const size_t n = strlen(src);
    const size_t take = n < cap ? n : cap - 1;
    memcpy(dst, src, take);
    dst[take] = '\0';
    return take == n;
}

void cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    const int rc = pthread_cond_init(c, &attr);
    assert(rc == 0);
    pthread_condattr_destroy(&attr);
}

bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline_ms)
{
    const struct timespec at = {
        .tv_sec = deadline_ms / 1000,
        .tv_nsec = deadline_ms % 1000 * 1000000,
    };
    const int rc = pthread_cond_timedwait(c, m, &at);
    assert(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

pthread_t thread_start(const char *name, void *(*run)(void *), void *arg)
{
    // Signals are the main thread's: block them all while the thread is born.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t t;
    const int rc = pthread_create(&t, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == EAGAIN)
        no_memory();
    assert(rc == 0);
    pthread_setname_np(t, name);
    return t;
}

void time_slice(int64_t us)
{
    // sched_setattr(2): the kernel's header for it and pthread.h exclude each other.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr;
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0)
        return;
    attr.runtime = (uint64_t)us * 1000;
    syscall(SYS_sched_setattr, 0, &attr, 0);
}

void thread_give_way(int steps)
{
    (void)!nice(steps); // POSIX's would be the process's: pthreads(7), "nonconformances"
}

int compare_int64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}
