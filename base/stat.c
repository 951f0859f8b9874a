// SPDX-License-Identifier: BSD-2-Clause

#include "base/stat.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "base/buf.h"

static const struct {
    const char *name, *type, *help;
} rows[STAT_COUNT] = {
#define X(n, t, h) [STAT_##n] = { #n, #t, h },
#include "base/stat.def"
#undef X
};

static _Atomic int64_t values[STAT_COUNT];

void stat_add(enum stat_id s, int64_t n)
{
    atomic_fetch_add_explicit(&values[s], n, memory_order_relaxed);
}

void stat_set(enum stat_id s, int64_t v)
{
    atomic_store_explicit(&values[s], v, memory_order_relaxed);
}

int64_t stat_get(enum stat_id s)
{
    return atomic_load_explicit(&values[s], memory_order_relaxed);
}

void stat_print(struct buf *out)
{
    for (int i = 0; i < STAT_COUNT; i++) {
        buf_printf(out, "# HELP tidemill_%s %s\n# TYPE tidemill_%s %s\ntidemill_%s %" PRId64 "\n",
                   rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name,
                   stat_get((enum stat_id)i));
    }
}
