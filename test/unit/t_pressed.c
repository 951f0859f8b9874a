// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "codec/plan.h"
#include "codec/pressed.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

// By their names: "source", "audio-0", and rungs such as "720p-hevc".
static void add(struct plan *p, const char *name, bool upright)
{
    struct rendition *const r = &p->renditions[p->count++];
    const int side = atoi(name);
    copy_string(r->name, sizeof r->name, name);
    r->kind = side > 0 ? RENDITION_VIDEO : name[0] == 's' ? RENDITION_SOURCE : RENDITION_AUDIO;
    r->v.width = upright ? side : 2 * side;
    r->v.height = upright ? 2 * side : side;
    r->v.codec = strstr(name, "-hevc") || strstr(name, "-hdr") ? VIDEO_HEVC : VIDEO_H264;
    r->v.encoder = strstr(name, "-vaapi") ? ENCODER_H264_VAAPI : ENCODER_SOFTWARE;
    r->v.colour.transfer = strstr(name, "-hdr") ? TRANSFER_PQ : 1;
    copy_string(r->v.preset, sizeof r->v.preset, "veryfast");
}

static struct plan plan_of(const char *names, bool upright)
{
    struct plan p = { .count = 0 };
    char text[200], *at = text, *name;
    assert_true(copy_string(text, sizeof text, names));
    while ((name = strsep(&at, " ")))
        add(&p, name, upright);
    return p;
}

static void check_names(struct plan p, bool pressed, const char *want)
{
    char got[200] = "";
    plan_show(&p, pressed);
    for (int i = 0; i < p.count; i++) {
        const size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%s", n ? " " : "", p.renditions[i].name);
    }
    assert_string_equal(got, want);
}

static void what_is_shown(void **state)
{
    static const struct {
        int most;
        const char *preset, *all, *pressed;
    } cases[] = {
        { 0, "", "720p 360p", "720p 360p" },
        { 480, "", "720p 480p 360p audio-0", "480p 360p audio-0" },
        // The source costs nothing, and is no rung for everybody.
        { 1, "", "source 720p 360p", "source 360p" },
        // Most players know one of those.
        { 480, "", "1080p-hdr 720p 720p-hevc 540p 360p-hevc 360p-hdr", "540p 360p-hevc 360p-hdr" },
        { 1, "", "720p-hevc 720p-hdr 360p-hevc 360p-hdr", "360p-hevc" },
        { 1, "superfast", "audio-0", "audio-0" },
        { 0, "superfast", "source 720p 360p-hevc audio-0",
          "source 720p-fast 360p-hevc-fast audio-0" },
        { 480, "superfast", "720p 360p", "360p-fast" },
        { 1, "superfast", "720p", "720p-fast" },
        // As fast as can be.
        { 0, "superfast", "720p-vaapi 360p", "720p-vaapi 360p-fast" },
        { 0, "veryfast", "720p", "720p" },
    };
    (void)state;
    for (size_t i = 0; i < 2 * countof(cases); i++) {
        struct conf conf = settings();
        struct plan p = plan_of(cases[i / 2].all, i % 2);
        conf.pressure_short_side = cases[i / 2].most;
        conf.pressure_preset = (char *)cases[i / 2].preset;
        pressed_add(&p, &conf);
        check_names(p, false, cases[i / 2].all);
        check_names(p, true, cases[i / 2].pressed);
    }
}

// Of the longest ladder too, all have a place; what it says makes no other recipe.
static void with_all_else(void **state)
{
    struct conf conf = settings_to_copy();
    struct media *const m = make_closed(20);
    struct plan usual, p;
    int64_t rate = 5000000;
    (void)state;
    assert_int_equal(media_finish(m), 0);
    for (conf.rung_count = 0; conf.rung_count < CONF_RUNGS; conf.rung_count++)
        conf.rungs[conf.rung_count] = (struct conf_rung){ .short_side = 720 - 32 * conf.rung_count,
                                                          .maxrate = rate -= rate / 6,
                                                          .crf = 23 };
    assert_int_equal(plan_make(&usual, &conf, m, "a.mp4", "v1", "x264"), 0);
    conf.pressure_short_side = 660;
    conf.pressure_preset = (char *)"superfast";
    assert_int_equal(plan_make(&p, &conf, m, "a.mp4", "v1", "x264"), 0);
    int faster = 0;
    for (int i = 0; i < p.count; i++) {
        const struct rendition *const r = &p.renditions[i];
        const struct rendition *const same = plan_find(&usual, r->name);
        assert_ptr_equal(plan_find(&p, r->name), r);
        if (same) {
            assert_true(key_equal(&same->recipe, &r->recipe));
            continue;
        }
        assert_int_equal(r->shown, SHOWN_UNDER_PRESSURE);
        assert_string_equal(r->v.preset, "superfast");
        assert_false(key_equal(&r->recipe, &r[-1].recipe));
        assert_int_equal(r->bandwidth, r[-1].bandwidth);
        faster++;
    }
    assert_true(faster > 1 && p.count == usual.count + faster);
    plan_finish(&usual);
    plan_finish(&p);
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shown),
        cmocka_unit_test(with_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
