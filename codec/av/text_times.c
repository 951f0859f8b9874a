// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/text_times.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"

#define FAR ((int64_t)MEDIA_SECONDS_MAX * MEDIA_TEXT_RATE)
#define UNTOLD (5 * MEDIA_TEXT_RATE) // the last one is shown as long where nothing is said

struct times {
    const struct index_track *t;
    int64_t t0, timescale;
};

// A time of the track in milliseconds from T0, to the nearest, held within sane ones.
static int64_t position(const struct times *k, int64_t pts)
{
    const __int128 ticks = (__int128)pts * k->timescale - (__int128)k->t0 * k->t->timescale;
    const __int128 den = (__int128)k->timescale * k->t->timescale;
    const __int128 twice = 2 * ticks * MEDIA_TEXT_RATE + den;
    const __int128 ms = twice / (2 * den) - (twice % (2 * den) < 0);
    return ms > FAR ? FAR : ms < -FAR ? -FAR : (int64_t)ms;
}

// Whether it only says that nothing is shown.
static bool is_empty(const struct index_track *t, const struct sample *s)
{
    return (t->text == TEXT_TX3G && s->size <= 2) || (t->text == TEXT_WVTT && s->size <= 8);
}

static int64_t end_of(const struct times *k, int i, int64_t start)
{
    const struct sample *s = &k->t->samples[i];
    if (s->duration == 0) // until the next one
        return i + 1 < k->t->sample_count ? position(k, s[1].pts) : start + UNTOLD;
    const int64_t end = s->pts + s->duration;
    return position(k, end < k->t->end ? end : k->t->end);
}

// False: it is not shown.
static bool place(const struct times *k, int i, struct sample *out)
{
    const struct sample *s = &k->t->samples[i];
    if (s->pts == INDEX_NO_PTS || is_empty(k->t, s) || (k->t->hidden && k->t->hidden[i]))
        return false;
    const int64_t start = position(k, s->pts), end = end_of(k, i, start);
    *out = (struct sample){
        .offset = s->offset,
        .pts = start,
        .size = s->size,
        .sync = true,
    };
    out->duration = end > start ? (uint32_t)(end - start) : 0;
    return start < FAR && start > -FAR && end > start && end > 0;
}

static int by_pts(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    if (x->pts != y->pts)
        return x->pts < y->pts ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

int text_times(struct text_track *out, const struct index_track *t, int64_t t0, int64_t timescale)
{
    const struct times k = { .t = t, .t0 = t0, .timescale = timescale };
    *out = (struct text_track){ .format = t->text, .tags = t->tags, .strip = t->strip };
    struct sample *s = malloc(((size_t)t->sample_count + 1) * sizeof *s);
    if (!s)
        return -E_NO_MEMORY;
    int n = 0;
    for (int i = 0; i < t->sample_count; i++)
        n += place(&k, i, &s[n]);
    qsort(s, (size_t)n, sizeof *s, by_pts);
    if (n > MEDIA_TEXT_SAMPLES)
        log_info("probe", "track %d: only its first %d subtitles count", t->number,
                 MEDIA_TEXT_SAMPLES);
    out->samples = s;
    out->sample_count = n < MEDIA_TEXT_SAMPLES ? n : MEDIA_TEXT_SAMPLES;
    if (n > 0)
        return 0;
    free(s);
    out->samples = NULL;
    return -E_NOT_FOUND;
}
