// SPDX-License-Identifier: BSD-2-Clause
//
// Sources are made by hand: each byte of a frame of sound is the frame's number.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/fmp4.h"
#include "codec/sound.h"
#include "codec/sound_copy.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

#define PACKETS 440 // a little more than ten seconds

struct world {
    struct io io;
    struct media *m;
    struct plan p;
    const struct rendition *r;
    struct buf out;
    bool cancel;
};

static int64_t read_bytes(struct io *io, int64_t offset, void *out, int64_t n)
{
    const struct world *w = container_of(io, struct world, io);
    const struct audio_track *const a = &w->m->audio;
    n = offset + n > w->io.size ? w->io.size - offset : n;
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)((offset + i - a->samples[0].offset) / a->samples[0].size);
    return n < 0 ? 0 : n;
}

static int append_bytes(struct io *io, const void *bytes, size_t n)
{
    return buf_append(&container_of(io, struct world, io)->out, bytes, n);
}

static bool is_cancelled(struct io *io)
{
    return container_of(io, struct world, io)->cancel;
}

// Ten seconds of pictures with sound of 44.1 kHz in stereo, its first frame at `first`.
static struct media *make(int packets, int64_t first)
{
    struct media *const m = make_closed(21);
    make_audio(m, packets, first, &m->size);
    struct audio_track *const a = &m->audio;
    a->strip = (struct strip){ 0 };
    free(a->extradata);
    a->extradata = memcpy(xmalloc(5), "\x12\x10\x56\xe5\x00", 5);
    a->extradata_size = 5;
    return m;
}

static void set_up(struct world *w, struct media *m)
{
    *w = (struct world){ .io = { m->size, read_bytes, append_bytes, is_cancelled }, .m = m };
    struct conf conf = settings();
    conf.media_copy_audio = true;
    buf_init(&w->out, 64 * MIB);
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&w->p, &conf, m, "a", "v", "h"), 0);
    w->r = plan_find(&w->p, "audio-0");
    assert_non_null(w->r);
}

static void tear_down(struct world *w)
{
    plan_finish(&w->p);
    media_destroy(w->m);
    buf_finish(&w->out);
}

// ---- copies

static void check_segment(struct world *w, int k, int64_t *frame, int first)
{
    struct fmp4_found *found;
    struct fmp4_summary got;
    int count;
    buf_clear(&w->out);
    assert_int_equal(sound_copy_segment(&w->p, w->r, w->m, k, &w->io), 0);
    assert_int_equal(fmp4_check(w->out.data, w->out.len, &got), 0);
    assert_int_equal(got.start, plan_segment_start(&w->p, w->r, k));
    assert_int_equal(got.samples, plan_segment_samples(&w->p, w->r, k));
    const int64_t us = plan_segment_us(&w->p, w->r, k + 1) - plan_segment_us(&w->p, w->r, k);
    assert_true((int64_t)w->out.len * 8 * 1000000 <= w->r->bandwidth * us);
    assert_true((int64_t)w->out.len <= sound_copy_bytes(&w->p, w->r, w->m, k));
    assert_int_equal(fmp4_samples(w->out.data, w->out.len, 1000, &found, &count), 0);
    for (int i = 0; i < count; i++, ++*frame) {
        assert_int_equal(found[i].time, *frame * AAC_FRAME);
        const int64_t packet = *frame - first;
        const bool there = packet >= 0 && packet < w->m->audio.sample_count;
        assert_int_equal(found[i].s.size, there ? 300 : 6);
        assert_int_equal(found[i].data[0], there ? (uint8_t)packet : 0x21);
    }
    free(found);
}

static void each_frame_once(void **state)
{
    (void)state;
    static const struct {
        int packets;
        int64_t pts;
        int first; // the frame of the rendition that packet 0 is
        bool rough;
    } cases[] = {
        { PACKETS, 0, 0, false },     { PACKETS, -1024, -1, false }, { PACKETS, -3072, -3, false },
        { PACKETS, 4096, 4, false },  { 200, -1024, -1, false },     { PACKETS, -1008, -1, true },
        { PACKETS, -1060, -1, true }, { PACKETS, 40, 0, true },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w;
        struct media *const m = make(cases[i].packets, cases[i].pts);
        m->container = cases[i].rough ? CONTAINER_MATROSKA : CONTAINER_MP4;
        set_up(&w, m);
        assert_true(w.r->copied);
        int64_t frame = 0;
        for (int k = 0; k < w.p.table.count; k++)
            check_segment(&w, k, &frame, cases[i].first);
        assert_in_range(frame * AAC_FRAME - 21 * 12 * 44100 / 25, 0, AAC_FRAME);
        tear_down(&w);
    }
}

static void an_init_segment(void **state)
{
    (void)state;
    struct world w;
    struct fmp4_track t;
    set_up(&w, make(PACKETS, -1024));
    assert_int_equal(sound_copy_init(w.r, &w.out), 0);
    assert_int_equal(fmp4_read_init(w.out.data, w.out.len, &t), 0);
    assert_int_equal(t.config_size, 2);
    assert_memory_equal(t.config, "\x12\x10", 2);
    assert_true(t.sample_rate == 44100 && t.channels == 2);
    tear_down(&w);
}

static void what_goes_wrong(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, make(PACKETS, -1024));
    assert_int_equal(sound_copy_segment(&w.p, w.r, w.m, w.p.table.count, &w.io), -E_NOT_FOUND);
    assert_int_equal(sound_copy_segment(&w.p, w.r, w.m, -1, &w.io), -E_NOT_FOUND);
    w.cancel = true;
    assert_int_equal(sound_copy_segment(&w.p, w.r, w.m, 0, &w.io), -E_CANCELLED);
    assert_int_equal(w.out.len, 0);
    w.cancel = false;
    w.io.size = w.m->audio.samples[0].offset + 100;
    assert_int_equal(sound_copy_segment(&w.p, w.r, w.m, 0, &w.io), -E_CORRUPT);
    assert_int_equal(w.out.len, 0);
    w.io.size = w.m->size;
    w.m->audio.samples[9].pts++; // another index
    assert_int_equal(sound_copy_segment(&w.p, w.r, w.m, 0, &w.io), -E_CORRUPT);
    tear_down(&w);
}

// ---- refusals

static void as_it_is(struct media *m)
{
    (void)m;
}
static void of_another_codec(struct media *m)
{
    m->audio.codec = CODEC_MP3;
}
static void stripped(struct media *m)
{
    m->audio.strip.n = 1;
}
static void with_a_gap(struct media *m)
{
    for (int i = 50; i < m->audio.sample_count; i++)
        m->audio.samples[i].pts += 1024;
}
static void off_the_grid(struct media *m)
{
    for (int i = 0; i < m->audio.sample_count; i++)
        m->audio.samples[i].pts += 16;
}
static void in_mono_by_its_headers(struct media *m)
{
    m->audio.extradata[1] = 0x08;
}
static void of_long_windows(struct media *m)
{
    m->audio.extradata[1] = 0x14; // 960 samples
}
static void with_sbr(struct media *m)
{
    m->audio.extradata[4] = 0x80;
}
static void of_the_main_profile(struct media *m)
{
    m->audio.extradata[0] = 0x0a;
}
static void at_another_rate(struct media *m)
{
    m->audio.extradata[0] = 0x11; // 48 kHz
    m->audio.extradata[1] = 0x90;
}
static void without_headers(struct media *m)
{
    m->audio.extradata_size = 1;
}
static void of_large_frames(struct media *m)
{
    for (int i = 0; i < m->audio.sample_count; i++)
        m->audio.samples[i].size = 900;
    m->size += 1000;
}

static void what_cannot_be_copied(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct media *m);
        const char *why; // NULL: it is copied
    } cases[] = {
        { as_it_is, NULL },
        { of_another_codec, "not AAC" },
        { stripped, "pieces" },
        { with_a_gap, "gaps" },
        { off_the_grid, "begins with the first picture" },
        { in_mono_by_its_headers, "profile" },
        { of_long_windows, "profile" },
        { with_sbr, "profile" },
        { of_the_main_profile, "profile" },
        { at_another_rate, "profile" },
        { without_headers, "profile" },
        { of_large_frames, "more bits" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w;
        struct media *const m = make(PACKETS, -1024);
        cases[i].change(m);
        set_up(&w, m);
        assert_int_equal(w.r->copied, !cases[i].why);
        const struct dropped *const d = &w.p.dropped[w.p.dropped_count - 1];
        if (cases[i].why && (strcmp(d->name, "audio-0 copy") != 0 || !strstr(d->why, cases[i].why)))
            fail_msg("case %zu: %s", i, d->why);
        tear_down(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_frame_once),
        cmocka_unit_test(an_init_segment),
        cmocka_unit_test(what_goes_wrong),
        cmocka_unit_test(what_cannot_be_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
