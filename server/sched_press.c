// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/stat.h"

#define LOOK_US 1000000 // while there is pressure, its end is seen at most so late

void sched_press(struct sched *s, int64_t wait_us, int64_t now_us)
{
    const struct conf *const conf = s->conf;
    if (!pressure_look(&s->pressure, wait_us, conf->pressure_wait * 1000,
                       conf->pressure_ease * 1000, now_us))
        return;
    stat_set(STAT_pressure, s->pressure.on);
    pthread_cond_signal(&s->tick);
}

static void tell(bool on, int64_t wait_us)
{
    if (on)
        log_info("sched", "under pressure: who comes would wait %" PRId64 " ms for a worker",
                 wait_us / 1000);
    else
        log_info("sched", "the pressure is over");
}

int64_t sched_ease(struct sched *s, int64_t now_us, int64_t until_us)
{
    lock(&s->lock);
    const int64_t wait_us = sched_wait_of_newcomer(s, now_us);
    if (s->pressure.on)
        sched_press(s, wait_us, now_us);
    const bool on = s->pressure.on, changed = on != s->pressure_told;
    s->pressure_told = on;
    unlock(&s->lock);
    if (changed)
        tell(on, wait_us);
    return on && until_us > now_us + LOOK_US ? now_us + LOOK_US : until_us;
}
