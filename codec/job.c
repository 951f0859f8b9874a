// SPDX-License-Identifier: BSD-2-Clause

#include "codec/job.h"

#include <string.h>

#include "base/base.h"
#include "codec/hardware.h"

#define SIDE_MAX 16384 // of an output picture

static const char *const presets[PRESETS] = {
    "ultrafast", "superfast", "veryfast", "faster",  "fast", "medium",
    "slow",      "slower",    "veryslow", "placebo", "jit",
};

static const int sample_rates[] = { 32000, 44100, 48000 };

void job_init(struct job *j)
{
    *j = (struct job){ 0 };
}

void job_finish(struct job *j)
{
    media_destroy(j->media);
    free(j->samples);
    carriage_finish(&j->carriage);
    free(j->picks);
    free(j->runs);
    job_init(j);
}

bool job_goes_on(const struct job *next, const struct job_stats *last)
{
    if (next->kind != JOB_VIDEO)
        return false;
    for (int i = 0; i < last->left_count; i++) {
        const struct left_decoder *const l = &last->left[i];
        if (key_equal(&next->source, &l->source) && next->samples[0].offset == l->from &&
            next->picks[0].pts > l->pts)
            return true;
    }
    return false;
}

int job_encoders(const struct job *j)
{
    const int parts = j->parts_at_once < j->part_count ? j->parts_at_once : j->part_count;
    return parts < 1 || j->v.codec == VIDEO_AV1 ? 1 : parts;
}

const struct video_settings *job_rung(const struct job *j, int i)
{
    return i == 0 ? &j->v : &j->also[i - 1];
}

// What is watched may have to be shown the same pictures again (codec/av/rungs.c).
bool video_settings_go_together(const struct video_settings *a, const struct video_settings *b)
{
    return !rate_is_watched(a) && !rate_is_watched(b) && a->fps.num == b->fps.num &&
           a->fps.den == b->fps.den && a->deinterlace == b->deinterlace;
}

// Both are segments of one table, and begin and end at the same frame then.
static bool same_pictures(const struct job *a, const struct job *b)
{
    return a->first == b->first && a->last_ticks == b->last_ticks && a->sequence == b->sequence &&
           a->part_count == b->part_count && a->pick_count == b->pick_count &&
           a->sample_count == b->sample_count && a->beyond == b->beyond &&
           a->continues == b->continues && a->picks[0].pts == b->picks[0].pts &&
           a->samples[0].offset == b->samples[0].offset;
}

bool job_shares_pictures(const struct job *a, const struct job *b)
{
    return a->kind == JOB_VIDEO && b->kind == JOB_VIDEO &&
           video_settings_go_together(&a->v, &b->v) && same_pictures(a, b);
}

bool job_add_rung(struct job *a, const struct job *b)
{
    if (a->also_count == JOB_RUNGS_MAX - 1)
        return false;
    a->also[a->also_count++] = b->v;
    return true;
}

// ---- settings

int preset_number(const char *name)
{
    for (int i = 0; i < PRESETS; i++)
        if (strcmp(presets[i], name) == 0)
            return i;
    return -1;
}

const char *preset_name(int number)
{
    assert(number >= 0 && number < PRESETS);
    return presets[number];
}

static bool level_ok(const struct video_settings *v)
{
    switch (v->codec) {
    case VIDEO_HEVC:
        return in_range(v->level, 30, 186) && in_range(v->crf, 0, 51);
    case VIDEO_AV1:
        return in_range(v->level, 0, 23) && in_range(v->crf, 1, 63);
    default:
        return in_range(v->level, 10, 62) && in_range(v->crf, 0, 51);
    }
}

static bool encoder_ok(const struct video_settings *v)
{
    return v->encoder == ENCODER_SOFTWARE ||
           (in_range(v->encoder, 1, VIDEO_ENCODERS - 1) && hardware_codec(v->encoder) == v->codec &&
            !is_ten_bit(v));
}

bool video_settings_ok(const struct video_settings *v)
{
    return in_range(v->width, 2, SIDE_MAX) && in_range(v->height, 2, SIDE_MAX) &&
           v->width % 2 == 0 && v->height % 2 == 0 && in_range(v->fps.den, 1, 1000 * 1000 * 1000) &&
           in_range(v->fps.num, 1, 60 * v->fps.den) &&
           in_range(v->codec, VIDEO_H264, VIDEO_CODECS - 1) && level_ok(v) &&
           (v->codec != VIDEO_H264 || !is_ten_bit(v)) &&
           in_range(v->maxrate, 1000, 1000 * 1000 * 1000) &&
           in_range(v->bufsize, 1000, INT64_C(2000) * 1000 * 1000) &&
           in_range(v->vbv_init_permille, 0, 1000) && preset_number(v->preset) >= 0 &&
           in_range(v->deinterlace, DEINTERLACE_NOT, DEINTERLACE_COUNT - 1) &&
           in_range(v->colour.primaries, 0, 255) && in_range(v->colour.transfer, 0, 255) &&
           in_range(v->colour.matrix, 0, 255) && mastering_ok(&v->mastering) && encoder_ok(v);
}

bool audio_settings_ok(const struct audio_settings *a)
{
    bool known = false;
    for (size_t i = 0; i < countof(sample_rates); i++)
        known |= a->sample_rate == sample_rates[i];
    if (a->codec == AUDIO_OPUS)
        return a->sample_rate == 48000 && in_range(a->channels, 1, 2) &&
               in_range(a->quality, 6000, 512000);
    return a->codec == AUDIO_AAC && known &&
           (in_range(a->channels, 1, 2) || a->channels == JOB_CHANNELS_MAX) &&
           in_range(a->quality, 1, 10000);
}

bool text_settings_ok(const struct text_settings *t)
{
    return t->file ? t->format == TEXT_SUBRIP || t->format == TEXT_WEBVTT
                   : in_range(t->format, TEXT_NONE + 1, TEXT_FORMATS - 1);
}

bool sheet_settings_ok(const struct sheet_settings *s)
{
    return in_range(s->width, 2, SIDE_MAX) && in_range(s->height, 2, SIDE_MAX) &&
           s->width % 2 == 0 && s->height % 2 == 0 && in_range(s->columns, 1, JOB_TILES_MAX) &&
           in_range(s->rows, 1, JOB_TILES_MAX) && s->columns * s->rows <= JOB_TILES_MAX &&
           s->width <= SIDE_MAX / s->columns && s->height <= SIDE_MAX / s->rows &&
           in_range(s->quality, 2, 31) && in_range(s->tile_bytes, 1, 1000 * 1000 * 1000);
}
