// SPDX-License-Identifier: BSD-2-Clause

#include "server/pace.h"

bool pace_is_slow(struct pace *p, const struct pace_look *l, int64_t rate, int64_t period_ms)
{
    if (!l->owed) {
        p->since_ms = 0;
        return false;
    }
    const int64_t ms = l->now_ms - p->since_ms;
    if (p->since_ms && ms < period_ms)
        return false;
    const bool slow =
        p->since_ms && (double)(l->taken - p->taken) * 1000 < (double)rate * (double)ms;
    *p = (struct pace){ .since_ms = l->now_ms, .taken = l->taken };
    return slow;
}
