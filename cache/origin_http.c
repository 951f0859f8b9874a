// SPDX-License-Identifier: BSD-2-Clause
//
// origin_http - an HTTP(S) base URL as an origin.  The only door to libcurl, so a fetcher
// (cache/fetcher.h) is made of the same: a transfer of a whole answer, whatever its version.
//
// Each origin has one network thread, which drives one multi handle, so that
// all callers share its connections.  A caller submits a transfer, which lives
// on its stack, and sleeps until the thread is done with it; cancelling and
// stalling are noticed by the thread, which looks at its transfers every 50 ms.
// Trying again is the caller's side: a retry is a new transfer.
//
// An answer is judged when its first body byte (or its end) arrives: from then
// on the transfer knows how many bytes to skip and how many to take, and the
// bytes of an answer that is not from the wanted version are never taken.  We
// send If-Match for a strong ETag, but believe only what the answer says.
//
// A transfer stalls when it does not bring another 16 KiB (or its end) within
// the origin's timeout, so a drip of single bytes is a stall too.
//
// Redirects may lead to other hosts, but never further inside than the host
// that is configured: see enum reach.
//
// Locks: origin_http.lock guards the queue between callers and the thread.

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/fetcher.h"
#include "cache/origin.h"
#include "config/conf.h"

#define REDIRECTS 3L
#define TOKEN_MAX 1024
#define SKIP_MAX (8 * MIB)       // of an answer that ignores the range
#define DRAIN_MAX (16 * KIB)     // of a body nobody wants, to keep its connection
#define PROGRESS_STEP (16 * KIB) // what counts as not stalling
#define LOOK_MS 50               // how often cancel tokens and stalls are looked at
#define BACKOFF_MS 100           // before the first retry; three times as long each time
#define BACKOFF_MAX_MS 2000
#define RETRY_COST 5                 // requests that earn one retry: one in five
#define RETRY_SAVED (8 * RETRY_COST) // and a few for a rainy day

// How far inside a network an address is.  Ordered.
enum reach {
    REACH_PUBLIC,
    REACH_PRIVATE,  // of a site or a provider
    REACH_LOOPBACK, // this machine
    REACH_LINK,     // link-local (cloud metadata), multicast, reserved
};

struct origin_http {
    struct origin origin; // first: the two are cast into each other

    // constant after create
    char *base;        // ends in '/'; of a fetcher NULL
    const char *token; // of a fetcher
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
    int retries;
    CURLM *multi; // used by the network thread, but for curl_multi_wakeup
    pthread_t thread;

    // protected by lock
    pthread_mutex_t lock;
    struct list submitted; // of struct transfer
    bool stopping;
    int tokens; // retries that may be made, times RETRY_COST

    // network thread only
    struct list active; // of struct transfer
    enum reach reach;   // of the configured host, when last connected to
};

struct transfer {
    struct list link; // submitted, then active

    // what is wanted, constant
    struct origin_http *http;
    const char *path; // of a fetcher the server's name
    const char *url;  // of a fetcher
    bool head;        // only the version
    int64_t offset, n;
    const struct origin_version *want; // or NULL
    const struct cancel *cancel;       // or NULL

    // network thread only, until done
    CURL *easy;
    struct curl_slist *headers;
    bool refused;          // a redirect led too far inside
    bool judged;           // result, skip and take are from the answer's header
    int64_t skip, take;    // body bytes yet to skip, body bytes to take in all
    bool much_more;        // the body goes on long after that: cut it there
    int64_t drained;       // body bytes nobody wants
    int64_t seen, counted; // body bytes, and those that were progress
    int64_t deadline_ms;   // of progress
    struct buf *out;       // NULL for head
    struct origin_version version;
    int result;
    bool retry; // trying again may help
    char why[CURL_ERROR_SIZE];

    // protected by http->lock
    bool done;
    pthread_cond_t ended;
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

static void add_header(struct transfer *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add_header(struct transfer *t, const char *fmt, ...)
{
    char line[TOKEN_MAX + 64];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    assert(n > 0 && (size_t)n < sizeof line);
    struct curl_slist *more = curl_slist_append(t->headers, line);
    assert(more);
    t->headers = more;
}

static void add_headers(struct transfer *t)
{
    add_header(t, "Accept-Encoding: identity");
    if (t->url) {
        if (*t->http->token)
            add_header(t, "Authorization: Bearer %s", t->http->token);
        return;
    }
    if (!t->head)
        add_header(t, "Range: bytes=%lld-%lld", (long long)t->offset,
                   (long long)(t->offset + t->n - 1));
    if (t->want && strncmp(t->want->validator, "etag:", 5) == 0)
        add_header(t, "If-Match: %s", t->want->validator + 5);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg);
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);

static void set_options(struct transfer *t)
{
    CURL *const e = t->easy;
    char *url = t->url ? xstrdup(t->url) : url_of(t->http->base, t->path);
    CURLcode bad = CURLE_OK;
    bad |= curl_easy_setopt(e, CURLOPT_URL, url);
    bad |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    bad |= curl_easy_setopt(e, CURLOPT_NOBODY, (long)t->head);
    bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, "tidemill/" TIDEMILL_VERSION);
    bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, t->url ? 0L : 1L);
    bad |= curl_easy_setopt(e, CURLOPT_MAXREDIRS, REDIRECTS);
    bad |= curl_easy_setopt(e, CURLOPT_PROXY, ""); // not the environment's
    bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    // A resolver that hangs must not hang the thread when its transfer is cut.
    bad |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    // Large ranges next to each other want connections of their own, not
    // streams that share one window.
    bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 128L * 1024);
    bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)t->http->connect_timeout_ms);
    bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->why);
    bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    assert(bad == CURLE_OK);
    free(url);
}

// ---- how far inside an address is

struct network {
    uint8_t address[16];
    int bits;
    enum reach reach;
};

static enum reach reach_in(const struct network *nets, size_t count, const uint8_t *address)
{
    for (size_t i = 0; i < count; i++) {
        const int whole = nets[i].bits / 8, rest = nets[i].bits % 8;
        const int differ = address[whole] ^ nets[i].address[whole];
        if (memcmp(address, nets[i].address, (size_t)whole) == 0 &&
            (rest == 0 || differ >> (8 - rest) == 0))
            return nets[i].reach;
    }
    return REACH_PUBLIC;
}

static enum reach reach_of_v4(const uint8_t *address)
{
    static const struct network nets[] = {
        { { 0 }, 8, REACH_LOOPBACK },         { { 10 }, 8, REACH_PRIVATE },
        { { 100, 64 }, 10, REACH_PRIVATE },   { { 127 }, 8, REACH_LOOPBACK },
        { { 169, 254 }, 16, REACH_LINK },     { { 172, 16 }, 12, REACH_PRIVATE },
        { { 192, 0, 0 }, 24, REACH_PRIVATE }, { { 192, 168 }, 16, REACH_PRIVATE },
        { { 198, 18 }, 15, REACH_PRIVATE },   { { 224 }, 3, REACH_LINK },
    };
    return reach_in(nets, countof(nets), address);
}

static enum reach reach_of_v6(const uint8_t *address)
{
    // Addresses that carry an IPv4 address are as far inside as that.
    static const struct {
        uint8_t prefix[12];
        size_t length, at;
    } carriers[] = {
        { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 12, 12 }, // mapped
        { { 0x00, 0x64, 0xff, 0x9b }, 12, 12 },                   // NAT64
        { { 0x20, 0x02 }, 2, 2 },                                 // 6to4
    };
    static const struct network nets[] = {
        { { 0 }, 96, REACH_LOOPBACK }, // ::, ::1 and the forgotten IPv4-compatible ones
        { { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48, REACH_PRIVATE },
        { { 0xfc }, 7, REACH_PRIVATE },
        { { 0xfe, 0x80 }, 9, REACH_LINK }, // link-local and site-local
        { { 0xff }, 8, REACH_LINK },
    };
    for (size_t i = 0; i < countof(carriers); i++)
        if (memcmp(address, carriers[i].prefix, carriers[i].length) == 0)
            return reach_of_v4(address + carriers[i].at);
    return reach_in(nets, countof(nets), address);
}

static enum reach reach_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return reach_of_v4((const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr);
    if (address->sa_family == AF_INET6)
        return reach_of_v6((const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr);
    return REACH_LINK;
}

// Called with the resolved address, so a name cannot be rebound between this
// look and the connection.
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    (void)purpose;
    long hops = 0;
    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &hops);
    const enum reach reach = reach_of(&address->addr);
    if (hops == 0) {
        t->http->reach = reach;
    } else if (reach > t->http->reach) {
        t->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// ---- the answer

static int fault(struct transfer *t, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fault(struct transfer *t, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->why, sizeof t->why, fmt, args);
    va_end(args);
    return code;
}

// A header of the last answer; NULL when it is absent, repeated or not plain text.
static const char *header(const struct transfer *t, const char *name)
{
    struct curl_header *h;
    if (curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK || h->amount != 1)
        return NULL;
    for (const char *p = h->value; *p; p++)
        if ((uint8_t)*p < 0x20 || *p == 0x7f)
            return NULL;
    return h->value;
}

static bool is_encoded(const struct transfer *t)
{
    struct curl_header *h;
    if (curl_easy_header(t->easy, "Content-Encoding", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return false;
    return h->amount != 1 || strcasecmp(h->value, "identity") != 0;
}

static bool is_strong(const char *etag)
{
    const size_t n = strlen(etag);
    return n >= 2 && n < ORIGIN_VALIDATOR_MAX - 8 && etag[0] == '"' &&
           strcspn(etag + 1, "\" ") == n - 2 && etag[n - 1] == '"';
}

// What the answer says about the version, and whether that is the wanted one.
static int judge_version(struct transfer *t, int64_t size)
{
    struct origin_version *v = &t->version;
    const char *etag = header(t, "ETag");
    const char *modified = header(t, "Last-Modified");
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
        return fault(t, -E_ORIGIN, "its validator is too long");
    if (t->want && !origin_version_equal(t->want, v))
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

static int judge_part(struct transfer *t)
{
    int64_t first, last, size;
    if (!read_content_range(header(t, "Content-Range"), &first, &last, &size))
        return fault(t, -E_ORIGIN, "206 without a usable Content-Range");
    const int rc = judge_version(t, size);
    if (rc < 0)
        return rc;
    const int64_t left = size - t->offset; // no overflow: both are 0 or more
    if (first != t->offset || left <= 0 || last != t->offset + (t->n < left ? t->n : left) - 1)
        return fault(t, -E_ORIGIN, "206 for another range than asked");
    t->take = last - first + 1;
    return 0;
}

static int judge_whole(struct transfer *t)
{
    curl_off_t size = -1;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    if (size < 0)
        return fault(t, -E_ORIGIN, "200 without a length");
    const int rc = judge_version(t, size);
    if (rc < 0 || t->head || t->offset >= size)
        return rc;
    if (t->offset > SKIP_MAX)
        return fault(t, -E_ORIGIN, "ranges are ignored");
    t->skip = t->offset;
    t->take = t->n < size - t->offset ? t->n : size - t->offset;
    t->much_more = size - t->offset - t->take > DRAIN_MAX;
    return 0;
}

// Many servers leave the validators out of a 416.  There are no bytes in it
// that could be of another version, so a fitting size will do.
static int judge_past_end(struct transfer *t)
{
    int64_t first, last, size;
    if (t->head || !read_content_range(header(t, "Content-Range"), &first, &last, &size) ||
        first != -1 || size > t->offset)
        return fault(t, -E_ORIGIN, "416 without a usable Content-Range");
    if (t->want && t->want->size == size && !header(t, "ETag")) {
        t->version = *t->want;
        return 0;
    }
    return judge_version(t, size);
}

// An answer to a fetcher; how long it is, its end tells.
static int judge_fetched(struct transfer *t, long status)
{
    if (status == 404 || status == 410)
        return -E_NOT_FOUND;
    if (status == 200)
        return is_encoded(t) ? fault(t, -E_ORIGIN, "it is encoded") : 0;
    t->retry = status >= 500 || status == 408 || status == 429;
    return fault(t, -E_ORIGIN, "status %ld", status);
}

// Sets skip and take, or returns an error.
static int judge(struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->url)
        return judge_fetched(t, status);
    if ((status == 200 || status == 206) && is_encoded(t))
        return fault(t, -E_ORIGIN, "it is encoded");
    switch (status) {
    case 200:
        return judge_whole(t);
    case 206:
        return t->head ? fault(t, -E_ORIGIN, "206 to HEAD") : judge_part(t);
    case 416:
        return judge_past_end(t);
    case 403: // S3 says so of keys that are not there
    case 404:
    case 410:
        return -E_NOT_FOUND;
    case 412:
        return -E_CHANGED;
    default:
        t->retry = status >= 500 || status == 408 || status == 429;
        return fault(t, -E_ORIGIN, "status %ld", status);
    }
}

static void take_bytes(struct transfer *t, const char *bytes, int64_t n)
{
    const int64_t skipped = n < t->skip ? n : t->skip;
    t->skip -= skipped;
    const int64_t left = t->take - (int64_t)t->out->len;
    const int64_t taken = n - skipped < left ? n - skipped : left;
    if (buf_append(t->out, bytes + skipped, (size_t)taken) < 0)
        t->result = fault(t, -E_NO_MEMORY, "no memory for its bytes");
}

static void take_fetched(struct transfer *t, const char *bytes, int64_t n)
{
    if ((int64_t)t->out->len + n > t->n)
        t->result = fault(t, -E_ORIGIN, "its body is longer than %lld bytes", (long long)t->n);
    else if (buf_append(t->out, bytes, (size_t)n) < 0)
        t->result = fault(t, -E_NO_MEMORY, "no memory for its bytes");
}

static bool has_all(const struct transfer *t)
{
    return !t->url && t->judged && t->result == 0 && (t->head || (int64_t)t->out->len == t->take);
}

// Bytes that nobody wants, but whose end keeps the connection.
static size_t drain(struct transfer *t, int64_t n)
{
    t->drained += n;
    return t->drained <= DRAIN_MAX ? (size_t)n : 0;
}

// Returning anything but the number of bytes ends the transfer.
static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    const int64_t n = (int64_t)(size * count);
    stat_add(STAT_origin_bytes_total, n);
    if (!t->judged) {
        t->judged = true;
        t->result = judge(t);
    }
    t->seen += n;
    if (t->result < 0)
        return drain(t, n);
    if (has_all(t))
        return drain(t, n);
    if (t->url)
        take_fetched(t, bytes, n);
    else
        take_bytes(t, bytes, n);
    return t->result < 0 || (t->much_more && has_all(t)) ? 0 : (size_t)n;
}

// ---- the network thread

static bool may_pass(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return true;
    default:
        return code == CURLE_OK;
    }
}

// The outcome of a transfer that ended with code, or that we cut.
static void settle(struct transfer *t, CURLcode code, int cut)
{
    if (!t->judged && !cut && code == CURLE_OK) {
        t->judged = true;
        t->result = judge(t);
    }
    const bool fetched = t->url && t->judged && !cut && code == CURLE_OK;
    if (fetched || has_all(t) || (t->judged && t->result < 0))
        return;
    t->result = cut;
    if (cut)
        return;
    t->result = code == CURLE_OPERATION_TIMEDOUT ? -E_ORIGIN_TIMEOUT : -E_ORIGIN;
    t->retry = may_pass(code) && !t->refused;
    if (t->refused)
        fault(t, 0, "a redirect leads to an inside address");
    else if (!t->why[0])
        fault(t, 0, "%s", code == CURLE_OK ? "its body ended early" : curl_easy_strerror(code));
}

// Hands the transfer back to its caller; it is gone afterwards.
static void finish(struct transfer *t)
{
    struct origin_http *h = t->http;
    long connects = 0;
    if (t->easy)
        curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
    stat_add(STAT_origin_connections_total, connects);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    list_remove(&t->link);
    lock(&h->lock);
    t->done = true;
    pthread_cond_signal(&t->ended);
    unlock(&h->lock);
}

static void end(struct transfer *t, CURLcode code, int cut)
{
    curl_multi_remove_handle(t->http->multi, t->easy);
    settle(t, code, cut);
    finish(t);
}

static void start(struct transfer *t)
{
    struct origin_http *h = t->http;
    list_push_back(&h->active, &t->link);
    t->easy = curl_easy_init();
    if (!t->easy) {
        t->result = fault(t, -E_NO_MEMORY, "no memory for a request");
        finish(t);
        return;
    }
    add_headers(t);
    set_options(t);
    t->deadline_ms = clock_ms() + h->timeout_ms;
    stat_add(STAT_origin_requests_total, 1);
    const CURLMcode bad = curl_multi_add_handle(h->multi, t->easy);
    assert(bad == CURLM_OK);
}

static bool start_submitted(struct origin_http *h)
{
    struct list fresh;
    list_init(&fresh);
    lock(&h->lock);
    list_move_all(&fresh, &h->submitted);
    const bool stopping = h->stopping;
    unlock(&h->lock);
    for (struct list *l; (l = list_pop(&fresh));)
        start(container_of(l, struct transfer, link));
    return !stopping;
}

static void end_finished(struct origin_http *h)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct transfer *t = NULL;
        const CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        end(t, code, 0);
    }
}

static void cut_hopeless(struct origin_http *h)
{
    const int64_t now = clock_ms();
    for (struct list *l = h->active.next, *next; l != &h->active; l = next) {
        next = l->next;
        struct transfer *t = container_of(l, struct transfer, link);
        if (t->seen - t->counted >= PROGRESS_STEP) {
            t->counted = t->seen;
            t->deadline_ms = now + h->timeout_ms;
        }
        if (cancel_is_set(t->cancel))
            end(t, CURLE_OK, -E_CANCELLED);
        else if (now >= t->deadline_ms)
            end(t, CURLE_OK, fault(t, -E_ORIGIN_TIMEOUT, "it stalled"));
    }
}

static void *run(void *arg)
{
    struct origin_http *h = arg;
    while (start_submitted(h)) {
        int running;
        const CURLMcode bad = curl_multi_perform(h->multi, &running);
        assert(bad == CURLM_OK);
        end_finished(h);
        cut_hopeless(h);
        curl_multi_poll(h->multi, NULL, 0, list_empty(&h->active) ? 60000 : LOOK_MS, NULL);
    }
    return NULL;
}

// ---- the caller's side

static void transfer(struct transfer *t)
{
    struct origin_http *h = t->http;
    cond_init(&t->ended);
    lock(&h->lock);
    assert(!h->stopping);
    list_push_back(&h->submitted, &t->link);
    curl_multi_wakeup(h->multi);
    while (!t->done)
        pthread_cond_wait(&t->ended, &h->lock);
    unlock(&h->lock);
    pthread_cond_destroy(&t->ended);
}

// Requests fill the bucket, retries empty it: an origin in trouble sees at most
// a fifth more requests from us, not a multiple.
static void earn_retry(struct origin_http *h)
{
    lock(&h->lock);
    h->tokens += h->tokens < RETRY_SAVED;
    unlock(&h->lock);
}

static bool pay_retry(struct origin_http *h)
{
    lock(&h->lock);
    const bool can = h->tokens >= RETRY_COST;
    h->tokens -= can ? RETRY_COST : 0;
    unlock(&h->lock);
    return can;
}

// False when it was cancelled.
static bool back_off(int tries, const struct cancel *cancel)
{
    int64_t ms = BACKOFF_MS;
    for (int i = 0; i < tries && ms < BACKOFF_MAX_MS; i++)
        ms *= 3;
    const int64_t end_ms = clock_ms() + (ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS);
    while (!cancel_is_set(cancel) && clock_ms() < end_ms)
        nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
    return !cancel_is_set(cancel);
}

static int count_and_tell(const struct transfer *t)
{
    if (t->result != -E_ORIGIN && t->result != -E_ORIGIN_TIMEOUT)
        return t->result;
    stat_add(STAT_origin_errors_total, 1);
    log_warn("origin", "%s: %s (%s)", t->path, err_sentence(t->result), t->why);
    return t->result;
}

// request is copied for each try; got is set when it went well.
static int ask(const struct transfer *request, struct origin_version *got)
{
    struct origin_http *h = request->http;
    if (!request->url && !origin_path_ok(request->path))
        return -E_BAD_REQUEST;
    if (cancel_is_set(request->cancel))
        return -E_CANCELLED;
    earn_retry(h);
    for (int tries = 0;; tries++) {
        struct transfer t = *request;
        if (t.out)
            buf_clear(t.out);
        transfer(&t);
        if (t.result == 0)
            *got = t.version;
        else if (t.out)
            buf_clear(t.out);
        if (!t.retry || tries == h->retries || !pay_retry(h))
            return count_and_tell(&t);
        if (!back_off(tries, request->cancel))
            return -E_CANCELLED;
        stat_add(STAT_origin_retries_total, 1);
    }
}

static int http_stat(struct origin *o, const char *path, struct origin_version *got,
                     const struct cancel *cancel)
{
    const struct transfer request = {
        .http = (struct origin_http *)o, .path = path, .head = true, .cancel = cancel
    };
    return ask(&request, got);
}

static int http_read(struct origin *o, const char *path, const struct origin_version *want,
                     int64_t offset, int64_t n, struct buf *out, struct origin_version *got,
                     const struct cancel *cancel)
{
    assert(offset >= 0 && n >= 0 && n <= INT64_MAX - offset);
    buf_clear(out);
    const struct transfer request = {
        .http = (struct origin_http *)o,
        .path = path,
        .head = n == 0, // there is no empty range
        .offset = offset,
        .n = n,
        .want = want,
        .cancel = cancel,
        .out = n == 0 ? NULL : out,
    };
    return ask(&request, got);
}

// ---- life

int origin_http_global_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -E_INTERNAL;
}

// NULL when base can be one, else why not.
static const char *base_fault(const char *base)
{
    CURLU *u = curl_url();
    assert(u);
    char *scheme = NULL, *query = NULL, *fragment = NULL;
    const char *fault = NULL;
    if (curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        fault = "is not a URL";
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        fault = "is neither http:// nor https://";
    else if (curl_url_get(u, CURLUPART_QUERY, &query, 0) == CURLUE_OK ||
             curl_url_get(u, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK)
        fault = "has a query or a fragment";
    curl_free(scheme);
    curl_free(query);
    curl_free(fragment);
    curl_url_cleanup(u);
    return fault;
}

static void http_destroy(struct origin *o)
{
    struct origin_http *h = (struct origin_http *)o;
    lock(&h->lock);
    h->stopping = true;
    unlock(&h->lock);
    curl_multi_wakeup(h->multi);
    pthread_join(h->thread, NULL);
    assert(list_empty(&h->submitted) && list_empty(&h->active));
    curl_multi_cleanup(h->multi);
    pthread_mutex_destroy(&h->lock);
    free(h->base);
    free(h);
}

// Starts the network thread.
static void begin(struct origin_http *h, long connections)
{
    h->tokens = RETRY_SAVED;
    pthread_mutex_init(&h->lock, NULL);
    list_init(&h->submitted);
    list_init(&h->active);
    h->multi = curl_multi_init();
    assert(h->multi);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, connections);
    h->thread = thread_start("origin", run, h);
}

struct origin *origin_http_create(const struct conf *conf, const char *base, char *why, size_t cap)
{
    const char *bad = base_fault(base);
    if (bad) {
        snprintf(why, cap, "%s %s", base, bad);
        return NULL;
    }
    struct origin_http *h = xcalloc(1, sizeof *h);
    h->origin = (struct origin){ .read = http_read, .stat = http_stat, .destroy = http_destroy };
    h->base = xasprintf("%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/");
    h->connect_timeout_ms = conf->origin_connect_timeout;
    h->timeout_ms = conf->origin_timeout;
    h->retries = conf->origin_retries;
    begin(h, conf->origin_connections);
    return &h->origin;
}

// ---- a fetcher

struct fetcher {
    struct origin_http http;
    const char *name;
};

struct fetcher *fetcher_create(const struct fetcher_settings *s)
{
    struct fetcher *const f = xcalloc(1, sizeof *f);
    f->name = s->name;
    f->http.token = s->token;
    f->http.connect_timeout_ms = s->connect_timeout_ms;
    f->http.timeout_ms = s->timeout_ms;
    f->http.retries = s->retries;
    begin(&f->http, s->connections);
    return f;
}

void fetcher_destroy(struct fetcher *f)
{
    if (f) // http is its first member
        http_destroy(&f->http.origin);
}

int fetcher_get(struct fetcher *f, const char *url, size_t max, struct buf *out,
                const struct cancel *cancel)
{
    struct origin_version none;
    buf_clear(out);
    const struct transfer request = {
        .http = &f->http,
        .path = f->name,
        .url = url,
        .n = (int64_t)max,
        .cancel = cancel,
        .out = out,
    };
    return ask(&request, &none);
}

const char *origin_http_library(void)
{
    return curl_version();
}
