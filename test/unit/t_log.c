// SPDX-License-Identifier: BSD-2-Clause
//
// Standard error is a pipe here that is read when the test wants it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/log.h"
#include "base/stat.h"

static int out = -1;  // the pipe's end to read from
static int real = -1; // the true standard error
static FILE *lines;

static int open_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    real = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    out = ends[0];
    lines = fdopen(out, "r");
    return 0;
}

static int close_pipe(void **state)
{
    (void)state;
    dup2(real, STDERR_FILENO);
    close(real);
    fclose(lines);
    return 0;
}

// The text behind stamp, level and area of the next line.
static const char *next(const char *area)
{
    static char line[8192];
    char *text;
    assert_non_null(fgets(line, sizeof line, lines));
    assert_true(strlen(line) > 32 && line[23] == 'Z' && line[strlen(line) - 1] == '\n');
    line[strlen(line) - 1] = '\0';
    text = strstr(line, area);
    assert_non_null(text);
    return text + strlen(area);
}

static void lines_as_they_are(void **state)
{
    (void)state;
    log_info("test", "%d %s", 5, "a\nb\x1b");
    log_debug("test", "not told");
    log_warn("test", "end");
    assert_string_equal(next(" info  test: "), "5 a\\x0ab\\x1b");
    assert_string_equal(next(" warn  test: "), "end");
}

// Far more than pipe and queue hold, and nobody reads: nobody waits, what there was
// room for comes whole and in order, and the rest is counted and told.
static void nobody_reads(void **state)
{
    (void)state;
    enum { N = 5000 };
    char pad[300];
    memset(pad, 'x', sizeof pad - 1);
    pad[sizeof pad - 1] = '\0';
    log_start();
    assert_true(log_flush(clock_ms() + 20000));
    for (int i = 0; i < N; i++)
        log_info("test", "%d %s", i, pad);
    assert_false(log_flush(clock_ms()));

    const int64_t dropped = stat_get(STAT_log_lines_dropped_total);
    assert_true(dropped > 0 && dropped < N);
    char last[100];
    snprintf(last, sizeof last, "%lld lines before", (long long)dropped);
    for (int i = 0, before = -1; i < N - (int)dropped; i++) {
        const char *const text = next(" info  test: ");
        assert_true(atoi(text) > before);
        before = atoi(text);
        assert_string_equal(strchr(text, ' ') + 1, pad);
    }
    assert_non_null(strstr(next(" warn  log: "), last));
    log_error("test", "again");
    assert_string_equal(next(" error test: "), "again");
    assert_true(log_flush(clock_ms() + 20000));
    assert_int_equal(stat_get(STAT_log_lines_dropped_total), dropped);
}

// What piles up while a write is stuck goes in few writes, each of whole lines.
static void lines_gather(void **state)
{
    (void)state;
    enum { N = 2000 };
    static char got[1 << 17];
    int ends[2], count = 0, writes = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    real = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    const int64_t before = stat_get(STAT_log_lines_dropped_total);
    for (int i = 0; i < N; i++)
        log_info("test", "%0200d", i);
    const int want = N - (int)(stat_get(STAT_log_lines_dropped_total) - before);
    while (count < want) {
        const ssize_t n = read(ends[0], got, sizeof got);
        assert_true(n > 0 && got[n - 1] == '\n');
        for (ssize_t i = 0; i < n; i++)
            count += got[i] == '\n';
        writes++;
    }
    assert_true(writes < want / 4);
    dup2(real, STDERR_FILENO);
    close(real);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_as_they_are, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(nobody_reads, open_pipe, close_pipe),
        cmocka_unit_test(lines_gather),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
