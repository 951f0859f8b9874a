// SPDX-License-Identifier: BSD-2-Clause
//
// sim - how many viewers a server of so many workers keeps happy: the scheduler's own decisions
// (server/sched_queue.c, sched_admit.c) with a clock that costs nothing, and a crowd that swipes
// as that of bench/viewers does.  The same order gives the same result.
//
// Assumed: every segment has to be encoded, and takes SIM_COST of its time of one worker; its media
// leave evenly while it is made; nothing else takes time.  A viewer fetches one segment after
// another until 30 s are buffered, tells CMCD, asks again when it is refused, and leaves after
// the time that it wants to watch, or when it sees nothing for too long.  Who comes under pressure
// (server/pressure.h, with the settings' defaults) has a playlist of what costs less.

#ifndef BENCH_SIM_SIM_H
#define BENCH_SIM_SIM_H

#include <stddef.h>
#include <stdint.h>

#define SIM_COST 0.2 // worker seconds for a second of media

struct sim_order {
    int workers;
    double load;         // what the viewers want to watch, of what the workers can make
    int64_t patience_ms; // workers.patience
    double seconds;      // counted, after a minute
    double pressed;      // what media cost whoever comes under pressure, of SIM_COST
};

struct sim_result {
    int64_t visits, without; // of these, who left before the first picture
    int64_t pressed;         // and who came under pressure
    int64_t stalls, refused;
    double played, stalled;        // seconds, of all viewers
    double busy, vain;             // worker seconds; of these, for what was cancelled
    double capacity;               // seconds of media that the workers can make
    double start_median, start_99; // seconds until the first picture
};

// Not thread-safe: one at a time.
struct sim_result sim_run(const struct sim_order *order);

#endif
