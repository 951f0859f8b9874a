// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/fields.h"

#include "base/err.h"
#include "codec/av/decode.h"
#include "codec/av/graph.h"

#define PLACES 4         // of a source
#define PLACE_SAMPLES 12 // decoded at each
#define SIDE_MIN 4       // what bwdif takes
#define CLEAR 8          // pictures that are sure, for idet to be believed
#define CLEAR_MAJORITY 4 // times as many as of the other kind
#define IDET "lavfi.idet.multiple."

// How many pictures.
struct seen {
    int flagged, top_first, bottom_first; // by what they say
    double progressive, tff, bff;         // by what they look like; others stand still
    int samples, pictures;                // given to a decoder, and what came of them
    int64_t least;                        // distance of two samples in time; 0: not known
};

static bool is_field_order(enum AVFieldOrder o)
{
    return o > AV_FIELD_PROGRESSIVE;
}

// ---- what pictures look like

static double count_of(const AVFrame *frame, const char *what)
{
    char key[64];
    snprintf(key, sizeof key, IDET "%s", what);
    const AVDictionaryEntry *const e = av_dict_get(frame->metadata, key, NULL, 0);
    return e ? strtod(e->value, NULL) : 0;
}

// idet counts from where its graph began: its last word is the sum.
static void note_look(struct seen *s, const AVFrame *last)
{
    s->progressive += count_of(last, "progressive");
    s->tff += count_of(last, "tff");
    s->bff += count_of(last, "bff");
}

static int take_all(struct graph *g, AVFrame *last)
{
    AVFrame *frame = av_frame_alloc();
    int rc = frame ? 0 : AVERROR(ENOMEM);
    while (rc >= 0) {
        rc = graph_take(g, frame);
        if (rc >= 0) {
            av_frame_unref(last);
            av_frame_move_ref(last, frame);
        }
    }
    av_frame_free(&frame);
    return rc == AVERROR(EAGAIN) || rc == AVERROR_EOF ? 0 : rc;
}

// Gives idet a picture; one of another size is left out.
static int look(struct graph *g, AVFrame *frame, AVFrame *last)
{
    int rc = 0;
    if (!g->graph)
        rc = graph_open(g, "idet", frame, 1000);
    else if (last->buf[0] && (frame->width != last->width || frame->height != last->height))
        return 0;
    if (rc >= 0)
        rc = graph_give(g, frame);
    return rc < 0 ? rc : take_all(g, last);
}

// ---- what pictures say

static void note_flags(struct seen *s, const AVFrame *frame)
{
    s->flagged += frame->interlaced_frame;
    s->top_first += frame->interlaced_frame && frame->top_field_first;
    s->bottom_first += frame->interlaced_frame && !frame->top_field_first;
}

// ---- one place

static int by_pts(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return (x->pts > y->pts) - (x->pts < y->pts);
}

static int see_pictures(struct decoder *d, struct seen *seen, AVFrame *frame, AVFrame *last,
                        const struct why *why)
{
    struct graph g = { 0 };
    int rc, rc_graph = 0;
    while ((rc = decoder_next(d, frame)) > 0 && rc_graph >= 0) {
        seen->pictures++;
        note_flags(seen, frame);
        rc_graph = look(&g, frame, last);
        av_frame_unref(frame);
    }
    if (rc >= 0 && rc_graph >= 0 && g.graph) {
        rc_graph = graph_give(&g, NULL);
        rc_graph = rc_graph < 0 ? rc_graph : take_all(&g, last);
    }
    note_look(seen, last);
    graph_close(&g);
    if (rc_graph < 0)
        return fail_libav(why, -E_UNSUPPORTED, rc_graph, "looking for fields");
    return rc < 0 ? rc : 0;
}

static void note_distances(struct seen *s, const struct pick *picks, int n)
{
    s->samples += n;
    for (int i = 1; i < n; i++) {
        const int64_t d = picks[i].pts - picks[i - 1].pts;
        if (d > 0 && (s->least == 0 || d < s->least))
            s->least = d;
    }
}

static int see_place(const struct job *like, struct io *io, const struct sample *samples, int n,
                     struct seen *seen, const struct why *why)
{
    struct pick picks[PLACE_SAMPLES]; // all of them: none is to be skipped
    for (int i = 0; i < n; i++)
        picks[i] = (struct pick){ samples[i].pts, 1 };
    qsort(picks, (size_t)n, sizeof *picks, by_pts);
    note_distances(seen, picks, n);
    struct job job = *like;
    job.kind = JOB_VIDEO;
    // The decoder only reads them.
    job.samples = (struct sample *)samples;
    job.sample_count = n;
    job.picks = picks;
    job.pick_count = n;
    struct decoder d;
    AVFrame *frame = av_frame_alloc(), *last = av_frame_alloc();
    int rc = frame && last ? 0 : fail_with(why, -E_NO_MEMORY, "no memory for a frame");
    if (rc == 0) {
        rc = decoder_open(&d, &job, io, true, why);
        if (rc == 0)
            rc = see_pictures(&d, seen, frame, last, why);
        decoder_close(&d);
    }
    av_frame_free(&frame);
    av_frame_free(&last);
    return rc;
}

// ---- the decision

static bool clearly(double these, double those)
{
    return these >= CLEAR && these > CLEAR_MAJORITY * those;
}

// idet takes sharp lines that move for fields of either order, in turn: only what one
// order has above the other speaks for it, the rest for whole pictures.
static enum field_order decide(const struct seen *s, enum AVFieldOrder container)
{
    const double top = s->tff - s->bff, either = s->tff < s->bff ? s->tff : s->bff;
    const double whole = s->progressive + 2 * either;
    if (clearly(whole, top < 0 ? -top : top))
        return FIELDS_NONE;
    if (clearly(top, whole))
        return FIELDS_TOP_FIRST;
    if (clearly(-top, whole))
        return FIELDS_BOTTOM_FIRST;
    if (s->flagged)
        return s->top_first >= s->bottom_first ? FIELDS_TOP_FIRST : FIELDS_BOTTOM_FIRST;
    if (!is_field_order(container))
        return FIELDS_NONE;
    // The second letter is the field that is shown first.
    return container == AV_FIELD_TT || container == AV_FIELD_BT ? FIELDS_TOP_FIRST
                                                                : FIELDS_BOTTOM_FIRST;
}

// ---- public

bool fields_hinted(enum codec_id codec, enum AVFieldOrder container, const AVFrame *first)
{
    if (codec == CODEC_HEVC) // codes each field as a picture of its own
        return false;
    const bool hint = first->interlaced_frame || first->top_field_first || first->repeat_pict;
    return (hint || is_field_order(container)) && first->width >= SIDE_MIN &&
           first->height >= SIDE_MIN;
}

int fields_see(const struct job *like, struct io *io, const struct sample *samples, int count,
               enum AVFieldOrder container, struct fields_found *out, const struct why *why)
{
    struct seen seen = { 0 };
    int rc = 0;
    for (int place = 0, done = 0; place < PLACES && rc == 0; place++) {
        int at = (int)((int64_t)count * place / PLACES);
        while (at < count && !samples[at].sync)
            at++;
        if (at < done || at == count)
            continue;
        const int n = count - at < PLACE_SAMPLES ? count - at : PLACE_SAMPLES;
        rc = see_place(like, io, samples + at, n, &seen, why);
        done = at + n;
    }
    out->order = decide(&seen, container);
    // Where all pictures have two packets it is half as many; some may have one.
    const bool split = seen.flagged && 4 * seen.pictures < 3 * seen.samples;
    out->half = split ? seen.least : 0;
    return rc;
}

bool *fields_second(const struct sample *samples, int count, int64_t half)
{
    bool *const second = xcalloc((size_t)count, sizeof *second);
    for (int i = 1; i < count; i++) {
        const int64_t d = samples[i].pts - samples[i - 1].pts;
        second[i] = !second[i - 1] && !samples[i].sync && 2 * d > half && 2 * d < 3 * half;
    }
    return second;
}
