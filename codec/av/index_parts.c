// SPDX-License-Identifier: BSD-2-Clause
//
// index_parts - the samples of a track in the order in which an edit list of several parts
// presents them.

#include "codec/av/index.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/err.h"

#define LEAD_SYNCS 2
#define LEAD_SAMPLES 128

struct span {
    int first, last; // none: last < first
};

static bool is_inside(const struct index_track *t, const struct index_part *p,
                      const struct sample *s)
{
    if (t->text)
        return s->pts < p->to && s->pts + (s->duration > 0 ? s->duration : 1) > p->from;
    const int64_t at = t->audio ? s->pts + s->duration / 2 : s->pts;
    return at >= p->from && at < p->to;
}

// From which sync sample on a picture that is presented at this time, and those that are decoded
// from first on, can be decoded.  Not the last one where others are near, as it may take a while
// until pictures are whole again (intra refresh).
static int decoded_from(const struct index_track *t, int first, int64_t pts)
{
    while (first > 0 && !(t->samples[first].sync && t->samples[first].pts <= pts))
        first--;
    const int least = first > LEAD_SAMPLES ? first - LEAD_SAMPLES : 0;
    for (int i = first - 1, syncs = 0; i >= least && syncs < LEAD_SYNCS; i--) {
        if (!t->samples[i].sync)
            continue;
        first = i;
        syncs++;
    }
    return first;
}

// What has to be there for a part; so many ticks before it nothing is presented.
static struct span span_of(const struct index_track *t, const struct index_part *p, int64_t room)
{
    struct span s = { t->sample_count, -1 };
    int64_t earliest = INT64_MAX;
    for (int i = 0; i < t->sample_count; i++) {
        if (!is_inside(t, p, &t->samples[i]))
            continue;
        s.first = i < s.first ? i : s.first;
        s.last = i;
        earliest = t->samples[i].pts < earliest ? t->samples[i].pts : earliest;
    }
    if (s.last < 0)
        return s;
    if (t->video)
        s.first = decoded_from(t, s.first, earliest);
    else if (t->audio && s.first > 0 && t->samples[s.first - 1].duration <= room)
        s.first--; // the frame before fades in what comes
    return s;
}

// Subtitles last as long as the part shows what they are for.
static void clip(struct sample *s, const struct index_part *p)
{
    const int64_t end = s->pts + s->duration, to = p->at + p->to - p->from;
    s->pts = s->pts > p->at ? s->pts : p->at;
    if (s->duration > 0)
        s->duration = (uint32_t)((end < to ? end : to) - s->pts);
}

// Appends to out, which has room for them.
static void take(struct index_track *out, const struct index_track *t, const struct index_part *p,
                 struct span span)
{
    for (int i = span.first; i <= span.last; i++) {
        struct sample *const s = &out->samples[out->sample_count];
        *s = t->samples[i];
        s->pts += p->at - p->from;
        const bool inside = is_inside(t, p, &t->samples[i]);
        const bool begins = i == span.first && out->sample_count > 0;
        out->hidden[out->sample_count++] = inside || t->audio ? INDEX_SHOWN
                                           : begins           ? INDEX_ANEW
                                                              : INDEX_HIDDEN;
        if (t->text && inside)
            clip(s, p);
    }
}

// All parts, in tables that have room for count samples.
static int take_all(struct index_track *t, const struct span *spans, int count)
{
    struct index_track out = *t;
    out.samples = malloc((size_t)(count + 1) * sizeof *out.samples);
    out.hidden = malloc((size_t)count + 1);
    if (!out.samples || !out.hidden) {
        free(out.samples);
        free(out.hidden);
        return -E_NO_MEMORY;
    }
    out.sample_count = 0;
    out.sample_cap = count + 1;
    for (int i = 0; i < t->part_count; i++)
        take(&out, t, &t->parts[i], spans[i]);
    free(t->samples);
    free(t->hidden);
    *t = out;
    return 0;
}

int index_present(struct index_track *t)
{
    struct span spans[INDEX_PARTS_MAX];
    int64_t count = 0, end = 0;
    for (int i = 0; i < t->part_count; i++) {
        const struct index_part *const p = &t->parts[i];
        spans[i] = span_of(t, p, i > 0 ? p->at - end : INT64_MAX);
        count += spans[i].last < 0 ? 0 : spans[i].last - spans[i].first + 1;
        end = p->at + p->to - p->from;
    }
    if (t->part_count == 0)
        return 0;
    assert(!t->heads);
    const int rc = count > MEDIA_SAMPLES_MAX ? -E_LIMITS : take_all(t, spans, (int)count);
    t->end = end;
    t->part_count = 0;
    return rc;
}
