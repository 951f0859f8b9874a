// SPDX-License-Identifier: BSD-2-Clause
//
// tasks - a few threads that run short pieces of work in order of arrival; for
// what may block (disk, Redis, origin) and therefore not run on an HTTP thread.  A
// thread is started when there is a task and no other thread for it, and stays.
//
// The queue has no bound of its own: a task is part of something that is counted
// (a making, a reader).

#ifndef BASE_TASKS_H
#define BASE_TASKS_H

#include <stdbool.h>

#include "base/list.h"

struct tasks;

// Embedded by its owner; on at most one queue at a time.
struct task {
    struct list link;            // private
    void (*run)(struct task *t); // on a task thread; may free the task
};

// name: at most 15 bytes, for the threads; threads: how many there will be at most.
struct tasks *tasks_create(const char *name, int threads);

// Runs what is queued, then ends the threads.  NULL is fine.
void tasks_destroy(struct tasks *p);

// Never blocks.  Any thread.
void tasks_add(struct tasks *p, struct task *t);

// Takes t off the queue again: true, and it will not run; false, and it has run, runs
// or is about to.  t was added to p and is not freed meanwhile.  Never blocks.  Any
// thread.
bool tasks_take_back(struct tasks *p, struct task *t);

// How many run at once at most.
int tasks_threads(const struct tasks *p);

#endif
