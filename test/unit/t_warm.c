// SPDX-License-Identifier: BSD-2-Clause
//
// What of a master playlist is made, and in which order.  That it comes behind all others, and what
// is no order, test/e2e/test_warm.py shows.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/stat.h"
#include "cache/object.h"
#include "server/warm.h"
#include "test/unit/counters.h"

#define PATIENCE_MS 20000
#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccc"

#define SOUND "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"One\","
#define VARIANT "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"audio\"\n"

static const char master[] =
    "#EXTM3U\n#EXT-X-VERSION:7\n" SOUND "URI=\"" A "/audio-0/index.m3u8\"\n" SOUND "URI=\"" B
    "/audio-1/index.m3u8\"\n" VARIANT A "/480p/index.m3u8\n" VARIANT B
    "/720p/index.m3u8\n" VARIANT A "/480p/index.m3u8\n"
    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"" C "/trick/index.m3u8\"\n";

// ---- choosing

static void check_choice(const char *names, const char *text, size_t n, const char *want)
{
    struct warm_order o = { .count = 0 };
    char copy[200], *at = copy, *name, got[500] = "";
    copy_string(copy, sizeof copy, names);
    while (*names && (name = strsep(&at, " ")))
        copy_string(o.names[o.count++], ROUTE_RENDITION_MAX, name);
    const struct warm_list list = warm_choose(&o, text, n);
    for (int i = 0; i < list.count; i++) {
        const size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%.1s%s", i ? " " : "", list.uris[i],
                 list.uris[i] + 32);
    }
    assert_string_equal(got, want);
}

static void what_is_chosen(void **state)
{
    static const struct {
        const char *names, *text, *want;
    } cases[] = {
        { "", master, "a/audio-0/index.m3u8 a/480p/index.m3u8" },
        { "720p", master, "b/720p/index.m3u8" },
        { "480p trick none 48", master, "a/480p/index.m3u8 c/trick/index.m3u8" },
        { "audio-1 audio-0", master, "a/audio-0/index.m3u8 b/audio-1/index.m3u8" },
        { "", "", "" },
        { "", "#EXTM3U\n\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"" A, "" },
        { "a", A "/a", "" },
        { "", "\n" A "/audio-0/index.m3u8", "a/audio-0/index.m3u8" },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++)
        check_choice(cases[i].names, cases[i].text, strlen(cases[i].text), cases[i].want);
}

// Of any size, and no more than there is room for.
static void of_any_text(void **state)
{
    char text[40 * 60] = "", line[60], *const copy = xmalloc(sizeof master);
    const struct warm_order o = { .names = { "a" }, .count = 1 };
    (void)state;
    for (size_t n = 0; n < sizeof master; n++) {
        memcpy(copy + sizeof master - n, master, n); // reading behind it would be seen
        assert_true(warm_choose(&o, copy + sizeof master - n, n).count == 0);
    }
    free(copy);
    for (int i = 0; i < 40; i++) {
        snprintf(line, sizeof line, "%032d/a/index.m3u8\n", i);
        strcat(text, line);
    }
    assert_int_equal(warm_choose(&o, text, strlen(text)).count, WARM_PLAYLISTS);
}

// ---- making

static struct {
    char order[600]; // what was asked for
    int busy;        // so often the first is refused
    int open;        // references
} world;

static void put_body(struct object *o, const struct route *r)
{
    static const char media[] =
        "#EXTM3U\n#EXTINF:4,\n0.m4s\n#EXTINF:4,\n1.m4s\n#EXTINF:4,\n2.m4s\n";
    const char *const body = r->kind == ROUTE_MASTER     ? master
                             : r->kind == ROUTE_PLAYLIST ? media
                                                         : "x";
    if (strcmp(r->asset, "none.mp4") == 0)
        object_fail(o, E_NOT_FOUND, NULL);
    else if (world.busy > 0 && r->kind == ROUTE_SEGMENT && world.busy--)
        object_fail(o, E_BUSY, NULL);
    else if (object_append(o, body, strlen(body)) == 0)
        object_commit(o);
}

static struct object *open_object(void *arg, const struct route *r)
{
    static const struct key key;
    static const char kinds[] = {
        [ROUTE_MASTER] = 'M', [ROUTE_PLAYLIST] = 'P', [ROUTE_INIT] = 'I', [ROUTE_SEGMENT] = 'S'
    };
    struct object *const o = object_create(&key, 10000, NULL);
    const size_t n = strlen(world.order);
    (void)arg;
    object_join(o);
    snprintf(world.order + n, sizeof world.order - n, "%s%c%s", n ? " " : "", kinds[r->kind],
             r->kind == ROUTE_MASTER ? r->asset : r->rendition);
    world.open++;
    put_body(o, r);
    return o;
}

static void close_object(void *arg, struct object **o)
{
    (void)arg;
    object_leave(*o);
    object_unref(o);
    world.open--;
}

static void wait_for(enum stat_id id, int64_t n)
{
    const int64_t end = clock_ms() + PATIENCE_MS;
    while (since(id) < n) {
        assert_true(clock_ms() < end);
        poll(NULL, 0, 1);
    }
}

static int order(struct warm *w, const char *body)
{
    return warm_take(w, (const uint8_t *)body, strlen(body));
}

static void in_their_order(void **state)
{
    const struct warm_calls calls = { NULL, open_object, close_object };
    struct warm *const w = warm_create(&calls, 2, 10);
    (void)state;
    mark_counters();
    world.order[0] = '\0';
    world.busy = 1;
    assert_int_equal(order(w, "{\"assets\": [\"none.mp4\", \"/a.mp4\"]}"), 0);
    assert_int_equal(order(w, "{\"assets\": \"b/c.mp4\", \"renditions\": [\"720p\"]}"), 0);
    wait_for(STAT_warm_made_total, 2);
    assert_int_equal(since(STAT_warm_failed_total), 1);
    warm_destroy(w);
    assert_string_equal(world.order, "Mnone.mp4 "
                                     "Ma.mp4 Paudio-0 Iaudio-0 P480p I480p "
                                     "Saudio-0 S480p Saudio-0 Saudio-0 S480p "
                                     "Mb/c.mp4 P720p I720p S720p S720p");
    assert_int_equal(world.open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_chosen),
        cmocka_unit_test(of_any_text),
        cmocka_unit_test(in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
