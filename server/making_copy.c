// SPDX-License-Identifier: BSD-2-Clause
//
// The source's own video and sound: media without a worker.

#include "server/making_steps.h"

#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "codec/copy.h"
#include "codec/sound_copy.h"
#include "server/assets.h"
#include "server/copier.h"

static enum step_end step_copy(struct making *m)
{
    // It waits no more, but for what reads have a limit for.
    making_drop_deadline(m);
    making_mark(m, FROM_MAKE);
    int err = copier_run(&(struct copier){ .plan = m->plan,
                                           .rendition = m->rendition,
                                           .media = m->asset->media,
                                           .k = m->route.n,
                                           .source = m->source,
                                           .object = m->object,
                                           .cancel = &m->cancel,
                                           .marks = m->marks });
    if (err == 0 && !making_is_right(m))
        err = -E_INTERNAL;
    if (err < 0) {
        if (err != -E_CANCELLED)
            log_warn("make", "%s %s segment %d: %s", m->route.asset, m->rendition->name, m->route.n,
                     err_sentence(err));
        return making_done(m, err,
                           err == -E_CORRUPT ? "its samples are not what its index says" : NULL);
    }
    stat_add(rendition_is_video(m->rendition) ? STAT_copies_video_total : STAT_copies_audio_total,
             1);
    making_check_bandwidth(m, m->rendition->bandwidth);
    return making_done_made(m);
}

static const struct step copy_steps[] = { { step_copy, ON_OPEN, "the source" } };

static enum step_end make_copied_init(struct making *m)
{
    struct buf init;
    buf_init(&init, (size_t)m->edge->conf->cache_object);
    making_mark(m, FROM_MAKE);
    int err = m->rendition->kind == RENDITION_AUDIO
                  ? sound_copy_init(m->rendition, &init)
                  : copy_init(m->plan, m->rendition, m->asset->media, &init);
    if (err == 0)
        err = object_append(m->object, init.data, init.len);
    buf_finish(&init);
    if (err < 0)
        return making_done(m, err, "the headers of the source cannot be used");
    return making_done_made(m);
}

enum step_end making_order_copy(struct making *m)
{
    if (m->route.kind == ROUTE_SEGMENT && m->route.n >= m->plan->table.count)
        return making_done(m, -E_NOT_FOUND, NULL);
    if (m->want == WANT_CHECK)
        return making_done_checked(m);
    if (m->route.kind == ROUTE_INIT)
        return make_copied_init(m);
    m->steps = copy_steps;
    m->at = -1; // the next is the first of these
    return STEP_NEXT;
}
