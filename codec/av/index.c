// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"

#define STILL_RATE 25 // one picture alone lasts a frame of that, where nobody says

struct index_track *index_add_track(struct index *x)
{
    x->tracks = xrealloc(x->tracks, (size_t)(x->track_count + 1) * sizeof *x->tracks);
    struct index_track *t = &x->tracks[x->track_count];
    *t = (struct index_track){ .number = x->track_count, .tags.language = "und", .enabled = true };
    x->track_count++;
    return t;
}

static int64_t room_in_all(const struct index *x)
{
    int64_t n = MEDIA_SAMPLES_MAX;
    for (int i = 0; i < x->track_count; i++)
        n -= x->tracks[i].sample_cap;
    return n;
}

static int grow(struct index *x, struct index_track *t)
{
    const int64_t room = room_in_all(x);
    const int more = t->sample_cap < 512 ? 512 : t->sample_cap / 2;
    if (room <= 0)
        return -E_LIMITS;
    const int cap = t->sample_cap + (more < room ? more : (int)room);
    struct sample *samples = realloc(t->samples, (size_t)cap * sizeof *samples);
    if (!samples)
        return -E_NO_MEMORY;
    t->samples = samples;
    if (x->container != CONTAINER_MP4) {
        uint8_t(*heads)[2] = realloc(t->heads, (size_t)cap * sizeof *heads);
        if (!heads)
            return -E_NO_MEMORY;
        t->heads = heads;
    }
    if (t->hidden) {
        uint8_t *hidden = realloc(t->hidden, (size_t)cap);
        if (!hidden)
            return -E_NO_MEMORY;
        memset(hidden + t->sample_count, INDEX_SHOWN, (size_t)(cap - t->sample_count));
        t->hidden = hidden;
    }
    t->sample_cap = cap;
    return 0;
}

int index_add_sample(struct index *x, struct index_track *t, const struct sample *s,
                     const uint8_t *head)
{
    if (t->sample_count == t->sample_cap) {
        const int rc = grow(x, t);
        if (rc < 0)
            return rc;
    }
    if (head)
        memcpy(t->heads[t->sample_count], head, 2);
    t->samples[t->sample_count++] = *s;
    return 0;
}

int index_hide(struct index_track *t, enum index_hidden how)
{
    if (!t->hidden)
        t->hidden = calloc((size_t)t->sample_cap, 1);
    if (!t->hidden)
        return -E_NO_MEMORY;
    t->hidden[t->sample_count - 1] = (uint8_t)how;
    return 0;
}

static void free_samples(struct index_track *t)
{
    carriage_finish(&t->carriage);
    free(t->samples);
    free(t->heads);
    free(t->hidden);
    free(t->parts);
    t->samples = NULL;
    t->heads = NULL;
    t->hidden = NULL;
    t->parts = NULL;
    t->part_count = 0;
    t->sample_count = t->sample_cap = 0;
}

void index_refuse(struct index_track *t, const char *why)
{
    free_samples(t);
    t->refused = true;
    copy_string(t->why, sizeof t->why, why);
}

// A writer who does not know how long a last picture lasts may say that it is a tick.
static bool is_told(const struct index_track *t, int64_t duration)
{
    return t->video ? duration * 1000 > t->timescale : duration > 0;
}

// Untold: as long as the one before it.
static int64_t usual_duration(const struct index_track *t, int64_t last, int64_t before)
{
    if (before != INT64_MIN)
        return last - before;
    return t->video ? t->timescale / STILL_RATE : 0;
}

int64_t index_samples_end(const struct index_track *t)
{
    int64_t last = INT64_MIN, before = INT64_MIN, duration = 0;
    for (int i = 0; i < t->sample_count; i++) {
        const struct sample *s = &t->samples[i];
        if (s->pts > last) {
            before = last;
            last = s->pts;
            duration = s->duration;
        } else if (s->pts > before && s->pts < last) {
            before = s->pts;
        }
    }
    if (last == INT64_MIN)
        return INT64_MIN;
    if (!is_told(t, duration))
        duration = usual_duration(t, last, before);
    return last + (duration > 0 ? duration : 1);
}

void index_finish(struct index *x)
{
    for (int i = 0; i < x->track_count; i++) {
        free_samples(&x->tracks[i]);
        for (int h = 0; h < x->tracks[i].more_headers_count; h++)
            free(x->tracks[i].more_headers[h].bytes);
    }
    free(x->tracks);
    *x = (struct index){ 0 };
}
