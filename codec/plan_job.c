// SPDX-License-Identifier: BSD-2-Clause
//
// From a segment number to a complete order for a worker.  All of it is a pure
// function of the index, the rendition and k, so that every node decodes the
// same packets and gives the same bytes.

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/grid.h"
#include "codec/ladder.h"
#include "codec/plan.h"
#include "codec/sound.h"
#include "codec/stills.h"
#include "codec/texts.h"

// Of the source's decoder, before the first sample that counts: at least this long
// and this many packets (bit reservoirs, overlaps, Opus' convergence).
#define WARM_UP_MS 700
#define WARM_UP_PACKETS 12
#define PACKETS_BACK 32
// Pictures that a decoder holds back: for its threads and its output, and for their order.
#define DECODER_DELAY 2
#define REORDER_MAX 16
// Of the resampler, in source samples to either side: more than its filter reaches,
// which is 64 of the slower side.
#define RESAMPLER_MARGIN 512

static void common(struct job *job, const struct media *m, const struct rendition *r)
{
    assert(!rendition_is_copied(r));
    *job = (struct job){ .source_size = m->size,
                         .media = media_copy_head(m, r->kind == RENDITION_AUDIO ? r->track : 0),
                         .video = r->kind != RENDITION_AUDIO };
    if (job->video)
        job->v = r->v;
    else
        job->a = r->a;
}

// The least and the greatest offset of the job's samples.
static void samples_span(const struct job *job, int64_t *from, int64_t *to)
{
    *from = job->sample_count ? INT64_MAX : 0;
    *to = 0;
    for (int i = 0; i < job->sample_count; i++) {
        const struct sample *s = &job->samples[i];
        *from = s->offset < *from ? s->offset : *from;
        *to = s->offset + s->size > *to ? s->offset + s->size : *to;
    }
}

// Of the samples, which there are.
static void take_carriage(struct job *job, const struct carriage *c)
{
    int64_t begin, end;
    samples_span(job, &begin, &end);
    job->carriage = carriage_slice(c, begin, end);
}

static int take_samples(struct job *job, const struct carriage *c, const struct sample *from,
                        int count)
{
    if (count > JOB_SAMPLES_MAX)
        return -E_LIMITS;
    if (count == 0)
        return 0;
    job->samples = xmalloc((size_t)count * sizeof *from);
    memcpy(job->samples, from, (size_t)count * sizeof *from);
    job->sample_count = count;
    take_carriage(job, c);
    return 0;
}

// ---- video

// The span in decode order of the samples that are shown.
struct span {
    int first, last;
};

// Frames [from, to) of the grid as runs of source frames; for a deinterlacer with those
// between them and one to either side, which exactly make its pictures.
static struct span make_picks(struct job *job, const struct media *m, int64_t from, int64_t to)
{
    const struct video_track *v = &m->video;
    const bool all = job->v.deinterlace != DEINTERLACE_NOT;
    const int first = (int)clamp64(grid_shown(m, from) - all, 0, v->shown_count - 1);
    const int last = (int)clamp64(grid_shown(m, to - 1) + all, 0, v->shown_count - 1);
    struct span span = { v->sample_count, -1 };
    job->picks = xcalloc((size_t)(last - first + 1), sizeof *job->picks);
    for (int shown = first; shown <= last; shown++) {
        int repeat = 0;
        for (; from < to && grid_shown(m, from) == shown; from++)
            repeat += pictures_per_frame(&job->v);
        if (repeat == 0 && !all)
            continue;
        const int at = v->shown[shown];
        job->picks[job->pick_count++] = (struct pick){ v->samples[at].pts, repeat };
        span.first = at < span.first ? at : span.first;
        span.last = at > span.last ? at : span.last;
    }
    return span;
}

// The last sync sample that is decoded no later than all that is needed and
// presented no later than the first picture needed.  The second half is for open
// GOPs: pictures that lead a sync sample lean on the one before it.
static int last_sync(const struct video_track *v, int at, int64_t pts)
{
    while (at > 0 && !(v->samples[at].sync && v->samples[at].pts <= pts))
        at--;
    return at;
}

static int earlier_sync(const struct video_track *v, int at, int back)
{
    for (; back > 0 && at > 0; back--) {
        at--;
        while (at > 0 && !v->samples[at].sync)
            at--;
    }
    return at;
}

// How many samples behind the last one needed are decoded where the decoder is kept for the
// frames from `to` on: those that push out the last picture.  None where the next segment
// decodes nothing of this GOP.  (In pieces, or finer, each would have to be looked for.  Where
// headers change, a decoder has others when it goes on.)
static int samples_beyond(const struct media *m, int64_t to, int last)
{
    const struct video_track *const v = &m->video;
    if (to >= m->frames || v->carriage.kind != CARRIAGE_WHOLE || v->more_headers_count > 0)
        return 0;
    const int next = v->shown[grid_shown(m, to)];
    if (last_sync(v, next, v->samples[next].pts) > last)
        return 0;
    const int held = v->reorder < REORDER_MAX ? v->reorder : REORDER_MAX;
    return (int)min64(held + DECODER_DELAY, v->sample_count - 1 - last);
}

// Shows frames [from, to) of the grid.  goes_on: so do jobs that show what follows.
static int show(struct job *job, const struct media *m, int64_t from, int64_t to, int back,
                bool goes_on)
{
    const struct video_track *const v = &m->video;
    const struct span span = make_picks(job, m, from, to);
    if (job->pick_count > JOB_FRAMES_MAX)
        return -E_LIMITS;
    const int start = earlier_sync(v, last_sync(v, span.first, job->picks[0].pts), back);
    job->beyond = goes_on && back == 0 ? samples_beyond(m, to, span.last) : 0;
    return take_samples(job, &v->carriage, v->samples + start, span.last + job->beyond - start + 1);
}

static int fill_video(struct job *job, const struct plan *p, const struct rendition *r,
                      const struct media *m, int k, int back)
{
    const int64_t from = segtab_frame(&p->table, k), to = segtab_frame(&p->table, k + 1);
    job->v.vbv_init_permille = plan_vbv_init(p, r, k);
    job->part_count = segtab_parts(&p->table, k);
    job->parts_at_once = 1;
    if ((to - from) * pictures_per_frame(&job->v) > JOB_FRAMES_MAX ||
        job->part_count > JOB_PARTS_MAX)
        return -E_LIMITS;
    for (int j = 0; j < job->part_count; j++) {
        int64_t first;
        segtab_part(&p->table, k, j, &first, &job->part_frames[j]);
        job->part_frames[j] *= pictures_per_frame(&job->v);
    }
    job->first = from * pictures_per_frame(&job->v);
    job->continues = from > 0 && grid_shown(m, from - 1) == grid_shown(m, from);
    job->last_ticks = job->v.fps.den;
    return show(job, m, from, to, back, job->v.deinterlace == DEINTERLACE_NOT);
}

// One picture, which lasts until the next.
static int fill_trick(struct job *job, const struct plan *p, const struct rendition *r,
                      const struct media *m, int k, int back)
{
    const int64_t frame = stills_frame(&p->table, r, k);
    job->part_count = job->parts_at_once = 1;
    job->part_frames[0] = 1;
    job->first = k;
    job->last_ticks = plan_segment_start(p, r, k + 1) - plan_segment_start(p, r, k);
    return show(job, m, frame, frame + 1, back, false);
}

// ---- sheets

// The runs of a sheet on their way.
struct sheet {
    const struct media *m;
    struct job *job;
    struct span at[JOB_TILES_MAX]; // what each decodes
};

// Puts a picture among the picks, or finds it among the last.  Returns how many that adds.
static int pick_shown(struct job *job, const struct sample *s, int repeat)
{
    int i = job->pick_count - 1;
    while (i >= 0 && job->picks[i].pts > s->pts)
        i--;
    if (i >= 0 && job->picks[i].pts == s->pts) {
        job->picks[i].repeat += repeat;
        return 0;
    }
    job->picks[job->pick_count++] = (struct pick){ s->pts, repeat };
    return 1;
}

// Picks what a tile shows, for a deinterlacer with its neighbours, and says what samples that
// takes.  Returns how many picks that adds.
static int pick_tile(struct sheet *s, int shown, int back, struct span *span)
{
    const struct video_track *const v = &s->m->video;
    const int reach = v->fields != FIELDS_NONE;
    int added = 0;
    *span = (struct span){ v->sample_count, -1 };
    for (int i = shown - reach; i <= shown + reach; i++) {
        if (i < 0 || i >= v->shown_count)
            continue;
        const int at = v->shown[i];
        span->first = at < span->first ? at : span->first;
        span->last = at > span->last ? at : span->last;
        added += pick_shown(s->job, &v->samples[at], i == shown);
    }
    const int earliest = v->shown[clamp64(shown - reach, 0, v->shown_count - 1)];
    span->first = earlier_sync(v, last_sync(v, span->first, v->samples[earliest].pts), back);
    return added;
}

// Where the sync sample of a tile is among what the tile before needs, decoding goes on; else
// a new run begins there, and what lies between is not read.
static void add_tile(struct sheet *s, int shown, int back)
{
    struct job *const job = s->job;
    struct span span;
    const int added = pick_tile(s, shown, back, &span);
    struct span *const open = job->run_count ? &s->at[job->run_count - 1] : NULL;
    if (open && span.first <= open->last) {
        open->first = span.first < open->first ? span.first : open->first;
        open->last = span.last > open->last ? span.last : open->last;
        job->runs[job->run_count - 1].picks += added;
        return;
    }
    s->at[job->run_count] = span;
    job->runs[job->run_count++].picks = added;
}

static int take_runs(struct sheet *s)
{
    struct job *const job = s->job;
    int64_t count = 0;
    for (int i = 0; i < job->run_count; i++)
        count += job->runs[i].samples = s->at[i].last - s->at[i].first + 1;
    if (count > JOB_SAMPLES_MAX)
        return -E_LIMITS;
    job->samples = xmalloc((size_t)count * sizeof *job->samples);
    for (int i = 0; i < job->run_count; i++) {
        memcpy(job->samples + job->sample_count, s->m->video.samples + s->at[i].first,
               (size_t)job->runs[i].samples * sizeof *job->samples);
        job->sample_count += job->runs[i].samples;
    }
    take_carriage(job, &s->m->video.carriage);
    return 0;
}

// A JPEG has no tags for the colours that rungs have: what the source leaves untagged is
// said here to be what the rungs take it for.
static void settle_colours(struct colour *c, struct colour of_rungs)
{
    const int UNSPECIFIED = 2;
    if (c->primaries == UNSPECIFIED)
        c->primaries = of_rungs.primaries;
    if (c->transfer == UNSPECIFIED)
        c->transfer = of_rungs.transfer;
    if (c->matrix == UNSPECIFIED)
        c->matrix = of_rungs.matrix;
}

static int fill_sheet(struct job *job, const struct plan *p, const struct rendition *r,
                      const struct media *m, int k, int back)
{
    int first, tiles;
    struct sheet s = { .m = m, .job = job };
    stills_on_sheet(&p->table, r, k, &first, &tiles);
    settle_colours(&job->media->video.colour, ladder_colour(m));
    job->s = r->s;
    job->bits = 8 * stills_sheet_bytes(&p->table, r, k);
    job->first = stills_frame(&p->table, r, first);
    job->picks = xcalloc(3 * (size_t)tiles, sizeof *job->picks);
    job->runs = xcalloc((size_t)tiles, sizeof *job->runs);
    for (int i = 0; i < tiles; i++)
        add_tile(&s, grid_shown(m, stills_frame(&p->table, r, first + i)), back);
    return take_runs(&s);
}

// ---- audio

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        const int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

// How many packets begin before t.
static int packets_before(const struct audio_track *a, int64_t t)
{
    int low = 0, high = a->sample_count;
    while (low < high) {
        const int i = low + (high - low) / 2;
        if (a->samples[i].pts < t)
            low = i + 1;
        else
            high = i;
    }
    return low;
}

static int at_least_0(int n)
{
    return n > 0 ? n : 0;
}

// The packet that holds t, or the next one after a gap.
static int packet_at(const struct audio_track *a, int64_t t)
{
    return at_least_0(packets_before(a, t + 1) - 1);
}

// Whether any packet before number end says something after t.
static bool sounds(const struct audio_track *a, int64_t t, int end)
{
    return end > 0 && a->samples[end - 1].pts + a->samples[end - 1].duration > t;
}

static int fill_audio(struct job *job, const struct plan *p, const struct rendition *r,
                      const struct media *m, int k, int back)
{
    const struct audio_track *a = media_audio(m, r->track);
    const int64_t out = job->a.sample_rate, in = a->sample_rate;
    const struct rational rate = sound_frame_rate(&job->a);
    job->first = segtab_audio_frame(&p->table, k, rate);
    job->frames = segtab_audio_frame(&p->table, k + 1, rate) - job->first;
    job->end = muldiv_ceil(p->table.frames, p->table.fps.den * out, p->table.fps.num);
    job->bits = muldiv_floor(plan_audio_maxrate(p, r), job->frames * rate.den, out);

    // In output samples, then in source samples.  A resampler is exact only when
    // it restarts where both rates meet: every in / gcd source samples.
    const int64_t need = sound_feed_begin(&job->a, job->first);
    const int64_t until = sound_feed_end(&job->a, job->first, job->frames);
    const int64_t meet = in / gcd(in, out);
    const int64_t from = muldiv_floor(need, in, out) - RESAMPLER_MARGIN - meet;
    const int64_t to = muldiv_ceil(until, in, out) + RESAMPLER_MARGIN;

    const int warm = packet_at(a, from - in * WARM_UP_MS / 1000);
    const int counted = at_least_0(packet_at(a, from) - WARM_UP_PACKETS);
    const int start = at_least_0((warm < counted ? warm : counted) - back * PACKETS_BACK);
    const int end = packets_before(a, to);
    if (!sounds(a, from, end))
        return 0;
    return take_samples(job, &a->carriage, a->samples + start, end - start);
}

// ---- orders

int64_t plan_sequence(int k)
{
    return (int64_t)k * SEQUENCES_PER_SEGMENT + 1;
}

int plan_init_job(const struct plan *p, const struct rendition *r, const struct media *m,
                  struct job *job)
{
    (void)p;
    *job = (struct job){ 0 };
    if (r->kind == RENDITION_TEXT || plan_is_sheets(r))
        return -E_NOT_FOUND;
    common(job, m, r);
    job->kind = JOB_INIT;
    return 0;
}

int plan_segment_job(const struct plan *p, const struct rendition *r, const struct media *m, int k,
                     int back, struct job *job)
{
    static const enum job_kind kinds[RENDITION_KINDS] = {
        [RENDITION_AUDIO] = JOB_AUDIO,  [RENDITION_VIDEO] = JOB_VIDEO,
        [RENDITION_TRICK] = JOB_VIDEO,  [RENDITION_STORYBOARD] = JOB_SHEET,
        [RENDITION_POSTER] = JOB_SHEET,
    };
    assert(back >= 0 && back < 1000000);
    *job = (struct job){ 0 };
    if (k < 0 || k >= plan_segments(p, r))
        return -E_NOT_FOUND;
    if (r->kind == RENDITION_TEXT) {
        *job = (struct job){ .kind = JOB_TEXT, .source_size = m->size };
        return texts_fill(job, p, r, m, k);
    }
    common(job, m, r);
    job->kind = kinds[r->kind];
    job->sequence = plan_sequence(k);
    assert(job->video ? m->video.samples != NULL : media_audio(m, r->track)->samples != NULL);
    switch (r->kind) {
    case RENDITION_AUDIO:
        return fill_audio(job, p, r, m, k, back);
    case RENDITION_VIDEO:
        return fill_video(job, p, r, m, k, back);
    case RENDITION_TRICK:
        return fill_trick(job, p, r, m, k, back);
    default:
        return fill_sheet(job, p, r, m, k, back);
    }
}

void plan_job_range(const struct job *job, int64_t *offset, int64_t *n)
{
    int64_t end;
    samples_span(job, offset, &end);
    carriage_span(&job->carriage, offset, &end);
    end = min64(end, job->source_size); // a frame of DV is taken for one of the larger kind
    *n = job->kind != JOB_TEXT ? end - *offset : 0;
}
