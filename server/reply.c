// SPDX-License-Identifier: BSD-2-Clause
//
// In the order of RFC 9110 section 13.2.2: If-Match, If-None-Match, then Range
// with If-Range.  There are no dates here: no Last-Modified is ever sent, so no
// date in a condition can be about a body of ours; If-Modified-Since and
// If-Unmodified-Since are ignored, and a date in If-Range never matches.
//
// Ranges: one is honoured; several are answered with the whole body, which a
// server may always do and which costs less than what multipart invites; what
// does not parse counts as absent.

#include "server/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/utf8.h"

#define TEXT_MAX ((size_t)(4 * MIB)) // the largest script of the player page fits

static const char *methods(const struct reply_request *q)
{
    return q->posts ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

// ---- building

void reply_init(struct reply *r)
{
    r->status = 0;
    r->header_count = 0;
    r->body = BODY_NONE;
    r->offset = r->length = 0;
    buf_init(&r->text, TEXT_MAX);
    r->head = false;
    r->close = false;
}

void reply_finish(struct reply *r)
{
    buf_finish(&r->text);
}

void reply_constant(struct reply *r, const char *name, const char *value)
{
    assert(r->header_count < REPLY_HEADERS_MAX);
    struct reply_header *const h = &r->headers[r->header_count++];
    h->name = name;
    h->value = value;
}

void reply_header(struct reply *r, const char *name, const char *fmt, ...)
{
    assert(r->header_count < REPLY_HEADERS_MAX);
    struct reply_header *const h = &r->headers[r->header_count++];
    va_list args;
    va_start(args, fmt);
    vsnprintf(h->printed, sizeof h->printed, fmt, args);
    va_end(args);
    h->name = name;
    h->value = h->printed;
    // Values may quote what others wrote: nothing may end the line.
    for (char *p = h->printed; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
}

// What every answer carries: any page may read us, and measure us.
static void open_to_all(struct reply *r)
{
    reply_constant(r, "Access-Control-Allow-Origin", "*");
    reply_constant(
        r, "Access-Control-Expose-Headers",
        "Content-Length, Content-Range, ETag, Server-Timing, Cache-Status, X-Request-Id");
    reply_constant(r, "Timing-Allow-Origin", "*");
    reply_constant(r, "Cross-Origin-Resource-Policy", "cross-origin");
    reply_constant(r, "X-Content-Type-Options", "nosniff");
}

// ---- entity tags

static const char *skip(const char *s, const char *set)
{
    return s + strspn(s, set);
}

// The end of the entity-tag at s, or NULL when there is none.
static const char *tag_end(const char *s)
{
    if (s[0] == 'W' && s[1] == '/')
        s += 2;
    if (*s++ != '"')
        return NULL;
    while ((unsigned char)*s > 0x20 && *s != '"' && *s != 0x7f)
        s++;
    return *s == '"' ? s + 1 : NULL;
}

// Whether etag, a strong one, is in the list.  Comparing strongly, a weak tag
// never matches; comparing weakly its W/ is ignored.
static bool list_matches(const char *list, const char *etag, bool weakly)
{
    list = skip(list, " \t");
    if (list[0] == '*' && *skip(list + 1, " \t") == '\0')
        return true;
    for (;;) {
        list = skip(list, " \t,");
        const char *const end = tag_end(list);
        if (!end)
            return false;
        if (weakly && *list == 'W')
            list += 2;
        if ((size_t)(end - list) == strlen(etag) && memcmp(list, etag, strlen(etag)) == 0)
            return true;
        list = skip(end, " \t");
        if (*list != ',')
            return false;
    }
}

bool reply_etag_matches(const char *if_none_match, const char *etag)
{
    return list_matches(if_none_match, etag, true);
}

// If-Range holds one tag, compared strongly, or a date.
static bool if_range_holds(const char *if_range, const char *etag)
{
    const char *const begin = skip(if_range, " \t");
    const size_t n = strlen(etag);
    return n > 0 && strncmp(begin, etag, n) == 0 && *skip(begin + n, " \t") == '\0';
}

// ---- ranges

enum range_verdict { RANGE_NONE, RANGE_ONE, RANGE_OUTSIDE };

// first-last, first- (last is UINT64_MAX), or -suffix.
struct range {
    bool suffix;
    uint64_t first, last; // a suffix has its length in last
};

// Reads digits, stopping at UINT64_MAX; false when there are none.
static bool read_number(const char **s, uint64_t *v)
{
    const char *p = *s;
    *v = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, *p - '0', v)) {
            *v = UINT64_MAX;
            p += strspn(p, "0123456789");
            break;
        }
    const bool any = p > *s;
    *s = p;
    return any;
}

// One range-spec at *s, which moves behind it.  False when it is malformed.
static bool read_range(const char **s, struct range *r)
{
    r->suffix = !read_number(s, &r->first);
    if (*(*s)++ != '-')
        return false;
    const bool has_last = read_number(s, &r->last);
    if (r->suffix)
        return has_last;
    if (!has_last)
        r->last = UINT64_MAX;
    return r->first <= r->last;
}

// True when the header is well-formed and has exactly one range, put into out.
static bool parse_range(const char *header, struct range *out)
{
    const char *s = skip(header, " \t");
    int count = 0;
    if (strncasecmp(s, "bytes=", 6) != 0)
        return false;
    for (s += 6;;) {
        s = skip(s, " \t,");
        if (*s == '\0')
            return count == 1;
        if (!read_range(&s, out) || ++count > 1)
            return false;
        s = skip(s, " \t");
        if (*s != ',' && *s != '\0')
            return false;
    }
}

// What of size bytes the range means.
static enum range_verdict resolve(const struct range *r, size_t size, size_t *offset,
                                  size_t *length)
{
    if (r->suffix) {
        if (r->last == 0)
            return RANGE_OUTSIDE;
        if (size == 0)
            return RANGE_NONE; // satisfiable, but 206 has no way to say "nothing"
        *length = r->last < size ? (size_t)r->last : size;
        *offset = size - *length;
        return RANGE_ONE;
    }
    if (r->first >= size)
        return RANGE_OUTSIDE;
    *offset = (size_t)r->first;
    *length = (r->last < size ? (size_t)r->last + 1 : size) - *offset;
    return RANGE_ONE;
}

// Only a GET has ranges (RFC 9110 14.2).
static enum range_verdict range_of(const struct reply_request *q, const struct reply_facts *f,
                                   size_t *offset, size_t *length)
{
    struct range range;
    if (q->method != METHOD_GET || !q->range || !f->whole || !parse_range(q->range, &range))
        return RANGE_NONE;
    if (q->if_range && !if_range_holds(q->if_range, f->etag))
        return RANGE_NONE;
    return resolve(&range, f->size, offset, length);
}

bool reply_needs_whole(const struct reply_request *q)
{
    struct range range;
    if (q->method != METHOD_GET)
        return false;
    return q->http10 || (q->range && parse_range(q->range, &range));
}

// ---- problems

// Appends s as the inside of a JSON string; what is no UTF-8 becomes U+FFFD.
void reply_put_json(struct buf *b, const char *s)
{
    size_t left = strlen(s);
    while (left) {
        const size_t n = utf8_sequence(s, left);
        if (n == 0)
            buf_puts(b, "\\ufffd");
        else if (*s == '"' || *s == '\\')
            buf_printf(b, "\\%c", *s);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            buf_printf(b, "\\u%04x", (unsigned)*s);
        else
            buf_append(b, s, n);
        s += n ? n : 1;
        left -= n ? n : 1;
    }
}

static void put_member(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "\"%s\":\"", name);
    reply_put_json(b, value);
    buf_puts(b, "\",");
}

static void put_problem(struct buf *b, int status, const char *code, const char *title,
                        const char *detail, const char *request_id)
{
    buf_printf(b, "{\"type\":\"urn:tidemill:%s\",", code);
    put_member(b, "title", title);
    if (detail && *detail)
        put_member(b, "detail", detail);
    if (request_id)
        put_member(b, "request_id", request_id);
    buf_printf(b, "\"code\":\"%s\",\"status\":%d}\n", code, status);
}

static void problem(struct reply *r, const struct reply_request *q, int status, const char *code,
                    const char *title, const char *detail, const char *request_id)
{
    r->status = status;
    r->body = BODY_TEXT;
    r->head = q->method == METHOD_HEAD;
    put_problem(&r->text, status, code, title, detail, request_id);
    reply_constant(r, "Content-Type", "application/problem+json");
    reply_constant(r, "Cache-Control", "no-store");
    if (request_id)
        reply_header(r, "X-Request-Id", "%s", request_id);
    open_to_all(r);
}

void reply_problem(struct reply *r, const struct reply_request *q, int code, const char *detail,
                   const char *request_id)
{
    const int status = err_status(code);
    problem(r, q, status, err_name(code), err_sentence(code), detail, request_id);
    if (status == 502 || status == 504)
        reply_constant(r, "Retry-After", "1");
    if (status == 405)
        reply_constant(r, "Allow", methods(q));
}

void reply_retry(struct reply *r, int64_t seconds)
{
    for (int i = 0; i < r->header_count; i++) {
        struct reply_header *const h = &r->headers[i];
        if (strcmp(h->name, "Retry-After") != 0)
            continue;
        snprintf(h->printed, sizeof h->printed, "%lld", (long long)seconds);
        h->value = h->printed;
    }
}

// ---- objects

static const char *cache_status(enum reply_source s)
{
    switch (s) {
    case FROM_MEMORY:
        return "tidemill; hit; detail=memory";
    case FROM_DISK:
        return "tidemill; hit; detail=disk";
    case FROM_REDIS:
        return "tidemill; hit; detail=redis";
    case FROM_JOIN:
        return "tidemill; fwd=miss; collapsed";
    case FROM_MAKE:
        return "tidemill; fwd=miss";
    case FROM_NOWHERE:
        break;
    }
    return NULL;
}

// What it took to make.
static void tell_making(struct reply *r, const struct reply_facts *f)
{
    if (f->timing)
        reply_header(r, "Server-Timing", "%s", f->timing);
}

// What 200, 206 and 304 have in common.
static void describe(struct reply *r, const struct reply_facts *f)
{
    if (f->etag[0])
        reply_header(r, "ETag", "%s", f->etag);
    if (f->secret)
        reply_constant(r, "Cache-Control", "no-store");
    else if (f->immutable && !f->grows)
        reply_constant(r, "Cache-Control", "public, max-age=31536000, immutable");
    else if (f->grows)
        reply_constant(r, "Cache-Control", "public, max-age=1");
    else
        reply_header(r, "Cache-Control", "public, max-age=%lld, stale-while-revalidate=60",
                     (long long)f->entry_age_s);
    if (f->negotiated)
        reply_constant(r, "Vary", "Accept-Encoding");
    if (cache_status(f->source))
        reply_constant(r, "Cache-Status", cache_status(f->source));
    tell_making(r, f);
    if (f->request_id)
        reply_header(r, "X-Request-Id", "%s", f->request_id);
    open_to_all(r);
}

static void describe_body(struct reply *r, const struct reply_facts *f)
{
    reply_header(r, "Content-Type", "%s", f->content_type);
    reply_constant(r, "Accept-Ranges", "bytes");
    if (f->gzip)
        reply_constant(r, "Content-Encoding", "gzip");
}

static void not_modified(struct reply *r, const struct reply_facts *f)
{
    r->status = 304;
    r->length = f->whole ? f->size : 0;
    describe(r, f);
}

static void outside(struct reply *r, const struct reply_request *q, const struct reply_facts *f)
{
    reply_problem(r, q, E_RANGE, NULL, f->request_id);
    reply_header(r, "Content-Range", "bytes */%zu", f->size);
    tell_making(r, f);
}

static void partial(struct reply *r, const struct reply_facts *f, size_t offset, size_t length)
{
    r->status = 206;
    r->body = BODY_RANGE;
    r->offset = offset;
    r->length = length;
    describe(r, f);
    describe_body(r, f);
    reply_header(r, "Content-Range", "bytes %zu-%zu/%zu", offset, offset + length - 1, f->size);
}

static void complete(struct reply *r, const struct reply_request *q, const struct reply_facts *f)
{
    r->status = 200;
    r->head = q->method == METHOD_HEAD;
    if (f->whole) {
        r->body = BODY_RANGE;
        r->length = f->size;
    } else if (!r->head) {
        r->body = BODY_STREAM;
    }
    describe(r, f);
    describe_body(r, f);
}

void reply_object(struct reply *r, const struct reply_request *q, const struct reply_facts *f)
{
    size_t offset, length;
    if (q->if_match && !list_matches(q->if_match, f->etag, false)) {
        problem(r, q, 412, "E_PRECONDITION", "the body is not the one that If-Match names", NULL,
                f->request_id);
        tell_making(r, f);
        return;
    }
    if (q->if_none_match && reply_etag_matches(q->if_none_match, f->etag)) {
        not_modified(r, f);
        return;
    }
    switch (range_of(q, f, &offset, &length)) {
    case RANGE_OUTSIDE:
        outside(r, q, f);
        break;
    case RANGE_ONE:
        partial(r, f, offset, length);
        break;
    case RANGE_NONE:
        complete(r, q, f);
        break;
    }
}

void reply_secret(struct reply *r, const char *content_type)
{
    r->status = 200;
    r->body = BODY_TEXT;
    reply_constant(r, "Content-Type", content_type);
    reply_constant(r, "Cache-Control", "no-store");
    open_to_all(r);
}

void reply_options(struct reply *r, const struct reply_request *q)
{
    r->status = 204;
    reply_constant(r, "Allow", methods(q));
    reply_constant(r, "Access-Control-Allow-Methods", methods(q));
    // The star covers what is not named, but old browsers take it literally.
    reply_header(r, "Access-Control-Allow-Headers",
                 "Range, If-Range, If-Match, If-None-Match, Content-Type, CMCD-Request, "
                 "CMCD-Object, CMCD-Session, CMCD-Status, *");
    reply_header(r, "Access-Control-Max-Age", "86400");
    open_to_all(r);
}

// ---- content coding

// Whether the element [s, end) of Accept-Encoding has a weight above zero.
static bool is_wanted(const char *s, const char *end)
{
    const char *const semicolon = memchr(s, ';', (size_t)(end - s));
    if (!semicolon)
        return true;
    const char *q = skip(semicolon + 1, " \t");
    if ((*q != 'q' && *q != 'Q') || q[1] != '=')
        return true;
    for (q += 2; q < end; q++)
        if (*q >= '1' && *q <= '9')
            return true;
    return false;
}

bool reply_accepts_gzip(const char *accept_encoding)
{
    bool star = false;
    const char *s = accept_encoding ? accept_encoding : "";
    while (*(s = skip(s, " \t,"))) {
        const char *const end = s + strcspn(s, ",");
        const size_t n = strcspn(s, " \t,;");
        if ((n == 4 && strncasecmp(s, "gzip", 4) == 0) ||
            (n == 6 && strncasecmp(s, "x-gzip", 6) == 0))
            return is_wanted(s, end);
        if (n == 1 && *s == '*')
            star = is_wanted(s, end);
        s = end;
    }
    return star;
}
