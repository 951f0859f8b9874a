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
#include "codec/hls.h"
#include "codec/ts_plan.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

static struct conf short_ladder(void)
{
    struct conf c = settings();
    c.rungs[0] = c.rungs[1];
    c.rungs[1] = c.rungs[2];
    c.rungs[2] = c.rungs[4];
    c.rung_count = 3;
    return c;
}

// An asset with its plan; rate: of the video, bits per second.
static struct media *asset(struct plan *p, int groups, int packets, int64_t rate)
{
    const struct conf conf = short_ladder();
    struct media *m = make_media(groups, packets);
    assert_int_equal(media_finish(m), 0);
    m->video.bytes = rate * m->frames / 25 / 8;
    assert_int_equal(plan_make(p, &conf, m, "a", "v", "s"), 0);
    return m;
}

static char *text_of(struct buf *b)
{
    assert_int_equal(buf_error(b), 0);
    assert_int_equal(buf_append(b, "", 1), 0);
    return (char *)b->data;
}

static void master(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400, 9000000);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_master(&b, &p), 0);

    // The rung nearest to 2 Mb/s first, then by falling size.
    static const int order[] = { 1, 0, 2 };
    static const char *const sizes[] = { "854x480", "1280x720", "426x240" };
    const struct rendition *audio = plan_find(&p, "audio-0");
    struct buf want;
    buf_init(&want, MIB);
    char hex[KEY_HEX];
    buf_puts(&want, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    buf_printf(
        &want,
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,"
        "AUTOSELECT=YES,CHANNELS=\"2\",URI=\"%s/audio-0/index.m3u8\"\n",
        key_hex(&audio->recipe, hex));
    for (int i = 0; i < 3; i++) {
        const struct rendition *r = &p.renditions[order[i]];
        buf_printf(&want,
                   "#EXT-X-STREAM-INF:BANDWIDTH=%ld,AVERAGE-BANDWIDTH=%ld,CODECS=\"%s,mp4a.40.2\","
                   "RESOLUTION=%s,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"\n"
                   "%s/%s/index.m3u8\n",
                   (long)(r->bandwidth + audio->bandwidth), (long)(r->average + audio->average),
                   r->codecs, sizes[i], key_hex(&r->recipe, hex), r->name);
    }
    const struct rendition *const trick = plan_find(&p, "trick");
    buf_printf(&want,
               "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%ld,AVERAGE-BANDWIDTH=%ld,CODECS=\"%s\","
               "RESOLUTION=640x360,URI=\"%s/trick/index.m3u8\"\n",
               (long)trick->bandwidth, (long)trick->average, trick->codecs,
               key_hex(&trick->recipe, hex));
    const struct rendition *const board = plan_find(&p, "storyboard");
    buf_printf(&want,
               "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=%ld,AVERAGE-BANDWIDTH=%ld,CODECS=\"jpeg\","
               "RESOLUTION=256x144,URI=\"%s/storyboard/index.m3u8\"\n",
               (long)board->bandwidth, (long)board->average, key_hex(&board->recipe, hex));
    assert_string_equal(text_of(&b), text_of(&want));
    buf_finish(&b);
    buf_finish(&want);
    media_destroy(m);
}

static void unknown_language(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400, 9000000);
    plan_find(&p, "audio-0");
    strcpy(p.renditions[3].tags.language, "und");
    assert_int_equal(p.renditions[3].kind, RENDITION_AUDIO);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_master(&b, &p), 0);
    const char *const text = text_of(&b);
    assert_non_null(strstr(text, "\"audio\",NAME=\"Audio\",DEFAULT=YES,"));
    assert_null(strstr(text, "LANGUAGE"));
    assert_null(strstr(text, "und"));
    buf_finish(&b);
    media_destroy(m);
}

static void several_tracks_of_sound(void **state)
{
    (void)state;
    const struct conf conf = short_ladder();
    struct media *m = make_media(20, 400);
    struct plan p;
    make_more_audio(m, "de", 44100, &m->size);
    make_more_audio(m, "en", 44100, &m->size);
    make_more_audio(m, "en", 44100, &m->size);
    m->more_audio[1].tags.flags = TAG_COMMENTARY;
    m->more_audio[2].tags.flags = TAG_DESCRIPTION;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "s"), 0);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_master(&b, &p), 0);
    const char *const text = text_of(&b);
    static const char *const lines[] = {
        "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\"",
        "NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\"",
        "NAME=\"English (commentary)\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"2\"",
        "NAME=\"English (description)\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,"
        "CHARACTERISTICS=\"public.accessibility.describes-video\",CHANNELS=\"2\"",
    };
    const char *at = text;
    for (size_t i = 0; i < countof(lines); i++) {
        char hex[KEY_HEX], name[24];
        snprintf(name, sizeof name, "audio-%zu", i);
        const struct rendition *const r = plan_find(&p, name);
        char *line = xasprintf("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",%s,URI=\"%s/%s/"
                               "index.m3u8\"\n",
                               lines[i], key_hex(&r->recipe, hex), name);
        at = strstr(at, line); // in this order
        assert_non_null(at);
        free(line);
    }
    assert_null(strstr(text, "surround"));
    buf_finish(&b);
    media_destroy(m);
}

// Where one track has 5.1, all tracks stand in a second group at their best, and each rung
// twice.
static void surround(void **state)
{
    (void)state;
    const struct conf conf = short_ladder();
    struct media *m = make_media(20, 400);
    struct plan p;
    make_more_audio(m, "de", 44100, &m->size);
    m->audio.channels = 8;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "s"), 0);
    const struct rendition *const six = plan_find(&p, "audio-0-surround");
    assert_true(six && six->a.channels == 6 && !plan_find(&p, "audio-1-surround"));
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_master(&b, &p), 0);
    const char *const text = text_of(&b);
    static const struct {
        const char *group, *name, *channels, *rendition;
    } lines[] = { { "audio", "English", "2", "audio-0" },
                  { "audio", "Deutsch", "2", "audio-1" },
                  { "surround", "Deutsch", "2", "audio-1" },
                  { "surround", "English", "6", "audio-0-surround" } };
    for (size_t i = 0; i < countof(lines); i++) {
        char *start = xasprintf("GROUP-ID=\"%s\",NAME=\"%s\",", lines[i].group, lines[i].name);
        char *end = xasprintf("CHANNELS=\"%s\",URI=\"", lines[i].channels);
        char *uri = xasprintf("/%s/index.m3u8\"\n", lines[i].rendition);
        const char *const at = strstr(text, start);
        assert_non_null(at);
        assert_true(strstr(at, end) && strstr(at, end) < strchr(at, '\n'));
        assert_true(strstr(at, uri) && strstr(at, uri) < strchr(at, '\n'));
        const char *const chosen = strstr(at, "DEFAULT=YES");
        assert_int_equal(chosen && chosen < strchr(at, '\n'),
                         strcmp(lines[i].name, "English") == 0);
        free(start);
        free(end);
        free(uri);
    }
    int variants[2] = { 0 };
    for (const char *s = text; (s = strstr(s, ",AUDIO=\"")); s++)
        variants[strncmp(s, ",AUDIO=\"surround\"", 17) == 0]++;
    assert_true(variants[0] == variants[1] && variants[0] > 0);
    buf_finish(&b);
    media_destroy(m);
}

// A group of its own behind those that everybody knows, whose rungs come first; without video
// a variant.
static void opus(void **state)
{
    (void)state;
    struct conf conf = short_ladder();
    conf.opus_bitrate = 96000;
    for (int pictures = 1; pictures >= 0; pictures--) {
        struct media *m = make_media(pictures ? 20 : 0, 400);
        struct plan p;
        struct buf b;
        assert_int_equal(media_finish(m), 0);
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "s"), 0);
        buf_init(&b, MIB);
        assert_int_equal(hls_master(&b, &p), 0);
        const char *const text = text_of(&b), *const aac = strstr(text, "mp4a.40.2\"");
        const char *const first = strstr(text, "opus\"");
        assert_true(aac && first);
        if (pictures) {
            const char *const line =
                strstr(text, "GROUP-ID=\"opus\",NAME=\"English\",LANGUAGE=\"en\","
                             "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=");
            assert_true(line && strstr(text, "GROUP-ID=\"audio\"") < line);
            const char *const variant = strstr(text, ",opus\",");
            assert_true(variant && strstr(variant, "AUDIO=\"opus\"") < strchr(variant, '\n'));
            assert_null(strstr(variant, "mp4a"));
        } else {
            assert_true(aac < first);
        }
        assert_non_null(strstr(text, "/audio-0-opus/index.m3u8"));
        buf_finish(&b);
        media_destroy(m);
    }
}

// In the master playlist as players show it, and that playlist's own.
static void subtitles(void **state)
{
    (void)state;
    struct media *m = make_media(20, 400);
    static const struct {
        const char *language, *title;
        unsigned flags;
        const char *name, *line;
    } texts[] = {
        { "en", "", TAG_CAPTIONS, "subs-en",
          "NAME=\"English (CC)\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,"
          "CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,"
          "public.accessibility.describes-music-and-sound\"" },
        { "pt-BR", "", TAG_PREFERRED, "subs-pt-BR",
          "NAME=\"português (BR)\",LANGUAGE=\"pt-BR\",DEFAULT=YES,AUTOSELECT=YES,FORCED=NO" },
        { "en", "", TAG_FORCED | TAG_PREFERRED, "subs-en-2",
          "NAME=\"English (forced)\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES" },
        { "en", "", 0, "subs-en-3",
          "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO" },
        { "en", "", 0, "subs-en-4",
          "NAME=\"English 2\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO" },
        { "und", "Für <alle>", 0, "subs-und",
          "NAME=\"Für <alle>\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO" },
        { "und", "", 0, "subs-und-2", "NAME=\"Subtitles\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO" },
        { "de-x-abcdefghi-j", "", 0, "subs-de", NULL },
    };
    for (size_t i = 0; i < countof(texts); i++) {
        make_text(m, 5, i == 7 ? "de-x-abcdefgh-j" : texts[i].language, &m->size);
        copy_string(m->texts[i].tags.title, MEDIA_TITLE, texts[i].title);
        m->texts[i].tags.flags = texts[i].flags;
    }
    const struct conf conf = short_ladder();
    struct plan p;
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "s"), 0);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_master(&b, &p), 0);
    const char *text = text_of(&b);
    for (size_t i = 0; i < countof(texts); i++) {
        const struct rendition *r = plan_find(&p, texts[i].name);
        char hex[KEY_HEX];
        assert_non_null(r);
        char *line =
            xasprintf("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subs\",%s,URI=\"%s/%s/"
                      "index.m3u8\"\n",
                      texts[i].line ? texts[i].line : "", key_hex(&r->recipe, hex), r->name);
        if (texts[i].line && !strstr(text, line))
            fail_msg("%s is not in %s", line, text);
        free(line);
    }
    // Whoever takes one takes that much more.
    const struct rendition *const v = &p.renditions[0], *const a = plan_find(&p, "audio-0");
    char *rates =
        xasprintf("BANDWIDTH=%ld,AVERAGE-BANDWIDTH=%ld,",
                  (long)(v->bandwidth + a->bandwidth + plan_find(&p, "subs-en")->bandwidth),
                  (long)(v->average + a->average + plan_find(&p, "subs-en")->average));
    assert_non_null(strstr(text, rates));
    free(rates);
    // Every variant names them, and nothing else does.
    int variants = 0, named = 0;
    for (const char *s = text; (s = strstr(s, "#EXT-X-STREAM-INF")); s++)
        variants++;
    for (const char *s = text; (s = strstr(s, ",SUBTITLES=\"subs\"\n")); s++)
        named++;
    assert_int_equal(named, variants);
    buf_finish(&b);

    assert_int_equal(hls_media(&b, &p, plan_find(&p, "subs-en"), NULL), 0);
    text = text_of(&b);
    assert_null(strstr(text, "EXT-X-MAP"));
    assert_non_null(strstr(text, "#EXTINF:4.000000,\n0.vtt\n#EXTINF:"));
    buf_finish(&b);
    media_destroy(m);
}

static void master_without_audio(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 0, 9000000);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_master(&b, &p), 0);
    const char *text = text_of(&b);
    assert_null(strstr(text, "AUDIO"));
    assert_null(strstr(text, "mp4a"));
    assert_non_null(strstr(text, "CLOSED-CAPTIONS=NONE\n"));
    buf_finish(&b);
    media_destroy(m);
}

static void master_of_sound(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 0, 500, 0);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_master(&b, &p), 0);
    char want[400], hex[KEY_HEX];
    snprintf(want, sizeof want,
             "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
             "#EXT-X-STREAM-INF:BANDWIDTH=%ld,AVERAGE-BANDWIDTH=%ld,CODECS=\"mp4a.40.2\"\n"
             "%s/audio-0/index.m3u8\n",
             (long)p.renditions[0].bandwidth, (long)p.renditions[0].average,
             key_hex(&p.renditions[0].recipe, hex));
    assert_string_equal(text_of(&b), want);
    buf_finish(&b);
    media_destroy(m);
}

static void starts(void **state)
{
    (void)state;
    static const struct {
        int64_t maxrate[3];
        const char *first;
    } cases[] = {
        { { 2800000, 1400000, 400000 }, "480p" },
        { { 1800000, 1400000, 400000 }, "720p" },
        { { 9000000, 8000000, 7000000 }, "240p" },
        { { 9000000, 8000000, 100000 }, "240p" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct conf conf = short_ladder();
        for (int k = 0; k < 3; k++)
            conf.rungs[k].maxrate = cases[i].maxrate[k];
        struct plan p;
        struct media *m = asset(&p, 20, 400, 90000000);
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "s"), 0);
        struct buf b;
        buf_init(&b, MIB);
        assert_int_equal(hls_master(&b, &p), 0);
        const char *line = strstr(text_of(&b), "#EXT-X-STREAM-INF");
        const char *uri = strchr(line, '\n') + 1;
        assert_int_equal(strncmp(uri + 33, cases[i].first, 4), 0);
        buf_finish(&b);
        media_destroy(m);
    }
}

// 238 frames of 25 a second: 4 + 4 + 1.52 s.
static void playlists(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400, 9000000);
    static const char head[] = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n"
                               "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
                               "#EXT-X-INDEPENDENT-SEGMENTS\n",
                      map[] = "#EXT-X-MAP:URI=\"init.mp4\"\n";
    // AAC frames 0, 173, 345 and 410 of 44100 a second.
    static const char *const lines[] = {
        "#EXTINF:4.000000,\n0.m4s\n#EXTINF:4.000000,\n1.m4s\n#EXTINF:1.520000,\n2.m4s\n",
        "#EXTINF:4.017052,\n0.m4s\n#EXTINF:3.993832,\n1.m4s\n#EXTINF:1.509297,\n2.m4s\n",
        "#EXTINF:1.000000,\n0.m4s\n#EXTINF:1.000000,\n1.m4s\n#EXTINF:1.000000,\n2.m4s\n"
        "#EXTINF:1.000000,\n3.m4s\n#EXTINF:1.000000,\n4.m4s\n#EXTINF:1.000000,\n5.m4s\n"
        "#EXTINF:1.000000,\n6.m4s\n#EXTINF:1.000000,\n7.m4s\n#EXTINF:1.000000,\n8.m4s\n"
        "#EXTINF:0.520000,\n9.m4s\n",
    };
    static const char *const names[] = { "720p", "audio-0", "trick" };
    for (int i = 0; i < 3; i++) {
        struct buf b, want;
        buf_init(&b, MIB);
        buf_init(&want, MIB);
        assert_int_equal(hls_media(&b, &p, plan_find(&p, names[i]), NULL), 0);
        buf_printf(&want, "%s%s%s%s#EXT-X-ENDLIST\n", head, i == 2 ? "#EXT-X-I-FRAMES-ONLY\n" : "",
                   map, lines[i]);
        assert_string_equal(text_of(&b), text_of(&want));
        buf_finish(&b);
        buf_finish(&want);
    }
    media_destroy(m);
}

// 638 frames of 25 a second on sheets of 16 s.
static void sheets(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 54, 0, 9000000);
    assert_int_equal(m->frames, 646);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_media(&b, &p, plan_find(&p, "storyboard"), NULL), 0);
    assert_string_equal(
        text_of(&b),
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:16\n#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n"
        "#EXTINF:16.000000,\n"
        "#EXT-X-TILES:RESOLUTION=256x144,LAYOUT=4x4,DURATION=1.000000\n0.jpg\n"
        "#EXTINF:9.840000,\n"
        "#EXT-X-TILES:RESOLUTION=256x144,LAYOUT=4x4,DURATION=1.000000\n1.jpg\n"
        "#EXT-X-ENDLIST\n");
    buf_finish(&b);
    media_destroy(m);
}

// Any run of EXTINFs adds up, to the microsecond, and none exceeds the target.
static void sums(void **state)
{
    (void)state;
    for (int groups = 1; groups < 600; groups += 13) {
        struct plan p;
        struct media *m = asset(&p, groups, groups * 20, 9000000);
        for (int i = 0; i < p.count; i++) {
            const struct rendition *r = &p.renditions[i];
            struct buf b;
            buf_init(&b, MIB);
            assert_int_equal(hls_media(&b, &p, r, NULL), 0);
            int64_t sum = 0;
            int count = 0;
            for (char *s = text_of(&b); (s = strstr(s, "#EXTINF:")); s += 8, count++) {
                long seconds, micros;
                assert_int_equal(sscanf(s, "#EXTINF:%ld.%6ld,", &seconds, &micros), 2);
                assert_int_equal(hls_segment_us(&p, r, count), seconds * 1000000 + micros);
                sum += seconds * 1000000 + micros;
                assert_true(seconds + (micros >= 500000) <= p.target_duration || plan_is_sheets(r));
            }
            assert_int_equal(count, plan_segments(&p, r));
            const int64_t frames =
                segtab_audio_frame(&p.table, p.table.count, (struct rational){ 44100, 1024 });
            assert_int_equal(sum, r->kind != RENDITION_AUDIO
                                      ? m->frames * 40000
                                      : muldiv_round(frames, 1024000000, 44100));
            buf_finish(&b);
        }
        media_destroy(m);
    }
}

// ---- MPEG-TS

static void put_muxed(struct buf *out, const struct plan *p, const struct ts_rendition *t,
                      const char *rest)
{
    const struct rendition *const v = plan_find(p, t->video.name), *a = plan_find(p, t->audio.name);
    char hex[KEY_HEX];
    buf_printf(out,
               "#EXT-X-STREAM-INF:BANDWIDTH=%ld,AVERAGE-BANDWIDTH=%ld,CODECS=\"%s%s%s\"%s\n"
               "%s/%s/index.m3u8\n",
               (long)ts_bandwidth(p, v, a), (long)ts_average(p, v, a), v ? v->codecs : "",
               v && a ? "," : "", a ? a->codecs : "", rest, key_hex(&t->recipe, hex),
               ts_lead(t)->name);
}

static void master_of_ts(void **state)
{
    (void)state;
    static const struct {
        int groups, packets, order[3], count;
    } cases[] = { { 20, 400, { 1, 0, 2 }, 3 }, { 20, 0, { 1, 0, 2 }, 3 }, { 0, 400, { 0 }, 1 } };
    static const char *const sizes[] = { "1280x720", "854x480", "426x240" };
    for (size_t i = 0; i < countof(cases); i++) {
        struct plan p;
        struct ts_rendition t[PLAN_RENDITIONS];
        struct media *m = asset(&p, cases[i].groups, cases[i].packets, 9000000);
        assert_int_equal(ts_plan(&p, t), cases[i].count);
        struct buf b, want;
        buf_init(&b, MIB);
        buf_init(&want, MIB);
        buf_puts(&want, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n");
        for (int k = 0; k < cases[i].count; k++) {
            char rest[100] = "";
            if (cases[i].groups)
                snprintf(rest, sizeof rest, ",RESOLUTION=%s,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE",
                         sizes[cases[i].order[k]]);
            put_muxed(&want, &p, &t[cases[i].order[k]], rest);
        }
        struct ts_rendition list[PLAN_RENDITIONS];
        assert_int_equal(hls_master_ts(&b, &p, list, ts_plan(&p, list)), 0);
        assert_string_equal(text_of(&b), text_of(&want));
        buf_finish(&b);
        buf_finish(&want);
        media_destroy(m);
    }
}

// The same times as of the fMP4 rendition, but other files.
static void playlist_of_ts(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 20, 400, 9000000);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(hls_media_ts(&b, &p, plan_find(&p, "720p"), NULL), 0);
    assert_string_equal(text_of(&b),
                        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n"
                        "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
                        "#EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:4.000000,\n0.ts\n"
                        "#EXTINF:4.000000,\n1.ts\n#EXTINF:1.520000,\n2.ts\n#EXT-X-ENDLIST\n");
    buf_finish(&b);
    media_destroy(m);
}

static void too_small_a_buffer(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 2000, 500, 9000000);
    for (size_t max = 0; max < 1000; max += 50) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(hls_media(&b, &p, &p.renditions[0], NULL), -E_LIMITS);
        buf_finish(&b);
        buf_init(&b, max / 2);
        assert_int_equal(hls_master(&b, &p), -E_LIMITS);
        buf_finish(&b);
    }
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(master),
        cmocka_unit_test(unknown_language),
        cmocka_unit_test(subtitles),
        cmocka_unit_test(several_tracks_of_sound),
        cmocka_unit_test(surround),
        cmocka_unit_test(opus),
        cmocka_unit_test(master_without_audio),
        cmocka_unit_test(master_of_sound),
        cmocka_unit_test(starts),
        cmocka_unit_test(playlists),
        cmocka_unit_test(sheets),
        cmocka_unit_test(sums),
        cmocka_unit_test(master_of_ts),
        cmocka_unit_test(playlist_of_ts),
        cmocka_unit_test(too_small_a_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
