// SPDX-License-Identifier: BSD-2-Clause
//
// t_clip - the suffix of a clip, and what becomes of an index.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/clip.h"

// ---- the suffix

static void read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t from, to;
        const char *written;
    } cases[] = {
        { "0,1", 0, 1000, ";t=0,1" },
        { "10.5,25", 10500, 25000, ";t=10.5,25" },
        { "0010.500,025.0", 10500, 25000, ";t=10.5,25" },
        { "1.0004,1.0005", 1000, 1001, ";t=1,1.001" },
        { "0.001,0.01", 1, 10, ";t=0.001,0.01" },
        { "100,1000000", 100000, 1000000000, ";t=100,1000000" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct clip c;
        char written[CLIP_SUFFIX];
        assert_true(clip_parse(&c, cases[i].text));
        assert_int_equal(c.from, cases[i].from);
        assert_int_equal(c.to, cases[i].to);
        clip_print(&c, written);
        assert_string_equal(written, cases[i].written);
        assert_true(clip_parse(&c, written + 3)); // what is written is read again
        assert_int_equal(c.from, cases[i].from);
        assert_int_equal(c.to, cases[i].to);
    }
    static const char *const bad[] = {
        "",
        ",",
        "1",
        "1,",
        ",1",
        "1,1",
        "2,1",
        "1,2,",
        "1,2,3",
        "-1,2",
        "+1,2",
        " 1,2",
        "1, 2",
        "1.,2",
        ".5,2",
        "1,2.",
        "1e3,2000",
        "0x1,2",
        "1;2",
        "1,1.0004",
        "1,99999999999999999999",
        "1000000.001,1000001",
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct clip c;
        if (clip_parse(&c, bad[i]))
            fail_msg("'%s' is read", bad[i]);
    }
}

// ---- the index: 25 pictures a second, a sync sample each second, each I followed by P B B

#define SECONDS 20
#define PICTURES (25 * SECONDS)

static struct media *make(bool video, bool audio)
{
    struct media *m = media_create();
    m->container = CONTAINER_MP4;
    m->size = 1000000000;
    if (video) {
        struct video_track *const v = &m->video;
        *v = (struct video_track){ .codec = CODEC_H264,
                                   .timescale = 25,
                                   .coded_width = 64,
                                   .coded_height = 64,
                                   .sar_num = 1,
                                   .sar_den = 1,
                                   .bit_depth = 8,
                                   .end = PICTURES,
                                   .sample_count = PICTURES };
        v->samples = xcalloc(PICTURES, sizeof *v->samples);
        for (int i = 0; i < PICTURES; i++) { // decoded two by two the other way round
            const bool sync = i % 25 == 0;
            const int pts = sync ? i : i % 25 % 2 ? i + 1 : i - 1;
            v->samples[i] = (struct sample){ i * 100, pts, 100, 1, sync, 0 };
        }
    }
    if (audio) {
        struct audio_track *const a = &m->audio;
        *a = (struct audio_track){ .codec = CODEC_AAC,
                                   .sample_rate = 48000,
                                   .channels = 2,
                                   .sample_count = SECONDS * 48000 / 1024 };
        copy_string(a->tags.language, sizeof a->tags.language, "und");
        a->samples = xcalloc((size_t)a->sample_count, sizeof *a->samples);
        for (int i = 0; i < a->sample_count; i++)
            a->samples[i] = (struct sample){ 1000000 + i * 10, i * 1024, 10, 1024, true, 0 };
    }
    assert_int_equal(media_finish(m), 0);
    return m;
}

static void unseen(void **state)
{
    (void)state;
    struct media *m = make(true, false);
    m->video.samples[300].pts = SAMPLE_ANEW; // a sync sample
    m->video.samples[301].pts = SAMPLE_UNSEEN;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(clip_media(m, &(const struct clip){ 10500, 15000 }), 0);
    for (int i = 0, anew = 0, hidden = 0; i < m->video.sample_count; i++) {
        const struct sample *const s = &m->video.samples[i];
        anew += s->offset == 30000;
        hidden += s->offset == 30100;
        assert_true(s->offset != 30000 || s->pts == SAMPLE_ANEW);
        assert_true(s->offset != 30100 || s->pts == SAMPLE_UNSEEN);
        assert_true(i + 1 < m->video.sample_count || (anew == 1 && hidden == 1));
    }
    media_destroy(m);
}

static void pictures(void **state)
{
    (void)state;
    static const struct {
        struct clip clip;
        int first, count; // pictures presented
    } cases[] = {
        { { 0, 20000 }, 0, 500 },   { { 0, 100000 }, 0, 500 },    { { 1000, 2000 }, 25, 25 },
        { { 1001, 2000 }, 26, 24 }, { { 990, 2001 }, 25, 26 },    { { 10500, 15000 }, 263, 112 },
        { { 19999, 21000 }, 0, 0 }, { { 19960, 19961 }, 499, 1 }, { { 30000, 40000 }, 0, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct media *m = make(true, true);
        const int rc = clip_media(m, &cases[i].clip);
        assert_int_equal(rc, cases[i].count ? 0 : -E_NOT_FOUND);
        if (rc == 0) {
            assert_int_equal(m->video.shown_count, cases[i].count);
            assert_int_equal(m->frames, cases[i].count);
            assert_true(m->constant_rate);
            // Number first stands where it stood, and decoding can start before it.
            const struct sample *const s = &m->video.samples[m->video.shown[0]];
            const int n = cases[i].first, in = n % 25;
            const int decoded = in == 0 ? n : in % 2 ? n + 1 : n - 1;
            assert_int_equal(s->offset, decoded * 100);
            assert_true(m->video.samples[0].sync && m->video.samples[0].pts <= 0);
        }
        media_destroy(m);
    }
}

// The same instants as the pictures, to the sample; what warms a decoder up stays.
static void sound(void **state)
{
    (void)state;
    struct media *m = make(true, true);
    assert_int_equal(clip_media(m, &(struct clip){ 10010, 15000 }), 0); // from picture 251 on
    const struct audio_track *const a = &m->audio;
    const int64_t t0 = 251 * 48000 / 25, first = a->samples[0].pts;
    assert_int_equal((first + t0) % 1024, 0);
    assert_in_range(-first, 48000 * 3, 48000 * 4 + 1024);
    const struct sample *const last = &a->samples[a->sample_count - 1];
    assert_int_equal(last->pts + last->duration, (375 - 251) * 48000 / 25);
    assert_int_equal(a->samples[0].offset, 1000000 + (first + t0) / 1024 * 10);
    media_destroy(m);

    m = make(false, true);
    assert_int_equal(clip_media(m, &(struct clip){ 5000, 7500 }), 0);
    assert_int_equal(m->frames, (2500 * 48 + 1023) / 1024);
    media_destroy(m);
    m = make(false, true);
    assert_int_equal(clip_media(m, &(struct clip){ 25000, 27500 }), -E_NOT_FOUND);
    media_destroy(m);
}

// All tracks at the same instants; one that is silent there is gone, be it the first.
static void several_sounds(void **state)
{
    (void)state;
    static const struct {
        int lengths[3]; // packets that each track has
        int left, first;
    } cases[] = {
        { { 900, 900, 900 }, 3, 0 }, { { 900, 100, 900 }, 2, 0 }, { { 100, 900, 900 }, 2, 1 },
        { { 100, 100, 900 }, 1, 2 }, { { 100, 100, 100 }, 0, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct media *m = make(true, true);
        for (int k = 1; k < 3; k++) {
            struct media *const other = make(false, true);
            m->more_audio[m->more_audio_count++] = other->audio;
            other->audio = (struct audio_track){ .codec = CODEC_NONE };
            media_destroy(other);
        }
        m->audio.sample_count = cases[i].lengths[0];
        for (int k = 1; k < 3; k++) {
            m->more_audio[k - 1].sample_count = cases[i].lengths[k];
            m->more_audio[k - 1].channels = k;
        }
        m->audio.channels = 8;
        assert_int_equal(clip_media(m, &(struct clip){ 10010, 15000 }), 0);
        assert_int_equal(media_audio_count(m), cases[i].left);
        for (int k = 0; k < cases[i].left; k++) {
            const struct audio_track *const a = media_audio(m, k);
            assert_int_equal((a->samples[0].pts + 251 * 48000 / 25) % 1024, 0);
            assert_true(a->samples[0].pts <= 0 && a->bytes == (int64_t)a->sample_count * 10);
        }
        if (cases[i].left)
            assert_int_equal(m->audio.channels, cases[i].first ? cases[i].first : 8);
        media_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_and_written), cmocka_unit_test(unseen),
        cmocka_unit_test(pictures),         cmocka_unit_test(sound),
        cmocka_unit_test(several_sounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
