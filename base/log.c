// SPDX-License-Identifier: BSD-2-Clause
//
// The queue is a ring of bytes; lines end at their '\n', for the text has none.  Its
// lock is held for copying one line, or what the thread takes.  A line that finds the
// thread idle is written at once; after each write others gather for a moment, so that
// many lines cost few writes and wake nobody.  The thread is never joined: it may be
// waiting for a reader that never comes.

#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/stat.h"

#define TEXT_MAX_BYTES 4096
#define LINE_MAX_BYTES (TEXT_MAX_BYTES + 128)
#define QUEUE_BYTES ((size_t)(256 * KIB))
#define WRITE_BYTES ((size_t)(64 * KIB)) // at once
#define GATHER_MS 5

static atomic_int max_level = LOG_INFO;
static log_sink *sink_set; // constant while there are threads that log

static atomic_bool started;
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more, written; // the thread has something to do; all are written
    // protected by lock
    char *ring;        // QUEUE_BYTES
    size_t head, tail; // bytes ever put in, ever taken out
    int64_t dropped;   // lines, not told yet
    bool idle;         // the thread waits for a line
    bool writing;      // what was taken out
    int flushing;      // who waits for all to be written
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER };

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

void log_set_sink(log_sink *sink)
{
    sink_set = sink;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

static size_t put_escaped(char *out, size_t cap, const char *text)
{
    size_t n = 0;
    for (; *text && n + 5 < cap; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7f)
            out[n++] = (char)c;
        else
            n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
    }
    return n;
}

static size_t put_stamp(char *out, size_t cap)
{
    // The calendar is asked once a second: under load, lines are many.
    static _Thread_local time_t second = -1;
    static _Thread_local char calendar[24];
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (t.tv_sec != second) {
        struct tm tm;
        gmtime_r(&t.tv_sec, &tm);
        strftime(calendar, sizeof calendar, "%Y-%m-%dT%H:%M:%S", &tm);
        second = t.tv_sec;
    }
    return (size_t)snprintf(out, cap, "%s.%03ldZ", calendar, t.tv_nsec / 1000000);
}

// A line with its '\n' in out, of LINE_MAX_BYTES; returns its length.
static size_t print_line(char *out, enum log_level level, const char *area, const char *text)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    size_t n = put_stamp(out, LINE_MAX_BYTES);
    n += (size_t)snprintf(out + n, LINE_MAX_BYTES - n, " %-5s %s: ", names[level], area);
    n += put_escaped(out + n, LINE_MAX_BYTES - n - 1, text);
    out[n++] = '\n';
    return n;
}

// Nothing can be done about a log that cannot be written.
static void write_all(const char *text, size_t n)
{
    while (n > 0) {
        struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
        const ssize_t done = write(STDERR_FILENO, text, n);
        if (done > 0) {
            text += done;
            n -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) {
            poll(&p, 1, -1);
        } else if (done == 0 || errno != EINTR) {
            return;
        }
    }
}

// ---- the queue

static size_t used(void)
{
    return queue.head - queue.tail;
}

// Copies n bytes between text and the ring, from its byte `at` on.
static void copy(char *text, size_t at, size_t n, bool in)
{
    const size_t from = at % QUEUE_BYTES;
    const size_t first = n < QUEUE_BYTES - from ? n : QUEUE_BYTES - from;
    if (in) {
        memcpy(queue.ring + from, text, first);
        memcpy(queue.ring, text + first, n - first);
    } else {
        memcpy(text, queue.ring + from, first);
        memcpy(text + first, queue.ring, n - first);
    }
}

static void put(char *line, size_t n)
{
    lock(&queue.lock);
    if (n > QUEUE_BYTES - used()) {
        queue.dropped++;
        stat_add(STAT_log_lines_dropped_total, 1);
    } else {
        copy(line, queue.head, n, true);
        queue.head += n;
    }
    if (queue.idle || used() > QUEUE_BYTES / 2)
        pthread_cond_signal(&queue.more);
    unlock(&queue.lock);
}

// As many whole lines as there is room for, or word of those that were dropped.
static size_t take_lines(char *text)
{
    char dropped[80];
    size_t n = used() < WRITE_BYTES ? used() : WRITE_BYTES;
    if (n > 0) {
        copy(text, queue.tail, n, false);
        while (text[n - 1] != '\n')
            n--;
        queue.tail += n;
        return n;
    }
    snprintf(dropped, sizeof dropped, "%lld lines before this one were dropped: nobody read them",
             (long long)queue.dropped);
    queue.dropped = 0;
    return print_line(text, LOG_WARN, "log", dropped);
}

// Waits for lines; more may have come by then than woke us.
static size_t take(char *text)
{
    const int64_t gathered_ms = clock_ms() + GATHER_MS;
    lock(&queue.lock);
    queue.writing = false;
    while (!queue.flushing && used() <= QUEUE_BYTES / 2)
        if (!cond_wait_until(&queue.more, &queue.lock, gathered_ms))
            break;
    while (used() == 0 && queue.dropped == 0) {
        pthread_cond_broadcast(&queue.written);
        queue.idle = true;
        pthread_cond_wait(&queue.more, &queue.lock);
        queue.idle = false;
    }
    queue.writing = true;
    const size_t n = take_lines(text);
    unlock(&queue.lock);
    return n;
}

static void *run(void *arg)
{
    char *const text = arg;
    for (;;) {
        const size_t n = take(text);
        write_all(text, n);
    }
    return NULL;
}

void log_start(void)
{
    assert(!atomic_load(&started));
    queue.ring = xmalloc(QUEUE_BYTES);
    cond_init(&queue.more);
    cond_init(&queue.written);
    pthread_detach(thread_start("log", run, xmalloc(WRITE_BYTES)));
    atomic_store(&started, true);
}

bool log_flush(int64_t deadline_ms)
{
    if (!atomic_load(&started))
        return true;
    lock(&queue.lock);
    bool in_time = true;
    queue.flushing++;
    pthread_cond_signal(&queue.more);
    while (in_time && (queue.writing || used() > 0 || queue.dropped > 0))
        in_time = cond_wait_until(&queue.written, &queue.lock, deadline_ms);
    queue.flushing--;
    unlock(&queue.lock);
    return in_time;
}

static void to_standard_error(enum log_level level, const char *area, const char *text)
{
    char line[LINE_MAX_BYTES];
    const size_t n = print_line(line, level, area, text);
    if (atomic_load_explicit(&started, memory_order_acquire))
        put(line, n);
    else
        write_all(line, n);
}

void log_line(enum log_level level, const char *area, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;

    char text[TEXT_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (sink_set ? sink_set : to_standard_error)(level, area, text);
}
