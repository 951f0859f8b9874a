// SPDX-License-Identifier: BSD-2-Clause
//
// The queue is a ring of bytes; lines end at their '\n', for the text has none.  Its
// lock is held for copying one line.  The thread is never joined: it may be waiting
// for a reader that never comes.

#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/stat.h"

#define TEXT_MAX_BYTES 4096
#define LINE_MAX_BYTES (TEXT_MAX_BYTES + 128)
#define QUEUE_BYTES ((size_t)(256 * KIB))

static atomic_int max_level = LOG_INFO;
static log_sink *sink_set; // constant while there are threads that log

static atomic_bool started;
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more, written; // lines to write; all are written
    // protected by lock
    char *ring;        // QUEUE_BYTES
    size_t head, tail; // bytes ever put in, ever taken out
    int64_t dropped;   // lines, not told yet
    bool writing;      // a line that was taken out
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

static void write_line(const char *line, size_t n)
{
    // Nothing can be done about a log that cannot be written.
    const ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}

// ---- the queue

static void put(const char *line, size_t n)
{
    lock(&queue.lock);
    if (n > QUEUE_BYTES - (queue.head - queue.tail)) {
        queue.dropped++;
        stat_add(STAT_log_lines_dropped_total, 1);
    } else {
        for (size_t i = 0; i < n; i++)
            queue.ring[queue.head++ % QUEUE_BYTES] = line[i];
        pthread_cond_signal(&queue.more);
    }
    unlock(&queue.lock);
}

// One line, or word of those that were dropped.
static size_t print_next(char *line)
{
    char text[80];
    size_t n = 0;
    while (queue.tail < queue.head) {
        line[n++] = queue.ring[queue.tail++ % QUEUE_BYTES];
        if (line[n - 1] == '\n')
            return n;
    }
    snprintf(text, sizeof text, "%lld lines before this one were dropped: nobody read them",
             (long long)queue.dropped);
    queue.dropped = 0;
    return print_line(line, LOG_WARN, "log", text);
}

static size_t take(char *line)
{
    lock(&queue.lock);
    queue.writing = false;
    while (queue.head == queue.tail && queue.dropped == 0) {
        pthread_cond_broadcast(&queue.written);
        pthread_cond_wait(&queue.more, &queue.lock);
    }
    queue.writing = true;
    const size_t n = print_next(line);
    unlock(&queue.lock);
    return n;
}

static void *run(void *arg)
{
    char line[LINE_MAX_BYTES];
    (void)arg;
    for (;;) {
        const size_t n = take(line);
        write_line(line, n);
    }
    return NULL;
}

void log_start(void)
{
    assert(!atomic_load(&started));
    queue.ring = xmalloc(QUEUE_BYTES);
    cond_init(&queue.more);
    cond_init(&queue.written);
    pthread_detach(thread_start("log", run, NULL));
    atomic_store(&started, true);
}

bool log_flush(int64_t deadline_ms)
{
    if (!atomic_load(&started))
        return true;
    lock(&queue.lock);
    bool in_time = true;
    while (in_time && (queue.writing || queue.head > queue.tail || queue.dropped > 0))
        in_time = cond_wait_until(&queue.written, &queue.lock, deadline_ms);
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
        write_line(line, n);
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
