// SPDX-License-Identifier: BSD-2-Clause

#include "codec/texts.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"

#define NAME_TAG 12 // bytes of a tag that a name takes

// "subs-pt-BR", and "subs-pt-BR-2" for the second of that language.
void texts_name(const struct plan *p, struct rendition *r)
{
    const char *const tag = r->tags.language;
    const int n = strlen(tag) <= NAME_TAG ? NAME_TAG : (int)strcspn(tag, "-");
    snprintf(r->name, sizeof r->name, "subs-%.*s", n, tag);
    for (int i = 2; plan_find(p, r->name); i++)
        snprintf(r->name, sizeof r->name, "subs-%.*s-%d", n, tag, i);
    copy_string(r->codecs, sizeof r->codecs, "wvtt");
}

static void add(struct plan *p, const struct text_track *t, int track)
{
    assert(p->count < PLAN_RENDITIONS);
    struct rendition r = { .kind = RENDITION_TEXT, .track = track, .tags = t->tags };
    r.t = (struct text_settings){ .format = t->format };
    texts_name(p, &r);
    p->renditions[p->count++] = r;
}

void texts_add(struct plan *p, const struct media *m)
{
    for (int i = 0; i < m->text_count; i++)
        add(p, &m->texts[i], i);
}

// Where segment k begins in milliseconds, the last one included that it reaches into.
static void set_span(struct job *job, const struct plan *p, const struct rendition *r, int k)
{
    const int64_t scale = plan_timescale(p, r);
    job->from = muldiv_floor(plan_segment_start(p, r, k), MEDIA_TEXT_RATE, scale);
    job->to = muldiv_ceil(plan_segment_start(p, r, k + 1), MEDIA_TEXT_RATE, scale);
}

static bool is_shown(const struct job *job, const struct sample *s)
{
    return s->pts < job->to && s->pts + s->duration > job->from;
}

int texts_fill(struct job *job, const struct plan *p, const struct rendition *r,
               const struct media *m, int k)
{
    job->t = r->t;
    set_span(job, p, r, k);
    job->shift = r->t.file ? m->clip_from : 0;
    if (r->t.file)
        return 0;
    const struct text_track *const t = &m->texts[r->track];
    assert(r->track < m->text_count && t->samples);
    job->strip = t->strip;
    int n = 0;
    for (int i = 0; i < t->sample_count; i++)
        n += is_shown(job, &t->samples[i]);
    if (n > JOB_SAMPLES_MAX)
        return -E_LIMITS;
    if (n == 0)
        return 0;
    job->samples = xmalloc((size_t)n * sizeof *job->samples);
    for (int i = 0; i < t->sample_count; i++)
        if (is_shown(job, &t->samples[i]))
            job->samples[job->sample_count++] = t->samples[i];
    return 0;
}
