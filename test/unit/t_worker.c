// SPDX-License-Identifier: BSD-2-Clause
//
// The server's side of a worker against workers that misbehave in every way we
// could think of.  This program is its own fake worker program: started under the
// worker's name it behaves as the memory limit says (while starting) and as the
// stream limit of the job says (while working).  The real program is tried at the
// end, where it is built.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "codec/wire.h"
#include "server/worker.h"
#include "server/zygote.h"
#include "test/unit/fake_worker.h"
#include "test/unit/media_tools.h"

#define SOURCE_SIZE 3000000
#define SIGNATURE "fake 1.0"

static uint8_t source_byte(int64_t at)
{
    return (uint8_t)(at * 31 + at / 1000);
}

// ---- the fake program: what it does while it starts

enum opening {
    START_WELL = 1000,
    START_EXIT,          // before the hello
    START_SAYS_NO,       // hello: not ok
    START_VERSION,       // hello of another version
    START_SHORT,         // half a hello
    START_NO_FORK,       // a reply that is not ok
    START_NO_PIDFD,      // a reply without pidfd
    START_EXIT_ON_FORK,  // instead of a reply, always
    START_DIES_ONCE_OUT, // after its first fork; the next one lives
    START_SILENT,        // the worker says no hello
    START_SIGNATURE,     // the worker says another hello
    START_WORKER_VERSION,
};

// ---- and while it works

enum behaviour {
    COPY = 1,       // reads all of the source, appends it, says so
    COPY_BACKWARDS, // four READs out at once, each read at another place
    WRONG_BYTES,    // stats that do not match what was appended
    STATS_CUT,
    READ_OUTSIDE,
    READ_NEGATIVE,
    WANT_SOME, // and is told nothing
    WANT_OUTSIDE,
    WANT_NEGATIVE,
    READ_NOTHING,
    READ_HUGE,
    APPEND_HUGE,
    BAD_TYPE,
    SERVERS_TYPE,
    FAIL_CODE_ZERO,
    FAIL_CODE_BEYOND,
    FAIL_CORRUPT,
    FAIL_CANCELLED, // which nobody asked for
    FAIL_POISONED,  // which is not its to say
    EXIT,
    CRASH,
    EXIT_MID_MESSAGE,
    HANG,
    HANG_MID_MESSAGE,
    HANG_DEAF, // asks for much and takes nothing
    CHATTER,   // appends for ever
    OBEY,      // appends once, then waits to be cancelled
    OBEY_READ, // as OBEY, but on any error of a read
    DONE_GARBAGE,
    DONE_EXIT,
    LOG_ALL, // that it may
    LOG_TOO_MUCH,
    LOG_BAD_LEVEL,
    STARVE,
    RUNG_STRANGE, // appends to a rung that nobody asked for
    RUNG_JOINED,  // answers what nobody asked
    RUNG_ENDED,   // ends one that there is not
    TEAM,         // takes who joins, refuses the next, is told to drop the first
    TEAM_DEAF,    // is done before it has heard of who joins
    TEAM_AFTER_END,
    TEAM_TWICE, // takes one twice
};

static void copy(struct wire_message *m, int64_t size)
{
    for (int64_t at = 0; at < size;) {
        const int64_t n = size - at < WIRE_READ_MAX ? size - at : WIRE_READ_MAX;
        ask(77, (uint64_t)at, (uint32_t)n);
        hear(m, WIRE_DATA);
        if (memcmp(m->payload.data, "\0\0\0\115\0\0\0\0", 8) != 0)
            abort();
        say_some(0, m->payload.data + 8, m->payload.len - 8);
        at += n;
    }
    say_done(size);
}

static void copy_backwards(struct wire_message *m)
{
    for (uint32_t i = 0; i < 4; i++)
        ask(i, 3000 - 1000 * i, 1000);
    for (uint32_t i = 0; i < 4; i++) {
        hear(m, WIRE_DATA);
        struct reader r = reader_of(m->payload.data, m->payload.len);
        const uint32_t id = get_be32(&r);
        get_be32(&r);
        for (int64_t k = 0; k < 1000; k++)
            if (get_u8(&r) != source_byte(3000 - 1000 * (int64_t)id + k))
                abort();
        say_some(0, "x", 1);
    }
    say_done(4);
}

static void want(uint64_t offset, uint64_t n)
{
    struct buf b;
    buf_init(&b, 16);
    put_be64(&b, offset);
    put_be64(&b, n);
    say(WIRE_WANT, b.data, b.len);
    buf_finish(&b);
}

static void log_lines(int n, uint8_t level)
{
    const uint8_t line[] = { level, 'a', '\n', 'b', 0xff };
    for (int i = 0; i < n; i++)
        say(WIRE_LOG, line, sizeof line);
    say_done(0);
}

static void chatter(void)
{
    static const uint8_t zeros[100000];
    for (;;)
        say_some(0, zeros, sizeof zeros);
}

// At once, so that who reads the one sees the other.
static void done_and_garbage(void)
{
    const struct job_stats stats = { .frames_decoded = 5 };
    struct buf b;
    buf_init(&b, WIRE_STATS_MAX + 8);
    buf_append(&b, "\6\0\0", 4); // its length is not known yet
    job_stats_pack(&stats, &b);
    b.data[3] = (uint8_t)(b.len - 4);
    buf_append(&b, "\5\0\0\1", 4);
    send(3, b.data, b.len, MSG_NOSIGNAL);
    buf_finish(&b);
}

static void say_byte(enum wire_type type, uint8_t rung)
{
    say(type, &rung, 1);
}

static void team(struct wire_message *m, int behaviour)
{
    hear(m, WIRE_JOIN);
    say(WIRE_JOINED, "\1\1", 2);
    say_some(1, "one", 3);
    if (behaviour == TEAM_TWICE)
        say(WIRE_JOINED, "\1\1", 2);
    hear(m, WIRE_JOIN);
    say(WIRE_JOINED, "\2\0", 2);
    hear(m, WIRE_DROP);
    if (m->payload.data[0] != 0)
        abort();
    say_byte(WIRE_END, 1);
    if (behaviour == TEAM_AFTER_END)
        say_some(1, "more", 4);
    say_some(0, "zero", 4);
    say_done(7);
}

static void behave(struct wire_message *m, int behaviour, int64_t size)
{
    switch ((enum behaviour)behaviour) {
    case COPY:
        copy(m, size);
        break;
    case COPY_BACKWARDS:
        copy_backwards(m);
        break;
    case WRONG_BYTES:
        say_some(0, "abc", 3);
        say_done(4);
        break;
    case STATS_CUT:
        say(WIRE_DONE, "\0", 1);
        break;
    case READ_OUTSIDE:
        ask(1, (uint64_t)size - 10, 11);
        break;
    case READ_NEGATIVE:
        ask(1, UINT64_MAX - 4, 10);
        break;
    case WANT_SOME:
        want(1000, (uint64_t)size - 1000);
        say_done(0);
        break;
    case WANT_OUTSIDE:
        want(1, (uint64_t)size);
        break;
    case WANT_NEGATIVE:
        want(UINT64_MAX - 4, 10);
        break;
    case READ_NOTHING:
        ask(1, 0, 0);
        break;
    case READ_HUGE:
        ask(1, 0, WIRE_READ_MAX + 1);
        break;
    case APPEND_HUGE:
        send(3, "\5\x10\0\2abc", 7, MSG_NOSIGNAL);
        break;
    case BAD_TYPE:
        send(3, "\x4d\0\0\0", 4, MSG_NOSIGNAL);
        break;
    case SERVERS_TYPE:
        say(WIRE_JOB, "abc", 3);
        break;
    case FAIL_CODE_ZERO:
        say_fail(0, "fine");
        break;
    case FAIL_CODE_BEYOND:
        say_fail(E_COUNT, "new");
        break;
    case FAIL_CORRUPT:
        say_fail(E_CORRUPT, "frame\n\x1b[2J\xff is broken");
        break;
    case FAIL_CANCELLED:
        say_fail(E_CANCELLED, "me");
        break;
    case FAIL_POISONED:
        say_fail(E_POISONED, "you");
        break;
    case EXIT:
        _exit(0);
    case CRASH:
        crash();
        break;
    case EXIT_MID_MESSAGE:
        send(3, "\5\0\0\3a", 5, MSG_NOSIGNAL);
        _exit(0);
    case HANG:
        hang();
        break;
    case HANG_MID_MESSAGE:
        send(3, "\5\0\0\3a", 5, MSG_NOSIGNAL);
        hang();
        break;
    case HANG_DEAF:
        for (int i = 0; i < 4; i++)
            ask(1, 0, WIRE_READ_MAX);
        hang();
        break;
    case CHATTER:
        chatter();
        break;
    case OBEY:
        say_some(0, "abc", 3);
        hear(m, WIRE_CANCEL);
        say_some(0, "late", 4);
        say_fail(E_CANCELLED, "");
        break;
    case OBEY_READ:
        ask(1, 0, 100);
        hear(m, WIRE_CANCEL); // put out before the answer that says why
        hear(m, WIRE_DATA);
        if (m->payload.len != 8 || m->payload.data[7] == 0)
            abort();
        say_fail(E_IO, "");
        break;
    case DONE_GARBAGE:
        done_and_garbage();
        break;
    case DONE_EXIT:
        say_done(0);
        _exit(0);
    case LOG_ALL:
        log_lines(WIRE_LINES_MAX, LOG_ERROR);
        break;
    case LOG_TOO_MUCH:
        log_lines(WIRE_LINES_MAX + 1, LOG_DEBUG);
        break;
    case LOG_BAD_LEVEL:
        log_lines(1, LOG_DEBUG + 1);
        break;
    case STARVE:
        _exit(WORKER_NO_MEMORY);
    case RUNG_STRANGE:
        say_some(1, "x", 1);
        break;
    case RUNG_JOINED:
        say(WIRE_JOINED, "\1\1", 2);
        break;
    case RUNG_ENDED:
        say_byte(WIRE_END, 0); // of a job that has but one
        break;
    case TEAM:
    case TEAM_AFTER_END:
    case TEAM_TWICE:
        team(m, behaviour);
        break;
    case TEAM_DEAF:
        say_done(0);
        break;
    }
}

static void fake_worker(int start)
{
    struct wire_message m;
    wire_message_init(&m);
    if (start == START_SILENT)
        _exit(0);
    char hello[12] = { 0, 0, 0, WIRE_VERSION + (start == START_WORKER_VERSION) };
    memcpy(hello + 4, start == START_SIGNATURE ? "fake 2.0" : "fake 1.0", 8);
    say(WIRE_HELLO, hello, sizeof hello);
    for (;;) {
        if (wire_receive(3, &m, INT64_MAX) < 0)
            _exit(0);
        struct job j;
        if (comes_too_late(&m))
            continue;
        if (m.type != WIRE_JOB || job_unpack(&j, m.payload.data, m.payload.len) < 0)
            abort();
        const int behaviour = j.limits.streams;
        const int64_t size = j.source_size;
        job_finish(&j);
        behave(&m, behaviour, size);
    }
}

static void fake_fork_badly(int start, int fd)
{
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 3);
        syscall(SYS_close_range, 4, ~0u, 0);
        fake_worker(start);
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct zygote_reply reply = { .ok = 1, .pid = pid };
    if (start == START_NO_FORK)
        reply = (struct zygote_reply){ .error = EAGAIN };
    const bool bare = start == START_NO_FORK || start == START_NO_PIDFD;
    zygote_send(3, &reply, sizeof reply, bare ? -1 : pidfd);
    close(pidfd);
    close(fd);
}

static int fake_program(int start)
{
    struct zygote_hello hello = { .version = WIRE_VERSION, .ok = 1, .text = SIGNATURE };
    if (start == START_EXIT)
        return 1;
    if (start == START_SAYS_NO)
        hello = (struct zygote_hello){ .version = WIRE_VERSION, .text = "no decoder h264" };
    if (start == START_VERSION)
        hello.version++;
    zygote_send(3, &hello, start == START_SHORT ? 100 : sizeof hello, -1);
    for (struct zygote_request request;;) {
        int fd;
        if (zygote_receive(3, &request, sizeof request, &fd) < 0 || start == START_EXIT_ON_FORK)
            return 0;
        if (request.kind == ZYGOTE_STATUS) {
            fake_status(request.pid);
            continue;
        }
        fake_fork_badly(start, fd);
        if (start == START_DIES_ONCE_OUT)
            return 0;
    }
}

// ---- the server's side: a world for a job

struct world {
    struct zygote *zygote;
    struct worker *worker;
    struct buf out;
    int64_t read_result; // 0: the source's bytes; negative: an error; n: n fewer bytes
    int append_result;
    bool cancel_on_append;
    int64_t wanted, wanted_n;
    const struct worker_rungs *rungs;
    atomic_bool cancelled;
    sem_t *asked; // posted after a look at cancelled, once something was appended
    struct job_stats stats;
    char detail[100];
};

static struct conf conf = {
    .workers_memory = START_WELL,
    .workers_cancel = 20,
    .cache_object = 4000000,
};

static int64_t world_read(void *arg, int64_t offset, void *out, int64_t n)
{
    const struct world *w = arg;
    if (w->read_result < 0)
        return w->read_result;
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = source_byte(offset + i);
    return n - w->read_result;
}

static int world_append(void *arg, int rung, const void *bytes, size_t n)
{
    (void)rung;
    struct world *w = arg;
    buf_append(&w->out, bytes, n);
    if (w->cancel_on_append)
        w->cancelled = true;
    return w->append_result;
}

static void world_want(void *arg, int64_t offset, int64_t n)
{
    struct world *w = arg;
    w->wanted = offset;
    w->wanted_n = n;
}

static bool world_cancelled(void *arg)
{
    struct world *w = arg;
    const bool cancelled = w->cancelled;
    if (w->asked && w->out.len > 0)
        sem_post(w->asked);
    return cancelled;
}

static int run_until(struct world *w, int behaviour, int64_t deadline_ms)
{
    struct job job;
    job_init(&job);
    job.kind = JOB_PROBE;
    job.limits = (struct job_limits){ 36000000, behaviour, 1 << 30, 0, 1000000, 0 };
    job.source_size = SOURCE_SIZE;
    const struct worker_calls calls = { w,          world_read, world_append, world_cancelled,
                                        world_want, w->rungs };
    buf_clear(&w->out);
    const int rc =
        worker_run(w->worker, &job, &calls, deadline_ms, &w->stats, w->detail, sizeof w->detail);
    job_finish(&job);
    return rc;
}

static int run(struct world *w, int behaviour)
{
    return run_until(w, behaviour, INT64_MAX);
}

static struct zygote *start_zygote(enum opening how, char *why, size_t cap)
{
    conf.workers_memory = how;
    return zygote_start(&conf, why, cap);
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    char why[300];
    buf_init(&w->out, 10000000);
    w->zygote = start_zygote(START_WELL, why, sizeof why);
    w->worker = w->zygote ? worker_start(w->zygote, conf.workers_memory, why, sizeof why) : NULL;
    *state = w;
    return w->worker ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *w = *state;
    worker_stop(&w->worker);
    zygote_stop(w->zygote);
    buf_finish(&w->out);
    free(w);
    return 0;
}

static void fresh_worker(struct world *w)
{
    char why[300];
    worker_stop(&w->worker);
    w->worker = worker_start(w->zygote, conf.workers_memory, why, sizeof why);
    assert_non_null(w->worker);
}

// ---- tests

static void test_start(void **state)
{
    (void)state;
    static const struct {
        enum opening how;
        bool starts;
        const char *why; // of the zygote, or of the worker
    } cases[] = {
        { START_EXIT, false, "does not start" },
        { START_SAYS_NO, false, "no decoder h264" },
        { START_VERSION, false, "another version" },
        { START_SHORT, false, "does not start" },
        { START_NO_FORK, true, "Resource temporarily unavailable" },
        { START_NO_PIDFD, true, "no pidfd came" },
        { START_EXIT_ON_FORK, true, "" },
        { START_SILENT, true, "did not greet" },
        { START_SIGNATURE, true, "did not greet" },
        { START_WORKER_VERSION, true, "did not greet" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char why[5000] = "";
        struct zygote *z = start_zygote(cases[i].how, why, sizeof why);
        assert_int_equal(z != NULL, cases[i].starts);
        if (z) {
            assert_string_equal(zygote_signature(z), SIGNATURE);
            assert_null(worker_start(z, conf.workers_memory, why, sizeof why));
        }
        if (!strstr(why, cases[i].why))
            fail_msg("case %zu: %s", i, why);
        zygote_stop(z);
    }
}

static void test_no_program(void **state)
{
    (void)state;
    char why[5000];
    char *self = xstrdup(getenv("TIDEMILL_WORKER"));
    setenv("TIDEMILL_WORKER", "/nonexistent/worker", 1);
    assert_null(start_zygote(START_WELL, why, sizeof why));
    assert_non_null(strstr(why, "/nonexistent/worker"));
    setenv("TIDEMILL_WORKER", self, 1);
    free(self);
    zygote_stop(NULL);
    struct worker *none = NULL;
    worker_stop(&none);
}

// A zygote that dies is started anew by the next worker_start.
static void test_revive(void **state)
{
    (void)state;
    char why[300];
    struct zygote *z = start_zygote(START_DIES_ONCE_OUT, why, sizeof why);
    assert_non_null(z);
    struct world w = { 0 };
    buf_init(&w.out, 10000000);
    for (int i = 0; i < 3; i++) {
        w.worker = worker_start(z, conf.workers_memory, why, sizeof why);
        assert_non_null(w.worker);
        assert_int_equal(run(&w, COPY), 0);
        worker_stop(&w.worker);
    }
    buf_finish(&w.out);
    zygote_stop(z);
}

static void test_copy(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(w, COPY), 0);
        assert_int_equal(w->out.len, SOURCE_SIZE);
        for (int64_t k = 0; k < SOURCE_SIZE; k++)
            if (w->out.data[k] != source_byte(k))
                fail_msg("byte %d", (int)k);
        assert_int_equal(w->stats.frames_decoded, 5);
        assert_int_equal(w->stats.bytes, SOURCE_SIZE);
        assert_string_equal(w->detail, "");
        assert_int_equal(run(w, COPY_BACKWARDS), 0);
        assert_int_equal(w->out.len, 4);
        assert_int_equal(run(w, WANT_SOME), 0);
        assert_int_equal(w->wanted, 1000);
        assert_int_equal(w->wanted_n, SOURCE_SIZE - 1000);
        assert_true(worker_alive(w->worker));
    }
}

static void test_misbehaviour(void **state)
{
    struct world *w = *state;
    static const struct {
        enum behaviour behaviour;
        int expected;
        bool lives;
    } cases[] = {
        { WRONG_BYTES, -E_PROTOCOL, false },
        { STATS_CUT, -E_PROTOCOL, false },
        { READ_OUTSIDE, -E_PROTOCOL, false },
        { READ_NEGATIVE, -E_PROTOCOL, false },
        { WANT_OUTSIDE, -E_PROTOCOL, false },
        { WANT_NEGATIVE, -E_PROTOCOL, false },
        { READ_NOTHING, -E_PROTOCOL, false },
        { READ_HUGE, -E_PROTOCOL, false },
        { APPEND_HUGE, -E_PROTOCOL, false },
        { BAD_TYPE, -E_PROTOCOL, false },
        { SERVERS_TYPE, -E_PROTOCOL, false },
        { FAIL_CODE_ZERO, -E_PROTOCOL, false },
        { FAIL_CODE_BEYOND, -E_PROTOCOL, false },
        { FAIL_CORRUPT, -E_CORRUPT, true },
        { FAIL_CANCELLED, -E_INTERNAL, true },
        { FAIL_POISONED, -E_INTERNAL, true },
        { EXIT, -E_WORKER, false },
        { CRASH, -E_WORKER, false },
        { EXIT_MID_MESSAGE, -E_WORKER, false },
        { CHATTER, -E_LIMITS, false }, // and takes no notice of the cancellation
        { DONE_GARBAGE, 0, false },
        { STARVE, -E_NO_MEMORY, false },
        { LOG_TOO_MUCH, -E_PROTOCOL, false },
        { LOG_BAD_LEVEL, -E_PROTOCOL, false },
        { RUNG_STRANGE, -E_PROTOCOL, false },
        { RUNG_JOINED, -E_PROTOCOL, false },
        { RUNG_ENDED, -E_PROTOCOL, false },
        { LOG_ALL, 0, true },
        { LOG_ALL, 0, true }, // each job has as many
        { COPY, 0, true },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const int64_t crashed = stat_get(STAT_workers_crashed_total);
        const int64_t killed = stat_get(STAT_workers_killed_total);
        const int rc = run(w, cases[i].behaviour);
        if (rc != cases[i].expected)
            fail_msg("case %zu: %s %s", i, err_name(rc), w->detail);
        assert_int_equal(worker_alive(w->worker), cases[i].lives);
        const bool counts = rc == -E_PROTOCOL || rc == -E_WORKER;
        assert_int_equal(stat_get(STAT_workers_crashed_total) - crashed, counts);
        assert_int_equal(stat_get(STAT_workers_killed_total) - killed, 0);
        assert_int_equal(w->detail[0] == '\0', rc == 0);
        if (!cases[i].lives)
            fresh_worker(w);
    }
}

// What was told the worker of its rungs, and what it said of them.
static struct {
    int told;
    char said[40];
    struct video_settings v;
} rungs;

static bool next_order(void *arg, struct worker_order *out)
{
    struct world *const w = arg;
    const int told = rungs.told;
    if (told == 3 || (told == 2 && w->out.len == 0))
        return false;
    *out =
        told < 2 ? (struct worker_order){ .join = &rungs.v } : (struct worker_order){ .rung = 0 };
    rungs.told++;
    return true;
}

static void joined(void *arg, int rung, bool taken)
{
    (void)arg;
    const size_t n = strlen(rungs.said);
    snprintf(rungs.said + n, sizeof rungs.said - n, "%s%d ", taken ? "+" : "-", rung);
}

static void ended(void *arg, int rung)
{
    (void)arg;
    const size_t n = strlen(rungs.said);
    snprintf(rungs.said + n, sizeof rungs.said - n, ".%d ", rung);
}

static void test_rungs(void **state)
{
    struct world *w = *state;
    static const struct {
        enum behaviour behaviour;
        int expected;
        const char *said, *out;
    } cases[] = {
        { TEAM, 0, "+1 -2 .1 ", "onezero" },
        { TEAM_DEAF, 0, "-1 -2 ", "" },
        { TEAM_AFTER_END, -E_PROTOCOL, "+1 -2 .1 ", "one" },
        { TEAM_TWICE, -E_PROTOCOL, "+1 -2 ", "one" },
        { TEAM, 0, "+1 -2 .1 ", "onezero" },
    };
    static const struct worker_rungs calls = { next_order, joined, ended };
    rungs.v = rung_settings(64);
    w->rungs = &calls;
    for (size_t i = 0; i < countof(cases); i++) {
        rungs.told = 0;
        rungs.said[0] = '\0';
        const int rc = run(w, cases[i].behaviour);
        if (rc != cases[i].expected)
            fail_msg("case %zu: %s %s", i, err_name(rc), w->detail);
        assert_string_equal(rungs.said, cases[i].said);
        assert_int_equal(w->out.len, strlen(cases[i].out));
        assert_memory_equal(w->out.data, cases[i].out, w->out.len);
        if (cases[i].expected < 0)
            fresh_worker(w);
    }
}

static void test_detail_is_harmless(void **state)
{
    struct world *w = *state;
    assert_int_equal(run(w, FAIL_CORRUPT), -E_CORRUPT);
    assert_string_equal(w->detail, "frame??[2J? is broken");
}

static int lines;
static char last_line[200];

static void keep_line(enum log_level level, const char *area, const char *text)
{
    lines++;
    snprintf(last_line, sizeof last_line, "%d %s %s", (int)level, area, text);
}

// What a worker logs looks like what it is, and is no error of ours.
static void test_log(void **state)
{
    struct world *w = *state;
    int pid, end = 0;
    lines = 0;
    log_set_sink(keep_line);
    log_set_level(LOG_WARN);
    const int rc = run(w, LOG_ALL);
    log_set_level(LOG_ERROR);
    log_set_sink(NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(lines, WIRE_LINES_MAX);
    assert_int_equal(sscanf(last_line, "1 worker process %d: a?b?%n", &pid, &end), 1);
    assert_int_equal(end, strlen(last_line));
}

static void test_crash_is_told(void **state)
{
    struct world *w = *state;
    assert_int_equal(run(w, CRASH), -E_WORKER);
    assert_string_equal(w->detail, "the worker died of signal 11 (Segmentation fault)");
}

static void test_deadline(void **state)
{
    struct world *w = *state;
    static const enum behaviour cases[] = { HANG, HANG_MID_MESSAGE, HANG_DEAF, OBEY };
    for (size_t i = 0; i < countof(cases); i++) {
        const int64_t killed = stat_get(STAT_workers_killed_total);
        assert_int_equal(run_until(w, (int)cases[i], clock_ms() + 20), -E_TIMEOUT);
        assert_int_equal(stat_get(STAT_workers_killed_total) - killed, 1);
        assert_false(worker_alive(w->worker));
        assert_int_equal(run(w, COPY), -E_WORKER); // it stays dead
        fresh_worker(w);
    }
    assert_int_equal(run_until(w, COPY, clock_ms() - 1), -E_TIMEOUT);
}

static void test_soft_cancel(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        w->cancel_on_append = true;
        assert_int_equal(run_until(w, OBEY, clock_ms() + 60000), -E_CANCELLED);
        assert_int_equal(w->out.len, 3); // nothing that came late
        w->cancel_on_append = w->cancelled = false;
        assert_true(worker_alive(w->worker));
        assert_int_equal(run(w, COPY), 0);
    }
}

static void test_hard_cancel(void **state)
{
    struct world *w = *state;
    static const enum behaviour cases[] = { HANG, HANG_MID_MESSAGE, HANG_DEAF, CHATTER };
    const int64_t crashed = stat_get(STAT_workers_crashed_total);
    const int64_t killed = stat_get(STAT_workers_killed_total);
    for (size_t i = 0; i < countof(cases); i++) {
        w->cancelled = true;
        assert_int_equal(run(w, (int)cases[i]), -E_CANCELLED);
        assert_false(worker_alive(w->worker));
        w->cancelled = false;
        fresh_worker(w);
    }
    assert_int_equal(stat_get(STAT_workers_crashed_total), crashed);
    assert_int_equal(stat_get(STAT_workers_killed_total), killed);
}

static void *cancel_when_asked(void *arg)
{
    struct world *w = arg;
    sem_wait(w->asked);
    w->cancelled = true;
    worker_kick(w->worker);
    return NULL;
}

// The run has looked and seen nothing, its worker is silent: without the kick it
// would wait until the deadline.
static void test_kick(void **state)
{
    struct world *w = *state;
    sem_t asked;
    sem_init(&asked, 0, 0);
    w->asked = &asked;
    conf.workers_cancel = 60000;
    worker_kick(w->worker); // a stale one does no harm
    const pthread_t t = thread_start("kick", cancel_when_asked, w);
    assert_int_equal(run_until(w, OBEY, clock_ms() + 60000), -E_CANCELLED);
    pthread_join(t, NULL);
    assert_true(worker_alive(w->worker));
    conf.workers_cancel = 20;
    w->asked = NULL;
    sem_destroy(&asked);
}

static void test_failing_calls(void **state)
{
    struct world *w = *state;
    static const struct {
        int64_t read_result;
        int append_result;
        enum behaviour behaviour;
        int expected;
    } cases[] = {
        { -E_ORIGIN, 0, OBEY_READ, -E_ORIGIN },
        { -E_CANCELLED, 0, OBEY_READ, -E_CANCELLED },
        { 1, 0, OBEY_READ, -E_CHANGED },
        { 0, -E_NO_MEMORY, OBEY, -E_NO_MEMORY },
    };
    conf.workers_cancel = 60000;
    for (size_t i = 0; i < countof(cases); i++) {
        w->read_result = cases[i].read_result;
        w->append_result = cases[i].append_result;
        assert_int_equal(run(w, (int)cases[i].behaviour), cases[i].expected);
        assert_true(worker_alive(w->worker));
    }
    conf.workers_cancel = 20;
}

static void test_dies_between_jobs(void **state)
{
    struct world *w = *state;
    assert_int_equal(run(w, DONE_EXIT), 0);
    assert_int_equal(run(w, COPY), -E_WORKER); // whether or not it was seen to die
    assert_false(worker_alive(w->worker));
}

// ---- the real program

static int setup_real(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    char self[2048], path[2100], why[5000];
    buf_init(&w->out, 10000000);
    *state = w;
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n < 0 ? 0 : n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof path, "%s/../tidemill-worker", self);
    if (access(path, X_OK) != 0)
        return 0;
    setenv("TIDEMILL_WORKER", path, 1);
    conf.workers_memory = 1536 * MIB;
    conf.workers_cancel = 10000;
    w->zygote = zygote_start(&conf, why, sizeof why);
    if (!w->zygote)
        print_error("%s\n", why);
    w->worker = w->zygote ? worker_start(w->zygote, conf.workers_memory, why, sizeof why) : NULL;
    return w->worker ? 0 : -1;
}

// The source's bytes are no film: the worker says so and lives.
static void test_real_program(void **state)
{
    struct world *w = *state;
    if (!w->worker)
        skip();
    for (int i = 0; i < 2; i++) {
        const int rc = run(w, 4);
        assert_int_equal(rc, -E_UNSUPPORTED);
        assert_true(worker_alive(w->worker));
    }
    w->read_result = -E_ORIGIN;
    assert_int_equal(run(w, 4), -E_ORIGIN);
    w->read_result = 0;
    w->cancelled = true;
    assert_int_equal(run(w, 4), -E_CANCELLED);
    w->cancelled = false;
    assert_true(worker_alive(w->worker));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[0], "tidemill-worker") == 0)
        return fake_program(atoi(argv[1]));
    fake_worker_name_self();
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_no_program),
        cmocka_unit_test(test_revive),
        TEST(test_copy),
        TEST(test_misbehaviour),
        TEST(test_rungs),
        TEST(test_detail_is_harmless),
        TEST(test_log),
        TEST(test_crash_is_told),
        TEST(test_deadline),
        TEST(test_soft_cancel),
        TEST(test_hard_cancel),
        TEST(test_kick),
        TEST(test_failing_calls),
        TEST(test_dies_between_jobs),
        cmocka_unit_test_setup_teardown(test_real_program, setup_real, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
