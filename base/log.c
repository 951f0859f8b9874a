// SPDX-License-Identifier: BSD-2-Clause

#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static atomic_int max_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
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

void log_line(enum log_level level, const char *area, const char *fmt, ...)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    if (!log_enabled(level))
        return;

    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);

    char line[LINE_MAX_BYTES + 128];
    size_t n = put_stamp(line, sizeof line);
    n += (size_t)snprintf(line + n, sizeof line - n, " %-5s %s: ", names[level], area);
    n += put_escaped(line + n, sizeof line - n - 1, text);
    line[n++] = '\n';
    // Nothing can be done about a log that cannot be written.
    const ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}
