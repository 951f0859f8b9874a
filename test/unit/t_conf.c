// SPDX-License-Identifier: BSD-2-Clause

#include "config/conf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "config/memory.h"

#define ORIGIN "\"origins\": [{\"prefix\": \"/\", \"base\": \"/\"}]"

static char *home[] = { (char *)"HOME=/home/u", NULL };

// The tests run in a folder of their own, so that file names in messages are short.
static void write_file(const char *name, const char *text)
{
    FILE *const f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int load_text(struct conf **c, const char *text, char *why, size_t cap)
{
    write_file("c.json", text);
    const struct conf_flags flags = { .file = "c.json" };
    return conf_load(c, &flags, home, why, cap);
}

#define RAMP                                                                                       \
    "nothing or up to four times such as \"1s,2s\", of at least 1s, none shorter than the one "    \
    "before it"

static const struct {
    const char *text;
    const char *why; // after "c.json:"
} bad_files[] = {
    // not a configuration at all
    { "", "1:1: not JSON: '[' or '{' expected near end of file" },
    { "{\n  \"ui\": tru\n}", "2:11: not JSON: invalid token near 'tru'" },
    { "[]", "1:1: wants an object, not a list" },
    { "{} x", "1:4: not JSON: end of file expected near 'x'" },
    // keys
    { "{\"listn\": 1}", "1:2: listn: unknown key; did you mean listen?" },
    { "{\n \"cache\": {\n  \"memroy\": 1}}",
      "3:3: cache.memroy: unknown key; did you mean cache.memory?" },
    { "{\"redis\": {\"memory\": 1}}", "1:12: redis.memory: unknown key; did you mean memory?" },
    { "{\"memory\": \"1MiB\"}", "1:2: memory: out of range; it goes from 16MiB to 1024TiB" },
    { "{\"http\": {\"listen\": 1}}", "1:11: http.listen: unknown key; did you mean listen?" },
    { "{\"orgins\": \"/\"}", "1:2: orgins: unknown key; did you mean origins?" },
    { "{\"zebra\": 1}", "1:2: zebra: unknown key; tidemill --help-config lists them all" },
    { "{\"cache.memory\": 1}", "1:2: cache.memory: unknown key; write objects inside objects" },
    { "{\"cache\": {\"disk\": \"1GiB\", \"memory\": \"0\",\n\"disk\": \"2GiB\"}}",
      "2:1: cache.disk: given twice; keep one" },
    { "{\"ui\": true, \"ui\": true}", "1:14: ui: given twice; keep one" },
    // types
    { "{\"ui\": 1}", "1:2: ui: wants true or false, not a number" },
    { "{\"ui\": \"true\"}", "1:2: ui: wants true or false, not a string" },
    { "{\"listen\": null}", "1:2: listen: wants a string, not null" },
    { "{\"cache\": \"1GiB\"}", "1:2: cache: wants an object, not a string" },
    { "{\"cache\": {\"memory\": 1024}}",
      "1:12: cache.memory: wants a size such as \"64MiB\", not a number" },
    { "{\"media\": {\"segment\": 4}}",
      "1:12: media.segment: wants a time such as \"30s\", not a number" },
    { "{\"http\": {\"threads\": \"4\"}}",
      "1:11: http.threads: wants a whole number, not a string" },
    { "{\"http\": {\"threads\": 4.0}}",
      "1:11: http.threads: wants a whole number, not a fraction" },
    // units and ranges
    { "{\"cache\": {\"memory\": \"64MB\"}}", "1:12: cache.memory: \"64MB\" is not a size; write a "
                                             "whole number and B, KiB, MiB, GiB or TiB, "
                                             "such as \"64MiB\"" },
    { "{\"media\": {\"segment\": \"4\"}}", "1:12: media.segment: \"4\" is not a time; write a "
                                           "whole number and ms, s, m, h or d, such as "
                                           "\"30s\"" },
    { "{\"media\": {\"segment\": \"30s\"}}",
      "1:12: media.segment: out of range; it goes from 1s to 20s" },
    { "{\"cache\": {\"object\": \"1B\"}}",
      "1:12: cache.object: out of range; it goes from 64KiB to 1GiB" },
    { "{\"cache\": {\"disk\": \"99999999999999999999TiB\"}}",
      "1:12: cache.disk: out of range; it goes from 0 to 1024TiB" },
    { "{\"http\": {\"threads\": -1}}", "1:11: http.threads: out of range; it goes from 0 to 64" },
    { "{\"http\": {\"threads\": 4294967297}}",
      "1:11: http.threads: out of range; it goes from 0 to 64" },
    // strings
    { "{\"listen\": \"\"}", "1:2: listen: too short; it has 1 to 200 bytes" },
    { "{\"redis\": {\"prefix\": "
      "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}}",
      "1:12: redis.prefix: too long; it has 0 to 64 bytes" },
    { "{\"listen\": \"8080\"}",
      "1:2: listen: \"8080\" is wrong; write ADDR:PORT, [ADDR6]:PORT or unix:PATH" },
    { "{\"admin\": \"::1:80\"}",
      "1:2: admin: \"::1:80\" is wrong; write ADDR:PORT, [ADDR6]:PORT, unix:PATH or nothing" },
    { "{\"log\": {\"level\": \"loud\"}}",
      "1:10: log.level: \"loud\" is wrong; write error, warn, info or debug" },
    { "{\"redis\": {\"url\": \"localhost:6379\"}}",
      "1:12: redis.url: \"localhost:6379\" is wrong; write redis://HOST:PORT/DB or nothing" },
    { "{\"pressure\": {\"preset\": \"fastest\"}}",
      "1:15: pressure.preset: \"fastest\" is wrong; write jit, ultrafast, superfast, veryfast, "
      "faster, fast, medium, slow, slower, veryslow or nothing" },
    { "{\"media\": {\"preset\": \"placebo\"}}", "1:12: media.preset: \"placebo\" is wrong; write "
                                                "jit, ultrafast, superfast, veryfast, faster, "
                                                "fast, medium, slow, slower or veryslow" },
    { "{\"media\": {\"ramp\": \"1s,900ms\"}}",
      "1:12: media.ramp: \"1s,900ms\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": \"900ms\"}}", "1:12: media.ramp: \"900ms\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": \"2s,1s\"}}", "1:12: media.ramp: \"2s,1s\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": \"1s,\"}}", "1:12: media.ramp: \"1s,\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": \",\"}}", "1:12: media.ramp: \",\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": \"1s, 2s\"}}", "1:12: media.ramp: \"1s, 2s\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": \"1s,1s,1s,1s,1s\"}}",
      "1:12: media.ramp: \"1s,1s,1s,1s,1s\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": \"00000000000000000000000000000001s\"}}",
      "1:12: media.ramp: \"00000000000000000000000000000001s\" is wrong; write " RAMP },
    { "{\"media\": {\"ramp\": [\"1s\"]}}", "1:12: media.ramp: wants a string, not a list" },
    { "{\"redis\": {\"key\": \"hunter2\"}}",
      "1:12: redis.key: too short; it has 16 to 1024 bytes" },
    { "{\"encryption\": {\"method\": \"aes128\"}}",
      "1:17: encryption.method: \"aes128\" is wrong; write none, aes-128 or cbcs" },
    { "{\"encryption\": {\"key_url\": \"https://k/?a=1&b=2\"}}",
      "1:17: encryption.key_url: \"https://k/?a=1&b=2\" is wrong; write an http:// or https:// URL "
      "without quotes, blanks and &, or nothing" },
    { "{\"encryption\": {\"key_server\": \"keys.example/{asset}\"}}",
      "1:17: encryption.key_server: \"keys.example/{asset}\" is wrong; write an http:// or "
      "https:// "
      "URL without quotes and blanks, or nothing" },
    { "{\"encryption\": {\"key_server_token\": \"two words\"}}",
      "1:17: encryption.key_server_token: \"***\" is wrong; write ASCII without blanks" },
    // the ladder
    { "{\"ladder\": {}}", "1:2: ladder: wants a list, not an object" },
    { "{\"ladder\": []}", "1:2: ladder: has 0 elements; it goes from 1 to 16" },
    { "{\"ladder\": [\n720]}", "2:1: ladder[0]: wants an object, not a number" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000}]}",
      "1:13: ladder[0]: \"crf\" is missing; it wants a whole number" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 23, \"hdr\": true}]}",
      "1:13: ladder[0]: hdr is true or false; true only with the codec \"hevc\" or \"av1\"" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 23, \"codec\": "
      "\"vp9\"}]}",
      "1:13: ladder[0]: codec is \"h264\", \"hevc\", \"av1\" or \"opus\"" },
    { "{\"ladder\": [{\"codec\": \"opus\", \"bitrate\": 96000}]}",
      "1:2: ladder: has no rung of video; it needs one" },
    { "{\"ladder\": [{\"codec\": \"opus\"}]}",
      "1:13: ladder[0]: \"bitrate\" is missing; it wants a whole number" },
    { "{\"ladder\": [{\"codec\": \"opus\", \"bitrate\": 47999}]}",
      "1:31: ladder[0].bitrate: out of range; it goes from 48000 to 256000" },
    { "{\"ladder\": [{\"codec\": \"opus\", \"crf\": 23}]}",
      "1:31: ladder[0].crf: unknown key; a rung of Opus has codec and bitrate" },
    { "{\"ladder\": [{\"codec\": \"opus\", \"bitrate\": 96000}, {\"codec\": \"opus\", "
      "\"bitrate\": 96000}]}",
      "1:50: ladder[1]: a second rung of Opus; keep one" },
    { "{\"ladder\": [{\"short_side\": 720, \"max_rate\": 2800000}]}",
      "1:33: ladder[0].max_rate: unknown key; a rung has short_side, maxrate, crf and perhaps "
      "codec, hdr and encoder" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 23, \"encoder\": "
      "\"h264_v4l2m2m\"}]}",
      "1:13: ladder[0]: encoder is \"software\", or h264_ or hevc_ with nvenc, qsv or vaapi" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 23, \"encoder\": "
      "\"hevc_vaapi\"}]}",
      "1:13: ladder[0]: the encoder \"hevc_vaapi\" makes \"hevc\"; write that as the codec" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 23, \"encoder\": "
      "\"hevc_qsv\", \"codec\": \"hevc\", \"hdr\": true}]}",
      "1:13: ladder[0]: hdr is not to be had of the encoder \"hevc_qsv\"" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": \"2M\", \"crf\": 23}]}",
      "1:33: ladder[0].maxrate: wants a whole number, not a string" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 52}]}",
      "1:53: ladder[0].crf: out of range; it goes from 0 to 51" },
    { "{\"ladder\": [{\"short_side\": 721, \"maxrate\": 2800000, \"crf\": 23}]}",
      "1:13: ladder[0]: short_side 721 is odd; pictures have even sides" },
    { "{\"ladder\": [{\"short_side\": 720, \"maxrate\": 2800000, \"crf\": 23},\n"
      " {\"short_side\": 720, \"maxrate\": 1800000, \"crf\": 20}]}",
      "2:2: ladder[1]: a second rung of short_side 720; keep one" },
    // the origins
    { "{\"origins\": [{\"prefix\": \"/\"}]}",
      "1:14: origins[0]: \"base\" is missing; it wants a folder or an http(s):// URL" },
    { "{\"origins\": [{\"prefix\": \"cdn\", \"base\": \"/\"}]}",
      "1:15: origins[0].prefix: \"cdn\" is wrong; write \"/\" or \"/name/\"" },
    { "{\"origins\": [{\"prefix\": \"/../\", \"base\": \"/\"}]}",
      "1:15: origins[0].prefix: \"/../\" is wrong; write \"/\" or \"/name/\"" },
    { "{\"origins\": [{\"prefix\": \"/-/\", \"base\": \"/\"}]}",
      "1:15: origins[0].prefix: the server's own files are below /-/; write another prefix" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"videos\"}]}",
      "1:30: origins[0].base: \"videos\" is wrong; write a folder from / on, or an http(s):// "
      "URL" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/no/such\"}]}",
      "1:30: origins[0].base: \"/no/such\": No such file or directory; write a folder, or an "
      "http:// "
      "or https:// URL" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/etc/passwd\"}]}",
      "1:30: origins[0].base: \"/etc/passwd\" is a file; write the folder it lies in" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http:///x\"}]}",
      "1:30: origins[0].base: \"http:///x\" is wrong; write http://HOST/PATH/" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/?a\"}]}",
      "1:30: origins[0].base: \"http://h/?a\" is wrong; write http://HOST/PATH/" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/\"}, {\"prefix\": \"/\", \"base\": \"/\"}]}",
      "1:45: origins[1].prefix: a second origin of prefix \"/\"; keep one" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"subtitles\": \"en\"}]}",
      "1:51: origins[0].subtitles: wants a list of languages such as [\"en\", \"pt-BR\"], not a "
      "string" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"subtitles\": [1]}]}",
      "1:51: origins[0].subtitles: wants languages such as \"en\", not a number" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"subtitles\": [\"../x\"]}]}",
      "1:51: origins[0].subtitles: \"../x\" is no language; write a tag such as \"en\" or "
      "\"pt-BR\"" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/\", \"subtitles\": [\"en\"]}]}",
      "1:43: origins[0].subtitles: a folder is looked through; leave this out" },
    // signatures
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/\", \"aws_sigv4\": \"aws:amz:x:s3\"}]}",
      "1:43: origins[0].aws_sigv4: a folder takes no signatures; leave this out" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"aws_sigv4\": \"eu-west-1\"}]}",
      "1:51: origins[0].aws_sigv4: \"eu-west-1\" is wrong; write aws:amz:REGION:s3" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"aws_sigv4\": "
      "\"aws:amz::s3\"}]}",
      "1:51: origins[0].aws_sigv4: \"aws:amz::s3\" is wrong; write aws:amz:REGION:s3" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/a=b\", \"aws_sigv4\": "
      "\"aws:amz:x:s3\"}]}",
      "1:54: origins[0].aws_sigv4: base has to be without a user, and all but letters, digits and "
      "-_.~/ in its path written as %XX" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://a:b@h/\", \"aws_sigv4\": "
      "\"aws:amz:x:s3\"}]}",
      "1:55: origins[0].aws_sigv4: base has to be without a user, and all but letters, digits and "
      "-_.~/ in its path written as %XX" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/a%3d\", \"aws_sigv4\": "
      "\"aws:amz:x:s3\"}]}",
      "1:55: origins[0].aws_sigv4: base has to be without a user, and all but letters, digits and "
      "-_.~/ in its path written as %XX" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"aws_sigv4\": "
      "\"aws:amz:x:s3\", \"key_id\": \"AKID\"}]}",
      "1:14: origins[0]: key_id and secret go together, and session_token with them" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"key_id\": \"AKID\", "
      "\"secret\": \"12345678\"}]}",
      "1:14: origins[0]: keys are for aws_sigv4, which is missing" },
    { "{\"origins\": [{\"prefix\": \"/\", \"base\": \"http://h/\", \"aws_sigv4\": "
      "\"aws:amz:x:s3\", \"key_id\": \"AKID\", \"secret\": \"***\"}]}",
      "1:98: origins[0].secret: too short; it has 8 to 256 bytes" },
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(bad_files); i++) {
        struct conf *c;
        char why[512] = "", want[512];
        assert_int_equal(load_text(&c, bad_files[i].text, why, sizeof why), -E_CONFIG);
        assert_null(c);
        snprintf(want, sizeof want, "c.json:%s", bad_files[i].why);
        assert_string_equal(why, want);
    }
}

static const struct {
    struct conf_flags flags;
    const char *environment;
    const char *why;
} bad_others[] = {
    { { 0 },
      NULL,
      "ORIGIN: nothing to serve; name a folder or an http(s):// URL, as in \"tidemill ~/Videos\", "
      "or "
      "set \"origins\" in the file of -c" },
    { { .file = "none.json" }, NULL, "none.json: No such file or directory" },
    { { .file = "/" }, NULL, "/: Is a directory" },
    { { .file = "/dev/zero" }, NULL, "/dev/zero: too long for a configuration" },
    { { .origin = "/no/such" },
      NULL,
      "ORIGIN: \"/no/such\": No such file or directory; write a folder, or an http:// or https:// "
      "URL" },
    { { .origin = "/etc/passwd" },
      NULL,
      "ORIGIN: \"/etc/passwd\" is a file; write the folder it lies in" },
    { { .origin = "" },
      NULL,
      "ORIGIN: \"\": No such file or directory; write a folder, or an http:// or https:// URL" },
    { { .origin = "s3://bucket" },
      NULL,
      "ORIGIN: \"s3://bucket\" is wrong; write a folder, or an http:// or https:// URL" },
    { { .origin = "https://" }, NULL, "ORIGIN: \"https://\" is wrong; write http://HOST/PATH/" },
    { { .origin = "/", .listen = "x" },
      NULL,
      "-l: \"x\" is wrong; write ADDR:PORT, [ADDR6]:PORT or unix:PATH" },
    { { .origin = "/", .listen = "1.2.3.4:65536" },
      NULL,
      "-l: \"1.2.3.4:65536\" is wrong; write ADDR:PORT, [ADDR6]:PORT or unix:PATH" },
    { { .origin = "/" },
      "TIDEMILL_CACHE_MEMORY=lots",
      "TIDEMILL_CACHE_MEMORY: \"lots\" is not a size; write a whole number and B, KiB, MiB, GiB or "
      "TiB, such as \"64MiB\"" },
    { { .origin = "/" }, "TIDEMILL_UI=yes", "TIDEMILL_UI: \"yes\" is wrong; write true or false" },
    { { .origin = "/" },
      "TIDEMILL_HTTP_THREADS=99999999999999999999",
      "TIDEMILL_HTTP_THREADS: out of range; it goes from 0 to 64" },
    { { .origin = "/" },
      "TIDEMILL_MEDIA_RAMP=1s,4s",
      "media.ramp: \"1s,4s\" does not stay below media.segment, which is 4s" },
    { { .origin = "/" },
      "TIDEMILL_HTTP_THREADS=4x",
      "TIDEMILL_HTTP_THREADS: \"4x\" is not a whole number" },
    { { .origin = "/" },
      "TIDEMILL_CACHE_MEMROY=1GiB",
      "TIDEMILL_CACHE_MEMROY: unknown variable; did you mean TIDEMILL_CACHE_MEMORY?" },
    { { .origin = "/" },
      "NOTHING=1",
      "cache.dir: neither XDG_CACHE_HOME nor HOME is set; name a folder with -d" },
};

static void test_bad_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(bad_others); i++) {
        struct conf *c;
        char why[512] = "";
        char *const environment[] = { (char *)bad_others[i].environment, NULL };
        assert_int_equal(conf_load(&c, &bad_others[i].flags, environment, why, sizeof why),
                         -E_CONFIG);
        assert_null(c);
        assert_string_equal(why, bad_others[i].why);
    }
}

static const char *const good_addresses[] = { "127.0.0.1:8080", "[::1]:0",     "[::]:65535",
                                              "localhost:80",   "0.0.0.0:080", "unix:/run/t.sock" };

static void test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(good_addresses); i++) {
        struct conf *c;
        char why[512] = "";
        const struct conf_flags flags = { .origin = "/", .listen = good_addresses[i] };
        assert_int_equal(conf_load(&c, &flags, home, why, sizeof why), 0);
        assert_string_equal(c->listen, good_addresses[i]);
        conf_destroy(c);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf *c;
    char why[512] = "";
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    const struct conf_flags flags = { .origin = "." };
    assert_int_equal(conf_load(&c, &flags, home, why, sizeof why), 0);
    assert_true(c->ui);
    assert_string_equal(c->listen, "127.0.0.1:8080");
    assert_string_equal(c->cache_dir, "/home/u/.cache/tidemill");
    assert_true(c->cache_disk == 10 * GIB);
    assert_true(c->memory > 0 && memory_total(c) <= c->memory);
    assert_true(c->cache_memory > 0 && c->workers_memory > 0 && c->http_connections > 0);
    assert_true(c->http_threads >= 2);
    assert_true(c->workers_count >= 1);
    assert_int_equal(c->rung_count, 5);
    assert_int_equal(c->rungs[0].short_side, 1080);
    assert_int_equal(c->rungs[4].maxrate, 400000);
    assert_int_equal(c->origin_count, 1);
    assert_string_equal(c->origins[0].prefix, "/");
    assert_string_equal(c->origins[0].base, here);
    assert_false(c->origins[0].http);
    conf_destroy(c);
}

static void test_url_origin(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "http://h", "http://h/" },
                                            { "https://h:8/a/", "https://h:8/a/" },
                                            { "http://h/a", "http://h/a/" } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct conf *c;
        char why[512] = "";
        const struct conf_flags flags = { .origin = cases[i][0] };
        assert_int_equal(conf_load(&c, &flags, home, why, sizeof why), 0);
        assert_true(c->origins[0].http);
        assert_string_equal(c->origins[0].base, cases[i][1]);
        conf_destroy(c);
    }
}

// Flags beat the environment, the environment the file, the file the defaults.
static void test_precedence(void **state)
{
    (void)state;
    write_file("c.json",
               "{" ORIGIN ", \"listen\": \"1.1.1.1:1\", \"ui\": true,\n"
               "\"cache\": {\"dir\": \"/file\", \"memory\": \"1GiB\", \"disk\": \"2GiB\"},\n"
               "\"redis\": {\"retry\": \"3s\"}}");
    char *environment[] = { (char *)"TIDEMILL_LISTEN=2.2.2.2:2",
                            (char *)"TIDEMILL_CACHE_DIR=/environment",
                            (char *)"TIDEMILL_CACHE_MEMORY=3GiB",
                            (char *)"TIDEMILL_UI=false",
                            (char *)"TIDEMILL_PORT_8080_TCP_ADDR=10.0.0.1",
                            (char *)"TIDEMILL_WEB=/a",
                            (char *)"HOME=/home/u",
                            NULL };
    struct conf *c;
    char why[512] = "";
    const struct conf_flags flags = {
        .file = "c.json", .listen = "3.3.3.3:3", .cache_dir = "cold", .origin = "http://h"
    };
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(conf_load(&c, &flags, environment, why, sizeof why), 0);
    assert_string_equal(c->listen, "3.3.3.3:3");
    assert_int_equal(strncmp(c->cache_dir, here, strlen(here)), 0);
    assert_string_equal(c->cache_dir + strlen(here), "/cold");
    assert_true(c->cache_memory == 3 * GIB);
    assert_true(c->cache_disk == 2 * GIB);
    assert_true(c->redis_retry == 3000);
    assert_true(c->redis_timeout == 50);
    assert_false(c->ui);
    assert_int_equal(c->origin_count, 1);
    assert_string_equal(c->origins[0].base, "http://h/");
    conf_destroy(c);

    assert_int_equal(conf_load(&c, &(struct conf_flags){ .file = "c.json" }, home, why, 512), 0);
    assert_string_equal(c->listen, "1.1.1.1:1");
    assert_string_equal(c->cache_dir, "/file");
    assert_true(c->ui);
    conf_destroy(c);
}

static void test_lists(void **state)
{
    (void)state;
    struct conf *c;
    char why[512] = "";
    assert_int_equal(
        load_text(&c,
                  "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/usr/\"},\n"
                  "{\"prefix\": \"/a/b/\", \"base\": \"http://h/x\", \"subtitles\": [\"en\", "
                  "\"pt-BR\"]}, {\"base\": \"/usr/..\", "
                  "\"prefix\": \"/a/\"}],\n"
                  "\"ladder\": [{\"short_side\": 240, \"maxrate\": 300000, \"crf\": 26},\n"
                  "{\"bitrate\": 96000, \"codec\": \"opus\"},\n"
                  "{\"crf\": 20, \"short_side\": 480, \"maxrate\": 1000000}]}",
                  why, sizeof why),
        0);
    assert_false(c->ui);
    assert_int_equal(c->origin_count, 3);
    assert_string_equal(c->origins[0].prefix, "/a/b/");
    assert_string_equal(c->origins[0].base, "http://h/x/");
    assert_int_equal(c->origins[0].subtitle_count, 2);
    assert_string_equal(c->origins[0].subtitles[1], "pt-BR");
    assert_int_equal(c->origins[1].subtitle_count, 0);
    assert_string_equal(c->origins[1].prefix, "/a/");
    assert_string_equal(c->origins[1].base, "/");
    assert_string_equal(c->origins[2].base, "/usr");
    assert_int_equal(c->rung_count, 2);
    assert_int_equal(c->rungs[0].short_side, 480);
    assert_int_equal(c->rungs[0].crf, 20);
    assert_int_equal(c->rungs[1].maxrate, 300000);
    assert_int_equal(c->opus_bitrate, 96000);
    assert_int_equal(c->ramp_count, 0);
    conf_destroy(c);
}

static void test_ramp(void **state)
{
    (void)state;
    struct conf *c;
    char why[512] = "";
    assert_int_equal(load_text(&c,
                               "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/usr/\"}],\n"
                               "\"media\": {\"ramp\": \"1s,1s,1500ms,3999ms\"}}",
                               why, sizeof why),
                     0);
    static const int64_t want[] = { 1000, 1000, 1500, 3999 };
    assert_int_equal(c->ramp_count, countof(want));
    assert_memory_equal(c->ramp, want, sizeof want);
    conf_destroy(c);
}

// A rung of hardware, where workers may have it; and it is printed.
static void test_encoders(void **state)
{
    (void)state;
    struct conf *c;
    char why[512] = "";
    const char *const text =
        "{" ORIGIN
        ", \"workers\": {\"devices\": %s}, \"ladder\": [{\"short_side\": 240, \"maxrate\": "
        "300000, \"crf\": 26, \"encoder\": \"h264_nvenc\"}, {\"short_side\": 180, \"maxrate\": "
        "200000, "
        "\"crf\": 26, \"encoder\": \"software\"}]}";
    char with[1000], without[1000];
    snprintf(with, sizeof with, text, "true");
    snprintf(without, sizeof without, text, "false");
    assert_int_equal(load_text(&c, with, why, sizeof why), 0);
    assert_int_equal(c->rungs[0].encoder, CONF_H264_NVENC);
    assert_int_equal(c->rungs[1].encoder, CONF_SOFTWARE);
    FILE *const null = fopen("/dev/null", "w");
    conf_print(c, null);
    fclose(null);
    conf_destroy(c);
    assert_int_equal(load_text(&c, without, why, sizeof why), -E_CONFIG);
    assert_non_null(
        strstr(why, "workers.devices: false; the encoder \"h264_nvenc\" of the ladder"));
}

static char *printed(const struct conf *c);

// Keys of the origin's own come before those of all; no secret is printed.
static void test_signing(void **state)
{
    (void)state;
    struct conf *c;
    char why[512] = "";
    const char *const origins =
        "{\"origins\": [{\"prefix\": \"/a/\", \"base\": \"https://h/b%%C3%%BC-_.~/\", "
        "\"aws_sigv4\": \"aws:amz:eu-west-1:s3\"}, {\"prefix\": \"/\", \"base\": "
        "\"http://m:9000/\", "
        "\"aws_sigv4\": \"aws:amz:us-east-1:s3\", \"key_id\": \"OWN\", \"secret\": \"own-secret\", "
        "\"session_token\": \"own-token-0123456\"}]%s}";
    char with[1000], without[1000];
    snprintf(with, sizeof with, origins,
             ", \"origin\": {\"key_id\": \"ALL\", \"secret\": \"their-secret\"}");
    snprintf(without, sizeof without, origins, "");
    assert_int_equal(load_text(&c, without, why, sizeof why), -E_CONFIG);
    assert_string_equal(why, "origin.key_id: missing, or origin.secret is; the origin of prefix "
                             "\"/a/\" has aws_sigv4, which needs both");
    assert_int_equal(load_text(&c, with, why, sizeof why), 0);
    const struct conf_keys all = conf_origin_keys(c, &c->origins[0]);
    const struct conf_keys own = conf_origin_keys(c, &c->origins[1]);
    assert_string_equal(c->origins[0].aws_sigv4, "aws:amz:eu-west-1:s3");
    assert_string_equal(all.key_id, "ALL");
    assert_string_equal(all.secret, "their-secret");
    assert_string_equal(all.session_token, "");
    assert_string_equal(own.key_id, "OWN");
    assert_string_equal(own.secret, "own-secret");
    assert_string_equal(own.session_token, "own-token-0123456");
    char *const text = printed(c);
    assert_non_null(strstr(text, "\"aws_sigv4\": \"aws:amz:eu-west-1:s3\""));
    assert_non_null(strstr(text, "\"key_id\": \"OWN\""));
    assert_null(strstr(text, "-secret"));
    assert_null(strstr(text, "own-token"));
    free(text);
    conf_destroy(c);
}

static char *printed(const struct conf *c)
{
    char *text = NULL;
    size_t n;
    FILE *const f = open_memstream(&text, &n);
    conf_print(c, f);
    fclose(f);
    return text;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct conf *a, *b;
    char why[512] = "";
    assert_int_equal(load_text(&a,
                               "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/\"},"
                               "{\"prefix\": \"/s/\", \"base\": \"https://user:secret@h/x?\"}]}",
                               why, sizeof why),
                     -E_CONFIG);
    assert_int_equal(
        load_text(&a,
                  "{\"origins\": [{\"prefix\": \"/\", \"base\": \"/\"},"
                  "{\"prefix\": \"/s/\", \"base\": \"https://user:secret@h/x\", \"subtitles\": "
                  "[\"en\"]}],\n"
                  "\"redis\": {\"url\": \"redis://:se:cr@et@h:1/2\", \"timeout\": \"1500ms\", "
                  "\"key\": \"\"},\n"
                  "\"admin\": \"\", \"cache\": {\"memory\": \"12345B\"}, \"media\": {\"preset\": "
                  "\"fast\"}}",
                  why, sizeof why),
        0);
    char *const first = printed(a);
    assert_null(strstr(first, ":secret"));
    assert_null(strstr(first, "se:cr"));
    assert_non_null(strstr(first, "\"https://user:***@h/x/\""));
    assert_non_null(strstr(first, "\"redis://:***@h:1/2\""));
    assert_int_equal(load_text(&b, first, why, sizeof why), 0);
    char *const second = printed(b);
    assert_string_equal(first, second);
    assert_true(b->cache_memory == 12345);
    assert_true(b->redis_timeout == 1500);
    assert_string_equal(b->media_preset, "fast");
    free(first);
    free(second);
    conf_destroy(a);
    conf_destroy(b);
}

static void test_cache_folder(void **state)
{
    (void)state;
    static const struct {
        const char *xdg, *folder;
    } cases[] = {
        { "XDG_CACHE_HOME=/x", "/x/tidemill" },
        { "XDG_CACHE_HOME=x", "/home/u/.cache/tidemill" },
        { "XDG_CACHE_HOME=", "/home/u/.cache/tidemill" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct conf *c;
        char why[512] = "";
        char *const environment[] = { (char *)"HOME=/home/u", (char *)cases[i].xdg, NULL };
        assert_int_equal(
            conf_load(&c, &(struct conf_flags){ .origin = "/" }, environment, why, sizeof why), 0);
        assert_string_equal(c->cache_dir, cases[i].folder);
        conf_destroy(c);
    }
}

static void test_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n;
    FILE *const f = open_memstream(&text, &n);
    conf_print_help(f);
    fclose(f);
#define PARAM(type, path, field, def, min, max, doc) assert_non_null(strstr(text, "\n" path " "));
#include "config/param.def"
#undef PARAM
    assert_non_null(strstr(text, "origins "));
    free(text);
}

// What is printed instead of it is not taken for it.
static void test_secret(void **state)
{
    (void)state;
    struct conf *c;
    char why[512] = "";
    assert_int_equal(
        load_text(&c, "{" ORIGIN ", \"redis\": {\"key\": \"0123456789abcdef\"}}", why, sizeof why),
        0);
    assert_string_equal(c->redis_key, "0123456789abcdef");
    char *const text = printed(c);
    conf_destroy(c);
    assert_null(strstr(text, "0123456789"));
    assert_int_equal(load_text(&c, text, why, sizeof why), -E_CONFIG);
    assert_non_null(strstr(why, "redis.key: too short"));
    free(text);
}

// A text cut or changed anywhere is an answer, not an accident (the sanitizers watch).
static void test_any_text(void **state)
{
    (void)state;
    static const char text[] =
        "{" ORIGIN ", \"cache\": {\"memory\": \"1GiB\", \"disk_enabled\": false},\n"
        "\"ladder\": [{\"short_side\": 240, \"maxrate\": 300000, \"crf\": 26}]}";
    char part[sizeof text], why[512];
    struct conf *c;
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        for (size_t k = 0; k < 8; k++) {
            memcpy(part, text, sizeof text);
            part[i] = "\0\"{}[],0"[k];
            const int rc = load_text(&c, part, why, sizeof why);
            assert_true(rc == 0 || rc == -E_CONFIG);
            conf_destroy(c);
        }
    }
}

static char folder[] = "/tmp/t_conf.XXXXXX";

static int enter(void **state)
{
    (void)state;
    return !mkdtemp(folder) || chdir(folder) < 0;
}

static int leave(void **state)
{
    (void)state;
    return unlink("c.json") < 0 || rmdir(folder) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),    cmocka_unit_test(test_bad_others),
        cmocka_unit_test(test_addresses),    cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_url_origin),   cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_ramp),
        cmocka_unit_test(test_encoders),     cmocka_unit_test(test_signing),
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_secret),
        cmocka_unit_test(test_cache_folder), cmocka_unit_test(test_help),
        cmocka_unit_test(test_any_text),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
