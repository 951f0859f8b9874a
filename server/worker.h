// SPDX-License-Identifier: BSD-2-Clause
//
// worker - the server's side of one worker process: starts it, runs a job on it,
// cancels softly, kills when that does not help.
//
// A worker runs libav on hostile bytes, so every message of it is checked like
// a stranger's, and whatever it does ends in bounded time and memory.

#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "codec/job.h"
#include "config/conf.h"

struct zygote;
struct worker;

// Forks a worker that may allocate memory bytes (at most conf->workers_memory), and
// checks its greeting.  A zygote that died is started anew.  Blocks for milliseconds,
// seconds at worst.  Any thread.  NULL and one line in why on failure.
struct worker *worker_start(struct zygote *z, int64_t memory, char *why, size_t cap);

// Kills it if it lives; *w becomes NULL.  NULL is fine.
void worker_stop(struct worker **w);

// How a job gets at the world; called by the thread that is in worker_run.
struct worker_calls {
    void *arg;
    // Reads n bytes of the source, which lie within job->source_size.  How many came
    // (fewer: the source is shorter than was said), or a negative enum err.
    int64_t (*read)(void *arg, int64_t offset, void *out, int64_t n);
    // Takes bytes of that rung's answer (0 where there is but one); an error stops the job.
    int (*append)(void *arg, int rung, const void *bytes, size_t n);
    // Whether nobody wants the answer any more.
    bool (*cancelled)(void *arg);
    // These bytes, which lie within it, will be read soon.  NULL: that is of no interest.
    void (*want)(void *arg, int64_t offset, int64_t n);
    const struct worker_rungs *rungs; // NULL: there is but one
};

// What a worker is to be told of one of its job's rungs while it runs.
struct worker_order {
    const struct video_settings *join; // it is to be made, too; its number is the next one
    int rung;                          // else nobody wants this one any more
};

// Of a job that makes several rungs, or may come to.
struct worker_rungs {
    // What the worker is to be told now; false: nothing.  Asked where cancelled is.
    bool (*next)(void *arg, struct worker_order *out);
    // Whether it makes the one that was to join.  Each is told of once, before worker_run returns.
    void (*joined)(void *arg, int rung, bool taken);
    // All of it was appended, and the others go on.
    void (*end)(void *arg, int rung);
};

// Runs one job to its end, at the latest at the monotonic time deadline_ms, which gives each of its
// rungs the same time, and each that joins as much again.  Blocks.
// 0 and *stats; or a negative enum err and one line for people in detail:
//   what the worker says of the source or the job;
//   what a call returned (its first error), or -E_CANCELLED when cancelled() said so:
//     the worker is told, and killed if it goes on for conf->workers_cancel;
//   -E_CHANGED  a read came short;
//   -E_LIMITS   the answer of a rung above conf->cache_object;
//   -E_NO_MEMORY  it found none, whether it lives or not;
//   -E_TIMEOUT  the deadline passed, the worker is killed;
//   -E_KILLED   somebody else killed it (SIGKILL), which says nothing of the job;
//   -E_WORKER   it died by itself; -E_PROTOCOL: it broke the protocol and is killed.
// What was appended before a failure is void.  One thread at a time.
int worker_run(struct worker *w, const struct job *job, const struct worker_calls *calls,
               int64_t deadline_ms, struct job_stats *stats, char *detail, size_t cap);

// False after a crash, a kill or a breach of the protocol: stop it and start another.
// Not while it runs a job.
bool worker_alive(const struct worker *w);

// The process, for who wants to look at it.
pid_t worker_pid(const struct worker *w);

// Makes worker_run look at cancelled() and for orders now.  Any thread.
void worker_kick(struct worker *w);

#endif
