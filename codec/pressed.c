// SPDX-License-Identifier: BSD-2-Clause

#include "codec/pressed.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "config/conf.h"

static int short_side(const struct rendition *r)
{
    return (int)min64(r->v.width, r->v.height);
}

// The smallest rung that most players know; the source's own video is none.
static const struct rendition *plainest_rung(const struct plan *p)
{
    const struct rendition *best = NULL;
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind == RENDITION_VIDEO && !is_ten_bit(&r->v) &&
            (!best || r->v.codec <= best->v.codec))
            best = r; // they come by falling size
    }
    return best;
}

static void leave_out_large(struct plan *p, int most)
{
    const struct rendition *const last = plainest_rung(p);
    for (int i = 0; most > 0 && i < p->count; i++) {
        struct rendition *const r = &p->renditions[i];
        if (r->kind == RENDITION_VIDEO && short_side(r) > most && r != last)
            r->shown = SHOWN_AT_EASE;
    }
}

// Behind it: a ladder's rungs stay in their order.
static void add_faster(struct plan *p, int at, const char *preset)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition *const r = &p->renditions[at];
    memmove(r + 2, r + 1, sizeof *r * (size_t)(p->count++ - at - 1));
    r[1] = r[0];
    snprintf(r[1].name, sizeof r[1].name, "%.18s-fast", r[0].name);
    copy_string(r[1].v.preset, sizeof r[1].v.preset, preset);
    r[0].shown = SHOWN_AT_EASE;
    r[1].shown = SHOWN_UNDER_PRESSURE;
}

static bool can_be_faster(const struct rendition *r, const char *preset)
{
    return r->kind == RENDITION_VIDEO && r->shown == SHOWN_ALWAYS &&
           r->v.encoder == ENCODER_SOFTWARE && strcmp(r->v.preset, preset) != 0;
}

void pressed_add(struct plan *p, const struct conf *conf)
{
    leave_out_large(p, conf->pressure_short_side);
    for (int i = 0; *conf->pressure_preset && i < p->count; i++)
        if (can_be_faster(&p->renditions[i], conf->pressure_preset))
            add_faster(p, i++, conf->pressure_preset);
}
