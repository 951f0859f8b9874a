// SPDX-License-Identifier: BSD-2-Clause
//
// The only door to libmicrohttpd (0.9.75).  What of it shapes this file:
//
// The handler is called twice per request.  The first call comes with the header
// complete; an answer given there closes the connection and nothing behind the
// header is parsed, so it is the place to turn requests away.  All others are
// answered in the second call, or keep-alive would die.
//
// Suspended connections.  A connection is suspended while its exchange waits for
// an object, or for its socket to take more.  Four may end that: the object (wake, on
// any thread), the client's hang-up or the socket (hung_up and writable, on the watch's
// thread), http_stop, and we ourselves when the object has moved meanwhile.  Exactly one
// of them resumes it:
//
// - asleep is set after the connection was suspended; whoever sets it back does
//   the resuming, and nobody else.  So it is never resumed twice, nor when it is
//   not suspended; and libmicrohttpd does not end an exchange that is suspended.
// - Nobody's news are lost.  The object refuses the waiter if it has moved.
//   hung_up and http_stop leave a flag, then look at asleep; park sets asleep,
//   then looks at the flags: one of the two sees the other.
// - A waiter that was registered holds a reference to the client, ended by wake
//   or by taking the waiter back.  So a wake that comes late (somebody else has
//   resumed, the client has left) finds memory, and asleep false.
// - The waiter is registered again only after wake was called for it: the other
//   three lead to an exchange that ends without waiting.  (The socket is waited for
//   only while no waiter is registered.)
// - http_stop waits until no waiter is registered nor being woken, and nobody waits for
//   a socket, before it stops the daemon, so no thread is inside MHD_resume_connection
//   then; and nobody begins to wait after it has announced that (both under the lock).
//
// On resuming, libmicrohttpd looks at the socket first and drops a connection
// whose client has closed its sending side.  So half-closing is leaving, there
// and in the watch.
//
// MHD_OPTION_STRICT_FOR_CLIENT is not used: what it refuses (a missing Host, a
// space in the target) the gate refuses too, and better: an error that is found
// after the header's end, libmicrohttpd answers with two headers.
//
// A header without Content-Length, with the connection left open behind it, it
// knows for the status 204 alone.  Elsewhere it closes, or promises chunks and then
// sends the last one, even after a 304 and to HEAD, where that byte would begin the
// next answer.  So where such an answer has no length that we know, it is told to
// send a 204, and we send the true status line ahead, with a field open at its end
// that takes in the other one:
//     HTTP/1.1 304 Not Modified
//     X-Sent-As: HTTP/1.1 204 No Content
//
// Bodies that are streamed go past it: it would build chunks in the connection's
// memory, of a few KB each, and a copy and a system call for each of them.  When its
// header has left and it asks for a chunk, we send chunks of our own, as much as there
// is and the socket takes; then it hears that there is nothing yet, or, at the end, that
// there is no more, and adds the last chunk.  The first chunk is a small one, for all
// who wait for it to see it soon.
//
// It takes events in lots of 128, and after a full lot it waits for the next before it
// looks at any: where exactly 128 clients asked and then wait for their answers, it
// waits for a timeout.  So it has no threads of its own: ours run one daemon each, and
// where that has connections for a full lot, they let it wait for LOT_WAIT_MS at most.
// To resume a connection does not wake them; an eventfd of ours in the daemon's epoll
// set does, one write for all that are resumed before it runs.  The set is edge-triggered
// there, so that nobody has to read it, and libmicrohttpd passes over events without data.
//
// Lock order: watch's, then libmicrohttpd's own.  Ours is taken alone.

#include "server/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"
#include "base/stat.h"
#include "cache/object.h"
#include "config/conf.h"
#include "config/memory.h"
#include "server/gate.h"
#include "server/listen.h"
#include "server/watch.h"

// A request's header, its cookies a second time (libmicrohttpd copies them), and
// then the answer's header: what 4 KB of cookies in a browser's request need.
#define CONNECTION_MEMORY ((size_t)(14 * KIB))
_Static_assert(CONNECTION_MEMORY + HTTP_BODY_MAX + KIB <= MEMORY_CONNECTION,
               "what is counted of one");
#define BLOCK 1024             // of a body that is none, or goes past libmicrohttpd
#define CHAIN_BLOCK (64 * KIB) // where the length is known, this is what a chunk is built in
#define CHUNK_MAX (64 * KIB)   // of a body that is still being made
#define FIRST_CHUNK (16 * KIB) // then it is the turn of others, who wait for theirs
#define STOP_GRACE_MS 2000
#define LOT 128 // of events, of which one each may be of the listening socket and of a wake-up
#define LOT_WAIT_MS 20

// An HTTP thread.
struct loop {
    struct http *http;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int wakes;         // an eventfd
    atomic_bool awake; // it will see what has been resumed until now
};

struct http {
    // constant after start
    struct http_handler handler;
    int64_t header_timeout_ms, idle_timeout_ms;
    struct watch *watch;
    int listen_fd;
    struct loop *loops;
    int loop_count;
    char address[LISTEN_ADDRESS_MAX];

    atomic_int open; // exchanges that were stepped and are not done
    // set under lock
    atomic_bool stopping; // nobody begins to wait for an object
    atomic_bool ending;   // nor for a socket
    atomic_bool over;     // the loops end; without lock

    pthread_mutex_t lock;
    pthread_cond_t quiet; // fewer waiters, or fewer open while stopping
    int waiters;          // registered with an object, or being woken, or for a socket
};

// A chunk on its way: its line, n bytes of the object, and a line end.
struct chunk {
    size_t n; // 0: there is none
    size_t line_n, sent;
    char line[20];
};

// A connection and the exchange on it; there is one at a time.
struct client {
    struct watched watched;
    struct http *http;
    struct loop *loop;
    struct MHD_Connection *connection;
    char address[64];

    atomic_int refs;    // the connection's, and a registered waiter's
    atomic_bool asleep; // suspended: see above
    atomic_bool gone;   // has hung up

    struct object_waiter waiter;

    // The exchange; the connection's HTTP thread only.
    struct http_exchange exchange;
    struct http_outcome outcome;
    struct object *waits_for; // with a reference, while the waiter may be registered
    char *target;             // what path and query point into
    const char *target_end;   // in the header as it came
    struct buf body;          // of POST
    int64_t promised;         // body bytes of an answer from memory
    size_t at;                // in x->object: what is before has been sent
    struct chunk chunk;       // begins there
    bool full;                // waits for the socket
    bool header_seen, stepped;
};

// ---- waiting

static void client_unref(struct client *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1)
        free(c);
}

static void loop_wake(struct loop *l)
{
    if (!atomic_exchange(&l->awake, true))
        eventfd_write(l->wakes, 1);
}

static void client_resume(struct client *c)
{
    struct loop *const l = c->loop; // c may be gone once it is resumed
    if (!atomic_exchange(&c->asleep, false))
        return;
    MHD_resume_connection(c->connection);
    loop_wake(l);
}

// The waiter is registered no more and nobody is waking it.
static void end_wait(struct client *c)
{
    struct http *const h = c->http;
    client_unref(c);
    lock(&h->lock);
    if (--h->waiters == 0)
        pthread_cond_broadcast(&h->quiet);
    unlock(&h->lock);
}

static void wake(struct object_waiter *w)
{
    struct client *const c = container_of(w, struct client, waiter);
    client_resume(c);
    end_wait(c);
}

static void hung_up(struct watched *w)
{
    struct client *const c = container_of(w, struct client, watched);
    atomic_store(&c->gone, true);
    client_resume(c);
}

static void writable(struct watched *w)
{
    client_resume(container_of(w, struct client, watched));
}

static bool may_wait(struct http *h, const atomic_bool *no_more)
{
    lock(&h->lock);
    const bool may = !*no_more;
    if (may)
        h->waiters++;
    unlock(&h->lock);
    return may;
}

static void suspend(struct client *c)
{
    atomic_fetch_add(&c->refs, 1);
    MHD_suspend_connection(c->connection);
    atomic_store(&c->asleep, true);
}

// Suspends the connection until o has other than have bytes or has ended, or the
// client has left.  False when the server is stopping.
static bool park(struct client *c, struct object *o, size_t have)
{
    if (!may_wait(c->http, &c->http->stopping))
        return false;
    c->waits_for = object_ref(o);
    suspend(c);
    if (!object_wait(o, &c->waiter, have)) {
        object_unref(&c->waits_for);
        end_wait(c);
        client_resume(c);
        return true;
    }
    watch_arm(c->http->watch, &c->watched);
    if (atomic_load(&c->gone) || atomic_load(&c->http->stopping))
        client_resume(c);
    return true;
}

// The same until the socket takes bytes.  False when the server has stopped for long enough.
static bool park_full(struct client *c)
{
    if (!may_wait(c->http, &c->http->ending))
        return false;
    c->full = true;
    suspend(c);
    const bool watched = watch_writable(c->http->watch, &c->watched);
    if (!watched || atomic_load(&c->gone) || atomic_load(&c->http->ending))
        client_resume(c);
    return true;
}

static void stop_waiting(struct client *c)
{
    if (c->full || (c->waits_for && object_unwait(c->waits_for, &c->waiter)))
        end_wait(c);
    c->full = false;
    if (c->waits_for)
        object_unref(&c->waits_for);
}

// ---- sending

static void drop_object(void *object)
{
    struct object *o = object;
    object_unref(&o);
}

// Of a body of several objects.
static bool go_on(struct client *c)
{
    const struct http_handler *const handler = &c->http->handler;
    if (!c->exchange.chained || !handler->next(handler->arg, &c->exchange))
        return false;
    c->at = 0;
    return true;
}

static ssize_t cut(struct client *c)
{
    c->outcome.cut = true;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

// All that there was of the object in that state has been taken.
static ssize_t at_end(struct client *c, enum object_state state)
{
    if (state == OBJECT_WHOLE)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (atomic_load(&c->gone))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return state == OBJECT_MAKING && park(c, c->exchange.object, c->at) ? 0 : cut(c);
}

// The state is read before the bytes: what is there when an object has ended is all.
static ssize_t read_chain(void *arg, uint64_t offset, char *out, size_t max)
{
    struct client *const c = arg;
    (void)offset;
    stop_waiting(c);
    for (;;) {
        struct object *const o = c->exchange.object;
        const enum object_state state = object_state(o);
        const size_t n = object_read(o, c->at, out, max);
        c->at += n;
        c->outcome.body_bytes += (int64_t)n;
        if (n > 0)
            return (ssize_t)n;
        if (state != OBJECT_WHOLE || !go_on(c))
            return at_end(c, state);
    }
}

// n bytes of c's object, or NULL when it has failed meanwhile.  While it is made they may
// move: then it is a copy, good until this thread asks again.
static const uint8_t *bytes_of(const struct client *c, enum object_state state, size_t n)
{
    static _Thread_local uint8_t copy[CHUNK_MAX];
    const struct object *const o = c->exchange.object;
    size_t size;
    if (state == OBJECT_WHOLE)
        return object_bytes(o, &size) + c->at;
    return object_read(o, c->at, copy, n) == n ? copy : NULL;
}

// False when there is nothing more.
static bool begin_chunk(struct client *c, enum object_state state)
{
    struct chunk *const k = &c->chunk;
    const size_t size = object_size(c->exchange.object);
    if (size <= c->at)
        return false;
    const size_t most = c->at == 0 ? FIRST_CHUNK : state == OBJECT_WHOLE ? SIZE_MAX : CHUNK_MAX;
    k->n = size - c->at < most ? size - c->at : most;
    k->line_n = (size_t)snprintf(k->line, sizeof k->line, "%zx\r\n", k->n);
    k->sent = 0;
    return true;
}

// What of the chunk is not sent; returns how many pieces.
static size_t rest_of(const struct chunk *k, const uint8_t *bytes, struct iovec out[3])
{
    const struct iovec all[] = { { (void *)k->line, k->line_n },
                                 { (void *)bytes, k->n },
                                 { (void *)"\r\n", 2 } };
    size_t skip = k->sent, n = 0;
    for (size_t i = 0; i < countof(all); i++) {
        const size_t skipped = skip < all[i].iov_len ? skip : all[i].iov_len;
        skip -= skipped;
        out[n] = (struct iovec){ (char *)all[i].iov_base + skipped, all[i].iov_len - skipped };
        n += out[n].iov_len > 0;
    }
    return n;
}

enum pushed { PUSHED_ALL, PUSHED_FIRST, PUSHED_FULL, PUSHED_NONE };

static enum pushed push_chunk(struct client *c, enum object_state state)
{
    struct chunk *const k = &c->chunk;
    struct iovec rest[3];
    const uint8_t *const bytes = bytes_of(c, state, k->n);
    if (!bytes)
        return PUSHED_NONE;
    const struct msghdr m = { .msg_iov = rest, .msg_iovlen = rest_of(k, bytes, rest) };
    // The last chunk is about to follow what is whole.
    const int more = state == OBJECT_WHOLE && !c->exchange.chained ? MSG_MORE : 0;
    const ssize_t sent = sendmsg(c->watched.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL | more);
    if (sent < 0 && errno != EAGAIN) {
        atomic_store(&c->gone, true);
        return PUSHED_NONE;
    }
    k->sent += sent > 0 ? (size_t)sent : 0;
    if (k->sent < k->line_n + k->n + 2)
        return PUSHED_FULL;
    const bool first = c->at == 0;
    c->at += k->n;
    c->outcome.body_bytes += (int64_t)k->n;
    k->n = 0;
    return first ? PUSHED_FIRST : PUSHED_ALL;
}

static enum pushed push(struct client *c, enum object_state state)
{
    enum pushed pushed = PUSHED_ALL;
    while (pushed == PUSHED_ALL && (c->chunk.n > 0 || begin_chunk(c, state)))
        pushed = push_chunk(c, state);
    return pushed;
}

// To the end of the line of those who can be served.
static ssize_t let_others(struct client *c)
{
    MHD_suspend_connection(c->connection);
    MHD_resume_connection(c->connection);
    return 0;
}

static ssize_t read_stream(void *arg, uint64_t offset, char *out, size_t max)
{
    struct client *const c = arg;
    (void)offset, (void)out, (void)max;
    stop_waiting(c);
    for (;;) {
        const enum object_state state = object_state(c->exchange.object);
        const enum pushed pushed = push(c, state);
        if (atomic_load(&c->gone))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (pushed == PUSHED_FIRST)
            return let_others(c);
        if (pushed == PUSHED_FULL && park_full(c))
            return 0;
        if (pushed != PUSHED_ALL)
            return cut(c);
        if (state != OBJECT_WHOLE || !go_on(c))
            return at_end(c, state);
    }
}

static ssize_t read_nothing(void *arg, uint64_t offset, char *out, size_t max)
{
    (void)arg, (void)offset, (void)out, (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

// The header, with its Content-Length, of an answer whose body is not sent.
static struct MHD_Response *respond_header(uint64_t length)
{
    return MHD_create_response_from_callback(length, BLOCK, read_nothing, NULL, NULL);
}

static struct MHD_Response *respond_empty(void)
{
    return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

// False when the network takes nothing now.  A part of a status line cannot be
// mended: then the connection ends.
static bool send_ahead(struct client *c, const char *line, size_t n)
{
    const ssize_t sent = send(c->watched.fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE);
    if (sent > 0 && (size_t)sent < n)
        shutdown(c->watched.fd, SHUT_RDWR);
    return sent > 0;
}

// The header of an answer whose body is not sent and has no known length; *status
// is the one that libmicrohttpd is to send.  What went before has left for the
// network when a request is answered, so that ours may go there too.
static struct MHD_Response *respond_unsized(struct client *c, unsigned *status)
{
    char line[64];
    const int n = snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\nX-Sent-As: ", *status,
                           MHD_get_reason_phrase_for(*status));
    if (send_ahead(c, line, (size_t)n)) {
        *status = 204;
        return respond_empty();
    }
    // The way of HTTP/1.0, which closes the connection.
    struct MHD_Response *const m = respond_header(MHD_SIZE_UNKNOWN);
    if (m)
        MHD_set_response_options(m, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return m;
}

static struct MHD_Response *respond_text(struct buf *text)
{
    size_t n;
    if (text->len == 0)
        return respond_empty();
    void *const p = buf_steal(text, &n);
    struct MHD_Response *const m = MHD_create_response_from_buffer(n, p, MHD_RESPMEM_MUST_FREE);
    if (!m)
        free(p);
    return m;
}

static struct MHD_Response *respond_range(struct object *o, size_t offset, size_t length)
{
    size_t size;
    if (length == 0)
        return respond_empty();
    const uint8_t *const p = object_bytes(o, &size);
    assert(offset <= size && length <= size - offset);
    struct MHD_Response *const m = MHD_create_response_from_buffer_with_free_callback_cls(
        length, (void *)(p + offset), drop_object, o);
    if (m)
        object_ref(o);
    return m;
}

// A range of several objects, whose length is known.
static struct MHD_Response *respond_chain(struct client *c, size_t length)
{
    c->at = c->exchange.skip;
    return MHD_create_response_from_callback(length, CHAIN_BLOCK, read_chain, c, NULL);
}

static struct MHD_Response *respond_stream(struct client *c)
{
    // A cut body would look whole to HTTP/1.0: reply_needs_whole.
    assert(c->exchange.object && !c->exchange.request.http10);
    c->at = 0;
    c->chunk.n = 0;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, c, NULL);
}

// *status is r's; it becomes what libmicrohttpd is to send.
static struct MHD_Response *respond(struct client *c, struct reply *r, unsigned *status)
{
    const bool head = r->head || c->exchange.request.method == METHOD_HEAD;
    switch (r->body) {
    case BODY_NONE:
        if (r->status == 204)
            return respond_empty();
        return r->length ? respond_header(r->length) : respond_unsized(c, status);
    case BODY_TEXT:
        c->promised = head ? 0 : (int64_t)r->text.len;
        return respond_text(&r->text);
    case BODY_RANGE:
        if (head)
            return respond_header(r->length);
        if (c->exchange.chained)
            return respond_chain(c, r->length);
        c->promised = (int64_t)r->length;
        return respond_range(c->exchange.object, r->offset, r->length);
    case BODY_STREAM:
        return head ? respond_unsized(c, status) : respond_stream(c);
    }
    return NULL;
}

static void add_headers(struct MHD_Response *m, const struct reply *r)
{
    for (int i = 0; i < r->header_count; i++)
        MHD_add_response_header(m, r->headers[i].name, r->headers[i].value);
}

// sent_as is what libmicrohttpd is told.
static enum MHD_Result queue(struct client *c, struct MHD_Response *m, int status, unsigned sent_as)
{
    c->outcome.status = status;
    c->outcome.first_us = clock_us();
    return MHD_queue_response(c->connection, sent_as, m);
}

// Finishes r.
static enum MHD_Result send_reply(struct client *c, struct reply *r)
{
    unsigned status = (unsigned)r->status;
    struct MHD_Response *const m = respond(c, r, &status);
    enum MHD_Result sent = MHD_NO;
    if (m) {
        add_headers(m, r);
        if (r->close || atomic_load(&c->http->stopping))
            MHD_add_response_header(m, MHD_HTTP_HEADER_CONNECTION, "close");
        sent = queue(c, m, r->status, status);
        MHD_destroy_response(m);
    }
    reply_finish(r);
    return sent;
}

static void destroy_prepared(void *m)
{
    MHD_destroy_response(m);
}

// It has no reference to the object, whose it is: the exchange has one until it has ended.
static struct MHD_Response *prepare(struct client *c, const struct reply *r)
{
    struct object *const o = c->exchange.object;
    size_t n;
    const uint8_t *const p = object_bytes(o, &n);
    assert(r->status == 200 && r->body == BODY_RANGE && r->length == n);
    struct MHD_Response *const m =
        MHD_create_response_from_buffer(n, (void *)p, MHD_RESPMEM_PERSISTENT);
    if (!m)
        return NULL;
    add_headers(m, r);
    struct MHD_Response *const first = object_attach(o, m, destroy_prepared);
    if (first != m)
        MHD_destroy_response(m);
    return first;
}

// Uses r, which is empty yet, and finishes it.
static enum MHD_Result send_prepared(struct client *c, struct reply *r)
{
    struct http_exchange *const x = &c->exchange;
    struct MHD_Response *m = object_attached(x->object);
    if (!m) {
        c->http->handler.describe(c->http->handler.arg, x, r);
        m = prepare(c, r);
    }
    reply_finish(r);
    c->promised = (int64_t)object_size(x->object);
    return m ? queue(c, m, 200, 200) : MHD_NO;
}

static enum MHD_Result send_problem(struct client *c, int code, const char *detail)
{
    struct reply r;
    reply_init(&r);
    reply_problem(&r, &c->exchange.request, code, detail, NULL);
    r.close = true;
    return send_reply(c, &r);
}

// ---- the two calls of a request

static void fill_exchange(struct client *c, const char *method, const char *version,
                          const struct gate_fields *f)
{
    struct http_exchange *const x = &c->exchange;
    char *const target = gate_origin_form(c->target);
    char *const mark = strchr(target, '?');
    if (mark)
        *mark = '\0';
    *x = (struct http_exchange){
        .path = target,
        .query = mark ? mark + 1 : "",
        .request = { .method = gate_method(method),
                     .http10 = strcmp(version, "HTTP/1.0") == 0,
                     .range = f->value[GATE_RANGE],
                     .if_range = f->value[GATE_IF_RANGE],
                     .if_none_match = f->value[GATE_IF_NONE_MATCH],
                     .if_match = f->value[GATE_IF_MATCH] },
        .accepts_gzip = reply_accepts_gzip(f->value[GATE_ACCEPT_ENCODING]),
        .from_page = f->value[GATE_ORIGIN] != NULL,
        .cmcd = { f->value[GATE_CMCD_REQUEST], f->value[GATE_CMCD_SESSION],
                  f->value[GATE_CMCD_STATUS] },
        .start_us = clock_us(),
    };
    memcpy(x->client, c->address, sizeof x->client);
}

static enum MHD_Result on_field(void *fields, enum MHD_ValueKind kind, const char *name, size_t n,
                                const char *value, size_t value_n)
{
    (void)kind;
    return gate_take_field(fields, name, n, value, value_n) ? MHD_YES : MHD_NO;
}

// The header begins with the method, and its size is known.
static void take_fields(struct client *c, const char *method, const char *version,
                        struct gate_fields *f)
{
    const size_t n = MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                         ->header_size;
    if (gate_take_lines(f, method, n, c->target_end, version))
        MHD_get_connection_values_n(c->connection, MHD_HEADER_KIND, on_field, f);
}

static bool is_answered(const struct client *c)
{
    const struct http_handler *const handler = &c->http->handler;
    const struct http_exchange *const x = &c->exchange;
    if (x->request.method == METHOD_POST)
        return handler->posts && handler->posts(handler->arg, x->path);
    return x->request.method != METHOD_OTHER;
}

static void set_deadline(struct client *c, int64_t deadline_ms)
{
    atomic_store_explicit(&c->watched.deadline_ms, deadline_ms, memory_order_relaxed);
}

// A body has as long to come as the header had.
static enum MHD_Result take_header(struct client *c, const char *method, const char *version)
{
    struct gate_fields f = { 0 };
    c->header_seen = true;
    take_fields(c, method, version, &f);
    fill_exchange(c, method, version, &f);
    const bool post = c->exchange.request.method == METHOD_POST;
    set_deadline(c, post ? clock_ms() + c->http->header_timeout_ms : 0);
    buf_init(&c->body, HTTP_BODY_MAX);
    if (!is_answered(c))
        return send_problem(c, E_METHOD, NULL);
    const char *const wrong = gate_check(&f, &c->exchange, HTTP_BODY_MAX);
    return wrong ? send_problem(c, E_BAD_REQUEST, wrong) : MHD_YES;
}

static enum MHD_Result take_body(struct client *c, const char *upload, size_t *n)
{
    const int err = buf_append(&c->body, upload, *n);
    *n = 0;
    return err < 0 ? MHD_NO : MHD_YES;
}

static enum http_verdict step(struct client *c, struct reply *r, struct object **wait_for,
                              size_t *have)
{
    struct http *const h = c->http;
    if (!c->stepped)
        atomic_fetch_add(&h->open, 1);
    c->stepped = true;
    return h->handler.step(h->handler.arg, &c->exchange, r, wait_for, have);
}

static enum MHD_Result answer(struct client *c)
{
    struct reply r;
    struct object *wait_for = NULL;
    size_t have = 0;
    stop_waiting(c);
    if (atomic_load(&c->gone))
        return MHD_NO;
    set_deadline(c, 0);
    c->exchange.body = c->body.data;
    c->exchange.body_size = c->body.len;
    if (atomic_load(&c->http->stopping))
        return send_problem(c, E_STOPPING, NULL);
    reply_init(&r);
    switch (step(c, &r, &wait_for, &have)) {
    case HTTP_WAIT:
        reply_finish(&r);
        return park(c, wait_for, have) ? MHD_YES : send_problem(c, E_STOPPING, NULL);
    case HTTP_PREPARED:
        return send_prepared(c, &r);
    case HTTP_REPLY:
        break;
    }
    if (buf_error(&r.text)) {
        reply_finish(&r);
        return send_problem(c, E_NO_MEMORY, NULL);
    }
    return send_reply(c, &r);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_n, void **context)
{
    (void)arg, (void)connection, (void)url;
    struct client *const c = *context;
    if (!c->header_seen)
        return take_header(c, method, version);
    return *upload_n > 0 ? take_body(c, upload, upload_n) : answer(c);
}

// ---- the life of a connection

static void print_address(const struct sockaddr *a, char *out, socklen_t cap)
{
    const struct sockaddr_in6 *const in6 = (const struct sockaddr_in6 *)a;
    copy_string(out, cap, "unix");
    if (a->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, cap);
    else if (a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], out, cap);
    else if (a->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &in6->sin6_addr, out, cap);
}

static void on_connect(struct loop *l, struct MHD_Connection *connection, void **context)
{
    struct http *const h = l->http;
    struct client *const c = xcalloc(1, sizeof *c);
    c->http = h;
    c->loop = l;
    c->connection = connection;
    atomic_init(&c->refs, 1);
    c->waiter.wake = wake;
    c->watched.hung_up = hung_up;
    c->watched.writable = writable;
    c->watched.fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->watched.deadline_ms = clock_ms() + h->header_timeout_ms;
    print_address(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
        c->address, sizeof c->address);
    watch_add(h->watch, &c->watched);
    stat_add(STAT_http_connections, 1);
    *context = c;
}

// The descriptor is still open.
static void on_disconnect(struct client *c)
{
    watch_remove(c->http->watch, &c->watched);
    stat_add(STAT_http_connections, -1);
    client_unref(c);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        on_connect(arg, connection, context);
    else
        on_disconnect(*context);
}

// The request line is there, not yet taken apart.  What it returns is the context
// of the calls above.
static void *on_target(void *arg, const char *uri, struct MHD_Connection *connection)
{
    (void)arg;
    struct client *const c =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    const int64_t deadline = clock_ms() + c->http->header_timeout_ms;
    c->target = xstrdup(uri);
    c->target_end = uri + strlen(uri);
    // A new connection's deadline is nearer already; one that was kept had the
    // idle one.
    if (deadline < atomic_load_explicit(&c->watched.deadline_ms, memory_order_relaxed))
        atomic_store_explicit(&c->watched.deadline_ms, deadline, memory_order_relaxed);
    return c;
}

// We decode ourselves, once.
static size_t on_unescape(void *arg, struct MHD_Connection *connection, char *s)
{
    (void)arg, (void)connection;
    return strlen(s);
}

static void account(const struct http_outcome *o)
{
    if (o->status)
        stat_add(STAT_http_requests_total, 1);
    if (o->status >= 400)
        stat_add(STAT_http_errors_total, 1);
    stat_add(STAT_http_response_bytes_total, o->body_bytes);
    if (o->client_gone)
        stat_add(STAT_http_clients_gone_total, 1);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
    struct http *const h = arg;
    struct client *const c = *context;
    (void)connection;
    stop_waiting(c);
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        c->outcome.body_bytes += c->promised;
    else if (how == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
        c->outcome.cut = true;
    else
        c->outcome.client_gone = c->stepped && !c->outcome.cut;
    account(&c->outcome);
    if (c->stepped) {
        h->handler.done(h->handler.arg, &c->exchange, &c->outcome);
        if (atomic_fetch_sub(&h->open, 1) == 1 && atomic_load(&h->stopping)) {
            lock(&h->lock);
            pthread_cond_broadcast(&h->quiet);
            unlock(&h->lock);
        }
    }
    free(c->target);
    c->target = NULL;
    buf_finish(&c->body);
    c->outcome = (struct http_outcome){ 0 };
    c->promised = 0;
    c->header_seen = c->stepped = false;
    atomic_store_explicit(&c->watched.deadline_ms, clock_ms() + h->idle_timeout_ms,
                          memory_order_relaxed);
}

// ---- start and stop

// fd is the daemon's from here on, also when it fails.
static struct MHD_Daemon *create_daemon(struct loop *l, int fd, int connections)
{
    struct http *const h = l->http;
    const struct MHD_OptionItem options[] = {
        { MHD_OPTION_LISTEN_SOCKET, fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, connections, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, (h->idle_timeout_ms + 999) / 1000, NULL },
        { MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)on_unescape, NULL },
        { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, NULL },
        { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, l },
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, h },
        { MHD_OPTION_END, 0, NULL },
    };
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
                            NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static bool loop_init(struct loop *l, struct http *h, int connections)
{
    const int fd = fcntl(h->listen_fd, F_DUPFD_CLOEXEC, 0);
    l->http = h;
    l->wakes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->daemon = fd < 0 ? NULL : create_daemon(l, fd, connections);
    if (!l->daemon || l->wakes < 0)
        return false;
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    return epoll_ctl(MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                     EPOLL_CTL_ADD, l->wakes, &event) == 0;
}

static void loop_finish(struct loop *l)
{
    if (l->daemon)
        MHD_stop_daemon(l->daemon);
    if (l->wakes > 0)
        close(l->wakes);
}

// Each has its share of the connections.
static bool init_loops(struct http *h, int connections)
{
    bool good = true;
    for (int i = 0; i < h->loop_count && good; i++)
        good = loop_init(&h->loops[i], h,
                         connections / h->loop_count + (i < connections % h->loop_count));
    return good;
}

static int wait_ms(struct MHD_Daemon *d)
{
    const unsigned n = MHD_get_daemon_info(d, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
    return n + 2 < LOT ? -1 : LOT_WAIT_MS;
}

static void *run_loop(void *arg)
{
    struct loop *const l = arg;
    while (!atomic_load(&l->http->over)) {
        atomic_store(&l->awake, false);
        MHD_run_wait(l->daemon, wait_ms(l->daemon));
    }
    return NULL;
}

static void http_destroy(struct http *h)
{
    for (struct loop *l = h->loops; l < h->loops + h->loop_count; l++)
        loop_finish(l);
    watch_destroy(h->watch);
    close(h->listen_fd);
    free(h->loops);
    pthread_cond_destroy(&h->quiet);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

struct http *http_start(const struct conf *conf, const char *address, int threads,
                        const struct http_handler *handler, char *why, size_t cap)
{
    char bound[LISTEN_ADDRESS_MAX];
    const int fd = listen_open(address, bound, why, cap);
    if (fd < 0)
        return NULL;
    struct http *const h = xcalloc(1, sizeof *h);
    h->handler = *handler;
    h->header_timeout_ms = conf->http_header_timeout;
    h->idle_timeout_ms = conf->http_idle_timeout;
    h->listen_fd = fd;
    h->loop_count = threads < conf->http_connections ? threads : conf->http_connections;
    h->loops = xcalloc((size_t)h->loop_count, sizeof *h->loops);
    memcpy(h->address, bound, sizeof bound);
    pthread_mutex_init(&h->lock, NULL);
    cond_init(&h->quiet);
    const int64_t period_ms =
        h->header_timeout_ms < h->idle_timeout_ms ? h->header_timeout_ms : h->idle_timeout_ms;
    h->watch = watch_create(period_ms, conf->http_send_rate, h->idle_timeout_ms);
    if (h->watch && init_loops(h, conf->http_connections)) {
        for (struct loop *l = h->loops; l < h->loops + h->loop_count; l++)
            l->thread = thread_start("http", run_loop, l);
        return h;
    }
    snprintf(why, cap, "cannot start the HTTP threads for %s", address);
    listen_clean(bound);
    http_destroy(h);
    return NULL;
}

const char *http_address(const struct http *h)
{
    return h->address;
}

static void rouse(struct watched *w)
{
    client_resume(container_of(w, struct client, watched));
}

static void announce(struct http *h, atomic_bool *what)
{
    lock(&h->lock);
    atomic_store(what, true);
    unlock(&h->lock);
    watch_each(h->watch, rouse);
}

void http_stop(struct http *h)
{
    if (!h)
        return;
    announce(h, &h->stopping);
    const int64_t deadline_ms = clock_ms() + STOP_GRACE_MS;
    lock(&h->lock);
    while (atomic_load(&h->open) > 0 && cond_wait_until(&h->quiet, &h->lock, deadline_ms))
        ;
    unlock(&h->lock);
    announce(h, &h->ending);
    lock(&h->lock);
    while (h->waiters > 0)
        pthread_cond_wait(&h->quiet, &h->lock);
    unlock(&h->lock);
    atomic_store(&h->over, true);
    for (struct loop *l = h->loops; l < h->loops + h->loop_count; l++) {
        eventfd_write(l->wakes, 1);
        pthread_join(l->thread, NULL);
    }
    listen_clean(h->address);
    http_destroy(h);
}

const char *http_library(void)
{
    static char text[64];
    snprintf(text, sizeof text, "libmicrohttpd %s", MHD_get_version());
    return text;
}
