// SPDX-License-Identifier: BSD-2-Clause

#include "server/admin.h"

#include <inttypes.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/stat.h"
#include "cache/tier.h"
#include "config/memory.h"
#include "server/edge.h"
#include "server/sched.h"
#include "server/warm.h"

#define PROBES_MAX 64 // workers.probes is no more

static int print_live(struct edge *e, struct buf *out)
{
    (void)e;
    buf_puts(out, "ok\n");
    return 200;
}

static void print_share(struct buf *out, const char *name, int64_t share, int64_t used)
{
    buf_printf(out, ",\n    \"%s\": { \"share\": %" PRId64 ", \"used\": %" PRId64 " }", name, share,
               used);
}

static void print_memory(struct edge *e, struct buf *out)
{
    const struct conf *const c = e->conf;
    buf_printf(out, "  \"memory\": {\n    \"ceiling\": %" PRId64, c->memory);
    print_share(out, "workers", memory_workers(c), sched_memory(e->sched));
    print_share(out, "cache.memory", c->cache_memory, stat_get(STAT_cache_memory_bytes));
    print_share(out, "cache.in_use", c->cache_in_use, stat_get(STAT_cache_in_use_bytes));
    print_share(out, "cache.source_blocks", c->cache_source_blocks,
                stat_get(STAT_source_block_bytes));
    print_share(out, "cache.indexes", c->cache_indexes, stat_get(STAT_index_bytes));
    print_share(out, "connections", c->http_connections * MEMORY_CONNECTION,
                stat_get(STAT_http_connections) * MEMORY_CONNECTION);
    buf_puts(out, "\n  },\n");
}

static void print_probes(struct edge *e, struct buf *out)
{
    struct sched_probe probes[PROBES_MAX];
    const int n = sched_probes(e->sched, probes, PROBES_MAX);
    buf_puts(out, "  \"probes\": [");
    for (int i = 0; i < n; i++) {
        buf_printf(out, "%s\n    { \"source\": \"", i ? "," : "");
        reply_put_json(out, probes[i].source);
        buf_printf(out, "\", \"read\": %" PRId64 ", \"size\": %" PRId64 ", \"seconds\": %.1f }",
                   probes[i].reached, probes[i].size, (double)probes[i].us / 1e6);
    }
    buf_puts(out, n ? "\n  ],\n" : "],\n");
}

// Redis and origins that fail make us slower, not unready.
static int print_ready(struct edge *e, struct buf *out)
{
    char why[256] = "stopping";
    const bool ready = !atomic_load(&e->stopping) && sched_ready(e->sched, why, sizeof why);
    buf_printf(out, "%s\n", ready ? "ok" : why);
    return ready ? 200 : 503;
}

static int print_status(struct edge *e, struct buf *out)
{
    buf_printf(out, "{\n  \"version\": \"%s\",\n  \"workers\": %d,\n  \"queued\": %d,\n",
               TIDEMILL_VERSION, sched_workers(e->sched), sched_queued(e->sched));
    buf_printf(out, "  \"pressure\": { \"on\": %s, \"wait_ms\": %" PRId64 " },\n",
               sched_is_pressed(e->sched) ? "true" : "false", sched_wait_us(e->sched) / 1000);
    print_memory(e, out);
    print_probes(e, out);
    buf_puts(out, "  \"signature\": \"");
    reply_put_json(out, e->signature);
    buf_puts(out, "\",\n  \"tiers\": [\"memory\"");
    for (int i = 0; i < e->tier_count; i++)
        buf_printf(out, ", \"%s\"", e->tiers[i]->name);
    buf_printf(out, "],\n  \"redis_breaker_open\": %s\n}\n",
               stat_get(STAT_redis_breaker_open) ? "true" : "false");
    return 200;
}

static int print_metrics(struct edge *e, struct buf *out)
{
    stat_set(STAT_workers_memory_bytes, sched_memory(e->sched));
    stat_print(out);
    return 200;
}

static const struct admin_page {
    const char *path, *type;
    int (*print)(struct edge *e, struct buf *out); // returns the status
} pages[] = {
    { "/metrics", "text/plain; version=0.0.4; charset=utf-8", print_metrics },
    { "/livez", "text/plain; charset=utf-8", print_live },
    { "/readyz", "text/plain; charset=utf-8", print_ready },
    { "/status", "application/json", print_status },
};

// ---- warming

static bool is_warm(const char *path)
{
    return strcmp(path, "/warm") == 0;
}

static bool posts(void *arg, const char *path)
{
    (void)arg;
    return is_warm(path);
}

// Any page that an operator looks at could have his browser post here.
static enum http_verdict answer_warm(struct edge *e, struct http_exchange *x, struct reply *reply)
{
    const char *const strange = x->from_page ? "a page in a browser asks (Origin)" : NULL;
    x->request.posts = true;
    const int err = strange                            ? -E_BAD_REQUEST
                    : x->request.method != METHOD_POST ? -E_METHOD
                                                       : warm_take(e->warm, x->body, x->body_size);
    if (err < 0) {
        reply_problem(reply, &x->request, err, strange, NULL);
        return HTTP_REPLY;
    }
    reply->status = 202;
    reply->body = BODY_TEXT;
    reply_header(reply, "Content-Type", "text/plain; charset=utf-8");
    reply_header(reply, "Cache-Control", "no-store");
    buf_puts(&reply->text, "ok\n");
    return HTTP_REPLY;
}

// ---- the pages

static enum http_verdict step(void *arg, struct http_exchange *x, struct reply *reply,
                              struct object **wait_for, size_t *have)
{
    (void)wait_for;
    (void)have;
    if (is_warm(x->path))
        return answer_warm(arg, x, reply);
    for (size_t i = 0; i < countof(pages); i++) {
        if (strcmp(x->path, pages[i].path) != 0)
            continue;
        reply->body = BODY_TEXT;
        reply->head = x->request.method == METHOD_HEAD;
        reply_header(reply, "Content-Type", "%s", pages[i].type);
        reply_header(reply, "Cache-Control", "no-store");
        reply->status = pages[i].print(arg, &reply->text);
        return HTTP_REPLY;
    }
    reply_problem(reply, &x->request, -E_NOT_FOUND, NULL, NULL);
    return HTTP_REPLY;
}

static void finish(void *arg, struct http_exchange *x, const struct http_outcome *outcome)
{
    (void)arg;
    (void)x;
    (void)outcome;
}

struct http_handler admin_handler(struct edge *e)
{
    return (struct http_handler){ .arg = e, .posts = posts, .step = step, .done = finish };
}
