// SPDX-License-Identifier: BSD-2-Clause

#include "server/pressure.h"

static bool turn(struct pressure *p, bool on)
{
    *p = (struct pressure){ .on = on };
    return true;
}

bool pressure_look(struct pressure *p, int64_t wait_us, int64_t limit_us, int64_t ease_us,
                   int64_t now_us)
{
    if (!p->on)
        return limit_us > 0 && wait_us >= limit_us && turn(p, true);
    if (wait_us >= limit_us - limit_us / 2)
        p->calm_us = 0;
    else if (p->calm_us == 0)
        p->calm_us = now_us;
    return p->calm_us > 0 && now_us - p->calm_us >= ease_us && turn(p, false);
}
