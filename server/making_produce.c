// SPDX-License-Identifier: BSD-2-Clause
//
// What a URL names, and who makes it.

#include "server/making_steps.h"

#include <string.h>

#include "base/err.h"
#include "cache/source.h"
#include "codec/copy.h"
#include "codec/stills.h"
#include "codec/ts.h"
#include "server/assets.h"
#include "server/encrypting.h"
#include "server/records.h"
#include "server/sidecars.h"

// Whether that rendition has what the URL's last part asks for, or it is muxed from that.
static bool has(const struct rendition *r, const struct route *route)
{
    const enum route_format format = r->kind == RENDITION_TEXT ? FORMAT_VTT
                                     : plan_is_sheets(r)       ? FORMAT_JPG
                                                               : FORMAT_M4S;
    if (route->kind == ROUTE_SEGMENT)
        return format == (route->format == FORMAT_TS ? FORMAT_M4S : route->format);
    return route->kind == ROUTE_INIT ? format == FORMAT_M4S : r->kind != RENDITION_POSTER;
}

// The rendition of that name: its recipe has to be right too.
static const struct rendition *named(const struct making *m, const struct plan *p,
                                     const struct key *recipe)
{
    const struct rendition *const r = plan_find(p, m->route.rendition);
    return r && key_equal(&r->recipe, recipe) && has(r, &m->route) ? r : NULL;
}

// A plan of its own, empty.
static struct plan *fresh_plan(struct making *m)
{
    if (m->old)
        plan_finish(m->old);
    else
        m->old = xcalloc(1, sizeof *m->old);
    return m->old;
}

// Sets plan and rendition, by the present settings or by the recipe's record.
static bool resolve(struct making *m, const struct key *recipe)
{
    m->plan = &m->asset->plan;
    m->rendition = named(m, m->plan, recipe);
    if (m->rendition)
        return true;
    m->plan = fresh_plan(m);
    if (records_find(m->edge, recipe, m->route.asset, source_version(m->source)->validator,
                     m->asset->media, m->old) < 0)
        return false;
    m->rendition = named(m, m->plan, recipe);
    return m->rendition != NULL;
}

// As resolve, of the two that it is muxed from, the lead.
static bool resolve_ts(struct making *m, const struct key *recipe)
{
    m->ts_bandwidth = ts_find(&m->asset->plan, recipe, &m->ts);
    if (m->ts_bandwidth == 0 && records_find_ts(m->edge, recipe, &m->ts) < 0)
        return false;
    const struct ts_source *const lead = ts_lead(&m->ts);
    return strcmp(lead->name, m->route.rendition) == 0 && resolve(m, &lead->recipe);
}

// Adds to the asset's plan what lies beside its source.
static void look_beside(struct making *m)
{
    plan_copy(fresh_plan(m), &m->asset->plan);
    sidecars_add(m->edge, m->origin, m->path, &m->cancel, m->route.asset,
                 source_version(m->source)->validator, m->old);
}

// As resolve; a recipe whose record is lost may be that of what lies beside the source now.
static bool resolve_text(struct making *m, const struct key *recipe)
{
    if (resolve(m, recipe))
        return true;
    look_beside(m);
    m->rendition = named(m, m->old, recipe);
    return m->rendition != NULL;
}

// As resolve, of what it is a view of.
static bool resolve_encrypted(struct making *m)
{
    struct encrypted *const v = &m->encrypted;
    if (!encrypting_find(m->edge, &m->route, &m->asset->plan, &m->encryption, v)) {
        *v = (struct encrypted){ 0 };
        return false;
    }
    if (!v->ts)
        return m->route.format != FORMAT_TS &&
               (route_names_subtitles(&m->route) ? resolve_text : resolve)(m, &v->clear);
    const bool leaf = m->route.kind == ROUTE_PLAYLIST || m->route.kind == ROUTE_KEY;
    return (leaf || m->route.format == FORMAT_TS) && resolve_ts(m, &v->clear);
}

static bool resolve_clear(struct making *m)
{
    if (m->route.format == FORMAT_TS)
        return resolve_ts(m, &m->route.recipe);
    return resolve(m, &m->route.recipe) ||
           (m->route.kind == ROUTE_PLAYLIST && resolve_ts(m, &m->route.recipe));
}

// Where encryption is on, nobody outside gets at what is clear, but for pictures and texts.
static bool resolve_any(struct making *m)
{
    if (!m->edge->encrypts || m->route.inside)
        return resolve_clear(m);
    return (m->encryption.method != ENCRYPTION_NONE && resolve_encrypted(m)) ||
           (resolve(m, &m->route.recipe) &&
            !encryption_covers(encryption_method_of(m->edge->conf), m->rendition->kind));
}

static bool is_combined(const struct making *m)
{
    return m->route.format == FORMAT_TS || m->encrypted.method != ENCRYPTION_NONE;
}

// Only for entries and subtitles: others have nothing to do with such files.
enum step_end making_step_beside(struct making *m)
{
    if (!route_names_subtitles(&m->route)) {
        look_beside(m);
        return STEP_NEXT;
    }
    const bool found =
        encrypting_names(m->edge, &m->route) ? resolve_any(m) : resolve_text(m, &m->route.recipe);
    if (!found)
        return making_done(m, -E_NOT_FOUND, "the asset has no such subtitles (any more)");
    if (!m->rendition->t.file || m->route.kind != ROUTE_SEGMENT || is_combined(m))
        return STEP_NEXT;
    const int err = sidecars_open(m->edge, m->origin, m->path, &m->cancel, m->rendition, &m->file);
    return err < 0 ? making_done(m, err, "the file of subtitles") : STEP_NEXT;
}

// A second time comes after -E_SEEK: the rendition is known then.
static bool is_known(struct making *m)
{
    if (route_is_entry(&m->route))
        return true;
    if (!m->rendition && !resolve_any(m))
        return false;
    return !m->plan->growing || m->route.kind != ROUTE_SEGMENT ||
           m->route.n < plan_segments(m->plan, m->rendition);
}

enum step_end making_step_produce(struct making *m)
{
    if (m->route.kind == ROUTE_LICENSE)
        return making_give_license(m);
    while (!is_known(m)) {
        if (m->asset->media->reach != MEDIA_BEGINNING)
            return making_done(m, -E_NOT_FOUND, "the asset has no such rendition (any more)");
        const enum step_end end = making_await_all(m);
        if (end != STEP_NEXT)
            return end;
    }
    switch (m->route.kind) {
    case ROUTE_MASTER:
    case ROUTE_MANIFEST:
    case ROUTE_STORYBOARD:
        return making_print_entry_point(m);
    case ROUTE_PLAYLIST:
        return making_print_playlist(m);
    case ROUTE_POSTER:
        return making_order_poster(m);
    case ROUTE_KEY:
        return making_give_key(m);
    default:
        return is_combined(m)                      ? making_order_ingredients(m)
               : m->file                           ? making_order_file(m)
               : rendition_is_copied(m->rendition) ? making_order_copy(m)
                                                   : making_order_media(m);
    }
}
