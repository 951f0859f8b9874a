// SPDX-License-Identifier: BSD-2-Clause

#include "cache/spill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/stat.h"
#include "cache/object.h"
#include "cache/tier.h"
#include "config/conf.h"

// A tier that keeps nothing but count, and can be held up.
struct gate {
    struct tier tier;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut;
    int entered, kept, wrong;
};

static void gate_put(struct tier *t, const struct key *key, const void *body, size_t n)
{
    struct gate *g = container_of(t, struct gate, tier);
    lock(&g->lock);
    g->entered++;
    pthread_cond_broadcast(&g->changed);
    while (g->shut)
        pthread_cond_wait(&g->changed, &g->lock);
    const struct key want = key_of(body, n);
    g->wrong += !key_equal(&want, key);
    g->kept++;
    unlock(&g->lock);
}

static void gate_init(struct gate *g, bool shut)
{
    *g = (struct gate){ .tier = { .name = "gate", .put = gate_put }, .shut = shut };
    pthread_mutex_init(&g->lock, NULL);
    cond_init(&g->changed);
}

static void gate_open(struct gate *g)
{
    lock(&g->lock);
    g->shut = false;
    pthread_cond_broadcast(&g->changed);
    unlock(&g->lock);
}

static void wait_until_entered(struct gate *g, int n)
{
    lock(&g->lock);
    while (g->entered < n)
        pthread_cond_wait(&g->changed, &g->lock);
    unlock(&g->lock);
}

// Its key is that of its body, so a tier can tell.
static void offer(struct spill *s, int i)
{
    const struct key k = key_of(&i, sizeof i);
    struct object *o = object_create(&k, 100, NULL);
    assert_int_equal(object_append(o, &i, sizeof i), 0);
    object_commit(o);
    spill_offer(s, o);
    object_unref(&o);
}

static void all_tiers_get_all_objects(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        const struct conf conf = { .disk_threads = threads };
        struct gate a, b;
        gate_init(&a, false);
        gate_init(&b, false);
        struct spill *s = spill_create(&conf, (struct tier *[]){ &a.tier, &b.tier }, 2);
        for (int i = 0; i < 500; i++) {
            offer(s, i);
            wait_until_entered(&b, i - SPILL_QUEUE / 2); // so that none is dropped
        }
        spill_destroy(s);
        assert_int_equal(a.kept, 500);
        assert_int_equal(b.kept, 500);
        assert_int_equal(a.wrong + b.wrong, 0);
    }
}

static void *open_gate(void *arg)
{
    gate_open(arg);
    return NULL;
}

static void a_full_queue_drops_and_never_blocks(void **state)
{
    (void)state;
    const struct conf conf = { .disk_threads = 2 };
    const int64_t before = stat_get(STAT_cache_spills_dropped_total);
    struct gate g;
    gate_init(&g, true);
    struct spill *s = spill_create(&conf, (struct tier *[]){ &g.tier }, 1);
    for (int i = 0; i < 2; i++)
        offer(s, i);
    wait_until_entered(&g, 2);
    for (int i = 0; i < SPILL_QUEUE; i++)
        offer(s, i);
    assert_int_equal(stat_get(STAT_cache_spills_dropped_total), before);
    for (int i = 0; i < 5; i++)
        offer(s, i);
    assert_int_equal(stat_get(STAT_cache_spills_dropped_total), before + 5);
    // What is queued is still written at the end.
    pthread_t opener = thread_start("opener", open_gate, &g);
    spill_destroy(s);
    pthread_join(opener, NULL);
    assert_int_equal(g.kept, 2 + SPILL_QUEUE);
    assert_int_equal(g.wrong, 0);
    assert_int_equal(stat_get(STAT_cache_spills_dropped_total), before + 5);
}

static void no_tiers_no_work(void **state)
{
    (void)state;
    const struct conf conf = { .disk_threads = 2 };
    struct spill *s = spill_create(&conf, NULL, 0);
    for (int i = 0; i < 2 * SPILL_QUEUE; i++)
        offer(s, i);
    spill_destroy(s);
    spill_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_tiers_get_all_objects),
        cmocka_unit_test(a_full_queue_drops_and_never_blocks),
        cmocka_unit_test(no_tiers_no_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
