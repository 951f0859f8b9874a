// SPDX-License-Identifier: BSD-2-Clause
//
// worker_run is one loop over one worker's socket that never waits for anything
// but poll: so a worker that stops in the middle of a message, or does not take
// the bytes it asked for, keeps nobody from cancelling or killing it.
//
// Order on the wire: output is sent before more input is taken.  A worker that asks
// for much therefore holds at most one answered READ of our memory, and when it
// says DONE nothing is on its way to it.
//
// A run that has failed for a reason of ours (cancelled, a failed read, too many
// bytes) remembers that reason, sends CANCEL, shortens the time limit and goes on
// serving the worker until it ends softly; its bytes are thrown away.

#include "server/worker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "codec/wire.h"
#include "server/zygote.h"

struct worker {
    const struct conf *conf;
    struct zygote *zygote;
    struct forked process;
    int fd;   // the wire
    int kick; // eventfd
    atomic_bool alive;
    // worker_run only
    struct wire_message in;
    struct wire_out out;
    uint8_t bytes[WIRE_READ_MAX];
};

// ---- a worker's life

static bool greet(struct worker *w, const char *signature, char *why, size_t cap)
{
    const int rc = wire_receive(w->fd, &w->in, clock_ms() + FORK_SECONDS * 1000);
    struct reader r = reader_of(w->in.payload.data, rc == 0 ? w->in.payload.len : 0);
    if (rc == 0 && w->in.type == WIRE_HELLO && get_be32(&r) == WIRE_VERSION &&
        reader_left(&r) == strlen(signature) && memcmp(r.p, signature, reader_left(&r)) == 0)
        return true;
    snprintf(why, cap, "a new worker did not greet: %s", err_sentence(rc ? rc : -E_PROTOCOL));
    return false;
}

struct worker *worker_start(struct zygote *z, int64_t memory, char *why, size_t cap)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        snprintf(why, cap, "no socket for a worker: %s", strerror(errno));
        return NULL;
    }
    struct worker *w = xcalloc(1, sizeof *w);
    w->conf = zygote_conf(z);
    w->zygote = z;
    w->fd = pair[0];
    w->process.pidfd = -1;
    w->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wire_message_init(&w->in);
    wire_out_init(&w->out);
    bool ok = w->kick >= 0;
    if (!ok)
        snprintf(why, cap, "no descriptor for a worker: %s", strerror(errno));
    ok = ok && zygote_fork(z, pair[1], memory, &w->process, why, cap);
    close(pair[1]);
    ok = ok && greet(w, zygote_signature(z), why, cap);
    if (!ok) {
        worker_stop(&w);
        return NULL;
    }
    w->alive = true;
    stat_add(STAT_workers_started_total, 1);
    log_debug("worker", "process %d started", (int)w->process.pid);
    return w;
}

static void kill_worker(struct worker *w)
{
    w->alive = false;
    if (w->process.pidfd >= 0)
        syscall(SYS_pidfd_send_signal, w->process.pidfd, SIGKILL, NULL, 0);
}

void worker_stop(struct worker **w)
{
    if (!*w)
        return;
    kill_worker(*w);
    close_fd(&(*w)->fd);
    close_fd(&(*w)->process.pidfd);
    close_fd(&(*w)->kick);
    wire_message_finish(&(*w)->in);
    wire_out_finish(&(*w)->out);
    free(*w);
    *w = NULL;
}

bool worker_alive(const struct worker *w)
{
    // Between jobs a worker has nothing to say: what can be received is its end, or
    // the beginning of a forged answer to the next job.
    return w->alive && !process_ended(w->process.pidfd, 0) && !wire_pending(w->fd);
}

pid_t worker_pid(const struct worker *w)
{
    return w->process.pid;
}

void worker_kick(struct worker *w)
{
    const uint64_t one = 1;
    const ssize_t n = write(w->kick, &one, sizeof one);
    assert(n == sizeof one || errno == EAGAIN); // EAGAIN: kicked 2^64 times already
}

// ---- a run

struct run {
    struct worker *w;
    const struct job *job;
    const struct worker_calls *calls;
    int64_t limit_ms; // killed then
    int64_t each_ms;  // that one more rung adds
    int err;          // 0, or our own reason why the answer is void: the first one
    int64_t received; // bytes of the answers
    struct rung {
        enum { RUNG_NONE, RUNG_ASKED, RUNG_RUNS, RUNG_OVER } state;
        int64_t received;
    } rungs[JOB_RUNGS_MAX];
    int rung_count; // of which it was told
    int lines;      // that it logged
    struct job_stats *stats;
    char *detail;
    size_t cap;
};

static void say(struct run *r, const char *text)
{
    copy_string(r->detail, r->cap, text);
}

// The answer is void: asks the worker to end softly, soon.
static void give_up(struct run *r, int err)
{
    if (r->err)
        return;
    r->err = err;
    say(r, err_sentence(err));
    const int64_t soon = clock_ms() + r->w->conf->workers_cancel;
    r->limit_ms = soon < r->limit_ms ? soon : r->limit_ms;
    wire_out_put(&r->w->out, WIRE_CANCEL, NULL, 0, NULL, 0);
}

static int breach(struct run *r, const char *what)
{
    kill_worker(r->w);
    stat_add(STAT_workers_crashed_total, 1);
    say(r, what);
    return -E_PROTOCOL;
}

static int starved(struct run *r)
{
    if (r->err)
        return r->err;
    say(r, "the worker had no memory left (workers.memory)");
    return -E_NO_MEMORY;
}

// Killed by somebody else or by the kernel for want of memory, but not by what it was
// decoding.
static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int gone(struct run *r)
{
    // One that we killed ourselves is no news.  Else: it closes its socket before it
    // is dead for waitpid.
    const bool alone = r->w->alive && process_ended(r->w->process.pidfd, STOP_MS);
    const int status = alone ? zygote_end_of(r->w->zygote, r->w->process.pid) : 0;
    const bool killed = was_killed(status);
    kill_worker(r->w);
    if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_NO_MEMORY)
        return starved(r);
    stat_add(killed ? STAT_workers_lost_total : STAT_workers_crashed_total, 1);
    if (r->err)
        return r->err;
    if (killed)
        say(r, "the worker was killed from outside");
    else if (WIFSIGNALED(status))
        snprintf(r->detail, r->cap, "the worker died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        say(r, "the worker died");
    return killed ? -E_KILLED : -E_WORKER;
}

// The wire cannot be used any more, says wire.h.
static int lost(struct run *r, int err)
{
    if (err == -E_PROTOCOL)
        return breach(r, "the worker sent what is no message");
    if (err == -E_WORKER)
        return gone(r);
    kill_worker(r->w);
    say(r, err_sentence(err));
    return err;
}

static int overdue(struct run *r)
{
    kill_worker(r->w);
    if (r->err)
        return r->err;
    stat_add(STAT_workers_killed_total, 1);
    say(r, "the job took too long and its worker was killed");
    return -E_TIMEOUT;
}

// ---- what a worker says

static int64_t read_source(struct run *r, int64_t offset, int64_t n)
{
    if (r->err)
        return -E_CANCELLED;
    int64_t got = r->calls->read(r->calls->arg, offset, r->w->bytes, n);
    assert(got <= n);
    if (got >= 0 && got < n)
        got = -E_CHANGED;
    if (got < 0)
        give_up(r, (int)got);
    return got;
}

static bool lies_within(const struct run *r, uint64_t offset, uint64_t n)
{
    const uint64_t size = (uint64_t)r->job->source_size;
    return n >= 1 && n <= size && offset <= size - n;
}

static int take_read(struct run *r, struct reader *body)
{
    const uint32_t id = get_be32(body);
    const uint64_t offset = get_be64(body);
    const int64_t n = get_be32(body);
    if (n > WIRE_READ_MAX || !lies_within(r, offset, (uint64_t)n))
        return breach(r, "the worker asked for bytes outside the source");
    const int64_t got = read_source(r, (int64_t)offset, n);
    uint8_t head[8];
    for (int i = 0; i < 4; i++) {
        head[i] = (uint8_t)(id >> 8 * (3 - i));
        head[4 + i] = (uint8_t)((got < 0 ? (uint32_t)-got : 0) >> 8 * (3 - i));
    }
    const int rc = wire_out_put(&r->w->out, WIRE_DATA, head, sizeof head, r->w->bytes,
                                got < 0 ? 0 : (size_t)got);
    return rc < 0 ? lost(r, rc) : 0;
}

static int take_want(struct run *r, struct reader *body)
{
    const uint64_t offset = get_be64(body), n = get_be64(body);
    if (!lies_within(r, offset, n))
        return breach(r, "the worker wants bytes outside the source");
    if (r->calls->want && !r->err)
        r->calls->want(r->calls->arg, (int64_t)offset, (int64_t)n);
    return 0;
}

static bool runs(const struct run *r, int rung)
{
    return rung < r->rung_count && r->rungs[rung].state == RUNG_RUNS;
}

static int take_append(struct run *r, struct reader *body)
{
    const int rung = get_u8(body);
    const int64_t n = (int64_t)reader_left(body);
    if (!runs(r, rung))
        return breach(r, "the worker answered what nobody asked");
    r->received += n;
    r->rungs[rung].received += n;
    if (r->err)
        return 0;
    if (r->rungs[rung].received > r->w->conf->cache_object) {
        give_up(r, -E_LIMITS);
        say(r, "the answer exceeds cache.object");
        return 0;
    }
    const int rc = r->calls->append(r->calls->arg, rung, body->p, (size_t)n);
    if (rc < 0)
        give_up(r, rc);
    return 0;
}

static int take_joined(struct run *r, struct reader *body)
{
    const int rung = get_u8(body);
    const bool taken = get_u8(body) == 1;
    if (rung >= r->rung_count || r->rungs[rung].state != RUNG_ASKED)
        return breach(r, "the worker answered what nobody asked");
    r->rungs[rung].state = taken ? RUNG_RUNS : RUNG_OVER;
    r->calls->rungs->joined(r->calls->arg, rung, taken);
    return 0;
}

static int take_end(struct run *r, struct reader *body)
{
    const int rung = get_u8(body);
    if (!r->calls->rungs || !runs(r, rung))
        return breach(r, "the worker ended what it did not make");
    r->rungs[rung].state = RUNG_OVER;
    if (!r->err)
        r->calls->rungs->end(r->calls->arg, rung);
    return 0;
}

static int take_done(struct run *r, const uint8_t *bytes, size_t n)
{
    if (job_stats_unpack(r->stats, bytes, n) < 0 || r->stats->bytes != r->received)
        return breach(r, "the worker's account of its job is wrong");
    return r->err;
}

// What a worker may say; the other errors are not its to find.
static bool is_workers_to_say(uint32_t code)
{
    static const uint8_t codes[] = { E_UNSUPPORTED, E_CORRUPT, E_LIMITS, E_SEEK, E_NO_MEMORY };
    return memchr(codes, (int)code, sizeof codes) != NULL;
}

// A line for people, of a stranger.
static void take_line(struct reader *body, char *out, size_t cap)
{
    size_t n = 0;
    for (; n + 1 < cap && reader_left(body) > 0; n++) {
        const char c = (char)get_u8(body);
        out[n] = c >= ' ' && c <= '~' ? c : '?';
    }
    out[n] = '\0';
}

// A worker warns at most: what it calls an error may be its own invention.
static int take_log(struct run *r, struct reader *body)
{
    char line[1 + WIRE_LINE_MAX];
    const uint8_t level = get_u8(body);
    if (++r->lines > WIRE_LINES_MAX || level > LOG_DEBUG)
        return breach(r, "the worker logged what it may not");
    take_line(body, line, sizeof line);
    log_line(level < LOG_WARN ? LOG_WARN : (enum log_level)level, "worker", "process %d: %s",
             (int)r->w->process.pid, line);
    return 0;
}

static int take_fail(struct run *r, struct reader *body)
{
    const uint32_t code = get_be32(body);
    if (code == 0 || code >= E_COUNT)
        return breach(r, "the worker failed for no known reason");
    if (r->err)
        return r->err;
    take_line(body, r->detail, r->cap);
    return is_workers_to_say(code) ? -(int)code : -E_INTERNAL;
}

// True when the run is over, with *result.
static bool take_message(struct run *r, int *result)
{
    const struct wire_message *m = &r->w->in;
    struct reader body = reader_of(m->payload.data, m->payload.len);
    switch (m->type) {
    case WIRE_READ:
        *result = take_read(r, &body);
        return *result < 0;
    case WIRE_WANT:
        *result = take_want(r, &body);
        return *result < 0;
    case WIRE_APPEND:
        *result = take_append(r, &body);
        return *result < 0;
    case WIRE_JOINED:
        *result = take_joined(r, &body);
        return *result < 0;
    case WIRE_END:
        *result = take_end(r, &body);
        return *result < 0;
    case WIRE_LOG:
        *result = take_log(r, &body);
        return *result < 0;
    case WIRE_DONE:
        *result = take_done(r, m->payload.data, m->payload.len);
        return true;
    case WIRE_FAIL:
        *result = take_fail(r, &body);
        return true;
    default:
        *result = breach(r, "the worker said something it may not say");
        return true;
    }
}

// Sends what is to be sent and takes one message.  True when the run is over.
static bool exchange(struct run *r, bool *progress, int *result)
{
    struct worker *w = r->w;
    *progress = false;
    int rc = wire_out_flush(w->fd, &w->out);
    if (rc == 0 && wire_out_empty(&w->out))
        rc = wire_take(w->fd, &w->in);
    if (rc < 0) {
        *result = lost(r, rc);
        return true;
    }
    *progress = rc == 1;
    return rc == 1 && take_message(r, result);
}

// Waits for anything to happen.  False when the worker is dead and has said all.
static bool wait_for_worker(const struct run *r, int64_t now_ms)
{
    const struct worker *w = r->w;
    struct pollfd p[] = {
        { .fd = w->fd, .events = wire_out_empty(&w->out) ? POLLIN : POLLOUT },
        { .fd = w->kick, .events = POLLIN },
        { .fd = w->process.pidfd, .events = POLLIN },
    };
    const int64_t left = r->limit_ms - now_ms;
    if (poll(p, countof(p), left < INT_MAX ? (int)left : INT_MAX) <= 0)
        return true;
    uint64_t kicks;
    if (p[1].revents && read(w->kick, &kicks, sizeof kicks) < 0)
        assert(errno == EAGAIN || errno == EINTR);
    return !p[2].revents || p[0].revents;
}

static void put_join(struct run *r, const struct video_settings *v)
{
    struct buf b;
    buf_init(&b, WIRE_RUNG_MAX);
    job_rung_pack(v, &b);
    assert(r->rung_count < JOB_RUNGS_MAX && buf_error(&b) == 0);
    r->rungs[r->rung_count++].state = RUNG_ASKED;
    r->limit_ms += r->each_ms;
    wire_out_put(&r->w->out, WIRE_JOIN, b.data, b.len, NULL, 0);
    buf_finish(&b);
}

static void put_orders(struct run *r)
{
    struct worker_order order;
    while (r->calls->rungs && !r->err && r->calls->rungs->next(r->calls->arg, &order)) {
        const uint8_t rung = (uint8_t)order.rung;
        if (order.join)
            put_join(r, order.join);
        else
            wire_out_put(&r->w->out, WIRE_DROP, &rung, 1, NULL, 0);
    }
}

// What the worker did not answer, it does not make.
static void refuse_asked(struct run *r)
{
    for (int i = 0; i < r->rung_count; i++)
        if (r->rungs[i].state == RUNG_ASKED)
            r->calls->rungs->joined(r->calls->arg, i, false);
}

static int run_to_end(struct run *r)
{
    for (;;) {
        if (!r->err && r->calls->cancelled(r->calls->arg))
            give_up(r, -E_CANCELLED);
        put_orders(r);
        const int64_t now_ms = clock_ms();
        if (now_ms >= r->limit_ms)
            return overdue(r);
        bool progress;
        int result;
        if (exchange(r, &progress, &result))
            return result;
        if (!progress && !wait_for_worker(r, now_ms))
            return gone(r);
    }
}

static int put_job(struct worker *w, const struct job *job)
{
    struct buf b;
    buf_init(&b, WIRE_JOB_MAX);
    int rc = job_pack(job, &b);
    if (rc == 0)
        rc = wire_out_put(&w->out, WIRE_JOB, b.data, b.len, NULL, 0);
    buf_finish(&b);
    return rc;
}

int worker_run(struct worker *w, const struct job *job, const struct worker_calls *calls,
               int64_t deadline_ms, struct job_stats *stats, char *detail, size_t cap)
{
    struct run r = {
        .w = w,
        .job = job,
        .calls = calls,
        .limit_ms = deadline_ms,
        .each_ms = deadline_ms < INT64_MAX ? (deadline_ms - clock_ms()) / (1 + job->also_count) : 0,
        .stats = stats,
        .detail = detail,
        .cap = cap,
        .rung_count = 1 + job->also_count,
    };
    for (int i = 0; i < r.rung_count; i++)
        r.rungs[i].state = RUNG_RUNS;
    *stats = (struct job_stats){ 0 };
    detail[0] = '\0';
    if (!worker_alive(w))
        return gone(&r);
    int rc = put_job(w, job);
    if (rc < 0)
        say(&r, "the job is too large");
    else
        rc = run_to_end(&r);
    refuse_asked(&r);
    // The memory of a large job is not kept until the next one.
    wire_out_finish(&w->out);
    wire_out_init(&w->out);
    return rc;
}
