// SPDX-License-Identifier: BSD-2-Clause
//
// attempt - one worker's attempt at a piece of work.  It may be the second one, after
// a worker that died: what is put out already must come again, byte for byte.

#ifndef SERVER_ATTEMPT_H
#define SERVER_ATTEMPT_H

#include <stddef.h>
#include <stdint.h>

struct work;
struct worker;

// Runs w's job on the worker for at most limit_ms milliseconds, reading w->source and
// appending to w->object what is not there yet; w->begins is called before the first
// byte.  Adds to w->origin_us, sets w->stats.  Blocks.  0, or as worker_run says, and
//   -E_INTERNAL        it did not repeat what was put out before;
//   -E_ORIGIN_TIMEOUT  instead of -E_TIMEOUT, when the origin had most of the time.
// One line for people in detail.  A driver's thread.
int attempt_run(struct worker *worker, struct work *w, int64_t limit_ms, char *detail, size_t cap);

#endif
