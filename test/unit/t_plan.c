// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/fmp4.h"
#include "codec/grid.h"
#include "codec/ladder.h"
#include "codec/level.h"
#include "codec/plan.h"
#include "codec/recipe.h"
#include "codec/sound.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

static int plan_of(struct plan *p, const struct conf *conf, const struct media *m)
{
    return plan_make(p, conf, m, "clips/cat.mp4", "v1", "x264 164");
}

// ---- levels

static void levels(void **state)
{
    (void)state;
    static const struct {
        int w, h;
        struct rational fps;
        int64_t maxrate;
        int level;
    } cases[] = {
        { 352, 288, { 6, 1 }, 100000, 12 },      { 160, 120, { 25, 1 }, 200000, 11 },
        { 320, 180, { 25, 1 }, 64000, 12 },      { 352, 288, { 30, 1 }, 300000, 13 },
        { 640, 360, { 30, 1 }, 800000, 30 },     { 854, 480, { 30, 1 }, 1400000, 31 },
        { 1280, 720, { 30, 1 }, 2800000, 31 },   { 1280, 720, { 50, 1 }, 2800000, 32 },
        { 1280, 720, { 60, 1 }, 2800000, 32 },   { 1920, 1080, { 30, 1 }, 5000000, 40 },
        { 1920, 1080, { 60, 1 }, 7500000, 42 },  { 1080, 1920, { 30, 1 }, 5000000, 40 },
        { 1920, 1080, { 30, 1 }, 30000000, 41 }, { 3840, 2160, { 30, 1 }, 16000000, 51 },
        { 3840, 2160, { 60, 1 }, 24000000, 52 }, { 8192, 4320, { 60, 1 }, 80000000, 61 },
        { 32768, 16, { 1, 1 }, 100000, 62 },     { 8192, 16, { 25, 1 }, 100000, 51 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const int level =
            level_h264(cases[i].w, cases[i].h, cases[i].fps, cases[i].maxrate, cases[i].maxrate);
        if (level != cases[i].level)
            fail_msg("%dx%d: %d instead of %d", cases[i].w, cases[i].h, level, cases[i].level);
    }
}

static void levels_of_hevc(void **state)
{
    (void)state;
    static const struct {
        int w, h, fps;
        int64_t maxrate;
        int hevc, av1;
    } cases[] = {
        { 320, 180, 25, 200000, 60, 0 },          { 640, 360, 25, 800000, 63, 1 },
        { 960, 540, 30, 1600000, 90, 4 },         { 1280, 720, 30, 2800000, 93, 5 },
        { 1280, 720, 60, 4000000, 120, 8 },       { 1920, 1080, 30, 5000000, 120, 8 },
        { 1920, 1080, 60, 5000000, 123, 9 },      { 1080, 1920, 60, 5000000, 123, 9 },
        { 1920, 1080, 30, 18000000, 123, 9 },     { 3840, 2160, 30, 16000000, 150, 12 },
        { 3840, 2160, 60, 16000000, 153, 13 },    { 8192, 4320, 30, 40000000, 180, 16 },
        { 16384, 16384, 60, 900000000, 186, 19 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct rational fps = { cases[i].fps, 1 };
        const int64_t rate = cases[i].maxrate;
        assert_int_equal(level_hevc(cases[i].w, cases[i].h, fps, rate, rate), cases[i].hevc);
        assert_int_equal(level_av1(cases[i].w, cases[i].h, fps, rate), cases[i].av1);
    }
}

// ---- the ladder

struct source {
    int w, h, sar_num, sar_den, rotate;
    struct rational fps;
    int64_t rate;
    enum codec_id codec;
};

static struct media head(struct source s)
{
    struct media m = {
        .container = CONTAINER_MP4,
        .size = 1000000000,
        .fps = s.fps,
        .frames = muldiv_floor(100, s.fps.num, s.fps.den),
        .constant_rate = true,
        .video = { .codec = s.codec ? s.codec : CODEC_H264,
                   .timescale = 1000,
                   .coded_width = s.w,
                   .coded_height = s.h,
                   .sar_num = s.sar_num ? s.sar_num : 1,
                   .sar_den = s.sar_den ? s.sar_den : 1,
                   .rotate = s.rotate,
                   .bit_depth = 8,
                   .colour = { 2, 2, 2, false },
                   .end = 100000,
                   .bytes = s.rate * 100 / 8,
                   .sample_count = 1,
                   .shown_count = 1 },
    };
    assert_int_equal(media_check_head(&m), 0);
    return m;
}

static void ladders(void **state)
{
    (void)state;
    static const struct {
        struct source source;
        const char *rungs; // name widthxheight, ...
    } cases[] = {
        { { .w = 1920, .h = 1080, .fps = { 25, 1 }, .rate = 9000000 },
          "1080p 1920x1080, 720p 1280x720, 480p 854x480, 360p 640x360, 240p 426x240" },
        { { .w = 3840, .h = 2160, .rotate = 90, .fps = { 30, 1 }, .rate = 50000000 },
          "1080p 1080x1920, 720p 720x1280, 480p 480x854, 360p 360x640, 240p 240x426" },
        { { .w = 1070, .h = 700, .fps = { 30, 1 }, .rate = 9000000 },
          "480p 734x480, 360p 550x360, 240p 366x240" },
        { { .w = 800, .h = 640, .sar_num = 64, .sar_den = 45, .fps = { 30, 1 }, .rate = 9000000 },
          "480p 854x480, 360p 640x360, 240p 426x240" },
        { { .w = 1920, .h = 1280, .fps = { 25, 1 }, .rate = 20000000 },
          "1080p 1620x1080, 720p 1080x720, 480p 720x480, 360p 540x360, 240p 360x240" },
        { { .w = 161, .h = 121, .fps = { 30, 1 }, .rate = 900000 }, "120p 160x120" },
        { { .w = 320, .h = 180, .fps = { 25, 1 }, .rate = 900000 }, "180p 320x180" },
        { { .w = 1, .h = 1, .fps = { 25, 1 }, .rate = 900000 }, "2p 2x2" },
        { { .w = 16384, .h = 100, .fps = { 25, 1 }, .rate = 900000 }, "50p 8192x50" },
        { { .w = 32768, .h = 300, .fps = { 25, 1 }, .rate = 900000 }, "74p 8192x74" },
        // The source has no more than 1.2 Mb/s to show: 1.8 Mb/s are enough for all that is above.
        { { .w = 1920, .h = 1080, .fps = { 25, 1 }, .rate = 1200000 },
          "1080p 1920x1080, 480p 854x480, 360p 640x360, 240p 426x240" },
        { { .w = 1920, .h = 1080, .fps = { 25, 1 }, .rate = 1200000, .codec = CODEC_AV1 },
          "1080p 1920x1080, 720p 1280x720, 480p 854x480, 360p 640x360, 240p 426x240" },
        { { .w = 1920, .h = 1080, .fps = { 25, 1 }, .rate = 1000 }, "1080p 1920x1080" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media m = head(cases[i].source);
        struct plan p;
        assert_int_equal(plan_of(&p, &conf, &m), 0);
        char text[400] = "";
        for (int k = 0; p.renditions[k].kind == RENDITION_VIDEO; k++) {
            const struct rendition *r = &p.renditions[k];
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %dx%d", k ? ", " : "",
                     r->name, r->v.width, r->v.height);
            assert_true(r->bandwidth > r->v.maxrate && r->average <= r->bandwidth);
            assert_true(k == 0 || r->v.maxrate < r[-1].v.maxrate);
            assert_ptr_equal(plan_find(&p, r->name), r);
            char codecs[32];
            snprintf(codecs, sizeof codecs, "avc1.6400%02X", r->v.level);
            assert_string_equal(r->codecs, codecs);
        }
        assert_string_equal(text, cases[i].rungs);
        for (int k = 0; k < p.dropped_count; k++)
            assert_true(strlen(p.dropped[k].why) > 10);
        assert_true(p.count - 3 + p.dropped_count >= conf.rung_count);
    }
}

// Each codec has a ladder of its own: one that saves nothing is dropped from that.
static void ladders_of_codecs(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.rungs[0] = (struct conf_rung){ 720, 2800000, 23, CONF_H264, false, CONF_SOFTWARE };
    conf.rungs[1] = (struct conf_rung){ 720, 1500000, 28, CONF_HEVC, false, CONF_SOFTWARE };
    conf.rungs[2] = (struct conf_rung){ 720, 1200000, 35, CONF_AV1, false, CONF_SOFTWARE };
    conf.rungs[3] = (struct conf_rung){ 360, 700000, 28, CONF_HEVC, false, CONF_SOFTWARE };
    conf.rungs[4] = (struct conf_rung){ 360, 500000, 35, CONF_AV1, false, CONF_SOFTWARE };
    struct media m =
        head((struct source){ .w = 1280, .h = 720, .fps = { 25, 1 }, .rate = 1000000 });
    static const struct {
        const char *name, *codecs;
        int64_t maxrate;
    } want[] = {
        { "720p", "avc1.64001F", 1500000 },      { "720p-hevc", "hvc1.1.6.L93.90", 975000 },
        { "720p-av1", "av01.0.05M.08", 825000 }, { "360p-hevc", "hvc1.1.6.L63.90", 700000 },
        { "360p-av1", "av01.0.01M.08", 500000 },
    };
    struct plan p;
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    for (size_t i = 0; i < countof(want); i++) {
        const struct rendition *const r = &p.renditions[i];
        assert_string_equal(r->name, want[i].name);
        assert_string_equal(r->codecs, want[i].codecs);
        assert_int_equal(r->v.maxrate, want[i].maxrate);
        assert_true(video_settings_ok(&r->v));
    }
    // Where colours are others, AV1 has to say so.
    m.video.colour.matrix = m.video.colour.primaries = m.video.colour.transfer = 6;
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    assert_string_equal(p.renditions[2].codecs, "av01.0.05M.08.0.110.06.06.06.0");
    conf.rungs[3].maxrate = 900000;
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    assert_string_equal(p.dropped[0].name, "360p-hevc");
}

// A high range is kept where it is asked for and there; something is there for everybody.
static void high_range(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.rungs[0] = (struct conf_rung){ 720, 2800000, 28, CONF_HEVC, true, CONF_SOFTWARE };
    conf.rungs[1] = (struct conf_rung){ 360, 700000, 28, CONF_HEVC, true, CONF_SOFTWARE };
    conf.rungs[2] = (struct conf_rung){ 360, 700000, 35, CONF_AV1, true, CONF_SOFTWARE };
    conf.rung_count = 2;
    struct media m =
        head((struct source){ .w = 1280, .h = 720, .fps = { 25, 1 }, .rate = 9000000 });
    struct plan p;
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    assert_string_equal(p.renditions[0].name, "720p-hevc");
    assert_string_equal(p.renditions[0].codecs, "hvc1.1.6.L93.90");
    assert_string_equal(p.dropped[0].name, "720p-hdr");
    assert_false(plan_has_hdr(&p));
    m.video.colour = (struct colour){ 2, TRANSFER_HLG, 2, false };
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    for (int i = 0; i < 3; i++) {
        const struct rendition *const r = &p.renditions[i];
        static const char *const names[] = { "720p-hdr", "360p-hdr", "720p-hevc" };
        static const char *const codecs[] = { "hvc1.2.4.L93.90", "hvc1.2.4.L63.90",
                                              "hvc1.1.6.L93.90" };
        assert_string_equal(r->name, names[i]);
        assert_string_equal(r->codecs, codecs[i]);
        assert_int_equal(r->v.colour.transfer, i < 2 ? TRANSFER_HLG : 1);
        assert_int_equal(r->v.colour.matrix, i < 2 ? 9 : 1);
        assert_true(video_settings_ok(&r->v));
    }
    assert_true(plan_has_hdr(&p));
    assert_int_equal(plan_plainest(&p), VIDEO_HEVC);
    // In AV1 it says so by its name; what is known of the display goes with a high range alone.
    conf.rung_count = 3;
    m.video.mastering.light[0] = 1000;
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    const struct rendition *const r = plan_find(&p, "360p-av1-hdr");
    assert_string_equal(r->codecs, "av01.0.01M.10.0.110.09.18.09.0");
    assert_true(video_settings_ok(&r->v));
    for (int i = 0; i < p.count; i++)
        assert_int_equal(p.renditions[i].v.mastering.light[0],
                         is_ten_bit(&p.renditions[i].v) ? 1000 : 0);
}

// Whose bytes another machine may make otherwise, and no others: sound, HEVC, what is tone-mapped
// and what hardware makes.
static void bytes_of_the_machine(void **state)
{
    (void)state;
    struct conf conf = settings_to_copy();
    conf.rungs[0] = (struct conf_rung){ 240, 400000, 23, CONF_H264, false, CONF_SOFTWARE };
    conf.rungs[1] = (struct conf_rung){ 240, 300000, 28, CONF_HEVC, false, CONF_SOFTWARE };
    conf.rungs[2] = (struct conf_rung){ 240, 300000, 35, CONF_AV1, false, CONF_SOFTWARE };
    conf.rungs[3] = (struct conf_rung){ 240, 300000, 28, CONF_HEVC, true, CONF_SOFTWARE };
    conf.rungs[4] = (struct conf_rung){ 240, 300000, 35, CONF_AV1, true, CONF_SOFTWARE };
    conf.rungs[conf.rung_count++] =
        (struct conf_rung){ 180, 200000, 23, CONF_H264, false, CONF_H264_VAAPI };
    conf.opus_bitrate = 96000;
    static const struct {
        const char *name;
        int sdr, hdr; // -1: not there
    } want[] = {
        { "source", 0, -1 },  { "240p", 0, 1 },         { "240p-hevc", 1, 1 },
        { "240p-av1", 0, 1 }, { "240p-hdr", -1, 1 },    { "240p-av1-hdr", -1, 0 },
        { "audio-0", 1, 1 },  { "audio-0-opus", 1, 1 }, { "trick", 0, 1 },
        { "180p", 1, 1 },     { "storyboard", 0, 1 },   { "poster", 0, 1 },
        { "subs-en", 0, 0 },
    };
    for (int hdr = 0; hdr < 2; hdr++) {
        struct media *m = make_closed(20);
        struct media *const other = make_media(20, 400);
        struct plan p;
        m->size = m->size > other->size ? m->size : other->size;
        m->audio = other->audio;
        other->audio = (struct audio_track){ 0 };
        media_destroy(other);
        make_text(m, 5, "en", &m->size);
        if (hdr)
            m->video.colour.transfer = TRANSFER_PQ;
        assert_int_equal(media_finish(m), 0);
        assert_int_equal(plan_of(&p, &conf, m), 0);
        int found = 0;
        for (size_t i = 0; i < countof(want); i++) {
            const struct rendition *const r = plan_find(&p, want[i].name);
            const int mark = !r ? -1 : recipe_is_of_machine(&r->recipe);
            if (mark != (hdr ? want[i].hdr : want[i].sdr))
                fail_msg("%s, %d: %d", want[i].name, hdr, mark);
            found += r != NULL;
        }
        assert_int_equal(found, p.count);
        plan_finish(&p);
        media_destroy(m);
    }
}

static void rung_rates(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct plan p;
    struct media m =
        head((struct source){ .w = 1280, .h = 720, .fps = { 30, 1 }, .rate = 9000000 });
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    const struct video_settings *v = &p.renditions[0].v;
    assert_int_equal(v->maxrate, 2800000);
    assert_int_equal(v->bufsize, v->maxrate);
    assert_int_equal(v->vbv_init_permille, 680);
    assert_int_equal(v->crf, 23);
    assert_int_equal(v->level, 31);
    // Parts of 2 s: 1.05 x maxrate x 1.09 and some thousands.
    assert_in_range(p.renditions[0].bandwidth, 3204600 + 2000, 3204600 + 20000);

    m = head((struct source){ .w = 1280, .h = 720, .fps = { 60, 1 }, .rate = 9000000 });
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    assert_int_equal(p.renditions[0].v.maxrate, 4200000);

    // A last segment of 0.6 s: the buffer may be spent in it, all of it.
    m.frames = 6036;
    assert_int_equal(plan_of(&p, &conf, &m), 0);
    v = &p.renditions[0].v;
    const int64_t most = (v->maxrate + v->bufsize * 68 / 60) * 105 / 100;
    assert_in_range(p.renditions[0].bandwidth, most, most + 40000);
}

static void colours(void **state)
{
    (void)state;
    static const struct {
        int w, h;
        struct colour in, out;
    } cases[] = {
        { 1280, 720, { 2, 2, 2, false }, { 1, 1, 1, false } },
        { 1280, 718, { 2, 2, 2, false }, { 6, 6, 6, false } },
        { 720, 1280, { 2, 2, 2, true }, { 1, 1, 1, false } },
        { 640, 480, { 2, 2, 1, false }, { 1, 1, 1, false } },
        { 3840, 2160, { 5, 6, 5, true }, { 5, 6, 5, false } },
        { 1920, 1080, { 9, 16, 9, false }, { 1, 1, 1, false } },
        { 1920, 1080, { 9, 18, 9, false }, { 1, 1, 1, false } },
        { 1920, 1080, { 9, 14, 9, false }, { 9, 14, 9, false } },
        { 1920, 1080, { 0, 255, 0, false }, { 1, 1, 1, false } },
        { 320, 240, { 3, 17, 8, false }, { 6, 6, 6, false } },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct media m =
            head((struct source){ .w = cases[i].w, .h = cases[i].h, .fps = { 25, 1 } });
        m.video.colour = cases[i].in;
        const struct colour out = ladder_colour(&m);
        assert_memory_equal(&out, &cases[i].out, sizeof out);
    }
}

static void audio_renditions(void **state)
{
    (void)state;
    static const struct {
        int rate, channels, out_rate, out_channels;
    } cases[] = { { 48000, 6, 48000, 2 }, { 44100, 1, 44100, 1 }, { 8000, 2, 48000, 2 } };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = make_media(i == 0 ? 0 : 9, 300);
        m->audio.sample_rate = cases[i].rate;
        m->audio.channels = cases[i].channels;
        assert_int_equal(media_finish(m), 0);
        struct plan p;
        assert_int_equal(plan_of(&p, &conf, m), 0);
        const struct rendition *r = plan_find(&p, "audio-0");
        assert_int_equal(r->kind, RENDITION_AUDIO);
        assert_string_equal(r->name, "audio-0");
        assert_string_equal(r->codecs, "mp4a.40.2");
        assert_int_equal(r->a.sample_rate, cases[i].out_rate);
        assert_int_equal(r->a.channels, cases[i].out_channels);
        assert_int_equal(r->a.quality, 100);
        const int64_t nominal = r->a.channels == 2 ? 128000 : 72000;
        assert_in_range(r->bandwidth, nominal * 8 / 5, nominal * 8 / 5 + 60000);
        assert_in_range(r->average, nominal, nominal * 5 / 4);
        assert_int_equal(plan_audio_maxrate(&p, r), nominal * 8 / 5);
        struct rendition liar = *r;
        liar.bandwidth = 1;
        assert_int_equal(plan_audio_maxrate(&p, &liar), 0);
        media_destroy(m);
    }
    struct media nothing = { .fps = { 25, 1 }, .frames = 1 };
    struct plan p;
    const struct conf conf = settings();
    assert_int_equal(plan_of(&p, &conf, &nothing), -E_UNSUPPORTED);
}

// The more bits a quality takes, the more are promised.
static void audio_qualities(void **state)
{
    (void)state;
    struct media *m = make_media(0, 300);
    assert_int_equal(media_finish(m), 0);
    int64_t before = 0;
    for (int quality = 60; quality <= 150; quality += 10) {
        struct conf conf = settings();
        struct plan p;
        conf.media_audio_quality = quality;
        assert_int_equal(plan_of(&p, &conf, m), 0);
        const struct rendition *r = &p.renditions[p.count - 1];
        assert_in_range(r->average, before + 1, r->bandwidth);
        before = r->average;
    }
    media_destroy(m);
}

// ---- recipes

static struct key recipe(const struct conf *conf, const struct media *m, const char *asset,
                         const char *version, const char *signature, const char *name)
{
    struct plan p;
    assert_int_equal(plan_make(&p, conf, m, asset, version, signature), 0);
    const struct rendition *r = plan_find(&p, name);
    assert_non_null(r);
    return r->recipe;
}

// Each changes something that a player relies on.
static void change(int how, struct conf *conf, struct media *m)
{
    static char preset[] = "fast";
    switch (how) {
    case 0:
        conf->media_preset = preset;
        break;
    case 1:
        conf->media_segment = 6000;
        break;
    case 2:
        conf->rungs[0].maxrate += 1000;
        break;
    case 3:
        conf->rungs[0].crf++;
        break;
    case 4:
        m->video.coded_width -= 8;
        break;
    case 5:
        m->fps = (struct rational){ 30, 1 };
        break;
    case 6:
        m->frames++;
        break;
    case 7:
        m->video.colour.matrix = 5;
        break;
    case 8:
        m->video.rotate = 90;
        break;
    case 9:
        conf->media_audio_quality++;
        break;
    case 10:
        m->audio.channels = 1;
        break;
    case 11:
        m->audio.sample_rate = 32000;
        break;
    default:
        fail();
    }
}

static void every_field_counts(void **state)
{
    (void)state;
    struct media m =
        head((struct source){ .w = 1920, .h = 1080, .fps = { 25, 1 }, .rate = 1 << 24 });
    m.audio = (struct audio_track){ .codec = CODEC_AAC, .sample_rate = 48000, .channels = 2 };
    struct key seen[32];
    int count = 0;
    for (int how = -1; how <= 11; how++) {
        struct conf conf = settings();
        struct media changed = m;
        if (how >= 0)
            change(how, &conf, &changed);
        seen[count++] = recipe(&conf, &changed, "a", "v", "s", how < 9 ? "1080p" : "audio-0");
    }
    const struct conf conf = settings();
    seen[count++] = recipe(&conf, &m, "a", "v", "s", "audio-0");
    seen[count++] = recipe(&conf, &m, "a", "v", "s", "720p");
    seen[count++] = recipe(&conf, &m, "b", "v", "s", "1080p");
    seen[count++] = recipe(&conf, &m, "a", "w", "s", "1080p");
    seen[count++] = recipe(&conf, &m, "a", "v", "t", "1080p");
    seen[count++] = recipe(&conf, &m, "a\nversion b", "v", "s", "1080p");
    seen[count++] = recipe(&conf, &m, "a", "b\nversion v", "s", "1080p");
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            if (key_equal(&seen[i], &seen[k]))
                fail_msg("recipes %d and %d are the same", k, i);
    const struct key again = recipe(&conf, &m, "a", "v", "s", "1080p");
    assert_true(key_equal(&again, &seen[0]));
}

// ---- video jobs

static const struct rendition *first_video(const struct plan *p)
{
    assert_int_equal(p->renditions[0].kind, RENDITION_VIDEO);
    return &p->renditions[0];
}

static int index_of(const struct job *job, int64_t pts)
{
    for (int i = 0; i < job->sample_count; i++)
        if (job->samples[i].pts == pts)
            return i;
    return -1;
}

// Where in the table the samples of a job begin; offsets are unique there.
static int start_of(const struct job *job, const struct video_track *v)
{
    int i = 0;
    while (v->samples[i].offset != job->samples[0].offset)
        i++;
    return i;
}

// What must hold for any source at all.
static void check_video_job(const struct plan *p, const struct media *m, const struct job *job,
                            int k, int back)
{
    const struct video_track *v = &m->video;
    assert_int_equal(job->kind, JOB_VIDEO);
    assert_int_equal(job->first, segtab_frame(&p->table, k));
    assert_true(job->media && !job->media->video.samples);
    assert_int_equal(job->source_size, m->size);
    assert_true(job->sample_count > 0 && job->pick_count > 0);
    int64_t parts = 0, frames = 0;
    for (int j = 0; j < job->part_count; j++) {
        assert_true(job->part_frames[j] > 0);
        parts += job->part_frames[j];
    }
    for (int i = 0; i < job->pick_count; i++) {
        assert_true(job->picks[i].repeat > 0);
        assert_true(i == 0 || job->picks[i].pts > job->picks[i - 1].pts);
        assert_true(index_of(job, job->picks[i].pts) >= 0);
        for (int r = 0; r < job->picks[i].repeat; r++, frames++) {
            const int shown = grid_shown(m, job->first + frames);
            assert_int_equal(v->samples[v->shown[shown]].pts, job->picks[i].pts);
        }
    }
    assert_int_equal(frames, segtab_frame(&p->table, k + 1) - job->first);
    assert_int_equal(parts, frames);
    // The samples are a run of the table, and end with one that is needed, but for those that a
    // decoder takes instead of an end.
    const int start = start_of(job, v);
    assert_memory_equal(v->samples + start, job->samples,
                        (size_t)job->sample_count * sizeof *job->samples);
    assert_true(start == 0 || job->samples[0].sync);
    assert_true(start == 0 || back > 0 || job->samples[0].pts <= job->picks[0].pts);
    bool needed = false;
    for (int i = 0; i < job->pick_count; i++)
        needed |= job->picks[i].pts == job->samples[job->sample_count - job->beyond - 1].pts;
    assert_true(needed);
    assert_true(job->beyond <= (v->reorder < 16 ? v->reorder : 16) + 2);
}

// The sample that decoding must begin with to show this one, in an open GOP of make_media.
static int needs(const struct video_track *v, int at)
{
    const int group = at / 12;
    return v->samples[at].pts < v->samples[group * 12].pts && group > 0 ? (group - 1) * 12
                                                                        : group * 12;
}

static void check_open_gop(const struct media *m, const struct job *job)
{
    const struct video_track *v = &m->video;
    int least = v->sample_count;
    for (int i = 0; i < v->sample_count; i++)
        for (int k = 0; k < job->pick_count; k++)
            if (v->samples[i].pts == job->picks[k].pts && needs(v, i) < least)
                least = needs(v, i);
    assert_int_equal(start_of(job, v), least); // early enough, and no earlier
}

// Each text is in all segments that it touches, in no other, with its own times.
static void texts_of_segments(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.media_segment = 1000;
    struct media *m = make_media(20, 0); // 9.52 s
    make_text(m, 12, "en", &m->size);    // from -0.5, 0.5, 1.5 .. 10.5, each for 1.5 s
    struct plan p;
    struct job job;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_of(&p, &conf, m), 0);
    const struct rendition *const r = plan_find(&p, "subs-en");
    assert_int_equal(plan_segments(&p, r), p.table.count);
    for (int k = 0; k < p.table.count; k++) {
        assert_int_equal(plan_segment_job(&p, r, m, k, 0, &job), 0);
        assert_int_equal(job.kind, JOB_TEXT);
        const int64_t from = segtab_start_us(&p.table, k) / 1000;
        const int64_t to = (segtab_start_us(&p.table, k + 1) + 999) / 1000;
        assert_true(job.from == from && job.to == to && job.source_size == m->size);
        int n = 0;
        for (int i = 0; i < 12; i++) {
            const struct sample *const s = &m->texts[0].samples[i];
            if (s->pts >= to || s->pts + s->duration <= from)
                continue;
            assert_memory_equal(&job.samples[n], s, sizeof *s);
            n++;
        }
        assert_true(job.sample_count == n && n > 0);
        int64_t offset, range;
        plan_job_range(&job, &offset, &range);
        assert_int_equal(range, 0); // not to be read as one
        job_finish(&job);
    }
    assert_int_equal(plan_segment_job(&p, r, m, p.table.count, 0, &job), -E_NOT_FOUND);
    assert_int_equal(plan_init_job(&p, r, m, &job), -E_NOT_FOUND);
    media_destroy(m);
}

// Each track is a rendition: its own packets, its own rate, its own head in the job.
static void tracks_of_sound(void **state)
{
    (void)state;
    struct conf conf = settings();
    struct media *m = make_media(20, 400);
    struct plan p;
    struct job job;
    conf.opus_bitrate = 96000;
    make_more_audio(m, "de", 32000, &m->size);
    make_more_audio(m, "en", 16000, &m->size);
    m->more_audio[1].tags.flags = TAG_COMMENTARY;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_of(&p, &conf, m), 0);
    static const struct {
        const char *name, *label;
        int in, out;
    } want[] = { { "audio-0", "English", 44100, 44100 },
                 { "audio-1", "Deutsch", 32000, 32000 },
                 { "audio-2", "English (commentary)", 16000, 48000 },
                 { "audio-0-opus", "English", 44100, 48000 },
                 { "audio-1-opus", "Deutsch", 32000, 48000 } };
    for (size_t i = 0; i < countof(want); i++) {
        const struct rendition *const r = plan_find(&p, want[i].name);
        char label[PLAN_LABEL];
        assert_non_null(r);
        plan_label(&p, r, label);
        assert_string_equal(label, want[i].label);
        assert_true(r->track == (int)i % 3 && r->a.sample_rate == want[i].out);
        assert_int_equal(r->a.codec, i < 3 ? AUDIO_AAC : AUDIO_OPUS);
        assert_int_equal(plan_segment_job(&p, r, m, 1, 0, &job), 0);
        assert_int_equal(job.media->audio.sample_rate, want[i].in);
        assert_int_equal(job.media->more_audio_count, 0);
        const struct audio_track *const a = media_audio(m, r->track);
        assert_true(job.samples[0].offset >= a->samples[0].offset);
        assert_true(job.samples[0].offset <= a->samples[a->sample_count - 1].offset);
        job_finish(&job);
        assert_int_equal(plan_init_job(&p, r, m, &job), 0);
        assert_int_equal(job.media->audio.sample_rate, want[i].in);
        job_finish(&job);
    }
    // With fewer tracks the plan is another asset's.
    m->more_audio_count = 1;
    assert_false(plan_fit(&p, m));
    m->more_audio_count = 2;
    assert_true(plan_fit(&p, m));
    media_destroy(m);
}

// Of a file a job says which times count; what it is read from is the server's business.
static void files_of_subtitles(void **state)
{
    (void)state;
    struct conf conf = settings();
    struct media *m = make_media(20, 0);
    struct plan p;
    struct job job;
    make_text(m, 12, "en", &m->size);
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_of(&p, &conf, m), 0);
    const struct key version = { { 1 } };
    assert_int_equal(plan_add_file(&p, "en", TEXT_SUBRIP, ".en.srt", version, "a", "v", "s"), 0);
    const struct rendition *const r = plan_find(&p, "subs-en-2");
    char label[PLAN_LABEL];
    assert_non_null(r);
    plan_label(&p, r, label);
    assert_string_equal(label, "English 2");
    assert_int_equal(plan_segment_job(&p, r, m, 1, 0, &job), 0);
    assert_true(job.kind == JOB_TEXT && job.t.file && job.t.format == TEXT_SUBRIP);
    assert_true(job.from == 4000 && job.to == 8000 && job.sample_count == 0);
    job_finish(&job);
    media_destroy(m);
}

static void open_gops(void **state)
{
    (void)state;
    for (int groups = 1; groups < 40; groups++) {
        struct conf conf = settings();
        conf.media_segment = 1000 + groups * 97; // cuts everywhere
        struct media *m = make_media(groups, 0);
        assert_int_equal(media_finish(m), 0);
        assert_true(m->constant_rate);
        struct plan p;
        assert_int_equal(plan_of(&p, &conf, m), 0);
        for (int k = 0; k < p.table.count; k++) {
            struct job job;
            assert_int_equal(plan_segment_job(&p, first_video(&p), m, k, 0, &job), 0);
            check_video_job(&p, m, &job, k, 0);
            check_open_gop(m, &job);
            assert_int_equal(job.pick_count, segtab_frame(&p.table, k + 1) - job.first);
            job_finish(&job);
        }
        media_destroy(m);
    }
}

static void further_back(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = make_media(50, 0);
    assert_int_equal(media_finish(m), 0);
    struct plan p;
    assert_int_equal(plan_of(&p, &conf, m), 0);
    int before = -1;
    for (int back = 0; back < 20; back++) {
        struct job job;
        assert_int_equal(plan_segment_job(&p, first_video(&p), m, 2, back, &job), 0);
        check_video_job(&p, m, &job, 2, back);
        const int start = start_of(&job, &m->video);
        assert_true(before < 0 || start == (before > 12 ? before - 12 : 0));
        before = start;
        job_finish(&job);
    }
    assert_int_equal(before, 0);
    struct job job;
    assert_int_equal(plan_segment_job(&p, first_video(&p), m, -1, 0, &job), -E_NOT_FOUND);
    job_finish(&job);
    assert_int_equal(plan_segment_job(&p, first_video(&p), m, p.table.count, 0, &job),
                     -E_NOT_FOUND);
    job_finish(&job);
    media_destroy(m);
}

// Where the next segment decodes samples of this one again, there are some beyond it.
static void some_beyond(void **state)
{
    (void)state;
    static const struct {
        int back;
        enum carriage_kind kind;
        enum field_order fields;
        bool may;
    } rows[] = { { 0, CARRIAGE_WHOLE, FIELDS_NONE, true },
                 { 1, CARRIAGE_WHOLE, FIELDS_NONE, false },
                 { 0, CARRIAGE_TS, FIELDS_NONE, false },
                 { 0, CARRIAGE_WHOLE, FIELDS_TOP_FIRST, false } };
    struct conf conf = settings();
    conf.media_segment = 1000;
    for (size_t i = 0; i < countof(rows); i++) {
        struct media *m = make_closed(20); // groups of 0.48 s
        struct plan p;
        int with = 0;
        m->video.carriage = (struct carriage){ .kind = rows[i].kind, .pid = 256, .packet = 188 };
        m->video.fields = rows[i].fields;
        assert_int_equal(media_finish(m), 0);
        assert_int_equal(plan_of(&p, &conf, m), 0);
        for (int k = 0; k < p.table.count; k++) {
            struct job job;
            assert_int_equal(plan_segment_job(&p, first_video(&p), m, k, rows[i].back, &job), 0);
            const bool in_a_group = segtab_frame(&p.table, k + 1) % 12 != 0;
            const int left =
                m->video.sample_count - start_of(&job, &m->video) - (job.sample_count - job.beyond);
            const int expected = rows[i].may && in_a_group ? (left < 4 ? left : 4) : 0;
            assert_int_equal(job.beyond, expected);
            with += job.beyond > 0;
            job_finish(&job);
        }
        assert_int_equal(with > 0, rows[i].may);
        media_destroy(m);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void every_segment(const struct media *m, const struct conf *conf)
{
    struct plan p;
    assert_int_equal(plan_of(&p, conf, m), 0);
    for (int k = 0; k < p.table.count; k++)
        for (int back = 0; back < 3; back++) {
            struct job job;
            assert_int_equal(plan_segment_job(&p, first_video(&p), m, k, back, &job), 0);
            check_video_job(&p, m, &job, k, back);
            job_finish(&job);
        }
}

// Variable rates, pictures before T0 and after the end, sync flags and orders
// that make no sense: always a well-formed job.
static void any_source(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 300; seed++) {
        uint32_t s = seed;
        struct conf conf = settings();
        conf.media_segment = 1000 + next_random(&s) % 6000;
        struct media *m = make_media(1 + (int)(next_random(&s) % 12), 0);
        struct video_track *v = &m->video;
        const uint32_t spread = 1 + next_random(&s) % 100000;
        for (int i = 0; i < v->sample_count; i++) {
            if (seed % 3 == 0)
                v->samples[i].pts = v->samples[i].pts * 3 + next_random(&s) % 1400;
            if (seed % 3 == 1)
                v->samples[i].pts = (int64_t)(next_random(&s) % spread) - spread / 4;
            if (seed % 2)
                v->samples[i].sync = next_random(&s) % 20 == 0;
            v->end = v->samples[i].pts >= v->end ? v->samples[i].pts + 1 : v->end;
        }
        v->end -= v->end > 20000 ? next_random(&s) % 10000 : 0;
        int first = -1; // T0 is that of the first presented
        for (int i = 0; i < v->sample_count; i++)
            if (v->samples[i].pts >= 0 && (first < 0 || v->samples[i].pts < v->samples[first].pts))
                first = i;
        if (first >= 0)
            v->samples[first].pts = 0;
        if (first >= 0) {
            assert_int_equal(media_finish(m), 0);
            every_segment(m, &conf);
        }
        media_destroy(m);
    }
}

static void fast_and_slow(void **state)
{
    (void)state;
    static const int64_t ticks[] = { 12800 / 120, 12800 / 240, 12800, 12800 * 7, 12800 * 60 };
    const struct conf conf = settings();
    for (size_t i = 0; i < countof(ticks); i++) {
        struct media *m = make_media(10, 0);
        for (int k = 0; k < m->video.sample_count; k++)
            m->video.samples[k].pts = m->video.samples[k].pts / 512 * ticks[i];
        m->video.end = 118 * ticks[i];
        assert_int_equal(media_finish(m), 0);
        assert_true(rat_cmp(m->fps, (struct rational){ 60, 1 }) <= 0);
        every_segment(m, &conf);
        media_destroy(m);
    }
}

static void too_far_from_a_sync_sample(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = make_media(JOB_SAMPLES_MAX / 12 + 100, 0);
    for (int i = 1; i < m->video.sample_count; i++)
        m->video.samples[i].sync = false;
    assert_int_equal(media_finish(m), 0);
    struct plan p;
    assert_int_equal(plan_of(&p, &conf, m), 0);
    struct job job;
    assert_int_equal(plan_segment_job(&p, first_video(&p), m, 1, 0, &job), 0);
    assert_int_equal(start_of(&job, &m->video), 0);
    job_finish(&job);
    assert_int_equal(plan_segment_job(&p, first_video(&p), m, p.table.count - 1, 0, &job),
                     -E_LIMITS);
    job_finish(&job);
    media_destroy(m);
}

// ---- audio jobs

// A segment whose frames have all the bits that they may have keeps its rendition's
// BANDWIDTH, container included, and wastes little of it.
static void check_bits(const struct rendition *r, const struct job *job)
{
    const struct fmp4_track track = { .timescale = (uint32_t)job->a.sample_rate };
    const int64_t bytes = job->bits / 8, each = bytes / job->frames;
    struct fmp4_sample samples[87]; // two seconds at 44.1 kHz; at other rates they are longer
    uint8_t *data = xcalloc((size_t)bytes, 1);
    struct buf b;
    buf_init(&b, 16 * MIB);
    fmp4_styp(&b);
    for (int64_t at = 0; at < job->frames; at += countof(samples)) {
        const int64_t left = job->frames - at;
        const int n = left < (int64_t)countof(samples) ? (int)left : (int)countof(samples);
        for (int i = 0; i < n; i++) // no two alike, but for the same sum
            samples[i] = (struct fmp4_sample){ (uint32_t)each, AAC_FRAME, 0, true };
        samples[0].size--;
        samples[n - 1].size++;
        assert_int_equal(fmp4_fragment(&b, &track, 1, (uint64_t)at * AAC_FRAME, samples, n, data,
                                       (size_t)(each * n)),
                         0);
    }
    const int64_t bits = ((int64_t)b.len + bytes - each * job->frames) * 8;
    const int64_t most = muldiv_floor(r->bandwidth, job->frames * AAC_FRAME, job->a.sample_rate);
    assert_in_range(bits, most / 2, most);
    free(data);
    buf_finish(&b);
}

static void audio_jobs(void **state)
{
    (void)state;
    static const struct {
        int rate, packets;
        int64_t first; // pts of the first packet
    } cases[] = {
        { 48000, 700, 0 },     { 44100, 700, -1024 }, { 44100, 200, 0 },
        { 22050, 400, -5000 }, { 8000, 200, 999 },    { 96000, 1500, -1024 },
        { 192000, 3000, 0 },   { 48000, 20, 300000 }, { 47999, 700, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = make_media(32, cases[i].packets);
        struct audio_track *a = &m->audio;
        a->sample_rate = cases[i].rate;
        for (int n = 0; n < a->sample_count; n++)
            a->samples[n].pts = cases[i].first + n * 1024;
        assert_int_equal(media_finish(m), 0);
        struct plan p;
        assert_int_equal(plan_of(&p, &conf, m), 0);
        const struct rendition *r = plan_find(&p, "audio-0");
        const int out = r->a.sample_rate;
        int64_t frames = 0;
        for (int k = 0; k < p.table.count; k++) {
            struct job job, again, back;
            assert_int_equal(plan_segment_job(&p, r, m, k, 0, &job), 0);
            assert_int_equal(plan_segment_job(&p, r, m, k, 0, &again), 0);
            assert_int_equal(plan_segment_job(&p, r, m, k, 1, &back), 0);
            assert_int_equal(job.kind, JOB_AUDIO);
            assert_int_equal(job.first, frames);
            assert_true(job.frames > 0);
            frames += job.frames;
            assert_int_equal(job.end, muldiv_ceil(m->frames, m->fps.den * out, m->fps.num));
            assert_int_equal(job.sequence, k * 64 + 1);
            assert_int_equal(job.bits, again.bits);
            check_bits(r, &job);
            assert_int_equal(job.sample_count, again.sample_count);
            assert_true(back.sample_count >= job.sample_count);

            // Each packet that sounds in the window, and 0.7 s before it, is there; the
            // window with what a resampler's filter reaches beyond it.
            const int64_t reach = 64 * (1 + a->sample_rate / out);
            const int64_t begin = (job.first - 31) * 1024 > 0 ? (job.first - 31) * 1024 : 0;
            const int64_t from = muldiv_floor(begin, a->sample_rate, out) - reach;
            const int64_t to =
                muldiv_ceil((job.first + job.frames + 2) * 1024, a->sample_rate, out) + reach;
            const int64_t warm = from - a->sample_rate * 7 / 10;
            const int64_t start = job.sample_count ? job.samples[0].pts : INT64_MAX;
            const int64_t end = job.sample_count ? job.samples[job.sample_count - 1].pts : 0;
            bool sounds = false;
            for (int n = 0; n < a->sample_count; n++)
                sounds |= a->samples[n].pts + 1024 > from && a->samples[n].pts < to;
            for (int n = 0; n < a->sample_count && sounds; n++)
                if (a->samples[n].pts + 1024 > warm && a->samples[n].pts < to)
                    assert_true(a->samples[n].pts >= start && a->samples[n].pts <= end);
            job_finish(&job);
            job_finish(&again);
            job_finish(&back);
        }
        assert_int_equal(frames,
                         segtab_audio_frame(&p.table, p.table.count, sound_frame_rate(&r->a)));
        media_destroy(m);
    }
}

// ---- the rest

static void init_jobs_and_ranges(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = make_media(32, 700);
    assert_int_equal(media_finish(m), 0);
    struct plan p;
    assert_int_equal(plan_of(&p, &conf, m), 0);
    for (int i = 0; i < p.count; i++) {
        struct job job;
        int64_t offset, n;
        const bool sheets = plan_is_sheets(&p.renditions[i]);
        assert_int_equal(plan_init_job(&p, &p.renditions[i], m, &job), sheets ? -E_NOT_FOUND : 0);
        job_finish(&job);
        if (sheets)
            continue; // t_stills.c has them
        assert_int_equal(plan_init_job(&p, &p.renditions[i], m, &job), 0);
        assert_int_equal(job.kind, JOB_INIT);
        assert_int_equal(job.video, p.renditions[i].kind != RENDITION_AUDIO);
        plan_job_range(&job, &offset, &n);
        assert_true(offset == 0 && n == 0);
        job_finish(&job);

        assert_int_equal(plan_segment_job(&p, &p.renditions[i], m, 1, 0, &job), 0);
        plan_job_range(&job, &offset, &n);
        for (int k = 0; k < job.sample_count; k++)
            assert_true(job.samples[k].offset >= offset &&
                        job.samples[k].offset + job.samples[k].size <= offset + n);
        assert_true(offset > 0 && offset + n <= m->size);
        struct buf b;
        buf_init(&b, 16 * MIB);
        job.limits = (struct job_limits){ 1, 1, 1, 0, 1, 0 };
        assert_int_equal(job_pack(&job, &b), 0); // what we fill in, the other side accepts
        struct job back;
        assert_int_equal(job_unpack(&back, b.data, b.len), 0);
        job_finish(&back);
        buf_finish(&b);
        job_finish(&job);
    }
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(levels_of_hevc),
        cmocka_unit_test(ladders),
        cmocka_unit_test(ladders_of_codecs),
        cmocka_unit_test(high_range),
        cmocka_unit_test(rung_rates),
        cmocka_unit_test(bytes_of_the_machine),
        cmocka_unit_test(colours),
        cmocka_unit_test(audio_renditions),
        cmocka_unit_test(audio_qualities),
        cmocka_unit_test(every_field_counts),
        cmocka_unit_test(texts_of_segments),
        cmocka_unit_test(tracks_of_sound),
        cmocka_unit_test(files_of_subtitles),
        cmocka_unit_test(open_gops),
        cmocka_unit_test(further_back),
        cmocka_unit_test(some_beyond),
        cmocka_unit_test(any_source),
        cmocka_unit_test(fast_and_slow),
        cmocka_unit_test(too_far_from_a_sync_sample),
        cmocka_unit_test(audio_jobs),
        cmocka_unit_test(init_jobs_and_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
