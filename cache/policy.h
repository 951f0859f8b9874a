// SPDX-License-Identifier: BSD-2-Clause
//
// policy - which object goes first when a tier is over its budget.  A policy
// sees entries only, never bytes; it is called under its tier's lock.

#ifndef CACHE_POLICY_H
#define CACHE_POLICY_H

#include <stdint.h>

#include "base/list.h"

// Embedded in whatever a tier keeps.
struct policy_entry {
    struct list link; // private to the policy
    int64_t bytes;    // set before add
};

struct policy {
    void (*add)(struct policy *p, struct policy_entry *e);
    void (*touch)(struct policy *p, struct policy_entry *e); // it was used
    void (*remove)(struct policy *p, struct policy_entry *e);
    // The entry to evict next, still added; NULL when there is none.
    struct policy_entry *(*victim)(struct policy *p);
    void (*destroy)(struct policy *p);
};

struct policy *policy_lru_create(void);

#endif
