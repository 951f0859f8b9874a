// SPDX-License-Identifier: BSD-2-Clause

#include "codec/beginning.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"

// ---- how far it is known

static int64_t audio_end_us(const struct audio_track *a)
{
    const struct sample *const last = &a->samples[a->sample_count - 1];
    return muldiv_floor(last->pts + last->duration, 1000000, a->sample_rate);
}

// Where the first of its tracks ends.
static int64_t known_us(const struct media *m)
{
    int64_t us = INT64_MAX;
    if (media_has_video(m))
        us = muldiv_floor(m->video.end, 1000000, m->video.timescale);
    for (int i = 0; i < media_audio_count(m); i++) {
        const int64_t end = audio_end_us(media_audio(m, i));
        us = end < us ? end : us;
    }
    return us;
}

static int64_t sure_us(const struct media *m)
{
    const int64_t us = known_us(m) - BEGINNING_UNSURE_SECONDS * INT64_C(1000000);
    return us > 0 ? us : 0;
}

int64_t beginning_frames(const struct media *beginning)
{
    return muldiv_floor(sure_us(beginning), beginning->fps.num, 1000000 * beginning->fps.den);
}

// ---- whether it goes on

// Where a packet lies is told differently once others lie in pieces: what it is stays.
static bool same_samples(const struct sample *a, int a_count, const struct sample *b, int b_count,
                         int64_t until)
{
    for (int i = 0; i < a_count; i++) {
        const struct sample *const x = &a[i], *const y = &b[i];
        if (x->pts >= until)
            continue;
        if (i >= b_count || x->pts != y->pts || x->size != y->size || x->sync != y->sync)
            return false;
    }
    return true;
}

static bool same_bytes(const uint8_t *a, int a_size, const uint8_t *b, int b_size)
{
    return a_size == b_size && (a_size == 0 || memcmp(a, b, (size_t)a_size) == 0);
}

static bool same_video(const struct video_track *a, const struct video_track *b, int64_t us)
{
    return a->codec == b->codec && a->timescale == b->timescale &&
           a->coded_width == b->coded_width && a->coded_height == b->coded_height &&
           same_bytes(a->extradata, a->extradata_size, b->extradata, b->extradata_size) &&
           same_samples(a->samples, a->sample_count, b->samples, b->sample_count,
                        muldiv_floor(us, a->timescale, 1000000));
}

static bool same_audio(const struct audio_track *a, const struct audio_track *b, int64_t us)
{
    return a->codec == b->codec && a->sample_rate == b->sample_rate && a->channels == b->channels &&
           same_bytes(a->extradata, a->extradata_size, b->extradata, b->extradata_size) &&
           same_samples(a->samples, a->sample_count, b->samples, b->sample_count,
                        muldiv_floor(us, a->sample_rate, 1000000));
}

static bool goes_on(const struct media *a, const struct media *b)
{
    const int64_t us = sure_us(a);
    if (a->container != b->container || a->size != b->size ||
        media_has_video(a) != media_has_video(b) || media_audio_count(a) > media_audio_count(b))
        return false;
    if (media_has_video(a) && !same_video(&a->video, &b->video, us))
        return false;
    for (int i = 0; i < media_audio_count(a); i++)
        if (!same_audio(media_audio(a, i), media_audio(b, i), us))
            return false;
    return true;
}

// ---- going on

static void keep_looks(const struct video_track *from, struct video_track *to)
{
    to->sar_num = from->sar_num;
    to->sar_den = from->sar_den;
    to->rotate = from->rotate;
    to->mirror = from->mirror;
    to->bit_depth = from->bit_depth;
    to->colour = from->colour;
    to->peak_nits = from->peak_nits;
    to->fields = from->fields;
}

static void keep_tags(const struct media *from, struct media *to)
{
    to->audio.tags = from->audio.tags;
    for (int i = 0; i < from->more_audio_count; i++)
        to->more_audio[i].tags = from->more_audio[i].tags;
}

int beginning_continue(const struct media *beginning, struct media *all)
{
    if (!goes_on(beginning, all))
        return -E_CORRUPT;
    all->reach = MEDIA_CONTINUED;
    media_keep_audios(all, media_audio_count(beginning));
    keep_tags(beginning, all);
    if (!media_has_video(beginning))
        return 0;
    all->beginning_rate = media_video_rate(beginning);
    keep_looks(&beginning->video, &all->video);
    media_set_fps(all, beginning->fps);
    return 0;
}
