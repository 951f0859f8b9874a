// SPDX-License-Identifier: BSD-2-Clause
//
// zygote - the server's side of the program that loads libav once and forks workers.
// When it dies its workers die with it; it is started anew when the next one is wanted.

#ifndef SERVER_ZYGOTE_H
#define SERVER_ZYGOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/conf.h"

#define FORK_SECONDS 10 // a worker may take to be there
#define STOP_MS 2000    // a process may take to be dead

struct zygote;

// A process that it forked.
struct forked {
    pid_t pid;
    int pidfd; // readable when the process is dead; its owner closes it
};

// Starts the worker program and waits until it has tried its libraries.  The program
// is TIDEMILL_WORKER of the environment, else tidemill-worker beside the running
// program, else ../libexec/tidemill/tidemill-worker from there.  conf must outlive
// it.  NULL and one line in why on failure.
struct zygote *zygote_start(const struct conf *conf, char *why, size_t cap);

// What av_signature says in the program; valid until zygote_stop.
const char *zygote_signature(const struct zygote *z);

const struct conf *zygote_conf(const struct zygote *z);

// Ends it, and every worker process that is left; but worker_run must not be called
// any more.  NULL is fine.
void zygote_stop(struct zygote *z);

// Forks a worker that serves fd, which stays the caller's, and may allocate memory bytes (at most
// conf->workers_memory).  A zygote that died is started anew.  Blocks for milliseconds, seconds
// at worst.  Any thread.  False and one line in why on failure; there may be a pidfd in out even
// then, else -1.
bool zygote_fork(struct zygote *z, int fd, int64_t memory, struct forked *out, char *why,
                 size_t cap);

// How a dead worker ended, as waitpid(2) says it; without a zygote its workers were
// killed with it.  Blocks as zygote_fork.  Any thread.
int zygote_end_of(struct zygote *z, pid_t pid);

// Whether that process is dead; waits at most timeout_ms for that.
bool process_ended(int pidfd, int timeout_ms);

// Closes *fd unless that is -1, which it is then.
void close_fd(int *fd);

#endif
