// SPDX-License-Identifier: BSD-2-Clause
//
// cancel - a token that goes down every long call: who set it wants no answer any more.

#ifndef CACHE_CANCEL_H
#define CACHE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

// Set from any thread; long calls look at it and return -E_CANCELLED.  NULL allowed.
struct cancel {
    atomic_bool set;
};

static inline bool cancel_is_set(const struct cancel *c)
{
    return c && atomic_load_explicit(&c->set, memory_order_relaxed);
}

#endif
