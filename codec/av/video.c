// SPDX-License-Identifier: BSD-2-Clause
//
// video - makes one video segment: decodes the job's samples, shows each picked
// picture as often as the grid wants it, and encodes part after part.
//
// A picture is found by its exact pts; never is another one put in its place
// silently.  What cannot be decoded is concealed by the picture before it and
// counted.  When not one sound picture came out at or before the first picked
// one, decoding began at a bad place: -E_SEEK, and the caller starts earlier.
// (At the very start of the asset there is no earlier; the next picture is
// shown instead.)
//
// This thread decodes (with threads of the decoder beside it), scales and sends;
// each part is encoded on a thread of its own (part.h).  With one part at a time
// decoding and encoding still overlap; more at a time pay on idle cores only, and
// what is sent is the first one's.  They run at a time because we decode far ahead of
// them; but not before the first bytes are out: until then that would only take time
// from the encoder that somebody waits for.

#include "codec/av/av.h"

#include "base/err.h"
#include "codec/av/decode.h"
#include "codec/av/filter.h"
#include "codec/av/out.h"
#include "codec/av/part.h"

#define FRAME_MAX (1LL << 32) // number of a frame; keeps decode times in 63 bits
#define CANCEL_POLL_MS 20
#define BYTES_MAX (128 * MIB) // of a part, on their way out
#define AHEAD 8               // pictures
#define AHEAD_BYTES (96 * MIB)

struct video {
    // borrowed
    const struct job *job;
    const struct why *why;
    struct job_stats *stats;

    struct decoder decoder;
    struct filter filter;
    int cut_every; // packets of a fragment

    // Parts [sending, begun) run; the bytes of the first of them go out, the others wait.
    struct part *parts[JOB_PARTS_MAX];
    int sending, begun;
    int64_t first;    // frame of the next part
    int64_t sequence; // of its first fragment
    struct buf bytes; // on their way out
    uint8_t *headers; // of the first part: all others must have the same
    size_t headers_size;

    int pick;       // the next to be shown
    AVFrame *frame; // just decoded
    AVFrame *last;  // the sound one before it; no pixels while there is none
    AVFrame *shown; // filtered
};

static bool cancelled(struct video *v)
{
    return v->decoder.io->cancelled(v->decoder.io);
}

// ---- parts

static int check_headers(struct video *v, const struct part *p)
{
    size_t n;
    const uint8_t *const headers = part_headers(p, &n);
    if (!v->headers) {
        v->headers = xmalloc(n);
        v->headers_size = n;
        memcpy(v->headers, headers, n);
    }
    if (n != v->headers_size || memcmp(headers, v->headers, n) != 0)
        return fail_with(v->why, -E_INTERNAL, "the headers of two parts differ");
    return 0;
}

// Sends what the first running part has ready; waits for its end when told to.
static int send(struct video *v, bool wait)
{
    struct part **const p = &v->parts[v->sending];
    int rc;
    do {
        rc = part_take(*p, &v->bytes, wait ? CANCEL_POLL_MS : 0, v->why);
        if (rc >= 0 && v->bytes.len > 0) {
            const int sent = v->decoder.io->append(v->decoder.io, v->bytes.data, v->bytes.len);
            v->stats->bytes += (int64_t)v->bytes.len;
            buf_clear(&v->bytes);
            if (sent < 0)
                return fail_with(v->why, sent, "handing over: %s", err_sentence(sent));
        }
        if (rc == 0 && wait && cancelled(v))
            return fail_with(v->why, -E_CANCELLED, "cancelled");
    } while (rc == 0 && wait);
    if (rc == 1) {
        part_stop(p, &v->stats->encode_us);
        v->sending++;
    }
    return rc < 0 ? rc : 0;
}

static int begin_part(struct video *v)
{
    const int64_t frames = v->job->part_frames[v->begun];
    const struct part_order order = {
        .v = &v->job->v,
        .frames = frames,
        .first = v->first,
        .sequence = v->sequence,
        .cut_every = v->cut_every,
        .last_ticks = v->begun + 1 == v->job->part_count ? v->job->last_ticks : v->job->v.fps.den,
        .begins_segment = v->begun == 0,
    };
    int rc = 0;
    while (rc == 0 && v->begun - v->sending >= v->job->parts_at_once)
        rc = send(v, true);
    if (rc == 0)
        rc = part_start(&v->parts[v->begun], &order, v->why);
    if (rc < 0)
        return rc;
    v->first += frames;
    v->sequence += (frames + v->cut_every - 1) / v->cut_every;
    return check_headers(v, v->parts[v->begun++]);
}

// How many pictures may wait for an encoder.
static int ahead(const struct video *v)
{
    const int64_t picture = (int64_t)v->job->v.width * v->job->v.height * 3 / 2;
    const int64_t far = AHEAD_BYTES / picture;
    if (v->job->parts_at_once == 1 || v->stats->bytes == 0 || far < AHEAD)
        return AHEAD;
    return far < PART_AHEAD_MAX ? (int)far : PART_AHEAD_MAX;
}

// Whether the next picture is the first of a part.  The part before may be gone: when
// its encoder is quicker than the decoder, all of it was sent.
static bool part_is_due(const struct video *v)
{
    return v->sending == v->begun || part_is_fed(v->parts[v->begun - 1]);
}

static int give(struct video *v)
{
    int rc;
    while ((rc = part_give(v->parts[v->begun - 1], v->shown, ahead(v), CANCEL_POLL_MS, v->why)) ==
           0)
        if (cancelled(v))
            return fail_with(v->why, -E_CANCELLED, "cancelled");
    v->stats->frames_encoded += rc > 0;
    return rc < 0 ? rc : 0;
}

// Gives v->shown to the part whose turn it is.
static int encode_shown(struct video *v)
{
    int rc = part_is_due(v) ? begin_part(v) : 0;
    if (rc == 0)
        rc = give(v);
    return rc == 0 && v->sending < v->begun ? send(v, false) : rc;
}

static int finish_parts(struct video *v)
{
    int rc = 0;
    while (rc == 0 && v->sending < v->begun)
        rc = send(v, true);
    return rc;
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
            rc = encode_shown(v);
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
    int64_t shown = 0, parts = 0;
    if (job->first < 0 || job->first > FRAME_MAX)
        return fail_with(why, -E_PROTOCOL, "a frame number out of range");
    for (int i = 0; i < job->pick_count; i++) {
        if (job->picks[i].repeat < 1 || (i && job->picks[i].pts <= job->picks[i - 1].pts))
            return fail_with(why, -E_PROTOCOL, "picks out of order");
        shown += job->picks[i].repeat;
    }
    for (int i = 0; i < job->part_count; i++) {
        if (job->part_frames[i] < 1)
            return fail_with(why, -E_PROTOCOL, "an empty part");
        parts += job->part_frames[i];
    }
    if (!shown || shown != parts || shown > JOB_FRAMES_MAX)
        return fail_with(why, -E_PROTOCOL, "parts of %lld frames, picks of %lld", (long long)parts,
                         (long long)shown);
    if ((int64_t)t->coded_width * t->coded_height > job->limits.pixels)
        return fail_with(why, -E_LIMITS, "pictures of %dx%d pixels", t->coded_width,
                         t->coded_height);
    return 0;
}

static int open_all(struct video *v, struct io *io)
{
    const struct rational fps = v->job->v.fps;
    v->cut_every = (int)muldiv_round(fps.num, 1, 2 * fps.den);
    if (v->cut_every < 1)
        v->cut_every = 1;
    if (v->cut_every > OUT_SAMPLES)
        v->cut_every = OUT_SAMPLES;
    v->frame = av_frame_alloc();
    v->last = av_frame_alloc();
    v->shown = av_frame_alloc();
    if (!v->frame || !v->last || !v->shown)
        return fail_with(v->why, -E_NO_MEMORY, "no memory for a frame");
    return decoder_open(&v->decoder, v->job, io, true, v->why);
}

static void close_all(struct video *v)
{
    v->stats->samples_read = v->decoder.samples;
    v->stats->frames_decoded = v->decoder.frames;
    v->stats->decode_us = v->decoder.us;
    for (int i = v->sending; i < v->begun; i++)
        part_stop(&v->parts[i], &v->stats->encode_us);
    av_frame_free(&v->frame);
    av_frame_free(&v->last);
    av_frame_free(&v->shown);
    free(v->headers);
    buf_finish(&v->bytes);
    filter_finish(&v->filter);
    decoder_close(&v->decoder);
}

int av_video(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap)
{
    const struct why why = { detail, cap };
    int rc = check_job(job, &why);
    if (rc < 0)
        return rc;
    struct video v = { .job = job, .why = &why, .stats = stats };
    filter_init(&v.filter, job, &why);
    v.first = job->first;
    v.sequence = job->sequence;
    buf_init(&v.bytes, BYTES_MAX);
    rc = open_all(&v, io);
    if (rc == 0)
        rc = run(&v);
    if (rc == 0)
        rc = finish_parts(&v);
    close_all(&v);
    return rc;
}
