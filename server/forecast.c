// SPDX-License-Identifier: BSD-2-Clause

#include "server/forecast.h"

#include <string.h>

#include "base/hash.h"
#include "codec/media.h"

#define WEIGHT 8        // a new job counts for one in so many
#define CODED 2         // a pixel that is coded costs about so many that are decoded
#define OTHER_UNITS 1e6 // of what has no pictures nor sound

static double coded_frames(const struct job *j)
{
    int64_t n = 0;
    for (int i = 0; i < j->part_count; i++)
        n += j->part_frames[i];
    return (double)n;
}

static double source_pixels(const struct job *j)
{
    return j->media ? (double)j->media->video.coded_width * j->media->video.coded_height : 0;
}

// Of all rungs.
static double coded_units(const struct job *j)
{
    double pixels = 0;
    for (int i = 0; i <= j->also_count; i++)
        pixels += (double)job_rung(j, i)->width * job_rung(j, i)->height;
    return CODED * coded_frames(j) * pixels;
}

static double units_of(const struct job *j)
{
    const double decoded = j->sample_count * source_pixels(j);
    switch (j->kind) {
    case JOB_VIDEO:
        return decoded + coded_units(j);
    case JOB_SHEET:
        return decoded;
    case JOB_AUDIO:
        return (double)j->frames;
    default:
        return OTHER_UNITS;
    }
}

// What makes jobs alike, but for how much there is of it.
static struct forecast_class class_of(const struct job *j)
{
    const bool video = j->kind == JOB_VIDEO;
    return (struct forecast_class){ {
        (int32_t)j->kind,
        j->media ? (int32_t)j->media->video.codec : 0,
        (int32_t)source_pixels(j),
        video ? j->v.width * j->v.height : 0,
        video ? (int32_t)j->v.codec * VIDEO_ENCODERS + (int32_t)j->v.encoder : 0,
    } };
}

static unsigned place_of(const struct forecast_class *c)
{
    return text_hash((const char *)c, sizeof *c) % FORECAST_PLACES;
}

// Units differ by millions between classes: a rate is of no use for another one.
static double rate_of(const struct forecast *f, const struct job *j)
{
    const struct forecast_class c = class_of(j);
    const struct forecast_place *const p = &f->places[place_of(&c)];
    return memcmp(&p->class, &c, sizeof c) == 0 ? p->rate : 0;
}

int64_t forecast_of(const struct forecast *f, const struct job *j)
{
    return (int64_t)(rate_of(f, j) * units_of(j));
}

int64_t forecast_in_company(const struct forecast *f, const struct job *j)
{
    return (int64_t)(rate_of(f, j) * coded_units(j));
}

void forecast_learn(struct forecast *f, const struct job *j, int64_t us)
{
    const double units = units_of(j), before = rate_of(f, j);
    if (units <= 0)
        return;
    const double now = (double)us / units;
    const struct forecast_class c = class_of(j);
    f->places[place_of(&c)] = (struct forecast_place){
        .class = c,
        .rate = before > 0 ? before + (now - before) / WEIGHT : now,
    };
}
