// SPDX-License-Identifier: BSD-2-Clause
//
// Lock: zygote.lock is held over one request and reply on the control socket.

#include "server/zygote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/wire.h"

#define PROGRAM "tidemill-worker"
#define START_SECONDS 30 // the program tries its libraries

struct zygote {
    const struct conf *conf;  // constant
    char program[4096];       // constant
    char text[WIRE_TEXT_MAX]; // constant: the signature
    pthread_mutex_t lock;     // protects the rest
    int control;              // -1: it does not run
    pid_t pid;
};

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool find_program(char *out, size_t cap)
{
    static const char *const places[] = { PROGRAM, "../libexec/tidemill/" PROGRAM };
    const char *env = getenv("TIDEMILL_WORKER");
    if (env && *env)
        return copy_string(out, cap, env);
    char self[2048];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return false;
    self[n] = '\0';
    *(strrchr(self, '/') + 1) = '\0';
    for (size_t i = 0; i < countof(places); i++) {
        snprintf(out, cap, "%s%s", self, places[i]);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

// The environment may hold secrets; a worker gets what loaders and sanitizers read.
static void worker_environment(char **out, size_t cap)
{
    static const char *const passed[] = { "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "LSAN_OPTIONS=",
                                          "UBSAN_OPTIONS=", "TSAN_OPTIONS=" };
    size_t n = 0;
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < countof(passed); i++)
            if (n < cap - 1 && strncmp(*e, passed[i], strlen(passed[i])) == 0)
                out[n++] = *e;
    out[n] = NULL;
}

// Runs the program with control as its descriptor ZYGOTE_FD and nothing above.
// 0 or errno.
static int spawn(const char *program, int control, const struct conf *conf, pid_t *pid)
{
    char name[] = PROGRAM, limit[24];
    char devices[] = "devices";
    snprintf(limit, sizeof limit, "%lld", (long long)conf->workers_memory);
    char *const argv[] = { name, limit, conf->workers_devices ? devices : NULL, NULL };
    char *envp[7];
    worker_environment(envp, countof(envp));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, control, ZYGOTE_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, ZYGOTE_FD + 1);
    const int err = posix_spawn(pid, program, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

static void set_patience(int fd, int seconds)
{
    const struct timeval t = { .tv_sec = seconds };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
}

bool process_ended(int pidfd, int timeout_ms)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    return poll(&p, 1, timeout_ms) > 0;
}

// It ends by itself once its control socket is closed; if not, it is made to.
static void end_zygote(struct zygote *z)
{
    if (z->control < 0)
        return;
    close_fd(&z->control);
    int pidfd = (int)syscall(SYS_pidfd_open, z->pid, 0);
    if (pidfd < 0 || !process_ended(pidfd, STOP_MS))
        kill(z->pid, SIGKILL);
    close_fd(&pidfd);
    while (waitpid(z->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static bool take_hello(struct zygote *z, struct zygote_hello *hello, char *why, size_t cap)
{
    int fd;
    const int rc = zygote_receive(z->control, hello, sizeof *hello, &fd);
    close_fd(&fd);
    hello->text[sizeof hello->text - 1] = '\0';
    if (rc < 0)
        snprintf(why, cap, "%s does not start", z->program);
    else if (hello->version != WIRE_VERSION)
        snprintf(why, cap, "%s is of another version", z->program);
    else if (!hello->ok)
        snprintf(why, cap, "%s: %s", z->program, hello->text);
    else
        return true;
    return false;
}

static bool run_program(struct zygote *z, struct zygote_hello *hello, char *why, size_t cap)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        snprintf(why, cap, "no socket for the workers: %s", strerror(errno));
        return false;
    }
    const int err = spawn(z->program, pair[1], z->conf, &z->pid);
    close(pair[1]);
    if (err) {
        close(pair[0]);
        snprintf(why, cap, "%s: %s", z->program, strerror(err));
        return false;
    }
    z->control = pair[0];
    set_patience(z->control, START_SECONDS);
    if (!take_hello(z, hello, why, cap)) {
        end_zygote(z);
        return false;
    }
    set_patience(z->control, FORK_SECONDS);
    return true;
}

struct zygote *zygote_start(const struct conf *conf, char *why, size_t cap)
{
    struct zygote *z = xcalloc(1, sizeof *z);
    struct zygote_hello hello;
    z->conf = conf;
    z->control = -1;
    pthread_mutex_init(&z->lock, NULL);
    bool ok = find_program(z->program, sizeof z->program);
    if (!ok)
        snprintf(why, cap, "there is no %s beside this program", PROGRAM);
    ok = ok && run_program(z, &hello, why, cap);
    if (!ok) {
        zygote_stop(z);
        return NULL;
    }
    copy_string(z->text, sizeof z->text, hello.text);
    return z;
}

const char *zygote_signature(const struct zygote *z)
{
    return z->text;
}

const struct conf *zygote_conf(const struct zygote *z)
{
    return z->conf;
}

void zygote_stop(struct zygote *z)
{
    if (!z)
        return;
    end_zygote(z);
    pthread_mutex_destroy(&z->lock);
    free(z);
}

// Starts a zygote that died.  Only the same program will do: what was promised to
// players rests on its libraries.
static bool revive(struct zygote *z, char *why, size_t cap)
{
    struct zygote_hello hello;
    log_warn("worker", "the program that forks workers died; starting it anew");
    if (!run_program(z, &hello, why, cap))
        return false;
    if (strcmp(hello.text, z->text) == 0)
        return true;
    snprintf(why, cap, "%s has changed: restart the server", z->program);
    end_zygote(z);
    return false;
}

// Asks for one worker that serves fd: 0 and the reply, with its pidfd; or -E_WORKER
// when there is no zygote (any more).
static int request_fork(struct zygote *z, int fd, int64_t memory, struct zygote_reply *reply,
                        int *pidfd)
{
    const struct zygote_request request = { .kind = ZYGOTE_FORK, .memory = memory };
    int rc = z->control < 0 ? -E_WORKER : zygote_send(z->control, &request, sizeof request, fd);
    if (rc == 0)
        rc = zygote_receive(z->control, reply, sizeof *reply, pidfd);
    if (rc < 0)
        end_zygote(z); // or replies would be out of step
    return rc;
}

int zygote_end_of(struct zygote *z, pid_t pid)
{
    const struct zygote_request request = { .kind = ZYGOTE_STATUS, .pid = pid };
    struct zygote_reply reply = { 0 };
    int fd = -1;
    lock(&z->lock);
    int rc = z->control < 0 ? -E_WORKER : zygote_send(z->control, &request, sizeof request, -1);
    if (rc == 0)
        rc = zygote_receive(z->control, &reply, sizeof reply, &fd);
    if (rc < 0)
        end_zygote(z);
    unlock(&z->lock);
    close_fd(&fd);
    return rc < 0 ? SIGKILL : reply.ok ? reply.error : 0;
}

bool zygote_fork(struct zygote *z, int fd, int64_t memory, struct forked *out, char *why,
                 size_t cap)
{
    struct zygote_reply reply = { 0 };
    out->pidfd = -1;
    lock(&z->lock);
    int rc = request_fork(z, fd, memory, &reply, &out->pidfd);
    if (rc < 0 && revive(z, why, cap))
        rc = request_fork(z, fd, memory, &reply, &out->pidfd);
    unlock(&z->lock);
    if (rc < 0)
        return false;
    out->pid = reply.pid;
    if (reply.ok && out->pidfd >= 0)
        return true;
    snprintf(why, cap, "no worker could be forked: %s",
             reply.ok ? "no pidfd came" : strerror(reply.error));
    return false;
}
