// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/beginning.h"
#include "codec/hls.h"
#include "codec/plan.h"
#include "codec/record.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

// Groups of 0.48 s, and sound of their length in 44.1 kHz.
static struct media *source(int groups, enum reach reach)
{
    struct media *const m = make_media(groups, groups * 20);
    m->reach = reach;
    m->size = 100 * MIB;
    assert_int_equal(media_finish(m), 0);
    return m;
}

static struct media *beginning(void)
{
    return source(60, MEDIA_BEGINNING); // 28.8 s, of sound 27.8
}

static struct media *all(void)
{
    return source(200, MEDIA_ALL);
}

static struct media *continued(const struct media *from)
{
    struct media *const m = all();
    assert_int_equal(beginning_continue(from, m), 0);
    return m;
}

static void planned(struct plan *p, const struct media *m)
{
    const struct conf conf = settings_to_copy();
    assert_int_equal(plan_make(p, &conf, m, "a", "v", "h"), 0);
}

static void what_is_sure(void **state)
{
    (void)state;
    struct media *m = beginning();
    const int64_t us =
        (INT64_C(60) * 20 - 1) * 1024 * 1000000 / 44100; // of sound, which ends first
    assert_int_equal(beginning_frames(m), muldiv_floor(us - 8000000, 25, 1000000));
    media_destroy(m);
    m = source(10, MEDIA_BEGINNING);
    assert_int_equal(beginning_frames(m), 0);
    struct plan p;
    const struct conf conf = settings();
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), -E_UNSUPPORTED);
    media_destroy(m);
}

// What a beginning's players were given is right for ever.
static void recipes_stay(void **state)
{
    (void)state;
    struct media *const first = beginning(), *const then = continued(first);
    struct plan p, q;
    planned(&p, first);
    planned(&q, then);
    assert_true(p.growing && p.table.open && !q.growing && q.table.open);
    assert_int_equal(p.table.count, 4);
    assert_int_equal(q.table.frames, then->frames);
    assert_true(q.count > p.count && plan_find(&q, "storyboard") && plan_find(&q, "trick"));
    assert_null(plan_find(&q, "source"));
    for (int i = 0; i < p.count; i++) {
        const struct rendition *const r = &p.renditions[i], *const s = plan_find(&q, r->name);
        assert_non_null(s);
        assert_true(key_equal(&r->recipe, &s->recipe));
        assert_int_equal(r->bandwidth, s->bandwidth);
        for (int k = 0; k < p.table.count; k++)
            assert_int_equal(plan_segment_start(&p, r, k), plan_segment_start(&q, s, k));
    }
    plan_finish(&p);
    plan_finish(&q);
    media_destroy(first);
    media_destroy(then);
}

// What the rest is like changes nothing of what was begun.
static void facts_stay(void **state)
{
    (void)state;
    struct media *const first = beginning(), *const then = all();
    then->video.rotate = 90;
    then->video.colour.transfer = TRANSFER_PQ;
    then->video.fields = FIELDS_TOP_FIRST;
    then->video.bytes *= 100;
    then->fps = (struct rational){ 24, 1 };
    int64_t offset = 0;
    make_more_audio(then, "de", 48000, &offset);
    assert_int_equal(beginning_continue(first, then), 0);
    assert_int_equal(then->reach, MEDIA_CONTINUED);
    assert_int_equal(then->video.rotate, 0);
    assert_int_equal(then->video.colour.transfer, first->video.colour.transfer);
    assert_int_equal(then->video.fields, FIELDS_NONE);
    assert_int_equal(media_video_rate(then), media_video_rate(first));
    assert_int_equal(then->fps.num, 25);
    assert_int_equal(then->frames, 200 * 12 - 2);
    assert_int_equal(media_audio_count(then), 1);
    media_destroy(first);
    media_destroy(then);
}

static void other_size(struct media *m)
{
    m->video.samples[300].size++;
}

static void other_time(struct media *m)
{
    m->video.samples[300].pts++;
}

static void other_sync(struct media *m)
{
    m->video.samples[300].sync ^= true;
}

static void other_sound(struct media *m)
{
    m->audio.samples[30].pts++;
}

static void other_codec(struct media *m)
{
    m->video.codec = CODEC_HEVC;
}

static void other_headers(struct media *m)
{
    m->video.extradata[0]++;
}

static void other_source(struct media *m)
{
    m->size++;
}

static void shorter(struct media *m)
{
    m->video.sample_count = 100;
}

static void late_in_the_beginning(struct media *m)
{
    m->video.samples[12 * 59].size++; // 28 s: that was not sure
}

static void another_source(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct media *m);
        int want;
    } cases[] = {
        { other_size, -E_CORRUPT },   { other_time, -E_CORRUPT },  { other_sync, -E_CORRUPT },
        { other_sound, -E_CORRUPT },  { other_codec, -E_CORRUPT }, { other_headers, -E_CORRUPT },
        { other_source, -E_CORRUPT }, { shorter, -E_CORRUPT },     { late_in_the_beginning, 0 },
    };
    struct media *const first = beginning();
    for (size_t i = 0; i < countof(cases); i++) {
        struct media *const then = all();
        cases[i].change(then);
        if (beginning_continue(first, then) != cases[i].want)
            fail_msg("case %zu", i);
        assert_int_equal(then->reach, cases[i].want ? MEDIA_ALL : MEDIA_CONTINUED);
        media_destroy(then);
    }
    media_destroy(first);
}

// A recipe of the past, too: its record knows no end, and gets that of the index.
static void records_get_the_end(void **state)
{
    (void)state;
    struct media *const first = beginning(), *const then = continued(first), *const plain = all();
    struct plan p, back;
    planned(&p, first);
    for (int i = 0; i < p.count; i++) {
        struct buf b;
        buf_init(&b, RECORD_MAX);
        assert_int_equal(record_pack(&p, &p.renditions[i], "a", "v", "h", &b), 0);
        const struct key *const recipe = &p.renditions[i].recipe;
        assert_int_equal(record_unpack(b.data, b.len, recipe, "a", "v", &back), 0);
        assert_false(plan_fit(&back, plain));
        assert_true(plan_fit(&back, first));
        assert_true(back.growing && back.table.frames == p.table.frames);
        assert_true(plan_fit(&back, then));
        assert_true(!back.growing && back.table.frames == then->frames);
        plan_finish(&back);
        buf_finish(&b);
    }
    plan_finish(&p);
    // One with an end is no business of a beginning.
    planned(&p, plain);
    assert_false(plan_fit(&p, first));
    assert_false(plan_fit(&p, then) && p.table.open);
    plan_finish(&p);
    media_destroy(first);
    media_destroy(then);
    media_destroy(plain);
}

static char *playlist(const struct plan *p)
{
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_media(&b, p, &p->renditions[0], NULL), 0);
    assert_int_equal(buf_append(&b, "", 1), 0);
    return (char *)b.data;
}

// RFC 8216bis 6.2.1: an EVENT only ever gets more at its end, until it has its ENDLIST.
static void playlists_grow(void **state)
{
    (void)state;
    static const char start[] = "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n";
    struct media *const first = beginning(), *const then = continued(first);
    struct plan p, q;
    planned(&p, first);
    planned(&q, then);
    char *const a = playlist(&p), *const b = playlist(&q);
    char *const at = strstr(a, start);
    assert_non_null(at);
    assert_null(strstr(b, start));
    memmove(at, at + sizeof start - 1, strlen(at + sizeof start - 1) + 1);
    assert_memory_equal(a, b, strlen(a));
    assert_non_null(strstr(a, "#EXT-X-PLAYLIST-TYPE:EVENT\n"));
    assert_null(strstr(a, "ENDLIST"));
    assert_string_equal(b + strlen(b) - strlen("#EXT-X-ENDLIST\n"), "#EXT-X-ENDLIST\n");
    free(a);
    free(b);
    plan_finish(&p);
    plan_finish(&q);
    media_destroy(first);
    media_destroy(then);
}

static void packed(void **state)
{
    (void)state;
    struct media *const first = beginning(), *const then = continued(first);
    struct media *back;
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(media_pack(first, &b), 0);
    assert_int_equal(media_unpack(b.data, b.len, &back), 0);
    assert_int_equal(back->reach, MEDIA_BEGINNING);
    media_destroy(back);
    buf_finish(&b);
    assert_int_equal(media_pack(then, &b), 0);
    assert_int_equal(media_unpack(b.data, b.len, &back), -E_CORRUPT); // nobody gives that away
    buf_finish(&b);
    media_destroy(first);
    media_destroy(then);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sure),
        cmocka_unit_test(recipes_stay),
        cmocka_unit_test(facts_stay),
        cmocka_unit_test(another_source),
        cmocka_unit_test(records_get_the_end),
        cmocka_unit_test(playlists_grow),
        cmocka_unit_test(packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
