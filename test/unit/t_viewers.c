// SPDX-License-Identifier: BSD-2-Clause
//
// The parts of tidemill-viewers that decide: traces, playlists, fragments, the player, CMCD,
// quantiles.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "bench/viewers/cmcd.h"
#include "bench/viewers/fragments.h"
#include "bench/viewers/options.h"
#include "bench/viewers/player.h"
#include "bench/viewers/playlist.h"
#include "bench/viewers/report.h"
#include "bench/viewers/trace.h"

#define SECOND 1000000

static int read_text(struct trace *t, const char *text, char *why, size_t cap)
{
    FILE *const in = fmemopen((void *)text, strlen(text), "r");
    assert_non_null(in);
    const int rc = trace_read(t, in, "trace", why, cap);
    fclose(in);
    return rc;
}

static void traces_are_read(void **state)
{
    struct trace t;
    char why[200];
    (void)state;
    assert_int_equal(
        read_text(&t,
                  "t_ms,video,duration_ms,watch_ms,rung\n# remark\n\n0,a.mp4,0,1500,720p\r\n"
                  "7.9,b c.mp4,60000,3,auto,99\n7,d,0,0\n",
                  why, sizeof why),
        0);
    assert_int_equal(t.count, 3);
    assert_string_equal(t.visits[0].rung, "720p");
    assert_int_equal(t.visits[0].watch, 1500);
    assert_string_equal(t.visits[1].video, "b c.mp4");
    assert_string_equal(t.visits[1].rung, "");
    assert_int_equal(t.visits[1].at, 7);
    assert_int_equal(t.visits[1].duration, 60000);
    trace_finish(&t);
}

static void bad_traces_are_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "x,a,1,1,\n", "trace:1: t_ms is not a time in milliseconds" },
        { "-1,a,1,1,\n", "trace:1: t_ms is not a time in milliseconds" },
        { "nan,a,1,1,\n", "trace:1: t_ms is not a time in milliseconds" },
        { "9e99,a,1,1,\n", "trace:1: t_ms is not a time in milliseconds" },
        { "5,a,1,1,\n4,a,1,1,\n", "trace:2: this visit comes before the one above it" },
        { "5\n", "trace:1: the video is missing" },
        { "5,,1,1,\n", "trace:1: the video is missing" },
        { "5,a,b,1,\n", "trace:1: duration_ms is not a time in milliseconds" },
        { "5,a,1\n", "trace:1: watch_ms is not a time in milliseconds" },
        { "5,a,1,1,a-rung-with-a-name-that-is-too-long\n", "trace:1: the rung's name is too long" },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct trace t;
        char why[200];
        assert_int_equal(read_text(&t, cases[i].text, why, sizeof why), -1);
        assert_string_equal(why, cases[i].why);
        assert_int_equal(t.count, 0);
    }
}

// What was drawn reads back, has the rate it was asked for and prefers the first.
static void drawn_traces(void **state)
{
    char names[][2] = { "a", "b", "c" }, *videos[] = { names[0], names[1], names[2] };
    char *text = NULL, why[200];
    int64_t durations[] = { 1000, 0, 0 };
    size_t size = 0, first = 0, brief = 0;
    const struct trace_model m = { videos, durations, 3, 10, 1000, 1, 7 };
    struct trace t, again;
    (void)state;
    trace_draw(&t, &m);
    assert_in_range(t.count, 9500, 10500);
    for (size_t i = 0; i < t.count; i++) {
        assert_true(i == 0 || t.visits[i].at >= t.visits[i - 1].at);
        first += strcmp(t.visits[i].video, "a") == 0;
        brief += t.visits[i].watch < 5870; // the median: 8 s x (2^(1/1.26) - 1)
    }
    assert_in_range(first, t.count * 52 / 100, t.count * 57 / 100); // 6 of 11
    assert_in_range(brief, t.count * 48 / 100, t.count * 52 / 100);
    FILE *const out = open_memstream(&text, &size);
    trace_write(&t, out);
    fclose(out);
    assert_int_equal(read_text(&again, text, why, sizeof why), 0);
    assert_int_equal(again.count, t.count);
    assert_int_equal(again.visits[99].watch, t.visits[99].watch);
    free(text);
    trace_finish(&t);
    trace_finish(&again);
}

static const char MASTER[] =
    "#EXTM3U\n#EXT-X-VERSION:7\n"
    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"r/a1/index.m3u8\"\n"
    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"z\",DEFAULT=YES,URI=\"r/a0/index.m3u8\"\r\n"
    "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"en\",URI=\"r/s/index.m3u8\"\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=1,RESOLUTION=1280x720,CODECS=\"a,b\","
    "AUDIO=\"a\"\n"
    "r/720p/index.m3u8\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=360x640,AUDIO=\"none\"\nr/360p/index.m3u8\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=9000000\nr/source/index.m3u8\n";

static void masters(void **state)
{
    struct master m;
    char text[sizeof MASTER];
    (void)state;
    memcpy(text, MASTER, sizeof MASTER);
    assert_int_equal(master_read(&m, text), 0);
    assert_int_equal(m.count, 3);
    assert_string_equal(m.audio[0], "r/a0/index.m3u8");
    assert_null(m.audio[1]);
    assert_int_equal(m.variants[0].bandwidth, 3000000);
    assert_int_equal(m.variants[1].height, 360);
    static const struct {
        const char *rung;
        int64_t bandwidth;
        int want;
    } cases[] = { { "720p", 0, 0 },   { "360p", 1 << 30, 1 }, { "source", 0, 2 },
                  { "ource", 0, 1 },  { "", 899999, 1 },      { "", 2999999, 1 },
                  { "", 3000000, 0 }, { "", 1 << 30, 2 },     { "480p", 1 << 30, 2 } };
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(master_choose(&m, cases[i].rung, cases[i].bandwidth), cases[i].want);
    master_finish(&m);
}

static void media_lists(void **state)
{
    char text[] =
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4.0,\n0.m4s\n"
        "#EXTINF:3.500000,\n1.m4s\n#EXT-X-ENDLIST\n";
    char no_list[] = "<html>",
         nothing[] = "#EXTM3U\n#EXTINF:-5,\n0.m4s\n#EXTINF:nan,\n1.m4s\nstray\n";
    struct media_list l;
    (void)state;
    assert_int_equal(media_list_read(&l, text), 0);
    assert_int_equal(l.count, 2);
    assert_true(l.ended);
    assert_string_equal(l.map, "init.mp4");
    assert_int_equal(l.segments[1].begin, 4 * SECOND);
    assert_int_equal(l.segments[1].end, 7500000);
    assert_int_equal(media_list_at(&l, 0), 0);
    assert_int_equal(media_list_at(&l, 4 * SECOND - 1), 0);
    assert_int_equal(media_list_at(&l, 4 * SECOND), 1);
    assert_int_equal(media_list_at(&l, 7500000), 2);
    media_list_finish(&l);
    assert_int_equal(media_list_read(&l, no_list), -1);
    assert_int_equal(media_list_read(&l, nothing), -1);
}

static const uint8_t INIT[] = { 0,   0,   0,   56,  'm', 'o',  'o', 'v', 0,   0,   0, 48, 't', 'r',
                                'a', 'k', 0,   0,   0,   40,   'm', 'd', 'i', 'a', 0, 0,  0,   32,
                                'm', 'd', 'h', 'd', 0,   0,    0,   0,   0,   0,   0, 0,  0,   0,
                                0,   0,   0,   0,   3,   0xe8, 0,   0,   0,   0,   0, 0,  0,   0 };

// Two fragments, at 500 and at 1000 of a thousand ticks a second.
static const uint8_t SEGMENT[] = { 0,   0,   0,   8,   's', 't', 'y', 'p', 0,   0,   0,   32,  'm',
                                   'o', 'o', 'f', 0,   0,   0,   24,  't', 'r', 'a', 'f', 0,   0,
                                   0,   16,  't', 'f', 'd', 't', 0,   0,   0,   0,   0,   0,   1,
                                   244, 0,   0,   0,   10,  'm', 'd', 'a', 't', 7,   7,   0,   0,
                                   0,   36,  'm', 'o', 'o', 'f', 0,   0,   0,   28,  't', 'r', 'a',
                                   'f', 0,   0,   0,   20,  't', 'f', 'd', 't', 1,   0,   0,   0,
                                   0,   0,   0,   0,   0,   0,   3,   0xe8 };

static void fragments_in_any_pieces(void **state)
{
    (void)state;
    assert_int_equal(fragments_timescale(INIT, sizeof INIT), 1000);
    assert_int_equal(fragments_timescale(INIT, 30), 0);
    for (size_t piece = 1; piece <= sizeof SEGMENT; piece++) {
        struct fragments f;
        fragments_init(&f, 1000);
        for (size_t at = 0; at < sizeof SEGMENT; at += piece) {
            const size_t n = at + piece > sizeof SEGMENT ? sizeof SEGMENT - at : piece;
            fragments_feed(&f, SEGMENT + at, n);
            assert_int_equal(f.until, at + n < 40               ? -1
                                      : at + n < sizeof SEGMENT ? 500000
                                                                : 1000000);
        }
        assert_false(f.bad);
        fragments_finish(&f);
    }
}

static void fragments_that_are_none(void **state)
{
    static const uint8_t cases[][16] = {
        { 0, 0, 0, 0, 'm', 'd', 'a', 't' },
        { 0, 0, 0, 8, 'm', 'o', 'o', 'f' },
        { 0xff, 0, 0, 0, 'm', 'o', 'o', 'f' },
        { 0, 0, 0, 16, 'm', 'o', 'o', 'f' },
        { 0, 0, 0, 16, 'm', 'o', 'o', 'f', 0, 0, 0, 99, 't', 'r', 'a', 'f' },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct fragments f;
        fragments_init(&f, 90000);
        fragments_feed(&f, cases[i], 16);
        assert_true(f.bad);
        assert_int_equal(f.until, -1);
        fragments_finish(&f);
    }
}

static const struct player_settings PLAYER = { SECOND / 2, SECOND / 2, 10 * SECOND };

static void player_starts_stalls_and_ends(void **state)
{
    struct player p;
    (void)state;
    player_init(&p, &PLAYER, 0);
    player_advance(&p, 3 * SECOND); // nothing is known
    player_know(&p, 2, 6 * SECOND);
    player_buffer(&p, 0, 4 * SECOND, 4 * SECOND);
    assert_int_equal(p.state, PLAYER_STARTING); // without sound
    player_buffer(&p, 1, 400000, 4 * SECOND);
    assert_int_equal(p.state, PLAYER_STARTING); // with too little of it
    player_buffer(&p, 1, 2 * SECOND, 5 * SECOND);
    assert_int_equal(p.state, PLAYER_PLAYING);
    assert_int_equal(p.startup, 5 * SECOND);
    player_advance(&p, 8 * SECOND); // sound was there for two seconds of three
    assert_int_equal(p.state, PLAYER_STALLED);
    assert_int_equal(p.position, 2 * SECOND);
    assert_int_equal(p.stalled, 1 * SECOND);
    player_buffer(&p, 1, 6 * SECOND, 9 * SECOND);
    assert_int_equal(p.state, PLAYER_PLAYING);
    player_buffer(&p, 0, 6 * SECOND, 10 * SECOND);
    player_advance(&p, 20 * SECOND);
    assert_int_equal(p.state, PLAYER_ENDED);
    assert_int_equal(p.played, 6 * SECOND);
    assert_int_equal(p.stalled, 2 * SECOND);
    assert_int_equal(p.stalls, 1);
}

static void player_wants_and_seeks(void **state)
{
    struct player p;
    (void)state;
    player_init(&p, &PLAYER, 0);
    assert_false(player_wants(&p, 0));
    player_know(&p, 1, 60 * SECOND);
    assert_true(player_wants(&p, 0));
    assert_false(player_wants(&p, 1));
    player_buffer(&p, 0, 12 * SECOND, SECOND);
    assert_false(player_wants(&p, 0));
    player_advance(&p, 4 * SECOND);
    assert_true(player_wants(&p, 0));
    player_seek(&p, 59700000, 5 * SECOND);
    assert_int_equal(p.state, PLAYER_SEEKING);
    player_buffer(&p, 0, 60 * SECOND, 7 * SECOND); // less than it begins with is all there is
    assert_int_equal(p.state, PLAYER_PLAYING);
    assert_int_equal(p.seeking, 2 * SECOND);
    assert_false(player_wants(&p, 0));
    player_advance(&p, 9 * SECOND);
    assert_int_equal(p.state, PLAYER_ENDED);
    assert_int_equal(p.played, 4 * SECOND + 300000);
    assert_int_equal(p.stalled, 0);
}

static void cmcd(void **state)
{
    const struct cmcd c = { .session = "s-1",
                            .content = "a b.mp4",
                            .type = "v",
                            .bitrate = 3000,
                            .duration = 4000,
                            .buffer = 1249,
                            .deadline = 1250,
                            .measured = 5555,
                            .startup = true,
                            .next = "1.m4s" };
    char query[400], lines[CMCD_HEADER_COUNT][CMCD_HEADER_MAX];
    (void)state;
    assert_true(cmcd_query(&c, query, sizeof query));
    assert_string_equal(
        query,
        "CMCD=bl%3D1200%2Cbr%3D3000%2Ccid%3D%22a%20b.mp4%22%2Cd%3D4000%2Cdl%3D1300%2Cmtp%3D5600"
        "%2Cnor%3D%221.m4s%22%2Cot%3Dv%2Csf%3Dh%2Csid%3D%22s-1%22%2Cst%3Dv%2Csu");
    assert_false(cmcd_query(&c, query, 100));
    assert_true(cmcd_headers(&c, lines));
    assert_string_equal(lines[0], "CMCD-Object: br=3000,d=4000,ot=v");
    assert_string_equal(lines[1], "CMCD-Request: bl=1200,dl=1300,mtp=5600,nor=\"1.m4s\",su");
    assert_string_equal(lines[2], "CMCD-Session: cid=\"a b.mp4\",sf=h,sid=\"s-1\",st=v");
    assert_string_equal(lines[3], "");
}

static void quantiles(void **state)
{
    int64_t values[] = { 50, 10, 40, 20, 30 };
    struct sample s = { .values = values, .count = 5, .cap = 5 }, none = { 0 };
    (void)state;
    assert_int_equal(sample_quantile(&s, 0), 10);
    assert_int_equal(sample_quantile(&s, 0.5), 30);
    assert_int_equal(sample_quantile(&s, 0.8), 40);
    assert_int_equal(sample_quantile(&s, 0.81), 50);
    assert_int_equal(sample_quantile(&s, 1), 50);
    assert_int_equal(sample_quantile(&none, 0.5), -1);
}

static void wrong_usage(void **state)
{
    static const struct {
        const char *args[6];
        const char *why;
    } cases[] = {
        { { "http://a/" },
          "one of --trace and --videos has to be given (see tidemill-viewers -h)" },
        { { "-t", "a", "-v", "b" },
          "one of --trace and --videos has to be given (see tidemill-viewers -h)" },
        { { "-t", "a" }, "the server's URL is missing (see tidemill-viewers -h)" },
        { { "-t", "a", "ftp://a/" },
          "a URL begins with http:// or https://, other than ftp://a/ (see tidemill-viewers -h)" },
        { { "-t", "a", "http://a/", "b" },
          "only one URL can be given, so what is b (see tidemill-viewers -h)" },
        { { "-v", "a", "-r", "0" },
          "this cannot be the value of an option: 0 (see tidemill-viewers -h)" },
        { { "-v", "a", "-r" }, "a value is missing after -r (see tidemill-viewers -h)" },
        { { "-c", "loud" },
          "this cannot be the value of an option: loud (see tidemill-viewers -h)" },
        { { "--nothing" }, "wrong option --nothing (see tidemill-viewers -h)" },
        { { "-t", "a", "-w", "b" },
          "--write goes with --videos, without a URL (see tidemill-viewers -h)" },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        char *argv[8] = { (char *)"tidemill-viewers" }, why[300];
        int argc = 1;
        for (; cases[i].args[argc - 1]; argc++)
            argv[argc] = (char *)cases[i].args[argc - 1];
        struct viewers_options o;
        assert_int_equal(viewers_options_parse(&o, argc, argv, why, sizeof why), -1);
        assert_string_equal(why, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_are_read),
        cmocka_unit_test(bad_traces_are_refused),
        cmocka_unit_test(drawn_traces),
        cmocka_unit_test(masters),
        cmocka_unit_test(media_lists),
        cmocka_unit_test(fragments_in_any_pieces),
        cmocka_unit_test(fragments_that_are_none),
        cmocka_unit_test(player_starts_stalls_and_ends),
        cmocka_unit_test(player_wants_and_seeks),
        cmocka_unit_test(cmcd),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
