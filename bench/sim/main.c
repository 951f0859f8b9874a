// SPDX-License-Identifier: BSD-2-Clause
//
// tidemill-sim - prints docs/scaling.md's table of simulated servers: from one that is half as busy
// as it can be to three times what it can do, with and without turning people away.

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "bench/sim/sim.h"

static const int workers[] = { 2, 8, 64 };
static const double loads[] = { 0.5, 0.8, 1, 1.5, 3 };

static double percent(double part, double of)
{
    return of > 0 ? 100 * part / of : 0;
}

static void print(const struct sim_order *o, const struct sim_result *r)
{
    printf("| %d | %g | %s | %.0f %% | %.2f s, %.1f s | %.1f %% | %.0f %% | %.0f %% | %.1f %% |\n",
           o->workers, o->load, o->patience_ms ? "yes" : "no", percent(r->played, r->capacity),
           r->start_median, r->start_99, percent(r->stalled, r->played),
           percent((double)r->without, (double)r->visits),
           percent(r->busy, o->workers * o->seconds), percent(r->vain, r->busy));
    fflush(stdout);
}

static void simulate(int count, double load, double seconds, int64_t patience_ms)
{
    const struct sim_order order = { count, load, patience_ms, seconds };
    const struct sim_result result = sim_run(&order);
    print(&order, &result);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 300;
    if (!(seconds > 0 && seconds <= 1e5)) {
        fprintf(stderr, "usage: tidemill-sim [SECONDS]\n");
        return 2;
    }
    printf("| workers | load | turned away | played, of capacity | first picture: median, 99 %% | "
           "stalled, of played | "
           "left without a picture | busy | of that in vain "
           "|\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < countof(workers); i++) {
        for (size_t k = 0; k < countof(loads); k++) {
            simulate(workers[i], loads[k], seconds, 0);
            simulate(workers[i], loads[k], seconds, 5000);
        }
    }
    return 0;
}
