// SPDX-License-Identifier: BSD-2-Clause
//
// probe_decode - the beginning of a track, decoded just as segments will be: it tells what no
// header does, and what cannot be decoded fails here and not under a viewer.

#include "codec/av/probe_steps.h"

#include "codec/av/decode.h"

#define FIRST_SAMPLES 64 // given to a decoder to see what it makes of them

static int by_pts(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return (x->pts > y->pts) - (x->pts < y->pts);
}

static void note_sound(struct sound *s, const struct index_track *t, const AVFrame *frame)
{
    const bool later = frame->pts != AV_NOPTS_VALUE && frame->pts > t->samples[0].pts;
    s->first += s->second || later ? 0 : frame->nb_samples;
    s->second |= later;
    if (frame->sample_rate < s->rate)
        return;
    const bool longest = frame->sample_rate > s->rate || frame->nb_samples > s->samples;
    s->rate = frame->sample_rate;
    s->channels = frame->ch_layout.nb_channels;
    s->samples = longest ? frame->nb_samples : s->samples;
}

int probe_decode(struct probe *p, const struct index_track *t, AVFrame *frame, struct sound *sound,
                 bool *damaged)
{
    const int n = t->sample_count < FIRST_SAMPLES ? t->sample_count : FIRST_SAMPLES;
    struct pick picks[FIRST_SAMPLES]; // all of them: none is to be skipped
    for (int i = 0; i < n; i++)
        picks[i] = (struct pick){ t->samples[i].pts, 1 };
    qsort(picks, (size_t)n, sizeof *picks, by_pts);
    const struct job job = { .kind = t->video ? JOB_VIDEO : JOB_AUDIO,
                             .limits = p->job->limits,
                             .source_size = p->job->source_size,
                             .media = p->media,
                             .samples = t->samples,
                             .carriage = t->carriage,
                             .sample_count = n,
                             .picks = picks,
                             .pick_count = n };
    struct decoder d;
    int count = 0;
    int rc = decoder_open(&d, &job, &p->meter.io, t->video, p->why);
    while (rc >= 0 && !(count && t->video)) {
        rc = decoder_next(&d, frame);
        if (rc <= 0)
            break;
        if (t->audio)
            note_sound(sound, t, frame);
        count++;
    }
    if (damaged)
        *damaged = d.damaged;
    decoder_close(&d);
    return rc < 0 ? rc : count;
}
