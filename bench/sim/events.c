// SPDX-License-Identifier: BSD-2-Clause

#include "bench/sim/events.h"

#include <stdlib.h>

#include "base/base.h"

static int is_sooner(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void swap(struct event *a, struct event *b)
{
    const struct event was = *a;
    *a = *b;
    *b = was;
}

void events_add(struct events *e, const struct event *event)
{
    e->heap = xgrow(e->heap, e->count, &e->cap, sizeof *e->heap);
    size_t i = e->count++;
    e->heap[i] = *event;
    e->heap[i].number = e->numbers++;
    for (; i > 0 && is_sooner(&e->heap[i], &e->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&e->heap[i], &e->heap[(i - 1) / 2]);
}

static size_t soonest_of(const struct events *e, size_t i)
{
    size_t best = i;
    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < e->count; child++)
        best = is_sooner(&e->heap[child], &e->heap[best]) ? child : best;
    return best;
}

int events_next(struct events *e, struct event *out)
{
    if (e->count == 0)
        return 0;
    *out = e->heap[0];
    e->heap[0] = e->heap[--e->count];
    for (size_t i = 0, next; (next = soonest_of(e, i)) != i; i = next)
        swap(&e->heap[i], &e->heap[next]);
    return 1;
}

void events_finish(struct events *e)
{
    free(e->heap);
}
