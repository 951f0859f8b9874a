// SPDX-License-Identifier: BSD-2-Clause
//
// What is made of other objects: MPEG-TS of its tracks, encrypted media of clear
// media, a poster of a sheet.

#include "server/making_steps.h"

#include <string.h>

#include "base/err.h"
#include "base/stat.h"
#include "codec/stills.h"
#include "codec/ts.h"
#include "server/assets.h"
#include "server/encrypting.h"
#include "server/ingredients.h"
#include "server/muxing.h"

// Whoever reads what this makes asks for what it is made of.
static struct asker asker_of(const struct making *m)
{
    return (struct asker){ m->client, object_wanted(m->object) };
}

// A poster is a copy of a sheet with one picture: that one's name says all there is to say of
// its bytes, so it is kept in all tiers, and made once however often the poster expires.
enum step_end making_order_poster(struct making *m)
{
    m->plan = &m->asset->plan;
    m->rendition = plan_find(m->plan, "poster");
    if (!m->rendition)
        return making_done(m, -E_NOT_FOUND, "the asset has no pictures");
    if (m->want == WANT_CHECK)
        return making_done_checked(m);
    struct route sheet = m->route;
    sheet.kind = ROUTE_SEGMENT;
    sheet.recipe = m->rendition->recipe;
    copy_string(sheet.rendition, sizeof sheet.rendition, m->rendition->name);
    sheet.inside = true;
    sheet.n = stills_poster(&m->plan->table, m->rendition, m->route.n);
    m->ingredients = ingredients_open(m->edge, &sheet, 1, asker_of(m));
    making_drop_deadline(m);
    return STEP_NEXT;
}

// Of other segments: as many bytes, or a little more.
enum step_end making_order_ingredients(struct making *m)
{
    if (m->route.n >= plan_segments(m->plan, m->rendition))
        return making_done(m, -E_NOT_FOUND, NULL);
    if (m->want == WANT_CHECK)
        return making_done_checked(m);
    const int err = object_expect(m->object, making_expected(m));
    if (err < 0)
        return making_done(m, err, NULL);
    m->ingredients = m->encrypted.method != ENCRYPTION_NONE
                         ? encrypting_open(m->edge, &m->route, &m->encrypted, asker_of(m))
                         : muxing_open(m->edge, &m->route, &m->ts, asker_of(m));
    making_drop_deadline(m);
    return STEP_NEXT;
}

// Tells the readers, before the first bytes, how long the last ingredient took.
static void tell_ingredients(struct making *m)
{
    if (ingredients_marks(m->ingredients, m->marks))
        m->marks[MARK_ORIGIN_US] += m->locate_us;
    making_mark(m, FROM_MAKE);
}

// Puts out what can be muxed or encrypted by now.
static int write_more(struct making *m)
{
    struct buf body;
    buf_init(&body, (size_t)m->edge->conf->cache_object);
    const size_t had = object_size(m->object);
    int err = m->encrypted.method != ENCRYPTION_NONE
                  ? encrypting_write(m->ingredients, &m->route, &m->encryption, &body)
                  : muxing_write(m->ingredients, &m->ts, m->route.n, &body);
    if (err == 0 && body.len > had) {
        if (had == 0)
            tell_ingredients(m);
        err = object_append(m->object, body.data + had, body.len - had);
    }
    buf_finish(&body);
    return err == -E_CORRUPT ? -E_INTERNAL : err;
}

static enum step_end end_muxed(struct making *m)
{
    size_t n;
    const uint8_t *const bytes = object_made(m->object, &n);
    if (!ts_check(bytes, n, m->route.n))
        return making_done(m, -E_INTERNAL, "what was muxed is no MPEG-TS");
    stat_add(STAT_muxes_total, 1);
    if (m->ts_bandwidth > 0)
        making_check_bandwidth(m, m->ts_bandwidth);
    return making_done_made(m);
}

static enum step_end end_encrypted(struct making *m)
{
    if (m->route.kind == ROUTE_SEGMENT)
        stat_add(STAT_encryptions_total, 1);
    return making_done_made(m);
}

static int copy_more(struct making *m)
{
    size_t n;
    if (ingredients_next(m->ingredients) == 0)
        return 0;
    const uint8_t *const bytes = object_bytes(m->ingredients->list[0], &n);
    tell_ingredients(m);
    return object_append(m->object, bytes, n);
}

static int put_more(struct making *m)
{
    return m->route.kind == ROUTE_POSTER ? copy_more(m) : write_more(m);
}

static enum step_end end_of_ingredients(struct making *m)
{
    if (m->encrypted.method != ENCRYPTION_NONE)
        return end_encrypted(m);
    if (m->route.kind != ROUTE_POSTER)
        return end_muxed(m);
    return making_done_made(m);
}

// All but the last ingredient must be whole; that one is used as it comes.
enum step_end making_step_combine(struct making *m)
{
    const struct ingredients *const i = m->ingredients;
    for (;;) {
        const int next = ingredients_next(i);
        struct object *const o = next < i->count ? i->list[next] : NULL;
        if (o && object_state(o) == OBJECT_FAILED)
            return making_other_failed(m, o);
        const size_t have = o ? object_size(o) : 0;
        const int err = next >= i->count - 1 ? put_more(m) : 0;
        if (err < 0)
            return making_done(m, err, "what it is made of cannot be used");
        if (!o)
            return end_of_ingredients(m);
        if (cancel_is_set(&m->cancel))
            return making_done(m, -E_CANCELLED, NULL);
        if (making_park_on(m, o, have))
            return STEP_PARK;
    }
}
