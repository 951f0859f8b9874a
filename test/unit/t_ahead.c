// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/stat.h"
#include "cache/object.h"
#include "server/ahead.h"
#include "test/unit/counters.h"

// So late that nobody is silent for its thread, which goes by the machine's clock.
#define NOW ((int64_t)1 << 60)

// What it did, in words: "+5" began segment 5, "-5" gave it back.
static struct world {
    char did[200];
    struct object *made[32];
    int numbers[32];
    int count;
    bool there; // whatever it wants to begin
} world;

static void tell(char sign, int n)
{
    const size_t len = strlen(world.did);
    snprintf(world.did + len, sizeof world.did - len, "%c%d ", sign, n);
}

static struct object *begin(void *arg, const struct route *r, uint32_t client)
{
    (void)arg, (void)client;
    if (world.there)
        return NULL;
    struct object *const o = object_create(&r->recipe, 1000, NULL);
    object_join(o);
    tell('+', r->n);
    world.numbers[world.count] = r->n;
    world.made[world.count++] = o;
    return object_ref(o);
}

static void end(void *arg, struct object **o)
{
    (void)arg;
    for (int i = 0; i < world.count; i++)
        if (world.made[i] == *o)
            tell('-', world.numbers[i]);
    object_leave(*o);
    object_unref(o);
}

static struct ahead *ahead;

static void open_ahead(int depth, int most)
{
    world = (struct world){ .count = 0 };
    mark_counters();
    ahead = ahead_create(&(struct ahead_calls){ NULL, begin, end }, depth, most);
}

static void close_ahead(void)
{
    ahead_destroy(ahead);
    for (int i = 0; i < world.count; i++) {
        assert_int_equal(object_readers(world.made[i]), 0);
        if (object_state(world.made[i]) == OBJECT_MAKING)
            object_fail(world.made[i], E_CANCELLED, NULL);
        object_unref(&world.made[i]);
    }
}

static struct route route_to(char rendition, int n)
{
    return (struct route){ .kind = ROUTE_SEGMENT, .recipe = key_of(&rendition, 1), .n = n };
}

// Client c asks for segment n of that rendition: 'h' it is there, 'c' it is cold.
static void ask(uint32_t client, char rendition, int n, char how)
{
    const struct route r = route_to(rendition, n);
    ahead_note(ahead, &r, client, how == 'c', NULL, NOW);
}

static void expect(const char *did)
{
    assert_string_equal(world.did, did);
    world.did[0] = '\0';
}

static void who_watches_has_the_next(void **state)
{
    (void)state;
    open_ahead(1, 10);
    ask(1, 'v', 0, 'c');
    expect(""); // a first one: he may swipe away
    ask(1, 'v', 1, 'c');
    expect("+2 ");
    ask(1, 'v', 1, 'c'); // once more
    expect("");
    ask(1, 'v', 2, 'h'); // which is there because of us
    expect("-2 +3 ");
    ask(1, 'v', 3, 'c'); // which is still made
    expect("-3 +4 ");
    assert_int_equal(since(STAT_ahead_begun_total), 3);
    assert_int_equal(since(STAT_ahead_used_total), 2);
    close_ahead();
    expect("-4 ");
}

static void what_is_cached_is_left_alone(void **state)
{
    (void)state;
    open_ahead(1, 10);
    for (int n = 0; n < 5; n++)
        ask(1, 'v', n, 'h');
    expect("");
    ask(1, 'v', 5, 'c'); // here the cache ends
    expect("+6 ");
    world.there = true;
    ask(1, 'v', 6, 'h');
    expect("-6 ");
    assert_int_equal(since(STAT_ahead_begun_total), 1);
    close_ahead();
}

static void who_jumps_or_leaves_has_none(void **state)
{
    const struct route r = route_to('v', 8);
    (void)state;
    open_ahead(2, 10);
    ask(1, 'v', 0, 'c');
    ask(1, 'v', 1, 'c');
    expect("+2 +3 ");
    ask(1, 'v', 7, 'c');
    expect("-3 -2 ");
    ask(1, 'v', 8, 'c');
    expect("+9 +10 ");
    ahead_leave(ahead, &r, 2);
    expect("");
    ahead_leave(ahead, &r, 1);
    expect("-9 -10 ");
    assert_int_equal(since(STAT_ahead_used_total), 0);
    close_ahead();
}

static void clients_and_renditions_are_apart(void **state)
{
    (void)state;
    open_ahead(1, 10);
    ask(1, 'v', 0, 'c');
    ask(2, 'v', 1, 'c');
    ask(1, 'a', 1, 'c');
    expect("");
    ask(1, 'v', 1, 'c');
    ask(1, 'a', 2, 'c');
    expect("+2 +3 ");
    close_ahead();
}

static void what_is_named_is_begun(void **state)
{
    const struct route first = route_to('v', 0), next = route_to('w', 1);
    (void)state;
    open_ahead(2, 10);
    ahead_note(ahead, &first, 1, false, &next, NOW);
    expect("+1 +2 "); // of 'w', though nobody has asked for any of it
    assert_true(memcmp(object_key(world.made[0]), &next.recipe, sizeof next.recipe) == 0);
    ask(1, 'w', 1, 'c');
    expect("-1 +3 ");
    assert_int_equal(since(STAT_ahead_used_total), 1);
    close_ahead();
}

static void there_is_an_end_to_it(void **state)
{
    (void)state;
    open_ahead(4, 3);
    ask(1, 'v', 0, 'c');
    ask(1, 'v', 1, 'c');
    expect("+2 +3 +4 ");
    ask(2, 'v', 0, 'c');
    ask(2, 'v', 1, 'c');
    expect("");
    ask(1, 'v', 2, 'h');
    expect("-2 +5 ");
    ahead_stop(ahead);
    expect("-4 -5 -3 ");
    ask(1, 'v', 3, 'c');
    expect("");
    close_ahead();

    open_ahead(0, 3);
    ask(1, 'v', 0, 'c');
    ask(1, 'v', 1, 'c');
    close_ahead();
    expect("");
    ahead_destroy(NULL);
}

// What has ended is no longer read, but remembered until it is asked for.
static void what_has_ended_is_let_go(void **state)
{
    (void)state;
    open_ahead(2, 10);
    ask(1, 'v', 0, 'c');
    ask(1, 'v', 1, 'c');
    ahead_sweep(ahead, NOW + 1);
    expect("+2 +3 ");
    object_commit(world.made[0]);
    object_fail(world.made[1], E_NOT_FOUND, NULL);
    ahead_sweep(ahead, NOW + 1);
    expect("-3 -2 ");
    assert_int_equal(since(STAT_ahead_void_total), 1);
    world.there = true;
    ask(1, 'v', 2, 'h');
    assert_int_equal(since(STAT_ahead_used_total), 1);
    close_ahead();
}

static void who_is_silent_is_gone(void **state)
{
    (void)state;
    open_ahead(1, 10);
    ask(1, 'v', 0, 'c');
    ask(1, 'v', 1, 'c');
    ahead_sweep(ahead, NOW + AHEAD_IDLE_US);
    expect("+2 ");
    ahead_sweep(ahead, NOW + 1 + AHEAD_IDLE_US);
    expect("-2 ");
    ask(1, 'v', 2, 'c'); // as one who comes anew
    expect("");
    close_ahead();
}

// Of those that share a set, who was silent for longest makes room.
static void a_full_table_forgets_the_oldest(void **state)
{
    (void)state;
    open_ahead(1, 10);
    for (uint32_t i = 0; i < 5; i++) {
        struct route r = route_to('v', 0);
        r.recipe.b[2] = (uint8_t)i; // not what sets are told apart by
        ahead_note(ahead, &r, 1, true, NULL, NOW + i);
        r.n = 1;
        ahead_note(ahead, &r, 1, true, NULL, NOW + i);
    }
    expect("+2 +2 +2 +2 -2 +2 ");
    assert_int_equal(object_readers(world.made[0]), 0);
    close_ahead();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_watches_has_the_next),
        cmocka_unit_test(what_is_cached_is_left_alone),
        cmocka_unit_test(who_jumps_or_leaves_has_none),
        cmocka_unit_test(clients_and_renditions_are_apart),
        cmocka_unit_test(what_is_named_is_begun),
        cmocka_unit_test(there_is_an_end_to_it),
        cmocka_unit_test(what_has_ended_is_let_go),
        cmocka_unit_test(who_is_silent_is_gone),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
