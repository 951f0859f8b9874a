// SPDX-License-Identifier: BSD-2-Clause
//
// One thread serves; only lines of the log come from any thread, between two
// messages.  An order that concerns the running job (CANCEL, DROP, JOIN) may stand before any
// message that is waited for, and does not end the waiting: every READ that was sent is answered,
// so when a job is over, for whatever reason, the stream is in step for the next one.  Between jobs
// such orders come too late and are ignored.
//
// A peer that is gone or that breaks the protocol looks like a cancellation to
// the job; the loop sees the reason afterwards and ends.

#include "codec/av/remote.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/av/av.h"
#include "codec/av/heap.h"
#include "codec/wire.h"

#define FLIGHTS 4 // READs out at once
#define REST_MS 10000

struct flight {
    uint32_t id;
    int64_t at, n; // where in what is being read
};

struct remote {
    struct io io;
    int fd;
    struct wire_message in;
    pthread_mutex_t sending; // one message at a time; checks who holds it
    int lines_left;          // that this job may log; protected by sending
    uint32_t next_id;
    int64_t appended; // bytes, by this job
    bool cancelled;
    bool dropped[JOB_RUNGS_MAX];
    int rungs;                                    // of this job; 0: none runs
    struct video_settings joining[JOB_RUNGS_MAX]; // not yet answered
    int joining_count;
    int broken; // 0, or why the wire cannot be used any more
};

static struct remote *remote_of(struct io *io)
{
    return container_of(io, struct remote, io);
}

// Whose lines the log takes; set while remote_serve runs.
static struct remote *speaker;

static int send_message(struct remote *r, enum wire_type type, const void *a, size_t na,
                        const void *b, size_t nb)
{
    lock(&r->sending);
    const int rc = wire_send(r->fd, type, a, na, b, nb);
    unlock(&r->sending);
    return rc;
}

// A line too many is lost, and one that is written while a message is being sent by
// the same thread: it stands in an assertion of ours.
static void log_to_wire(enum log_level level, const char *area, const char *text)
{
    struct remote *const r = speaker;
    char line[1 + WIRE_LINE_MAX] = { (char)level };
    snprintf(line + 1, sizeof line - 1, "%s: %s", area, text);
    if (pthread_mutex_lock(&r->sending) != 0)
        return;
    if (r->lines_left > 0) {
        r->lines_left--;
        // That nobody hears it, the job finds out by itself.
        (void)!wire_send(r->fd, WIRE_LOG, line, 1 + strlen(line + 1), NULL, 0);
    }
    unlock(&r->sending);
}

static void allow_lines(struct remote *r, int n)
{
    lock(&r->sending);
    r->lines_left = n;
    unlock(&r->sending);
}

static int broken(struct remote *r, int err)
{
    if (!r->broken)
        r->broken = err;
    return r->broken;
}

// ---- orders that concern the running job

static int take_join(struct remote *r)
{
    struct video_settings v;
    const int rc = job_rung_unpack(&v, r->in.payload.data, r->in.payload.len);
    if (rc < 0 || r->rungs == 0) // too late
        return rc;
    if (r->rungs + r->joining_count == JOB_RUNGS_MAX)
        return -E_PROTOCOL;
    r->joining[r->joining_count++] = v;
    return 0;
}

static int take_drop(struct remote *r)
{
    const int rung = r->in.payload.data[0];
    if (rung >= JOB_RUNGS_MAX)
        return -E_PROTOCOL;
    r->dropped[rung] = true;
    return 0;
}

// Takes what was received, if it is one: 1, or 0, or an error.
static int take_order(struct remote *r)
{
    int rc = 0;
    switch (r->in.type) {
    case WIRE_CANCEL:
        r->cancelled = true;
        break;
    case WIRE_DROP:
        rc = take_drop(r);
        break;
    case WIRE_JOIN:
        rc = take_join(r);
        break;
    default:
        return 0;
    }
    return rc < 0 ? rc : 1;
}

// Receives the next message that is none of them.
static int receive(struct remote *r)
{
    for (;;) {
        int rc = wire_receive(r->fd, &r->in, INT64_MAX);
        if (rc == 0)
            rc = take_order(r);
        if (rc < 0)
            return broken(r, rc);
        if (rc == 0)
            return 0;
    }
}

// Takes those that have come: nothing else may come now.
static void take_orders(struct remote *r)
{
    while (!r->broken && wire_pending(r->fd)) {
        int rc = wire_receive(r->fd, &r->in, INT64_MAX);
        if (rc == 0)
            rc = take_order(r);
        if (rc != 1)
            broken(r, rc < 0 ? rc : -E_PROTOCOL);
    }
}

static bool remote_cancelled(struct io *io)
{
    struct remote *r = remote_of(io);
    take_orders(r);
    return r->broken || r->cancelled;
}

static bool remote_dropped(struct io *io, int rung)
{
    struct remote *r = remote_of(io);
    take_orders(r);
    return r->dropped[rung];
}

static void answer_join(struct remote *r, bool taken)
{
    const uint8_t answer[2] = { (uint8_t)r->rungs++, taken };
    const int rc = r->broken ? 0 : send_message(r, WIRE_JOINED, answer, sizeof answer, NULL, 0);
    if (rc < 0)
        broken(r, rc);
}

static int remote_join(struct io *io, bool room, struct video_settings *v)
{
    struct remote *r = remote_of(io);
    take_orders(r);
    if (r->joining_count == 0)
        return -1;
    *v = r->joining[0];
    memmove(r->joining, r->joining + 1, (size_t)--r->joining_count * sizeof r->joining[0]);
    answer_join(r, room);
    return room ? r->rungs - 1 : remote_join(io, room, v);
}

// ---- reading

static int ask(struct remote *r, struct flight *f, int64_t offset)
{
    struct buf b;
    buf_init(&b, 16);
    put_be32(&b, f->id);
    put_be64(&b, (uint64_t)(offset + f->at));
    put_be32(&b, (uint32_t)f->n);
    const int rc = send_message(r, WIRE_READ, b.data, b.len, NULL, 0);
    buf_finish(&b);
    return rc < 0 ? broken(r, rc) : 0;
}

// Takes the flight that the received DATA answers off the list and lands its bytes.
// What the server says of that read in *result.
static int land(struct remote *r, struct flight *flights, int *flying, uint8_t *out, int *result)
{
    struct reader body = reader_of(r->in.payload.data, r->in.payload.len);
    const uint32_t id = get_be32(&body);
    const uint32_t code = get_be32(&body);
    int i = 0;
    while (i < *flying && flights[i].id != id)
        i++;
    if (r->in.type != WIRE_DATA || i == *flying || code >= E_COUNT)
        return broken(r, -E_PROTOCOL);
    const struct flight f = flights[i];
    flights[i] = flights[--*flying];
    if (code) {
        *result = -(int)code;
        return 0;
    }
    if (reader_left(&body) != (size_t)f.n)
        return broken(r, -E_PROTOCOL);
    memcpy(out + f.at, body.p, (size_t)f.n);
    return 0;
}

// Reads n bytes that lie within the source; 0 or an error.
static int fetch(struct remote *r, int64_t offset, uint8_t *out, int64_t n)
{
    struct flight flights[FLIGHTS];
    int flying = 0, result = 0, rc = 0;
    int64_t asked = 0;
    while (rc == 0 && (flying > 0 || asked < n)) {
        if (result == 0 && r->cancelled)
            result = -E_CANCELLED;
        if (result < 0)
            asked = n; // no more; but what was asked will be answered
        if (asked < n && flying < FLIGHTS) {
            const int64_t take = n - asked < WIRE_READ_MAX ? n - asked : WIRE_READ_MAX;
            flights[flying] = (struct flight){ r->next_id++, asked, take };
            rc = ask(r, &flights[flying++], offset);
            asked += take;
        } else if (flying > 0) {
            rc = receive(r);
            if (rc == 0)
                rc = land(r, flights, &flying, out, &result);
        }
    }
    return rc < 0 ? rc : result;
}

static int64_t remote_read(struct io *io, int64_t offset, void *out, int64_t n)
{
    struct remote *r = remote_of(io);
    if (r->broken)
        return r->broken;
    if (offset < 0 || n < 0)
        return -E_INTERNAL;
    if (offset >= io->size)
        return 0;
    if (n > io->size - offset)
        n = io->size - offset;
    const int rc = fetch(r, offset, out, n);
    return rc < 0 ? rc : n;
}

static void remote_want(struct io *io, int64_t offset, int64_t n)
{
    struct remote *r = remote_of(io);
    struct buf b;
    if (r->broken || offset < 0 || n < 1 || n > io->size - offset)
        return;
    buf_init(&b, 16);
    put_be64(&b, (uint64_t)offset);
    put_be64(&b, (uint64_t)n);
    const int rc = send_message(r, WIRE_WANT, b.data, b.len, NULL, 0);
    buf_finish(&b);
    if (rc < 0)
        broken(r, rc);
}

// ---- writing

static int remote_append_to(struct io *io, int rung, const void *bytes, size_t n)
{
    struct remote *r = remote_of(io);
    const uint8_t head = (uint8_t)rung;
    for (const uint8_t *p = bytes; n > 0;) {
        if (remote_cancelled(io))
            return r->broken ? r->broken : -E_CANCELLED;
        const size_t take = n < WIRE_APPEND_MAX ? n : WIRE_APPEND_MAX;
        const int rc = send_message(r, WIRE_APPEND, &head, 1, p, take);
        if (rc < 0)
            return broken(r, rc);
        r->appended += (int64_t)take;
        p += take;
        n -= take;
    }
    return 0;
}

static int remote_append(struct io *io, const void *bytes, size_t n)
{
    return remote_append_to(io, 0, bytes, n);
}

static void remote_end(struct io *io, int rung)
{
    struct remote *r = remote_of(io);
    const uint8_t head = (uint8_t)rung;
    const int rc = r->broken ? 0 : send_message(r, WIRE_END, &head, 1, NULL, 0);
    if (rc < 0)
        broken(r, rc);
}

static const struct io_rungs remote_rungs = {
    .append = remote_append_to,
    .end = remote_end,
    .dropped = remote_dropped,
    .join = remote_join,
};

// ---- jobs

static int send_done(struct remote *r, struct job_stats *stats)
{
    struct buf b;
    buf_init(&b, WIRE_STATS_MAX);
    stats->bytes = r->appended;
    job_stats_pack(stats, &b);
    const int rc = send_message(r, WIRE_DONE, b.data, b.len, NULL, 0);
    buf_finish(&b);
    return rc;
}

static int send_fail(struct remote *r, int err, const char *detail)
{
    const uint32_t code = err < 0 && err > -E_COUNT ? (uint32_t)-err : E_INTERNAL;
    const uint8_t be[4] = { 0, 0, (uint8_t)(code >> 8), (uint8_t)code };
    return send_message(r, WIRE_FAIL, be, sizeof be, detail, strnlen(detail, DETAIL_MAX));
}

static void begin(struct remote *r, const struct job *job)
{
    r->io.size = job->source_size;
    r->io.rungs = job->kind == JOB_VIDEO ? &remote_rungs : NULL;
    r->appended = 0;
    r->cancelled = false;
    memset(r->dropped, 0, sizeof r->dropped);
    r->rungs = 1 + job->also_count;
    r->joining_count = 0;
}

static int serve_job(struct remote *r, remote_run *run)
{
    struct job job;
    struct job_stats stats = { 0 };
    char detail[DETAIL_MAX] = "";
    int err = job_unpack(&job, r->in.payload.data, r->in.payload.len);
    if (err == 0) {
        begin(r, &job);
        allow_lines(r, WIRE_LINES_MAX);
        err = run(&job, &r->io, &stats, detail, sizeof detail);
        allow_lines(r, 0);
        r->rungs = 0;
    } else {
        copy_string(detail, sizeof detail, "the job cannot be read");
    }
    job_finish(&job);
    if (r->broken)
        return r->broken;
    return err == 0 ? send_done(r, &stats) : send_fail(r, err, detail);
}

static int say_hello(int fd, const char *signature)
{
    const uint8_t version[4] = { 0, 0, 0, WIRE_VERSION };
    return wire_send(fd, WIRE_HELLO, version, sizeof version, signature, strlen(signature));
}

// The memory of the last job is the next one's, but where none comes for a while.
static void rest(struct remote *r)
{
    struct pollfd p = { .fd = r->fd, .events = POLLIN };
    if (poll(&p, 1, REST_MS) == 0)
        heap_give_back();
}

static int serve(struct remote *r, remote_run *run)
{
    for (;;) {
        const int rc = receive(r); // orders here came too late for their job
        if (rc < 0)
            return rc;
        if (r->in.type != WIRE_JOB)
            return -E_PROTOCOL;
        const int err = serve_job(r, run);
        if (err < 0)
            return err;
        rest(r);
    }
}

static void init_sending(pthread_mutex_t *m)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(m, &attr);
    pthread_mutexattr_destroy(&attr);
}

int remote_serve(int fd, const char *signature, remote_run *run)
{
    struct remote r = {
        .io = { .read = remote_read,
                .append = remote_append,
                .cancelled = remote_cancelled,
                .want = remote_want },
        .fd = fd,
    };
    wire_message_init(&r.in);
    init_sending(&r.sending);
    speaker = &r;
    log_set_sink(log_to_wire);
    int rc = say_hello(fd, signature);
    if (rc == 0)
        rc = serve(&r, run);
    log_set_sink(NULL);
    pthread_mutex_destroy(&r.sending);
    wire_message_finish(&r.in);
    return rc == -E_WORKER ? 0 : rc;
}
