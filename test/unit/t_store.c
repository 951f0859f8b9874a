// SPDX-License-Identifier: BSD-2-Clause

#include "cache/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "base/stat.h"
#include "cache/object.h"
#include "cache/policy.h"

// A body of BODY bytes takes ROOM in the budget.
enum { BODY = 1000, ROOM = BODY + OBJECT_COST };

static struct store *created(int64_t budget)
{
    return store_create(budget, INT64_MAX, 100000, policy_lru_create());
}

// Bytes that are kept, and in use, by the one store of a test.
static int64_t kept(void)
{
    return stat_get(STAT_cache_memory_bytes);
}

static int64_t in_use(void)
{
    return stat_get(STAT_cache_in_use_bytes);
}

static struct key name(int i)
{
    return key_of(&i, sizeof i);
}

static enum store_verdict open_at(struct store *s, int i, int64_t now, struct object **o)
{
    const struct key k = name(i);
    return store_open(s, &k, now, o);
}

static void commit(struct store *s, struct object *o, size_t n, int64_t expires)
{
    static const uint8_t bytes[100000];
    assert_int_equal(object_append(o, bytes, n), 0);
    store_commit(s, o, expires);
}

static void put(struct store *s, int i, size_t n)
{
    struct object *o = NULL;
    assert_int_equal(open_at(s, i, 0, &o), STORE_MAKE);
    commit(s, o, n, STORE_FOREVER);
    store_close(s, &o);
    assert_null(o);
}

static bool has(struct store *s, int i)
{
    const struct key k = name(i);
    struct object *o = NULL;
    const bool found = store_peek(s, &k, 0, &o);
    store_close(s, &o);
    return found;
}

static void one_makes_the_others_join(void **state)
{
    (void)state;
    struct store *s = created(1 << 20);
    struct object *maker = NULL, *second = NULL, *other = NULL, *late = NULL;
    const struct key k = name(1);
    const int64_t hits = stat_get(STAT_cache_hits_memory_total);
    const int64_t joins = stat_get(STAT_cache_joins_total);

    assert_false(store_peek(s, &k, 0, &second));
    assert_null(second);
    assert_int_equal(store_open(s, &k, 0, &maker), STORE_MAKE);
    assert_int_equal(store_open(s, &k, 0, &second), STORE_JOIN);
    assert_ptr_equal(maker, second);
    assert_int_equal(object_readers(maker), 2);
    assert_int_equal(open_at(s, 2, 0, &other), STORE_MAKE);
    assert_ptr_not_equal(other, maker);

    commit(s, maker, 10, STORE_FOREVER);
    assert_true(store_peek(s, &k, 0, &late));
    assert_ptr_equal(late, maker);
    assert_int_equal(stat_get(STAT_cache_hits_memory_total), hits + 1);
    assert_int_equal(stat_get(STAT_cache_joins_total), joins + 1);
    store_close(s, &late);
    store_close(s, &second);
    store_close(s, &maker);
    store_fail(s, other, E_INTERNAL, NULL, 0);
    store_close(s, &other);
    store_close(s, &other);
    store_destroy(s);
    store_destroy(NULL);
}

static void things_expire(void **state)
{
    (void)state;
    static const struct {
        int64_t until, now;
        bool there;
    } t[] = {
        { 1000, 999, true },
        { 1000, 1000, false },
        { 1000, 5000, false },
        { 0, 0, false },
        { STORE_FOREVER, 1LL << 60, true },
    };
    for (size_t i = 0; i < 2 * countof(t); i++) {
        const bool fails = i % 2;
        struct store *s = created(1 << 20);
        struct object *o = NULL, *again = NULL;
        assert_int_equal(open_at(s, 1, 0, &o), STORE_MAKE);
        if (fails)
            store_fail(s, o, -E_CORRUPT, "torn", t[i / 2].until);
        else
            commit(s, o, 10, t[i / 2].until);
        const enum store_verdict v = open_at(s, 1, t[i / 2].now, &again);
        assert_int_equal(v, t[i / 2].there ? STORE_HIT : STORE_MAKE);
        if (v == STORE_HIT) {
            assert_int_equal(object_state(again), fails ? OBJECT_FAILED : OBJECT_WHOLE);
        } else {
            assert_ptr_not_equal(again, o);
            store_fail(s, again, E_INTERNAL, NULL, 0);
        }
        store_close(s, &again);
        store_close(s, &o);
        store_destroy(s);
    }
}

// A reader that asks again from where it is told of the failure.
struct impatient {
    struct object_waiter waiter;
    struct store *store;
    bool found;
};

static void ask_again(struct object_waiter *w)
{
    struct impatient *const r = container_of(w, struct impatient, waiter);
    r->found = has(r->store, 1);
}

static void a_failure_that_is_not_remembered_meets_nobody(void **state)
{
    (void)state;
    struct store *s = created(1 << 20);
    for (int64_t until = 0; until < 2; until++) {
        struct object *o = NULL;
        struct impatient r = { .waiter.wake = ask_again, .store = s };
        assert_int_equal(open_at(s, 1, 0, &o), STORE_MAKE);
        assert_true(object_wait(o, &r.waiter, 0));
        store_fail(s, o, E_ORIGIN, NULL, until);
        assert_int_equal(r.found, until > 0);
        store_close(s, &o);
    }
    store_destroy(s);
}

static void the_budget_holds(void **state)
{
    (void)state;
    const int64_t bytes = stat_get(STAT_cache_memory_bytes);
    const int64_t objects = stat_get(STAT_cache_memory_objects);
    const int64_t evictions = stat_get(STAT_cache_evictions_memory_total);
    struct store *s = created(3 * ROOM);
    for (int i = 0; i < 3; i++)
        put(s, i, BODY);
    assert_true(has(s, 0)); // and is used
    put(s, 3, BODY);
    assert_true(has(s, 0));
    assert_false(has(s, 1));
    assert_true(has(s, 2));
    assert_int_equal(stat_get(STAT_cache_memory_bytes) - bytes, 3 * ROOM);
    assert_int_equal(stat_get(STAT_cache_memory_objects) - objects, 3);
    assert_int_equal(stat_get(STAT_cache_evictions_memory_total) - evictions, 1);

    const struct key k = name(0);
    assert_true(store_drop(s, &k));
    assert_false(store_drop(s, &k));
    assert_int_equal(kept(), 2 * ROOM);
    assert_int_equal(stat_get(STAT_cache_memory_objects) - objects, 2);
    store_destroy(s);
    assert_int_equal(stat_get(STAT_cache_memory_bytes), bytes);
    assert_int_equal(stat_get(STAT_cache_memory_objects), objects);
    assert_int_equal(in_use(), 0);
}

// An object is counted once: in use from its first reader on, kept after its last.
static void what_is_read_is_in_use(void **state)
{
    (void)state;
    struct store *s = created(2 * ROOM);
    struct object *read[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(open_at(s, i, 0, &read[i]), STORE_MAKE);
        commit(s, read[i], BODY, STORE_FOREVER);
    }
    assert_int_equal(in_use(), 3 * ROOM);
    assert_int_equal(kept(), 0);
    put(s, 3, BODY); // finds room beside them
    assert_int_equal(kept(), ROOM);
    for (int i = 0; i < 4; i++)
        assert_true(has(s, i));
    store_close(s, &read[1]);
    assert_int_equal(kept(), 2 * ROOM);
    store_close(s, &read[0]); // the third to be kept: the coldest goes
    assert_int_equal(kept(), 2 * ROOM);
    assert_int_equal(in_use(), ROOM);
    assert_false(has(s, 3));
    assert_true(has(s, 0));
    struct object *again = NULL;
    assert_int_equal(open_at(s, 0, 0, &again), STORE_HIT);
    assert_int_equal(in_use(), 2 * ROOM);
    assert_int_equal(kept(), ROOM);
    store_close(s, &again);
    store_close(s, &read[2]);
    assert_int_equal(kept(), 2 * ROOM);
    assert_int_equal(in_use(), 0);
    store_destroy(s);
    assert_int_equal(kept(), 0);
    assert_int_equal(in_use(), 0);
}

// What left the table while somebody held it is counted until that one is done.
static void who_holds_it_uses_it(void **state)
{
    (void)state;
    struct store *s = created(1 << 20);
    struct object *o = NULL;
    const struct key k = name(1);
    put(s, 1, BODY);
    assert_int_equal(open_at(s, 1, 0, &o), STORE_HIT);
    struct object *writers = object_ref(o);
    store_close(s, &o);
    assert_int_equal(kept(), ROOM); // once only
    assert_int_equal(in_use(), 0);
    assert_true(store_drop(s, &k));
    assert_int_equal(kept(), 0);
    assert_int_equal(in_use(), ROOM);
    object_unref(&writers);
    assert_int_equal(in_use(), 0);
    store_destroy(s);
}

static void a_full_store_says_so(void **state)
{
    (void)state;
    enum { MANY = 100000, N = 5 };
    const int64_t refused = stat_get(STAT_cache_refused_total);
    struct store *s = store_create(1 << 20, N * (MANY + OBJECT_COST), MANY, policy_lru_create());
    struct object *read[N + 1] = { 0 };
    for (int i = 0; i < N; i++) {
        // In the making they count as much as they may become.
        assert_int_equal(open_at(s, i, 0, &read[i]), STORE_MAKE);
        assert_false(store_full(s));
    }
    assert_int_equal(open_at(s, N, 0, &read[N]), STORE_MAKE);
    assert_true(store_full(s));
    assert_int_equal(stat_get(STAT_cache_refused_total) - refused, 1);
    store_fail(s, read[N], E_BUSY, NULL, 0);
    store_close(s, &read[N]);
    assert_false(store_full(s));
    for (int i = 0; i < N; i++)
        commit(s, read[i], MANY, STORE_FOREVER); // there is room for each
    assert_int_equal(in_use(), N * (MANY + OBJECT_COST));
    for (int i = 0; i < N; i++)
        store_close(s, &read[i]);
    assert_int_equal(in_use(), 0);
    store_destroy(s);
}

static void too_large_is_served_but_not_kept(void **state)
{
    (void)state;
    struct store *s = created(ROOM);
    struct object *o = NULL, *reader = NULL;
    size_t n;
    put(s, 1, BODY);
    assert_int_equal(open_at(s, 2, 0, &o), STORE_MAKE);
    assert_int_equal(open_at(s, 2, 0, &reader), STORE_JOIN);
    commit(s, o, BODY + 1, STORE_FOREVER);
    assert_false(has(s, 2));
    assert_true(has(s, 1));
    object_bytes(reader, &n);
    assert_int_equal(n, BODY + 1);
    store_close(s, &reader);
    store_close(s, &o);
    store_destroy(s);
}

static void the_abandoned_is_replaced(void **state)
{
    (void)state;
    for (int commits = 0; commits < 2; commits++) {
        struct store *s = created(1 << 20);
        struct object *old, *o = NULL, *joined = NULL;
        assert_int_equal(open_at(s, 1, 0, &o), STORE_MAKE);
        old = object_ref(o);
        store_close(s, &o);
        assert_true(object_abandoned(old));
        assert_false(has(s, 1));
        assert_int_equal(open_at(s, 1, 0, &o), STORE_MAKE);
        assert_ptr_not_equal(o, old);
        // Its maker ends it, which is nothing to the new one.
        if (commits)
            store_commit(s, old, STORE_FOREVER);
        else
            store_fail(s, old, E_CANCELLED, NULL, STORE_FOREVER);
        assert_int_equal(open_at(s, 1, 0, &joined), STORE_JOIN);
        assert_ptr_equal(joined, o);
        commit(s, o, 10, STORE_FOREVER);
        assert_true(has(s, 1));
        object_unref(&old);
        store_close(s, &joined);
        store_close(s, &o);
        store_destroy(s);
    }
}

static void an_abandoned_end_is_not_kept(void **state)
{
    (void)state;
    for (int commits = 0; commits < 2; commits++) {
        struct store *s = created(1 << 20);
        struct object *maker, *o = NULL;
        assert_int_equal(open_at(s, 1, 0, &o), STORE_MAKE);
        maker = object_ref(o);
        store_close(s, &o);
        if (commits)
            store_commit(s, maker, STORE_FOREVER);
        else
            store_fail(s, maker, E_CANCELLED, NULL, STORE_FOREVER);
        assert_int_equal(kept(), 0);
        assert_false(has(s, 1));
        object_unref(&maker);
        store_destroy(s);
    }
}

static void a_dropped_object_comes_to_its_readers(void **state)
{
    (void)state;
    struct store *s = created(1 << 20);
    struct object *o = NULL, *next = NULL;
    const struct key k = name(1);
    assert_int_equal(open_at(s, 1, 0, &o), STORE_MAKE);
    assert_true(store_drop(s, &k));
    assert_int_equal(open_at(s, 1, 0, &next), STORE_MAKE);
    commit(s, o, 10, STORE_FOREVER);
    assert_int_equal(object_state(o), OBJECT_WHOLE);
    store_close(s, &o);
    assert_int_equal(open_at(s, 1, 0, &o), STORE_JOIN);
    assert_ptr_equal(o, next);
    store_fail(s, next, E_INTERNAL, NULL, STORE_FOREVER);
    store_close(s, &o);
    store_close(s, &next);
    store_destroy(s);
}

static void failures_are_bounded_and_push_nothing_out(void **state)
{
    (void)state;
    struct store *s = created(ROOM);
    put(s, -1, BODY);
    for (int i = 0; i < STORE_FAILURES_MAX + 10; i++) {
        struct object *o = NULL;
        assert_int_equal(open_at(s, i, 0, &o), STORE_MAKE);
        store_fail(s, o, E_NOT_FOUND, NULL, 1000);
        store_close(s, &o);
    }
    assert_true(has(s, -1));
    for (int i = 0; i < STORE_FAILURES_MAX + 10; i++)
        assert_int_equal(has(s, i), i >= 10);
    store_destroy(s);
}

// ---- threads

enum { KEYS = 7, THREADS = 4, ROUNDS = 4000 };

static atomic_int wrong;

static void make(struct store *s, struct object *o, int i)
{
    if (object_append(o, &i, sizeof i) == 0)
        store_commit(s, o, STORE_FOREVER);
    else
        store_fail(s, o, E_CANCELLED, NULL, 0);
}

static void *visit(void *arg)
{
    struct store *s = arg;
    unsigned seed = (unsigned)(uintptr_t)pthread_self();
    for (int n = 0; n < ROUNDS; n++) {
        struct object *o = NULL;
        const int i = rand_r(&seed) % KEYS;
        const struct key k = name(i);
        switch (open_at(s, i, 0, &o)) {
        case STORE_MAKE:
            // Some leave first: the object is then only its maker's, if nobody joined.
            if (rand_r(&seed) % 2) {
                struct object *mine = object_ref(o);
                store_close(s, &o);
                make(s, mine, i);
                object_unref(&mine);
            } else {
                make(s, o, i);
            }
            break;
        case STORE_JOIN:
            if (rand_r(&seed) % 2 && object_wait_end(o, INT64_MAX / 2) == OBJECT_FAILED)
                atomic_fetch_add(&wrong, 1); // we read: nobody may have given it up
            break;
        case STORE_HIT:
            if (object_state(o) == OBJECT_WHOLE) {
                size_t size;
                const uint8_t *bytes = object_bytes(o, &size);
                if (size != sizeof i || memcmp(bytes, &i, size) != 0)
                    atomic_fetch_add(&wrong, 1);
            } else {
                atomic_fetch_add(&wrong, 1);
            }
            if (rand_r(&seed) % 2)
                store_drop(s, &k);
            break;
        }
        store_close(s, &o);
    }
    return NULL;
}

static void visitors_never_meet_what_was_given_up(void **state)
{
    (void)state;
    struct store *s = created(3 * ROOM);
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        t[i] = thread_start("visitor", visit, s);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    store_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_makes_the_others_join),
        cmocka_unit_test(things_expire),
        cmocka_unit_test(a_failure_that_is_not_remembered_meets_nobody),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(what_is_read_is_in_use),
        cmocka_unit_test(who_holds_it_uses_it),
        cmocka_unit_test(a_full_store_says_so),
        cmocka_unit_test(too_large_is_served_but_not_kept),
        cmocka_unit_test(the_abandoned_is_replaced),
        cmocka_unit_test(an_abandoned_end_is_not_kept),
        cmocka_unit_test(a_dropped_object_comes_to_its_readers),
        cmocka_unit_test(failures_are_bounded_and_push_nothing_out),
        cmocka_unit_test(visitors_never_meet_what_was_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
