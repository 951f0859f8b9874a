// SPDX-License-Identifier: BSD-2-Clause
//
// decode - reads the samples of a job and decodes them.
//
// Pictures: a sample whose picture the job does not show is decoded only if others
// refer to it (AVDISCARD_NONREF); that changes no other picture.  Two frame
// threads decode beside the encoder and change no pixel either.
//
// But for damage: what a decoder makes up for it depends on how far its other threads are
// just then.  So it is told to give up at the first damage (AV_EF_EXPLODE), which it says of a
// packet before it gives any picture that leans on that; then all starts anew with one
// thread, behind what was given out, and damage is concealed.  That of H.264 does not give up
// when parts of a picture are merely not there, but makes them up.  Before FFmpeg 6.1 the
// flags of a picture that another thread decodes may come too late to tell that; what it says
// then does not.

#include "codec/av/decode.h"

#include <string.h>

#include "base/err.h"
#include "codec/av/amr.h"
#include "codec/av/codecs.h"
#include "codec/av/real.h"

#define DRAIN_ERRORS_MAX 64

// By the job, or perhaps by one that goes on with the decoder.
static bool is_shown(const struct job *job, int64_t pts)
{
    int lo = 0, hi = job->pick_count;
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        if (job->picks[mid].pts < pts)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < job->pick_count ? job->picks[lo].pts == pts : job->beyond > 0;
}

// Beside the first packet that the decoder gets.
static int add_palette(struct decoder *d)
{
    const uint8_t *palette = d->video ? d->job->media->video.palette : NULL;
    if (!palette || d->next > 0)
        return 0;
    uint8_t *p = av_packet_new_side_data(d->coder->packet, AV_PKT_DATA_PALETTE, MEDIA_PALETTE);
    if (!p)
        return fail_with(d->why, -E_NO_MEMORY, "no memory for a palette");
    memcpy(p, palette, MEDIA_PALETTE);
    return 0;
}

// Beside a sample whose headers are not those of the one before it.
static int add_headers(struct decoder *d, const struct sample *s)
{
    const struct video_track *const v = &d->job->media->video;
    if (s->headers == d->headers)
        return 0;
    const uint8_t *from = s->headers ? v->more_headers[s->headers - 1].bytes : v->extradata;
    const int n = s->headers ? v->more_headers[s->headers - 1].size : v->extradata_size;
    uint8_t *p = av_packet_new_side_data(d->coder->packet, AV_PKT_DATA_NEW_EXTRADATA, (size_t)n);
    if (!p)
        return fail_with(d->why, -E_NO_MEMORY, "no memory for headers");
    memcpy(p, from, (size_t)n);
    d->headers = s->headers;
    return 0;
}

// Makes the next sample d->coder->packet.  What it takes is noted where it may be left.
static int read_packet(struct decoder *d)
{
    const struct sample *s = &d->job->samples[d->next];
    AVPacket *const p = d->coder->packet;
    if (s->size > PAYLOAD_SAMPLE_MAX)
        return fail_with(d->why, -E_LIMITS, "a sample of %u bytes", s->size);
    const int before = d->sliced ? real_table(&d->job->carriage, s, NULL) : d->strip->n;
    if (av_new_packet(p, before + (int)s->size) < 0)
        return fail_with(d->why, -E_NO_MEMORY, "no memory for a packet");
    if (d->sliced)
        real_table(&d->job->carriage, s, p->data);
    else
        memcpy(p->data, d->strip->bytes, (size_t)before);
    int rc = payload_read(&d->payload, d->next, p->data + before);
    if (rc == 0)
        rc = add_palette(d);
    if (rc == 0)
        rc = add_headers(d, s);
    if (rc < 0) {
        av_packet_unref(p);
        return rc;
    }
    if (!d->video && d->job->media->audio.codec == CODEC_AC3_SWAPPED)
        swap_bytes(p->data, p->size);
    p->pts = s->pts;
    p->duration = s->duration;
    p->flags = s->sync ? AV_PKT_FLAG_KEY : 0;
    if (d->job->beyond > 0)
        coder_note(d->coder, d->job, s, p);
    d->next++;
    d->samples++;
    return 0;
}

static int needed(const struct job *job)
{
    return job->sample_count - job->beyond;
}

// Makes the next sample d->coder->packet, if there is one.  What is not needed may be missing.
static int read_next(struct decoder *d)
{
    if (d->coder->packet->data || d->next >= d->end)
        return 0;
    const int rc = read_packet(d);
    if (rc != -E_CORRUPT || d->next < needed(d->job))
        return rc;
    d->end = d->next;
    return 0;
}

// How much of d->coder->packet the decoder takes at once.
static int unit_size(const struct decoder *d)
{
    const int frame =
        d->video ? 0 : amr_frame(d->job->media->audio.codec, d->coder->packet->data[0]);
    return frame && frame < d->coder->packet->size ? frame : d->coder->packet->size;
}

// What a frame of AMR left of d->coder->packet: nothing behind the end that the sample table tells.
static void advance(struct decoder *d, int n)
{
    AVPacket *const p = d->coder->packet;
    const int64_t frame = d->job->media->audio.sample_rate / AMR_FRAMES_A_SECOND;
    const bool last = n == p->size || (p->duration > 0 && p->duration <= frame);
    if (last) {
        av_packet_unref(p);
        return;
    }
    p->data += n;
    p->size -= n;
    p->pts += frame;
    p->duration -= p->duration > 0 ? frame : 0;
}

// d->coder->packet, or a part of it that is then gone.  As avcodec_send_packet.
static int send(struct decoder *d)
{
    const int all = d->coder->packet->size, n = unit_size(d);
    d->coder->packet->size = n;
    const int rc = avcodec_send_packet(d->coder->ctx, d->coder->packet);
    d->coder->packet->size = all;
    if (rc != AVERROR(EAGAIN))
        advance(d, n);
    return rc;
}

// The decoder gives back what it has, to begin anew with d->coder->packet.
static int end_run(struct decoder *d)
{
    d->coder->packet->pts = SAMPLE_UNSEEN;
    d->coder->ctx->skip_frame = AVDISCARD_NONREF;
    d->between = d->next > 1;
    if (d->between)
        d->damaged |= avcodec_send_packet(d->coder->ctx, NULL) < 0;
    return 0;
}

// The decoder decodes what it still has.
static void end(struct decoder *d)
{
    const AVPacket *const last = coder_packet_for_end(d->coder);
    d->drained = true;
    if (last)
        d->damaged |= avcodec_send_packet(d->coder->ctx, last) < 0;
    d->damaged |= avcodec_send_packet(d->coder->ctx, NULL) < 0;
}

// Gives the decoder one packet more, or the news that there is none.
static int feed(struct decoder *d)
{
    int rc = read_next(d);
    if (rc < 0)
        return rc;
    if (!d->coder->packet->data) {
        end(d);
        return 0;
    }
    if (d->video && d->coder->packet->pts == SAMPLE_ANEW)
        return end_run(d);
    if (d->video)
        coder_note_last(d->coder);
    // What is unseen goes with the packet before it, whose second field it may be.
    if (d->video && d->coder->packet->pts != SAMPLE_UNSEEN)
        d->coder->ctx->skip_frame =
            is_shown(d->job, d->coder->packet->pts) ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
    rc = send(d);
    d->damaged |= rc < 0 && rc != AVERROR(EAGAIN);
    return rc == AVERROR(ENOMEM) ? fail_with(d->why, -E_NO_MEMORY, "no memory to decode") : 0;
}

static int next_frame(struct decoder *d, AVFrame *frame)
{
    for (;;) {
        if (d->io->cancelled(d->io))
            return fail_with(d->why, -E_CANCELLED, "cancelled");
        int rc = avcodec_receive_frame(d->coder->ctx, frame);
        if (rc == 0 && d->video && frame->pts == SAMPLE_UNSEEN) {
            av_frame_unref(frame); // an edit list leaves it out
            continue;
        }
        if (rc == 0)
            return 1;
        if (rc == AVERROR_EOF && d->between) {
            avcodec_flush_buffers(d->coder->ctx);
            d->between = false;
            continue;
        }
        if (rc == AVERROR_EOF)
            return 0;
        if (rc == AVERROR(ENOMEM))
            return fail_with(d->why, -E_NO_MEMORY, "no memory to decode");
        d->damaged |= rc != AVERROR(EAGAIN);
        if (d->damaged && !d->steady)
            return 0;
        if ((d->drained || d->between) && ++d->drain_errors > DRAIN_ERRORS_MAX)
            return 0;
        if (!d->drained && !d->between) {
            rc = feed(d);
            if (rc < 0)
                return rc;
        }
    }
}

// ---- public

void decoder_overhear(void *context, const char *fmt)
{
    static const char made_up[] = "concealing "; // of libavcodec/error_resilience.c
    if (!context || *(const AVClass *const *)context != avcodec_get_class() ||
        strncmp(fmt, made_up, sizeof made_up - 1) != 0)
        return;
    struct coder *const c = ((const AVCodecContext *)context)->opaque;
    if (c)
        atomic_store(&c->made_up, true);
}

// Whether it gives up at damage in good order while it decodes with threads.  (That of
// MPEG-4 part 2 aborts the process then, FFmpeg 5.1; old kinds are quick with one thread.)
static bool gives_up_well(enum codec_id c)
{
    return c == CODEC_H264 || c == CODEC_HEVC || c == CODEC_VP8 || c == CODEC_VP9;
}

static void init(struct decoder *d, const struct job *job, struct io *io, bool video,
                 const struct why *why)
{
    const struct media *m = job->media;
    *d = (struct decoder){ .job = job,
                           .io = io,
                           .why = why,
                           .video = video,
                           .end = job->sample_count,
                           .steady = !video || !gives_up_well(m->video.codec),
                           .given_pts = INT64_MIN };
    d->strip = video ? &m->video.strip : &m->audio.strip;
    payload_init(&d->payload, io, &job->carriage, job->samples, job->sample_count, why);
    d->sliced = video && real_is_sliced(m->container, m->video.codec);
}

int decoder_open(struct decoder *d, const struct job *job, struct io *io, bool video,
                 const struct why *why)
{
    init(d, job, io, video, why);
    return coder_open(&d->coder, job, video, d->steady, why);
}

int decoder_resume(struct decoder *d, const struct job *job, struct io *io, const struct why *why)
{
    init(d, job, io, true, why);
    d->coder = coder_resume(job, &d->next);
    d->resumed = d->coder != NULL;
    return d->resumed ? 0 : coder_open(&d->coder, job, true, d->steady, why);
}

// From the first sample on, with one thread and only what is needed; stands behind the pictures
// that were given out.  As next_frame.
static int start_anew(struct decoder *d, AVFrame *frame)
{
    coder_close(&d->coder);
    d->next = d->drain_errors = d->headers = 0;
    d->end = needed(d->job);
    d->drained = d->between = d->resumed = false;
    d->steady = true;
    int rc = coder_open(&d->coder, d->job, d->video, true, d->why);
    do {
        av_frame_unref(frame);
        rc = rc < 0 ? rc : next_frame(d, frame);
    } while (rc > 0 && frame->pts <= d->given_pts);
    return rc;
}

// As next_frame, but what is presented before first is passed over.
static int next_from(struct decoder *d, AVFrame *frame, int64_t first)
{
    int rc;
    do {
        av_frame_unref(frame);
        rc = next_frame(d, frame);
    } while (rc > 0 && frame->pts < first);
    return rc;
}

int decoder_next(struct decoder *d, AVFrame *frame)
{
    const int64_t start = clock_us();
    const int64_t first = d->resumed && d->frames == 0 ? d->job->picks[0].pts : INT64_MIN;
    int rc = next_from(d, frame, first);
    // What would stand in for the first pick comes from before.
    const bool missed = first != INT64_MIN && (rc == 0 || frame->pts > first);
    d->damaged |= atomic_load(&d->coder->made_up) || (rc > 0 && decoder_damaged(frame));
    if (rc >= 0 && ((!d->steady && d->damaged) || missed))
        rc = start_anew(d, frame);
    if (rc > 0) {
        d->frames++;
        d->given_pts = frame->pts;
    }
    d->us += clock_us() - start;
    return rc;
}

bool decoder_damaged(const AVFrame *frame)
{
    return frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT);
}

void decoder_close(struct decoder *d)
{
    coder_close(&d->coder);
    payload_finish(&d->payload);
}

void decoder_leave(struct decoder *d)
{
    if (d->job->beyond > 0 && !d->drained && !d->between && !d->damaged)
        coder_leave(&d->coder, d->job, d->given_pts);
    decoder_close(d);
}
