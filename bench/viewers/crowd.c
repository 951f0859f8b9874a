// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/crowd.h"

#include <stdlib.h>

#include "base/base.h"

// How exactly viewers look at the clock; media that arrives is noticed at once.
#define TICK_MS 10

struct crowd {
    const struct crowd_settings *settings;
    const struct trace *trace;
    struct report *report;
    struct fetcher *fetcher;
    struct viewer **present;
    size_t count, cap, begun;
    int64_t began, told;
};

static void enter(struct crowd *c, int64_t now)
{
    c->present = xgrow(c->present, c->count, &c->cap, sizeof *c->present);
    c->present[c->count++] = viewer_create(&c->settings->viewer, c->fetcher, c->report,
                                           &c->trace->visits[c->begun], c->begun, now);
    c->begun++;
}

static int64_t due(const struct crowd *c, const struct visit *v)
{
    return c->began + (int64_t)((double)v->at * 1000 / c->settings->speed);
}

static void enter_all(struct crowd *c, int64_t now)
{
    while (c->begun < c->trace->count) {
        const int64_t late = now - due(c, &c->trace->visits[c->begun]);
        if (late < 0)
            return;
        if (late > c->report->lateness)
            c->report->lateness = late;
        enter(c, now);
    }
}

static void step_all(struct crowd *c, int64_t now)
{
    for (size_t i = 0; i < c->count;) {
        if (viewer_step(c->present[i], now)) {
            i++;
            continue;
        }
        viewer_destroy(c->present[i]);
        c->present[i] = c->present[--c->count];
    }
}

static void tell(struct crowd *c, int64_t now)
{
    if (!c->settings->progress || now - c->told < 1000000)
        return;
    c->told = now;
    c->settings->progress(c->begun, c->count);
}

static bool is_over(const struct crowd *c, int64_t now)
{
    return now - c->began >= c->settings->limit || (c->begun == c->trace->count && c->count == 0);
}

int crowd_run(const struct crowd_settings *s, const struct trace *t, struct report *r,
              const atomic_bool *stop)
{
    struct crowd c = { .settings = s, .trace = t, .report = r, .fetcher = fetcher_create() };
    if (!c.fetcher)
        return -1;
    int64_t now = r->began = c.began = c.told = clock_us();
    for (int64_t next = now; !is_over(&c, now) && !atomic_load(stop); now = clock_us()) {
        if (now >= next) {
            enter_all(&c, now);
            step_all(&c, now);
            tell(&c, now);
            next = now + TICK_MS * 1000;
        }
        fetcher_run(c.fetcher, TICK_MS);
    }
    r->ended = now;
    for (size_t i = 0; i < c.count; i++)
        viewer_destroy(c.present[i]);
    free(c.present);
    fetcher_destroy(c.fetcher);
    return 0;
}
