// SPDX-License-Identifier: BSD-2-Clause

#include "server/muxing.h"

#include "base/base.h"
#include "base/buf.h"
#include "codec/ts.h"

static bool has(const struct ts_source *s)
{
    return s->name[0] != '\0';
}

// The object of s that goes into what r names.
static struct route route_to(const struct route *r, const struct ts_source *s, enum route_kind kind)
{
    struct route to = *r;
    to.kind = kind;
    to.format = FORMAT_M4S;
    to.recipe = s->recipe;
    to.inside = true;
    copy_string(to.rendition, sizeof to.rendition, s->name);
    to.n = kind == ROUTE_SEGMENT ? r->n : 0;
    return to;
}

struct ingredients *muxing_open(struct edge *e, const struct route *r, const struct ts_rendition *t,
                                struct asker who)
{
    struct route routes[INGREDIENTS_MAX];
    int n = 0;
    if (has(&t->video))
        routes[n++] = route_to(r, &t->video, ROUTE_INIT);
    if (has(&t->audio)) {
        routes[n++] = route_to(r, &t->audio, ROUTE_INIT);
        routes[n++] = route_to(r, &t->audio, ROUTE_SEGMENT);
    }
    if (has(&t->video))
        routes[n++] = route_to(r, &t->video, ROUTE_SEGMENT);
    return ingredients_open(e, routes, n, who);
}

static struct ts_input input(const struct ingredients *i, int init, int media, struct buf *spare)
{
    struct ts_input in;
    ingredients_view(i, init, spare, &in.init, &in.init_size);
    in.whole = ingredients_view(i, media, spare, &in.media, &in.media_size);
    return in;
}

int muxing_write(const struct ingredients *i, const struct ts_rendition *t, int k, struct buf *out)
{
    struct buf spare; // of the one that may be growing
    struct ts_input video, audio;
    const bool has_video = has(&t->video), has_audio = has(&t->audio);
    buf_init(&spare, out->max);
    if (has_audio)
        audio = input(i, has_video, has_video + 1, &spare);
    if (has_video)
        video = input(i, 0, i->count - 1, &spare);
    int rc = buf_error(&spare);
    if (rc == 0)
        rc = ts_segment(out, k, has_video ? &video : NULL, has_audio ? &audio : NULL);
    buf_finish(&spare);
    return rc;
}
