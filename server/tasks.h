// SPDX-License-Identifier: BSD-2-Clause
//
// tasks - a few threads that run short pieces of work in order of arrival; for
// what may block (disk, Redis, origin) and therefore not run on an HTTP thread.
//
// The queue needs no bound of its own: a task is part of a making, and makings
// are counted (making.h).

#ifndef SERVER_TASKS_H
#define SERVER_TASKS_H

#include <stdbool.h>

#include "base/list.h"

struct tasks;

// Embedded by its owner; on at most one queue at a time.
struct task {
    struct list link;            // private
    void (*run)(struct task *t); // on a task thread; may free the task
};

// name: at most 15 bytes, for the threads.
struct tasks *tasks_create(const char *name, int threads);

// Runs what is queued, then ends the threads.  NULL is fine.
void tasks_destroy(struct tasks *p);

// Never blocks.  Any thread.
void tasks_add(struct tasks *p, struct task *t);

// Takes t off the queue again: true, and it will not run; false, and it has run, runs
// or is about to.  t was added to p and is not freed meanwhile.  Never blocks.  Any
// thread.
bool tasks_take_back(struct tasks *p, struct task *t);

// How many run at once.
int tasks_threads(const struct tasks *p);

#endif
