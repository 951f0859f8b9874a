// SPDX-License-Identifier: BSD-2-Clause
//
// Raw sockets against a small handler, because what matters is the bytes.
// Nothing sleeps: a client waits for bytes or for the end of the connection, and
// the test for the handler's counters.  A receive timeout only turns a hang into
// a failure.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/stat.h"
#include "cache/object.h"
#include "config/conf.h"
#include "server/http.h"

#define BODY 300000
#define HUGE_BODY ((size_t)(50 * BODY))
#define TAG "\"0123456789abcdef\""

// ---- the handler

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begun, steps, done, gone, cut, described;
    struct http_outcome last;
    char last_path[256], last_query[256], last_client[64];
    struct object *made; // what /made serves; with ?prepared, as what is the same for all
    int held;            // steps that wait in the handler until released: "hold"
    bool released;
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint8_t pattern[BODY];

static struct object *whole_object(size_t n)
{
    const struct key k = key_of("whole", 5);
    struct object *const o = object_create(&k, BODY, NULL);
    assert_int_equal(object_append(o, pattern, n), 0);
    object_commit(o);
    return o;
}

// More than the system takes of an answer before the client does.
static struct object *huge_object(void)
{
    const struct key k = key_of("huge", 4);
    struct object *const o = object_create(&k, HUGE_BODY, NULL);
    for (size_t n = 0; n < HUGE_BODY; n += BODY)
        assert_int_equal(object_append(o, pattern, BODY), 0);
    object_commit(o);
    return o;
}

static struct object *open_object(const char *path)
{
    struct object *o;
    if (strcmp(path, "/huge") == 0)
        return huge_object();
    if (strcmp(path, "/whole") == 0)
        return whole_object(BODY);
    if (strcmp(path, "/empty") == 0)
        return whole_object(0);
    if (strcmp(path, "/made") != 0)
        return NULL;
    lock(&seen.lock);
    o = object_ref(seen.made);
    unlock(&seen.lock);
    return o;
}

static void describe(void *arg, struct http_exchange *x, struct reply *r)
{
    (void)arg;
    struct reply_facts f = { .content_type = "video/mp4",
                             .etag = TAG,
                             .immutable = true,
                             .source = FROM_MEMORY,
                             .whole = object_state(x->object) == OBJECT_WHOLE };
    f.size = f.whole ? object_size(x->object) : 0;
    reply_object(r, &x->request, &f);
    lock(&seen.lock);
    seen.described++;
    unlock(&seen.lock);
}

static enum http_verdict answer_object(struct http_exchange *x, struct reply *r,
                                       struct object **wait_for, size_t *have)
{
    const enum object_state state = object_state(x->object);
    const bool head = x->request.method == METHOD_HEAD;
    if (state == OBJECT_FAILED && object_size(x->object) == 0) {
        reply_problem(r, &x->request, object_error(x->object), NULL, NULL);
        return HTTP_REPLY;
    }
    *have = object_size(x->object);
    if (state == OBJECT_MAKING && !head && !x->request.if_none_match &&
        (*have == 0 || reply_needs_whole(&x->request))) {
        *wait_for = x->object;
        return HTTP_WAIT;
    }
    if (strcmp(x->query, "prepared") == 0)
        return HTTP_PREPARED;
    describe(NULL, x, r);
    return HTTP_REPLY;
}

static void hold(void)
{
    lock(&seen.lock);
    seen.held++;
    pthread_cond_broadcast(&seen.changed);
    while (!seen.released)
        pthread_cond_wait(&seen.changed, &seen.lock);
    unlock(&seen.lock);
}

static void release(void)
{
    lock(&seen.lock);
    seen.released = true;
    pthread_cond_broadcast(&seen.changed);
    unlock(&seen.lock);
}

static enum http_verdict serve(struct http_exchange *x, bool first, struct reply *r,
                               struct object **wait_for, size_t *have)
{
    if (!first && strcmp(x->query, "hold") == 0)
        hold();
    if (first && strcmp(x->query, "stale") == 0) {
        *wait_for = x->object;
        *have = 1;
        return HTTP_WAIT;
    }
    if (x->request.method == METHOD_OPTIONS) {
        reply_options(r, &x->request);
        return HTTP_REPLY;
    }
    if (x->object)
        return answer_object(x, r, wait_for, have);
    if (x->request.method == METHOD_POST) {
        r->status = 200;
        r->body = BODY_TEXT;
        buf_append(&r->text, x->body, x->body_size);
        return HTTP_REPLY;
    }
    if (strcmp(x->path, "/text") != 0) {
        reply_problem(r, &x->request, E_NOT_FOUND, NULL, "id-1");
        return HTTP_REPLY;
    }
    r->status = 200;
    r->body = BODY_TEXT;
    buf_printf(&r->text, "gzip %d", x->accepts_gzip);
    return HTTP_REPLY;
}

static void begin(struct http_exchange *x)
{
    x->state = xstrdup("state");
    x->object = open_object(x->path);
    if (x->object)
        object_join(x->object);
    lock(&seen.lock);
    seen.begun++;
    copy_string(seen.last_path, sizeof seen.last_path, x->path);
    copy_string(seen.last_query, sizeof seen.last_query, x->query);
    copy_string(seen.last_client, sizeof seen.last_client, x->client);
    unlock(&seen.lock);
}

static enum http_verdict step(void *arg, struct http_exchange *x, struct reply *r,
                              struct object **wait_for, size_t *have)
{
    (void)arg;
    const bool first = !x->state;
    if (first)
        begin(x);
    const enum http_verdict verdict = serve(x, first, r, wait_for, have);
    lock(&seen.lock);
    seen.steps++;
    pthread_cond_broadcast(&seen.changed);
    unlock(&seen.lock);
    return verdict;
}

static void done(void *arg, struct http_exchange *x, const struct http_outcome *o)
{
    (void)arg;
    assert_non_null(x->state);
    free(x->state);
    if (x->object)
        object_leave(x->object);
    object_unref(&x->object);
    lock(&seen.lock);
    seen.done++;
    seen.gone += o->client_gone;
    seen.cut += o->cut;
    seen.last = *o;
    pthread_cond_broadcast(&seen.changed);
    unlock(&seen.lock);
}

static void wait_for(const int *counter, int n)
{
    const int64_t deadline = clock_ms() + 20000;
    lock(&seen.lock);
    bool in_time = true;
    while (*counter < n && in_time)
        in_time = cond_wait_until(&seen.changed, &seen.lock, deadline);
    unlock(&seen.lock);
    assert_true(in_time);
}

static struct http_outcome last_outcome(void)
{
    lock(&seen.lock);
    const struct http_outcome last = seen.last;
    unlock(&seen.lock);
    return last;
}

// What "/made" is from now on.
static struct object *make_most(size_t most)
{
    const struct key k = key_of("made", 4);
    struct object *const o = object_create(&k, most, NULL);
    lock(&seen.lock);
    struct object *old = seen.made;
    seen.made = o;
    unlock(&seen.lock);
    object_unref(&old);
    return o;
}

static struct object *make(void)
{
    return make_most(BODY);
}

static void append(struct object *o, size_t from, size_t n)
{
    assert_int_equal(object_append(o, pattern + from, n), 0);
}

// ---- the server

static struct conf settings(void)
{
    return (struct conf){ .http_connections = 1000,
                          .http_header_timeout = 10000,
                          .http_idle_timeout = 60000 };
}

static bool posts(void *arg, const char *path)
{
    (void)arg;
    return strcmp(path, "/post") == 0;
}

static struct http *start_with(const struct conf *conf, const char *address, int threads)
{
    static const struct http_handler handler = {
        .posts = posts, .step = step, .describe = describe, .done = done
    };
    char why[256] = "";
    struct http *const h = http_start(conf, address, threads, &handler, why, sizeof why);
    if (!h)
        fail_msg("%s", why);
    return h;
}

static struct http *start(int threads)
{
    const struct conf conf = settings();
    return start_with(&conf, "127.0.0.1:0", threads);
}

// Stops it; every exchange that began has been done by then.
static void stop(struct http *h)
{
    http_stop(h);
    assert_int_equal(seen.begun, seen.done);
    assert_int_equal(stat_get(STAT_http_connections), 0);
}

static int reset(void **state)
{
    (void)state;
    seen.begun = seen.steps = seen.done = seen.gone = seen.cut = seen.held = seen.described = 0;
    seen.released = false;
    memset(&seen.last, 0, sizeof seen.last);
    object_unref(&seen.made);
    return 0;
}

// ---- the client

struct conn {
    int fd;
    char in[1 << 20];
    size_t len; // received and not yet used
    bool ended;
};

// With a receive buffer and a segment size of its own; 0: the system's.
static struct conn *dial_with(const struct http *h, int buffer, int segment)
{
    struct conn *const c = xcalloc(1, sizeof *c);
    struct sockaddr_storage a = { 0 };
    socklen_t len;
    const char *const address = http_address(h);
    const int port = atoi(strrchr(address, ':') + 1);
    if (strncmp(address, "unix:", 5) == 0) {
        struct sockaddr_un *const un = (struct sockaddr_un *)&a;
        un->sun_family = AF_UNIX;
        copy_string(un->sun_path, sizeof un->sun_path, address + 5);
        len = sizeof *un;
    } else if (address[0] == '[') {
        struct sockaddr_in6 *const in6 = (struct sockaddr_in6 *)&a;
        *in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                      .sin6_port = htons((uint16_t)port),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        len = sizeof *in6;
    } else {
        struct sockaddr_in *const in = (struct sockaddr_in *)&a;
        *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        len = sizeof *in;
    }
    c->fd = socket(a.ss_family, SOCK_STREAM, 0);
    const struct timeval limit = { .tv_sec = 20 };
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (buffer)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (segment)
        setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&a, len), 0);
    return c;
}

static struct conn *dial(const struct http *h)
{
    return dial_with(h, 0, 0);
}

static void hang_up(struct conn *c)
{
    close(c->fd);
    free(c);
}

static void put(struct conn *c, const void *bytes, size_t n)
{
    // The server may have closed already: then there is an answer to read.
    while (n) {
        const ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes = (const char *)bytes + sent;
        n -= (size_t)sent;
    }
}

static void ask(struct conn *c, const char *line, const char *fields)
{
    char request[12000];
    const int n =
        snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n", line, fields);
    put(c, request, (size_t)n);
}

// More bytes; false at the end of the connection.
static bool more(struct conn *c)
{
    if (c->ended)
        return false;
    const ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len - 1, 0);
    if (n < 0 && errno == EAGAIN)
        fail_msg("nothing came");
    if (n <= 0) {
        c->ended = true;
        return false;
    }
    c->len += (size_t)n;
    c->in[c->len] = '\0';
    return true;
}

static void use(struct conn *c, size_t n)
{
    c->len -= n;
    memmove(c->in, c->in + n, c->len + 1);
}

static bool at_end(struct conn *c)
{
    while (c->len == 0)
        if (!more(c))
            return true;
    return false;
}

struct answer {
    int status; // 0 when the connection ended before the header did
    char head[4096];
    uint8_t body[BODY + 1];
    size_t n;
    bool whole; // the body came to its end as promised
};

static const char *field(const struct answer *a, const char *name)
{
    static char value[1024];
    const size_t n = strlen(name);
    for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
            return value;
        }
    }
    return NULL;
}

static void read_head(struct conn *c, struct answer *a)
{
    char *end;
    a->status = 0;
    a->n = 0;
    a->whole = false;
    a->head[0] = '\0';
    while (c->len == 0 || !(end = strstr(c->in, "\r\n\r\n")))
        if (!more(c))
            return;
    const size_t n = (size_t)(end - c->in) + 4;
    assert_true(n < sizeof a->head);
    memcpy(a->head, c->in, n);
    a->head[n] = '\0';
    use(c, n);
    assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
}

// Exactly n bytes of body, or fewer at the end of the connection.
static bool take(struct conn *c, struct answer *a, size_t n)
{
    while (n) {
        if (c->len == 0 && !more(c))
            return false;
        const size_t now = n < c->len ? n : c->len;
        assert_true(a->n + now <= sizeof a->body);
        memcpy(a->body + a->n, c->in, now);
        a->n += now;
        n -= now;
        use(c, now);
    }
    return true;
}

// One chunk; false at the end of the connection.  *last for the empty one.
static bool take_chunk(struct conn *c, struct answer *a, bool *last)
{
    char *end;
    while (c->len == 0 || !(end = strstr(c->in, "\r\n")))
        if (!more(c))
            return false;
    const size_t n = strtoul(c->in, NULL, 16);
    use(c, (size_t)(end - c->in) + 2);
    *last = n == 0;
    if (!take(c, a, n))
        return false;
    while (c->len < 2)
        if (!more(c))
            return false;
    assert_memory_equal(c->in, "\r\n", 2);
    use(c, 2);
    return true;
}

static void read_body(struct conn *c, struct answer *a)
{
    if (field(a, "Transfer-Encoding")) {
        bool last = false;
        while (!last)
            if (!take_chunk(c, a, &last))
                return;
        a->whole = true;
    } else if (field(a, "Content-Length")) {
        a->whole = take(c, a, strtoul(field(a, "Content-Length"), NULL, 10));
    } else {
        while (c->len || more(c))
            take(c, a, c->len);
    }
}

static struct answer *get(struct conn *c, bool bodiless)
{
    static struct answer a;
    read_head(c, &a);
    if (a.status && !bodiless && a.status != 204 && a.status != 304)
        read_body(c, &a);
    return &a;
}

// ---- tests

static void keeps_alive(void **state)
{
    (void)state;
    static const struct {
        const char *line, *fields;
        int status;
        size_t from, n;
        const char *length; // Content-Length
    } rows[] = {
        { "GET /whole", "", 200, 0, BODY, "300000" },
        { "GET /whole", "Range: bytes=100-299\r\n", 206, 100, 200, "200" },
        { "GET /whole", "If-None-Match: " TAG "\r\n", 304, 0, 0, "300000" },
        { "HEAD /whole", "", 200, 0, 0, "300000" },
        { "HEAD /whole", "Range: bytes=1-2\r\n", 200, 0, 0, "300000" },
        { "HEAD /whole", "If-None-Match: *\r\n", 304, 0, 0, "300000" },
        { "HEAD /nothing", "", 404, 0, 0, NULL },
        { "OPTIONS /whole", "", 204, 0, 0, NULL },
        { "GET /whole", "Range: bytes=-5\r\n", 206, BODY - 5, 5, "5" },
        { "GET /whole", "Content-Length: 0\r\n", 200, 0, BODY, "300000" },
        { "GET /empty", "", 200, 0, 0, "0" },
        { "HEAD /empty", "", 200, 0, 0, "0" },
        { "GET http://elsewhere:80/whole?q", "Range: bytes=0-0\r\n", 206, 0, 1, "1" },
        { "GET /whole", "", 200, 0, BODY, "300000" },
    };
    for (int threads = 1; threads <= 3; threads += 2) {
        struct http *const h = start(threads);
        struct conn *const c = dial(h);
        for (size_t i = 0; i < countof(rows); i++) {
            ask(c, rows[i].line, rows[i].fields);
            const struct answer *const a = get(c, rows[i].line[0] == 'H');
            assert_int_equal(a->status, rows[i].status);
            assert_null(field(a, "Connection"));
            assert_null(field(a, "Transfer-Encoding"));
            if (rows[i].length)
                assert_string_equal(field(a, "Content-Length"), rows[i].length);
            if (a->status == 204)
                assert_null(field(a, "Content-Length"));
            if (a->status == 200 || a->status == 206) {
                assert_int_equal(a->n, rows[i].n);
                assert_memory_equal(a->body, pattern + rows[i].from, a->n);
            }
        }
        // Several answers to errors and text, and the connection is still there.
        ask(c, "GET /text?a=b&c", "Accept-Encoding: br, gzip\r\nCookie: a=b\r\n");
        const struct answer *a = get(c, false);
        assert_memory_equal(a->body, "gzip 1", 6);
        assert_string_equal(seen.last_path, "/text");
        assert_string_equal(seen.last_query, "a=b&c");
        assert_string_equal(seen.last_client, "127.0.0.1");
        ask(c, "GET /nothing", "");
        a = get(c, false);
        assert_int_equal(a->status, 404);
        assert_string_equal(field(a, "Content-Type"), "application/problem+json");
        assert_string_equal(field(a, "X-Request-Id"), "id-1");
        ask(c, "GET /whole", "Range: bytes=300000-\r\n");
        a = get(c, false);
        assert_int_equal(a->status, 416);
        assert_string_equal(field(a, "Content-Range"), "bytes */300000");
        ask(c, "GET /text", "Connection: close\r\n");
        a = get(c, false);
        assert_memory_equal(a->body, "gzip 0", 6);
        assert_true(at_end(c));
        hang_up(c);
        stop(h);
    }
}

static void targets_are_raw(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        { "/a%2Fb/%2e%2e/%00", "/a%2Fb/%2e%2e/%00", "" },
        { "/a/../b//c", "/a/../b//c", "" },
        { "/a?", "/a", "" },
        { "/a?b?c=%20+&d", "/a", "b?c=%20+&d" },
        { "/?/../x", "/", "/../x" },
        { "http://h/p?q", "/p", "q" },
        { "HTTPS://u@h:1/p", "/p", "" },
        { "http://h", "/", "" },
        { "http://h?q", "/", "q" },
        { "http://", "/", "" },
        { "/\xc3\xa9", "/\xc3\xa9", "" },
    };
    struct http *const h = start(1);
    struct conn *const c = dial(h);
    for (size_t i = 0; i < countof(rows); i++) {
        char line[128];
        snprintf(line, sizeof line, "GET %s", rows[i].target);
        ask(c, line, "");
        assert_int_equal(get(c, false)->status, 404);
        assert_string_equal(seen.last_path, rows[i].path);
        assert_string_equal(seen.last_query, rows[i].query);
    }
    hang_up(c);
    stop(h);
}

static void pipelined(void **state)
{
    (void)state;
    enum { N = 30 };
    struct http *const h = start(2);
    struct conn *const c = dial(h);
    char all[N * 100] = "";
    for (int i = 0; i < N; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all),
                 "GET /whole HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n\r\n", i, 5000 * (i + 1));
    put(c, all, strlen(all));
    for (int i = 0; i < N; i++) {
        const struct answer *const a = get(c, false);
        assert_int_equal(a->status, 206);
        assert_int_equal(a->n, 5000 * (i + 1) - i + 1);
        assert_memory_equal(a->body, pattern + i, a->n);
    }
    hang_up(c);
    stop(h);
}

// What comes is read before more is made, so it must come as it is made.
static void streams_as_made(void **state)
{
    (void)state;
    struct http *const h = start(1);
    struct conn *const c = dial(h);
    struct object *const o = make();
    ask(c, "GET /made", "");
    wait_for(&seen.steps, 1);
    size_t made = 0;
    static struct answer a;
    for (int i = 0; i < 20; i++) {
        const size_t n = i % 2 ? 1 : 10000 + 100 * (size_t)i;
        append(o, made, n);
        made += n;
        if (i == 0)
            read_head(c, &a);
        bool last = false;
        while (a.n < made)
            assert_true(take_chunk(c, &a, &last) && !last);
    }
    assert_int_equal(a.status, 200);
    assert_string_equal(field(&a, "Transfer-Encoding"), "chunked");
    assert_null(field(&a, "Content-Length"));
    object_commit(o);
    bool last;
    assert_true(take_chunk(c, &a, &last) && last);
    assert_memory_equal(a.body, pattern, made);
    wait_for(&seen.done, 1);
    assert_int_equal(seen.last.body_bytes, made);
    assert_true(!seen.last.cut && !seen.last.client_gone && seen.last.status == 200);
    ask(c, "GET /text", ""); // the connection lives on
    assert_int_equal(get(c, false)->status, 200);
    hang_up(c);
    stop(h);
}

static void failure_cuts(void **state)
{
    (void)state;
    struct http *const h = start(1);
    struct conn *c = dial(h);
    struct object *o = make();
    append(o, 0, 20000);
    ask(c, "GET /made", "");
    static struct answer a;
    read_head(c, &a);
    bool last = false;
    while (a.n < 20000)
        assert_true(take_chunk(c, &a, &last) && !last);
    object_fail(o, E_WORKER, NULL);
    assert_false(take_chunk(c, &a, &last));
    assert_int_equal(c->len, 0); // not a byte of a last chunk
    wait_for(&seen.done, 1);
    assert_true(seen.last.cut && !seen.last.client_gone);
    assert_int_equal(seen.last.body_bytes, 20000);
    hang_up(c);

    // Before the first byte it is an answer like any other.
    reset(NULL);
    o = make();
    c = dial(h);
    ask(c, "GET /made", "");
    wait_for(&seen.steps, 1);
    object_fail(o, E_ORIGIN, NULL);
    assert_int_equal(get(c, false)->status, 502);
    ask(c, "GET /text", "");
    assert_int_equal(get(c, false)->status, 200);
    hang_up(c);
    stop(h);
}

// Neither a length nor chunks are promised where there are none, nothing follows the
// header, and the connection lives on.
static void unknown_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *line, *fields;
        int status;
    } rows[] = {
        { "HEAD /made", "", 200 },
        { "GET /made", "If-None-Match: " TAG "\r\n", 304 },
        { "HEAD /made", "If-None-Match: " TAG "\r\n", 304 },
        { "HEAD /made", "Range: bytes=0-9\r\n", 200 },
    };
    struct http *const h = start(1);
    struct conn *const c = dial(h);
    make();
    for (size_t i = 0; i < 10 * countof(rows); i++) {
        const size_t row = i % countof(rows);
        ask(c, rows[row].line, rows[row].fields);
        const struct answer *const a = get(c, true);
        assert_int_equal(a->status, rows[row].status);
        assert_null(field(a, "Content-Length"));
        assert_null(field(a, "Transfer-Encoding"));
        assert_null(field(a, "Connection"));
        assert_string_equal(field(a, "ETag"), TAG);
        wait_for(&seen.done, 2 * (int)i + 1);
        assert_int_equal(seen.last.status, rows[row].status);
        ask(c, "GET /text", "");
        assert_memory_equal(get(c, false)->body, "gzip 0", 6);
    }
    hang_up(c);
    stop(h);
}

// Sent ahead into a network that is full: whole answers in order, until one that may
// have closed the connection, and said so.
static void unknown_sizes_after_much(void **state)
{
    (void)state;
    enum { N = 40 };
    struct http *const h = start(1);
    make();
    for (int more_or_less = 0; more_or_less < 200; more_or_less += 50) {
        struct conn *const c = dial(h);
        for (int i = 0; i < N; i++) {
            char range[64];
            snprintf(range, sizeof range, "Range: bytes=%d-\r\n", 13 * i + more_or_less);
            ask(c, "GET /whole", range);
            ask(c, "HEAD /made", "");
        }
        bool closed = false;
        for (int i = 0; i < N && !closed; i++) {
            const struct answer *a = get(c, false);
            assert_int_equal(a->status, 206);
            assert_int_equal(a->n, BODY - (13 * i + more_or_less));
            a = get(c, true);
            assert_int_equal(a->status, 200);
            closed = field(a, "Connection") != NULL;
        }
        assert_true(!closed || at_end(c));
        hang_up(c);
    }
    stop(h);
}

static void http10(void **state)
{
    (void)state;
    struct http *const h = start(1);
    struct conn *c = dial(h);
    static const char plain[] = "GET /whole HTTP/1.0\r\n\r\n";
    put(c, plain, strlen(plain));
    const struct answer *a = get(c, false);
    assert_int_equal(a->n, BODY);
    assert_string_equal(field(a, "Content-Length"), "300000");
    assert_true(at_end(c));
    hang_up(c);

    // Never streamed: complete, with its length.
    struct object *const o = make();
    c = dial(h);
    static const char alive[] = "GET /made HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    put(c, alive, strlen(alive));
    append(o, 0, 1000);
    wait_for(&seen.begun, 2);
    append(o, 1000, 1000);
    object_commit(o);
    for (int i = 0; i < 2; i++) {
        a = get(c, false);
        assert_int_equal(a->status, 200);
        assert_int_equal(a->n, 2000);
        assert_string_equal(field(a, "Content-Length"), "2000");
        assert_null(field(a, "Transfer-Encoding"));
        put(c, alive, strlen(alive));
    }
    hang_up(c);

    // No length, and no body to end by closing.
    make();
    c = dial(h);
    for (int i = 0; i < 3; i++) {
        static const char *const heads[] = {
            "HEAD /made HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HEAD /made HTTP/1.0\r\n\r\n"
        };
        put(c, heads[i / 2], strlen(heads[i / 2]));
        a = get(c, true);
        assert_int_equal(a->status, 200);
        assert_null(field(a, "Content-Length"));
        assert_string_equal(field(a, "Connection"), i < 2 ? "Keep-Alive" : "close");
    }
    assert_true(at_end(c));
    hang_up(c);
    stop(h);
}

static void ranges_wait_for_the_whole(void **state)
{
    (void)state;
    struct http *const h = start(1);
    struct conn *const c = dial(h);
    struct object *const o = make();
    append(o, 0, 1000);
    ask(c, "GET /made", "Range: bytes=990-1009\r\n");
    wait_for(&seen.steps, 1);
    append(o, 1000, 500);
    wait_for(&seen.steps, 2);
    object_commit(o);
    const struct answer *const a = get(c, false);
    assert_int_equal(a->status, 206);
    assert_string_equal(field(a, "Content-Range"), "bytes 990-1009/1500");
    assert_memory_equal(a->body, pattern + 990, 20);
    hang_up(c);
    stop(h);
}

static void storm(void **state)
{
    (void)state;
    enum { N = 200 };
    struct http *const h = start(3);
    static struct conn *c[N];
    struct object *const o = make();
    for (int i = 0; i < N; i++) {
        c[i] = dial(h);
        ask(c[i], "GET /made", i % 3 ? "" : "Range: bytes=0-\r\n");
    }
    wait_for(&seen.begun, N);
    for (size_t at = 0; at < 100000; at += 5000)
        append(o, at, 5000);
    object_commit(o);
    for (int i = 0; i < N; i++) {
        const struct answer *const a = get(c[i], false);
        assert_int_equal(a->status, i % 3 ? 200 : 206);
        assert_true(a->whole);
        assert_int_equal(a->n, 100000);
        assert_memory_equal(a->body, pattern, a->n);
        hang_up(c[i]);
    }
    wait_for(&seen.done, N);
    assert_int_equal(seen.gone, 0);
    stop(h);
}

// The client leaves before the first byte: by closing, by a reset, or by closing
// only its sending side.  The handler hears of it, and the object has no reader.
static void leaves_while_waiting(void **state)
{
    struct http *const h = start(1);
    for (int how = 0; how < 3; how++) {
        reset(state);
        struct object *const o = make();
        struct conn *const c = dial(h);
        ask(c, "GET /made", "");
        wait_for(&seen.steps, 1);
        assert_false(object_abandoned(o));
        const struct linger hard = { .l_onoff = 1 };
        if (how == 0)
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        shutdown(c->fd, how == 2 ? SHUT_WR : SHUT_RDWR);
        if (how != 2)
            close(c->fd);
        wait_for(&seen.done, 1);
        assert_true(seen.last.client_gone && seen.last.status == 0 && !seen.last.cut);
        assert_int_equal(seen.steps, 1);
        assert_true(object_abandoned(o));
        object_fail(o, E_CANCELLED, NULL);
        if (how == 2)
            close(c->fd);
        free(c);
    }
    stop(h);
}

static void leaves_while_streaming(void **state)
{
    (void)state;
    struct http *const h = start(1);
    struct object *const o = make();
    append(o, 0, 5000);
    struct conn *const c = dial(h);
    ask(c, "GET /made", "");
    static struct answer a;
    bool last;
    read_head(c, &a);
    while (a.n < 5000)
        assert_true(take_chunk(c, &a, &last));
    hang_up(c);
    wait_for(&seen.done, 1);
    assert_true(seen.last.client_gone && seen.last.status == 200);
    assert_true(object_abandoned(o));
    object_fail(o, E_CANCELLED, NULL);
    stop(h);
}

// The client of one leaves while its handler runs, between two waits.  That of
// another, on another thread, leaves after it: when that is noticed, so is the
// first.
static void leaves_between_waits(void **state)
{
    (void)state;
    struct http *const h = start(2);
    struct object *const o = make();
    struct conn *const c = dial(h);
    ask(c, "GET /made?hold", "Range: bytes=0-\r\n");
    wait_for(&seen.steps, 1);
    append(o, 0, 10);
    wait_for(&seen.held, 1);
    struct conn *const other = dial(h);
    ask(other, "GET /made", "Range: bytes=0-\r\n");
    wait_for(&seen.begun, 2);
    hang_up(c);
    hang_up(other);
    wait_for(&seen.done, 1);
    release();
    wait_for(&seen.done, 2);
    assert_int_equal(seen.gone, 2);
    assert_true(object_abandoned(o));
    object_fail(o, E_CANCELLED, NULL);
    stop(h);
}

// What a handler waits for has happened before it says so.
static void waits_for_the_past(void **state)
{
    (void)state;
    struct http *const h = start(1);
    struct conn *const c = dial(h);
    struct object *const o = make();
    append(o, 0, 10);
    ask(c, "GET /made?stale", "");
    static struct answer a;
    bool last;
    read_head(c, &a);
    assert_true(take_chunk(c, &a, &last));
    object_commit(o);
    assert_true(take_chunk(c, &a, &last) && last);
    ask(c, "GET /made?stale", "");
    assert_int_equal(get(c, false)->n, 10);
    hang_up(c);
    stop(h);
}

// Leaving, waking and refusing at the same time, many times.
struct maker {
    struct object *o;
    pthread_t thread;
};

static void *run_maker(void *arg)
{
    struct maker *const m = arg;
    for (size_t at = 0; at < 60000; at += 100)
        if (object_append(m->o, pattern + at, 100) < 0)
            break;
    if (object_abandoned(m->o))
        object_fail(m->o, E_CANCELLED, NULL);
    else
        object_commit(m->o);
    return NULL;
}

static void leaving_races_with_waking(void **state)
{
    enum { N = 16, ROUNDS = 30 };
    struct http *const h = start(2);
    for (int round = 0; round < ROUNDS; round++) {
        reset(state);
        struct maker m = { .o = make() };
        struct conn *c[N];
        for (int i = 0; i < N; i++) {
            c[i] = dial(h);
            ask(c[i], "GET /made", "");
        }
        if (round % 2)
            wait_for(&seen.begun, N);
        m.thread = thread_start("maker", run_maker, &m);
        for (int i = 0; i < N; i += 2)
            hang_up(c[i]);
        for (int i = 1; i < N; i += 2) {
            const struct answer *const a = get(c[i], false);
            // Whoever came after all others had left may find it abandoned.
            if (a->status == 200 && a->whole) {
                assert_int_equal(a->n, 60000);
                assert_memory_equal(a->body, pattern, a->n);
            }
            hang_up(c[i]);
        }
        pthread_join(m.thread, NULL);
        lock(&seen.lock);
        const int begun = seen.begun;
        unlock(&seen.lock);
        wait_for(&seen.done, begun);
    }
    stop(h);
}

// ---- what is turned away

#define EVIL "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
#define AFTER "\r\n\r\n" EVIL

static const struct {
    const char *request;
    int status; // 0: any refusal, or none
} hostile[] = {
    // A second request hidden in a body, or a body that peers see differently
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 31" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 1" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0" AFTER,
      400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
      "5\r\n\r\n0" AFTER,
      400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\tchunked" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0b"
      "chunked" AFTER,
      400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\ntransfer-ENCODING: chunked" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 31" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\nContent-Length: 0" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0" AFTER, -400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: +31" AFTER, -400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: -1" AFTER, -400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1f" AFTER, -400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 31a" AFTER, -400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length:" AFTER, -400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999" AFTER, -413 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616" AFTER, -413 },
    { "HEAD /text HTTP/1.1\r\nHost: x\r\nContent-Length: 31" AFTER, 400 },
    { "OPTIONS /text HTTP/1.1\r\nHost: x\r\nContent-Length: 31" AFTER, 400 },
    { "GET /text HTTP/1.0\r\nContent-Length: 31" AFTER, 400 },
    { "GET /text HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 31" AFTER, 400 },
    // Hosts
    { "GET /text HTTP/1.1" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nHost: y" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nhost: x" AFTER, 400 },
    { "GET /text HTTP/1.0\r\nHost: x\r\nHost: x" AFTER, 400 },
    // Fields that decide, twice
    { "GET /text HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nRange: bytes=2-3" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nIf-Range: \"a\"\r\nIf-Range: \"b\"" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nIf-Match: \"a\"\r\nif-match: \"b\"" AFTER, 400 },
    // Fields that are none
    { "GET /text HTTP/1.1\r\nHost: x\r\nX Y: 1" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX\x01: 1" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX(: 1" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX\xff: 1" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\n: 1" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: a\x01" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: a\x7f" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: \x1b[31m" AFTER, 400 },
    // Lines that peers end elsewhere
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: a\r\n b" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nY: c" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX:\r\n " AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n x\r\n\r\n0" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 31" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n \r\nX: y" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\nX: y" AFTER, 400 },
    { "GET /text HTTP/1.1\nHost: x\r\nX: y" AFTER, 400 },
    { "GET /text HTTP/1.1\nHost: x\nX: y" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: y\n\r\n" EVIL, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: y\r\n\n" EVIL, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: y\n\n" EVIL, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: y\nTransfer-Encoding: chunked" AFTER, 400 },
    { "GET /text HTTP/1.1\n\n" EVIL, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\rY: z" AFTER, 400 },
    { "GET /text HTTP/1.1\r\nHost: x\r\nX: a\rTransfer-Encoding: chunked" AFTER, 400 },
    // Targets
    { "GET text HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "GET * HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "OPTIONS * HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "GET ftp://x/text HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "GET ?text HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "GET /te\x01xt HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "GET /text?\x7f HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "GET /te\txt HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "GET /te xt HTTP/1.1\r\nHost: x" AFTER, 400 },
    // Versions
    { "GET /text" AFTER, 0 },
    { "GET /text HTTP/0.9\r\nHost: x" AFTER, 505 },
    { "GET /text HTTP/2.0\r\nHost: x" AFTER, 505 },
    { "GET /text HTTP/1\r\nHost: x" AFTER, 0 },
    { "GET /text http/1.1\r\nHost: x" AFTER, 0 },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" EVIL, 505 },
    // Methods
    { "POST /text HTTP/1.1\r\nHost: x\r\nContent-Length: 31" AFTER, 405 },
    { "POST /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0" AFTER, 405 },
    { "POST /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "PUT /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "DELETE /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "PATCH /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "TRACE /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "CONNECT x:443 HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "PURGE /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "get /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "GETX /text HTTP/1.1\r\nHost: x" AFTER, 405 },
    { "PUT /post HTTP/1.1\r\nHost: x\r\nContent-Length: 1" AFTER, 405 },
    { "POST /post/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1" AFTER, 405 },
    // Bodies where there may be one
    { "POST /post HTTP/1.1\r\nHost: x" AFTER, 400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 0" AFTER, 400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 1025" AFTER, 400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999" AFTER, 400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: +5" AFTER, -400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 05" AFTER, 400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5" AFTER, -400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5" AFTER, 400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0" AFTER, 400 },
    { "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked" AFTER,
      400 },
    // Noise
    { "\x16\x03\x01\x02\x01\xfc\x03\x03" AFTER, 0 },
    { "\xff\xff\xff\xff\r\n\r\n" EVIL, 0 },
};

static void turned_away(void **state)
{
    (void)state;
    struct http *const h = start(2);
    for (size_t i = 0; i < countof(hostile); i++) {
        struct conn *const c = dial(h);
        put(c, hostile[i].request, strlen(hostile[i].request));
        const struct answer *const a = get(c, hostile[i].request[0] == 'H');
        if (hostile[i].status ? a->status != abs(hostile[i].status) : a->status && a->status < 400)
            fail_msg("%s: %d", hostile[i].request, a->status);
        if (a->status == 405)
            assert_string_equal(field(a, "Allow"), "GET, HEAD, OPTIONS");
        if (hostile[i].status < 0)
            while (more(c))
                ;
        else if (!at_end(c))
            fail_msg("%s: more than one answer", hostile[i].request);
        hang_up(c);
    }
    assert_int_equal(seen.steps, 0);
    stop(h);
}

// A body comes in pieces of any size; the connection is kept, and what stands behind the body
// is the next request.
static void bodies(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 2, 100, HTTP_BODY_MAX };
    struct http *const h = start(2);
    struct conn *const c = dial(h);
    for (size_t i = 0; i < countof(sizes); i++)
        for (size_t piece = sizes[i]; piece > 0; piece /= 3) {
            char head[100];
            snprintf(head, sizeof head,
                     "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
            put(c, head, strlen(head));
            for (size_t at = 0; at < sizes[i]; at += piece)
                put(c, (const char *)pattern + at, sizes[i] - at < piece ? sizes[i] - at : piece);
            const struct answer *const a = get(c, false);
            assert_int_equal(a->status, 200);
            assert_int_equal(a->n, sizes[i]);
            assert_memory_equal(a->body, pattern, a->n);
        }
    static const char both[] = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /"
                               "GET /text HTTP/1.1\r\nHost: x\r\n\r\n";
    put(c, both, strlen(both));
    assert_memory_equal(get(c, false)->body, "GET /", 5);
    assert_memory_equal(get(c, false)->body, "gzip 0", 6);
    hang_up(c);
    stop(h);
}

static void big_headers(void **state)
{
    (void)state;
    static char fields[110000];
    static const char browser[] =
        "\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/130.0.0.0 Safari/537.36\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate, br, "
        "zstd\r\n"
        "Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\nOrigin: "
        "https://video.example.org\r\n"
        "Referer: https://video.example.org/watch/0123456789abcdef\r\nSec-Fetch-Dest: empty\r\n"
        "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-site\r\nCache-Control: no-cache\r\n"
        "sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n"
        "sec-ch-ua-platform: \"Linux\"\r\nConnection: keep-alive\r\nPragma: no-cache\r\n";
    struct http *const h = start(1);
    struct conn *c = dial(h);
    // 4 KB of cookies, as one and as forty
    for (int each = 100; each <= 4096; each += 3996) {
        for (int round = 0; round < 3; round++) {
            strcpy(fields, "Cookie: ");
            size_t n = strlen(fields);
            while (n < 4096) {
                n += (size_t)sprintf(fields + n, n > 8 ? "; k%zu=" : "k%zu=", n);
                for (int i = 0; i < each - 8 && n < 4100; i++)
                    fields[n++] = 'v';
            }
            strcpy(fields + n, browser);
            ask(c, "GET /whole", fields);
            const struct answer *const a = get(c, false);
            assert_int_equal(a->status, 200);
            assert_null(field(a, "Connection"));
        }
    }
    hang_up(c);
    // 100 KB, in a field, in many, in the target
    for (int how = 0; how < 3; how++) {
        c = dial(h);
        put(c, "GET /", 5);
        if (how < 2)
            put(c, "text HTTP/1.1\r\nHost: x\r\nX: ", 28);
        for (int i = 0; i < 1000; i++) {
            memset(fields, 'x', 100);
            put(c, fields, 100);
            if (how == 1)
                put(c, "\r\nX: ", 5);
        }
        put(c, " HTTP/1.1\r\n\r\n", 13);
        const struct answer *const a = get(c, false);
        assert_true(a->status == 0 || a->status == 414 || a->status == 431);
        assert_true(at_end(c));
        hang_up(c);
    }
    assert_int_equal(seen.steps, 6);
    stop(h);
}

// Sends a byte now and then until the server has had enough.
static void drip(struct conn *c)
{
    const struct timeval pause = { .tv_usec = 10000 };
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
    for (char byte; recv(c->fd, &byte, 1, 0) < 0 && errno == EAGAIN;)
        put(c, "x", 1);
}

// A header that is not complete in time ends the connection: a new one, and one
// that has been kept; the rest of the time belongs to the idle.
static void slow_headers(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.http_header_timeout = 100;
    struct http *const h = start_with(&conf, "127.0.0.1:0", 1);
    static const char *const beginnings[] = { "", "G", "GET /text HTTP/1.1\r\n",
                                              "GET /text HTTP/1.1\r\nHost: x\r\nA: b\r\nC: ",
                                              "POST /post HTTP/1.1\r\nHost: x\r\n"
                                              "Content-Length: 9\r\n\r\n12345678" };
    for (size_t i = 0; i < countof(beginnings); i++) {
        struct conn *const c = dial(h);
        put(c, beginnings[i], strlen(beginnings[i]));
        assert_true(at_end(c));
        hang_up(c);
    }
    for (size_t i = 2; i < countof(beginnings); i++) {
        struct conn *const c = dial(h);
        ask(c, "GET /text", "");
        assert_int_equal(get(c, false)->status, 200);
        put(c, beginnings[i], strlen(beginnings[i]));
        assert_true(at_end(c));
        hang_up(c);
    }
    struct conn *const c = dial(h);
    put(c, "GET /text HTTP/1.1\r\n", 20);
    drip(c);
    hang_up(c);
    stop(h);
}

// A client that leaves in the middle of its header, or after it, is noticed long
// before any time is over, also when its last bytes and its leaving come as one.
static void leaves_in_the_header(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.http_header_timeout = 600000;
    conf.http_idle_timeout = 600000;
    struct http *const h = start_with(&conf, "127.0.0.1:0", 2);
    static const char *const sent[] = { "",
                                        "GET /te",
                                        "GET /text HTTP/1.1\r\nHost: x\r\nA",
                                        "POST /post HTTP/1.1\r\nHost: x\r\n"
                                        "Content-Length: 9\r\n\r\n12345678",
                                        "GET /text HTTP/1.1\r\nHost: x\r\n\r\n",
                                        "GET /whole HTTP/1.1\r\nHost: x\r\n\r\nGET /" };
    enum { ROUNDS = 20 };
    static struct conn *c[ROUNDS * countof(sent)];
    for (size_t i = 0; i < countof(c); i++) {
        c[i] = dial(h);
        // Sent with the end: the system waits for more to send, and what comes is that.
        send(c[i]->fd, sent[i % countof(sent)], strlen(sent[i % countof(sent)]), MSG_MORE);
        shutdown(c[i]->fd, SHUT_WR);
    }
    for (size_t i = 0; i < countof(c); i++) {
        if (i % countof(sent) >= 4)
            assert_int_equal(get(c[i], false)->status, 200);
        assert_true(at_end(c[i]));
        hang_up(c[i]);
    }
    stop(h);
}

static void idle_connections(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.http_idle_timeout = 100;
    struct http *const h = start_with(&conf, "127.0.0.1:0", 1);
    struct conn *c = dial(h);
    ask(c, "GET /text", "");
    assert_int_equal(get(c, false)->status, 200);
    assert_true(at_end(c));
    hang_up(c);
    // A request line that never ends is no request.
    c = dial(h);
    ask(c, "GET /text", "");
    assert_int_equal(get(c, false)->status, 200);
    drip(c);
    hang_up(c);
    stop(h);
}

// Takes a byte now and then until the count of slow clients has grown.
static bool is_cut(struct conn *c, int64_t before)
{
    const int64_t deadline = clock_ms() + 20000;
    char byte;
    while (stat_get(STAT_http_slow_clients_total) == before && clock_ms() < deadline)
        if (poll(NULL, 0, 5) == 0)
            (void)!recv(c->fd, &byte, 1, MSG_DONTWAIT);
    return stat_get(STAT_http_slow_clients_total) > before;
}

// A client that takes its answer too slowly is cut off.  One that came before it and
// has taken all there is waits for us, and nobody minds.
static void slow_readers(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.http_idle_timeout = 200;
    conf.http_send_rate = GIB;
    const int64_t before = stat_get(STAT_http_slow_clients_total);
    struct http *const h = start_with(&conf, "127.0.0.1:0", 1);
    struct object *const o = make();
    struct conn *const waits = dial(h), *const begun = dial(h);
    ask(waits, "GET /made", "Range: bytes=0-\r\n");
    ask(begun, "GET /made", "");
    append(o, 0, 5000);
    static struct answer a;
    bool last;
    read_head(begun, &a);
    while (a.n < 5000)
        assert_true(take_chunk(begun, &a, &last));

    // Its window is small, and so is what the system holds for it.
    struct conn *const slow = dial_with(h, 4096, 536);
    ask(slow, "GET /huge", "");
    assert_true(is_cut(slow, before));
    wait_for(&seen.done, 1);
    assert_true(seen.last.client_gone && seen.last.status == 200);
    hang_up(slow);

    object_commit(o);
    assert_true(take_chunk(begun, &a, &last) && last);
    assert_int_equal(get(waits, false)->n, 5000);
    assert_int_equal(stat_get(STAT_http_slow_clients_total), before + 1);
    hang_up(waits);
    hang_up(begun);
    stop(h);
}

// Reads the rest of a chunked body that is the pattern again and again, of which *at bytes
// are known; true when it came to its end.
static bool read_pattern(struct conn *c, size_t *at)
{
    static struct answer line; // and some of a chunk
    for (;;) {
        char *end;
        while (c->len == 0 || !(end = strstr(c->in, "\r\n")))
            if (!more(c))
                return false;
        size_t left = strtoul(c->in, NULL, 16);
        const bool last = left == 0;
        use(c, (size_t)(end - c->in) + 2);
        while (left > 0) {
            const size_t to_wrap = BODY - *at % BODY, n = left < to_wrap ? left : to_wrap;
            line.n = 0;
            if (!take(c, &line, n))
                return false;
            assert_memory_equal(line.body, pattern + *at % BODY, n);
            *at += n;
            left -= n;
        }
        line.n = 0;
        if (!take(c, &line, 2) || last)
            return last;
    }
}

// As many at once as libmicrohttpd takes events, while nothing else comes to it.
static void full_lots(void **state)
{
    (void)state;
    enum { N = 128 };
    struct http *const h = start(1);
    struct object *const o = make();
    static struct conn *c[N];
    for (int i = 0; i < N; i++) {
        c[i] = dial(h);
        ask(c[i], "GET /text", "");
        assert_int_equal(get(c[i], false)->status, 200);
    }
    struct conn *const first = dial(h);
    ask(first, "GET /made?hold", "Range: bytes=0-\r\n");
    wait_for(&seen.begun, N + 1);
    append(o, 0, 10);
    wait_for(&seen.held, 1);
    for (int i = 0; i < N; i++)
        ask(c[i], "GET /text", "");
    release();
    for (int i = 0; i < N; i++) {
        assert_int_equal(get(c[i], false)->status, 200);
        hang_up(c[i]);
    }
    object_commit(o);
    assert_int_equal(get(first, false)->status, 206);
    hang_up(first);
    stop(h);
}

// Clients who read nothing of a body that is being made: it goes on when one reads; and
// it ends when one leaves, or the server stops.
static void full_sockets(void **state)
{
    (void)state;
    enum { TIMES = 20 };
    struct http *const h = start(1);
    struct object *const o = make_most(TIMES * BODY);
    struct conn *c[3];
    static struct answer a[3];
    append(o, 0, 1000);
    for (int i = 0; i < 3; i++) {
        c[i] = dial_with(h, 4096, 536);
        ask(c[i], "GET /made", "");
        read_head(c[i], &a[i]);
        assert_int_equal(a[i].status, 200);
    }
    append(o, 1000, BODY - 1000);
    for (int i = 1; i < TIMES; i++)
        append(o, 0, BODY);
    object_commit(o);

    size_t n = 0;
    assert_true(read_pattern(c[0], &n));
    assert_int_equal(n, TIMES * BODY);
    wait_for(&seen.done, 1);
    assert_int_equal(last_outcome().body_bytes, TIMES * BODY);
    hang_up(c[0]);

    hang_up(c[1]);
    wait_for(&seen.done, 2);
    assert_true(last_outcome().client_gone);
    assert_true(last_outcome().body_bytes < TIMES * BODY);

    stop(h);
    assert_int_equal(seen.cut, 1);
    n = 0;
    assert_false(read_pattern(c[2], &n));
    hang_up(c[2]);
}

static void stopping(void **state)
{
    (void)state;
    enum { N = 8 };
    struct http *const h = start(2);
    struct conn *c[N];
    struct object *const o = make();
    for (int i = 0; i < N; i++) {
        c[i] = dial(h);
        ask(c[i], "GET /made", "");
    }
    wait_for(&seen.begun, N);
    struct conn *const idle = dial(h);
    ask(idle, "GET /text", "");
    assert_int_equal(get(idle, false)->status, 200);
    stop(h);
    for (int i = 0; i < N; i++) {
        const struct answer *const a = get(c[i], false);
        assert_int_equal(a->status, 504);
        assert_non_null(strstr((const char *)a->body, "E_STOPPING"));
        assert_string_equal(field(a, "Connection"), "close");
        assert_true(at_end(c[i]));
        hang_up(c[i]);
    }
    assert_true(at_end(idle));
    hang_up(idle);
    assert_int_equal(object_readers(o), 0);
    object_fail(o, E_CANCELLED, NULL);
}

static void stopping_cuts_streams(void **state)
{
    (void)state;
    struct http *const h = start(1);
    struct object *const o = make();
    append(o, 0, 100);
    struct conn *const c = dial(h);
    ask(c, "GET /made", "");
    static struct answer a;
    read_head(c, &a);
    bool last;
    assert_true(take_chunk(c, &a, &last));
    stop(h);
    assert_false(take_chunk(c, &a, &last));
    assert_int_equal(seen.cut, 1);
    hang_up(c);
    object_fail(o, E_CANCELLED, NULL);
}

static void counts(void **state)
{
    (void)state;
    const int64_t requests = stat_get(STAT_http_requests_total);
    const int64_t errors = stat_get(STAT_http_errors_total);
    const int64_t bytes = stat_get(STAT_http_response_bytes_total);
    struct http *const h = start(1);
    struct conn *const c = dial(h);
    ask(c, "GET /whole", "");
    get(c, false);
    ask(c, "HEAD /whole", "");
    get(c, true);
    ask(c, "GET /whole", "Range: bytes=0-9\r\n");
    get(c, false);
    ask(c, "HEAD /nothing", "");
    get(c, true);
    assert_int_equal(stat_get(STAT_http_connections), 1);
    ask(c, "POST /whole", "");
    get(c, false);
    assert_true(at_end(c));
    hang_up(c);
    stop(h);
    assert_int_equal(stat_get(STAT_http_requests_total) - requests, 5);
    assert_int_equal(stat_get(STAT_http_errors_total) - errors, 2);
    assert_true(stat_get(STAT_http_response_bytes_total) - bytes >= BODY + 10);
    assert_int_equal(seen.last.status, 404);
}

// ---- addresses

// Its header is built once, whoever asks, on whatever thread.
static void prepared(void **state)
{
    (void)state;
    enum { CLIENTS = 4, EACH = 3 };
    for (int threads = 1; threads <= 2; threads++) {
        reset(NULL);
        struct http *const h = start(threads);
        seen.made = whole_object(BODY);
        for (int i = 0; i < CLIENTS; i++) {
            struct conn *const c = dial(h);
            for (int k = 0; k < EACH; k++) {
                ask(c, "GET /made?prepared", "");
                const struct answer *const a = get(c, false);
                assert_int_equal(a->status, 200);
                assert_string_equal(field(a, "ETag"), TAG);
                assert_string_equal(field(a, "Content-Type"), "video/mp4");
                assert_true(a->whole && a->n == BODY && memcmp(a->body, pattern, BODY) == 0);
                assert_null(field(a, "Connection"));
            }
            hang_up(c);
        }
        assert_int_equal(seen.described, 1);
        wait_for(&seen.done, CLIENTS * EACH);
        assert_int_equal(seen.last.body_bytes, BODY);
        assert_int_equal(seen.last.status, 200);
        stop(h);
    }
}

// Nothing but the exchanges has the object while they send it.
static void prepared_and_dropped(void **state)
{
    (void)state;
    struct http *const h = start(1);
    seen.made = huge_object();
    struct conn *const leaves = dial_with(h, 4096, 0);
    struct conn *const slow = dial_with(h, 4096, 0);
    ask(leaves, "GET /made?prepared", "");
    ask(slow, "GET /made?prepared", "");
    wait_for(&seen.steps, 2);
    lock(&seen.lock);
    object_unref(&seen.made);
    unlock(&seen.lock);
    assert_true(more(leaves));
    hang_up(leaves);
    wait_for(&seen.done, 1);
    struct answer *const a = xcalloc(1, sizeof *a);
    read_head(slow, a);
    assert_int_equal(a->status, 200);
    size_t n = 0;
    for (; n < HUGE_BODY && (slow->len > 0 || more(slow)); use(slow, slow->len)) {
        for (size_t i = 0; i < slow->len; i++)
            if ((uint8_t)slow->in[i] != pattern[(n + i) % BODY])
                fail_msg("another byte at %zu", n + i);
        n += slow->len;
    }
    assert_int_equal(n, HUGE_BODY);
    assert_int_equal(seen.described, 1);
    free(a);
    hang_up(slow);
    stop(h);
}

static void unix_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/t_http.XXXXXX";
    assert_non_null(mkdtemp(folder));
    char address[64], why[256] = "";
    snprintf(address, sizeof address, "unix:%s/s", folder);
    const struct conf conf = settings();
    for (int round = 0; round < 2; round++) {
        if (round == 1) {
            // A file left by somebody who died is replaced.
            struct sockaddr_un a = { .sun_family = AF_UNIX };
            copy_string(a.sun_path, sizeof a.sun_path, address + 5);
            const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
            assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
            close(fd);
        }
        struct http *const h = start_with(&conf, address, 2);
        assert_string_equal(http_address(h), address);
        struct conn *const c = dial(h);
        ask(c, "GET /whole", "");
        assert_int_equal(get(c, false)->n, BODY);
        assert_string_equal(seen.last_client, "unix");
        // One that is alive is left alone, and so is what is no socket.
        static const struct http_handler handler = { .step = step, .done = done };
        assert_null(http_start(&conf, address, 1, &handler, why, sizeof why));
        assert_non_null(strstr(why, "in use"));
        ask(c, "GET /text", "");
        assert_int_equal(get(c, false)->status, 200);
        hang_up(c);
        stop(h);
        assert_int_equal(access(address + 5, F_OK), -1);
    }
    FILE *const f = fopen(address + 5, "w");
    assert_non_null(f);
    fclose(f);
    static const struct http_handler handler = { .step = step, .done = done };
    assert_null(http_start(&conf, address, 1, &handler, why, sizeof why));
    assert_int_equal(access(address + 5, F_OK), 0);
    unlink(address + 5);
    rmdir(folder);
}

static void addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999",
        "::1:80",
        "[::1]",
        "[]:80",
        "[::1:80",
        "127.0.0.1:8080x",
        "256.0.0.1:1",
        "unix:",
        "unix:/nowhere/at/all/s",
        "unix:/tmp/"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
        "23456789012345678901234567890123456789",
    };
    static const struct http_handler handler = { .step = step, .done = done };
    const struct conf conf = settings();
    for (size_t i = 0; i < countof(bad); i++) {
        char why[256] = "";
        if (http_start(&conf, bad[i], 1, &handler, why, sizeof why))
            fail_msg("%s", bad[i]);
        assert_non_null(strstr(why, "cannot listen on"));
    }
    struct http *const h = start(1);
    char why[256] = "";
    assert_null(http_start(&conf, http_address(h), 1, &handler, why, sizeof why));
    assert_non_null(strstr(why, "in use"));
    stop(h);
    http_stop(NULL);
}

static void ipv6(void **state)
{
    (void)state;
    static const struct http_handler handler = { .step = step, .done = done };
    const struct conf conf = settings();
    char why[256];
    struct http *const h = http_start(&conf, "[::1]:0", 1, &handler, why, sizeof why);
    if (!h)
        skip(); // no IPv6 on this machine
    assert_int_equal(strncmp(http_address(h), "[::1]:", 6), 0);
    struct conn *const c = dial(h);
    ask(c, "GET /whole", "");
    assert_int_equal(get(c, false)->n, BODY);
    assert_string_equal(seen.last_client, "::1");
    hang_up(c);
    stop(h);
}

int main(void)
{
    for (size_t i = 0; i < BODY; i++)
        pattern[i] = (uint8_t)(i * 2654435761u >> 13);
    cond_init(&seen.changed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(keeps_alive, reset),
        cmocka_unit_test_teardown(targets_are_raw, reset),
        cmocka_unit_test_teardown(pipelined, reset),
        cmocka_unit_test_teardown(streams_as_made, reset),
        cmocka_unit_test_teardown(failure_cuts, reset),
        cmocka_unit_test_teardown(unknown_sizes, reset),
        cmocka_unit_test_teardown(unknown_sizes_after_much, reset),
        cmocka_unit_test_teardown(http10, reset),
        cmocka_unit_test_teardown(ranges_wait_for_the_whole, reset),
        cmocka_unit_test_teardown(storm, reset),
        cmocka_unit_test_teardown(leaves_while_waiting, reset),
        cmocka_unit_test_teardown(leaves_while_streaming, reset),
        cmocka_unit_test_teardown(leaves_between_waits, reset),
        cmocka_unit_test_teardown(waits_for_the_past, reset),
        cmocka_unit_test_teardown(leaving_races_with_waking, reset),
        cmocka_unit_test_teardown(turned_away, reset),
        cmocka_unit_test_teardown(bodies, reset),
        cmocka_unit_test_teardown(big_headers, reset),
        cmocka_unit_test_teardown(slow_headers, reset),
        cmocka_unit_test_teardown(leaves_in_the_header, reset),
        cmocka_unit_test_teardown(idle_connections, reset),
        cmocka_unit_test_teardown(slow_readers, reset),
        cmocka_unit_test_teardown(full_lots, reset),
        cmocka_unit_test_teardown(full_sockets, reset),
        cmocka_unit_test_teardown(stopping, reset),
        cmocka_unit_test_teardown(stopping_cuts_streams, reset),
        cmocka_unit_test_teardown(counts, reset),
        cmocka_unit_test_teardown(prepared, reset),
        cmocka_unit_test_teardown(prepared_and_dropped, reset),
        cmocka_unit_test_teardown(unix_socket, reset),
        cmocka_unit_test_teardown(addresses, reset),
        cmocka_unit_test_teardown(ipv6, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
