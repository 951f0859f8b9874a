// SPDX-License-Identifier: BSD-2-Clause

#include "codec/stills.h"

#include <stdio.h>

#include "base/base.h"
#include "codec/ladder.h"
#include "codec/level.h"
#include "config/conf.h"

#define TRICK_LONG 640
#define TRICK_SHORT 360
#define TRICK_CRF 25
// A picture may take so many bits a pixel: usual ones take a tenth to one.
#define TRICK_BITS 2

void stills_add_trick(struct plan *p, const struct conf *conf, const struct media *m)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition *const r = &p->renditions[p->count++];
    struct video_settings *const v = &r->v;
    const struct rational fps = p->table.fps;
    const int64_t second = muldiv_round(fps.num, 1, fps.den);
    r->kind = RENDITION_TRICK;
    r->every = second > 1 ? second : 1;
    copy_string(r->name, sizeof r->name, "trick");
    ladder_fit(m, TRICK_LONG, TRICK_SHORT, &v->width, &v->height);
    v->fps = (struct rational){ fps.num, fps.den * r->every };
    v->crf = TRICK_CRF;
    // One picture is all there is, so the buffer is its own, filled to the brim.
    v->maxrate = v->bufsize = 20000 + (int64_t)TRICK_BITS * v->width * v->height;
    v->vbv_init_permille = 1000;
    v->colour = ladder_colour(m);
    v->deinterlace = m->video.fields != FIELDS_NONE ? DEINTERLACE_FRAMES : DEINTERLACE_NOT;
    copy_string(v->preset, sizeof v->preset, conf->media_preset);
    v->level = level_h264(v->width, v->height, v->fps, v->maxrate, v->bufsize);
    snprintf(r->codecs, sizeof r->codecs, "avc1.6400%02X", v->level);
}

int stills_count(const struct segtab *t, int64_t every)
{
    const int64_t count = muldiv_round(t->frames, 1, every);
    assert(count <= INT32_MAX);
    return count > 1 ? (int)count : 1;
}

int64_t stills_frame(const struct segtab *t, int64_t every, int k)
{
    assert(k >= 0 && k <= stills_count(t, every));
    return k == stills_count(t, every) ? t->frames : k * every;
}
