// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/origin.h"
#include "cache/transfer.h"
#include "config/conf.h"
#include "test/unit/origin_server.h"

#define SIZE 300000

static struct origin_server server;
static uint8_t content[SIZE];

static const struct conf settings = {
    .origin_connect_timeout = 2000,
    .origin_timeout = 300,
    .origin_retries = 2,
    .origin_connections = 4,
};

static struct origin *create(const struct conf *conf)
{
    char why[256] = "";
    struct origin *o = origin_http_create(conf, server.base, NULL, why, sizeof why);
    assert_string_equal(why, "");
    assert_non_null(o);
    return o;
}

// What one read of clip.mp4 costs and returns.
struct outcome {
    int code;
    size_t bytes;
    struct origin_version version;
    struct origin_server_totals totals;
};

static struct outcome read_with(struct origin *o, const char *path,
                                const struct origin_version *want, int64_t offset, int64_t n,
                                const struct cancel *cancel)
{
    struct outcome r = { 0 };
    struct buf b;
    buf_init(&b, n > SIZE ? SIZE : (size_t)n); // never more than was asked for
    r.code = o->read(o, path, want, offset, n, &b, &r.version, NULL, cancel);
    r.bytes = b.len;
    if (r.bytes)
        assert_memory_equal(b.data, content + offset, b.len);
    buf_finish(&b);
    return r;
}

static struct outcome read_clip(const struct origin_version *want, int64_t offset, int64_t n)
{
    struct origin *o = create(&settings);
    struct outcome r = read_with(o, "clip.mp4", want, offset, n, NULL);
    o->destroy(o);
    r.totals = origin_server_totals(&server);
    return r;
}

static struct origin_version version_of_clip(void)
{
    struct origin *o = create(&settings);
    struct origin_version v;
    assert_int_equal(o->stat(o, "clip.mp4", &v, NULL), 0);
    o->destroy(o);
    return v;
}

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 31 + i / 251);
    assert_int_equal(transfer_global_init(), 0);
    origin_server_start(&server);
    origin_server_put(&server, "clip.mp4", content, SIZE);
    origin_server_put(&server, "empty.mp4", content, 0);
    log_set_level(LOG_ERROR);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    origin_server_stop(&server);
    return 0;
}

static void knows_versions(void **state)
{
    (void)state;
    static const struct {
        const char *order, *text;
        bool weak;
    } cases[] = {
        { NULL, "etag:\"", false },
        { "fault=etag&value=%22v1%22", "etag:\"v1\"", false },
        { "fault=weak", "lm:", true },
        { "fault=noetag", "lm:", true },
        { "fault=novalidator", "weak:;size:300000", true },
        { "fault=etag&value=bare", "lm:", true },
        { "fault=etag&value=%22a%22b%22", "lm:", true },
        { "fault=etag&value=%22%09%22", "lm:", true },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        origin_server_order(&server, cases[i].order);
        const struct origin_version by_head = version_of_clip();
        origin_server_order(&server, cases[i].order);
        const struct outcome r = read_clip(NULL, 0, 10);
        assert_int_equal(r.code, 0);
        assert_true(origin_version_equal(&by_head, &r.version));
        assert_int_equal(r.version.size, SIZE);
        assert_int_equal(r.version.weak, cases[i].weak);
        assert_memory_equal(r.version.validator, cases[i].text, strlen(cases[i].text));
    }
    // A validator that does not fit is an error or is not used, never cut.
    char order[600] = "fault=etag&value=%22";
    memset(order + strlen(order), 'x', 400);
    strcat(order, "%22");
    origin_server_order(&server, order);
    assert_memory_equal(read_clip(NULL, 0, 10).version.validator, "lm:", 3);
}

static void reads_ranges(void **state)
{
    (void)state;
    static const struct {
        int64_t offset, n;
        size_t bytes;
        int requests;
    } cases[] = {
        { 0, 1, 1, 1 },
        { 0, SIZE, SIZE, 1 },
        { 0, 10 * SIZE, SIZE, 1 },
        { 1000, 100000, 100000, 1 },
        { SIZE - 1, 1, 1, 1 },
        { SIZE - 10, 100, 10, 1 },
        { SIZE, 10, 0, 1 },
        { INT64_MAX - 10, 10, 0, 1 },
        { 5, 0, 0, 1 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        for (int wanted = 0; wanted <= 1; wanted++) {
            const struct origin_version want = version_of_clip();
            origin_server_order(&server, NULL);
            const int64_t before = stat_get(STAT_origin_bytes_total);
            const struct outcome r = read_clip(wanted ? &want : NULL, cases[i].offset, cases[i].n);
            assert_int_equal(r.code, 0);
            assert_int_equal(r.bytes, cases[i].bytes);
            assert_int_equal(r.version.size, SIZE);
            assert_int_equal(r.totals.requests, cases[i].requests);
            assert_int_equal(r.totals.bytes, cases[i].bytes);
            const int64_t extra = cases[i].bytes ? 0 : 3; // the body of a 416
            assert_in_range(stat_get(STAT_origin_bytes_total) - before, cases[i].bytes,
                            cases[i].bytes + extra);
            if (wanted)
                assert_true(origin_version_equal(&want, &r.version));
        }
    }
    struct origin *o = create(&settings);
    const struct outcome r = read_with(o, "empty.mp4", NULL, 0, 100, NULL);
    assert_int_equal(r.code, 0);
    assert_int_equal(r.bytes + (size_t)r.version.size, 0);
    o->destroy(o);
}

static void survives_a_faulty_origin(void **state)
{
    (void)state;
    enum { ANY, SAME }; // the version that is wanted
    static const struct {
        const char *order;
        int want, code, requests;
        int64_t offset, n;
    } cases[] = {
        // ranges that are not what was asked for
        { "fault=norange", SAME, 0, 1, 0, 1000 },
        { "fault=norange", SAME, 0, 1, 100000, 1000 },
        { "fault=norange", ANY, 0, 1, SIZE - 5, 1000 },
        { "fault=norange", ANY, 0, 1, SIZE + 5, 1000 },
        { "fault=nolength", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=badstart", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=badstart&n=1000", SAME, -E_ORIGIN, 1, 1000, 1000 },
        { "fault=short", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=badtotal", SAME, -E_CHANGED, 1, 0, 1000 },
        { "fault=badrange&value=", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-99/*", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%20*/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=items%200-99/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-99/300000x", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-99", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%20-1-99/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-%2B99/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-99/50", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-99/-1", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-99/99999999999999999999", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%20100-199/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%2050-99/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-9/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=badrange&value=bytes%200-100/300000", ANY, -E_ORIGIN, 1, 0, 100 },
        // other versions
        { "fault=etag&value=%22other%22", SAME, -E_CHANGED, 1, 0, 100 },
        { "fault=etag&value=%22other%22 fault=ignorematch", SAME, -E_CHANGED, 1, 0, 100 },
        { "fault=etag&value=%22other%22 fault=ignorematch fault=norange", SAME, -E_CHANGED, 1, 0,
          9 },
        { "fault=weak fault=ignorematch", SAME, -E_CHANGED, 1, 0, 100 },
        { "fault=noetag fault=ignorematch", SAME, -E_CHANGED, 1, 0, 100 },
        { "fault=gzip", ANY, -E_ORIGIN, 1, 0, 1000 },
        // answers that are none
        { "fault=status&n=404", ANY, -E_NOT_FOUND, 1, 0, 100 },
        { "fault=status&n=403", ANY, -E_NOT_FOUND, 1, 0, 100 },
        { "fault=status&n=410", ANY, -E_NOT_FOUND, 1, 0, 100 },
        { "fault=status&n=401", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=status&n=304", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=status&n=416", ANY, -E_ORIGIN, 1, 0, 100 },
        { "fault=status&n=412", ANY, -E_CHANGED, 1, 0, 100 },
        { "fault=status&n=503", ANY, 0, 2, 0, 100 },
        { "fault=status&n=429", ANY, 0, 2, 0, 100 },
        { "fault=status&n=500&count=2", ANY, 0, 3, 0, 100 },
        { "fault=status&n=500&count=0", ANY, -E_ORIGIN, 3, 0, 100 },
        // bodies that break off
        { "fault=truncate&n=0", ANY, 0, 2, 0, 1000 },
        { "fault=truncate&n=999", ANY, 0, 2, 0, 1000 },
        { "fault=truncate&n=100000", SAME, 0, 2, 0, SIZE },
        { "fault=truncate&n=400&count=0", ANY, 0, 3, 0, 1000 }, // by and by
        { "fault=truncate&n=99&count=0", ANY, -E_ORIGIN, 3, 0, 1000 },
        { "fault=norange fault=truncate&n=999", ANY, 0, 1, 0, 500 }, // has all it wanted
        { "fault=norange fault=truncate&n=999", ANY, 0, 2, 500, 500 },
        { "fault=truncate&n=400 fault=etag&value=%22v1%22 fault=etag&value=%22v2%22", ANY,
          -E_CHANGED, 2, 0, 1000 },
        { "fault=truncate&n=400 fault=etag&value=%22v1%22 fault=etag&value=%22v2%22 "
          "fault=ignorematch&count=2",
          ANY, -E_CHANGED, 2, 0, 1000 },
        { "fault=truncate&n=0 fault=etag&value=%22v1%22", ANY, 0, 2, 0,
          1000 }, // nothing came of v1
        { "fault=reset&n=0", ANY, 0, 2, 0, 1000 },
        { "fault=reset&n=10000", ANY, 0, 2, 0, 100000 },
        { "fault=reset&n=10000&count=0", ANY, -E_ORIGIN, 3, 0, 100000 },
        { "fault=stall&n=0&count=0", ANY, -E_ORIGIN_TIMEOUT, 1, 0, 1000 },
        { "fault=stall&n=100000&count=0", ANY, -E_ORIGIN_TIMEOUT, 1, 0, SIZE },
        { "fault=norange fault=stall&n=2000", ANY, 0, 1, 1000, 1000 },
        { "fault=mute&count=0", ANY, -E_ORIGIN_TIMEOUT, 1, 0, 1000 },
        { "fault=drip&n=1&ms=20", ANY, -E_ORIGIN_TIMEOUT, 1, 0, 1000 },
        { "fault=drip&n=65536&ms=100", ANY, 0, 1, 0, SIZE }, // slow, but it gets on
        { "fault=close", ANY, 0, 1, 0, 1000 },
        // redirects
        { "fault=redirect&count=3", SAME, 0, 4, 5, 1000 },
        { "fault=redirect&count=4", ANY, -E_ORIGIN, 4, 0, 1000 },
        { "fault=redirect&value=none.mp4", ANY, -E_NOT_FOUND, 2, 0, 1000 },
        { "fault=redirect&value=file:///etc/passwd", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=ftp://127.0.0.1/", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://169.254.169.254/latest", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://2852039166/latest", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://[::ffff:169.254.169.254]/", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://[fe80::1]/", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://[64:ff9b::a9fe:a9fe]/", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://[2002:a9fe:a9fe::1]/", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://224.0.0.1/", ANY, -E_ORIGIN, 1, 0, 1000 },
        { "fault=redirect&value=http://255.255.255.255/", ANY, -E_ORIGIN, 1, 0, 1000 },
    };
    origin_server_order(&server, NULL);
    const struct origin_version same = version_of_clip();
    for (size_t i = 0; i < countof(cases); i++) {
        origin_server_order(&server, cases[i].order);
        const struct outcome r =
            read_clip(cases[i].want == SAME ? &same : NULL, cases[i].offset, cases[i].n);
        const int64_t there = cases[i].offset < SIZE ? SIZE - cases[i].offset : 0;
        const int64_t bytes = cases[i].code ? 0 : there < cases[i].n ? there : cases[i].n;
        if (r.code != cases[i].code || r.bytes != (size_t)bytes ||
            r.totals.requests != cases[i].requests)
            fail_msg("%s: %s, %zu bytes, %d requests", cases[i].order, err_name(r.code), r.bytes,
                     r.totals.requests);
        if (r.code == 0)
            assert_true(origin_version_equal(&r.version, &same));
        // The next one is good again.
        origin_server_order(&server, NULL);
        assert_int_equal(read_clip(&same, 0, 100).code, 0);
    }
}

// What somebody hears of a read whose bytes come.
struct hearer {
    struct origin_progress progress;
    const struct buf *out;
    const uint8_t *begin;
    int64_t offset, have;
    char validator[ORIGIN_VALIDATOR_MAX];
};

static void hear(struct origin_progress *p, const struct origin_version *got, int64_t have)
{
    struct hearer *const h = container_of(p, struct hearer, progress);
    assert_true(have > h->have);
    if (h->have > 0)
        assert_string_equal(got->validator, h->validator);
    assert_ptr_equal(h->out->data, h->begin); // what came has not moved
    assert_memory_equal(h->begin, content + h->offset, (size_t)have);
    strcpy(h->validator, got->validator);
    h->have = have;
}

static void goes_on_where_it_was_cut(void **state)
{
    (void)state;
    const struct conf patient = { .origin_connect_timeout = 2000,
                                  .origin_timeout = 2000,
                                  .origin_retries = 2,
                                  .origin_connections = 4 };
    struct origin *o = create(&patient);
    struct buf b;
    buf_init(&b, SIZE);
    assert_int_equal(buf_reserve(&b, 200000), 0);
    struct hearer h = { .progress.came = hear, .out = &b, .begin = b.data, .offset = 1000 };
    struct origin_version v;
    origin_server_order(&server,
                        "fault=truncate&n=70000&count=2 fault=etag&value=%22v1%22&count=3");
    assert_int_equal(o->read(o, "clip.mp4", NULL, 1000, 200000, &b, &v, &h.progress, NULL), 0);
    assert_int_equal(b.len, 200000);
    assert_int_equal(h.have, 200000);
    assert_memory_equal(b.data, content + 1000, 200000);
    assert_string_equal(v.validator, "etag:\"v1\"");
    char *log = origin_server_get(&server, "/__log");
    const char *at = log;
    static const char *const asked[] = { "bytes=1000-200999", "bytes=71000-200999",
                                         "bytes=141000-200999" };
    for (size_t i = 0; i < countof(asked); i++) {
        at = strstr(at, asked[i]);
        assert_non_null(at);
    }
    assert_non_null(strstr(at, "\"if_match\": \"\\\"v1\\\"\""));
    free(log);
    assert_int_equal(origin_server_totals(&server).requests, 3);

    // What came stays in its place also when it fails in the end.
    h.have = 0;
    origin_server_order(&server, "fault=reset&n=20000&count=0");
    assert_int_equal(o->read(o, "clip.mp4", NULL, 1000, 200000, &b, &v, &h.progress, NULL),
                     -E_ORIGIN);
    assert_in_range(h.have, 1, 60000);
    assert_int_equal(b.len, 0);
    assert_memory_equal(h.begin, content + 1000, (size_t)h.have);
    buf_finish(&b);
    o->destroy(o);
}

static void survives_a_cut_anywhere(void **state)
{
    (void)state;
    const struct conf once = { .origin_connect_timeout = 2000,
                               .origin_timeout = 2000,
                               .origin_connections = 4 };
    struct origin *o = create(&once);
    for (int i = 0; i < 100; i++) {
        char order[64];
        snprintf(order, sizeof order, "fault=%s&n=%d", i % 2 ? "truncate" : "reset",
                 i * (SIZE / 100) + i % 7);
        origin_server_order(&server, order);
        const struct outcome cut = read_with(o, "clip.mp4", NULL, 0, SIZE, NULL);
        assert_int_equal(cut.code, -E_ORIGIN);
        assert_int_equal(cut.bytes, 0);
        assert_int_equal(read_with(o, "clip.mp4", NULL, 0, SIZE, NULL).bytes, SIZE);
    }
    o->destroy(o);
}

static void asks_for_what_it_means(void **state)
{
    (void)state;
    static const struct {
        const char *path, *url;
    } cases[] = {
        { "a b.mp4", "\"/a%20b.mp4\"" },
        { "50%.mp4", "\"/50%25.mp4\"" },
        { "%2e.mp4", "\"/%252e.mp4\"" },
        { "what?x=1.mp4", "\"/what%3Fx%3D1.mp4\"" },
        { "a#b.mp4", "\"/a%23b.mp4\"" },
        { "a+b.mp4", "\"/a%2Bb.mp4\"" },
        { "\xc3\xbcn\xc3\xaf.mp4", "\"/%C3%BCn%C3%AF.mp4\"" },
        { "a&b;c@d!.mp4", "\"/a%26b%3Bc%40d%21.mp4\"" },
        { "(1)-_.~[2].mp4", "\"/%281%29-_.~%5B2%5D.mp4\"" },
        { "deep/er/...mp4", "\"/deep/er/...mp4\"" },
    };
    struct origin *o = create(&settings);
    char *deep = xasprintf("mkdir -p %s/deep/er", server.folder);
    assert_int_equal(system(deep), 0);
    free(deep);
    for (size_t i = 0; i < countof(cases); i++) {
        origin_server_put(&server, cases[i].path, content, 100 + i);
        origin_server_order(&server, NULL);
        assert_int_equal(read_with(o, cases[i].path, NULL, 0, 1000, NULL).bytes, 100 + i);
        char *log = origin_server_get(&server, "/__log");
        assert_non_null(strstr(log, cases[i].url));
        assert_non_null(strstr(log, "\"range\": \"bytes=0-999\""));
        free(log);
    }
    origin_server_order(&server, NULL);
    static const char *const bad[] = { "", "../x", "a/../b", "a//b", "/a", "a/", "x\r\ny", "\xff" };
    for (size_t i = 0; i < countof(bad); i++)
        assert_int_equal(read_with(o, bad[i], NULL, 0, 10, NULL).code, -E_BAD_REQUEST);
    assert_int_equal(origin_server_totals(&server).requests, 0);
    o->destroy(o);
}

static void pins_the_version(void **state)
{
    (void)state;
    origin_server_order(&server, NULL);
    const struct origin_version v = version_of_clip();
    assert_int_equal(read_clip(&v, 10, 10).code, 0);
    char *log = origin_server_get(&server, "/__log");
    assert_non_null(strstr(log, "\"if_match\": \"\\\""));
    free(log);
}

static void keeps_connections(void **state)
{
    (void)state;
    origin_server_order(&server, NULL);
    struct origin *o = create(&settings);
    const int64_t before = stat_get(STAT_origin_connections_total);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(read_with(o, "clip.mp4", NULL, i * 100, 1000, NULL).code, 0);
        assert_int_equal(read_with(o, "none.mp4", NULL, 0, 10, NULL).code, -E_NOT_FOUND);
        assert_int_equal(read_with(o, "clip.mp4", NULL, SIZE, 10, NULL).code, 0);
    }
    const struct origin_server_totals t = origin_server_totals(&server);
    assert_int_equal(t.requests, 60);
    assert_int_equal(t.connections, 1);
    assert_int_equal(stat_get(STAT_origin_connections_total) - before, 1);
    o->destroy(o);
}

struct reader {
    struct origin *origin;
    struct cancel *cancel;
    int64_t offset, n;
    struct outcome outcome;
};

static void *run_reader(void *arg)
{
    struct reader *r = arg;
    r->outcome = read_with(r->origin, "clip.mp4", NULL, r->offset, r->n, r->cancel);
    return NULL;
}

static void shares_few_connections(void **state)
{
    (void)state;
    origin_server_order(&server, NULL);
    struct origin *o = create(&settings);
    struct reader r[16];
    pthread_t t[16];
    for (int i = 0; i < 16; i++) {
        r[i] = (struct reader){ .origin = o, .offset = i * 10000, .n = 10000 };
        t[i] = thread_start("reader", run_reader, &r[i]);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(r[i].outcome.code, 0);
        assert_int_equal(r[i].outcome.bytes, 10000);
    }
    const struct origin_server_totals totals = origin_server_totals(&server);
    assert_int_equal(totals.requests, 16);
    assert_in_range(totals.connections, 1, 4);
    o->destroy(o);
}

static void knows_what_is_worth_waiting_for(void **state)
{
    (void)state;
    static const struct {
        int64_t left, seen, since_us, fresh_us, kept_us;
        bool soon;
    } cases[] = {
        { 99, 100, 50000, 150000, 100000, true },
        { 100, 100, 50000, 150000, 100000, false },
        { 99, 100, 50000, 100000, 0, true }, // half of the way to the first byte
        { 100, 100, 50000, 100000, 0, false },
        { 99, 100, 10000, 1000, 900, true }, // any connection starts slowly
        { 100, 100, 10000, 100, 900, false },
        { INT64_MAX, 1, 0, 0, 0, true }, // the first bytes came this moment
        { 0, 1, INT64_MAX, 0, 0, true },
        { INT64_MAX, 1, INT64_MAX, INT64_MAX, 0, false },
    };
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(transfer_is_soon(cases[i].left, cases[i].seen, cases[i].since_us,
                                          cases[i].fresh_us, cases[i].kept_us),
                         cases[i].soon);
}

// Nobody waits for a connection whose answer stands still.
static void goes_around_what_stands_still(void **state)
{
    (void)state;
    const struct conf patient = { .origin_connect_timeout = 2000,
                                  .origin_timeout = 20000,
                                  .origin_connections = 4 };
    struct origin *o = create(&patient);
    origin_server_order(&server, "fault=pause&n=200000 fault=pause&n=200000&path=none&count=0");
    struct reader first = { .origin = o, .n = SIZE }, second = { .origin = o, .n = 1000 };
    pthread_t t = thread_start("first", run_reader, &first);
    while (origin_server_totals(&server).bytes < 200000)
        continue;
    run_reader(&second);
    assert_int_equal(second.outcome.bytes, 1000);
    origin_server_order(&server, NULL);
    pthread_join(t, NULL);
    assert_int_equal(first.outcome.bytes, SIZE);
    o->destroy(o);
}

static void can_be_cancelled(void **state)
{
    (void)state;
    static const struct {
        const char *order;
        int requests; // seen before it is cancelled
    } cases[] = {
        { "fault=mute&count=0", 1 },
        { "fault=stall&n=100&count=0", 1 },
        { "fault=status&n=503&count=0", 2 }, // between two tries
    };
    const struct conf patient = { .origin_connect_timeout = 60000,
                                  .origin_timeout = 60000,
                                  .origin_retries = 8,
                                  .origin_connections = 4 };
    for (size_t i = 0; i < countof(cases); i++) {
        origin_server_order(&server, cases[i].order);
        struct origin *o = create(&patient);
        struct cancel cancel;
        atomic_init(&cancel.set, false);
        struct reader r = { .origin = o, .cancel = &cancel, .n = 1000 };
        pthread_t t = thread_start("reader", run_reader, &r);
        while (origin_server_totals(&server).requests < cases[i].requests)
            ;
        atomic_store(&cancel.set, true);
        pthread_join(t, NULL);
        assert_int_equal(r.outcome.code, -E_CANCELLED);
        assert_int_equal(read_with(o, "clip.mp4", NULL, 0, 10, &cancel).code, -E_CANCELLED);
        o->destroy(o);
    }
}

static void retries_within_a_budget(void **state)
{
    (void)state;
    origin_server_order(&server, "fault=status&n=503&count=0");
    struct conf conf = settings;
    conf.origin_retries = 1;
    struct origin *o = create(&conf);
    const int64_t retries = stat_get(STAT_origin_retries_total);
    const int64_t errors = stat_get(STAT_origin_errors_total);
    for (int i = 0; i < 30; i++)
        assert_int_equal(read_with(o, "clip.mp4", NULL, 0, 10, NULL).code, -E_ORIGIN);
    const int retried = origin_server_totals(&server).requests - 30;
    assert_in_range(retried, 8, 8 + 30 / 5);
    assert_int_equal(stat_get(STAT_origin_retries_total) - retries, retried);
    assert_int_equal(stat_get(STAT_origin_errors_total) - errors, 30);
    o->destroy(o);
}

static void tells_an_origin_that_is_down(void **state)
{
    (void)state;
    char why[256];
    struct conf patient = settings; // whoever resolves names may be slow
    patient.origin_connect_timeout = patient.origin_timeout = 20000;
    struct origin *o = origin_http_create(&patient, "http://127.0.0.1:1", NULL, why, sizeof why);
    assert_int_equal(read_with(o, "clip.mp4", NULL, 0, 10, NULL).code, -E_ORIGIN);
    o->destroy(o);
    o = origin_http_create(&patient, "http://host.invalid/", NULL, why, sizeof why);
    assert_int_equal(read_with(o, "clip.mp4", NULL, 0, 10, NULL).code, -E_ORIGIN);
    o->destroy(o);
}

static void ignores_the_environments_proxy(void **state)
{
    (void)state;
    origin_server_order(&server, NULL);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    assert_int_equal(read_clip(NULL, 0, 10).code, 0);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

static void refuses_what_is_no_base(void **state)
{
    (void)state;
    static const char *const bad[] = { "",           "host/x/",     "ftp://host/", "file:///etc/",
                                       "http://",    "http://a b/", "http://h/?q", "http://h/#f",
                                       "gopher://h/" };
    for (size_t i = 0; i < countof(bad); i++) {
        char why[256] = "";
        assert_null(origin_http_create(&settings, bad[i], NULL, why, sizeof why));
        assert_true(why[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_versions),
        cmocka_unit_test(reads_ranges),
        cmocka_unit_test(survives_a_faulty_origin),
        cmocka_unit_test(goes_on_where_it_was_cut),
        cmocka_unit_test(survives_a_cut_anywhere),
        cmocka_unit_test(asks_for_what_it_means),
        cmocka_unit_test(pins_the_version),
        cmocka_unit_test(keeps_connections),
        cmocka_unit_test(shares_few_connections),
        cmocka_unit_test(knows_what_is_worth_waiting_for),
        cmocka_unit_test(goes_around_what_stands_still),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(retries_within_a_budget),
        cmocka_unit_test(tells_an_origin_that_is_down),
        cmocka_unit_test(ignores_the_environments_proxy),
        cmocka_unit_test(refuses_what_is_no_base),
    };
    return cmocka_run_group_tests_name("origin_http", tests, setup, teardown);
}
