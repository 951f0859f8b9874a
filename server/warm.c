// SPDX-License-Identifier: BSD-2-Clause

#include "server/warm.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/object.h"
#include "config/json.h"

#define LOOK_MS 100  // so often it sees whether it is stopped
#define AGAIN_MS 500 // after it was refused

struct waiting {
    struct list link;
    struct warm_order order;
};

struct warm {
    // constant after create
    struct warm_calls calls;
    int segments, most;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed; // an order came, or it is stopped
    // protected by lock
    struct list orders;
    int count;
    bool stopped;
};

static int route_below(struct route *r, const char *base, const char *leaf)
{
    char path[2 * ROUTE_ASSET_MAX];
    snprintf(path, sizeof path, "%s/%s", base, leaf);
    return route_parse(r, path);
}

// ---- what a master playlist names

static bool is_named(const struct warm_order *o, const char *name, size_t n)
{
    for (int i = 0; i < o->count; i++)
        if (strlen(o->names[i]) == n && memcmp(o->names[i], name, n) == 0)
            return true;
    return false;
}

// A line of the playlist, and the URI in it, if there is one.
struct line {
    const char *text, *uri;
    size_t n, uri_n;
};

static struct line line_at(const char *s, const char *end)
{
    static const char field[] = "URI=\"";
    const char *const stop = memchr(s, '\n', (size_t)(end - s));
    struct line l = { .text = s, .n = (size_t)((stop ? stop : end) - s) };
    if (l.n > 0 && *s != '#') {
        l.uri = s;
        l.uri_n = l.n;
    } else if ((l.uri = memmem(s, l.n, field, sizeof field - 1))) {
        l.uri += sizeof field - 1;
        const char *const quote = memchr(l.uri, '"', (size_t)(s + l.n - l.uri));
        l.uri_n = quote ? (size_t)(quote - l.uri) : 0;
    }
    return l;
}

// Between the slashes of "{recipe}/{name}/index.m3u8".
static bool is_named_by(const struct warm_order *o, const struct line *l)
{
    const char *const end = l->uri + l->uri_n, *const slash = memchr(l->uri, '/', l->uri_n);
    const char *const last = slash ? memchr(slash + 1, '/', (size_t)(end - slash - 1)) : NULL;
    return last && is_named(o, slash + 1, (size_t)(last - slash - 1));
}

static void list_add(struct warm_list *list, const struct line *l)
{
    char *const at = list->uris[list->count];
    if (l->uri_n == 0 || l->uri_n >= WARM_URI)
        return;
    memcpy(at, l->uri, l->uri_n);
    at[l->uri_n] = '\0';
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->uris[i], at) == 0) // a variant for each group of sound
            return;
    list->count++;
}

struct warm_list warm_choose(const struct warm_order *o, const char *master, size_t n)
{
    static const char media[] = "#EXT-X-MEDIA:TYPE=AUDIO";
    const char *const end = master + n;
    struct warm_list list = { .count = 0 };
    int variants = 0, sounds = 0;
    for (const char *s = master; s < end && list.count < WARM_PLAYLISTS;) {
        const struct line l = line_at(s, end);
        s += l.n + 1;
        if (!l.uri)
            continue;
        const bool variant = l.uri == l.text;
        const bool sound = l.n >= sizeof media && memcmp(l.text, media, sizeof media - 1) == 0;
        const bool first = (variant && variants++ == 0) || (sound && sounds++ == 0);
        if (o->count ? is_named_by(o, &l) : first)
            list_add(&list, &l);
    }
    return list;
}

// ---- making

static bool is_stopped(struct warm *w)
{
    lock(&w->lock);
    const bool stopped = w->stopped;
    unlock(&w->lock);
    return stopped;
}

static void pause_a_while(struct warm *w)
{
    const int64_t until = clock_ms() + AGAIN_MS;
    lock(&w->lock);
    while (!w->stopped && cond_wait_until(&w->changed, &w->lock, until))
        ;
    unlock(&w->lock);
}

// Others came first.
static bool is_for_later(int code)
{
    return code == E_BUSY || code == E_NO_MEMORY;
}

static enum object_state await(struct warm *w, struct object *o)
{
    enum object_state state;
    do
        state = object_wait_end(o, clock_ms() + LOOK_MS);
    while (state == OBJECT_MAKING && !is_stopped(w));
    return state;
}

static void tell(const struct route *r, const struct object *o)
{
    const char *const detail = object_error_detail(o);
    log_info("warm", "%s: %s%s%s", r->asset, err_sentence(object_error(o)), detail[0] ? ": " : "",
             detail);
}

// What r names, which was opened, once it is whole; NULL: it is not, *code says why; 0: all ends.
static struct object *await_whole(struct warm *w, const struct route *r, struct object *o,
                                  int *code)
{
    const enum object_state state = await(w, o);
    *code = state == OBJECT_FAILED ? object_error(o) : 0;
    if (state == OBJECT_WHOLE)
        return o;
    if (*code && !is_for_later(*code))
        tell(r, o);
    w->calls.close(w->calls.arg, &o);
    return NULL;
}

// The same, opened as often as it takes; NULL: it cannot be made, or all ends.
static struct object *fetch_opened(struct warm *w, const struct route *r, struct object *o)
{
    int code;
    while (!(o = await_whole(w, r, o, &code)) && is_for_later(code) && !is_stopped(w)) {
        pause_a_while(w);
        o = w->calls.open(w->calls.arg, r);
    }
    return o;
}

static struct object *fetch(struct warm *w, const struct route *r)
{
    return fetch_opened(w, r, w->calls.open(w->calls.arg, r));
}

static bool make_opened(struct warm *w, const struct route *r, struct object *o)
{
    o = fetch_opened(w, r, o);
    if (!o)
        return false;
    w->calls.close(w->calls.arg, &o);
    return true;
}

// Segments that a media playlist has, of those that are to be made.
static int count_segments(const struct warm *w, const struct object *playlist)
{
    static const char mark[] = "#EXTINF:";
    size_t n;
    const char *s = (const char *)object_bytes(playlist, &n), *const end = s + n;
    int count = 0;
    while (count < w->segments && (s = memmem(s, (size_t)(end - s), mark, sizeof mark - 1))) {
        s += sizeof mark - 1;
        count++;
    }
    return count;
}

// One that is made, and how many of its segments; 0: something of it cannot be.
struct making_of {
    struct route route;
    int count;
};

// Its playlist and its init segment.
static struct making_of begin_rendition(struct warm *w, const struct warm_order *order,
                                        const char *uri)
{
    struct making_of m = { .count = 0 };
    struct object *playlist = NULL;
    if (route_below(&m.route, order->base, uri) == 0)
        playlist = fetch(w, &m.route);
    if (!playlist)
        return m;
    m.count = count_segments(w, playlist);
    w->calls.close(w->calls.arg, &playlist);
    m.route.kind = ROUTE_INIT;
    if (!make_opened(w, &m.route, w->calls.open(w->calls.arg, &m.route)))
        m.count = 0;
    m.route.kind = ROUTE_SEGMENT;
    return m;
}

// Segment n of all that have one, wanted at once: what shows the same pictures shares a decode.
static bool make_segment(struct warm *w, struct making_of *list, int count, int n)
{
    struct object *opened[WARM_PLAYLISTS] = { NULL };
    bool ok = true;
    for (int i = 0; i < count; i++) {
        list[i].route.n = n;
        if (n < list[i].count)
            opened[i] = w->calls.open(w->calls.arg, &list[i].route);
    }
    for (int i = 0; i < count; i++)
        if (opened[i] && !make_opened(w, &list[i].route, opened[i])) {
            list[i].count = 0;
            ok = false;
        }
    return ok;
}

static bool make_all(struct warm *w, const struct warm_order *order)
{
    struct route r;
    route_below(&r, order->base, "master.m3u8");
    struct object *master = fetch(w, &r);
    if (!master)
        return false;
    size_t n;
    const char *const text = (const char *)object_bytes(master, &n);
    const struct warm_list list = warm_choose(order, text, n);
    w->calls.close(w->calls.arg, &master);
    struct making_of made[WARM_PLAYLISTS];
    bool ok = true;
    for (int i = 0; i < list.count; i++) {
        made[i] = begin_rendition(w, order, list.uris[i]);
        ok &= made[i].count > 0;
    }
    for (int k = 0; k < w->segments; k++)
        ok = make_segment(w, made, list.count, k) && ok;
    return ok;
}

// ---- its thread

// NULL: it is stopped.
static struct waiting *take(struct warm *w)
{
    struct waiting *next = NULL;
    lock(&w->lock);
    while (!w->stopped && list_empty(&w->orders))
        pthread_cond_wait(&w->changed, &w->lock);
    if (!w->stopped) {
        next = container_of(list_pop(&w->orders), struct waiting, link);
        stat_set(STAT_warm_queued, --w->count);
    }
    unlock(&w->lock);
    return next;
}

static void *run(void *arg)
{
    struct warm *const w = arg;
    for (struct waiting *next; (next = take(w)); free(next)) {
        const bool ok = make_all(w, &next->order);
        if (!is_stopped(w))
            stat_add(ok ? STAT_warm_made_total : STAT_warm_failed_total, 1);
    }
    return NULL;
}

// ---- orders

static int add(struct warm *w, const struct warm_order *o)
{
    struct waiting *fresh = xcalloc(1, sizeof *fresh);
    fresh->order = *o;
    lock(&w->lock);
    const int err = w->stopped ? -E_STOPPING : w->count == w->most ? -E_BUSY : 0;
    if (err == 0) {
        list_push_back(&w->orders, &fresh->link);
        stat_set(STAT_warm_queued, ++w->count);
        pthread_cond_signal(&w->changed);
        fresh = NULL;
    }
    unlock(&w->lock);
    free(fresh);
    return err;
}

struct taking {
    struct warm *warm; // NULL: it is only looked at
    struct warm_order order;
    int assets, err;
};

static void take_name(void *arg, const char *s)
{
    struct taking *const t = arg;
    struct warm_order *const o = &t->order;
    if (o->count == WARM_NAMES || !*s || !copy_string(o->names[o->count++], ROUTE_RENDITION_MAX, s))
        t->err = -E_BAD_REQUEST;
}

static int set_base(struct warm_order *o, const char *path)
{
    struct route r;
    path += *path == '/';
    const int n = snprintf(o->base, sizeof o->base, "/%s", path);
    return n < (int)sizeof o->base ? route_below(&r, o->base, "master.m3u8") : -E_BAD_REQUEST;
}

static void take_asset(void *arg, const char *s)
{
    struct taking *const t = arg;
    t->assets++;
    if (t->err == 0)
        t->err = set_base(&t->order, s);
    if (t->err == 0 && t->warm)
        t->err = add(t->warm, &t->order);
}

int warm_take(struct warm *w, const uint8_t *body, size_t n)
{
    struct taking t = { .warm = NULL };
    if (json_strings(body, n, "renditions", take_name, &t) < 0)
        return -E_BAD_REQUEST;
    json_strings(body, n, "assets", take_asset, &t);
    if (t.err < 0 || t.assets == 0)
        return t.err < 0 ? t.err : -E_BAD_REQUEST;
    t.warm = w;
    json_strings(body, n, "assets", take_asset, &t);
    return t.err;
}

// ---- life

struct warm *warm_create(const struct warm_calls *calls, int segments, int most)
{
    struct warm *const w = xcalloc(1, sizeof *w);
    *w = (struct warm){ .calls = *calls, .segments = segments, .most = most };
    pthread_mutex_init(&w->lock, NULL);
    cond_init(&w->changed);
    list_init(&w->orders);
    w->thread = thread_start("warm", run, w);
    return w;
}

void warm_stop(struct warm *w)
{
    lock(&w->lock);
    const bool was_stopped = w->stopped;
    w->stopped = true;
    pthread_cond_signal(&w->changed);
    unlock(&w->lock);
    if (!was_stopped)
        pthread_join(w->thread, NULL);
}

void warm_destroy(struct warm *w)
{
    if (!w)
        return;
    warm_stop(w);
    while (!list_empty(&w->orders))
        free(container_of(list_pop(&w->orders), struct waiting, link));
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
