// SPDX-License-Identifier: BSD-2-Clause
//
//   route (pure) -> open (HIT / JOIN / MAKE) -> wait -> reply (pure)
//
// A hit is found by its URL alone: no index, no origin, no lower tier.

#include "server/request.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "cache/object.h"
#include "cache/store.h"
#include "server/ahead.h"
#include "server/cmcd.h"
#include "server/edge.h"
#include "server/license.h"
#include "server/making.h"
#include "server/page.h"
#include "server/progressive.h"
#include "server/sched.h"

struct request {
    struct route route;
    enum want want;            // BODY or GZIP
    struct key key;            // of that
    bool check;                // HEAD: the object says only whether the body could be made
    struct progressive *whole; // of a whole rendition, when its playlist is there
    enum store_verdict verdict;
    struct asker who;
    char id[24];
    char after[PAGE_AFTER_MAX]; // page of the listing
    enum reply_source from;     // for the access line
    int code;                   // enum err of a failure, for the access line
    char timing[96];
};

// ---- what the request is

// Made when it is first told to somebody: a hit has none.
static const char *request_id(struct request *q)
{
    static atomic_uint_fast64_t counter;
    if (q->id[0])
        return q->id;
    const uint64_t n = atomic_fetch_add(&counter, 1);
    snprintf(q->id, sizeof q->id, "%08" PRIx64 "-%06" PRIx64,
             (uint64_t)clock_us() >> 10 & 0xffffffff, n & 0xffffff);
    return q->id;
}

static bool needs_ui(const struct route *r)
{
    return r->kind == ROUTE_ROOT || r->kind == ROUTE_PLAY || r->kind == ROUTE_STATIC;
}

static enum want want_of(const struct http_exchange *x, const struct route *r)
{
    return route_is_text(r) && x->accepts_gzip ? WANT_GZIP : WANT_BODY;
}

// A collision only shares a share.  Behind one address, a CDN's perhaps, CMCD tells sessions apart;
// who forges many has many shares, like who has many addresses.
static uint32_t client_hash(const char *client)
{
    return text_hash(client, strlen(client));
}

static struct cmcd cmcd_of(const struct http_exchange *x)
{
    struct cmcd c = cmcd_nothing();
    cmcd_query(&c, x->query);
    for (size_t i = 0; i < countof(x->cmcd); i++)
        cmcd_header(&c, x->cmcd[i]);
    return c;
}

// Whoever gets it may play by it: what it names can be had at any time.
static bool is_pressed(const struct edge *e, const struct route *r)
{
    const bool matters = e->conf->pressure_short_side > 0 || *e->conf->pressure_preset;
    return matters && route_names_rungs(r) && sched_is_pressed(e->sched);
}

static int begin(struct edge *e, struct http_exchange *x)
{
    struct request *q = xcalloc(1, sizeof *q);
    x->state = q;
    q->from = FROM_NOWHERE;
    const int err = route_parse(&q->route, x->path);
    if (err < 0)
        return err;
    if (needs_ui(&q->route) && !e->pages)
        return -E_NOT_FOUND;
    x->request.posts = q->route.kind == ROUTE_LICENSE;
    if (x->request.posts != (x->request.method == METHOD_POST) &&
        x->request.method != METHOD_OPTIONS)
        return -E_METHOD;
    const int wrong = route_query(&q->route, x->query);
    if (wrong < 0)
        return wrong;
    if (q->route.kind == ROUTE_ROOT)
        page_after(x->query, q->after, sizeof q->after);
    q->route.pressed = is_pressed(e, &q->route);
    q->want = want_of(x, &q->route);
    q->key = making_key(e, &q->route, q->want, q->after);
    return 0;
}

// ---- answers

// Whether the same URL will have another body soon.
static bool grows(const struct object *o)
{
    int64_t marks[OBJECT_MARKS] = { 0 };
    if (o)
        object_marks(o, marks);
    return marks[MARK_GROWS];
}

// That of the whole body is its name, which what grows towards it must not bear.
static void etag_of(const struct request *q, const struct object *o, char *out, size_t cap)
{
    char hex[KEY_HEX];
    if (grows(o))
        return;
    if (route_is_immutable(&q->route))
        snprintf(out, cap, "\"%s\"", key_hex(&q->key, hex));
    else if (o && object_state(o) == OBJECT_WHOLE && q->route.kind != ROUTE_KEY)
        snprintf(out, cap, "\"%016" PRIx64 "\"", object_checksum(o));
}

static enum reply_source source_of(const struct request *q, const int64_t marks[OBJECT_MARKS])
{
    if (q->verdict == STORE_HIT)
        return FROM_MEMORY;
    const enum reply_source made = (enum reply_source)marks[MARK_SOURCE];
    if (q->verdict == STORE_JOIN && made == FROM_MAKE)
        return FROM_JOIN;
    return made;
}

// Server-Timing of what was made for this request, or failed; NULL for a hit.
static const char *timing_of(struct request *q, const int64_t marks[OBJECT_MARKS])
{
    if (q->verdict == STORE_HIT)
        return NULL;
    snprintf(q->timing, sizeof q->timing, "queue;dur=%.3f, origin;dur=%.3f, encode;dur=%.3f",
             (double)marks[MARK_QUEUE_US] / 1000, (double)marks[MARK_ORIGIN_US] / 1000,
             (double)marks[MARK_WORK_US] / 1000);
    return q->timing;
}

static struct reply_facts facts_of(struct edge *e, struct http_exchange *x)
{
    struct request *const q = x->state;
    struct reply_facts f = {
        .content_type = route_content_type(&q->route),
        .immutable = route_is_immutable(&q->route),
        .secret = q->route.kind == ROUTE_KEY,
        .gzip = q->want == WANT_GZIP,
        .negotiated = route_is_text(&q->route),
        .entry_age_s = e->conf->http_entry_age / 1000,
        .source = FROM_NOWHERE,
    };
    etag_of(q, q->check ? NULL : x->object, f.etag, sizeof f.etag);
    if (!x->object)
        return f;
    int64_t marks[OBJECT_MARKS];
    object_marks(x->object, marks);
    f.grows = marks[MARK_GROWS];
    f.source = q->from = source_of(q, marks);
    f.whole = !q->check && object_state(x->object) == OBJECT_WHOLE;
    f.size = object_size(x->object);
    if (q->whole)
        f.whole = progressive_size(q->whole, &f.size);
    f.timing = timing_of(q, marks);
    f.request_id = f.timing ? request_id(q) : NULL;
    return f;
}

static enum http_verdict answer_problem(struct http_exchange *x, struct reply *reply, int code,
                                        const char *detail)
{
    struct request *const q = x->state;
    q->code = code < 0 ? -code : code;
    reply_problem(reply, &x->request, code, detail, request_id(q));
    return HTTP_REPLY;
}

static enum http_verdict answer_failure(struct http_exchange *x, struct reply *reply)
{
    int64_t marks[OBJECT_MARKS];
    object_marks(x->object, marks);
    const char *const timing = timing_of(x->state, marks);
    answer_problem(x, reply, object_error(x->object), object_error_detail(x->object));
    if (marks[MARK_RETRY_S] > 0)
        reply_retry(reply, marks[MARK_RETRY_S]);
    if (timing)
        reply_header(reply, "Server-Timing", "%s", timing);
    return HTTP_REPLY;
}

// The object are the keys that there are.
static enum http_verdict answer_license(struct http_exchange *x, struct reply *reply)
{
    struct license_keys keys;
    size_t n;
    const uint8_t *const bytes = object_bytes(x->object, &n);
    int err = n == sizeof keys ? 0 : -E_INTERNAL;
    if (err == 0) {
        memcpy(&keys, bytes, n);
        err = license_answer(&reply->text, &keys, x->body, x->body_size);
    }
    if (err < 0)
        return answer_problem(x, reply, err,
                              err == -E_NOT_FOUND ? "the asset has none of these keys"
                                                  : "the body is no license request");
    reply_secret(reply, "application/json");
    return HTTP_REPLY;
}

static void describe(void *arg, struct http_exchange *x, struct reply *reply)
{
    struct edge *const e = arg;
    const struct request *const q = x->state;
    const struct reply_facts f = facts_of(e, x);
    reply_object(reply, &x->request, &f);
    if (q->route.kind == ROUTE_ROOT)
        page_protect(reply);
}

// Whether it is answered like everybody else who asks for what is in memory.
static bool is_plain(const struct http_exchange *x)
{
    const struct request *const q = x->state;
    const struct reply_request *const r = &x->request;
    return q->verdict == STORE_HIT && !q->check && r->method == METHOD_GET && !r->range &&
           !r->if_match && !r->if_none_match;
}

static enum http_verdict answer_object(struct edge *e, struct http_exchange *x, struct reply *reply)
{
    struct request *const q = x->state;
    if (is_plain(x)) {
        q->from = FROM_MEMORY;
        return HTTP_PREPARED;
    }
    describe(e, x, reply);
    return HTTP_REPLY;
}

// ---- the object

static bool is_encoded(const struct route *r)
{
    return r->kind == ROUTE_SEGMENT || r->kind == ROUTE_POSTER;
}

static void open_object(struct edge *e, struct http_exchange *x)
{
    struct request *const q = x->state;
    struct key key = q->key;
    enum want want = q->want;
    // HEAD costs no encode: of what is not here, find out whether it could
    // be made, no more.
    if (x->request.method == METHOD_HEAD && is_encoded(&q->route)) {
        if (store_peek(e->store, &q->key, clock_ms(), &x->object)) {
            q->verdict = object_state(x->object) == OBJECT_MAKING ? STORE_JOIN : STORE_HIT;
            return;
        }
        q->check = true;
        want = WANT_CHECK;
        key = making_key(e, &q->route, want, "");
    }
    struct route route = q->route;
    if (route.kind == ROUTE_PROGRESSIVE) { // first of all, its playlist
        route.kind = ROUTE_PLAYLIST;
        key = making_key(e, &route, want, "");
    }
    q->verdict = making_open(e, &key, &route, want, q->after, q->who, &x->object);
}

// Of what is combined, the parts are begun ahead (ingredients.c).
static bool is_watched(const struct edge *e, const struct http_exchange *x)
{
    const struct route *const r = &((struct request *)x->state)->route;
    return e->conf->workers_ahead > 0 && route_is_media(r) && !e->encrypts &&
           x->request.method == METHOD_GET;
}

static bool next_route(const struct http_exchange *x, const struct cmcd *c, struct route *next)
{
    const struct request *const q = x->state;
    char path[ROUTE_ASSET_MAX];
    return cmcd_next(c, x->path, path, sizeof path) && route_parse(next, path) == 0 &&
           route_is_media(next) && strcmp(next->asset, q->route.asset) == 0;
}

static void look_ahead(struct edge *e, const struct http_exchange *x, const struct cmcd *c)
{
    const struct request *const q = x->state;
    struct route next;
    ahead_note(e->ahead, &q->route, q->who.client, q->verdict != STORE_HIT,
               next_route(x, c, &next) ? &next : NULL, x->start_us);
}

// Answers a client that names the body that it has.  The tag is the name, so this
// costs no encode; a look into memory, for the length.  A star names any body, but
// only of what is there, and that is not known yet.
static bool answer_not_modified(struct edge *e, struct http_exchange *x, struct reply *reply)
{
    struct request *const q = x->state;
    const char *const tags = x->request.if_none_match;
    char etag[80] = "";
    if (!tags || strchr(tags, '*'))
        return false;
    etag_of(q, NULL, etag, sizeof etag);
    if (!etag[0] || !reply_etag_matches(tags, etag))
        return false;
    q->verdict = STORE_HIT;
    if (store_peek(e->store, &q->key, clock_ms(), &x->object) &&
        object_state(x->object) != OBJECT_WHOLE)
        store_close(e->store, &x->object);
    const struct reply_facts f = facts_of(e, x);
    reply_object(reply, &x->request, &f);
    return true;
}

// True when the answer can begin, although the object may still be growing.
static bool may_begin(const struct http_exchange *x)
{
    const struct request *const q = x->state;
    switch (object_state(x->object)) {
    case OBJECT_WHOLE:
    case OBJECT_FAILED:
        return true;
    default:
        return q->route.kind == ROUTE_SEGMENT && object_size(x->object) > 0 &&
               !reply_needs_whole(&x->request);
    }
}

// ---- a whole rendition

// Puts o in the place of the object that is open.
static void replace_object(struct edge *e, struct http_exchange *x, struct object *o)
{
    store_close(e->store, &x->object);
    x->object = o;
}

static bool open_next(void *arg, struct http_exchange *x)
{
    const struct request *const q = x->state;
    struct object *const o = progressive_next(q->whole);
    if (o)
        replace_object(arg, x, o);
    return o;
}

// The playlist is there: the first part is opened, but not for HEAD, which has no body.
static int begin_whole(struct edge *e, struct http_exchange *x)
{
    struct request *const q = x->state;
    size_t size;
    if (grows(x->object))
        return -E_BUSY; // nobody knows yet how many parts there are
    q->whole = progressive_create(e, &q->route, client_hash(x->client), x->object);
    if (!q->whole)
        return -E_NOT_FOUND;
    if (x->request.http10 && !progressive_size(q->whole, &size))
        return -E_VERSION;
    x->chained = true;
    if (x->request.method != METHOD_HEAD)
        replace_object(e, x, progressive_open(q->whole, 0, &x->skip));
    return 0;
}

// A range of it may begin in another part.
static enum http_verdict answer_whole(struct edge *e, struct http_exchange *x, struct reply *reply)
{
    const struct request *const q = x->state;
    describe(e, x, reply);
    if (reply->body == BODY_RANGE && reply->offset > 0)
        replace_object(e, x, progressive_open(q->whole, reply->offset, &x->skip));
    return HTTP_REPLY;
}

static enum http_verdict step_whole(struct edge *e, struct http_exchange *x, struct reply *reply,
                                    struct object **wait_for, size_t *have)
{
    const struct request *const q = x->state;
    *have = object_size(x->object);
    if (object_state(x->object) == OBJECT_FAILED)
        return answer_failure(x, reply);
    if (!q->whole && object_state(x->object) == OBJECT_WHOLE) {
        const int err = begin_whole(e, x);
        if (err < 0)
            return answer_problem(x, reply, err,
                                  err == -E_BUSY ? "its length is not known yet" : NULL);
        *have = object_size(x->object);
    }
    if (q->whole && (*have > 0 || x->request.method == METHOD_HEAD))
        return answer_whole(e, x, reply);
    *wait_for = x->object;
    return HTTP_WAIT;
}

// ---- the steps

static enum http_verdict first_step(struct edge *e, struct http_exchange *x, struct reply *reply)
{
    const int err = begin(e, x);
    struct request *const q = x->state;
    if (err < 0)
        return answer_problem(x, reply, err, NULL);
    if (x->request.method == METHOD_OPTIONS) {
        reply_options(reply, &x->request);
        return HTTP_REPLY;
    }
    if (q->route.kind == ROUTE_STATIC || q->route.kind == ROUTE_PLAY)
        return page_answer(e->pages, &q->route, x, reply);

    if (answer_not_modified(e, x, reply))
        return HTTP_REPLY;
    const struct cmcd c = cmcd_of(x);
    q->who = (struct asker){ client_hash(x->client) ^ c.session,
                             wanted_at(WANTED_VIEWER, cmcd_due_us(&c, x->start_us)) };
    open_object(e, x);
    if (is_watched(e, x))
        look_ahead(e, x, &c);
    return HTTP_WAIT;
}

static enum http_verdict step(void *arg, struct http_exchange *x, struct reply *reply,
                              struct object **wait_for, size_t *have)
{
    struct edge *const e = arg;
    if (!x->object && first_step(e, x, reply) == HTTP_REPLY)
        return HTTP_REPLY;

    const struct request *const q = x->state;
    if (q->route.kind == ROUTE_PROGRESSIVE)
        return step_whole(e, x, reply, wait_for, have);
    *have = object_size(x->object);
    if (!may_begin(x)) {
        *wait_for = x->object;
        return HTTP_WAIT;
    }
    if (object_state(x->object) == OBJECT_FAILED)
        return answer_failure(x, reply);
    if (q->route.kind == ROUTE_LICENSE)
        return answer_license(x, reply);
    return answer_object(e, x, reply);
}

static bool posts(void *arg, const char *path)
{
    struct route r;
    (void)arg;
    return route_parse(&r, path) == 0 && r.kind == ROUTE_LICENSE;
}

// ---- the access line

static const char *const from_names[] = {
    [FROM_MEMORY] = "memory", [FROM_DISK] = "disk", [FROM_REDIS] = "redis",
    [FROM_JOIN] = "joined",   [FROM_MAKE] = "made", [FROM_NOWHERE] = "-",
};

static const char *method_name(enum method m)
{
    static const char *const names[] = { "GET", "HEAD", "OPTIONS", "POST", "?" };
    return names[m];
}

// The query is left out: it may hold a token.
static void log_access(const struct http_exchange *x, const struct http_outcome *o)
{
    const struct request *const q = x->state;
    const int64_t now = clock_us();
    const int status = o->status ? o->status : 499; // nginx's number for who left unanswered
    const char *const end = o->cut ? " cut" : o->client_gone ? " client-gone" : "";
    log_info("access", "%s %s %s %d %" PRId64 "B first %.1fms all %.1fms %s%s%s%s", x->client,
             method_name(x->request.method), x->path, status, o->body_bytes,
             o->first_us ? (double)(o->first_us - x->start_us) / 1000 : 0.0,
             (double)(now - x->start_us) / 1000, from_names[q->from], end, q->code ? " " : "",
             q->code ? err_name(q->code) : "");
}

static void finish(void *arg, struct http_exchange *x, const struct http_outcome *outcome)
{
    struct edge *const e = arg;
    struct request *const q = x->state;
    log_access(x, outcome);
    if (outcome->client_gone && is_watched(e, x))
        ahead_leave(e->ahead, &q->route, q->who.client);
    if (x->object)
        making_leave(e, &x->object);
    progressive_destroy(q->whole);
    free(q);
    x->state = NULL;
}

struct http_handler request_handler(struct edge *e)
{
    return (struct http_handler){ .arg = e,
                                  .posts = posts,
                                  .step = step,
                                  .describe = describe,
                                  .next = open_next,
                                  .done = finish };
}
