// SPDX-License-Identifier: BSD-2-Clause
//
// origin_http - an HTTP(S) base URL as an origin.
//
// The bytes of an answer that is not from the wanted version are never taken.  We send If-Match
// for a strong ETag, but believe only what the answer says.  A read that was cut goes on where
// that was, at the same version.
//
// Signatures are libcurl's (AWS SigV4).  7.88 signs right what S3 wants: the path as it is sent,
// and url_of writes it as S3 does; all lines that we add; not the hash of the body, where we send
// that ourselves.

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/tasks.h"
#include "cache/origin.h"
#include "cache/transfer.h"
#include "config/conf.h"

#define SKIP_MAX (8 * MIB) // of an answer that ignores the range
#define TELL_MS 60000      // refusals are told of once in that

// The SHA-256 of the body of a request that has none.
#define NO_BODY                                                                                    \
    "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct origin_http {
    struct origin origin; // first: the two are cast into each other
    char *base;           // ends in '/'
    struct transfers *transfers;

    // of a signed one
    const struct signer *signer; // NULL: it is none
    struct signer signs;
    char *token;           // the header's line; NULL: none
    atomic_llong quiet_ms; // until then nothing is said of refusals
};

// What is asked for, and what the answer says of it.
struct question {
    struct origin_http *http;
    const char *path;
    bool head; // only the version
    int64_t offset, n;
    const struct origin_version *want; // or NULL
    struct buf *out;                   // NULL for head
    struct origin_progress *progress;  // or NULL

    // of the try
    int64_t have; // bytes that came before it
    char range[64], match[ORIGIN_VALIDATOR_MAX + 16];
    const char *headers[5]; // NULL-ended
    struct origin_version got;

    struct origin_version version; // that bytes have come of
};

// ---- the request

// Every byte that a URL's path does not take as it is becomes %XX, in upper
// case: servers that verify signatures compare the text.
static char *url_of(const char *base, const char *path)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~/";
    const size_t start = strlen(base);
    char *const url = xmalloc(start + 3 * strlen(path) + 1);
    memcpy(url, base, start);
    char *out = url + start;
    for (const char *p = path; *p; p++) {
        if (strchr(plain, *p)) {
            *out++ = *p;
            continue;
        }
        *out++ = '%';
        *out++ = digits[(uint8_t)*p >> 4];
        *out++ = digits[(uint8_t)*p & 15];
    }
    *out = '\0';
    return url;
}

// The headers of a try; of one after a cut, for the rest and the version that is known by then.
static void prepare(void *arg, int64_t have)
{
    struct question *const q = arg;
    int n = 0;
    q->have = have;
    if (have > 0)
        q->want = &q->version;
    if (!q->head) {
        snprintf(q->range, sizeof q->range, "Range: bytes=%lld-%lld", (long long)(q->offset + have),
                 (long long)(q->offset + q->n - 1));
        q->headers[n++] = q->range;
    }
    if (q->want && strncmp(q->want->validator, "etag:", 5) == 0) {
        snprintf(q->match, sizeof q->match, "If-Match: %s", q->want->validator + 5);
        q->headers[n++] = q->match;
    }
    if (q->http->signer)
        q->headers[n++] = NO_BODY; // libcurl sends none before 8.0, and signs it
    if (q->http->token)
        q->headers[n++] = q->http->token;
    q->headers[n] = NULL;
}

// ---- the answer

static bool is_strong(const char *etag)
{
    const size_t n = strlen(etag);
    return n >= 2 && n < ORIGIN_VALIDATOR_MAX - 8 && etag[0] == '"' &&
           strcspn(etag + 1, "\" ") == n - 2 && etag[n - 1] == '"';
}

// What the answer says about the version, and whether that is the wanted one.
static int judge_version(struct answer *a, struct question *q, int64_t size)
{
    struct origin_version *v = &q->got;
    const char *etag = answer_header(a, "ETag");
    const char *modified = answer_header(a, "Last-Modified");
    *v = (struct origin_version){ .size = size, .weak = !(etag && is_strong(etag)) };
    int n;
    if (!v->weak)
        n = snprintf(v->validator, sizeof v->validator, "etag:%s", etag);
    else if (modified)
        n = snprintf(v->validator, sizeof v->validator, "lm:%s;size:%lld", modified,
                     (long long)size);
    else
        n = snprintf(v->validator, sizeof v->validator, "weak:%s;size:%lld", etag ? etag : "",
                     (long long)size);
    if ((size_t)n >= sizeof v->validator)
        return answer_fault(a, -E_ORIGIN, "its validator is too long");
    if (q->want && !origin_version_equal(q->want, v))
        return -E_CHANGED;
    return 0;
}

static bool read_number(const char **text, int64_t *value)
{
    if (**text < '0' || **text > '9')
        return false; // strtoll would take a space or a sign
    char *end;
    errno = 0;
    *value = strtoll(*text, &end, 10);
    *text = end;
    return errno == 0;
}

static bool read_byte(const char **text, char c)
{
    return *(*text)++ == c;
}

// "bytes 0-99/1000", or "bytes */1000", which gives first = last = -1.
static bool read_content_range(const char *text, int64_t *first, int64_t *last, int64_t *size)
{
    *first = *last = -1;
    if (!text || strncasecmp(text, "bytes ", 6) != 0)
        return false;
    text += 6;
    if (*text == '*')
        text++;
    else if (!read_number(&text, first) || !read_byte(&text, '-') || !read_number(&text, last))
        return false;
    return read_byte(&text, '/') && read_number(&text, size) && *text == '\0';
}

static int judge_part(struct answer *a, struct question *q)
{
    int64_t first, last, size;
    if (!read_content_range(answer_header(a, "Content-Range"), &first, &last, &size))
        return answer_fault(a, -E_ORIGIN, "206 without a usable Content-Range");
    const int rc = judge_version(a, q, size);
    if (rc < 0)
        return rc;
    const int64_t offset = q->offset + q->have;
    const int64_t left = size - offset; // no overflow: both are 0 or more
    if (first != offset || left <= 0 || last != offset + min64(q->n - q->have, left) - 1)
        return answer_fault(a, -E_ORIGIN, "206 for another range than asked");
    answer_take(a, 0, last - first + 1, last - first + 1);
    return 0;
}

static int judge_whole(struct answer *a, struct question *q)
{
    const int64_t size = answer_length(a);
    if (size < 0)
        return answer_fault(a, -E_ORIGIN, "200 without a length");
    const int rc = judge_version(a, q, size);
    const int64_t offset = q->offset + q->have;
    if (rc < 0 || q->head || offset >= size)
        return rc;
    if (offset > SKIP_MAX)
        return answer_fault(a, -E_ORIGIN, "ranges are ignored");
    answer_take(a, offset, min64(q->n - q->have, size - offset), size);
    return 0;
}

// Many servers leave the validators out of a 416.  There are no bytes in it
// that could be of another version, so a fitting size will do.
static int judge_past_end(struct answer *a, struct question *q)
{
    int64_t first, last, size;
    if (q->head || !read_content_range(answer_header(a, "Content-Range"), &first, &last, &size) ||
        first != -1 || size > q->offset)
        return answer_fault(a, -E_ORIGIN, "416 without a usable Content-Range");
    if (q->want && q->want->size == size && !answer_header(a, "ETag")) {
        q->got = *q->want;
        return 0;
    }
    return judge_version(a, q, size);
}

// S3 says 403 of keys that are not there to who may not list the bucket, and of all to whose
// signature is wrong.
static int judge_refusal(struct question *q)
{
    const int64_t now_ms = clock_ms();
    if (q->http->signer && now_ms >= atomic_load(&q->http->quiet_ms)) {
        atomic_store(&q->http->quiet_ms, now_ms + TELL_MS);
        log_warn("origin",
                 "%s: 403: no such object, or origin.key_id may not read it, or the signature is "
                 "wrong (secret, region, this machine's clock)",
                 q->path);
    }
    return -E_NOT_FOUND;
}

static int judge(struct answer *a, void *arg)
{
    struct question *const q = arg;
    const long status = answer_status(a);
    if ((status == 200 || status == 206) && answer_is_encoded(a))
        return answer_fault(a, -E_ORIGIN, "it is encoded");
    switch (status) {
    case 200:
        return judge_whole(a, q);
    case 206:
        return q->head ? answer_fault(a, -E_ORIGIN, "206 to HEAD") : judge_part(a, q);
    case 416:
        return judge_past_end(a, q);
    case 403:
        return judge_refusal(q);
    case 404:
    case 410:
        return -E_NOT_FOUND;
    case 412:
        return -E_CHANGED;
    default:
        return answer_refuse(a);
    }
}

// ---- asking

static void came(void *arg)
{
    struct question *const q = arg;
    q->version = q->got;
    if (q->progress)
        q->progress->came(q->progress, &q->got, (int64_t)q->out->len);
}

// got is set when it went well.
static int ask(struct origin *o, const char *path, struct question *q, struct origin_version *got,
               const struct cancel *cancel)
{
    struct origin_http *const h = (struct origin_http *)o;
    if (!origin_path_ok(path))
        return -E_BAD_REQUEST;
    q->http = h;
    q->path = path;
    char *const url = url_of(h->base, path);
    const struct request request = { .name = path,
                                     .url = url,
                                     .headers = q->headers,
                                     .head = q->head,
                                     .redirects = !h->signer,
                                     .signer = h->signer,
                                     .cancel = cancel,
                                     .out = q->out,
                                     .prepare = prepare,
                                     .judge = judge,
                                     .came = came,
                                     .arg = q };
    const int rc = transfer_ask(h->transfers, &request);
    if (rc == 0)
        *got = q->got;
    free(url);
    return rc;
}

static int http_stat(struct origin *o, const char *path, struct origin_version *got,
                     const struct cancel *cancel)
{
    struct question q = { .head = true };
    return ask(o, path, &q, got, cancel);
}

static int http_read(struct origin *o, const char *path, const struct origin_version *want,
                     int64_t offset, int64_t n, struct buf *out, struct origin_version *got,
                     struct origin_progress *progress, const struct cancel *cancel)
{
    assert(offset >= 0 && n >= 0 && n <= INT64_MAX - offset);
    buf_clear(out);
    // There is no empty range.
    struct question q = { .head = n == 0,
                          .offset = offset,
                          .n = n,
                          .want = want,
                          .out = n == 0 ? NULL : out,
                          .progress = progress };
    return ask(o, path, &q, got, cancel);
}

// ---- life

static void http_destroy(struct origin *o)
{
    struct origin_http *h = (struct origin_http *)o;
    tasks_destroy(h->origin.threads);
    transfers_destroy(h->transfers);
    free(h->base);
    free(h->token);
    free(h);
}

static void set_keys(struct origin_http *h, const struct origin_keys *keys)
{
    h->signs = (struct signer){ keys->aws_sigv4, keys->key_id, keys->secret };
    h->signer = &h->signs;
    if (*keys->session_token)
        h->token = xasprintf("x-amz-security-token: %s", keys->session_token);
}

struct origin *origin_http_create(const struct conf *conf, const char *base,
                                  const struct origin_keys *keys, char *why, size_t cap)
{
    const char *bad = transfer_base_fault(base);
    if (bad) {
        snprintf(why, cap, "%s %s", base, bad);
        return NULL;
    }
    struct origin_http *h = xcalloc(1, sizeof *h);
    h->origin = (struct origin){ .read = http_read, .stat = http_stat, .destroy = http_destroy };
    h->origin.threads = tasks_create("source", conf->origin_connections);
    h->base = xasprintf("%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/");
    h->transfers = transfers_create(&(struct transfer_settings){
        .connect_timeout_ms = conf->origin_connect_timeout,
        .timeout_ms = conf->origin_timeout,
        .retries = conf->origin_retries,
        .connections = conf->origin_connections,
    });
    if (keys)
        set_keys(h, keys);
    return &h->origin;
}
