// SPDX-License-Identifier: BSD-2-Clause
//
// The worker's program: first a zygote, which loads and tries the libraries once
// and then only forks, so that a fresh worker costs a millisecond; then, in each
// child, a worker that serves jobs from one socket.
//
// Who dies with whom: the server holds the other end of the control socket and of
// each worker's socket, and nobody else does.  When it closes them, or dies, the
// zygote ends, and the kernel kills the workers with it (they may be deep in a
// decoder and not looking).  Signals that are meant for the server (a terminal's,
// a service manager's) are ignored here: the server finishes its jobs first.
//
// A worker has one descriptor, its socket.  0, 1 and 2 are /dev/null: were they
// closed, the next socket or file would get such a number, and what some library
// prints would go into it.  So nobody here has the server's standard error: a worker
// that was taken over can forge no lines in the log and fill no disk.  What it has to
// say goes over the wire, where lines are counted and escaped; how it died, the server
// asks the zygote.  Only sanitizer builds keep standard error, for their reports.
//
// A worker may write no file, and gives way to the server in CPU time and when memory
// runs out.
//
// Drivers of graphics processors open many files and reserve gigabytes of addresses: where they
// are to be used ("devices"), both limits are wider.
//
// Its memory is what it may allocate (RLIMIT_DATA) beyond what it was born with, which
// all share; an allocation too many fails, and its job with it.  Addresses as such are
// limited too, as a second wall: shared mappings are no data to the kernel.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"
#include "codec/av/av.h"
#include "codec/av/heap.h"
#include "codec/av/remote.h"
#include "codec/wire.h"

#define WORKER_FD ZYGOTE_FD // a worker's socket takes the place of the control socket
#define NICE 10
#define DESCRIPTORS 16
#define DEVICE_DESCRIPTORS 256
#define STACK ((size_t)(2 * MIB))
#define ADDRESSES (1 * GIB) // for libraries, and what is reserved and never used
#define ENDED_MAX 256
#define OOM_SCORE "900" // of 1000: the kernel takes a worker rather than the server

static bool devices; // whether drivers of graphics processors are let in

// ---- the worker

#ifdef SANITIZED
// Sanitizers reserve terabytes of addresses, so here resident memory is watched instead.
static void *watch_memory(void *limit)
{
    const int64_t max_pages = *(const int64_t *)limit / sysconf(_SC_PAGESIZE);
    for (;;) {
        long long size = 0, resident = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (f && fscanf(f, "%lld %lld", &size, &resident) == 2 && resident > max_pages) {
            log_error("worker", "more than %lld bytes of memory", (long long)*(int64_t *)limit);
            _exit(1);
        }
        if (f)
            fclose(f);
        poll(NULL, 0, 20);
    }
    return NULL;
}
#endif

// What is limited to less already, stays so.  No limit, no worker.
static void limit(__rlimit_resource_t what, int64_t most)
{
    struct rlimit r;
    if (getrlimit(what, &r) != 0)
        _exit(1);
    r.rlim_max = r.rlim_max < (rlim_t)most ? r.rlim_max : (rlim_t)most;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(what, &r) != 0)
        _exit(1);
}

#ifndef SANITIZED
// Bytes of data that we were born with; 0 when nobody says.
static int64_t inherited(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    const bool known = f && fscanf(f, "%*d %*d %*d %*d %*d %lld", &pages) == 1;
    if (f)
        fclose(f);
    return known ? pages * sysconf(_SC_PAGESIZE) : 0;
}
#endif

static void limit_memory(int64_t memory)
{
#ifdef SANITIZED
    static int64_t most;
    most = memory;
    thread_start("memory", watch_memory, &most);
#else
    limit(RLIMIT_DATA, memory + inherited());
    if (!devices)
        limit(RLIMIT_AS, memory + ADDRESSES);
#endif
}

static void limit_files(void)
{
    limit(RLIMIT_NOFILE, devices ? DEVICE_DESCRIPTORS : DESCRIPTORS);
#ifdef SANITIZED
    struct stat st;
    if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode))
        return; // it would silence the reports
#endif
    limit(RLIMIT_FSIZE, 0);
}

static void give_way(void)
{
    const struct sched_param none = { 0 };
    sched_setscheduler(0, SCHED_BATCH, &none);
    setpriority(PRIO_PROCESS, 0, NICE);
    time_slice(0); // it was the server's
    // All of this is a courtesy: where it is refused, we work without.
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    (void)!write(fd, OOM_SCORE, strlen(OOM_SCORE));
    if (fd >= 0)
        close(fd);
}

// glibc's would write to standard error.
void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    log_error("assert", "%s:%u: %s: %s", file, line, function, assertion);
    abort();
}

static void end_without_memory(void)
{
    _exit(WORKER_NO_MEMORY);
}

// A freshly forked child.  Does not return.
static void work(int fd, pid_t zygote, int64_t memory)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != zygote) // it died before that
        _exit(0);
    if (dup2(fd, WORKER_FD) < 0 || syscall(SYS_close_range, WORKER_FD + 1, ~0u, 0) != 0)
        _exit(1);
    prctl(PR_SET_NAME, "tidemill-job");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    give_way();
    limit(RLIMIT_CORE, 0);
    limit_files();
    on_no_memory(end_without_memory);
    limit_memory(memory);
    av_allow(memory);
    log_set_level(LOG_DEBUG); // the server decides what is kept
    const int rc = remote_serve(WORKER_FD, av_signature(), av_run);
    _exit(rc < 0);
}

// ---- the zygote

// How the last workers ended; the server asks when one is missing.
static struct ended {
    pid_t pid;
    int status;
} ended[ENDED_MAX];
static size_t ended_next;

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        ended[ended_next++ % ENDED_MAX] = (struct ended){ pid, status };
}

static bool tell_status(pid_t pid)
{
    struct zygote_reply reply = { .pid = pid };
    reap();
    for (size_t i = 0; i < ENDED_MAX; i++) {
        if (ended[i].pid == pid)
            reply = (struct zygote_reply){ .ok = 1, .pid = pid, .error = ended[i].status };
    }
    return zygote_send(ZYGOTE_FD, &reply, sizeof reply, -1) == 0;
}

// Forks a worker that serves fd and answers the server.  False when it is gone.
static bool fork_worker(int fd, int64_t memory)
{
    const pid_t zygote = getpid();
    const pid_t pid = fd < 0 ? -1 : fork();
    if (pid == 0)
        work(fd, zygote, memory);
    // Nobody but reap() takes a dead child's number away, so this is that child.
    const int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    struct zygote_reply reply = { .ok = 1, .pid = pid };
    if (pidfd < 0)
        reply = (struct zygote_reply){ .error = fd < 0 ? EINVAL : errno };
    const int rc = zygote_send(ZYGOTE_FD, &reply, sizeof reply, pidfd);
    if (pidfd >= 0)
        close(pidfd);
    return rc == 0;
}

static bool serve_request(int64_t most)
{
    struct zygote_request request;
    int fd;
    if (zygote_receive(ZYGOTE_FD, &request, sizeof request, &fd) < 0)
        return false;
    bool alive = false;
    if (request.kind == ZYGOTE_FORK)
        alive = fork_worker(fd, request.memory < most ? request.memory : most);
    else if (request.kind == ZYGOTE_STATUS)
        alive = tell_status(request.pid);
    if (fd >= 0)
        close(fd);
    return alive;
}

static void serve_requests(int signals, int64_t most)
{
    for (bool alive = true; alive;) {
        struct pollfd p[] = { { .fd = ZYGOTE_FD, .events = POLLIN },
                              { .fd = signals, .events = POLLIN } };
        if (poll(p, countof(p), -1) < 0)
            continue;
        struct signalfd_siginfo info;
        if (p[1].revents && read(signals, &info, sizeof info) > 0)
            reap();
        if (p[0].revents)
            alive = serve_request(most);
    }
}

// Returns the descriptor that tells of dead children.
static int arrange_signals(void)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2 };
    for (size_t i = 0; i < countof(ignored); i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

// What is read from it now on is nothing, what is written to it goes nowhere.
static bool silence(int stream)
{
    const int null = open("/dev/null", (stream == STDIN_FILENO ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    const bool ok = null >= 0 && dup2(null, stream) >= 0;
    if (null >= 0)
        close(null);
    return ok;
}

// Until the libraries were tried, what a loader says of them may be read by somebody.
static bool silence_errors(void)
{
#ifdef SANITIZED
    return true;
#else
    return silence(STDERR_FILENO);
#endif
}

// What threads may use of their stacks, not what they do, counts as their memory.
static void size_stacks(void)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
}

static bool say_hello(void)
{
    struct zygote_hello hello = { .version = WIRE_VERSION };
    hello.ok = av_setup(hello.text, sizeof hello.text) == 0;
    if (hello.ok) {
        const bool whole = copy_string(hello.text, sizeof hello.text, av_signature());
        assert(whole);
    }
    return zygote_send(ZYGOTE_FD, &hello, sizeof hello, -1) == 0 && hello.ok;
}

static bool parse_memory(const char *s, int64_t *out)
{
    char *end;
    errno = 0;
    const long long v = strtoll(s, &end, 10);
    *out = v;
    return errno == 0 && *s && !*end && v > 0;
}

int main(int argc, char **argv)
{
    struct stat st;
    int64_t memory;
    devices = argc == 3 && strcmp(argv[2], "devices") == 0;
    if ((argc != 2 && !devices) || !parse_memory(argv[1], &memory) || fstat(ZYGOTE_FD, &st) != 0 ||
        !S_ISSOCK(st.st_mode)) {
        fputs("tidemill-worker: a part of tidemill, which starts it\n", stderr);
        return 2;
    }
    const int signals = arrange_signals();
    if (signals < 0)
        return 1;
    setpgid(0, 0);
    heap_settle();
    size_stacks();
    if (!silence(STDIN_FILENO) || !silence(STDOUT_FILENO) || !say_hello() || !silence_errors())
        return 1;
    serve_requests(signals, memory);
    return 0;
}
