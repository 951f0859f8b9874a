// SPDX-License-Identifier: BSD-2-Clause
//
// What is printed: entry points, playlists, listings; and keys.

#include "server/making_steps.h"

#include <string.h>

#include "base/err.h"
#include "base/stat.h"
#include "base/zip.h"
#include "cache/source.h"
#include "codec/dash.h"
#include "codec/hls.h"
#include "codec/stills.h"
#include "codec/ts.h"
#include "server/assets.h"
#include "server/encrypting.h"
#include "server/license.h"
#include "server/measured.h"
#include "server/records.h"

static enum step_end finish_text(struct making *m, struct buf *text)
{
    struct buf packed;
    buf_init(&packed, text->max);
    int err = buf_error(text);
    if (err == 0 && m->want == WANT_GZIP)
        err = gzip_pack(text, &packed);
    const struct buf *const body = m->want == WANT_GZIP ? &packed : text;
    making_mark(m, FROM_MAKE);
    if (err == 0)
        err = object_append(m->object, body->data, body->len);
    buf_finish(&packed);
    buf_finish(text);
    if (err < 0)
        return making_done(m, err, NULL);
    return making_done_made(m);
}

// Those of the asset's plan whose lead is shown: shown has the recipes of views, if there are any.
static int ts_shown(const struct making *m, const struct plan *shown,
                    struct ts_rendition list[PLAN_RENDITIONS])
{
    const int count = ts_plan(&m->asset->plan, list);
    int n = 0;
    for (int i = 0; i < count; i++)
        if (plan_find(shown, ts_lead(&list[i])->name))
            list[n++] = list[i];
    return n;
}

// shown: what players see of the asset's plan.
static void print_master_ts(struct making *m, const struct plan *shown, struct buf *text)
{
    struct ts_rendition list[PLAN_RENDITIONS];
    const int n = ts_shown(m, shown, list);
    if (m->edge->encrypts)
        encryption_show_ts(&m->encryption, list, n);
    hls_master_ts(text, shown, list, n);
}

static void print_manifest(struct making *m, const struct plan *shown, struct buf *text)
{
    const struct encryption *const by = m->edge->encrypts ? &m->encryption : NULL;
    char *const license = by ? encryption_license_url(m->edge->conf, by, m->route.asset) : NULL;
    dash_manifest(text, shown, by, license);
    free(license);
}

static void print_entry(struct making *m, const struct plan *shown, struct buf *text)
{
    if (m->route.kind == ROUTE_STORYBOARD)
        stills_webvtt(text, shown, plan_find(shown, "storyboard"));
    else if (m->route.kind == ROUTE_MANIFEST)
        print_manifest(m, shown, text);
    else if (m->route.format == FORMAT_TS)
        print_master_ts(m, shown, text);
    else
        hls_master(text, shown);
}

static void print_media(const struct making *m, struct buf *text)
{
    const struct encryption *const by =
        m->encrypted.method == ENCRYPTION_NONE ? NULL : &m->encryption;
    if (ts_lead(&m->ts)->name[0])
        hls_media_ts(text, m->plan, m->rendition, by);
    else
        hls_media(text, m->plan, m->rendition, by);
}

// Turns the plan, all of whose records are kept, into what players see of it.  NULL, or why
// they see nothing.
static const char *show(struct making *m, struct plan *shown)
{
    if (m->route.kind == ROUTE_STORYBOARD && !plan_find(shown, "storyboard"))
        return "the asset has no pictures";
    const bool ts = m->route.kind == ROUTE_MASTER && m->route.format == FORMAT_TS;
    if (ts && records_keep_ts(m->edge, shown) == 0)
        return "the asset has no rendition in H.264, or AAC alone";
    if (!m->edge->encrypts || m->route.kind == ROUTE_STORYBOARD)
        return NULL;
    records_keep_encrypted(m->edge, &m->encryption, shown);
    if (m->encryption.method == ENCRYPTION_CBCS && ts)
        return "MPEG-TS is not to be had with the encryption cbcs";
    if (m->encryption.method == ENCRYPTION_AES_128 && m->route.kind == ROUTE_MANIFEST)
        return "DASH is not to be had with the encryption aes-128";
    return encryption_show(&m->encryption, shown) < 0
               ? "the asset has nothing that can be encrypted so"
               : NULL;
}

enum step_end making_print_playlist(struct making *m)
{
    struct buf text;
    buf_init(&text, (size_t)m->edge->conf->cache_object);
    print_media(m, &text);
    m->marks[MARK_GROWS] = m->plan->growing;
    return finish_text(m, &text);
}

enum step_end making_print_entry_point(struct making *m)
{
    struct buf text;
    struct plan *const shown = xmalloc(sizeof *shown);
    *shown = m->old ? *m->old : m->asset->plan;
    plan_show(shown, m->route.pressed);
    stat_add(STAT_entries_pressed_total, m->route.pressed);
    records_keep(m->edge, shown, m->route.asset, source_version(m->source)->validator);
    measured_tell(m->edge->measured, shown);
    const char *const nothing = show(m, shown);
    if (!nothing) {
        buf_init(&text, (size_t)m->edge->conf->cache_object);
        print_entry(m, shown, &text);
    }
    free(shown);
    return nothing ? making_done(m, -E_NOT_FOUND, nothing) : finish_text(m, &text);
}

// The key is a secret: it is kept where it was derived, and only as long as an entry point.
enum step_end making_give_key(struct making *m)
{
    if (m->encrypted.method == ENCRYPTION_NONE || *m->edge->conf->encryption_key_url)
        return making_done(m, -E_NOT_FOUND, "its key is not to be had here");
    making_mark(m, FROM_MAKE);
    const struct key *const key = &m->encryption.key;
    const int err = object_append(m->object, key->b, sizeof key->b);
    return making_done(m, err, NULL);
}

// Where players get keys elsewhere, they get licenses elsewhere, too.
enum step_end making_give_license(struct making *m)
{
    const struct license_keys keys = { m->encryption.key_id, m->encryption.key };
    if (m->encryption.method != ENCRYPTION_CBCS || *m->edge->conf->encryption_key_url)
        return making_done(m, -E_NOT_FOUND, "there are no licenses here");
    making_mark(m, FROM_MAKE);
    const int err = object_append(m->object, (const uint8_t *)&keys, sizeof keys);
    return making_done(m, err, NULL);
}

enum step_end making_step_list(struct making *m)
{
    struct buf text;
    buf_init(&text, (size_t)m->edge->conf->cache_object);
    const int err = page_list(m->edge, m->after, &text);
    if (err == 0)
        return finish_text(m, &text);
    buf_finish(&text);
    return making_done(m, err, NULL);
}
