// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/picture_times.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/rational.h"
#include "codec/av/index.h"

// ---- the order of showing: indices of samples

struct rank {
    int32_t order;
    int index;
};

static int by_order(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

// From one picture that restarts the count to the next, by the count.
static int order_counted(const struct picture *p, int count, int *shown)
{
    struct rank *ranks = malloc((size_t)count * sizeof *ranks);
    if (!ranks)
        return -E_NO_MEMORY;
    for (int i = 0; i < count; i++)
        ranks[i] = (struct rank){ p[i].order, i };
    for (int from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && !p[to].restarts;)
            to++;
        qsort(ranks + from, (size_t)(to - from), sizeof *ranks, by_order);
    }
    for (int i = 0; i < count; i++)
        shown[i] = ranks[i].index;
    free(ranks);
    return 0;
}

// A reference picture is shown when the next one comes, all others at once.
static void order_types(const struct picture *p, int count, int *shown)
{
    int held = -1, n = 0;
    for (int i = 0; i < count; i++) {
        if (p[i].b) {
            shown[n++] = i;
            continue;
        }
        if (held >= 0)
            shown[n++] = held;
        held = i;
    }
    if (held >= 0)
        shown[n++] = held;
}

static int make_order(const struct picture *p, int count, enum picture_order order, int *shown)
{
    if (order == ORDER_COUNTED)
        return order_counted(p, count, shown);
    if (order == ORDER_TYPES)
        order_types(p, count, shown);
    else
        for (int i = 0; i < count; i++)
            shown[i] = i;
    return 0;
}

// ---- the times

static bool is_known(const struct sample *s)
{
    return s->pts != INDEX_NO_PTS;
}

// The n-th shown gets the n-th time of decoding; one that is untold follows its predecessor.  (What
// a container takes for times of decoding may be those of showing: the n-th is the same then.)
static int take_decode_times(struct sample *s, const struct picture *p, const int *shown, int count,
                             int64_t frame)
{
    int64_t *times = malloc((size_t)count * sizeof *times), t = -frame;
    if (!times)
        return -E_NO_MEMORY;
    bool all = true;
    for (int i = 0; i < count; i++) {
        times[i] = is_known(&s[i]) ? s[i].pts : p[i].dts;
        all &= times[i] != INDEX_NO_PTS;
    }
    if (all)
        qsort(times, (size_t)count, sizeof *times, compare_int64);
    for (int i = 0; i < count; i++) {
        t = times[i] != INDEX_NO_PTS && times[i] > t ? times[i] : t + frame;
        s[shown[i]].pts = t;
    }
    free(times);
    return 0;
}

// Pictures [from, to) of those shown lie between two that are known, or at an end.
static void spread(struct sample *s, const int *shown, int from, int to, int count, int64_t frame)
{
    const bool first = from == 0, last = to == count;
    const int64_t before = first ? s[shown[to]].pts - frame * (to + 1) : s[shown[from - 1]].pts;
    const int64_t after = last ? before + frame * (to - from + 1) : s[shown[to]].pts;
    for (int i = from; i < to; i++)
        s[shown[i]].pts = before + muldiv_round(after - before, i - from + 1, to - from + 1);
}

static void fill_gaps(struct sample *s, const int *shown, int count, int64_t frame)
{
    for (int from = 0, to; from < count; from = to + 1) {
        while (from < count && is_known(&s[shown[from]]))
            from++;
        for (to = from; to < count && !is_known(&s[shown[to]]);)
            to++;
        if (from < to)
            spread(s, shown, from, to, count, frame);
    }
}

// Whether times that are told as those of showing are those of decoding: they rise from
// picture to picture, and the pictures say that they are shown in another order.
static bool are_decode_times(const struct sample *s, const int *shown, int count)
{
    bool reordered = false;
    for (int i = 0; i < count; i++) {
        if (!is_known(&s[i]) || (i > 0 && s[i].pts <= s[i - 1].pts))
            return false;
        reordered |= shown[i] != i;
    }
    return reordered;
}

static int fill_times(struct sample *samples, const struct picture *pictures, int count, int *shown,
                      int64_t frame)
{
    int known = 0;
    for (int i = 0; i < count; i++)
        known += is_known(&samples[i]);
    if (known == 0 || (known == count && are_decode_times(samples, shown, count)))
        return take_decode_times(samples, pictures, shown, count, frame);
    fill_gaps(samples, shown, count, frame);
    return 0;
}

int picture_times(struct sample *samples, const struct picture *pictures, int count,
                  enum picture_order order, int64_t frame)
{
    int *shown = malloc((size_t)count * sizeof *shown);
    if (!shown)
        return -E_NO_MEMORY;
    int rc = make_order(pictures, count, order, shown);
    if (rc == 0)
        rc = fill_times(samples, pictures, count, shown, frame);
    free(shown);
    return rc;
}
