// SPDX-License-Identifier: BSD-2-Clause

#include "codec/passthrough.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/coding.h"
#include "codec/copy.h"
#include "codec/ladder.h"
#include "config/conf.h"

static void refuse(struct plan *p, const char *why)
{
    struct dropped *const d = &p->dropped[p->dropped_count++];
    copy_string(d->name, sizeof d->name, "source");
    copy_string(d->why, sizeof d->why, why);
}

// ---- obstacles

static const char *obstacle_in_headers(const struct media *m, struct coding *c)
{
    if (!coding_read(c, &m->video))
        return "it has no headers, or none that make sense";
    return coding_obstacle(c);
}

// But for those that no other comes after.
static bool shows_all(const struct video_track *v)
{
    for (int i = 0; i < v->shown_count; i++)
        if (v->shown[i] >= v->shown_count)
            return false;
    return true;
}

// Whether pictures lead the first one that is shown, which is also the first to be decoded.
static bool begins_within(const struct video_track *v)
{
    bool leads = false;
    for (int i = 1; i < v->sample_count && !v->samples[i].sync; i++)
        leads |= v->samples[i].pts < 0;
    return leads && v->samples[0].pts == 0;
}

static const char *obstacle_in_samples(const struct media *m)
{
    static const char *const sights[SIGHTS] = {
        [SIGHT_UNSEEN] = "what its sync samples hold is not known",
        [SIGHT_OTHER] = "its sync samples are not IDR pictures",
        [SIGHT_OTHER_SETS] = "its headers change on the way",
        [SIGHT_DAMAGED] = "its samples are not stored as its headers say",
        [SIGHT_DISORDER] = "the slices of its pictures are out of order",
    };
    const struct video_track *const v = &m->video;
    if (sights[v->sight])
        return sights[v->sight];
    if (!shows_all(v))
        return begins_within(v)
                   ? "it begins within a GOP, with pictures that lean on what is not there"
                   : "some of its pictures are decoded but not presented (an edit list)";
    if (copy_clock(m) > SEGTAB_CLOCK_MAX)
        return "its clock is finer than a fragment can tell";
    return NULL;
}

// Players take H.264 for SDR whatever it says, and anything of 8 bits.
static bool is_hidden_hdr(const struct media *m)
{
    return media_is_hdr(m) && (m->video.codec == CODEC_H264 || m->video.bit_depth < 10);
}

static const char *obstacle(const struct media *m, struct coding *c)
{
    const struct video_track *const v = &m->video;
    if (!v->samples)
        return "where its samples are is not known";
    if (v->codec != CODEC_H264 && v->codec != CODEC_HEVC && v->codec != CODEC_AV1)
        return "it is not H.264, HEVC or AV1";
    if (v->rotate != 0 || v->mirror || v->sar_num != v->sar_den)
        return "its pictures have to be turned or stretched";
    if (is_hidden_hdr(m))
        return "it is HDR as players do not expect it";
    if (v->fields != FIELDS_NONE)
        return "it is interlaced";
    if (v->strip.n > 0)
        return "its container strips bytes off its packets";
    const char *const why = obstacle_in_headers(m, c);
    return why ? why : obstacle_in_samples(m);
}

// ---- the cuts

static int64_t grid_frame(const struct media *m, int i, int64_t tick)
{
    return m->constant_rate ? i : muldiv_round(tick, m->fps.num, m->fps.den * copy_clock(m));
}

static struct cut end_of(const struct media *m)
{
    const int64_t end = muldiv_round(m->frames * m->fps.den, copy_clock(m), m->fps.num);
    const int64_t last = copy_time(m, m->video.shown_count - 1);
    return (struct cut){ end > last ? end : last + 1, m->frames };
}

// Sync samples that are closed, those before and those after keeping to themselves: as many
// samples before them in order of presentation as in decode order, and the same.
static bool cut_by_source(struct segtab *t, const struct media *m, int64_t limit, int64_t *longest)
{
    const struct video_track *const v = &m->video;
    struct cutter c;
    int64_t frame = 0, latest = INT64_MIN;
    cutter_begin(&c, t, copy_clock(m), limit);
    for (int i = 0; i < v->shown_count; i++) {
        const struct sample *const s = &v->samples[i];
        if (s->sync && v->shown[i] == i && s->pts > latest) {
            const int64_t tick = copy_time(m, i), at = grid_frame(m, i, tick);
            if (at > frame && at < m->frames)
                cutter_offer(&c, (struct cut){ tick, frame = at });
        }
        latest = s->pts > latest ? s->pts : latest;
    }
    return cutter_end(&c, end_of(m), t, longest);
}

// ---- the rendition

static struct rational rate_of(const struct media *m)
{
    if (m->constant_rate)
        return m->fps;
    const struct video_track *const v = &m->video;
    const int64_t rate = muldiv_round((int64_t)v->shown_count * 1000, v->timescale, v->end);
    return rat_reduce((struct rational){ rate > 0 ? rate : 1, 1000 });
}

// What no segment exceeds, and what all have together; false when one is too large to be
// made.
static bool promise(struct rendition *r, const struct plan *p, const struct conf *conf,
                    const struct media *m)
{
    int64_t sum = 0;
    for (int k = 0; k < p->table.count; k++) {
        struct copy_span span;
        const int64_t n = copy_span(p, m, k, &span) == 0 ? copy_bytes(p, m, k, &span) : 0;
        if (n == 0 || n > conf->cache_object)
            return false;
        const int64_t us = segtab_tick_us(&p->table, k + 1) - segtab_tick_us(&p->table, k);
        const int64_t rate = muldiv_ceil(8 * n, 1000000, us);
        r->bandwidth = rate > r->bandwidth ? rate : r->bandwidth;
        sum += n;
    }
    r->average = muldiv_ceil(8 * sum, 1000000, segtab_tick_us(&p->table, p->table.count));
    return true;
}

static bool add_source(struct plan *p, const struct conf *conf, const struct media *m,
                       const struct coding *c)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition *const r = &p->renditions[p->count];
    *r = (struct rendition){ .kind = RENDITION_SOURCE };
    copy_string(r->name, sizeof r->name, "source");
    coding_name(c, r->codecs, sizeof r->codecs);
    r->v.codec = c->codec;
    r->v.width = m->video.coded_width;
    r->v.height = m->video.coded_height;
    r->v.fps = rate_of(m);
    r->v.colour = media_is_hdr(m) ? ladder_hdr_colour(m) : ladder_colour(m);
    r->v.colour.full_range = m->video.colour.full_range;
    const bool fits = promise(r, p, conf, m);
    p->count += fits;
    return fits;
}

void passthrough_make(struct plan *p, const struct conf *conf, const struct media *m)
{
    struct coding coding;
    const struct segtab regular = p->table;
    const int64_t limit = segtab_longest(&regular, conf->media_longest_segment);
    int64_t longest;
    if (!conf->media_passthrough)
        return;
    const char *const why = obstacle(m, &coding);
    if (why) {
        refuse(p, why);
    } else if (!cut_by_source(&p->table, m, limit, &longest)) {
        char line[sizeof p->dropped[0].why];
        snprintf(line, sizeof line,
                 "its closed sync samples make segments of up to %.2f s (limit %.2f s)",
                 (double)longest / rat_double(m->fps), (double)limit / rat_double(m->fps));
        refuse(p, line);
    } else if (!add_source(p, conf, m, &coding)) {
        segtab_finish(&p->table);
        p->table = regular;
        refuse(p, "a segment of it would be too large (cache.object)");
    }
}
