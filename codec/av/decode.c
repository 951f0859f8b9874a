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

#include <libavutil/mem.h>

#include "base/err.h"
#include "codec/av/amr.h"
#include "codec/av/real.h"

#define DECODE_THREADS 2
#define DRAIN_ERRORS_MAX 64

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
    return lo < job->pick_count && job->picks[lo].pts == pts;
}

// Makes the next sample d->packet.
static int read_packet(struct decoder *d)
{
    const struct sample *s = &d->job->samples[d->next];
    if (s->size > PAYLOAD_SAMPLE_MAX)
        return fail_with(d->why, -E_LIMITS, "a sample of %u bytes", s->size);
    const int before = d->sliced ? real_table(&d->job->carriage, s, NULL) : d->strip->n;
    if (av_new_packet(d->packet, before + (int)s->size) < 0)
        return fail_with(d->why, -E_NO_MEMORY, "no memory for a packet");
    if (d->sliced)
        real_table(&d->job->carriage, s, d->packet->data);
    else
        memcpy(d->packet->data, d->strip->bytes, (size_t)before);
    const int rc = payload_read(&d->payload, d->next, d->packet->data + before);
    if (rc < 0) {
        av_packet_unref(d->packet);
        return rc;
    }
    d->packet->pts = s->pts;
    d->packet->duration = s->duration;
    d->packet->flags = s->sync ? AV_PKT_FLAG_KEY : 0;
    d->next++;
    d->samples++;
    return 0;
}

// How much of d->packet the decoder takes at once.
static int unit_size(const struct decoder *d)
{
    const int frame = d->video ? 0 : amr_frame(d->job->media->audio.codec, d->packet->data[0]);
    return frame && frame < d->packet->size ? frame : d->packet->size;
}

// What a frame of AMR left of d->packet: nothing behind the end that the sample table tells.
static void advance(struct decoder *d, int n)
{
    AVPacket *const p = d->packet;
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

// d->packet, or a part of it that is then gone.  As avcodec_send_packet.
static int send(struct decoder *d)
{
    const int all = d->packet->size, n = unit_size(d);
    d->packet->size = n;
    const int rc = avcodec_send_packet(d->ctx, d->packet);
    d->packet->size = all;
    if (rc != AVERROR(EAGAIN))
        advance(d, n);
    return rc;
}

// Gives the decoder one packet more, or the news that there is none.
static int feed(struct decoder *d)
{
    if (!d->packet->data && d->next < d->job->sample_count) {
        const int rc = read_packet(d);
        if (rc < 0)
            return rc;
    }
    if (!d->packet->data) {
        d->drained = true;
        d->damaged |= avcodec_send_packet(d->ctx, NULL) < 0; // decodes what it still has
        return 0;
    }
    // What is unseen goes with the packet before it, whose second field it may be.
    if (d->video && d->packet->pts != SAMPLE_UNSEEN)
        d->ctx->skip_frame =
            is_shown(d->job, d->packet->pts) ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
    const int rc = send(d);
    d->damaged |= rc < 0 && rc != AVERROR(EAGAIN);
    return rc == AVERROR(ENOMEM) ? fail_with(d->why, -E_NO_MEMORY, "no memory to decode") : 0;
}

static int next_frame(struct decoder *d, AVFrame *frame)
{
    for (;;) {
        if (d->io->cancelled(d->io))
            return fail_with(d->why, -E_CANCELLED, "cancelled");
        int rc = avcodec_receive_frame(d->ctx, frame);
        if (rc == 0)
            return 1;
        if (rc == AVERROR_EOF)
            return 0;
        if (rc == AVERROR(ENOMEM))
            return fail_with(d->why, -E_NO_MEMORY, "no memory to decode");
        d->damaged |= rc != AVERROR(EAGAIN);
        if (d->damaged && !d->steady)
            return 0;
        if (d->drained && ++d->drain_errors > DRAIN_ERRORS_MAX)
            return 0;
        if (!d->drained) {
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
    struct decoder *const d = ((const AVCodecContext *)context)->opaque;
    if (d)
        atomic_store(&d->made_up, true);
}

static int set_extradata(AVCodecContext *ctx, const uint8_t *bytes, int n)
{
    if (!n)
        return 0;
    ctx->extradata = av_mallocz((size_t)n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!ctx->extradata)
        return AVERROR(ENOMEM);
    memcpy(ctx->extradata, bytes, (size_t)n);
    ctx->extradata_size = n;
    return 0;
}

// Whether it gives up at damage in good order while it decodes with threads.  (That of
// MPEG-4 part 2 aborts the process then, FFmpeg 5.1; old kinds are quick with one thread.)
static bool gives_up_well(enum codec_id c)
{
    return c == CODEC_H264 || c == CODEC_HEVC || c == CODEC_VP8 || c == CODEC_VP9;
}

// Whether threads change nothing even for damage: no picture leans on another, or (dav1d)
// what is damaged is not given.
static bool is_steady_with_threads(enum codec_id c)
{
    return c == CODEC_AV1 || c == CODEC_MJPEG || c == CODEC_PRORES || c == CODEC_DNXHD;
}

// ThreadSanitizer does not see libavcodec's locks: it would find, and pass over, a race in every
// eighth byte, and take a minute for a segment.
#ifdef __SANITIZE_THREAD__
__attribute__((no_sanitize_thread, optimize("no-tree-loop-distribute-patterns")))
#endif
static void
make_grey(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = 0x80;
}

// What a damaged picture leaves out would show what was in that memory before, and that is
// another picture each time.
static int get_blank_buffer(AVCodecContext *ctx, AVFrame *frame, int flags)
{
    const int rc = avcodec_default_get_buffer2(ctx, frame, flags);
    for (int i = 0; rc >= 0 && i < AV_NUM_DATA_POINTERS && frame->buf[i]; i++)
        make_grey(frame->buf[i]->data, frame->buf[i]->size);
    return rc;
}

// Before FFmpeg 6 it has to be told that threads may call get_buffer2.
static void let_threads_ask(AVCodecContext *ctx)
{
    (void)ctx;
#if FF_API_THREAD_SAFE_CALLBACKS
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    ctx->thread_safe_callbacks = 1;
#pragma GCC diagnostic pop
#endif
}

static int configure_video(AVCodecContext *ctx, const struct job *job, bool steady)
{
    const struct video_track *t = &job->media->video;
    ctx->width = t->coded_width;
    ctx->height = t->coded_height;
    ctx->max_pixels = job->limits.pixels;
    ctx->has_b_frames = t->reorder < 16 ? t->reorder : 16;
    ctx->pkt_timebase = (AVRational){ 1, (int)t->timescale };
    ctx->codec_tag = t->tag;
    ctx->flags |= AV_CODEC_FLAG_UNALIGNED; // what is cropped on the left is cropped to the pixel
    ctx->thread_count = steady && !is_steady_with_threads(t->codec) ? 1 : DECODE_THREADS;
    ctx->err_recognition |= steady ? 0 : AV_EF_EXPLODE;
    ctx->thread_type = FF_THREAD_FRAME;
    ctx->get_buffer2 = get_blank_buffer;
    let_threads_ask(ctx);
    return set_extradata(ctx, t->extradata, t->extradata_size);
}

static int configure_audio(AVCodecContext *ctx, const struct job *job)
{
    const struct audio_track *t = &job->media->audio;
    ctx->sample_rate = t->sample_rate;
    av_channel_layout_default(&ctx->ch_layout, t->channels);
    ctx->block_align = t->block_align;
    ctx->bits_per_coded_sample = t->bits_per_sample;
    ctx->bit_rate = t->bit_rate;
    ctx->pkt_timebase = (AVRational){ 1, t->sample_rate };
    ctx->thread_count = 1;
    ctx->flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL; // what to drop is said by the sample table
    return set_extradata(ctx, t->extradata, t->extradata_size);
}

static int open_context(struct decoder *d)
{
    const struct media *m = d->job->media;
    const char *name = codec_decoder(d->video ? m->video.codec : m->audio.codec);
    const AVCodec *codec = avcodec_find_decoder_by_name(name);
    if (!codec)
        return fail_with(d->why, -E_CONFIG, "libavcodec has no decoder %s", name);
    d->ctx = avcodec_alloc_context3(codec);
    if (!d->ctx)
        return fail_with(d->why, -E_NO_MEMORY, "no memory for a decoder");
    d->ctx->opaque = d; // its threads' contexts have it, too
    int rc =
        d->video ? configure_video(d->ctx, d->job, d->steady) : configure_audio(d->ctx, d->job);
    if (rc == 0)
        rc = avcodec_open2(d->ctx, codec, NULL);
    return rc < 0 ? fail_libav(d->why, -E_CORRUPT, rc, "opening the decoder") : 0;
}

int decoder_open(struct decoder *d, const struct job *job, struct io *io, bool video,
                 const struct why *why)
{
    const struct media *m = job->media;
    *d = (struct decoder){ .job = job,
                           .io = io,
                           .why = why,
                           .video = video,
                           .steady = !video || !gives_up_well(m->video.codec) };
    d->strip = video ? &m->video.strip : &m->audio.strip;
    payload_init(&d->payload, io, &job->carriage, job->samples, job->sample_count, why);
    d->sliced = video && real_is_sliced(m->container, m->video.codec);
    d->packet = av_packet_alloc();
    if (!d->packet)
        return fail_with(why, -E_NO_MEMORY, "no memory for a decoder");
    return open_context(d);
}

// From the first sample on, with one thread; stands behind the pictures that were given out.
// As next_frame.
static int start_anew(struct decoder *d, AVFrame *frame)
{
    av_packet_unref(d->packet);
    avcodec_free_context(&d->ctx);
    d->next = d->drain_errors = 0;
    d->drained = false;
    d->steady = true;
    int rc = open_context(d);
    do {
        av_frame_unref(frame);
        rc = rc < 0 ? rc : next_frame(d, frame);
    } while (rc > 0 && d->frames > 0 && frame->pts <= d->given_pts);
    return rc;
}

int decoder_next(struct decoder *d, AVFrame *frame)
{
    const int64_t start = clock_us();
    int rc = next_frame(d, frame);
    d->damaged |= atomic_load(&d->made_up);
    if (!d->steady && rc >= 0 && (d->damaged || (rc > 0 && decoder_damaged(frame))))
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
    avcodec_free_context(&d->ctx);
    av_packet_free(&d->packet);
    payload_finish(&d->payload);
}
