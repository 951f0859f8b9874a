// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "server/reply.h"

#define TAG "\"0123456789abcdef\""

static const struct reply_facts whole = {
    .content_type = "video/mp4",
    .etag = TAG,
    .immutable = true,
    .entry_age_s = 10,
    .source = FROM_MEMORY,
    .whole = true,
    .size = 1000,
};

// The value of a header, NULL when absent.  No name may be there twice.
static const char *header(const struct reply *r, const char *name)
{
    const char *value = NULL;
    for (int i = 0; i < r->header_count; i++)
        if (strcmp(r->headers[i].name, name) == 0) {
            assert_null(value);
            value = r->headers[i].value;
        }
    return value;
}

static void check_header(const struct reply *r, const char *name, const char *value)
{
    const char *const has = header(r, name);
    if (!value) {
        assert_null(has);
        return;
    }
    assert_non_null(has);
    assert_string_equal(has, value);
}

// ---- ranges of a body of 1000 bytes

static const struct {
    const char *range;
    int status;
    size_t first, last;
} ranges[] = {
    { "bytes=0-0", 206, 0, 0 },
    { "bytes=0-", 206, 0, 999 },
    { "bytes=0-999", 206, 0, 999 },
    { "bytes=0-998", 206, 0, 998 },
    { "bytes=1-1", 206, 1, 1 },
    { "bytes=100-199", 206, 100, 199 },
    { "bytes=999-", 206, 999, 999 },
    { "bytes=999-999", 206, 999, 999 },
    { "bytes=500-", 206, 500, 999 },
    { "bytes=000000000000000000000000000000000000001-1", 206, 1, 1 },
    { "BYTES=0-1", 206, 0, 1 },
    { "Bytes=0-1", 206, 0, 1 },
    { " bytes=0-1", 206, 0, 1 },
    { "bytes=0-1 ", 206, 0, 1 },
    { "bytes= 0-1", 206, 0, 1 },
    { "bytes=0-1,", 206, 0, 1 },
    { "bytes=,0-1", 206, 0, 1 },
    { "bytes= , ,0-1\t, ,", 206, 0, 1 },
    // the end is clamped
    { "bytes=0-1000", 206, 0, 999 },
    { "bytes=999-1000", 206, 999, 999 },
    { "bytes=5-4294967295", 206, 5, 999 },
    { "bytes=5-4294967296", 206, 5, 999 },
    { "bytes=5-9223372036854775807", 206, 5, 999 },
    { "bytes=5-9223372036854775808", 206, 5, 999 },
    { "bytes=5-18446744073709551614", 206, 5, 999 },
    { "bytes=5-18446744073709551615", 206, 5, 999 },
    { "bytes=5-18446744073709551616", 206, 5, 999 },
    { "bytes=5-99999999999999999999999999999999999999999", 206, 5, 999 },
    // suffixes
    { "bytes=-1", 206, 999, 999 },
    { "bytes=-999", 206, 1, 999 },
    { "bytes=-1000", 206, 0, 999 },
    { "bytes=-1001", 206, 0, 999 },
    { "bytes=-18446744073709551616", 206, 0, 999 },
    { "bytes=-9223372036854775808", 206, 0, 999 },
    { "bytes=-99999999999999999999999999999999999999999", 206, 0, 999 },
    // outside
    { "bytes=-0", 416, 0, 0 },
    { "bytes=-000", 416, 0, 0 },
    { "bytes=1000-", 416, 0, 0 },
    { "bytes=1000-1000", 416, 0, 0 },
    { "bytes=1000-2000", 416, 0, 0 },
    { "bytes=1001-", 416, 0, 0 },
    { "bytes=4294967296-", 416, 0, 0 },
    { "bytes=9223372036854775807-", 416, 0, 0 },
    { "bytes=9223372036854775808-9223372036854775809", 416, 0, 0 },
    { "bytes=18446744073709551615-", 416, 0, 0 },
    { "bytes=18446744073709551616-", 416, 0, 0 },
    { "bytes=99999999999999999999999999999-99999999999999999999999999999", 416, 0, 0 },
    // reversed: the whole header is invalid, hence absent
    { "bytes=1-0", 200, 0, 0 },
    { "bytes=999-998", 200, 0, 0 },
    { "bytes=2000-1000", 200, 0, 0 },
    { "bytes=18446744073709551616-5", 200, 0, 0 },
    // several
    { "bytes=0-0,1-1", 200, 0, 0 },
    { "bytes=0-,0-", 200, 0, 0 },
    { "bytes=0-1, -5", 200, 0, 0 },
    { "bytes=2000-,3000-", 200, 0, 0 },
    { "bytes=0-0,x", 200, 0, 0 },
    // garbage
    { "", 200, 0, 0 },
    { "bytes", 200, 0, 0 },
    { "bytes=", 200, 0, 0 },
    { "bytes=,", 200, 0, 0 },
    { "bytes=-", 200, 0, 0 },
    { "bytes=--1", 200, 0, 0 },
    { "bytes=-1-", 200, 0, 0 },
    { "bytes=0", 200, 0, 0 },
    { "bytes=0-1-2", 200, 0, 0 },
    { "bytes=0 - 1", 200, 0, 0 },
    { "bytes=0- 1", 200, 0, 0 },
    { "bytes=0 -1", 200, 0, 0 },
    { "bytes=+0-1", 200, 0, 0 },
    { "bytes=0-+1", 200, 0, 0 },
    { "bytes=a-b", 200, 0, 0 },
    { "bytes=0x0-0x1", 200, 0, 0 },
    { "bytes=0-1x", 200, 0, 0 },
    { "bytes=0-1;", 200, 0, 0 },
    { "bytes 0-1", 200, 0, 0 },
    { "bytes =0-1", 200, 0, 0 },
    { "bytes:0-1", 200, 0, 0 },
    { "bytes=0.0-1", 200, 0, 0 },
    { "bytes=0-1/1000", 200, 0, 0 },
    { "bytes=*", 200, 0, 0 },
    { "items=0-1", 200, 0, 0 },
    { "seconds=1-2", 200, 0, 0 },
    { "xbytes=0-1", 200, 0, 0 },
    { "0-1", 200, 0, 0 },
    { "bytes=\xb2-\xb3", 200, 0, 0 },
};

static void range_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(ranges); i++) {
        const struct reply_request q = { .range = ranges[i].range };
        struct reply r;
        reply_init(&r);
        reply_object(&r, &q, &whole);
        if (r.status != ranges[i].status)
            fail_msg("%s: %d", q.range, r.status);
        char expect[64] = "bytes */1000";
        if (r.status == 206) {
            assert_int_equal(r.body, BODY_RANGE);
            assert_int_equal(r.offset, ranges[i].first);
            assert_int_equal(r.length, ranges[i].last - ranges[i].first + 1);
            snprintf(expect, sizeof expect, "bytes %zu-%zu/1000", ranges[i].first, ranges[i].last);
        }
        check_header(&r, "Content-Range", r.status == 200 ? NULL : expect);
        if (r.status == 200)
            assert_true(r.body == BODY_RANGE && r.offset == 0 && r.length == 1000);
        if (r.status == 416)
            check_header(&r, "Cache-Control", "no-store");
        // A range that can be answered with a part needs the whole object first.
        assert_int_equal(reply_needs_whole(&q), r.status != 200);
        reply_finish(&r);
    }
}

static void range_of_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        int status;
    } rows[] = {
        { "bytes=0-", 416 },
        { "bytes=0-0", 416 },
        { "bytes=-1", 200 },
        { "bytes=-0", 416 },
    };
    struct reply_facts empty = whole;
    empty.size = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        const struct reply_request q = { .range = rows[i].range };
        struct reply r;
        reply_init(&r);
        reply_object(&r, &q, &empty);
        assert_int_equal(r.status, rows[i].status);
        reply_finish(&r);
    }
}

// ---- conditions

static const struct {
    struct reply_request q;
    int status;
} conditions[] = {
    // If-None-Match
    { { .if_none_match = TAG }, 304 },
    { { .if_none_match = "*" }, 304 },
    { { .if_none_match = " * " }, 304 },
    { { .if_none_match = "W/" TAG }, 304 },
    { { .if_none_match = "\"a\", " TAG }, 304 },
    { { .if_none_match = TAG ",\"a\"" }, 304 },
    { { .if_none_match = "\"a\" ,\t, W/" TAG " , \"b\"" }, 304 },
    { { .if_none_match = "\"a,b\"," TAG }, 304 },
    { { .if_none_match = ", " TAG }, 304 },
    { { .if_none_match = "W/\"a\",W/\"b\",W/" TAG }, 304 },
    { { .if_none_match = "\"\"," TAG }, 304 },
    { { .if_none_match = "\"a\"" }, 200 },
    { { .if_none_match = "\"\"" }, 200 },
    { { .if_none_match = "" }, 200 },
    { { .if_none_match = "," }, 200 },
    { { .if_none_match = "0123456789abcdef" }, 200 },
    { { .if_none_match = "\"0123456789abcde\"" }, 200 },
    { { .if_none_match = "\"0123456789abcdef0\"" }, 200 },
    { { .if_none_match = "\"0123456789ABCDEF\"" }, 200 },
    { { .if_none_match = "w/" TAG }, 200 },
    { { .if_none_match = "W" TAG }, 200 },
    { { .if_none_match = "\"a\"" TAG }, 200 },
    { { .if_none_match = "\"a\" " TAG }, 200 },
    { { .if_none_match = "a, " TAG }, 200 },
    { { .if_none_match = "\"a, " TAG }, 200 },
    { { .if_none_match = "\"0123456789abcdef" }, 200 },
    { { .if_none_match = "*, " TAG }, 200 },
    { { .if_none_match = "**" }, 200 },
    { { .if_none_match = TAG, .method = METHOD_HEAD }, 304 },
    { { .if_none_match = TAG, .range = "bytes=0-1" }, 304 },
    { { .if_none_match = TAG, .range = "bytes=5000-" }, 304 },
    { { .if_none_match = "\"a\"", .range = "bytes=0-1" }, 206 },
    // If-Match, before all others
    { { .if_match = TAG }, 200 },
    { { .if_match = "*" }, 200 },
    { { .if_match = "\"a\", " TAG }, 200 },
    { { .if_match = TAG, .range = "bytes=0-1" }, 206 },
    { { .if_match = TAG, .if_none_match = TAG }, 304 },
    { { .if_match = "\"a\"" }, 412 },
    { { .if_match = "" }, 412 },
    { { .if_match = "W/" TAG }, 412 },
    { { .if_match = "W/" TAG ", \"b\"" }, 412 },
    { { .if_match = "\"a\"", .if_none_match = TAG }, 412 },
    { { .if_match = "\"a\"", .range = "bytes=5000-" }, 412 },
    { { .if_match = "\"a\"", .method = METHOD_HEAD }, 412 },
    // If-Range
    { { .range = "bytes=0-1", .if_range = TAG }, 206 },
    { { .range = "bytes=0-1", .if_range = " " TAG " " }, 206 },
    { { .range = "bytes=5000-", .if_range = TAG }, 416 },
    { { .range = "bytes=0-1", .if_range = "W/" TAG }, 200 },
    { { .range = "bytes=0-1", .if_range = "\"a\"" }, 200 },
    { { .range = "bytes=5000-", .if_range = "\"a\"" }, 200 },
    { { .range = "bytes=0-1", .if_range = "*" }, 200 },
    { { .range = "bytes=0-1", .if_range = "" }, 200 },
    { { .range = "bytes=0-1", .if_range = TAG ", \"a\"" }, 200 },
    { { .range = "bytes=0-1", .if_range = "Sun, 22 Nov 2026 10:00:00 GMT" }, 200 },
    { { .if_range = TAG }, 200 },
    // A HEAD has no ranges
    { { .method = METHOD_HEAD }, 200 },
    { { .method = METHOD_HEAD, .range = "bytes=0-1" }, 200 },
    { { .method = METHOD_HEAD, .range = "bytes=5000-" }, 200 },
    { { .http10 = true }, 200 },
    { { .http10 = true, .range = "bytes=0-1" }, 206 },
};

static void condition_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(conditions); i++) {
        const struct reply_request *const q = &conditions[i].q;
        struct reply r;
        reply_init(&r);
        reply_object(&r, q, &whole);
        if (r.status != conditions[i].status)
            fail_msg("row %zu: %d, not %d", i, r.status, conditions[i].status);
        if (r.status == 304)
            assert_true(r.body == BODY_NONE && r.length == 1000 && !header(&r, "Content-Type"));
        if (r.status < 400)
            check_header(&r, "ETag", TAG);
        if (r.status == 200 && q->method == METHOD_HEAD)
            assert_true(r.head && r.body == BODY_RANGE && r.length == 1000);
        reply_finish(&r);
    }
}

// Without an entity tag only "*" says something true.
static void no_etag(void **state)
{
    (void)state;
    static const struct {
        struct reply_request q;
        int status;
    } rows[] = {
        { { .if_none_match = "*" }, 304 },
        { { .if_none_match = "\"\"" }, 200 },
        { { .if_none_match = "" }, 200 },
        { { .if_match = "*" }, 200 },
        { { .if_match = "\"\"" }, 412 },
        { { .range = "bytes=0-1" }, 206 },
        { { .range = "bytes=0-1", .if_range = "" }, 200 },
        { { .range = "bytes=0-1", .if_range = "\"\"" }, 200 },
    };
    struct reply_facts f = whole;
    f.etag[0] = '\0';
    for (size_t i = 0; i < countof(rows); i++) {
        struct reply r;
        reply_init(&r);
        reply_object(&r, &rows[i].q, &f);
        assert_int_equal(r.status, rows[i].status);
        assert_null(header(&r, "ETag"));
        reply_finish(&r);
    }
}

// An object in the making is streamed; conditions hold already, ranges do not.
static void in_the_making(void **state)
{
    (void)state;
    static const struct {
        struct reply_request q;
        int status;
        enum reply_body body;
    } rows[] = {
        { { .method = METHOD_GET }, 200, BODY_STREAM },
        { { .method = METHOD_HEAD }, 200, BODY_NONE },
        { { .range = "bytes=0-1" }, 200, BODY_STREAM },
        { { .range = "bytes=5000-" }, 200, BODY_STREAM },
        { { .if_none_match = TAG }, 304, BODY_NONE },
        { { .if_match = "\"a\"" }, 412, BODY_TEXT },
    };
    struct reply_facts f = whole;
    f.whole = false;
    for (size_t i = 0; i < countof(rows); i++) {
        struct reply r;
        reply_init(&r);
        reply_object(&r, &rows[i].q, &f);
        assert_int_equal(r.status, rows[i].status);
        assert_int_equal(r.body, rows[i].body);
        assert_int_equal(r.length, 0);
        assert_null(header(&r, "Content-Range"));
        reply_finish(&r);
    }
}

static void needs_whole(void **state)
{
    (void)state;
    assert_false(reply_needs_whole(&(struct reply_request){ .method = METHOD_GET }));
    assert_false(reply_needs_whole(&(struct reply_request){ .method = METHOD_HEAD }));
    assert_false(
        reply_needs_whole(&(struct reply_request){ .method = METHOD_HEAD, .http10 = true }));
    assert_false(
        reply_needs_whole(&(struct reply_request){ .method = METHOD_HEAD, .range = "bytes=0-" }));
    assert_false(reply_needs_whole(&(struct reply_request){ .range = "bytes=0-1,5-6" }));
    assert_true(reply_needs_whole(&(struct reply_request){ .range = "bytes=0-" }));
    assert_true(reply_needs_whole(&(struct reply_request){ .http10 = true }));
}

// ---- headers

static void cross_origin(const struct reply *r)
{
    check_header(r, "Access-Control-Allow-Origin", "*");
    check_header(r, "Access-Control-Expose-Headers",
                 "Content-Length, Content-Range, ETag, Server-Timing, Cache-Status, X-Request-Id");
    check_header(r, "Timing-Allow-Origin", "*");
    check_header(r, "X-Content-Type-Options", "nosniff");
    check_header(r, "Cross-Origin-Resource-Policy", "cross-origin");
}

static void headers(void **state)
{
    (void)state;
    struct reply_facts f = whole;
    struct reply r;
    reply_init(&r);
    reply_object(&r, &(struct reply_request){ 0 }, &f);
    cross_origin(&r);
    check_header(&r, "Cache-Control", "public, max-age=31536000, immutable");
    check_header(&r, "Content-Type", "video/mp4");
    check_header(&r, "Accept-Ranges", "bytes");
    check_header(&r, "Cache-Status", "tidemill; hit; detail=memory");
    check_header(&r, "Vary", NULL);
    check_header(&r, "Content-Encoding", NULL);
    check_header(&r, "Server-Timing", NULL);
    check_header(&r, "X-Request-Id", NULL);
    reply_finish(&r);

    f.secret = true;
    reply_init(&r);
    reply_object(&r, &(struct reply_request){ 0 }, &f);
    cross_origin(&r);
    check_header(&r, "Cache-Control", "no-store");
    reply_finish(&r);

    f.secret = f.immutable = false;
    f.gzip = f.negotiated = true;
    f.timing = "encode;dur=12.5";
    f.request_id = "abc-1";
    f.source = FROM_MAKE;
    reply_init(&r);
    reply_object(&r, &(struct reply_request){ .range = "bytes=0-1" }, &f);
    cross_origin(&r);
    check_header(&r, "Cache-Control", "public, max-age=10, stale-while-revalidate=60");
    check_header(&r, "Vary", "Accept-Encoding");
    check_header(&r, "Content-Encoding", "gzip");
    check_header(&r, "Server-Timing", "encode;dur=12.5");
    check_header(&r, "X-Request-Id", "abc-1");
    check_header(&r, "Cache-Status", "tidemill; fwd=miss");
    reply_finish(&r);

    static const struct reply_request refused[] = { { .if_match = "\"a\"" },
                                                    { .range = "bytes=5000-" } };
    for (size_t i = 0; i < countof(refused); i++) {
        reply_init(&r);
        reply_object(&r, &refused[i], &f);
        check_header(&r, "Server-Timing", "encode;dur=12.5");
        check_header(&r, "X-Request-Id", "abc-1");
        reply_finish(&r);
    }

    reply_init(&r);
    reply_object(&r, &(struct reply_request){ .if_none_match = "*" }, &f);
    cross_origin(&r);
    check_header(&r, "Vary", "Accept-Encoding");
    check_header(&r, "Cache-Control", "public, max-age=10, stale-while-revalidate=60");
    check_header(&r, "Content-Encoding", NULL);
    check_header(&r, "Accept-Ranges", NULL);
    reply_finish(&r);
}

static void sources(void **state)
{
    (void)state;
    static const char *const values[] = {
        [FROM_MEMORY] = "tidemill; hit; detail=memory",
        [FROM_DISK] = "tidemill; hit; detail=disk",
        [FROM_REDIS] = "tidemill; hit; detail=redis",
        [FROM_JOIN] = "tidemill; fwd=miss; collapsed",
        [FROM_MAKE] = "tidemill; fwd=miss",
        [FROM_NOWHERE] = NULL,
    };
    for (size_t i = 0; i < countof(values); i++) {
        struct reply_facts f = whole;
        f.source = (enum reply_source)i;
        struct reply r;
        reply_init(&r);
        reply_object(&r, &(struct reply_request){ 0 }, &f);
        check_header(&r, "Cache-Status", values[i]);
        reply_finish(&r);
    }
}

static void options(void **state)
{
    (void)state;
    struct reply r;
    reply_init(&r);
    reply_options(&r, &(struct reply_request){ 0 });
    assert_int_equal(r.status, 204);
    assert_int_equal(r.body, BODY_NONE);
    cross_origin(&r);
    check_header(&r, "Allow", "GET, HEAD, OPTIONS");
    check_header(&r, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
    check_header(&r, "Access-Control-Max-Age", "86400");
    assert_non_null(strstr(header(&r, "Access-Control-Allow-Headers"), "CMCD-Request"));
    reply_finish(&r);
    reply_init(&r);
    reply_options(&r, &(struct reply_request){ .posts = true });
    check_header(&r, "Allow", "POST, OPTIONS");
    check_header(&r, "Access-Control-Allow-Methods", "POST, OPTIONS");
    reply_finish(&r);
}

static void problems(void **state)
{
    (void)state;
    for (int code = 1; code < E_COUNT; code++) {
        const int status = err_status(code);
        struct reply r;
        reply_init(&r);
        reply_problem(&r, &(struct reply_request){ 0 }, -code, "why", "abc-1");
        assert_int_equal(r.status, status);
        assert_int_equal(r.body, BODY_TEXT);
        assert_int_equal(buf_error(&r.text), 0);
        cross_origin(&r);
        check_header(&r, "Cache-Control", "no-store");
        check_header(&r, "Content-Type", "application/problem+json");
        check_header(&r, "X-Request-Id", "abc-1");
        check_header(&r, "Retry-After", status == 502 || status == 504 ? "1" : NULL);
        check_header(&r, "Allow", status == 405 ? "GET, HEAD, OPTIONS" : NULL);
        reply_finish(&r);
    }
    struct reply r;
    reply_init(&r);
    reply_problem(&r, &(struct reply_request){ .method = METHOD_HEAD }, -E_NOT_FOUND, NULL, NULL);
    assert_true(r.head);
    static const char body[] =
        "{\"type\":\"urn:tidemill:E_NOT_FOUND\",\"title\":\"there is no such "
        "thing here\",\"code\":\"E_NOT_FOUND\",\"status\":404}\n";
    assert_int_equal(r.text.len, strlen(body));
    assert_memory_equal(r.text.data, body, strlen(body));
    check_header(&r, "X-Request-Id", NULL);
    reply_finish(&r);
}

static void details_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *detail, *json;
    } rows[] = {
        { "a \"quoted\" \\ one", "a \\\"quoted\\\" \\\\ one" },
        { "line\r\nbreak\ttab\x1b[0m\x7f", "line\\u000d\\u000abreak\\u0009tab\\u001b[0m\\u007f" },
        { "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb1", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb1" },
        { "\xff\xc3(", "\\ufffd\\ufffd(" },
        { "\xe2\x82", "\\ufffd\\ufffd" },
        { "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct reply r;
        reply_init(&r);
        reply_problem(&r, &(struct reply_request){ 0 }, E_ORIGIN, rows[i].detail, NULL);
        char expect[256];
        snprintf(expect, sizeof expect, "\"detail\":\"%s\",", rows[i].json);
        buf_append(&r.text, "", 1);
        if (!strstr((const char *)r.text.data, expect))
            fail_msg("%s", r.text.data);
        reply_finish(&r);
    }
}

static void values_stay_on_their_line(void **state)
{
    (void)state;
    struct reply r;
    reply_init(&r);
    reply_header(&r, "X-A", "a%sb", "\r\nSet-Cookie: x=1\r\n\r\n\x7f");
    check_header(&r, "X-A", "a  Set-Cookie: x=1     b");
    char big[2 * REPLY_VALUE_MAX];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    reply_header(&r, "X-B", "%s", big);
    assert_int_equal(strlen(header(&r, "X-B")), REPLY_VALUE_MAX - 1);
    reply_finish(&r);
}

static void encodings(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool gzip;
    } rows[] = {
        { NULL, false },
        { "", false },
        { "gzip", true },
        { "GZIP", true },
        { "x-gzip", true },
        { "gzip, deflate, br", true },
        { "deflate, gzip;q=0.5", true },
        { "br;q=1.0, gzip;q=0.001", true },
        { "gzip;q=1", true },
        { "gzip ; q=1", true },
        { "*", true },
        { "*;q=0.1", true },
        { "identity;q=0, *", true },
        { "gzip;q=0", false },
        { "gzip;q=0.000", false },
        { "gzip ; q=0", false },
        { "gzip;Q=0", false },
        { "*;q=0", false },
        { "*, gzip;q=0", false },
        { "gzip;q=0, *;q=1", false },
        { "gzip;q=0, br;q=1", false },
        { "identity", false },
        { "deflate, br", false },
        { "gzipped", false },
        { "xgzip", false },
        { ",,,", false },
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (reply_accepts_gzip(rows[i].header) != rows[i].gzip)
            fail_msg("%s", rows[i].header);
}

static void when_to_come_again(void **state)
{
    const struct reply_request q = { .method = METHOD_GET };
    struct reply r;
    (void)state;
    reply_init(&r);
    reply_problem(&r, &q, -E_BUSY, NULL, NULL);
    assert_string_equal(header(&r, "Retry-After"), "1");
    reply_retry(&r, 17);
    assert_string_equal(header(&r, "Retry-After"), "17");
    reply_finish(&r);
    reply_init(&r);
    reply_problem(&r, &q, -E_NOT_FOUND, NULL, NULL);
    reply_retry(&r, 17);
    assert_null(header(&r, "Retry-After"));
    reply_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_table),
        cmocka_unit_test(range_of_nothing),
        cmocka_unit_test(condition_table),
        cmocka_unit_test(no_etag),
        cmocka_unit_test(in_the_making),
        cmocka_unit_test(needs_whole),
        cmocka_unit_test(headers),
        cmocka_unit_test(sources),
        cmocka_unit_test(options),
        cmocka_unit_test(problems),
        cmocka_unit_test(when_to_come_again),
        cmocka_unit_test(details_are_escaped),
        cmocka_unit_test(values_stay_on_their_line),
        cmocka_unit_test(encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
