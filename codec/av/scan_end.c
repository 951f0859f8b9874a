// SPDX-License-Identifier: BSD-2-Clause
//
// scan_end - what can be said of a track only when all its packets were seen: when pictures are
// shown that nobody stamped, when it ends, and whether its packets lie in one run each.

#include "codec/av/scan_steps.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "codec/av/codecs.h"

#define DELTAS 64 // between pictures, of which the middle one counts

// When every packet was in one run, nobody needs the list.
static void make_whole(struct index_track *t, struct trace *trace)
{
    const struct carriage *c = &trace->carriage;
    for (int i = 0, piece = 0; i < t->sample_count; i++) {
        while (t->samples[i].offset >= c->pieces[piece].at + c->pieces[piece].size)
            piece++;
        t->samples[i].offset += c->pieces[piece].offset - c->pieces[piece].at;
    }
    carriage_finish(&trace->carriage);
}

static void take_carriage(struct index_track *t, struct scan_track *k)
{
    if (k->trace.carriage.kind == CARRIAGE_PIECES && !k->trace.split)
        make_whole(t, &k->trace);
    t->carriage = k->trace.carriage;
    k->trace.carriage = (struct carriage){ 0 };
}

// The middle one of the first times between pictures; 0: none is known.
static int64_t usual_step(const struct scan_track *k, const struct index_track *t)
{
    int64_t steps[DELTAS];
    int n = 0;
    for (int i = 1; i < t->sample_count && n < DELTAS; i++) {
        const int64_t a = k->pictures[i - 1].dts, b = k->pictures[i].dts;
        if (a != INDEX_NO_PTS && b != INDEX_NO_PTS && b > a)
            steps[n++] = b - a;
    }
    qsort(steps, (size_t)n, sizeof *steps, compare_int64);
    return n ? steps[n / 2] : 0;
}

// Ticks of a picture: by the headers, by the times, by its packet, or as usual.
static int64_t picture_ticks(const struct scan_track *k, const struct index_track *t,
                             const AVStream *st)
{
    AVRational told = k->headers ? k->headers->framerate : (AVRational){ 0, 1 };
    if (k->codec == CODEC_H264)
        told.den *= 2; // its parser counts fields
    const AVRational rates[] = { told, st->avg_frame_rate, st->r_frame_rate };
    for (size_t i = 0; i < countof(rates); i++)
        if (rates[i].num > 0 && rates[i].den > 0 && av_q2d(rates[i]) <= 1000)
            return muldiv_round(t->timescale, rates[i].den, rates[i].num);
    const int64_t step = usual_step(k, t);
    if (step == 0 && t->samples[0].duration > 0)
        return t->samples[0].duration;
    return step ? step : max64(t->timescale / 25, 1);
}

static enum picture_order order_of(enum codec_id c)
{
    switch (c) {
    case CODEC_H264:
    case CODEC_HEVC:
        return ORDER_COUNTED;
    case CODEC_MPEG1:
    case CODEC_MPEG2:
    case CODEC_MPEG4:
    case CODEC_VC1:
    case CODEC_WMV3:
        return ORDER_TYPES;
    default:
        return ORDER_DECODED;
    }
}

static int close_video(struct scan_track *k, struct index_track *t, const AVStream *st)
{
    return picture_times(t->samples, k->pictures, t->sample_count, order_of(k->codec),
                         picture_ticks(k, t, st));
}

// These say how long their sound is, to the sample.
static bool tells_end(enum container c)
{
    return c == CONTAINER_FLAC || c == CONTAINER_OGG || c == CONTAINER_WAVPACK ||
           c == CONTAINER_TTA;
}

// Ogg files one after another in one, as recordings of radio are, each with a clock of its own:
// from the second on sound goes on without it.  Whether there are any.
static bool goes_on_anew(struct index_track *t)
{
    int64_t latest = INT64_MIN;
    bool anew = false;
    for (int i = 0; i < t->sample_count; i++) {
        struct sample *const s = &t->samples[i];
        if (s->pts == INDEX_NO_PTS)
            continue;
        anew |= latest != INT64_MIN && s->pts < latest - t->timescale;
        latest = s->pts > latest ? s->pts : latest;
        if (anew)
            s->pts = INDEX_NO_PTS;
    }
    return anew;
}

// Of the samples at the end that have no time; a parser gives none to the last one of all.
static int64_t untold_at_end(const struct index_track *t)
{
    int64_t sum = 0;
    for (int i = t->sample_count - 1; i > 0 && t->samples[i].pts == INDEX_NO_PTS; i--)
        sum += t->samples[i].duration;
    return sum;
}

// Sound that nobody stamped begins at once.
static void close_audio(struct scan *s, struct index_track *t, const AVStream *st)
{
    bool known = false;
    for (int i = 0; !known && i < t->sample_count; i++)
        known = t->samples[i].pts != INDEX_NO_PTS;
    if (!known && t->sample_count > 0)
        t->samples[0].pts = 0;
    const bool anew = s->x->container == CONTAINER_OGG && goes_on_anew(t);
    t->end = index_samples_end(t) + untold_at_end(t);
    t->end_is_exact = tells_end(s->x->container) && st->duration > 0 && !s->x->beginning && !anew;
    if (t->end_is_exact)
        t->end = st->duration + (st->start_time != AV_NOPTS_VALUE ? st->start_time : 0);
}

int scan_close_track(struct scan *s, int i)
{
    struct scan_track *const k = &s->tracks[i];
    struct index_track *const t = &s->x->tracks[i];
    if (k->codec == CODEC_NONE)
        return 0;
    if (k->missing)
        log_info("probe", "track %d: %d packets stand nowhere in the source as they are read", i,
                 k->missing);
    if (k->missing > t->sample_count) {
        index_refuse(t, "its packets do not lie in the source as they are read");
        return 0;
    }
    take_carriage(t, k);
    const AVStream *st = s->demux->ctx->streams[i];
    const int rc = t->video && t->sample_count ? close_video(k, t, st) : 0;
    t->end = index_samples_end(t);
    if (t->audio)
        close_audio(s, t, st);
    return rc;
}
