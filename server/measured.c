// SPDX-License-Identifier: BSD-2-Clause

#include "server/measured.h"

#include <stdint.h>
#include <string.h>

#include "base/base.h"

#define SETS 2048
#define WAYS 4

struct slot {
    struct key recipe;
    int64_t bytes;
    int64_t last; // when it was written
    uint64_t seen[MEASURED_SEGMENTS / 64];
};

struct measured {
    pthread_mutex_t lock;
    // protected by lock
    int64_t now; // counts what is written
    struct slot slots[SETS][WAYS];
};

struct measured *measured_create(void)
{
    struct measured *const t = xcalloc(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void measured_destroy(struct measured *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

// That of the recipe, or the one of its set that was left alone for longest.
static struct slot *slot_of(struct measured *t, const struct key *recipe)
{
    struct slot *const set = t->slots[(recipe->b[0] | recipe->b[1] << 8) % SETS];
    struct slot *oldest = set;
    for (int i = 0; i < WAYS; i++) {
        if (key_equal(&set[i].recipe, recipe))
            return &set[i];
        oldest = set[i].last < oldest->last ? &set[i] : oldest;
    }
    return oldest;
}

static bool is_seen(const struct slot *s, int n)
{
    return n < MEASURED_SEGMENTS && s->seen[n / 64] >> n % 64 & 1;
}

void measured_add(struct measured *t, const struct key *recipe, int n, size_t bytes)
{
    if (n >= MEASURED_SEGMENTS)
        return;
    lock(&t->lock);
    struct slot *const s = slot_of(t, recipe);
    if (!key_equal(&s->recipe, recipe))
        *s = (struct slot){ .recipe = *recipe };
    s->last = ++t->now;
    if (!is_seen(s, n)) {
        s->seen[n / 64] |= UINT64_C(1) << n % 64;
        s->bytes += (int64_t)bytes;
    }
    unlock(&t->lock);
}

// In bits per second.
static int64_t average(const struct slot *s, const struct plan *p, const struct rendition *r)
{
    const int count = plan_segments(p, r);
    const int64_t all = plan_segment_us(p, r, count);
    int64_t guessed = all;
    for (int k = 0; k < count && k < MEASURED_SEGMENTS; k++)
        if (is_seen(s, k))
            guessed -= plan_segment_us(p, r, k + 1) - plan_segment_us(p, r, k);
    if (all <= 0)
        return r->average;
    const int64_t rate =
        muldiv_ceil(8 * s->bytes, 1000000, all) + muldiv_ceil(r->average, guessed, all);
    return rate < 1 ? 1 : rate < r->bandwidth ? rate : r->bandwidth;
}

void measured_tell(struct measured *t, struct plan *p)
{
    for (int i = 0; i < p->count; i++) {
        struct rendition *const r = &p->renditions[i];
        lock(&t->lock);
        const struct slot s = *slot_of(t, &r->recipe);
        unlock(&t->lock);
        if (key_equal(&s.recipe, &r->recipe))
            r->average = average(&s, p, r);
    }
}
