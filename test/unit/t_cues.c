// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/bytes.h"
#include "codec/cues.h"

#define HEADER "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n"
#define TIMES "00:00:01.000 --> 00:00:02.500"
#define BYTES(s) s, sizeof(s) - 1

// Of a sample that is shown from 1 s to 2.5 s: what stands below the header, NULL for nothing.
static const struct {
    const char *what;
    enum text_format format;
    const char *bytes;
    size_t n;
    const char *cue;
} samples[] = {
    { "plain", TEXT_SUBRIP, BYTES("Hello"), TIMES "\nHello\n\n" },
    { "escaped", TEXT_SUBRIP, BYTES("1 < 2 & 3 > 2 -->"),
      TIMES "\n1 &lt; 2 &amp; 3 &gt; 2 --&gt;\n\n" },
    { "lines", TEXT_SUBRIP, BYTES("\r\n\na\r\n\r\n \nb\rc\n\n"), TIMES "\na\nb\nc\n\n" },
    { "styles", TEXT_SUBRIP, BYTES("<i>a <B>b</B></i> <u>c</u>"),
      TIMES "\n<i>a </i><b><i>b</i></b> <u>c</u>\n\n" },
    { "never closed", TEXT_SUBRIP, BYTES("<b>a"), TIMES "\n<b>a</b>\n\n" },
    { "closed too often", TEXT_SUBRIP, BYTES("</b>a</i>"), TIMES "\na\n\n" },
    { "font", TEXT_SUBRIP, BYTES("<font color=\"#ff0000\">a</font><br/>b<s>c</s>"),
      TIMES "\na\nbc\n\n" },
    { "no tags", TEXT_SUBRIP, BYTES("<3 <x> <> < b> <b"),
      TIMES "\n&lt;3 &lt;x&gt; &lt;&gt; &lt; b&gt; &lt;b\n\n" },
    { "script", TEXT_SUBRIP, BYTES("<script>a</script>"),
      TIMES "\n&lt;script&gt;a&lt;/script&gt;\n\n" },
    { "at the top", TEXT_SUBRIP, BYTES("{\\an8}a"), TIMES " line:0\na\n\n" },
    { "overrides", TEXT_SUBRIP, BYTES("{\\i1}a{\\i0\\b1\\bord2}b{\\r}c {d}"),
      TIMES "\n<i>a</i><b>b</b>c {d}\n\n" },
    { "not UTF-8", TEXT_SUBRIP, BYTES("a\xff\xc3(\xe2\x82"),
      TIMES "\na\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\n\n" },
    { "control bytes", TEXT_SUBRIP, BYTES("a\0\x1b\x7f\tb"), TIMES "\na\tb\n\n" },
    { "nothing to see", TEXT_SUBRIP, BYTES(" <b> \n</b>"), NULL },
    { "nothing", TEXT_SUBRIP, BYTES(""), NULL },
    { "ASS", TEXT_ASS, BYTES("0,0,Default,,0,0,0,,Hello, {\\i1}you{\\i0}\\N& \\hme"),
      TIMES "\nHello, <i>you</i>\n&amp; \xc2\xa0me\n\n" },
    { "ASS at the top", TEXT_ASS, BYTES("0,0,D,,0,0,0,,{\\fs20\\an8}a"), TIMES "\na\n\n" },
    { "ASS, place alone", TEXT_ASS, BYTES("0,0,D,,0,0,0,,{\\an9}a"), TIMES " line:0\na\n\n" },
    { "ASS soft end", TEXT_ASS, BYTES("0,0,D,,0,0,0,,a\\nb\\x"), TIMES "\na b\\x\n\n" },
    { "ASS drawing", TEXT_ASS, BYTES("0,0,D,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}a"), TIMES "\na\n\n" },
    { "ASS drawing alone", TEXT_ASS, BYTES("0,0,D,,0,0,0,,{\\p4}m 0 0 \\N"), NULL },
    { "ASS cut", TEXT_ASS, BYTES("0,0,D,,0"), NULL },
    { "ASS brace", TEXT_ASS, BYTES("0,0,D,,0,0,0,,a{b"), TIMES "\na{b\n\n" },
    { "WebVTT", TEXT_WEBVTT, BYTES("<v Bob>a &amp; <c.x>b</c>\nd"),
      TIMES "\n<v Bob>a &amp; <c.x>b</c>\nd\n\n" },
    { "WebVTT, another cue in it", TEXT_WEBVTT, BYTES("a\n\n00:01.000 --> 00:02.000\nb"),
      TIMES "\na\n00:01.000 --&gt; 00:02.000\nb\n\n" },
    { "an arrow once a byte is gone", TEXT_WEBVTT, BYTES("-\x14->"), TIMES "\n--&gt;\n\n" },
    { "WebM", TEXT_WEBM, BYTES("name\nline:0 align:start\na\nb"),
      TIMES " line:0 align:start\na\nb\n\n" },
    { "WebM without", TEXT_WEBM, BYTES("\n\na"), TIMES "\na\n\n" },
    { "WebM of one line", TEXT_WEBM, BYTES("a"), NULL },
    { "bad settings", TEXT_WEBM, BYTES("\nline:\" size:50% foo:1  region:x align:\n a"),
      TIMES " size:50%\na\n\n" },
    { "boxes", TEXT_WVTT,
      BYTES("\0\0\0\x22vttc\0\0\0\x0esttgline:0\0\0\0\x0cpayl<b>a\0\0\0\x08vttc\0\0\0\x08vtte"
            "\0\0\0\x11vttc\0\0\0\x09paylb"),
      TIMES " line:0\n<b>a\n\n" TIMES "\nb\n\n" },
    { "boxes cut", TEXT_WVTT, BYTES("\0\0\0\x22vttc\0\0\0\x0esttgline:0"), NULL },
    { "mov_text", TEXT_TX3G, BYTES("\0\4a&\nbjunk"), TIMES "\na&amp;\nb\n\n" },
    { "mov_text styled", TEXT_TX3G,
      BYTES("\0\7\xc3\xa4 "
            "bold\0\0\0\x22styl\0\2\0\2\0\4\0\1\1\x12\0\0\0\0\0\3\0\6\0\1\2\x12\0\0\0\0"),
      TIMES "\n\xc3\xa4 <b>b</b><b><i>o</i></b><i>ld</i>\n\n" },
    { "mov_text, styles cut", TEXT_TX3G, BYTES("\0\1a\0\0\0\x16styl\0\2\0\2\0\4\0\1\1\x12\0\0\0\0"),
      TIMES "\na\n\n" },
    { "mov_text of UTF-16", TEXT_TX3G, BYTES("\0\x0a\xfe\xff\0a\xd8\x3d\xde\0\xdc\0"),
      TIMES "\na\xf0\x9f\x98\x80\xef\xbf\xbd\n\n" },
    { "mov_text longer than it is", TEXT_TX3G,
      BYTES("\0\x09"
            "a"),
      NULL },
};

static void check(struct cues *c, const char *what, const char *cue)
{
    char *want = xasprintf(HEADER "%s", cue ? cue : "");
    if (c->out.len != strlen(want) || memcmp(c->out.data, want, c->out.len) != 0)
        fail_msg("%s: %.*s", what, (int)c->out.len, (const char *)c->out.data);
    assert_true(cues_check(c->out.data, c->out.len));
    assert_int_equal(c->left_out, 0);
    free(want);
    cues_finish(c);
}

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(samples); i++) {
        struct cues c;
        cues_init(&c, 10000);
        uint8_t *own = memcpy(xmalloc(samples[i].n + 1), samples[i].bytes, samples[i].n);
        cues_add(&c, samples[i].format, own, samples[i].n, 1000, 2500);
        free(own);
        check(&c, samples[i].what, samples[i].cue);
    }
}

static void test_times(void **state)
{
    (void)state;
    struct cues c;
    cues_init(&c, 10000);
    cues_add(&c, TEXT_SUBRIP, "a", 1, -500, 2);
    cues_add(&c, TEXT_SUBRIP, "b", 1, 3599999, 360000000);
    check(&c, "times", "00:00:00.000 --> 00:00:00.002\na\n\n00:59:59.999 --> 100:00:00.000\nb\n\n");
}

// What does not fit is left out whole, and counted.
static void test_room(void **state)
{
    (void)state;
    struct cues c;
    cues_init(&c, sizeof HEADER - 1 + 2 * sizeof "00:00:01.000 --> 00:00:02.000\na\n");
    for (int i = 0; i < 5; i++)
        cues_add(&c, TEXT_SUBRIP, i == 1 ? "aaa" : "a", i == 1 ? 3 : 1, 1000, 2000);
    assert_true(c.count == 2 && c.left_out == 3);
    assert_true(cues_check(c.out.data, c.out.len));
    cues_finish(&c);

    cues_init(&c, 100000);
    char *large = xmalloc(CUES_SAMPLE_MAX + 1);
    memset(large, '<', CUES_SAMPLE_MAX + 1);
    cues_add(&c, TEXT_SUBRIP, large, CUES_SAMPLE_MAX + 1, 0, 1); // no subtitle is as large
    assert_true(c.count == 0 && c.left_out == 0);
    cues_add(&c, TEXT_SUBRIP, large, CUES_SAMPLE_MAX, 0, 1);
    assert_true(c.count == 0 && c.left_out == 1);
    free(large);
    cues_finish(&c);
}

// Cues that are shown in [4 s, 8 s).
static const struct {
    const char *what;
    enum text_format format;
    const char *bytes, *cues;
} files[] = {
    { "SubRip", TEXT_SUBRIP,
      "\xef\xbb\xbf"
      "1\r\n00:00:01,000 --> 00:00:04,000\r\nbefore\r\n\r\n"
      "2\r\n00:00:03,500 --> 00:00:04,001\r\n<i>border</i>\r\nline\r\n\r\n\r\n"
      "3\r\n00:00:07,999 --> 01:00:09,5\r\nother\r\n\r\n"
      "4\r\n00:00:08,000 --> 00:00:09,000\r\nafter",
      "00:00:03.500 --> 00:00:04.001\n<i>border</i>\nline\n\n"
      "00:00:07.999 --> 01:00:09.500\nother\n\n" },
    { "SubRip, sloppy", TEXT_SUBRIP,
      "\n\n00:05.000-->0:0:6  X1:10 Y1:20\na\n\nnonsense\n\n7\n00:00:05,000 -> 00:00:06,000\nb\n\n"
      "8\n00:00:06,000 --> 00:00:05,000\nc\n\n9\n00:00:6,1234 --> 00:00:07,000\n{\\an8}d\n\n10\n",
      "00:00:05.000 --> 00:00:06.000\na\n\n00:00:06.123 --> 00:00:07.000 line:0\nd\n\n" },
    { "SubRip, old line ends", TEXT_SUBRIP, "1\r00:00:05,000 --> 00:00:06,000\ra\rb\r\r2\r",
      "00:00:05.000 --> 00:00:06.000\na\nb\n\n" },
    { "times that are none", TEXT_SUBRIP,
      "00:61:05,000 --> 00:00:06,000\na\n\n00:00:05,000 -->\nb\n\n:5 --> 6\nc\n\n"
      "999999:00:00,000 --> 9999999:00:00,000\nd\n\n00:00:05,000 --> 00:00:60,000\ne\n",
      "" },
    { "WebVTT", TEXT_WEBVTT,
      "WEBVTT - with a title\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n"
      "STYLE\n::cue { color: red }\n\nNOTE\n00:05.000 -- no\n\nREGION\nid:a\n\n"
      "intro\n00:05.000 --> 00:00:06.000 align:start region:a line:10%\n<c.loud>a</c> &amp; b\n- "
      "c\n\n"
      "00:00:09.000 --> 00:00:10.000\nlate\n",
      "00:00:05.000 --> 00:00:06.000 align:start line:10%\n<c.loud>a</c> &amp; b\n- c\n\n" },
    { "empty", TEXT_WEBVTT, "", "" },
    { "blank", TEXT_WEBVTT, "\n\r\n\r", "" },
};

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(files); i++) {
        const size_t n = strlen(files[i].bytes);
        uint8_t *own = memcpy(xmalloc(n + 1), files[i].bytes, n);
        struct cues c;
        cues_init(&c, 10000);
        cues_add_file(&c, files[i].format, own, n, 4000, 8000, 0);
        free(own);
        check(&c, files[i].what, files[i].cues);
    }
}

// Of a clip: what the file says is earlier in it, and what is before its beginning is cut off.
static void test_shifted_file(void **state)
{
    (void)state;
    static const char file[] = "WEBVTT\n\n00:01.000 --> 00:03.000\ngone\n\n"
                               "00:02.000 --> 00:03.500\nbegun\n\n00:05.000 --> 00:09.000\nlong\n\n"
                               "00:07.000 --> 00:08.000\nnot yet\n";
    struct cues c;
    cues_init(&c, 10000);
    cues_add_file(&c, TEXT_WEBVTT, file, sizeof file - 1, 0, 4000, 3000);
    check(&c, "shifted",
          "00:00:00.000 --> 00:00:00.500\nbegun\n\n00:00:02.000 --> 00:00:06.000\nlong\n\n");
}

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        bool good;
    } cases[] = {
        { BYTES(HEADER), true },        { BYTES(HEADER "a\n"), true },
        { BYTES(HEADER "a"), false },   { BYTES(HEADER "a\0\n"), false },
        { BYTES("WEBVTT\n\n"), false }, { BYTES(""), false },
    };
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(cues_check((const uint8_t *)cases[i].bytes, cases[i].n), cases[i].good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),      cmocka_unit_test(test_times),
        cmocka_unit_test(test_room),         cmocka_unit_test(test_files),
        cmocka_unit_test(test_shifted_file), cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
