// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "base/stat.h"
#include "server/assets.h"
#include "test/unit/media_tools.h"

static struct key version(int i)
{
    return key_of(&i, sizeof i);
}

static struct media *index_of(int groups)
{
    struct media *const m = make_media(groups, 0);
    assert_int_equal(media_finish(m), 0);
    return m;
}

static struct asset *add(struct assets *t, int i)
{
    static const struct plan plan = { .count = 3 };
    const struct key v = version(i);
    struct asset *a = NULL;
    assert_int_equal(assets_add(t, &v, index_of(2), &plan, &a), 0);
    assert_true(key_equal(&a->version, &v));
    assert_int_equal(a->plan.count, 3);
    assert_int_equal(a->media->video.sample_count, 24);
    return a;
}

static bool is_there(struct assets *t, int i)
{
    const struct key v = version(i);
    struct asset *a = assets_find(t, &v);
    const bool there = a != NULL;
    asset_unref(t, &a);
    assert_null(a);
    return there;
}

// What one takes that add makes.
static size_t one(void)
{
    struct media *const m = index_of(2);
    const size_t n = sizeof(struct asset) + media_memory(m);
    media_destroy(m);
    return n;
}

static struct assets *table_for(size_t n)
{
    return assets_create(n * one() + one() / 2);
}

static int try_to_add(struct assets *t, int i)
{
    static const struct plan plan = { .count = 3 };
    const struct key v = version(i);
    struct asset *a = NULL;
    const int err = assets_add(t, &v, index_of(2), &plan, &a);
    assert_int_equal(a == NULL, err < 0);
    if (a)
        asset_unref(t, &a);
    return err;
}

static void found_again(void **state)
{
    (void)state;
    struct assets *t = assets_create(1 << 20);
    assert_false(is_there(t, 1));
    struct asset *a = add(t, 1);
    const struct key v = version(1);
    struct asset *b = assets_find(t, &v);
    assert_ptr_equal(a, b);
    asset_unref(t, &a);
    asset_unref(t, &b);
    asset_unref(t, &b); // NULL is fine
    assert_true(is_there(t, 1));
    assets_destroy(t);
    assets_destroy(NULL);
}

static void the_same_version_twice(void **state)
{
    (void)state;
    struct assets *t = assets_create(1 << 20);
    struct asset *a = add(t, 1), *b = add(t, 1);
    assert_ptr_equal(a, b);
    asset_unref(t, &a);
    asset_unref(t, &b);
    assert_true(is_there(t, 1));
    assets_destroy(t);
}

static void the_oldest_use_goes_first(void **state)
{
    (void)state;
    struct assets *t = table_for(3);
    for (int i = 0; i < 3; i++) {
        struct asset *a = add(t, i);
        asset_unref(t, &a);
    }
    assert_true(is_there(t, 0)); // used, so 1 is the oldest
    struct asset *a = add(t, 3);
    asset_unref(t, &a);
    assert_true(is_there(t, 0));
    assert_false(is_there(t, 1));
    assert_true(is_there(t, 2));
    assert_true(is_there(t, 3));
    assets_destroy(t);
}

// Somebody plans by them still: they stay, and count.
static void in_use(void **state)
{
    (void)state;
    const int64_t before = stat_get(STAT_index_bytes);
    struct assets *t = table_for(3);
    struct asset *used[3];
    for (int i = 0; i < 3; i++)
        used[i] = add(t, i);
    assert_int_equal(try_to_add(t, 3), -E_BUSY);
    assert_int_equal(stat_get(STAT_index_bytes) - before, 3 * one());
    assert_int_equal(try_to_add(t, 1), 0); // it is there
    asset_unref(t, &used[1]);
    assert_int_equal(try_to_add(t, 3), 0);
    assert_true(is_there(t, 0) && is_there(t, 2) && is_there(t, 3));
    assert_false(is_there(t, 1));
    asset_unref(t, &used[0]);
    asset_unref(t, &used[2]);
    assets_destroy(t);
    assert_int_equal(stat_get(STAT_index_bytes), before);
}

static void never_any_room(void **state)
{
    (void)state;
    struct assets *t = assets_create(one() - 1);
    assert_int_equal(try_to_add(t, 0), -E_LIMITS);
    assert_false(is_there(t, 0));
    assets_destroy(t);
}

static void *visit(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)pthread_self();
    for (int n = 0; n < 3000; n++) {
        const int i = rand_r(&seed) % 8;
        const struct key v = version(i);
        struct asset *a = assets_find(arg, &v);
        if (!a)
            a = add(arg, i);
        assert_true(key_equal(&a->version, &v) && a->media->video.sample_count == 24);
        asset_unref(arg, &a);
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    struct assets *t = table_for(5); // each thread has one, and one is looked at
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start("visitor", visit, t);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int there = 0;
    for (int i = 0; i < 8; i++)
        there += is_there(t, i);
    assert_int_equal(there, 5);
    assets_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_again),
        cmocka_unit_test(the_same_version_twice),
        cmocka_unit_test(the_oldest_use_goes_first),
        cmocka_unit_test(in_use),
        cmocka_unit_test(never_any_room),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
