// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/dash.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

// 25 frames a second, sound at 44.1 kHz, rungs 720p and 240p.
static struct media *asset(struct plan *p, int groups, int packets)
{
    struct conf conf = settings();
    conf.rungs[0] = conf.rungs[1];
    conf.rungs[1] = conf.rungs[4];
    conf.rung_count = 2;
    struct media *m = make_media(groups, packets);
    assert_int_equal(media_finish(m), 0);
    m->video.bytes = 9000000 * m->frames / 25 / 8;
    assert_int_equal(plan_make(p, &conf, m, "a", "v", "s"), 0);
    return m;
}

static char *manifest(const struct plan *p)
{
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(dash_manifest(&b, p, NULL, NULL), 0);
    assert_int_equal(buf_append(&b, "", 1), 0);
    return (char *)b.data;
}

static const char *id(const struct plan *p, const char *name)
{
    static char text[2][120];
    static int turn;
    char hex[KEY_HEX];
    char *const out = text[turn ^= 1];
    snprintf(out, sizeof text[0], "%s/%s", key_hex(&plan_find(p, name)->recipe, hex), name);
    return out;
}

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "                                                \
    "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" "
#define TAIL "</Period>\n</MPD>\n"

// 238 frames: 4 + 4 + 1.52 s; of sound 173 + 172 + 65 packets.
static void all_of_it(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400);
    const struct rendition *const high = plan_find(&p, "720p"), *const low = plan_find(&p, "240p");
    const struct rendition *const audio = plan_find(&p, "audio-0");
    char *const got = manifest(&p);
    struct buf want;
    buf_init(&want, MIB);
    buf_printf(&want,
               HEAD "mediaPresentationDuration=\"PT9.520182S\" minBufferTime=\"PT4.000000S\">\n"
                    "<Period id=\"0\" start=\"PT0S\">\n"
                    "<AdaptationSet id=\"1\" contentType=\"video\" mimeType=\"video/mp4\" "
                    "segmentAlignment=\"true\" startWithSAP=\"1\">\n"
                    "<SegmentTemplate timescale=\"25\" startNumber=\"0\" "
                    "initialization=\"$RepresentationID$/init.mp4\" "
                    "media=\"$RepresentationID$/$Number$.m4s\">\n"
                    "<SegmentTimeline>\n<S t=\"0\" d=\"100\" r=\"1\"/>\n<S d=\"38\"/>\n"
                    "</SegmentTimeline>\n</SegmentTemplate>\n"
                    "<Representation id=\"%s\" bandwidth=\"%ld\" codecs=\"%s\" width=\"1280\" "
                    "height=\"720\" sar=\"1:1\" frameRate=\"25/1\">\n</Representation>\n"
                    "<Representation id=\"%s\" bandwidth=\"%ld\" codecs=\"%s\" width=\"426\" "
                    "height=\"240\" sar=\"1:1\" frameRate=\"25/1\">\n</Representation>\n"
                    "</AdaptationSet>\n",
               id(&p, "720p"), (long)high->bandwidth, high->codecs, id(&p, "240p"),
               (long)low->bandwidth, low->codecs);
    buf_printf(
        &want,
        "<AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"en\" "
        "segmentAlignment=\"true\" startWithSAP=\"1\">\n<Label>English</Label>\n"
        "<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n"
        "<SegmentTemplate timescale=\"44100\" startNumber=\"0\" "
        "initialization=\"$RepresentationID$/init.mp4\" "
        "media=\"$RepresentationID$/$Number$.m4s\">\n"
        "<SegmentTimeline>\n<S t=\"0\" d=\"177152\"/>\n<S d=\"176128\"/>\n<S d=\"66560\"/>\n"
        "</SegmentTimeline>\n</SegmentTemplate>\n"
        "<Representation id=\"%s\" bandwidth=\"%ld\" codecs=\"mp4a.40.2\" "
        "audioSamplingRate=\"44100\">\n"
        "<AudioChannelConfiguration "
        "schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"2\"/>\n"
        "</Representation>\n</AdaptationSet>\n",
        id(&p, "audio-0"), (long)audio->bandwidth);
    const struct rendition *const trick = plan_find(&p, "trick");
    const struct rendition *const board = plan_find(&p, "storyboard");
    buf_printf(&want,
               "<AdaptationSet contentType=\"video\" mimeType=\"video/mp4\" maxPlayoutRate=\"25\" "
               "codingDependency=\"false\" segmentAlignment=\"true\" startWithSAP=\"1\">\n"
               "<EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/trickmode\" "
               "value=\"1\"/>\n"
               "<SegmentTemplate timescale=\"25\" startNumber=\"0\" "
               "initialization=\"$RepresentationID$/init.mp4\" "
               "media=\"$RepresentationID$/$Number$.m4s\">\n"
               "<SegmentTimeline>\n<S t=\"0\" d=\"25\" r=\"8\"/>\n<S d=\"13\"/>\n"
               "</SegmentTimeline>\n</SegmentTemplate>\n"
               "<Representation id=\"%s\" bandwidth=\"%ld\" codecs=\"%s\" width=\"640\" "
               "height=\"360\" sar=\"1:1\" frameRate=\"1/1\">\n</Representation>\n"
               "</AdaptationSet>\n",
               id(&p, "trick"), (long)trick->bandwidth, trick->codecs);
    buf_printf(&want,
               "<AdaptationSet contentType=\"image\" mimeType=\"image/jpeg\">\n"
               "<SegmentTemplate timescale=\"25\" duration=\"300\" startNumber=\"0\" "
               "media=\"$RepresentationID$/$Number$.jpg\"/>\n"
               "<Representation id=\"%s\" bandwidth=\"%ld\" width=\"1024\" "
               "height=\"432\">\n"
               "<EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/thumbnail_tile\" "
               "value=\"4x3\"/>\n</Representation>\n</AdaptationSet>\n" TAIL,
               id(&p, "storyboard"), (long)board->bandwidth);
    buf_append(&want, "", 1);
    assert_string_equal(got, (char *)want.data);
    free(got);
    buf_finish(&want);
    media_destroy(m);
}

// On a grid of its own: frames of 20 ms.
static void opus(void **state)
{
    (void)state;
    struct conf conf = settings();
    struct media *m = make_media(20, 400);
    struct plan p;
    conf.opus_bitrate = 96000;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "s"), 0);
    char *const got = manifest(&p);
    const char *set = strstr(got, "audioSamplingRate=\"44100\"");
    assert_non_null(set);
    assert_non_null(set = strstr(set, "<Label>English</Label>"));
    assert_non_null(set = strstr(set, "<SegmentTemplate timescale=\"48000\""));
    assert_non_null(set = strstr(set, "<S t=\"0\" d=\"192000\" r=\"1\"/>\n<S d=\"72960\"/>"));
    assert_non_null(set = strstr(set, id(&p, "audio-0-opus")));
    assert_non_null(strstr(set, "codecs=\"opus\" audioSamplingRate=\"48000\">"));
    free(got);
    media_destroy(m);
}

static void one_kind_alone(void **state)
{
    (void)state;
    static const struct {
        int groups, packets;
        const char *kind, *other;
    } rows[] = { { 20, 0, "video", "audio" }, { 0, 500, "audio", "video" } };
    for (size_t i = 0; i < countof(rows); i++) {
        struct plan p;
        struct media *m = asset(&p, rows[i].groups, rows[i].packets);
        char *const got = manifest(&p);
        assert_non_null(strstr(got, rows[i].kind));
        assert_null(strstr(got, rows[i].other));
        free(got);
        media_destroy(m);
    }
}

static void no_language(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400);
    strcpy(p.renditions[2].tags.language, "und");
    char *const got = manifest(&p);
    assert_null(strstr(got, "lang="));
    free(got);
    media_destroy(m);
}

static void subtitles(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = make_media(20, 400);
    struct plan p;
    make_text(m, 5, "pt-BR", &m->size);
    make_text(m, 5, "und", &m->size);
    copy_string(m->texts[0].tags.title, MEDIA_TITLE, "<a> & b");
    m->texts[1].tags.flags = TAG_CAPTIONS;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "s"), 0);
    char *const got = manifest(&p);
    char *want = xasprintf(
        "<AdaptationSet contentType=\"text\" mimeType=\"text/vtt\" lang=\"pt-BR\" "
        "segmentAlignment=\"true\">\n<Label>&lt;a&gt; &amp; b</Label>\n"
        "<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>\n"
        "<SegmentTemplate timescale=\"25\" startNumber=\"0\" "
        "media=\"$RepresentationID$/$Number$.vtt\">\n"
        "<SegmentTimeline>\n<S t=\"0\" d=\"100\" r=\"1\"/>\n<S d=\"38\"/>\n"
        "</SegmentTimeline>\n</SegmentTemplate>\n"
        "<Representation id=\"%s\" bandwidth=\"20000\">\n</Representation>\n"
        "</AdaptationSet>\n"
        "<AdaptationSet contentType=\"text\" mimeType=\"text/vtt\" segmentAlignment=\"true\">\n"
        "<Label>Subtitles (CC)</Label>\n"
        "<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"caption\"/>\n",
        id(&p, "subs-pt-BR"));
    assert_non_null(strstr(got, want));
    free(want);
    free(got);
    media_destroy(m);
}

// A third of a microsecond less would cut the last picture off.
static void the_duration_is_rounded_up(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 0);
    p.table.fps = (struct rational){ 24000, 1001 };
    for (int i = 0; i < p.count; i++)
        p.renditions[i].v.fps = p.table.fps;
    char *const got = manifest(&p); // 238 x 1001 / 24000 = 9.926583333...
    assert_non_null(strstr(got, "mediaPresentationDuration=\"PT9.926584S\""));
    assert_non_null(strstr(got, "timescale=\"24000\""));
    assert_non_null(strstr(got, "<S t=\"0\" d=\"100100\" r=\"1\"/>"));
    free(got);
    media_destroy(m);
}

static void protection(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400);
    const struct encryption e = { .method = ENCRYPTION_CBCS, .key_id = { { 1, 2, 3, 4, 5 } } };
    static const char *const licenses[] = { NULL, "https://v/a/license" };
    for (size_t i = 0; i < countof(licenses); i++) {
        struct buf b;
        buf_init(&b, MIB);
        assert_int_equal(dash_manifest(&b, &p, &e, licenses[i]), 0);
        assert_int_equal(buf_append(&b, "", 1), 0);
        const char *const text = (char *)b.data;
        assert_non_null(
            strstr(text, "cenc:default_KID=\"01020304-0500-0000-0000-000000000000\"/>"));
        assert_non_null(strstr(text, "xmlns:dashif=\"https://dashif.org/CPS\""));
        assert_int_equal(!!strstr(text, "78d30e\"/>"), i == 0);
        assert_int_equal(!!strstr(text, "78d30e\"><dashif:Laurl>https://v/a/license</dashif:Laurl>"
                                        "</ContentProtection>"),
                         i == 1);
        assert_int_equal(!!strstr(text, "e2fb4b\"><dashif:Laurl>https://v/a/license<"), i == 1);
        buf_finish(&b);
    }
    media_destroy(m);
}

static void no_room(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400);
    for (size_t room = 0; room < 1500; room += 100) {
        struct buf b;
        buf_init(&b, room);
        assert_int_equal(dash_manifest(&b, &p, NULL, NULL), -E_LIMITS);
        buf_finish(&b);
    }
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it),
        cmocka_unit_test(one_kind_alone),
        cmocka_unit_test(opus),
        cmocka_unit_test(no_language),
        cmocka_unit_test(the_duration_is_rounded_up),
        cmocka_unit_test(protection),
        cmocka_unit_test(no_room),
        cmocka_unit_test(subtitles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
