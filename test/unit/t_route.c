// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "server/route.h"

#define R "0123456789abcdef0123456789abcdef"

static const struct {
    const char *path;
    int kind;
    const char *asset, *rendition;
    int n;
} good[] = {
    { "/", ROUTE_ROOT, "", "", 0 },
    { "/-/player.js", ROUTE_STATIC, "", "player.js", 0 },
    { "/%2D/a_b-c.css", ROUTE_STATIC, "", "a_b-c.css", 0 },
    { "/cat.mp4/play", ROUTE_PLAY, "cat.mp4", "", 0 },
    { "/clips/2024/cat.mp4/play", ROUTE_PLAY, "clips/2024/cat.mp4", "", 0 },
    { "/cat.mp4/master.m3u8", ROUTE_MASTER, "cat.mp4", "", 0 },
    { "/a/cat.mp4/manifest.mpd", ROUTE_MANIFEST, "a/cat.mp4", "", 0 },
    { "/a/cat.mp4/storyboard.vtt", ROUTE_STORYBOARD, "a/cat.mp4", "", 0 },
    { "/a/cat.mp4/poster.jpg", ROUTE_POSTER, "a/cat.mp4", "", 0 },
    { "/a/b.c/d/master.m3u8", ROUTE_MASTER, "a/b.c/d", "", 0 },
    { "/my%20cat.mp4/master.m3u8", ROUTE_MASTER, "my cat.mp4", "", 0 },
    { "/a+b&c=d;t=1,2/master.m3u8", ROUTE_MASTER, "a+b&c=d;t=1,2", "", 0 },
    { "/%252e%252e/master.m3u8", ROUTE_MASTER, "%2e%2e", "", 0 },
    { "/%252f/master.m3u8", ROUTE_MASTER, "%2f", "", 0 },
    { "/%c3%a9t%C3%A9.mp4/master.m3u8", ROUTE_MASTER, "\xc3\xa9t\xc3\xa9.mp4", "", 0 },
    { "/\xe2\x82\xac/master.m3u8", ROUTE_MASTER, "\xe2\x82\xac", "", 0 },
    { "/%f0%9f%90%b1.mp4/play", ROUTE_PLAY, "\xf0\x9f\x90\xb1.mp4", "", 0 },
    { "/cat...mp4/play", ROUTE_PLAY, "cat...mp4", "", 0 },
    { "/play/play", ROUTE_PLAY, "play", "", 0 },
    { "/master.m3u8/master.m3u8", ROUTE_MASTER, "master.m3u8", "", 0 },
    { "/a/-/master.m3u8", ROUTE_MASTER, "a/-", "", 0 },
    { "/--/master.m3u8", ROUTE_MASTER, "--", "", 0 },
    { "/cat.mp4/" R "/720p/index.m3u8", ROUTE_PLAYLIST, "cat.mp4", "720p", 0 },
    { "/cat.mp4/" R "/720p/init.mp4", ROUTE_INIT, "cat.mp4", "720p", 0 },
    { "/cat.mp4/" R "/720p/key", ROUTE_KEY, "cat.mp4", "720p", 0 },
    { "/a/cat.mp4/license", ROUTE_LICENSE, "a/cat.mp4", "", 0 },
    { "/cat.mp4/" R "/720p.mp4", ROUTE_PROGRESSIVE, "cat.mp4", "720p", 0 },
    { "/a/b/" R "/audio-0.mp4", ROUTE_PROGRESSIVE, "a/b", "audio-0", 0 },
    { "/cat.mp4/" R "/720p/0.m4s", ROUTE_SEGMENT, "cat.mp4", "720p", 0 },
    { "/cat.mp4/" R "/storyboard/12.jpg", ROUTE_SEGMENT, "cat.mp4", "storyboard", 12 },
    { "/cat.mp4/" R "/audio-0/17.m4s", ROUTE_SEGMENT, "cat.mp4", "audio-0", 17 },
    { "/a/b/c/" R "/subs-en/7.vtt", ROUTE_SEGMENT, "a/b/c", "subs-en", 7 },
    { "/a/b/c/" R "/subs-en/999999.m4s", ROUTE_SEGMENT, "a/b/c", "subs-en", 999999 },
    { "/cat.mp4/" R "/%37%32%30p/%30%2em4s", ROUTE_SEGMENT, "cat.mp4", "720p", 0 },
    { "/" R "/" R "/a/1.m4s", ROUTE_SEGMENT, R, "a", 1 },
    { "/c/" R "/abcdefghijklmnopqrstuvw/1.m4s", ROUTE_SEGMENT, "c", "abcdefghijklmnopqrstuvw", 1 },
};

static void parses(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(good); i++) {
        struct route r;
        const int err = route_parse(&r, good[i].path);
        if (err != 0)
            fail_msg("%s: %s", good[i].path, err_name(err));
        assert_int_equal(r.kind, good[i].kind);
        assert_string_equal(r.asset, good[i].asset);
        assert_string_equal(r.rendition, good[i].rendition);
        assert_int_equal(r.n, good[i].n);
        char hex[KEY_HEX];
        if (route_is_immutable(&r))
            assert_string_equal(key_hex(&r.recipe, hex), R);
    }
}

static void formats(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int kind;
        enum route_format format;
    } rows[] = {
        { "/a/master.m3u8", ROUTE_MASTER, FORMAT_M4S },
        { "/a/master-ts.m3u8", ROUTE_MASTER, FORMAT_TS },
        { "/a/" R "/720p/7.m4s", ROUTE_SEGMENT, FORMAT_M4S },
        { "/a/" R "/720p/7.ts", ROUTE_SEGMENT, FORMAT_TS },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct route r;
        assert_int_equal(route_parse(&r, rows[i].path), 0);
        assert_int_equal(r.kind, rows[i].kind);
        assert_int_equal(r.format, rows[i].format);
    }
}

static void seconds_of_posters(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int second; // -E_BAD_REQUEST: none
    } cases[] = {
        { "", ROUTE_ANY_SECOND },
        { "t=0", 0 },
        { "t=7", 7 },
        { "t=007", 7 },
        { "t=7.", 7 },
        { "t=7.4999", 7 },
        { "t=7.5", 8 },
        { "t=999999", 999999 },
        { "t=999999.9", 999999 },
        { "t=123456789012345678901234567890", 999999 },
        { "a=b&t=7", 7 },
        { "a&t=7&b", 7 },
        { "&&t=7", 7 },
        { "t=7&t=8", 7 },
        { "tt=7", ROUTE_ANY_SECOND },
        { "T=7", ROUTE_ANY_SECOND },
        { "a=t=7", ROUTE_ANY_SECOND },
        { "t", ROUTE_ANY_SECOND },
        { "t=", -E_BAD_REQUEST },
        { "t=&t=7", -E_BAD_REQUEST },
        { "t=-7", -E_BAD_REQUEST },
        { "t=+7", -E_BAD_REQUEST },
        { "t=.7", -E_BAD_REQUEST },
        { "t=7.x", -E_BAD_REQUEST },
        { "t=7.1.2", -E_BAD_REQUEST },
        { "t=7s", -E_BAD_REQUEST },
        { "t=%37", -E_BAD_REQUEST },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct route r;
        assert_int_equal(route_parse(&r, "/a/poster.jpg"), 0);
        const int err = route_query(&r, cases[i].query);
        if ((err < 0 ? err : r.n) != cases[i].second)
            fail_msg("%s", cases[i].query);
        assert_int_equal(route_parse(&r, "/a/" R "/720p/5.m4s"), 0);
        assert_int_equal(route_query(&r, cases[i].query), 0);
        assert_int_equal(r.n, 5); // no other URL has a query
    }
}

static const char *const malformed[] = {
    "",
    "*",
    "cat.mp4/play",
    "http:",
    " /a",
    "//",
    "//a/play",
    "/a//play",
    "/a///play",
    "/./play",
    "/../play",
    "/a/../play",
    "/a/./play",
    "/a/..",
    "/a/.",
    "/..",
    "/.",
    "/%2e%2e/play",
    "/%2E%2e/play",
    "/.%2e/play",
    "/%2e/play",
    "/a/%2e%2e",
    "/../../etc/passwd",
    "/a%2fb/play",
    "/a%2Fb/play",
    "/%2f/play",
    "/a%5cb/play",
    "/a%5Cb/play",
    "/a\\b/play",
    "/..\\..\\x/play",
    "/%00/play",
    "/a%00/play",
    "/a/play%00",
    "/%01/play",
    "/%1f/play",
    "/%0a/play",
    "/%0d%0aX:1/play",
    "/%7f/play",
    "/a\x01/play",
    "/a\n/play",
    "/a\x7f/play",
    "/a\t/play",
    "/%",
    "/%2",
    "/%g0/play",
    "/%0g/play",
    "/%%/play",
    "/a%/play",
    "/a%2/play",
    "/%u0041/play",
    "/% 41/play",
    "/%+1/play",
    "/%-1/play",
    "/%0x/play",
    // UTF-8: stray and missing continuations, overlong forms, surrogates, too large
    "/%80/play",
    "/%bf/play",
    "/%c3/play",
    "/%c3%28/play",
    "/%e2%82/play",
    "/%e2%28%a1/play",
    "/%c0%ae%c0%ae/play",
    "/%c0%af/play",
    "/%c1%bf/play",
    "/%e0%80%af/play",
    "/%e0%9f%bf/play",
    "/%f0%80%80%af/play",
    "/%f0%8f%bf%bf/play",
    "/%ed%a0%80/play",
    "/%ed%bf%bf/play",
    "/%f4%90%80%80/play",
    "/%f5%80%80%80/play",
    "/%ff/play",
    "/%fe/play",
    "/\xff/play",
    "/\xc3/play",
    "/a\xe2\x82/play",
    "/%f0%9f%90/play",
    // malformed although the rest names nothing
    "/x/y//",
    "/a/%2e%2e/",
    "/.git/%00",
};

static const char *const unknown[] = {
    "/a",
    "/a/",
    "/a/b",
    "/play",
    "/master.m3u8",
    "/index.m3u8",
    "/init.mp4",
    "/a/key",
    "/a/720p/key",
    "/cat.mp4/720p.mp4",
    "/" R "/720p.mp4",
    "/cat.mp4/" R "/.mp4",
    "/cat.mp4/" R "/72_0p.mp4",
    "/0.m4s",
    "/favicon.ico",
    "/a/play/",
    "/a/PLAY",
    "/a/Play",
    "/a/master.m3u",
    "/a/master.m3u8x",
    "/a/master.m3u8/",
    "/-",
    "/-/",
    "/-/a/b",
    "/-/play/x",
    "/-/a/play",
    "/-/sp%20ace.js",
    "/-/%c3%a9.js",
    "/-/a-name-that-is-longer-than-it-may-be.js",
    "/-/.hidden",
    "/-/master.m3u8/master.m3u8",
    "/.git/config",
    "/.env/play",
    "/a/.b/play",
    "/a/.b/c/master.m3u8",
    "/%2egit/play",
    "/.../play",
    "/.well-known/x",
    "/a/.play",
    // below a recipe
    "/" R "/720p/0.m4s",
    "/720p/0.m4s",
    "/a/0.m4s",
    "/a/index.m3u8",
    "/a/" R "/index.m3u8",
    "/a/" R "/720p",
    "/a/" R "/720p/",
    "/a/" R "/720p/x.m4s",
    "/a/" R "/720p/0.mts",
    "/a/" R "/720p/00.ts",
    "/a/" R "/720p/.ts",
    "/a/" R "/720p/0.TS",
    "/a/" R "/720p/-1.m4s",
    "/a/" R "/720p/+1.m4s",
    "/a/" R "/720p/00.m4s",
    "/a/" R "/720p/01.m4s",
    "/a/" R "/720p/1000000.m4s",
    "/a/" R "/720p/99999999999999999999.m4s",
    "/a/" R "/720p/.m4s",
    "/a/" R "/720p/1.m4sx",
    "/a/" R "/720p/1.M4S",
    "/a/" R "/720p/1e3.m4s",
    "/a/" R "/720p/0x1.m4s",
    "/a/" R "/720p/%201.m4s",
    "/a/" R "/720p/4294967296.m4s",
    "/a/" R "/720p/1.m4s.m4s",
    "/a/" R "/72_0p/0.m4s",
    "/a/" R "/72.0p/0.m4s",
    "/a/" R "/720%20p/0.m4s",
    "/a/" R "/%c3%a9/0.m4s",
    "/a/" R "/abcdefghijklmnopqrstuvwx/0.m4s",
    "/a/0123456789ABCDEF0123456789ABCDEF/720p/0.m4s",
    "/a/" R "0/720p/0.m4s",
    "/a/0123456789abcdef0123456789abcde/720p/0.m4s",
    "/a/g123456789abcdef0123456789abcdef/720p/0.m4s",
};

static void refuse(const char *const *paths, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        struct route r;
        const int err = route_parse(&r, paths[i]);
        if (err != -code)
            fail_msg("%s: %s, not %s", paths[i], err_name(err), err_name(code));
    }
}

static void refuses(void **state)
{
    (void)state;
    refuse(malformed, countof(malformed), E_BAD_REQUEST);
    refuse(unknown, countof(unknown), E_NOT_FOUND);
}

static void long_paths(void **state)
{
    (void)state;
    static const char end[] = "/play";
    for (int len = 2040; len <= 2060; len++) {
        char path[2100] = "/";
        memset(path + 1, 'a', (size_t)len - 1);
        strcpy(path + len - (int)strlen(end), end);
        struct route r;
        assert_int_equal(route_parse(&r, path), len <= 2048 ? 0 : -E_BAD_REQUEST);
        if (len <= 2048)
            assert_int_equal(strlen(r.asset), len - 1 - (int)strlen(end));
    }
}

// Every byte, raw and encoded, in the place of one letter.
static void every_byte(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++)
        for (int encoded = 0; encoded < 2; encoded++) {
            char path[32];
            snprintf(path, sizeof path, encoded ? "/a%%%02xb/play" : "/a%cb/play", c);
            struct route r;
            const int err = route_parse(&r, path);
            const bool fine = c >= 0x20 && c < 0x7f && c != '\\' && !(encoded && c == '/') &&
                              !(!encoded && c == '%');
            assert_int_equal(err, fine ? 0 : -E_BAD_REQUEST);
        }
}

static void kinds(void **state)
{
    (void)state;
    static const struct {
        const char *path, *type;
        bool text, immutable;
    } rows[] = {
        { "/", "text/html; charset=utf-8", true, false },
        { "/a/play", "text/html; charset=utf-8", true, false },
        { "/-/x.js", "text/javascript; charset=utf-8", true, false },
        { "/-/x.css", "text/css; charset=utf-8", true, false },
        { "/-/x.svg", "image/svg+xml", true, false },
        { "/-/x.png", "image/png", false, false },
        { "/-/x", "application/octet-stream", false, false },
        { "/a/master.m3u8", "application/vnd.apple.mpegurl", true, false },
        { "/a/manifest.mpd", "application/dash+xml", true, false },
        { "/a/" R "/720p/index.m3u8", "application/vnd.apple.mpegurl", true, true },
        { "/a/" R "/720p/init.mp4", "video/mp4", false, true },
        { "/a/" R "/720p/key", "application/octet-stream", false, false },
        { "/a/license", "application/json", false, false },
        { "/a/" R "/720p/5.m4s", "video/mp4", false, true },
        { "/a/" R "/subs-en/5.vtt", "text/vtt; charset=utf-8", false, true },
        { "/a/" R "/audio-1/init.mp4", "audio/mp4", false, true },
        { "/a/" R "/720p.mp4", "video/mp4", false, true },
        { "/a/" R "/audio-1.mp4", "audio/mp4", false, true },
        { "/a/" R "/audio-1/5.m4s", "audio/mp4", false, true },
        { "/a/" R "/720p/5.ts", "video/mp2t", false, true },
        { "/a/" R "/audio-1/5.ts", "video/mp2t", false, true },
        { "/a/master-ts.m3u8", "application/vnd.apple.mpegurl", true, false },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct route r;
        assert_int_equal(route_parse(&r, rows[i].path), 0);
        assert_string_equal(route_content_type(&r), rows[i].type);
        assert_int_equal(route_is_text(&r), rows[i].text);
        assert_int_equal(route_is_immutable(&r), rows[i].immutable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),     cmocka_unit_test(seconds_of_posters),
        cmocka_unit_test(formats),    cmocka_unit_test(refuses),
        cmocka_unit_test(long_paths), cmocka_unit_test(every_byte),
        cmocka_unit_test(kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
