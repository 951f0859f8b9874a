// SPDX-License-Identifier: BSD-2-Clause
//
// probe_order - VC-1 in an MP4 that tells no times of showing, as the servers of Smooth Streaming
// wrote them: its pictures say in which order they are shown, and where decoding may begin.  (Other
// kinds with B-pictures come from writers that know better.)

#include "codec/av/probe_steps.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/av/picture_times.h"
#include "codec/av/vc1.h"
#include "codec/window.h"

static bool tells_order(const struct index_track *t)
{
    for (int i = 1; i < t->sample_count; i++)
        if (t->samples[i].pts <= t->samples[i - 1].pts)
            return true;
    return false;
}

static int look_at_all(struct index_track *t, const struct vc1 *v, struct window *w,
                       struct picture *pictures)
{
    for (int i = 0; i < t->sample_count; i++) {
        struct sample *const s = &t->samples[i];
        const int64_t n = min64(s->size, VC1_HEAD);
        const uint8_t *const head = window_look(w, s->offset, n);
        if (!head)
            return w->err ? w->err : -E_CORRUPT;
        const enum vc1_type type = vc1_look(v, head, (size_t)n);
        s->sync &= type == VC1_I;
        pictures[i].b = type == VC1_B;
    }
    return picture_times(t->samples, pictures, t->sample_count, ORDER_TYPES, 1);
}

static int order(struct probe *p, const struct vc1 *v, struct window *w)
{
    struct index_track *const t = p->video.track;
    window_init(w, &p->meter.io, INT64_MAX);
    struct picture *const pictures = calloc((size_t)t->sample_count, sizeof *pictures);
    if (!pictures)
        return fail_with(p->why, -E_NO_MEMORY, "no memory for its times");
    const int rc = look_at_all(t, v, w, pictures);
    free(pictures);
    return rc < 0 ? fail_with(p->why, rc, "looking at its pictures: %s", err_sentence(rc)) : 0;
}

int probe_order(struct probe *p)
{
    const AVCodecParameters *const par = p->video.stream->codecpar;
    const struct vc1 v = vc1_headers(p->video.codec, par->extradata, (size_t)par->extradata_size);
    if (!v.known || p->index.container != CONTAINER_MP4 || tells_order(p->video.track))
        return 0;
    struct window *const w = xmalloc(sizeof *w);
    const int rc = order(p, &v, w);
    free(w);
    return rc;
}
