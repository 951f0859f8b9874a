// SPDX-License-Identifier: BSD-2-Clause

#include "cache/object.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static const struct key key = { "0123456789abcdef" };

static struct object *created(size_t max)
{
    return object_create(&key, max, NULL);
}

static void a_body_grows_and_is_kept(void **state)
{
    (void)state;
    enum { N = 300000 };
    uint8_t *want = xmalloc(N), *got = xmalloc(N);
    struct object *o = created(N);
    for (size_t i = 0; i < N; i++)
        want[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t at = 0, n = 1; at < N; at += n, n = n * 2 < N - at ? n * 2 : N - at) {
        assert_int_equal(object_size(o), at);
        assert_int_equal(object_append(o, want + at, n), 0);
        assert_int_equal(object_read(o, 0, got, N), at + n);
        assert_memory_equal(got, want, at + n);
        if (at + n == N)
            break;
    }
    assert_int_equal(object_state(o), OBJECT_MAKING);
    object_commit(o);
    size_t n;
    const uint8_t *bytes = object_bytes(o, &n);
    assert_int_equal(n, N);
    assert_memory_equal(bytes, want, N);
    for (int i = 0; i < 2; i++)
        assert_int_equal(object_checksum(o), checksum(want, N));
    assert_int_equal(object_state(o), OBJECT_WHOLE);
    assert_true(key_equal(object_key(o), &key));
    object_unref(&o);
    assert_null(o);
    object_unref(&o);
    free(want);
    free(got);
}

static void an_empty_body_is_whole(void **state)
{
    (void)state;
    struct object *o = created(0);
    size_t n = 1;
    assert_int_equal(object_append(o, "", 0), 0);
    object_commit(o);
    object_bytes(o, &n);
    assert_int_equal(n, 0);
    assert_int_equal(object_checksum(o), checksum("", 0));
    object_unref(&o);
}

static void reads_are_clipped(void **state)
{
    (void)state;
    static const struct {
        size_t offset, n, want;
    } t[] = {
        { 0, 5, 5 }, { 0, 9, 5 }, { 4, 9, 1 },        { 5, 1, 0 },
        { 6, 1, 0 }, { 2, 0, 0 }, { SIZE_MAX, 9, 0 }, { 1, SIZE_MAX, 4 },
    };
    struct object *o = created(100);
    assert_int_equal(object_append(o, "hello", 5), 0);
    for (size_t i = 0; i < countof(t); i++) {
        char out[16];
        assert_int_equal(object_read(o, t[i].offset, out, t[i].n), t[i].want);
        if (t[i].want)
            assert_memory_equal(out, "hello" + t[i].offset, t[i].want);
    }
    object_unref(&o);
}

static void the_ceiling_holds_and_loses_nothing(void **state)
{
    (void)state;
    struct object *o = created(10);
    char out[16];
    assert_int_equal(object_append(o, "1234567", 7), 0);
    assert_int_equal(object_append(o, "1234", 4), -E_LIMITS);
    assert_int_equal(object_append(o, "1234", SIZE_MAX), -E_LIMITS);
    assert_int_equal(object_state(o), OBJECT_MAKING);
    assert_int_equal(object_append(o, "890", 3), 0);
    assert_int_equal(object_read(o, 0, out, sizeof out), 10);
    assert_memory_equal(out, "1234567890", 10);
    object_unref(&o);
}

static int attached_alive;

static void let_go(void *thing)
{
    attached_alive--;
    free(thing);
}

// The first that is attached stays, and goes with the object.
static void one_thing_is_attached(void **state)
{
    (void)state;
    struct object *o = created(10);
    object_commit(o);
    assert_null(object_attached(o));
    void *const first = xmalloc(1), *const second = xmalloc(1);
    attached_alive = 1;
    assert_ptr_equal(object_attach(o, first, let_go), first);
    assert_ptr_equal(object_attach(o, second, let_go), first);
    assert_ptr_equal(object_attached(o), first);
    free(second);
    assert_int_equal(attached_alive, 1);
    object_unref(&o);
    assert_int_equal(attached_alive, 0);
}

// What it counts in its budget: as much as it may become soon, then what it is.
static void it_is_counted(void **state)
{
    (void)state;
    enum { COST = OBJECT_COST, RESERVE = (int)OBJECT_RESERVE, MORE = RESERVE / 2 };
    static uint8_t bytes[RESERVE];
    struct object_budget b = { .max = 3 * RESERVE };
    const struct key k = key_of("x", 1);
    size_t n;
    struct object *o = object_create(&k, SIZE_MAX, &b);
    assert_int_equal(b.used, RESERVE + COST);
    assert_int_equal(object_append(o, bytes, RESERVE), 0);
    assert_int_equal(b.used, RESERVE + COST);
    assert_int_equal(object_append(o, bytes, MORE), 0); // doubles
    assert_int_equal(b.used, 2 * RESERVE + COST);
    assert_int_equal(object_append(o, bytes, RESERVE), -E_NO_MEMORY);
    assert_int_equal(b.used, 2 * RESERVE + COST);
    object_commit(o);
    assert_int_equal(b.used, RESERVE + MORE + COST);
    assert_int_equal(object_counted(o), b.used);

    struct object *failed = object_create(&k, 1000, &b);
    assert_int_equal(b.used, RESERVE + MORE + COST + 1000 + COST); // its ceiling is less
    assert_int_equal(object_append(failed, bytes, 1000), 0);
    object_fail(failed, E_IO, "why");
    assert_int_equal(b.used, RESERVE + MORE + COST);
    assert_int_equal(object_size(failed), 0);
    object_unref(&failed);
    object_unref(&o);
    assert_int_equal(b.used, 0);

    // Who says what will come, has room for that and takes no more.
    o = object_create(&k, SIZE_MAX, &b);
    assert_int_equal(object_expect(o, 3 * RESERVE), -E_NO_MEMORY);
    assert_int_equal(b.used, RESERVE + COST);
    assert_int_equal(object_expect(o, 0), 0);
    assert_int_equal(object_expect(o, 2 * RESERVE + MORE), 0);
    assert_int_equal(object_append(o, bytes, MORE), 0);
    const uint8_t *const at = object_made(o, &n);
    for (int i = 1; i < 5; i++)
        assert_int_equal(object_append(o, bytes, MORE), 0);
    assert_ptr_equal(object_made(o, &n), at); // it was there from the beginning
    assert_int_equal(b.used, 2 * RESERVE + MORE + COST);
    object_commit(o);
    assert_int_equal(b.used, 2 * RESERVE + MORE + COST);
    object_unref(&o);
    o = object_create(&k, 1000, &b); // more than it may become is not counted
    assert_int_equal(object_expect(o, 3 * RESERVE), 0);
    assert_int_equal(b.used, 1000 + COST);
    object_unref(&o);
    assert_int_equal(b.used, 0);
}

static void a_failure_says_why(void **state)
{
    (void)state;
    char longer[1000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const struct {
        int code, want;
        const char *detail;
        size_t n;
    } t[] = {
        { E_CORRUPT, E_CORRUPT, "bad box", 7 },
        { -E_ORIGIN, E_ORIGIN, NULL, 0 },
        { -E_ORIGIN, E_ORIGIN, "", 0 },
        { -E_WORKER, E_WORKER, longer, 199 },
    };
    for (size_t i = 0; i < countof(t); i++) {
        struct object *o = created(10);
        object_fail(o, t[i].code, t[i].detail);
        assert_int_equal(object_state(o), OBJECT_FAILED);
        assert_int_equal(object_error(o), t[i].want);
        assert_int_equal(strlen(object_error_detail(o)), t[i].n);
        object_unref(&o);
    }
}

static void marks_are_carried(void **state)
{
    (void)state;
    struct object *o = created(10);
    int64_t got[OBJECT_MARKS] = { 9, 9, 9, 9 };
    const int64_t none[OBJECT_MARKS] = { 0 }, want[OBJECT_MARKS] = { 1, -2, INT64_MAX, 4 };
    object_marks(o, got);
    assert_memory_equal(got, none, sizeof got);
    object_set_marks(o, want);
    object_commit(o);
    object_marks(o, got);
    assert_memory_equal(got, want, sizeof got);
    object_unref(&o);
}

// ---- waiters

struct counted {
    struct object_waiter waiter;
    int woken;
};

static void count_wake(struct object_waiter *w)
{
    container_of(w, struct counted, waiter)->woken++;
}

static void waiters_are_woken_once_per_registration(void **state)
{
    (void)state;
    struct object *o = created(10);
    struct counted a = { .waiter.wake = count_wake }, b = a, c = a;
    assert_true(object_wait(o, &a.waiter, 0));
    assert_true(object_wait(o, &b.waiter, 0));
    assert_false(object_wait(o, &c.waiter, 1));
    assert_false(object_unwait(o, &c.waiter));
    assert_true(object_unwait(o, &b.waiter));
    assert_false(object_unwait(o, &b.waiter));
    assert_int_equal(object_append(o, "", 0), 0);
    assert_int_equal(a.woken, 0);

    assert_int_equal(object_append(o, "x", 1), 0);
    assert_int_equal(a.woken, 1);
    assert_int_equal(b.woken, 0);
    assert_false(object_unwait(o, &a.waiter));
    assert_false(object_wait(o, &a.waiter, 0));
    assert_int_equal(object_append(o, "x", 1), 0);
    assert_int_equal(a.woken, 1);

    assert_true(object_wait(o, &a.waiter, 2));
    assert_true(object_wait(o, &b.waiter, 2));
    object_commit(o);
    assert_int_equal(a.woken, 2);
    assert_int_equal(b.woken, 1);
    assert_false(object_wait(o, &a.waiter, 2));
    object_unref(&o);
}

// Readers see nothing of it, nor are woken, until all of it is published.
static void staged_bytes_are_published_at_once(void **state)
{
    (void)state;
    char out[8];
    size_t n;
    struct object *o = created(10);
    struct counted a = { .waiter.wake = count_wake };
    assert_int_equal(object_append(o, "a", 1), 0);
    assert_true(object_wait(o, &a.waiter, 1));
    object_publish(o);
    assert_int_equal(object_stage(o, "bc", 2), 0);
    assert_int_equal(object_stage(o, "d", 1), 0);
    assert_int_equal(a.woken, 0);
    assert_int_equal(object_size(o), 1);
    assert_int_equal(object_read(o, 0, out, sizeof out), 1);
    assert_memory_equal(object_made(o, &n), "abcd", 4);
    assert_int_equal(n, 4);
    object_publish(o);
    assert_int_equal(a.woken, 1);
    assert_int_equal(object_size(o), 4);
    assert_int_equal(object_read(o, 1, out, sizeof out), 3);
    assert_memory_equal(out, "bcd", 3);

    assert_true(object_wait(o, &a.waiter, 4));
    assert_int_equal(object_stage(o, "e", 1), 0);
    object_commit(o);
    assert_int_equal(a.woken, 2);
    assert_int_equal(object_size(o), 5);
    assert_memory_equal(object_bytes(o, &n), "abcde", 5);
    object_unref(&o);
}

// Each frees itself, and takes its reader's place and reference with it.
struct passing {
    struct object_waiter waiter;
    struct object *object;
    int *woken;
};

static void pass_away(struct object_waiter *w)
{
    struct passing *p = container_of(w, struct passing, waiter);
    ++*p->woken;
    object_leave(p->object);
    object_unref(&p->object);
    free(p);
}

static void waiters_may_free_themselves(void **state)
{
    (void)state;
    int woken = 0;
    struct object *o = created(10);
    for (int i = 0; i < 5; i++) {
        struct passing *p = xmalloc(sizeof *p);
        *p = (struct passing){ .waiter.wake = pass_away, .object = object_ref(o), .woken = &woken };
        object_join(o);
        assert_true(object_wait(o, &p->waiter, 0));
    }
    object_fail(o, E_INTERNAL, NULL);
    assert_int_equal(woken, 5);
    assert_int_equal(object_readers(o), 0);
    object_unref(&o);
}

static void waiting_for_the_end_has_a_deadline(void **state)
{
    (void)state;
    struct object *o = created(10);
    assert_int_equal(object_wait_end(o, clock_ms()), OBJECT_MAKING);
    object_commit(o);
    assert_int_equal(object_wait_end(o, 0), OBJECT_WHOLE);
    object_unref(&o);
}

// ---- abandoning

static void count_call(void *arg)
{
    ++*(int *)arg;
}

static void the_last_reader_abandons_for_ever(void **state)
{
    (void)state;
    int calls = 0;
    struct object *o = created(10);
    object_on_abandon(o, count_call, &calls);
    object_join(o);
    assert_true(object_try_join(o));
    object_leave(o);
    assert_false(object_abandoned(o));
    assert_int_equal(calls, 0);
    object_leave(o);
    assert_true(object_abandoned(o));
    assert_int_equal(calls, 1);

    assert_int_equal(object_append(o, "x", 1), -E_CANCELLED);
    assert_false(object_try_join(o));
    assert_int_equal(object_readers(o), 0);
    object_join(o);
    object_leave(o);
    assert_int_equal(calls, 1);
    assert_true(object_abandoned(o));
    object_fail(o, E_CANCELLED, NULL);
    assert_int_equal(calls, 1);
    object_unref(&o);
}

static void a_late_maker_is_told_at_once(void **state)
{
    (void)state;
    int calls = 0;
    struct object *o = created(10);
    object_join(o);
    object_leave(o);
    object_on_abandon(o, count_call, &calls);
    assert_int_equal(calls, 1);
    object_fail(o, E_CANCELLED, NULL);
    object_unref(&o);
}

static void nobody_abandons_what_has_ended(void **state)
{
    (void)state;
    int calls = 0;
    struct object *o = created(10);
    object_on_abandon(o, count_call, &calls);
    object_join(o);
    object_commit(o);
    object_leave(o);
    assert_int_equal(calls, 0);
    assert_false(object_abandoned(o));
    object_unref(&o);
}

static void end_it(void *arg)
{
    struct object **o = arg;
    object_fail(*o, E_CANCELLED, NULL);
    object_unref(o);
}

static void the_call_may_end_the_object(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct object *maker = created(10);
        struct object *reader = object_ref(maker);
        object_join(reader);
        if (!late)
            object_on_abandon(maker, end_it, &maker);
        object_leave(reader);
        object_unref(&reader);
        if (late)
            object_on_abandon(maker, end_it, &maker);
        assert_null(maker);
    }
}

// ---- threads

enum { BODY = 200000, READERS = 4 };

struct follower {
    struct object_waiter waiter;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    struct object *object;
    size_t got;
    int wrong;
};

static void wake_follower(struct object_waiter *w)
{
    struct follower *f = container_of(w, struct follower, waiter);
    lock(&f->lock);
    f->woken = true;
    pthread_cond_signal(&f->cond);
    unlock(&f->lock);
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 97);
}

static void *follow(void *arg)
{
    struct follower *f = arg;
    uint8_t part[777];
    for (;;) {
        const size_t n = object_read(f->object, f->got, part, sizeof part);
        for (size_t i = 0; i < n; i++)
            f->wrong += part[i] != byte_at(f->got + i);
        f->got += n;
        if (n)
            continue;
        if (object_state(f->object) != OBJECT_MAKING && f->got == object_size(f->object))
            return NULL;
        f->woken = false;
        if (!object_wait(f->object, &f->waiter, f->got))
            continue;
        // Now and then think better of it.
        if (f->got % 3 == 0 && object_unwait(f->object, &f->waiter))
            continue;
        lock(&f->lock);
        while (!f->woken)
            pthread_cond_wait(&f->cond, &f->lock);
        unlock(&f->lock);
    }
}

static void readers_follow_the_maker(void **state)
{
    (void)state;
    struct object *o = created(BODY);
    struct follower f[READERS];
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        f[i] = (struct follower){ .waiter.wake = wake_follower, .object = object_ref(o) };
        pthread_mutex_init(&f[i].lock, NULL);
        cond_init(&f[i].cond);
        object_join(o);
        threads[i] = thread_start("follower", follow, &f[i]);
    }
    uint8_t part[1000];
    for (size_t at = 0; at < BODY; at += sizeof part) {
        for (size_t i = 0; i < sizeof part; i++)
            part[i] = byte_at(at + i);
        assert_int_equal(object_append(o, part, sizeof part), 0);
    }
    object_commit(o);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(f[i].got, BODY);
        assert_int_equal(f[i].wrong, 0);
        object_leave(o);
        object_unref(&f[i].object);
        pthread_mutex_destroy(&f[i].lock);
        pthread_cond_destroy(&f[i].cond);
    }
    object_unref(&o);
}

static void *leave(void *arg)
{
    struct object *o = arg;
    object_leave(o);
    object_unref(&o);
    return NULL;
}

static void *wait_end(void *arg)
{
    return (void *)(intptr_t)object_wait_end(arg, INT64_MAX / 2);
}

// The maker frees what the call looks at as soon as the object has ended.
static void an_ended_object_calls_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct object *o = created(10);
        int *calls = xcalloc(1, sizeof *calls);
        object_join(o);
        object_on_abandon(o, count_call, calls);
        pthread_t waiting = thread_start("waiting", wait_end, o);
        pthread_t leaving = thread_start("leaving", leave, object_ref(o));
        object_fail(o, E_INTERNAL, NULL);
        assert_int_equal(*calls, object_abandoned(o));
        free(calls);
        void *end;
        pthread_join(leaving, NULL);
        pthread_join(waiting, &end);
        assert_int_equal((intptr_t)end, OBJECT_FAILED);
        object_unref(&o);
    }
}

static atomic_bool call_entered, may_return;

static void linger(void *arg)
{
    atomic_store(&call_entered, true);
    while (!atomic_load(&may_return))
        poll(NULL, 0, 1);
    ++*(int *)arg;
}

static void *fail_it(void *arg)
{
    object_fail(arg, E_CANCELLED, NULL);
    return NULL;
}

static void the_end_waits_for_the_call(void **state)
{
    (void)state;
    int calls = 0;
    struct object *o = created(10);
    object_join(o);
    object_on_abandon(o, linger, &calls);
    pthread_t leaving = thread_start("leaving", leave, object_ref(o));
    while (!atomic_load(&call_entered))
        poll(NULL, 0, 1);
    pthread_t failing = thread_start("failing", fail_it, o);
    while (object_state(o) == OBJECT_MAKING)
        poll(NULL, 0, 1);
    assert_int_equal(pthread_tryjoin_np(failing, NULL), EBUSY);
    atomic_store(&may_return, true);
    pthread_join(failing, NULL);
    assert_int_equal(calls, 1);
    pthread_join(leaving, NULL);
    object_unref(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_grows_and_is_kept),
        cmocka_unit_test(an_empty_body_is_whole),
        cmocka_unit_test(reads_are_clipped),
        cmocka_unit_test(the_ceiling_holds_and_loses_nothing),
        cmocka_unit_test(one_thing_is_attached),
        cmocka_unit_test(it_is_counted),
        cmocka_unit_test(a_failure_says_why),
        cmocka_unit_test(marks_are_carried),
        cmocka_unit_test(waiters_are_woken_once_per_registration),
        cmocka_unit_test(staged_bytes_are_published_at_once),
        cmocka_unit_test(waiters_may_free_themselves),
        cmocka_unit_test(waiting_for_the_end_has_a_deadline),
        cmocka_unit_test(the_last_reader_abandons_for_ever),
        cmocka_unit_test(a_late_maker_is_told_at_once),
        cmocka_unit_test(nobody_abandons_what_has_ended),
        cmocka_unit_test(the_call_may_end_the_object),
        cmocka_unit_test(readers_follow_the_maker),
        cmocka_unit_test(an_ended_object_calls_no_more),
        cmocka_unit_test(the_end_waits_for_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
