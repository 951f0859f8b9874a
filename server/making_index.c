// SPDX-License-Identifier: BSD-2-Clause
//
// The source at its origin says its version, and that names the index.
//
// An index is an object like others, made by a making of its own; unpacked it is an asset,
// with the plan that the present settings make of it.

#include "server/making_steps.h"

#include <inttypes.h>

#include "base/err.h"
#include "cache/source.h"
#include "cache/store.h"
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
    return STEP_NEXT;
}

static struct key index_key(const struct key *version)
{
    char hex[KEY_HEX];
    return key_of_text("index 1\n%s\n", key_hex(version, hex));
}

static int take_index(struct making *m)
{
    size_t n;
    const uint8_t *const bytes = object_bytes(m->index, &n);
    struct media *media = NULL;
    struct plan plan;
    int err = 0;
    // Many wait for one index: who comes first unpacks it.
    m->asset = assets_find(m->edge->assets, &m->view);
    if (m->asset)
        return 0;
    err = media_unpack(bytes, n, &media);
    if (err == 0 && m->route.clip.to > 0)
        err = clip_media(media, &m->route.clip);
    if (err == 0)
        err = plan_make(&plan, m->edge->conf, media, m->route.asset,
                        source_version(m->source)->validator, m->edge->headers);
    if (err == 0)
        return assets_add(m->edge->assets, &m->view, media, &plan, &m->asset);
    media_destroy(media);
    return err;
}

enum step_end making_step_index(struct making *m)
{
    struct edge *const e = m->edge;
    if (!m->index) {
        m->asset = assets_find(e->assets, &m->view);
        if (m->asset)
            return STEP_NEXT;
        const struct key key = index_key(&m->version);
        if (store_open(e->store, &key, clock_ms(), &m->index) == STORE_MAKE)
            making_start_probe(m, m->index);
    }
    while (object_state(m->index) == OBJECT_MAKING) {
        if (cancel_is_set(&m->cancel))
            return making_done(m, -E_CANCELLED, NULL);
        if (making_park_on(m, m->index, object_size(m->index)))
            return STEP_PARK;
    }
    if (object_state(m->index) == OBJECT_FAILED)
        return making_other_failed(m, m->index);
    const int err = take_index(m);
    store_close(e->store, &m->index);
    if (err == -E_BUSY || err == -E_LIMITS)
        return making_done(m, err, "there is no room for the source's index (cache.indexes)");
    if (err == -E_NOT_FOUND)
        return making_done(m, err, "nothing of the source lies in this clip");
    return err < 0 ? making_done(m, err, "the index cannot be used") : STEP_NEXT;
}
