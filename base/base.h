// SPDX-License-Identifier: BSD-2-Clause
//
// base - the few lines everybody stands on: asserts that stay on, allocation
// that does not fail, locks that check.
//
// Small allocations abort on failure: a server that cannot get 200 bytes is
// finished.  Media-sized memory goes through struct buf or struct object, which
// have ceilings and return errors.

#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef NDEBUG
#error "asserts are part of the program: do not build with NDEBUG"
#endif

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_USE __attribute__((warn_unused_result))

#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

// These end the process when there is no memory; the result goes back with free().
void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);
// Room for one more element of this size behind count: p, or a larger copy when count is *cap.
void *xgrow(void *p, size_t count, size_t *cap, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

// What ends the process then, and when there is none for a thread; it does not return.
// Set while there is one thread; NULL: abort.
void on_no_memory(void (*end)(void));

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// For qsort, of int64_t.
int compare_int64(const void *a, const void *b);

// The number of least .. most (least <= most) that is nearest to v.
static inline int64_t clamp64(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

// Whether v is one of least .. most.
static inline bool in_range(int64_t v, int64_t least, int64_t most)
{
    return v >= least && v <= most;
}

// Copies src into dst of size cap, always terminated; false when it was cut.
bool copy_string(char *dst, size_t cap, const char *src);

static inline void lock(pthread_mutex_t *m)
{
    const int rc = pthread_mutex_lock(m);
    assert(rc == 0);
}

static inline void unlock(pthread_mutex_t *m)
{
    const int rc = pthread_mutex_unlock(m);
    assert(rc == 0);
}

// A condition variable that waits on CLOCK_MONOTONIC.
void cond_init(pthread_cond_t *c);

// Waits until signalled or until the monotonic time deadline_ms.  The mutex is
// held on entry and return.  False when the deadline passed.
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline_ms);

// Starts a joinable thread with all signals blocked; name is at most 15 bytes.
pthread_t thread_start(const char *name, void *(*run)(void *), void *arg);

// How long the calling thread, and those it starts, may run while another waits for the same CPU;
// 0: as long as the kernel likes.  Since Linux 6.12 who wakes up with a shorter slice takes the CPU
// from one with a longer; older kernels take no notice.  No failure.
void time_slice(int64_t us);

// The calling thread alone, and those it starts from now on, have a lower priority, by that many
// steps of nice(1), than before.  No failure: there is a lowest.
void thread_give_way(int steps);

// Monotonic time.  Who decides something by time takes now as a parameter;
// these are for the shells around them.
int64_t clock_ms(void);
int64_t clock_us(void);

#endif
