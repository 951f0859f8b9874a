// SPDX-License-Identifier: BSD-2-Clause
//
// transfer - the only door to libcurl.
//
// A struct transfers has one network thread, which drives one multi handle, so that
// all callers share its connections.  A caller submits a struct answer, which lives
// on its stack, and sleeps until the thread is done with it; cancelling and
// stalling are noticed by the thread, which looks at its answers every 50 ms.
// Trying again is the caller's side: a retry is a new answer, which goes on where the
// one before it was cut, if whoever asks can ask for that.
//
// An answer is judged when its first body byte (or its end) arrives: from then
// on it knows how many bytes to skip and how many to take, and the bytes of an
// answer that is refused are never taken.
//
// A transfer stalls when it does not bring another 16 KiB (or its end) within
// the timeout, so a drip of single bytes is a stall too.
//
// A request waits for a connection that will be free before a new one could be there:
// the bytes of a source are asked for one piece after the other, and the next one is
// asked for before the last byte of the one before it has come.
//
// Redirects may lead to other hosts, but never further inside than the host
// that is configured: see enum reach.
//
// Locks: transfers.lock guards the queue between callers and the thread.

#include "cache/transfer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/cancel.h"
#include "cache/reach.h"

#define REDIRECTS 3L
#define PROGRESS_STEP (16 * KIB) // what counts as not stalling
#define LOOK_MS 50               // how often cancel tokens and stalls are looked at
#define BACKOFF_MS 100           // before the first retry; three times as long each time
#define BACKOFF_MAX_MS 2000
#define NEW_LEAST_US 10000           // what a new connection costs in any case, as it starts slowly
#define RETRY_COST 5                 // requests that earn one retry: one in five
#define RETRY_SAVED (8 * RETRY_COST) // and a few for a rainy day

struct transfers {
    // constant after create
    struct transfer_settings settings;
    CURLM *multi; // used by the network thread, but for curl_multi_wakeup
    pthread_t thread;

    // protected by lock
    pthread_mutex_t lock;
    struct list submitted; // of struct answer
    bool stopping;
    int tokens; // retries that may be made, times RETRY_COST

    // network thread only
    struct list held;          // of struct answer, submitted and not yet started
    struct list active;        // of struct answer
    enum reach reach;          // of the configured host, when last connected to
    int idle;                  // connections, or fewer, as the server may have closed some
    int64_t fresh_us, kept_us; // from a request to its first byte on a new connection, on another
};

struct answer {
    struct list link; // submitted, held, then active

    // constant
    struct transfers *to;
    const struct request *request;
    int64_t had; // body bytes of the tries before it

    // network thread only, until done
    CURL *easy;
    struct curl_slist *headers;
    bool refused;               // a redirect led too far inside
    bool judged;                // result, skip and take are from the answer's header
    bool all;                   // of the body is taken, up to its end
    int64_t skip, take;         // body bytes yet to skip, and to have in the end, or at most
    bool much_more;             // the body goes on long after that: cut it there
    int64_t drained;            // body bytes nobody wants
    int64_t seen, counted;      // body bytes, and those that were progress
    int64_t deadline_ms;        // of progress
    int64_t began_us, first_us; // when it was sent, and the first byte came; 0: not yet
    int result;
    bool retry; // trying again may help
    char why[CURL_ERROR_SIZE];

    // protected by to->lock
    bool done;
    pthread_cond_t ended;
};

// ---- the request

static void add_header(struct answer *a, const char *line)
{
    struct curl_slist *more = curl_slist_append(a->headers, line);
    assert(more);
    a->headers = more;
}

static void add_headers(struct answer *a)
{
    for (const char *const *line = a->request->headers; *line; line++)
        add_header(a, *line);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg);
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);

static void set_options(struct answer *a)
{
    const struct request *const r = a->request;
    CURL *const e = a->easy;
    CURLcode bad = CURLE_OK;
    bad |= curl_easy_setopt(e, CURLOPT_URL, r->url);
    bad |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, a->headers);
    bad |= curl_easy_setopt(e, CURLOPT_NOBODY, (long)r->head);
    bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, "tidemill/" TIDEMILL_VERSION);
    bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, (long)r->redirects);
    bad |= curl_easy_setopt(e, CURLOPT_MAXREDIRS, REDIRECTS);
    bad |= curl_easy_setopt(e, CURLOPT_PROXY, ""); // not the environment's
    bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    // A resolver that hangs must not hang the thread when its transfer is cut.
    bad |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    // Large ranges next to each other want connections of their own, not
    // streams that share one window.
    bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 128L * 1024);
    bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)a->to->settings.connect_timeout_ms);
    bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, a->why);
    bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, a);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, a);
    bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, a);
    // No line of ours, as all of those are signed, and proxies like to write their own.
    bad |= curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "identity");
    bad |= curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    if (r->signer) {
        bad |= curl_easy_setopt(e, CURLOPT_AWS_SIGV4, r->signer->how);
        bad |= curl_easy_setopt(e, CURLOPT_USERNAME, r->signer->key_id);
        bad |= curl_easy_setopt(e, CURLOPT_PASSWORD, r->signer->secret);
    }
    assert(bad == CURLE_OK);
}

// Called with the resolved address, so a name cannot be rebound between this
// look and the connection.
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct answer *a = arg;
    (void)purpose;
    long hops = 0;
    curl_easy_getinfo(a->easy, CURLINFO_REDIRECT_COUNT, &hops);
    const enum reach reach = reach_of(&address->addr);
    if (hops == 0) {
        a->to->reach = reach;
    } else if (reach > a->to->reach) {
        a->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// ---- judging the answer

long answer_status(const struct answer *a)
{
    long status = 0;
    curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

const char *answer_header(const struct answer *a, const char *name)
{
    struct curl_header *h;
    if (curl_easy_header(a->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK || h->amount != 1)
        return NULL;
    for (const char *p = h->value; *p; p++)
        if ((uint8_t)*p < 0x20 || *p == 0x7f)
            return NULL;
    return h->value;
}

bool answer_is_encoded(const struct answer *a)
{
    struct curl_header *h;
    if (curl_easy_header(a->easy, "Content-Encoding", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return false;
    return h->amount != 1 || strcasecmp(h->value, "identity") != 0;
}

int64_t answer_length(const struct answer *a)
{
    curl_off_t size = -1;
    curl_easy_getinfo(a->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    return size;
}

void answer_take(struct answer *a, int64_t skip, int64_t n, int64_t size)
{
    a->skip = skip;
    a->take = a->had + n;
    a->much_more = size - skip - n > TRANSFER_DRAIN_MAX;
}

void answer_take_all(struct answer *a, int64_t max)
{
    a->all = true;
    a->take = max;
}

int answer_fault(struct answer *a, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(a->why, sizeof a->why, fmt, args);
    va_end(args);
    return code;
}

int answer_refuse(struct answer *a)
{
    const long status = answer_status(a);
    a->retry = status >= 500 || status == 408 || status == 429;
    return answer_fault(a, -E_ORIGIN, "status %ld", status);
}

static void judge(struct answer *a)
{
    a->judged = true;
    a->result = a->request->judge(a, a->request->arg);
}

// ---- taking the body

static void take_bytes(struct answer *a, const char *bytes, int64_t n)
{
    const int64_t skipped = n < a->skip ? n : a->skip;
    a->skip -= skipped;
    const int64_t left = a->take - (int64_t)a->request->out->len;
    const int64_t taken = n - skipped < left ? n - skipped : left;
    if (buf_append(a->request->out, bytes + skipped, (size_t)taken) < 0)
        a->result = answer_fault(a, -E_NO_MEMORY, "no memory for its bytes");
    else if (taken > 0 && a->request->came)
        a->request->came(a->request->arg);
}

static void take_all(struct answer *a, const char *bytes, int64_t n)
{
    if ((int64_t)a->request->out->len + n > a->take)
        a->result =
            answer_fault(a, -E_ORIGIN, "its body is longer than %lld bytes", (long long)a->take);
    else if (buf_append(a->request->out, bytes, (size_t)n) < 0)
        a->result = answer_fault(a, -E_NO_MEMORY, "no memory for its bytes");
}

static bool has_all(const struct answer *a)
{
    const struct request *const r = a->request;
    return !a->all && a->judged && a->result == 0 && (r->head || (int64_t)r->out->len == a->take);
}

// Bytes that nobody wants, but whose end keeps the connection.
static size_t drain(struct answer *a, int64_t n)
{
    a->drained += n;
    return a->drained <= TRANSFER_DRAIN_MAX ? (size_t)n : 0;
}

// What is seldom so long, like a name that was looked up or a server's start, is not believed at
// once.
static int64_t usual(int64_t old_us, int64_t us)
{
    return old_us == 0 || us < old_us ? us : old_us + (us - old_us) / 8;
}

static void note_first_byte(struct answer *a)
{
    struct transfers *const ts = a->to;
    long connects = 0;
    curl_easy_getinfo(a->easy, CURLINFO_NUM_CONNECTS, &connects);
    a->first_us = clock_us();
    int64_t *const us = connects > 0 ? &ts->fresh_us : &ts->kept_us;
    *us = usual(*us, a->first_us - a->began_us);
}

// Returning anything but the number of bytes ends the transfer.
static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct answer *a = arg;
    const int64_t n = (int64_t)(size * count);
    stat_add(STAT_origin_bytes_total, n);
    if (!a->judged) {
        note_first_byte(a);
        judge(a);
    }
    a->seen += n;
    if (a->result < 0 || has_all(a))
        return drain(a, n);
    if (a->all)
        take_all(a, bytes, n);
    else
        take_bytes(a, bytes, n);
    return a->result < 0 || (a->much_more && has_all(a)) ? 0 : (size_t)n;
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
static void settle(struct answer *a, CURLcode code, int cut)
{
    if (!a->judged && !cut && code == CURLE_OK)
        judge(a);
    const bool fetched = a->all && a->judged && !cut && code == CURLE_OK;
    if (fetched || has_all(a) || (a->judged && a->result < 0))
        return;
    a->result = cut;
    if (cut)
        return;
    a->result = code == CURLE_OPERATION_TIMEDOUT ? -E_ORIGIN_TIMEOUT : -E_ORIGIN;
    a->retry = may_pass(code) && !a->refused;
    if (a->refused)
        answer_fault(a, 0, "a redirect leads to an inside address");
    else if (!a->why[0])
        answer_fault(a, 0, "%s",
                     code == CURLE_OK ? "its body ended early" : curl_easy_strerror(code));
}

// Hands the transfer back to its caller; it is gone afterwards.
static void finish(struct answer *a)
{
    struct transfers *ts = a->to;
    long connects = 0;
    if (a->easy)
        curl_easy_getinfo(a->easy, CURLINFO_NUM_CONNECTS, &connects);
    stat_add(STAT_origin_connections_total, connects);
    curl_easy_cleanup(a->easy);
    curl_slist_free_all(a->headers);
    list_remove(&a->link);
    lock(&ts->lock);
    a->done = true;
    pthread_cond_signal(&a->ended);
    unlock(&ts->lock);
}

static void end(struct answer *a, CURLcode code, int cut)
{
    curl_multi_remove_handle(a->to->multi, a->easy);
    a->to->idle += code == CURLE_OK && !cut;
    settle(a, code, cut);
    finish(a);
}

bool transfer_is_soon(int64_t left, int64_t seen, int64_t since_us, int64_t fresh_us,
                      int64_t kept_us)
{
    // Of a server that has not answered on a kept connection yet: one of two ways there and back.
    const int64_t handshake_us = kept_us ? fresh_us - kept_us : fresh_us / 2;
    return (double)left * (double)since_us <
           (double)seen * (double)max64(handshake_us, NEW_LEAST_US);
}

// Whether its connection will be free before a new one would be there.
static bool ends_soon(const struct answer *a, int64_t now_us)
{
    const bool taking = a->judged && a->result == 0 && !a->all && !a->much_more;
    return taking && a->seen > 0 &&
           transfer_is_soon(a->take - (int64_t)a->request->out->len, a->seen, now_us - a->first_us,
                            a->to->fresh_us, a->to->kept_us);
}

static int soon_free(const struct transfers *ts)
{
    const int64_t now_us = clock_us();
    int n = 0;
    for (struct list *l = ts->active.next; l != &ts->active; l = l->next)
        n += ends_soon(container_of(l, struct answer, link), now_us);
    return n;
}

static void start(struct answer *a)
{
    struct transfers *ts = a->to;
    list_push_back(&ts->active, &a->link);
    ts->idle -= ts->idle > 0;
    a->began_us = clock_us();
    a->easy = curl_easy_init();
    if (!a->easy) {
        a->result = answer_fault(a, -E_NO_MEMORY, "no memory for a request");
        finish(a);
        return;
    }
    add_headers(a);
    set_options(a);
    a->deadline_ms = clock_ms() + ts->settings.timeout_ms;
    stat_add(STAT_origin_requests_total, 1);
    const CURLMcode bad = curl_multi_add_handle(ts->multi, a->easy);
    assert(bad == CURLM_OK);
}

// Those that no connection is free for soon get one now.
static void start_held(struct transfers *ts)
{
    int soon = soon_free(ts);
    for (struct list *l = ts->held.next, *next; l != &ts->held; l = next) {
        next = l->next;
        if (ts->idle == 0 && soon-- > 0)
            continue;
        list_remove(l);
        start(container_of(l, struct answer, link));
    }
}

static bool start_submitted(struct transfers *ts)
{
    lock(&ts->lock);
    list_move_all(&ts->held, &ts->submitted);
    const bool stopping = ts->stopping;
    unlock(&ts->lock);
    start_held(ts);
    return !stopping;
}

static void end_finished(struct transfers *ts)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(ts->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct answer *a = NULL;
        const CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&a);
        end(a, code, 0);
    }
}

static void cut_hopeless(struct transfers *ts)
{
    const int64_t now = clock_ms();
    for (struct list *l = ts->active.next, *next; l != &ts->active; l = next) {
        next = l->next;
        struct answer *a = container_of(l, struct answer, link);
        if (a->seen - a->counted >= PROGRESS_STEP) {
            a->counted = a->seen;
            a->deadline_ms = now + ts->settings.timeout_ms;
        }
        if (cancel_is_set(a->request->cancel))
            end(a, CURLE_OK, -E_CANCELLED);
        else if (now >= a->deadline_ms)
            end(a, CURLE_OK, answer_fault(a, -E_ORIGIN_TIMEOUT, "it stalled"));
    }
}

static void *run(void *arg)
{
    struct transfers *ts = arg;
    while (start_submitted(ts)) {
        int running;
        const CURLMcode bad = curl_multi_perform(ts->multi, &running);
        assert(bad == CURLM_OK);
        end_finished(ts);
        cut_hopeless(ts);
        start_held(ts);
        curl_multi_poll(ts->multi, NULL, 0, list_empty(&ts->active) ? 60000 : LOOK_MS, NULL);
    }
    return NULL;
}

// ---- the caller's side

static void transfer(struct answer *a)
{
    struct transfers *ts = a->to;
    cond_init(&a->ended);
    lock(&ts->lock);
    assert(!ts->stopping);
    list_push_back(&ts->submitted, &a->link);
    curl_multi_wakeup(ts->multi);
    while (!a->done)
        pthread_cond_wait(&a->ended, &ts->lock);
    unlock(&ts->lock);
    pthread_cond_destroy(&a->ended);
}

// Requests fill the bucket, retries empty it: an origin in trouble sees at most
// a fifth more requests from us, not a multiple.
static void earn_retry(struct transfers *ts)
{
    lock(&ts->lock);
    ts->tokens += ts->tokens < RETRY_SAVED;
    unlock(&ts->lock);
}

static bool pay_retry(struct transfers *ts)
{
    lock(&ts->lock);
    const bool can = ts->tokens >= RETRY_COST;
    ts->tokens -= can ? RETRY_COST : 0;
    unlock(&ts->lock);
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

static int count_and_tell(const struct answer *a)
{
    if (a->result != -E_ORIGIN && a->result != -E_ORIGIN_TIMEOUT)
        return a->result;
    stat_add(STAT_origin_errors_total, 1);
    log_warn("origin", "%s: %s (%s)", a->request->name, err_sentence(a->result), a->why);
    return a->result;
}

static void begin_try(struct answer *a)
{
    const struct request *const r = a->request;
    if (r->out && !r->prepare)
        buf_clear(r->out);
    a->had = r->out ? (int64_t)r->out->len : 0;
    if (r->prepare)
        r->prepare(r->arg, a->had);
}

static int give_back(struct answer *a, int result)
{
    if (result != 0 && a->request->out)
        buf_clear(a->request->out);
    return result;
}

int transfer_ask(struct transfers *ts, const struct request *r)
{
    if (cancel_is_set(r->cancel))
        return -E_CANCELLED;
    earn_retry(ts);
    if (r->out)
        buf_clear(r->out);
    for (int tries = 0;; tries++) {
        struct answer a = { .to = ts, .request = r };
        begin_try(&a);
        transfer(&a);
        const bool again = a.retry && tries < ts->settings.retries && pay_retry(ts);
        if (!again || !back_off(tries, r->cancel))
            return give_back(&a, again ? -E_CANCELLED : count_and_tell(&a));
        stat_add(STAT_origin_retries_total, 1);
    }
}

// ---- life

struct transfers *transfers_create(const struct transfer_settings *s)
{
    struct transfers *const ts = xcalloc(1, sizeof *ts);
    const long connections = s->connections;
    ts->settings = *s;
    ts->tokens = RETRY_SAVED;
    pthread_mutex_init(&ts->lock, NULL);
    list_init(&ts->submitted);
    list_init(&ts->held);
    list_init(&ts->active);
    ts->multi = curl_multi_init();
    assert(ts->multi);
    curl_multi_setopt(ts->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    curl_multi_setopt(ts->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(ts->multi, CURLMOPT_MAXCONNECTS, connections);
    ts->thread = thread_start("origin", run, ts);
    return ts;
}

void transfers_destroy(struct transfers *ts)
{
    if (!ts)
        return;
    lock(&ts->lock);
    ts->stopping = true;
    unlock(&ts->lock);
    curl_multi_wakeup(ts->multi);
    pthread_join(ts->thread, NULL);
    assert(list_empty(&ts->submitted) && list_empty(&ts->held) && list_empty(&ts->active));
    curl_multi_cleanup(ts->multi);
    pthread_mutex_destroy(&ts->lock);
    free(ts);
}

// ---- the library

const char *transfer_base_fault(const char *base)
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

const char *transfer_library(void)
{
    return curl_version();
}

int transfer_global_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -E_INTERNAL;
}
