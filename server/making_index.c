// SPDX-License-Identifier: BSD-2-Clause
//
// The source at its origin says its version, and that names the index.
//
// An index is an object like others, made by a making of its own; unpacked it is an asset,
// with the plan that the present settings make of it.  Of a long scan there are two, of the
// beginning and of all (codec/beginning.h), and two assets.

#include "server/making_steps.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/log.h"
#include "cache/source.h"
#include "cache/store.h"
#include "codec/beginning.h"
#include "codec/clip.h"
#include "server/assets.h"

static struct key version_key(const struct making *m)
{
    const struct origin_version *const v = source_version(m->source);
    return key_of_text("asset 1\n%s\n%s\n%" PRId64 "\n", m->source_path, v->validator, v->size);
}

static struct key view_key(const struct making *m)
{
    char hex[KEY_HEX];
    if (m->route.clip.to == 0)
        return m->version;
    return key_of_text("clip 1\n%s\n%" PRId64 " %" PRId64 "\n", key_hex(&m->version, hex),
                       m->route.clip.from, m->route.clip.to);
}

static struct key beginning_key(const struct making *m)
{
    char hex[KEY_HEX];
    return key_of_text("beginning 1\n%s\n", key_hex(&m->version, hex));
}

// What depends on where the source ends.
static bool needs_all(const struct route *r)
{
    return r->clip.to > 0 || r->kind == ROUTE_MANIFEST || r->kind == ROUTE_STORYBOARD ||
           r->kind == ROUTE_POSTER;
}

static void find_asset(struct making *m)
{
    m->asset = assets_find(m->edge->assets, &m->view);
    if (m->asset || needs_all(&m->route))
        return;
    const struct key beginning = beginning_key(m);
    m->asset = assets_find(m->edge->assets, &beginning);
}

enum step_end making_step_locate(struct making *m)
{
    if (m->origin < 0)
        return making_done(m, -E_NOT_FOUND, "no origin is configured for this path");
    struct edge *const e = m->edge;
    const int64_t before = clock_us();
    const int err =
        source_open(e->sources, e->origins[m->origin], m->path, clock_ms(), &m->cancel, &m->source);
    m->marks[MARK_ORIGIN_US] = m->locate_us = clock_us() - before;
    if (err < 0)
        return making_done(m, err, NULL);
    m->version = version_key(m);
    m->view = view_key(m);
    find_asset(m);
    return STEP_NEXT;
}

// all: not of the beginning alone, where a long scan breaks off.
static struct key index_key(const struct making *m, bool all)
{
    char hex[KEY_HEX];
    return key_of_text("index 2\n%s\n%" PRId64 "\n", key_hex(&m->version, hex),
                       all ? 0 : m->edge->conf->workers_first);
}

// ---- waiting

static enum store_verdict open_index(struct making *m, bool all)
{
    const struct key key = index_key(m, all);
    const enum store_verdict verdict = store_open(m->edge->store, &key, clock_ms(), &m->index);
    if (verdict == STORE_MAKE)
        making_start_probe(m, m->index, all);
    else if (verdict == STORE_JOIN)
        making_hurry(m->edge, m->index, object_wanted(m->object));
    return verdict;
}

// ---- assets

static int unpack_index(const struct making *m, struct media **out)
{
    size_t n;
    const uint8_t *const bytes = object_bytes(m->index, &n);
    return media_unpack(bytes, n, out);
}

static int make_plan(const struct making *m, const struct media *media, struct plan *plan)
{
    return plan_make(plan, m->edge->conf, media, m->route.asset,
                     source_version(m->source)->validator, m->edge->headers);
}

// Takes media.
static int add_all(struct making *m, struct media *media, struct asset **out)
{
    struct plan plan;
    int err = m->route.clip.to > 0 ? clip_media(media, &m->route.clip) : 0;
    if (err == 0)
        err = make_plan(m, media, &plan);
    if (err == 0)
        return assets_add(m->edge->assets, &m->view, media, &plan, out);
    media_destroy(media);
    return err;
}

// Takes media.  A beginning that comes to less than a segment is kept until the rest is there.
static int add_beginning(struct making *m, struct media *media)
{
    struct plan plan;
    const struct key view = beginning_key(m);
    const int err = make_plan(m, media, &plan);
    if (err == 0)
        return assets_add(m->edge->assets, &view, media, &plan, &m->asset);
    m->beginning = media;
    return err == -E_UNSUPPORTED ? 0 : err;
}

// Many wait for one index: who comes first unpacks it.
static int take_index(struct making *m)
{
    struct media *media = NULL;
    m->asset = assets_find(m->edge->assets, &m->view);
    if (m->asset)
        return 0;
    const int err = unpack_index(m, &media);
    if (err < 0)
        return err;
    return media->reach == MEDIA_BEGINNING ? add_beginning(m, media) : add_all(m, media, &m->asset);
}

// A source that reads differently now is another, and so are its recipes.
static int take_rest(struct making *m)
{
    struct media *media = NULL;
    struct asset *all = assets_find(m->edge->assets, &m->view);
    int err = all ? 0 : unpack_index(m, &media);
    if (err == 0 && !all) {
        if (beginning_continue(m->beginning ? m->beginning : m->asset->media, media) < 0)
            log_warn("make", "%s: it begins differently than it was scanned at first",
                     m->route.asset);
        err = add_all(m, media, &all);
    }
    if (err < 0)
        return err;
    asset_unref(m->edge->assets, &m->asset);
    m->asset = all;
    m->plan = NULL;
    m->rendition = NULL;
    return 0;
}

static enum step_end taken(struct making *m, int err)
{
    store_close(m->edge->store, &m->index);
    if (err == -E_BUSY || err == -E_LIMITS)
        return making_done(m, err, "there is no room for the source's index (cache.indexes)");
    if (err == -E_NOT_FOUND)
        return making_done(m, err, "nothing of the source lies in this clip");
    return err < 0 ? making_done(m, err, "the index cannot be used") : STEP_NEXT;
}

// ---- the steps

enum step_end making_await_all(struct making *m)
{
    if (!m->index)
        open_index(m, true);
    const enum step_end end = making_await(m, m->index);
    return end == STEP_NEXT ? taken(m, take_rest(m)) : end;
}

// Of a beginning: the scan of the rest begins where somebody enters, or asks for a playlist,
// which wants its end.  Nobody waits for it, but what is there is taken.
static enum step_end go_on(struct making *m)
{
    const bool enters = m->route.kind == ROUTE_MASTER || m->route.kind == ROUTE_PLAYLIST;
    if (!m->asset || m->index || needs_all(&m->route))
        return making_await_all(m);
    if (!enters)
        return STEP_NEXT;
    if (open_index(m, true) == STORE_HIT)
        return making_await_all(m);
    store_close(m->edge->store, &m->index);
    return STEP_NEXT;
}

enum step_end making_step_index(struct making *m)
{
    if (!m->asset && !m->beginning) {
        if (!m->index)
            open_index(m, false);
        enum step_end end = making_await(m, m->index);
        if (end == STEP_NEXT)
            end = taken(m, take_index(m));
        if (end != STEP_NEXT)
            return end;
    }
    return m->asset && m->asset->media->reach != MEDIA_BEGINNING ? STEP_NEXT : go_on(m);
}
