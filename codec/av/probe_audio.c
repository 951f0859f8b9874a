// SPDX-License-Identifier: BSD-2-Clause
//
// probe_audio - the tracks of sound.  Each is a fault of the source where there are no
// pictures, and else is left out when it is of no use.

#include "codec/av/probe_steps.h"

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/av/codecs.h"
#include "codec/av/sound_times.h"

static int begin_audio(struct probe *p)
{
    const AVCodecParameters *par = p->audio.stream->codecpar;
    struct audio_track *a = &p->media->audio;
    a->codec = p->audio.codec;
    a->sample_rate = (int)clamp64(par->sample_rate, 8000, 192000);
    a->channels = (int)clamp64(par->ch_layout.nb_channels, 1, 8);
    a->block_align = (int)clamp64(par->block_align, 0, 1 << 24);
    a->bits_per_sample = (int)clamp64(par->bits_per_coded_sample, 0, 64);
    a->bit_rate = par->bit_rate > 0 && par->bit_rate < INT32_MAX ? par->bit_rate : 0;
    a->strip = p->audio.track->strip;
    a->tags = p->audio.track->tags;
    return probe_copy_extradata(p, par, &a->extradata, &a->extradata_size);
}

// Whether a packet of a DVD's PCM ends within a sample (of more than 16 bits: a pair of them): then
// whoever begins behind it would take one for another.  Discs have none of these.
static bool is_torn(const struct index_track *t, int channels)
{
    for (int i = 0; t->heads && i + 1 < t->sample_count; i++) {
        const int bits = 16 + 4 * (t->heads[i][1] >> 6);
        const int unit = bits == 16 ? 2 * channels : bits * channels / 4;
        if ((t->samples[i].size - 3) % (uint32_t)unit != 0)
            return true;
    }
    return false;
}

static int set_audio(struct probe *p, const struct sound *s)
{
    struct audio_track *a = &p->media->audio;
    if (s->rate < 8000 || s->rate > 192000 || s->channels < 1 || s->channels > 8)
        return fail_with(p->why, -E_UNSUPPORTED, "sound of %d Hz and %d channels", s->rate,
                         s->channels);
    if (a->codec == CODEC_PCM_DVD && is_torn(p->audio.track, s->channels))
        return fail_with(p->why, -E_UNSUPPORTED, "PCM of a DVD whose packets end within a sample");
    a->sample_rate = s->rate;
    a->channels = s->channels;
    const bool video = p->video.track;
    int rc = index_present(p->audio.track);
    if (rc == 0)
        rc = sound_times(
            a, p->audio.track, s->samples, s->first,
            (struct sound_origin){ video ? p->t0 : 0, video ? p->media->video.timescale : 0 });
    a->carriage = p->audio.track->carriage;
    p->audio.track->carriage = (struct carriage){ 0 };
    if (rc < 0)
        return fail_with(p->why, rc, "the times of the sound make no sense");
    if (a->sample_count == 0)
        return fail_with(p->why, -E_UNSUPPORTED, "the sound is empty");
    const struct sample *last = &a->samples[a->sample_count - 1];
    return probe_check_length(p, last->pts + last->duration, a->sample_rate);
}

static int try_audio(struct probe *p, AVFrame *frame)
{
    struct sound s = { 0 };
    int rc = begin_audio(p);
    if (rc == 0)
        rc = probe_decode(p, p->audio.track, frame, &s, NULL);
    if (rc == 0)
        return fail_with(p->why, -E_CORRUPT, "its sound cannot be decoded");
    return rc < 0 ? rc : set_audio(p, &s);
}

static void forget_audio(struct probe *p)
{
    struct audio_track *a = &p->media->audio;
    free(a->extradata);
    free(a->samples);
    carriage_finish(&a->carriage);
    *a = (struct audio_track){ .codec = CODEC_NONE };
}

// Pictures whose sound is of no use play silently; only then is a fault of the
// sound no fault of the source.
int probe_audio(struct probe *p, AVFrame *frame)
{
    if (!p->audio.track)
        return 0;
    const int rc = try_audio(p, frame);
    if (!p->video.track || (rc != -E_CORRUPT && rc != -E_UNSUPPORTED))
        return rc;
    log_info("probe", "the sound is left out: %s", p->why->cap ? p->why->line : "unusable");
    forget_audio(p);
    return 0;
}

// Makes t the track that all of the above is about.
static int try_another(struct probe *p, struct index_track *t, AVFrame *frame)
{
    AVStream *const st = probe_stream(p, t);
    int rc = probe_check_track(t, st, p->why);
    if (rc < 0)
        return rc;
    p->audio = probe_chosen(t, st);
    rc = probe_compare_track(p, &p->audio);
    return rc < 0 ? rc : try_audio(p, frame);
}

// A track too many, or of no use, is left out and is no fault of the source.
static int add_another(struct probe *p, struct index_track *t, AVFrame *frame)
{
    struct media *const m = p->media;
    m->audio = (struct audio_track){ .codec = CODEC_NONE };
    const bool room = m->more_audio_count < MEDIA_AUDIOS - 1;
    const int rc = room ? try_another(p, t, frame)
                        : fail_with(p->why, -E_LIMITS, "there are more than %d", MEDIA_AUDIOS);
    if (rc == 0) {
        m->more_audio[m->more_audio_count++] = m->audio;
        return 0;
    }
    forget_audio(p);
    if (rc != -E_CORRUPT && rc != -E_UNSUPPORTED && rc != -E_LIMITS)
        return rc;
    log_info("probe", "the sound of track %d is left out: %s", t->number,
             p->why->cap ? p->why->line : "unusable");
    return 0;
}

// The tracks of sound beside the one that was chosen.
int probe_more_audio(struct probe *p, AVFrame *frame)
{
    const struct chosen chosen = p->audio;
    const struct audio_track first = p->media->audio;
    int rc = 0;
    if (!p->video.track || first.codec == CODEC_NONE)
        return 0;
    for (int i = 0; rc == 0 && i < p->index.track_count; i++) {
        struct index_track *t = &p->index.tracks[i];
        if (t->audio && t != chosen.track)
            rc = add_another(p, t, frame);
    }
    p->audio = chosen;
    p->media->audio = first;
    return rc;
}
