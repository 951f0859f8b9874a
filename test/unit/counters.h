// SPDX-License-Identifier: BSD-2-Clause
//
// counters - how far counters moved since a test marked them.

#ifndef TEST_UNIT_COUNTERS_H
#define TEST_UNIT_COUNTERS_H

#include "base/stat.h"

static int64_t counters_marked[STAT_COUNT];

static inline void mark_counters(void)
{
    for (int i = 0; i < STAT_COUNT; i++)
        counters_marked[i] = stat_get((enum stat_id)i);
}

static inline int64_t since(enum stat_id s)
{
    return stat_get(s) - counters_marked[s];
}

#endif
