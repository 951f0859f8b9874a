// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/base.h"

#define CONNECT_SECONDS 10L
#define EVENTS 64

struct fetcher {
    CURLM *multi;
    int epoll;
    int64_t timer; // us, when libcurl wants to be called; -1: not
};

struct fetch {
    struct fetcher *owner;
    CURL *easy;
    struct curl_slist *headers;
    const struct fetch_handler *handler;
    void *ctx;
    struct fetched result;
    char error[CURL_ERROR_SIZE];
    int64_t began;
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    struct fetcher *const f = ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    struct epoll_event e = { .data.fd = fd };
    e.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    epoll_ctl(f->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
    curl_multi_assign(f->multi, fd, f);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
    struct fetcher *const f = ctx;
    (void)multi;
    f->timer = ms < 0 ? -1 : clock_us() + ms * 1000;
    return 0;
}

struct fetcher *fetcher_create(void)
{
    struct fetcher *const f = xcalloc(1, sizeof *f);
    f->timer = -1;
    f->multi = curl_multi_init();
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!f->multi || f->epoll < 0) {
        fetcher_destroy(f);
        return NULL;
    }
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    return f;
}

void fetcher_destroy(struct fetcher *f)
{
    if (!f)
        return;
    if (f->multi)
        curl_multi_cleanup(f->multi);
    if (f->epoll >= 0)
        close(f->epoll);
    free(f);
}

static int status_of(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct fetch *const fetch = ctx;
    const size_t n = size * count;
    if (fetch->result.bytes == 0)
        fetch->result.first = clock_us() - fetch->began;
    fetch->result.bytes += (int64_t)n;
    fetch->handler->data(fetch->ctx, status_of(fetch->easy), (const uint8_t *)bytes, n);
    return n;
}

// The value of a header line if it has this name; it ends with the line.
static const char *value_of(const char *line, size_t n, const char *name)
{
    const size_t size = strlen(name);
    return n > size && strncasecmp(line, name, size) == 0 ? line + size : NULL;
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    struct fetch *const fetch = ctx;
    const size_t n = size * count;
    const char *value;
    if ((value = value_of(line, n, "cache-status:")))
        fetch->result.hit = memmem(value, n - (size_t)(value - line), "; hit", 5) != NULL;
    else if ((value = value_of(line, n, "retry-after:")))
        sscanf(value, "%d", &fetch->result.retry_after);
    return n;
}

static void set_options(struct fetch *fetch, const char *url)
{
    CURL *const easy = fetch->easy;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

struct fetch *fetch_start(struct fetcher *f, const char *url, const char *const *headers,
                          int header_count, const struct fetch_handler *handler, void *ctx)
{
    struct fetch *const fetch = xcalloc(1, sizeof *fetch);
    *fetch = (struct fetch){ .owner = f, .handler = handler, .ctx = ctx, .began = clock_us() };
    fetch->easy = curl_easy_init();
    assert(fetch->easy);
    for (int i = 0; i < header_count; i++)
        fetch->headers = curl_slist_append(fetch->headers, headers[i]);
    set_options(fetch, url);
    curl_multi_add_handle(f->multi, fetch->easy);
    return fetch;
}

void fetch_cancel(struct fetch *fetch)
{
    curl_multi_remove_handle(fetch->owner->multi, fetch->easy);
    curl_easy_cleanup(fetch->easy);
    curl_slist_free_all(fetch->headers);
    free(fetch);
}

static void finish(struct fetch *fetch, CURLcode code)
{
    struct fetched *const r = &fetch->result;
    r->status = status_of(fetch->easy);
    r->whole = code == CURLE_OK;
    r->total = clock_us() - fetch->began;
    r->why = r->whole ? "" : fetch->error[0] ? fetch->error : curl_easy_strerror(code);
    fetch->handler->done(fetch->ctx, r);
    fetch_cancel(fetch);
}

static void finish_all(struct fetcher *f)
{
    const CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(f->multi, &left))) {
        struct fetch *fetch;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
        finish(fetch, m->data.result);
    }
}

// Until libcurl's own timer, or the caller's time is over.
static int wait_ms(const struct fetcher *f, int timeout_ms)
{
    if (f->timer < 0)
        return timeout_ms;
    const int64_t ms = (f->timer - clock_us() + 999) / 1000;
    return (int)(ms < 0 ? 0 : min64(ms, timeout_ms));
}

static int bits_of(uint32_t events)
{
    return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

void fetcher_run(struct fetcher *f, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int running;
    const int n = epoll_wait(f->epoll, events, EVENTS, wait_ms(f, timeout_ms));
    for (int i = 0; i < n; i++)
        curl_multi_socket_action(f->multi, events[i].data.fd, bits_of(events[i].events), &running);
    if (f->timer >= 0 && f->timer <= clock_us()) {
        f->timer = -1;
        curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    finish_all(f);
}

char *fetch_resolve(const char *base, const char *uri, const char *query)
{
    CURLU *const u = curl_url();
    char *text = NULL, *out = NULL;
    const bool good =
        u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_URL, uri, 0) == CURLUE_OK &&
        (!query || curl_url_set(u, CURLUPART_QUERY, query, CURLU_APPENDQUERY) == CURLUE_OK) &&
        curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK;
    if (good)
        out = xstrdup(text);
    curl_free(text);
    curl_url_cleanup(u);
    return out;
}

char *fetch_escape(const char *path)
{
    char *const out = xmalloc(3 * strlen(path) + 1), *to = out;
    for (; *path; path++) {
        const bool plain = isalnum((unsigned char)*path) || strchr("-._~/;=,@", *path);
        to += sprintf(to, plain ? "%c" : "%%%02X", (unsigned char)*path);
    }
    *to = '\0';
    return out;
}
