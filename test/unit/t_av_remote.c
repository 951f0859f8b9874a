// SPDX-License-Identifier: BSD-2-Clause
//
// The worker's end of the wire.  A thread serves jobs with a run of ours; the test
// plays the server, message by message, so every order of events is its choice.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/av/remote.h"
#include "codec/wire.h"
#include "test/unit/media_tools.h"

#define SIZE (6 * WIRE_READ_MAX + 100)

struct server {
    int fd, workers_fd;
    pthread_t thread;
    int result; // of remote_serve
    struct wire_message m;
};

// ---- the worker: what the run does is the job's limit of streams

enum {
    READ_AT_END = 1,
    READ_ALL,
    APPEND_BIG,
    FAIL,
    FAIL_STRANGELY,
    READ_TWICE,
    WAIT_FOR_CANCEL,
    LOG_MUCH,
    TEAM, // of a video job: takes one who joins and refuses others, until one is dropped
    TEAM_DEAF
};

static int read_at_end(struct io *io)
{
    uint8_t b[20];
    if (io->read(io, io->size, b, 20) != 0 || io->read(io, io->size + 1, b, 20) != 0 ||
        io->read(io, -1, b, 20) != -E_INTERNAL || io->read(io, 0, b, 0) != 0)
        return -E_UNSUPPORTED;
    return io->read(io, io->size - 3, b, 20) == 3 && memcmp(b, "xyz", 3) == 0 ? 0 : -E_CORRUPT;
}

static int read_all(struct io *io)
{
    uint8_t *all = xmalloc(SIZE);
    const int64_t n = io->read(io, 0, all, SIZE);
    bool right = n == SIZE;
    for (int64_t i = 0; right && i < SIZE; i++)
        right = all[i] == (uint8_t)(1 + i / WIRE_READ_MAX);
    free(all);
    return n < 0 ? (int)n : right ? 0 : -E_CORRUPT;
}

static int append_big(struct io *io)
{
    uint8_t *big = xcalloc(1, 2 * WIRE_APPEND_MAX + 5);
    const int rc = io->append(io, big, 2 * WIRE_APPEND_MAX + 5);
    free(big);
    return rc;
}

// A failed read must leave the stream in step for the next.
static int read_twice(struct io *io)
{
    uint8_t b[3];
    if (read_all(io) != -E_ORIGIN)
        return -E_CORRUPT;
    return io->read(io, 7, b, 3) == 3 && memcmp(b, "abc", 3) == 0 ? 0 : -E_SEEK;
}

static int wait_for_cancel(struct io *io)
{
    while (!io->cancelled(io))
        ;
    uint8_t b[3];
    if (io->read(io, 0, b, 3) != -E_CANCELLED || io->append(io, b, 3) != -E_CANCELLED)
        return -E_CORRUPT;
    return -E_CANCELLED;
}

static int team(const struct job *job, struct io *io)
{
    const struct io_rungs *const r = io->rungs;
    struct video_settings v, next;
    int joined;
    if (!r || job->also_count != 1)
        return -E_CORRUPT;
    while ((joined = r->join(io, true, &v)) < 0)
        ;
    while (!r->dropped(io, 0))
        if (r->join(io, false, &next) >= 0)
            return -E_CORRUPT;
    int rc = r->append(io, joined, "late", 4);
    r->end(io, joined);
    if (rc == 0)
        rc = r->append(io, 1, "x", 1);
    return v.width == 96 && !r->dropped(io, 1) && !io->cancelled(io) ? rc : -E_CORRUPT;
}

static void *log_one(void *arg)
{
    (void)arg;
    log_info("test", "from a thread");
    return NULL;
}

// The first line by another thread, as a decoder's would be, the second too long.
static int log_much(void)
{
    char big[1000];
    memset(big, 'x', sizeof big);
    pthread_join(thread_start("log", log_one, NULL), NULL);
    for (int i = 0; i < 2 * WIRE_LINES_MAX; i++)
        log_warn("test", "%.*s", (int)sizeof big, big);
    return -E_CORRUPT;
}

static int run(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
               size_t cap)
{
    stats->frames_decoded = 9;
    stats->bytes = 12345; // not asked for
    switch (job->limits.streams) {
    case READ_AT_END:
        return read_at_end(io);
    case READ_ALL:
        return read_all(io);
    case APPEND_BIG:
        return append_big(io);
    case FAIL:
        copy_string(detail, cap, "because");
        return -E_UNSUPPORTED;
    case READ_TWICE:
        return read_twice(io);
    case WAIT_FOR_CANCEL:
        return wait_for_cancel(io);
    case LOG_MUCH:
        return log_much();
    case TEAM:
        return team(job, io);
    case TEAM_DEAF:
        return 0;
    default:
        return 77;
    }
}

static void *serve(void *arg)
{
    struct server *s = arg;
    s->result = remote_serve(s->workers_fd, "libs 1", run);
    close(s->workers_fd);
    return NULL;
}

// ---- the server

static void expect(struct server *s, enum wire_type type, size_t n)
{
    assert_int_equal(wire_receive(s->fd, &s->m, INT64_MAX), 0);
    assert_int_equal(s->m.type, type);
    assert_int_equal(s->m.payload.len, n);
}

static void send_job(struct server *s, int what)
{
    struct job j;
    job_init(&j);
    j.kind = JOB_PROBE;
    j.limits = (struct job_limits){ 1, what, 1, 0, 1, 0 };
    j.source_size = SIZE;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(job_pack(&j, &b), 0);
    assert_int_equal(wire_send(s->fd, WIRE_JOB, b.data, b.len, NULL, 0), 0);
    buf_finish(&b);
}

static void send_video_job(struct server *s, int what)
{
    struct media *const m = make_media(1, 0);
    struct sample sample = { .size = 1 };
    struct pick pick = { 0, 1 };
    struct buf b;
    assert_int_equal(media_finish(m), 0);
    struct job j = { .kind = JOB_VIDEO, .limits = { 1, what, 1, 0, 1, 0 }, .source_size = SIZE };
    j.media = m;
    j.v = rung_settings(64);
    j.also[j.also_count++] = j.v;
    j.samples = &sample;
    j.picks = &pick;
    j.sample_count = j.pick_count = j.part_count = j.parts_at_once = 1;
    j.part_frames[0] = j.last_ticks = j.sequence = 1;
    buf_init(&b, 10000);
    assert_int_equal(job_pack(&j, &b), 0);
    assert_int_equal(wire_send(s->fd, WIRE_JOB, b.data, b.len, NULL, 0), 0);
    buf_finish(&b);
    media_destroy(m);
}

static void send_join(struct server *s, int width)
{
    const struct video_settings v = rung_settings(width);
    struct buf b;
    buf_init(&b, WIRE_RUNG_MAX);
    job_rung_pack(&v, &b);
    assert_int_equal(wire_send(s->fd, WIRE_JOIN, b.data, b.len, NULL, 0), 0);
    buf_finish(&b);
}

static void send_drop(struct server *s, uint8_t rung)
{
    assert_int_equal(wire_send(s->fd, WIRE_DROP, &rung, 1, NULL, 0), 0);
}

struct question {
    uint32_t id, n;
    int64_t offset;
};

static struct question expect_read(struct server *s)
{
    expect(s, WIRE_READ, 16);
    struct reader r = reader_of(s->m.payload.data, 16);
    struct question q;
    q.id = get_be32(&r);
    q.offset = (int64_t)get_be64(&r);
    q.n = get_be32(&r);
    return q;
}

static void answer(struct server *s, uint32_t id, uint32_t code, const void *p, size_t n)
{
    struct buf head;
    buf_init(&head, 8);
    put_be32(&head, id);
    put_be32(&head, code);
    assert_int_equal(wire_send(s->fd, WIRE_DATA, head.data, 8, p, n), 0);
    buf_finish(&head);
}

// A READ of all: the answer's bytes tell which megabyte they are.
static void answer_all(struct server *s, struct question q)
{
    uint8_t *p = xmalloc(q.n);
    memset(p, (int)(1 + q.offset / WIRE_READ_MAX), q.n);
    answer(s, q.id, 0, p, q.n);
    free(p);
}

static void expect_done(struct server *s, int64_t bytes)
{
    struct job_stats stats;
    assert_int_equal(wire_receive(s->fd, &s->m, INT64_MAX), 0);
    assert_int_equal(s->m.type, WIRE_DONE);
    assert_int_equal(job_stats_unpack(&stats, s->m.payload.data, s->m.payload.len), 0);
    assert_int_equal(stats.bytes, bytes);
    assert_int_equal(stats.frames_decoded, 9);
}

static void expect_fail(struct server *s, uint8_t code, const char *text)
{
    expect(s, WIRE_FAIL, 4 + strlen(text));
    assert_int_equal(s->m.payload.data[3], code);
    assert_memory_equal(s->m.payload.data + 4, text, strlen(text));
}

static int setup(void **state)
{
    struct server *s = xcalloc(1, sizeof *s);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return -1;
    s->fd = pair[0];
    s->workers_fd = pair[1];
    wire_message_init(&s->m);
    s->thread = thread_start("remote", serve, s);
    expect(s, WIRE_HELLO, 10);
    const uint8_t hello[10] = { 0, 0, 0, WIRE_VERSION, 'l', 'i', 'b', 's', ' ', '1' };
    assert_memory_equal(s->m.payload.data, hello, sizeof hello);
    *state = s;
    return 0;
}

// The worker must have ended (or end now, its peer being gone) with this result.
static void finish(struct server *s, int expected)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    assert_int_equal(s->result, expected);
    s->thread = 0;
}

static int teardown(void **state)
{
    struct server *s = *state;
    if (s->thread)
        finish(s, 0);
    close(s->fd);
    wire_message_finish(&s->m);
    free(s);
    return 0;
}

// ---- tests

static void test_jobs(void **state)
{
    struct server *s = *state;
    send_job(s, READ_AT_END);
    const struct question q = expect_read(s);
    assert_int_equal(q.offset, SIZE - 3);
    assert_int_equal(q.n, 3);
    answer(s, q.id, 0, "xyz", 3);
    expect_done(s, 0);
    send_job(s, APPEND_BIG);
    expect(s, WIRE_APPEND, 1 + WIRE_APPEND_MAX);
    expect(s, WIRE_APPEND, 1 + WIRE_APPEND_MAX);
    expect(s, WIRE_APPEND, 1 + 5);
    expect_done(s, 2 * WIRE_APPEND_MAX + 5);
    send_job(s, FAIL);
    expect_fail(s, E_UNSUPPORTED, "because");
    send_job(s, FAIL_STRANGELY);
    expect_fail(s, E_INTERNAL, "");
    assert_int_equal(wire_send(s->fd, WIRE_JOB, "\1", 1, NULL, 0), 0);
    expect_fail(s, E_PROTOCOL, "the job cannot be read");
    send_job(s, FAIL);
    expect_fail(s, E_UNSUPPORTED, "because");
}

// Four READs are out at once and may be answered in any order.
static void test_flights(void **state)
{
    struct server *s = *state;
    send_job(s, READ_ALL);
    struct question q[7];
    for (int i = 0; i < 4; i++)
        q[i] = expect_read(s);
    assert_false(wire_pending(s->fd));
    static const int order[] = { 3, 0, 2 };
    for (int i = 0; i < 3; i++) {
        answer_all(s, q[order[i]]);
        q[4 + i] = expect_read(s);
    }
    answer_all(s, q[6]);
    answer_all(s, q[1]);
    answer_all(s, q[5]);
    answer_all(s, q[4]);
    expect_done(s, 0);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(q[i].offset, (int64_t)i * WIRE_READ_MAX);
        assert_int_equal(q[i].n, i < 6 ? WIRE_READ_MAX : 100);
    }
}

static void test_failed_read(void **state)
{
    struct server *s = *state;
    send_job(s, READ_TWICE);
    struct question q[4];
    for (int i = 0; i < 4; i++)
        q[i] = expect_read(s);
    answer(s, q[1].id, E_ORIGIN, NULL, 0);
    for (int i = 0; i < 4; i++)
        if (i != 1)
            answer_all(s, q[i]);
    const struct question next = expect_read(s); // no fifth of the first
    assert_int_equal(next.offset, 7);
    answer(s, next.id, 0, "abc", 3);
    expect_done(s, 0);
}

static void test_log(void **state)
{
    struct server *s = *state;
    for (int k = 0; k < 2; k++) {
        send_job(s, LOG_MUCH);
        expect(s, WIRE_LOG, 1 + strlen("test: from a thread"));
        assert_memory_equal(s->m.payload.data, "\2test: from a thread", s->m.payload.len);
        for (int i = 1; i < WIRE_LINES_MAX; i++) {
            expect(s, WIRE_LOG, WIRE_LINE_MAX);
            assert_memory_equal(s->m.payload.data, "\1test: xxx", 10);
        }
        expect_fail(s, E_CORRUPT, "");
        if (k == 0) // and not while the worker ends, perhaps
            log_error("test", "between jobs nothing may be said");
    }
}

static void test_cancel(void **state)
{
    struct server *s = *state;
    for (int i = 0; i < 2; i++) {
        // Between frames.
        send_job(s, WAIT_FOR_CANCEL);
        assert_int_equal(wire_send(s->fd, WIRE_CANCEL, NULL, 0, NULL, 0), 0);
        expect_fail(s, E_CANCELLED, "");
        // While READs are out: all are waited for, none is added.
        send_job(s, READ_ALL);
        struct question q[4];
        for (int k = 0; k < 4; k++)
            q[k] = expect_read(s);
        assert_int_equal(wire_send(s->fd, WIRE_CANCEL, NULL, 0, NULL, 0), 0);
        for (int k = 0; k < 4; k++)
            answer_all(s, q[k]);
        expect_fail(s, E_CANCELLED, "");
        // Too late: it does not touch the next job.
        assert_int_equal(wire_send(s->fd, WIRE_CANCEL, NULL, 0, NULL, 0), 0);
        send_job(s, APPEND_BIG);
        for (int k = 0; k < 3; k++)
            assert_int_equal(wire_receive(s->fd, &s->m, INT64_MAX), 0);
        expect_done(s, 2 * WIRE_APPEND_MAX + 5);
    }
}

// A server that breaks the protocol ends the worker.
static void test_breaches(void **state)
{
    struct server *s = *state;
    send_job(s, READ_AT_END);
    const struct question q = expect_read(s);
    answer(s, q.id + 1, 0, "xyz", 3);
    finish(s, -E_PROTOCOL);
}

static void expect_bytes(struct server *s, enum wire_type type, const char *bytes, size_t n)
{
    expect(s, type, n);
    assert_memory_equal(s->m.payload.data, bytes, n);
}

static void test_rungs(void **state)
{
    struct server *s = *state;
    for (int i = 0; i < 2; i++) {
        send_video_job(s, TEAM);
        send_join(s, 96);
        send_join(s, 32);
        expect_bytes(s, WIRE_JOINED, "\2\1", 2);
        expect_bytes(s, WIRE_JOINED, "\3\0", 2);
        send_drop(s, 0);
        expect_bytes(s, WIRE_APPEND, "\2late", 5);
        expect_bytes(s, WIRE_END, "\2", 1);
        expect_bytes(s, WIRE_APPEND, "\1x", 2);
        expect_done(s, 5);
        // Too late: they do not touch the next job.
        send_join(s, 96);
        send_drop(s, 1);
        send_video_job(s, TEAM_DEAF);
        expect_done(s, 0);
    }
}

static void test_too_many_join(void **state)
{
    struct server *s = *state;
    send_job(s, WAIT_FOR_CANCEL);
    for (int i = 0; i < JOB_RUNGS_MAX; i++)
        send_join(s, 96);
    finish(s, -E_PROTOCOL);
}

static void test_bad_join(void **state)
{
    struct server *s = *state;
    assert_int_equal(wire_send(s->fd, WIRE_JOIN, "\1", 1, NULL, 0), 0);
    finish(s, -E_PROTOCOL);
}

static void test_bad_drop(void **state)
{
    struct server *s = *state;
    send_drop(s, JOB_RUNGS_MAX);
    finish(s, -E_PROTOCOL);
}

static void test_short_answer(void **state)
{
    struct server *s = *state;
    send_job(s, READ_AT_END);
    const struct question q = expect_read(s);
    answer(s, q.id, 0, "xy", 2);
    finish(s, -E_PROTOCOL);
}

static void test_unknown_code(void **state)
{
    struct server *s = *state;
    send_job(s, READ_AT_END);
    const struct question q = expect_read(s);
    answer(s, q.id, E_COUNT, NULL, 0);
    finish(s, -E_PROTOCOL);
}

static void test_job_in_job(void **state)
{
    struct server *s = *state;
    send_job(s, WAIT_FOR_CANCEL);
    send_job(s, FAIL);
    finish(s, -E_PROTOCOL);
}

static void test_no_job(void **state)
{
    struct server *s = *state;
    assert_int_equal(wire_send(s->fd, WIRE_APPEND, "\0x", 2, NULL, 0), 0);
    assert_int_equal(wire_receive(s->fd, &s->m, INT64_MAX), -E_WORKER);
    finish(s, -E_PROTOCOL);
}

// The peer goes while a READ is out: that is an end, not a fault.
static void test_peer_gone(void **state)
{
    struct server *s = *state;
    send_job(s, READ_ALL);
    expect_read(s);
    finish(s, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_jobs),          TEST(test_flights),      TEST(test_failed_read),
        TEST(test_cancel),        TEST(test_breaches),     TEST(test_rungs),
        TEST(test_too_many_join), TEST(test_bad_join),     TEST(test_bad_drop),
        TEST(test_short_answer),  TEST(test_unknown_code), TEST(test_job_in_job),
        TEST(test_no_job),        TEST(test_peer_gone),    TEST(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
