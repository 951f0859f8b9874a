// SPDX-License-Identifier: BSD-2-Clause
//
// reply - decides status, headers and body range of an answer.  Pure: facts
// about the object and the request's headers in, a struct reply out.
// Rules: RFC 9110 (conditions 13, ranges 14), RFC 9211 (Cache-Status), RFC 9457.

#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define REPLY_HEADERS_MAX 24
#define REPLY_VALUE_MAX 320

enum method { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_POST, METHOD_OTHER };

// The request headers that matter here; NULL where absent.  Borrowed.
struct reply_request {
    enum method method;
    bool http10;
    bool posts; // the path takes POST, and neither GET nor HEAD
    const char *range;
    const char *if_range;
    const char *if_none_match;
    const char *if_match;
};

// Where the bytes came from, for Cache-Status and the access line.
enum reply_source { FROM_MEMORY, FROM_DISK, FROM_REDIS, FROM_JOIN, FROM_MAKE, FROM_NOWHERE };

// What there is to answer with.
struct reply_facts {
    const char *content_type;
    char etag[80];       // with its quotes; "" for none
    bool immutable;      // below a recipe
    bool secret;         // nobody is to keep it
    bool gzip;           // the body is gzip-encoded
    bool negotiated;     // text: Vary: Accept-Encoding
    bool grows;          // has another body soon
    int64_t entry_age_s; // max-age of entry points
    enum reply_source source;
    bool whole;             // size is known
    size_t size;            // when whole
    const char *timing;     // Server-Timing value of what was made, or NULL
    const char *request_id; // of what was made or failed, or NULL
};

struct reply_header {
    const char *name;  // static
    const char *value; // static, or printed
    char printed[REPLY_VALUE_MAX];
};

enum reply_body {
    BODY_NONE,   // no body (204, 304, HEAD of unknown size)
    BODY_TEXT,   // text
    BODY_RANGE,  // [offset, offset + length) of the whole object
    BODY_STREAM, // the object from its start, chunked, while it is made
};

// Not to be copied: it points into itself.
struct reply {
    int status;
    struct reply_header headers[REPLY_HEADERS_MAX];
    int header_count;
    enum reply_body body;
    // BODY_RANGE; HEAD keeps them for Content-Length.  A 304 has the length that
    // the body would have, 0 where it is unknown.
    size_t offset, length;
    struct buf text; // BODY_TEXT, owned: reply_finish
    bool head;       // send headers only
    bool close;      // close the connection afterwards
};

// True when this request can only be answered from a whole object: a range, a
// HEAD that wants a length is not one of them, an HTTP/1.0 client.
bool reply_needs_whole(const struct reply_request *q);

// True when If-None-Match (a list of tags, weak comparison, or *) matches the
// strong etag; then the answer is reply_not_modified, whatever the object's state.
bool reply_etag_matches(const char *if_none_match, const char *etag);

// Whether an Accept-Encoding header (NULL: none) takes gzip.
bool reply_accepts_gzip(const char *accept_encoding);

// Appends s as it stands between the quotes of JSON.
void reply_put_json(struct buf *b, const char *s);

void reply_init(struct reply *r);
void reply_finish(struct reply *r);
void reply_header(struct reply *r, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
// The same with a value that is a string constant.
void reply_constant(struct reply *r, const char *name, const char *value);

// 200, 206, 304, 412 or 416 for an object; all conditions and ranges decided here.
void reply_object(struct reply *r, const struct reply_request *q, const struct reply_facts *f);
// 200 with what is in r->text, a secret.
void reply_secret(struct reply *r, const char *content_type);
// 204 to OPTIONS (CORS preflight).
void reply_options(struct reply *r, const struct reply_request *q);
// problem+json for an enum err: no-store, Retry-After where the status is 502 or
// 504, Allow with 405.  detail may be NULL; it is escaped.
void reply_problem(struct reply *r, const struct reply_request *q, int code, const char *detail,
                   const char *request_id);
// Has it asked for again after so many seconds, where it says when at all.
void reply_retry(struct reply *r, int64_t seconds);

#endif
