// SPDX-License-Identifier: BSD-2-Clause
//
// deadlines - one thread that says when time is up.  Everybody gets the same time,
// so who came first is first; adding and removing cost nothing to speak of.

#ifndef SERVER_DEADLINES_H
#define SERVER_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct deadlines;

// Embedded by its owner.
struct deadline {
    struct list link; // private
    int64_t at_ms;    // private
    // Called at most once, with no lock held, from the thread of the deadlines (or by
    // deadlines_pass).  Should not block: others wait for the thread.
    void (*passed)(struct deadline *d);
};

// after_ms: how long everybody has.
struct deadlines *deadlines_create(int64_t after_ms);

// NULL is fine; nobody may have a deadline there.
void deadlines_destroy(struct deadlines *p);

// From now on.  Never blocks.  Any thread.
void deadlines_add(struct deadlines *p, struct deadline *d);

// True: d->passed will not be called.  False: it was, or is being called.  d was added
// and its memory is alive.  Never blocks.  Any thread.
bool deadlines_remove(struct deadlines *p, struct deadline *d);

// Calls those that have passed at now_ms, as the thread does with its clock; returns
// when the next one will, INT64_MAX for none.
int64_t deadlines_pass(struct deadlines *p, int64_t now_ms);

#endif
