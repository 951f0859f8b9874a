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

#include "codec/av/video.h"

#include "base/err.h"
#include "codec/av/decode.h"
#include "codec/av/filter.h"

struct video {
    // borrowed
    const struct job *job;
    struct sink *sink;
    const struct why *why;
    struct job_stats *stats;

    struct decoder decoder;
    struct filter filter;

    int pick;       // the next to be shown
    AVFrame *frame; // just decoded
    AVFrame *last;  // the sound one before it; no pixels while there is none
    AVFrame *shown; // filtered
};

static bool cancelled(struct video *v)
{
    return v->decoder.io->cancelled(v->decoder.io);
}

// ---- pictures

// Puts out the next pick as this picture.
static int show(struct video *v, AVFrame *frame)
{
    int rc = filter_picture(&v->filter, frame, v->shown);
    v->shown->pict_type = AV_PICTURE_TYPE_NONE; // the source's must not steer the encoder
    v->shown->key_frame = 0;
    const struct pick *pick = &v->job->picks[v->pick++];
    for (int i = 0; i < pick->repeat && rc == 0; i++) {
        if (cancelled(v))
            rc = fail_with(v->why, -E_CANCELLED, "cancelled");
        else
            rc = v->sink->take(v->sink, v->shown);
    }
    av_frame_unref(v->shown);
    return rc;
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
    while (picks_left(v)) {
        int rc = decoder_next(&v->decoder, v->frame);
        if (rc == 0)
            return conceal_rest(v);
        if (rc > 0)
            rc = take_frame(v);
        av_frame_unref(v->frame);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_job(const struct job *job, const struct why *why)
{
    const struct video_track *t = &job->media->video;
    if (job->pick_count < 1)
        return fail_with(why, -E_PROTOCOL, "nothing to show");
    for (int i = 0; i < job->pick_count; i++)
        if (job->picks[i].repeat < 1 || (i && job->picks[i].pts <= job->picks[i - 1].pts))
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
    v->shown = av_frame_alloc();
    if (!v->frame || !v->last || !v->shown)
        return fail_with(v->why, -E_NO_MEMORY, "no memory for a frame");
    return decoder_open(&v->decoder, v->job, io, true, v->why);
}

static void close_all(struct video *v)
{
    v->stats->samples_read += v->decoder.samples;
    v->stats->frames_decoded += v->decoder.frames;
    v->stats->decode_us += v->decoder.us;
    av_frame_free(&v->frame);
    av_frame_free(&v->last);
    av_frame_free(&v->shown);
    filter_finish(&v->filter);
    decoder_close(&v->decoder);
}

int video_show(const struct job *job, struct io *io, struct sink *sink, struct job_stats *stats,
               const struct why *why)
{
    int rc = check_job(job, why);
    if (rc < 0)
        return rc;
    struct video v = { .job = job, .sink = sink, .why = why, .stats = stats };
    filter_init(&v.filter, job, why);
    rc = open_all(&v, io);
    if (rc == 0)
        rc = run(&v);
    close_all(&v);
    return rc;
}
