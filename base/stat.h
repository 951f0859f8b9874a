// SPDX-License-Identifier: BSD-2-Clause
//
// stat - counters and gauges, listed in stat.def.  Thread-safe, never blocks.

#ifndef BASE_STAT_H
#define BASE_STAT_H

#include <stdint.h>

struct buf;

enum stat_id {
#define X(name, type, help) STAT_##name,
#include "base/stat.def"
#undef X
    STAT_COUNT,
};

void stat_add(enum stat_id s, int64_t n); // n may be negative for gauges
void stat_set(enum stat_id s, int64_t v);
int64_t stat_get(enum stat_id s);

// Appends all of them in the Prometheus text format 0.0.4.
void stat_print(struct buf *out);

#endif
