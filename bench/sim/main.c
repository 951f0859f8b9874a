// SPDX-License-Identifier: BSD-2-Clause
//
// tidemill-sim - prints docs/scaling.md's tables of simulated servers, from one that is half as
// busy as it can be to three times what it can do: with and without turning people away; and,
// turning them away, with playlists of what costs half as much for who comes under pressure.

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

static void print_served(const struct sim_order *o, const struct sim_result *r)
{
    printf("%.0f %% | %.2f s, %.1f s | %.1f %% | %.0f %% | %.0f %% |",
           percent(r->played, r->capacity), r->start_median, r->start_99,
           percent(r->stalled, r->played), percent((double)r->without, (double)r->visits),
           percent(r->busy, o->workers * o->seconds));
}

static void print_by_patience(const struct sim_order *o, const struct sim_result *r)
{
    printf("| %d | %g | %s | ", o->workers, o->load, o->patience_ms ? "yes" : "no");
    print_served(o, r);
    printf(" %.1f %% |\n", percent(r->vain, r->busy));
    fflush(stdout);
}

static void print_by_pressure(const struct sim_order *o, const struct sim_result *r)
{
    printf("| %d | %g | %.0f %% | ", o->workers, o->load,
           percent((double)r->pressed, (double)r->visits));
    print_served(o, r);
    printf("\n");
    fflush(stdout);
}

typedef void print_row(const struct sim_order *o, const struct sim_result *r);

static void simulate(int64_t patience_ms, double pressed, const struct sim_order *like,
                     print_row *print)
{
    struct sim_order order = *like;
    order.patience_ms = patience_ms;
    order.pressed = pressed;
    const struct sim_result result = sim_run(&order);
    print(&order, &result);
}

static void simulate_patience(const struct sim_order *like)
{
    simulate(0, 1, like, print_by_patience);
    simulate(5000, 1, like, print_by_patience);
}

static void simulate_pressure(const struct sim_order *like)
{
    simulate(5000, 0.5, like, print_by_pressure);
}

static void for_each_server(double seconds, void (*run)(const struct sim_order *like))
{
    for (size_t i = 0; i < countof(workers); i++)
        for (size_t k = 0; k < countof(loads); k++)
            run(&(struct sim_order){
                .workers = workers[i], .load = loads[k], .seconds = seconds, .pressed = 1 });
}

#define SERVED                                                                                     \
    "played, of capacity | first picture: median, 99 % | stalled, of played | "                    \
    "left without a picture | busy |"

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 300;
    if (!(seconds > 0 && seconds <= 1e5)) {
        fprintf(stderr, "usage: tidemill-sim [SECONDS]\n");
        return 2;
    }
    puts("| workers | load | turned away | " SERVED " of that in vain |\n"
         "|---|---|---|---|---|---|---|---|---|");
    for_each_server(seconds, simulate_patience);
    puts("\n| workers | load | came under pressure | " SERVED
         "\n|---|---|---|---|---|---|---|---|");
    for_each_server(seconds, simulate_pressure);
    return 0;
}
