// SPDX-License-Identifier: BSD-2-Clause
//
// video - see video.h.
//
// A picture is found by its exact pts; never is another one put in its place
// silently.  What cannot be decoded is concealed by the picture before it and
// counted.  When not one sound picture came out at or before the first picked
// one, decoding began at a bad place: -E_SEEK, and the caller starts earlier.
// (At the very start of the asset there is no earlier; the next picture is
// shown instead.)
//
// Interlaced pictures go through the deinterlacer before they are scaled, each between its
// neighbours in the source; it gives back pictures in the same order.
//
// The first pictures are kept for a while: who comes late is shown them then, and the rest with
// the others.

#include "codec/av/video.h"

#include "base/err.h"
#include "codec/av/decode.h"
#include "codec/av/deinterlace.h"
#include "codec/av/filter.h"

// What everybody has been shown so far.
struct kept {
    struct {
        AVFrame *picture;
        int repeat;
    } list[CODER_SHOWN_MAX];
    int count;
    int64_t bytes;
    bool closed; // it is not all there
};

struct video {
    // borrowed
    const struct job *job;
    struct audience *audience;
    const struct why *why;
    struct job_stats *stats;

    int64_t began_us;
    struct decoder decoder;
    struct deinterlacer deinterlacer;     // not used for progressive sources
    struct filter filters[JOB_RUNGS_MAX]; // of the sinks
    int seated;                           // of them, that are shown what comes next
    struct kept kept;

    int pick;         // the next to be decoded
    int whole;        // the next to come from the deinterlacer, in pictures
    bool first_shown; // its last picture, of a frame's first field, was put out
    bool continues;   // what is put out next is what the segment before put out last
    AVFrame *frame;   // just decoded
    AVFrame *last;    // the sound one before it; no pixels while there is none
    AVFrame *field;   // deinterlaced
    AVFrame *shown;   // filtered
};

static bool cancelled(struct video *v)
{
    return v->decoder.io->cancelled(v->decoder.io);
}

// ---- pictures

// Puts this picture out that often, to one.
static int present_to(struct video *v, int seat, AVFrame *picture, int repeat)
{
    struct sink *const sink = v->audience->sinks[seat];
    if (sink->gone)
        return 0;
    int rc = filter_picture(&v->filters[seat], picture, v->shown);
    v->shown->pict_type = AV_PICTURE_TYPE_NONE; // the source's must not steer the encoder
    v->shown->key_frame = 0;
    for (int i = 0; i < repeat && rc == 0; i++) {
        if (cancelled(v))
            rc = fail_with(v->why, -E_CANCELLED, "cancelled");
        else
            rc = sink->take(sink, v->shown);
    }
    av_frame_unref(v->shown);
    return rc;
}

static void keep_none(struct kept *k)
{
    for (; k->count > 0; k->count--)
        av_frame_free(&k->list[k->count - 1].picture);
    k->closed = true;
}

static int64_t bytes_of(const AVFrame *picture)
{
    int64_t sum = 0;
    for (int i = 0; i < AV_NUM_DATA_POINTERS && picture->buf[i]; i++)
        sum += (int64_t)picture->buf[i]->size;
    return sum;
}

// Nobody is turned away for want of memory but who comes late.
static void keep(struct kept *k, const AVFrame *picture, int repeat)
{
    if (k->closed)
        return;
    k->bytes += bytes_of(picture);
    AVFrame *const copy = k->count < CODER_SHOWN_MAX && k->bytes <= CODER_SHOWN_BYTES
                              ? av_frame_clone(picture)
                              : NULL;
    if (!copy) {
        keep_none(k);
        return;
    }
    k->list[k->count].picture = copy;
    k->list[k->count++].repeat = repeat;
}

// Puts this picture out that often.
static int present(struct video *v, AVFrame *picture, int repeat)
{
    if (repeat <= 0)
        return 0;
    if (v->stats->first_us == 0)
        v->stats->first_us = clock_us() - v->began_us;
    keep(&v->kept, picture, repeat);
    int rc = 0;
    for (int i = 0; i < v->seated && rc == 0; i++)
        rc = present_to(v, i, picture, repeat);
    return rc;
}

static int seat_next(struct video *v)
{
    const int seat = v->seated++;
    const struct kept *const k = &v->kept;
    filter_init(&v->filters[seat], v->job->media, v->audience->sinks[seat]->v, v->why);
    int rc = 0;
    for (int i = 0; i < k->count && rc == 0; i++)
        rc = present_to(v, seat, k->list[i].picture, k->list[i].repeat);
    return rc;
}

// Lets in who has come.
static int admit(struct video *v)
{
    int rc = 0;
    if (v->audience->admit)
        v->audience->admit(v->audience, !v->kept.closed);
    while (rc == 0 && v->seated < v->audience->count)
        rc = seat_next(v);
    return rc;
}

// How often the next picture of the deinterlacer is put out.  Of a frame with a picture
// for each field the first one once, unless the segment before did that.
static int next_repeat(struct video *v)
{
    const int each = pictures_per_frame(&v->job->v);
    const int repeat = v->job->picks[v->whole / each].repeat;
    const bool is_first = v->whole++ % each == 0;
    if (each == 1)
        return repeat;
    if (!is_first)
        return repeat - v->first_shown;
    v->first_shown = repeat > 0 && !v->continues;
    v->continues &= repeat == 0;
    return v->first_shown;
}

static int present_fields(struct video *v)
{
    int rc;
    while ((rc = deinterlace_take(&v->deinterlacer, v->field)) > 0) {
        rc = present(v, v->field, next_repeat(v));
        av_frame_unref(v->field);
        if (rc < 0)
            break;
    }
    return rc;
}

static bool is_interlaced(const struct video *v)
{
    return v->job->v.deinterlace != DEINTERLACE_NOT;
}

// Puts out the next pick as this picture.
static int show(struct video *v, AVFrame *frame)
{
    const struct pick *const pick = &v->job->picks[v->pick++];
    if (!is_interlaced(v))
        return present(v, frame, pick->repeat);
    const int rc = deinterlace_give(&v->deinterlacer, frame);
    return rc < 0 ? rc : present_fields(v);
}

// The deinterlacer waits for a neighbour that does not come.
static int show_rest(struct video *v)
{
    if (!is_interlaced(v))
        return 0;
    const int rc = deinterlace_give(&v->deinterlacer, NULL);
    return rc < 0 ? rc : present_fields(v);
}

static int conceal(struct video *v, AVFrame *instead)
{
    v->stats->concealed += v->job->picks[v->pick].repeat;
    return show(v, instead);
}

static bool picks_left(const struct video *v)
{
    return v->pick < v->job->pick_count;
}

static int64_t wanted(const struct video *v)
{
    return v->job->picks[v->pick].pts;
}

// The decoder ran out, or went past the first pick, without a sound picture.
static int nothing_sound(const struct video *v)
{
    return v->job->first > 0 ? fail_with(v->why, -E_SEEK, "no sound picture at the start") : 0;
}

// v->frame was decoded: shows the picks that this decides.
static int take_frame(struct video *v)
{
    const int64_t pts = v->frame->pts;
    const bool sound = !decoder_damaged(v->frame);
    int rc = 0;
    if (!v->last->buf[0] && v->pick == 0 && (pts > wanted(v) || (pts == wanted(v) && !sound)))
        rc = nothing_sound(v);
    while (rc == 0 && picks_left(v) && wanted(v) < pts)
        rc = conceal(v, v->last->buf[0] ? v->last : v->frame);
    if (rc == 0 && picks_left(v) && wanted(v) == pts)
        rc = sound ? show(v, v->frame) : conceal(v, v->frame);
    if (sound) {
        av_frame_unref(v->last);
        av_frame_move_ref(v->last, v->frame);
    }
    return rc;
}

// The decoder ran out before the picks did.
static int conceal_rest(struct video *v)
{
    if (!v->last->buf[0]) {
        const int rc = nothing_sound(v);
        return rc < 0 ? rc : fail_with(v->why, -E_CORRUPT, "no picture could be decoded");
    }
    int rc = 0;
    while (rc == 0 && picks_left(v))
        rc = conceal(v, v->last);
    return rc;
}

static int run(struct video *v)
{
    int rc = 0;
    while (rc == 0 && picks_left(v) && (rc = admit(v)) == 0) {
        rc = decoder_next(&v->decoder, v->frame);
        if (rc == 0)
            return conceal_rest(v);
        if (rc > 0)
            rc = take_frame(v);
        av_frame_unref(v->frame);
    }
    return rc;
}

static int check_job(const struct job *job, const struct why *why)
{
    const struct video_track *t = &job->media->video;
    const int least = job->v.deinterlace == DEINTERLACE_NOT;
    if (job->pick_count < 1)
        return fail_with(why, -E_PROTOCOL, "nothing to show");
    for (int i = 0; i < job->pick_count; i++)
        if (job->picks[i].repeat < least || (i && job->picks[i].pts <= job->picks[i - 1].pts))
            return fail_with(why, -E_PROTOCOL, "picks out of order");
    if ((int64_t)t->coded_width * t->coded_height > job->limits.pixels)
        return fail_with(why, -E_LIMITS, "pictures of %dx%d pixels", t->coded_width,
                         t->coded_height);
    return 0;
}

static int open_all(struct video *v, struct io *io)
{
    v->frame = av_frame_alloc();
    v->last = av_frame_alloc();
    v->field = av_frame_alloc();
    v->shown = av_frame_alloc();
    if (!v->frame || !v->last || !v->field || !v->shown)
        return fail_with(v->why, -E_NO_MEMORY, "no memory for a frame");
    return decoder_resume(&v->decoder, v->job, io, v->why);
}

static void close_all(struct video *v, bool whole)
{
    v->stats->samples_read += v->decoder.samples;
    v->stats->frames_decoded += v->decoder.frames;
    v->stats->decode_us += v->decoder.us;
    v->stats->resumed |= v->decoder.resumed;
    if (whole && v->stats->concealed == 0)
        decoder_leave(&v->decoder);
    else
        decoder_close(&v->decoder);
    av_frame_free(&v->frame);
    av_frame_free(&v->last);
    av_frame_free(&v->field);
    av_frame_free(&v->shown);
    keep_none(&v->kept);
    for (int i = 0; i < v->seated; i++)
        filter_finish(&v->filters[i]);
    deinterlace_finish(&v->deinterlacer);
}

int video_show(const struct job *job, struct io *io, struct audience *audience,
               struct job_stats *stats, const struct why *why)
{
    int rc = check_job(job, why);
    if (rc < 0)
        return rc;
    struct video v = { .job = job, .audience = audience, .why = why, .stats = stats };
    v.began_us = clock_us();
    v.kept.closed = audience->admit == NULL;
    deinterlace_init(&v.deinterlacer, job, why);
    v.continues = job->continues;
    rc = open_all(&v, io);
    if (rc == 0)
        rc = run(&v);
    if (rc == 0)
        rc = show_rest(&v);
    close_all(&v, rc == 0);
    return rc;
}
