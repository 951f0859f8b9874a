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
// A part knows nothing of its neighbours: its encoder is its own, its packets
// go to the fragments in order.  Decode times within a part are its presentation
// times in order, so offsets are signed and a part's earliest presentation time
// is its first decode time.

#include "codec/av/av.h"

#include "base/err.h"
#include "codec/av/decode.h"
#include "codec/av/encode.h"
#include "codec/av/filter.h"
#include "codec/av/out.h"

#define FRAME_MAX (1LL << 32) // number of a frame; keeps decode times in 63 bits

struct part {
    AVCodecContext *encoder;
    int64_t frames;  // it shall have
    int64_t sent;    // frames given to the encoder
    int64_t packets; // got from it
};

struct video {
    // borrowed
    const struct job *job;
    const struct why *why;
    struct job_stats *stats;

    struct decoder decoder;
    struct filter filter;
    struct out out;
    int cut_every; // packets of a fragment

    struct part part;
    int part_index;
    uint8_t *headers; // of the first part: all others must have the same
    int headers_size;

    int pick;       // the next to be shown
    AVFrame *frame; // just decoded
    AVFrame *last;  // the sound one before it; no pixels while there is none
    AVFrame *shown; // filtered
    AVPacket *packet;
};

static int check_headers(struct video *v)
{
    const AVCodecContext *e = v->part.encoder;
    if (!v->headers) {
        v->headers = xmalloc((size_t)e->extradata_size);
        v->headers_size = e->extradata_size;
        memcpy(v->headers, e->extradata, (size_t)e->extradata_size);
    }
    if (e->extradata_size != v->headers_size ||
        memcmp(e->extradata, v->headers, (size_t)v->headers_size) != 0)
        return fail_with(v->why, -E_INTERNAL, "the headers of two parts differ");
    return 0;
}

static int part_begin(struct video *v)
{
    v->part = (struct part){ .frames = v->job->part_frames[v->part_index] };
    const int rc = encode_open_video(&v->part.encoder, &v->job->v, v->why);
    return rc < 0 ? rc : check_headers(v);
}

static int take_packet(struct video *v)
{
    const int64_t den = v->job->v.fps.den;
    const int64_t offset = (v->packet->pts - v->part.packets) * den;
    int rc = encode_nal_units(&v->out.data, v->packet->data, (size_t)v->packet->size);
    if (rc == 0)
        rc =
            out_sample(&v->out, (uint32_t)den, (int32_t)offset, v->packet->flags & AV_PKT_FLAG_KEY);
    v->part.packets++;
    if (rc == 0 && v->part.packets % v->cut_every == 0)
        rc = out_cut(&v->out);
    return rc;
}

// frame NULL: no more comes.
static int encode(struct video *v, const AVFrame *frame)
{
    int rc = avcodec_send_frame(v->part.encoder, frame);
    while (rc >= 0) {
        rc = avcodec_receive_packet(v->part.encoder, v->packet);
        if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
            return 0;
        if (rc < 0)
            break;
        const int taken = take_packet(v);
        av_packet_unref(v->packet);
        if (taken < 0)
            return taken;
    }
    return fail_libav(v->why, -E_INTERNAL, rc, "encoding");
}

static int part_end(struct video *v)
{
    int rc = encode(v, NULL);
    if (rc == 0 && v->part.packets != v->part.frames)
        rc = fail_with(v->why, -E_INTERNAL, "the encoder lost frames");
    if (rc == 0)
        rc = out_cut(&v->out);
    avcodec_free_context(&v->part.encoder);
    v->part_index++;
    return rc;
}

// Encodes v->shown once more.
static int encode_shown(struct video *v)
{
    int rc = v->part.encoder ? 0 : part_begin(v);
    if (rc < 0)
        return rc;
    v->shown->pts = v->part.sent++;
    rc = encode(v, v->shown);
    v->stats->frames_encoded++;
    if (rc == 0 && v->part.sent == v->part.frames)
        rc = part_end(v);
    return rc;
}

// Puts out the next pick as this picture.
static int show(struct video *v, AVFrame *frame)
{
    const int64_t start = clock_us();
    int rc = filter_picture(&v->filter, frame, v->shown);
    v->shown->pict_type = AV_PICTURE_TYPE_NONE; // the source's must not steer the encoder
    v->shown->key_frame = 0;
    const struct pick *pick = &v->job->picks[v->pick++];
    for (int i = 0; i < pick->repeat && rc == 0; i++) {
        if (v->decoder.io->cancelled(v->decoder.io))
            rc = fail_with(v->why, -E_CANCELLED, "cancelled");
        else
            rc = encode_shown(v);
    }
    av_frame_unref(v->shown);
    v->stats->encode_us += clock_us() - start;
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
    v->packet = av_packet_alloc();
    if (!v->frame || !v->last || !v->shown || !v->packet)
        return fail_with(v->why, -E_NO_MEMORY, "no memory for a frame");
    return decoder_open(&v->decoder, v->job, io, true, v->why);
}

static void close_all(struct video *v)
{
    v->stats->samples_read = v->decoder.samples;
    v->stats->frames_decoded = v->decoder.frames;
    v->stats->decode_us = v->decoder.us;
    v->stats->bytes = v->out.bytes;
    avcodec_free_context(&v->part.encoder);
    av_frame_free(&v->frame);
    av_frame_free(&v->last);
    av_frame_free(&v->shown);
    av_packet_free(&v->packet);
    free(v->headers);
    filter_finish(&v->filter);
    decoder_close(&v->decoder);
    out_finish(&v->out);
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
    out_init(&v.out, io, job->sequence, job->first * job->v.fps.den, &why);
    v.out.track = (struct fmp4_track){ .video = true, .timescale = (uint32_t)job->v.fps.num };
    rc = open_all(&v, io);
    if (rc == 0)
        rc = run(&v);
    close_all(&v);
    return rc;
}
