// SPDX-License-Identifier: BSD-2-Clause
//
// fake_worker - a worker program for tests of the server's side.  The test is its
// own worker program: main calls fake_worker_main first, which does not return in
// the worker's processes, and there calls the test's function for each job.

#ifndef TEST_UNIT_FAKE_WORKER_H
#define TEST_UNIT_FAKE_WORKER_H

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "codec/job.h"
#include "codec/wire.h"

#define FAKE_SIGNATURE "fake 1.0 cpu one headers 1"

// ---- what a worker says and hears; it ends when the server is gone

static inline void say(enum wire_type type, const void *p, size_t n)
{
    if (wire_send(3, type, p, n, NULL, 0) < 0)
        _exit(0);
}

static inline void ask(uint32_t id, uint64_t offset, uint32_t n)
{
    struct buf b;
    buf_init(&b, 16);
    put_be32(&b, id);
    put_be64(&b, offset);
    put_be32(&b, n);
    say(WIRE_READ, b.data, b.len);
    buf_finish(&b);
}

static inline void hear_any(struct wire_message *m)
{
    if (wire_receive(3, m, INT64_MAX) < 0)
        _exit(0);
}

static inline void hear(struct wire_message *m, enum wire_type type)
{
    hear_any(m);
    if (m->type != type)
        abort();
}

static inline void say_stats(const struct job_stats *s)
{
    struct buf b;
    buf_init(&b, WIRE_STATS_MAX);
    job_stats_pack(s, &b);
    say(WIRE_DONE, b.data, b.len);
    buf_finish(&b);
}

static inline void say_done(int64_t bytes)
{
    say_stats(&(struct job_stats){ .frames_decoded = 5, .bytes = bytes });
}

// Some of the answer of a rung.
static inline void say_some(uint8_t rung, const void *bytes, size_t n)
{
    struct buf b;
    buf_init(&b, WIRE_JOB_MAX);
    put_u8(&b, rung);
    buf_append(&b, bytes, n);
    say(WIRE_APPEND, b.data, b.len);
    buf_finish(&b);
}

static inline void say_fail(uint32_t code, const char *text)
{
    struct buf b;
    buf_init(&b, 1000);
    put_be32(&b, code);
    buf_puts(&b, text);
    say(WIRE_FAIL, b.data, b.len);
    buf_finish(&b);
}

static inline void hang(void)
{
    for (;;)
        pause();
}

static inline void crash(void)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

// ---- a zygote that forks such workers

// How that child ended, like the real zygote says it.
static inline void fake_status(pid_t pid)
{
    struct zygote_reply reply = { .pid = pid };
    reply.ok = waitpid(pid, &reply.error, 0) == pid;
    zygote_send(3, &reply, sizeof reply, -1);
}

static inline void fake_hello(void)
{
    char hello[4 + sizeof FAKE_SIGNATURE] = { 0, 0, 0, WIRE_VERSION };
    memcpy(hello + 4, FAKE_SIGNATURE, sizeof FAKE_SIGNATURE);
    say(WIRE_HELLO, hello, sizeof hello - 1);
}

// What concerned the job before.
static inline bool comes_too_late(const struct wire_message *m)
{
    return m->type == WIRE_CANCEL || m->type == WIRE_JOIN || m->type == WIRE_DROP;
}

typedef void fake_job(struct wire_message *m, const struct job *j);

static inline void fake_serve(fake_job *run)
{
    struct wire_message m;
    wire_message_init(&m);
    fake_hello();
    for (;;) {
        struct job j;
        hear_any(&m);
        if (comes_too_late(&m))
            continue;
        if (m.type != WIRE_JOB || job_unpack(&j, m.payload.data, m.payload.len) < 0)
            abort();
        run(&m, &j);
        job_finish(&j);
    }
}

static inline void fake_fork(int fd, fake_job *run)
{
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 3);
        syscall(SYS_close_range, 4, ~0u, 0);
        fake_serve(run);
    }
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    const struct zygote_reply reply = { .ok = 1, .pid = pid };
    zygote_send(3, &reply, sizeof reply, pidfd);
    close(pidfd);
    close(fd);
}

static inline void fake_zygote(fake_job *run)
{
    const struct zygote_hello hello = { .version = WIRE_VERSION, .ok = 1, .text = FAKE_SIGNATURE };
    struct zygote_request request;
    int fd;
    zygote_send(3, &hello, sizeof hello, -1);
    while (zygote_receive(3, &request, sizeof request, &fd) == 0) {
        if (request.kind == ZYGOTE_STATUS)
            fake_status(request.pid);
        else
            fake_fork(fd, run);
    }
    _exit(0);
}

// This program becomes the worker program of what it starts.
static inline void fake_worker_name_self(void)
{
    char self[2048];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert(n > 0);
    self[n] = '\0';
    setenv("TIDEMILL_WORKER", self, 1);
}

static inline void fake_worker_main(char **argv, fake_job *run)
{
    if (strcmp(argv[0], "tidemill-worker") == 0)
        fake_zygote(run);
    fake_worker_name_self();
}

#endif
