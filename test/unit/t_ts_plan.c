// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/recipe.h"
#include "codec/ts_plan.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

static struct media *asset(struct plan *p, int groups, int packets)
{
    const struct conf conf = settings();
    struct media *const m = make_media(groups, packets);
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(p, &conf, m, "a", "v", "h"), 0);
    return m;
}

static bool same_source(const struct ts_source *s, const struct rendition *r)
{
    return r ? strcmp(s->name, r->name) == 0 && key_equal(&s->recipe, &r->recipe) : !s->name[0];
}

static int videos(const struct plan *p)
{
    int n = 0;
    for (int i = 0; i < p->count; i++)
        n += p->renditions[i].kind == RENDITION_VIDEO;
    return n;
}

static void each_video_with_the_sound(void **state)
{
    (void)state;
    static const struct {
        int groups, packets;
    } cases[] = { { 30, 600 }, { 30, 0 }, { 0, 600 } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct plan p;
        struct ts_rendition t[PLAN_RENDITIONS];
        struct media *m = asset(&p, cases[i].groups, cases[i].packets);
        const struct rendition *const audio = plan_find(&p, "audio-0");
        const int count = ts_plan(&p, t);
        assert_int_equal(count, cases[i].groups ? videos(&p) : 1);
        for (int k = 0; k < count; k++) {
            const struct rendition *const lead = plan_find(&p, ts_lead(&t[k])->name);
            const struct rendition *const video = cases[i].groups ? &p.renditions[k] : NULL;
            assert_ptr_equal(lead, video ? video : audio);
            assert_true(same_source(&t[k].video, video));
            assert_true(same_source(&t[k].audio, audio));
            assert_false(key_equal(&t[k].recipe, &lead->recipe));
            assert_int_equal(recipe_is_of_machine(&t[k].recipe), t[k].audio.name[0] != 0);
            assert_true(ts_bandwidth(&p, video, audio) >
                        (video ? video->bandwidth : 0) + (audio ? audio->bandwidth : 0));
            struct ts_rendition found;
            assert_int_equal(ts_find(&p, &t[k].recipe, &found), ts_bandwidth(&p, video, audio));
            assert_memory_equal(&found, &t[k], sizeof found);
            assert_int_equal(ts_find(&p, &lead->recipe, &found), 0);
            assert_true(ts_average(&p, video, audio) < ts_bandwidth(&p, video, audio));
        }
        media_destroy(m);
    }
}

static void other_codings_are_left_out(void **state)
{
    (void)state;
    struct plan p;
    struct ts_rendition t[PLAN_RENDITIONS];
    struct media *m = asset(&p, 30, 600);
    const int all = ts_plan(&p, t);
    assert_true(all > 1);
    strcpy(p.renditions[0].codecs, "hvc1.1.6.L93.B0");
    assert_int_equal(ts_plan(&p, t), all - 1);
    assert_true(same_source(&t[0].video, &p.renditions[1]));
    struct rendition *const audio = (struct rendition *)(uintptr_t)plan_find(&p, "audio-0");
    strcpy(audio->codecs, "opus");
    assert_int_equal(ts_plan(&p, t), all - 1);
    assert_true(same_source(&t[0].audio, NULL));
    for (int i = 0; i < p.count; i++)
        strcpy(p.renditions[i].codecs, "av01.0.04M.08");
    assert_int_equal(ts_plan(&p, t), 0);
    media_destroy(m);
}

// ---- records

static int unpack(const struct buf *b, struct ts_rendition *out)
{
    const struct key recipe = key_of(b->data, b->len);
    return ts_record_unpack(b->data, b->len, &recipe, out);
}

static struct buf packed(const struct ts_rendition *t)
{
    struct buf b;
    buf_init(&b, KIB);
    assert_int_equal(ts_record_pack(t, &b), 0);
    return b;
}

static void records(void **state)
{
    (void)state;
    struct plan p;
    struct ts_rendition t[PLAN_RENDITIONS], back;
    struct media *m = asset(&p, 30, 600);
    const int count = ts_plan(&p, t);
    for (int i = 0; i < count; i++) {
        struct buf b = packed(&t[i]);
        assert_int_equal(ts_record_unpack(b.data, b.len, &t[i].recipe, &back), 0);
        assert_memory_equal(&back, &t[i], sizeof back);
        assert_int_equal(ts_record_unpack(b.data, b.len, &t[i].video.recipe, &back), -E_CORRUPT);
        buf_finish(&b);
    }
    media_destroy(m);
}

// Whoever may write to a tier may hash what he likes; no name of his may be anything but one.
static void records_made_up(void **state)
{
    (void)state;
    struct plan p;
    struct ts_rendition t[PLAN_RENDITIONS], out;
    struct media *m = asset(&p, 30, 600);
    ts_plan(&p, t);
    struct buf b = packed(&t[0]);
    int taken = 0;
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (unpack(&b, &out) == 0) {
            assert_null(strpbrk(out.video.name, "\n/ ."));
            assert_true(strlen(out.video.name) < sizeof out.video.name);
            taken++;
        }
        b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_in_range(taken, 2 * 128, 2 * 128 + 60); // recipes, and letters of names
    for (; b.len > 0; b.len--) {
        out = (struct ts_rendition){ 0 };
        assert_int_equal(unpack(&b, &out), b.len == 94 ? 0 : -E_CORRUPT);
    }
    buf_finish(&b);
    struct ts_rendition none = t[0];
    memset(&none.video, 0, sizeof none.video);
    memset(&none.audio, 0, sizeof none.audio);
    b = packed(&none);
    assert_int_equal(unpack(&b, &out), -E_CORRUPT);
    buf_finish(&b);
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_video_with_the_sound),
        cmocka_unit_test(other_codings_are_left_out),
        cmocka_unit_test(records),
        cmocka_unit_test(records_made_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
