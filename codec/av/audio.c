// SPDX-License-Identifier: BSD-2-Clause
//
// audio - makes one audio segment: decodes, mixes, resamples, encodes.
//
// Everything counts in samples from T0, and every step gives the same samples
// whatever segment asks for them, so that the packets of all segments fit together
// as those of one continuous encode, and as a rule are the same bytes:
//  - decoded sound is laid out by the exact times of the sample table; what no
//    sample covers, and what lies before T0 or past the asset's end, is silence;
//  - the mixing matrix is fixed by the two layouts;
//  - the resampler starts where an input sample falls on an output sample, and
//    so early that its filter has filled up;
//  - the encoder starts some frames early (or at frame 0, as a continuous encode
//    does) and is fed a little past the end (codec/sound.h): by then it has settled, and
//    knows what follows.
// (Two things that of AAC never forgets: the thresholds of its last short block, and bands
// it once had too few bits for.  On music with attacks that moves how finely some
// packets are coded against a continuous encode, never how blocks join.)
// A segment of more bits than its BANDWIDTH allows (dense clicks, square waves) is encoded
// again at a coarser quality, and again, until it fits.  How coarse is a function of the
// same samples; only the noise differs from that of its neighbours, never how blocks join.
// Priming is dropped: with n samples in a frame, frame i holds samples [n i, n (i + 1)).

#include "codec/av/av.h"

#include <math.h>

#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#include "base/err.h"
#include "codec/av/decode.h"
#include "codec/av/encode.h"
#include "codec/av/out.h"
#include "codec/sound.h"

#define FRAMES_MAX 4096             // of one segment
#define CODED_MAX (64 * MIB)        // the same, in bytes
#define FRAME_INDEX_MAX (1LL << 32) // keeps sample numbers in 63 bits
#define FRAGMENT_SECONDS 2
#define COARSER 8    // steps of quality below the usual, each 0.7 of the one above
#define FILTER 64    // input samples on either side that the resampler may look at
#define LOUDEST 4.0f // what a decoder may say, full scale being 1
#define HELD 120     // samples that a decoder of Opus keeps of a frame, at most, for the next

// Sound on the timeline: samples [at, at + n) of each channel.
struct canvas {
    int64_t at, n;
    float *channel[JOB_CHANNELS_MAX];
};

struct audio {
    // borrowed
    const struct job *job;
    const struct why *why;
    struct job_stats *stats;

    struct decoder decoder;
    AVFrame *frame, *mixed;
    SwrContext *mixer;
    int64_t follows; // where a frame without a time belongs: after the one before
    bool begun;      // there was one

    struct canvas source; // at the source's rate, mixed
    struct canvas sound;  // at the output's rate, what the encoder is fed

    int frame_size; // samples of a coded frame
    AVCodecContext *encoder;
    AVPacket *packet;
    float woven[SOUND_FRAME_MAX * JOB_CHANNELS_MAX]; // a frame as libopus wants it
    struct buf coded;                                // the segment's packets, one after another
    uint32_t sizes[FRAMES_MAX];
    int64_t taken; // packets in it

    struct out out;
};

static int canvas_create(struct canvas *c, int channels, int64_t at, int64_t n,
                         const struct why *why)
{
    c->at = at;
    c->n = n;
    for (int i = 0; i < channels; i++) {
        c->channel[i] = calloc((size_t)n, sizeof(float));
        if (!c->channel[i])
            return fail_with(why, -E_NO_MEMORY, "no memory for %lld samples", (long long)n);
    }
    return 0;
}

static void canvas_finish(struct canvas *c)
{
    for (int i = 0; i < JOB_CHANNELS_MAX; i++)
        free(c->channel[i]);
}

// ---- decoding onto the source canvas

static int create_mixer(struct audio *a)
{
    swr_free(&a->mixer);
    a->mixer = swr_alloc();
    if (!a->mixer)
        return AVERROR(ENOMEM);
    return av_opt_set_double(a->mixer, "rematrix_maxval", 1.0, 0); // never louder than full scale
}

static int mix_once(struct audio *a)
{
    av_frame_unref(a->mixed);
    a->mixed->format = AV_SAMPLE_FMT_FLTP;
    a->mixed->sample_rate = a->frame->sample_rate;
    av_channel_layout_default(&a->mixed->ch_layout, a->job->a.channels);
    return swr_convert_frame(a->mixer, a->mixed, a->frame);
}

// a->mixed becomes a->frame in the output's channels.
static int mix(struct audio *a)
{
    if (a->frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&a->frame->ch_layout, a->frame->ch_layout.nb_channels);
    int rc = a->mixer ? 0 : create_mixer(a);
    if (rc >= 0)
        rc = mix_once(a);
    if (rc < 0) { // most likely the source's layout changed
        rc = create_mixer(a);
        if (rc >= 0)
            rc = mix_once(a);
    }
    return rc;
}

// A hostile stream decodes to anything; the encoder refuses what is no number.
static float tame(float x)
{
    if (!(fabsf(x) <= LOUDEST))
        return isnan(x) ? 0 : copysignf(LOUDEST, x);
    return x;
}

static void place(struct audio *a, int64_t at, int64_t n)
{
    const struct canvas *c = &a->source;
    const int64_t first = at > c->at ? at : c->at;
    const int64_t begin = first > 0 ? first : 0; // before T0 is silence
    const int64_t end = at + n < c->at + c->n ? at + n : c->at + c->n;
    for (int ch = 0; ch < a->job->a.channels; ch++) {
        const float *from = (const float *)a->mixed->extended_data[ch];
        for (int64_t i = begin; i < end; i++)
            c->channel[ch][i - c->at] = tame(from[i - at]);
    }
}

// Speech in Opus is coded at a lower rate, and its resampler keeps some samples back, until there
// are others or the mode changes: of the first frame it gives fewer, and all to come begin so
// much before the time of their packets.
static bool was_held_back(const struct audio *a, int64_t pts)
{
    return a->job->media->audio.codec == CODEC_OPUS && a->begun && pts - a->follows <= HELD &&
           a->follows - pts <= HELD;
}

static void take_frame(struct audio *a)
{
    const AVFrame *f = a->frame;
    const bool follows = f->pts == AV_NOPTS_VALUE || was_held_back(a, f->pts);
    const int64_t at = follows ? a->follows : f->pts;
    int64_t n = f->nb_samples;
    if (f->pts != AV_NOPTS_VALUE && f->pkt_duration > 0) // the table says where the sound ends
        n = min64(n, max64(f->pts + f->pkt_duration - at, 0)); // within its last packet
    a->follows = at + n;
    a->begun = true;
    if (f->sample_rate != a->job->media->audio.sample_rate || mix(a) < 0) {
        a->stats->concealed++;
        return;
    }
    place(a, at, n < a->mixed->nb_samples ? n : a->mixed->nb_samples);
}

static int decode_all(struct audio *a, struct io *io)
{
    int rc = decoder_open(&a->decoder, a->job, io, false, a->why);
    if (rc < 0)
        return rc;
    while ((rc = decoder_next(&a->decoder, a->frame)) > 0) {
        take_frame(a);
        av_frame_unref(a->frame);
    }
    return rc;
}

// ---- the timeline

static int create_canvases(struct audio *a)
{
    const struct job *job = a->job;
    const int64_t begin = sound_feed_begin(&job->a, job->first);
    const int64_t end = sound_feed_end(&job->a, job->first, job->frames);
    const struct rational step =
        rat_reduce((struct rational){ job->media->audio.sample_rate, job->a.sample_rate });
    int rc = canvas_create(&a->sound, a->job->a.channels, begin, end - begin, a->why);
    if (rc < 0 || step.num == step.den)
        return rc < 0 ? rc
                      : canvas_create(&a->source, a->job->a.channels, begin, end - begin, a->why);

    const int64_t margin = FILTER * (1 + step.num / step.den);
    const int64_t early = muldiv_floor(begin, step.num, step.den) - margin;
    const int64_t at = muldiv_floor(early, 1, step.num) * step.num;
    const int64_t last = muldiv_ceil(end, step.num, step.den) + margin;
    return canvas_create(&a->source, a->job->a.channels, at, last - at, a->why);
}

static SwrContext *create_resampler(const struct job *job)
{
    AVChannelLayout layout;
    SwrContext *swr = NULL;
    av_channel_layout_default(&layout, job->a.channels);
    const int rc =
        swr_alloc_set_opts2(&swr, &layout, AV_SAMPLE_FMT_FLTP, job->a.sample_rate, &layout,
                            AV_SAMPLE_FMT_FLTP, job->media->audio.sample_rate, 0, NULL);
    if (rc < 0 || swr_init(swr) < 0)
        swr_free(&swr);
    return swr;
}

static int convert(SwrContext *swr, struct canvas *to, const struct canvas *from)
{
    uint8_t *out[JOB_CHANNELS_MAX];
    const uint8_t *in[JOB_CHANNELS_MAX];
    for (int ch = 0; ch < JOB_CHANNELS_MAX; ch++) {
        out[ch] = (uint8_t *)to->channel[ch];
        in[ch] = (const uint8_t *)from->channel[ch];
    }
    return swr_convert(swr, out, (int)to->n, in, (int)from->n);
}

// Makes a->sound from a->source at another rate.
static int resample(struct audio *a)
{
    const int64_t from_rate = a->job->media->audio.sample_rate, to_rate = a->job->a.sample_rate;
    struct canvas whole = { 0 }; // from where the resampler starts, which is a whole sample
    const int64_t at = muldiv_floor(a->source.at, to_rate, from_rate);
    int rc = canvas_create(&whole, a->job->a.channels, at, a->sound.at + a->sound.n - at, a->why);
    SwrContext *swr = create_resampler(a->job);
    if (rc == 0 && !swr)
        rc = fail_with(a->why, -E_NO_MEMORY, "no resampler from %d Hz", (int)from_rate);
    if (rc == 0 && convert(swr, &whole, &a->source) != whole.n)
        rc = fail_with(a->why, -E_INTERNAL, "the resampler fell short");
    for (int ch = 0; rc == 0 && ch < a->job->a.channels; ch++)
        memcpy(a->sound.channel[ch], whole.channel[ch] + (a->sound.at - at),
               (size_t)a->sound.n * sizeof(float));
    swr_free(&swr);
    canvas_finish(&whole);
    return rc;
}

static void silence_past_end(struct audio *a)
{
    struct canvas *c = &a->sound;
    const int64_t keep = a->job->end > c->at ? a->job->end - c->at : 0;
    for (int ch = 0; ch < a->job->a.channels && keep < c->n; ch++)
        memset(c->channel[ch] + keep, 0, (size_t)(c->n - keep) * sizeof(float));
}

static int make_sound(struct audio *a, struct io *io)
{
    int rc = create_canvases(a);
    if (rc == 0)
        rc = decode_all(a, io);
    if (rc < 0)
        return rc;
    if (a->job->media->audio.sample_rate == a->job->a.sample_rate) {
        const struct canvas same = a->source;
        a->source = a->sound;
        a->sound = same;
    } else {
        rc = resample(a);
    }
    silence_past_end(a);
    return rc;
}

// ---- encoding

static int take_packet(struct audio *a)
{
    const int64_t frame = a->job->first + a->taken;
    if (a->packet->pts < a->job->first * a->frame_size)
        return 0;
    if (a->packet->pts != frame * a->frame_size)
        return fail_with(a->why, -E_INTERNAL, "the encoder lost frame %lld", (long long)frame);
    if (buf_append(&a->coded, a->packet->data, (size_t)a->packet->size) < 0)
        return fail_with(a->why, buf_error(&a->coded), "a segment above %lld bytes",
                         (long long)CODED_MAX);
    a->sizes[a->taken++] = (uint32_t)a->packet->size;
    return 0;
}

static bool done(const struct audio *a)
{
    return a->taken == a->job->frames;
}

static int take_packets(struct audio *a)
{
    while (!done(a)) {
        int rc = avcodec_receive_packet(a->encoder, a->packet);
        if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
            return 0;
        if (rc < 0)
            return fail_libav(a->why, -E_INTERNAL, rc, "encoding");
        rc = take_packet(a);
        av_packet_unref(a->packet);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void weave(struct audio *a, int64_t offset)
{
    const int channels = a->job->a.channels;
    for (int ch = 0; ch < channels; ch++)
        for (int i = 0; i < a->frame_size; i++)
            a->woven[i * channels + ch] = a->sound.channel[ch][offset + i];
}

// Feeds the frame that begins at offset on the canvas.
static int encode(struct audio *a, int64_t offset)
{
    AVFrame *f = a->frame;
    f->format = a->encoder->sample_fmt;
    f->sample_rate = a->job->a.sample_rate;
    f->nb_samples = a->frame_size;
    f->pts = a->sound.at + offset;
    av_channel_layout_default(&f->ch_layout, a->job->a.channels);
    for (int ch = 0; ch < a->job->a.channels; ch++)
        f->data[ch] = (uint8_t *)(a->sound.channel[ch] + offset);
    if (f->format == AV_SAMPLE_FMT_FLT) {
        weave(a, offset);
        f->data[0] = (uint8_t *)a->woven;
    }
    const int rc = avcodec_send_frame(a->encoder, f);
    av_frame_unref(f);
    return rc < 0 ? fail_libav(a->why, -E_INTERNAL, rc, "encoding") : take_packets(a);
}

// Encodes all frames, unless they turn out to have more than that many bits: 1 or 0.
static int encode_within(struct audio *a, struct io *io, int quality, int64_t bits)
{
    buf_clear(&a->coded);
    a->taken = 0;
    avcodec_free_context(&a->encoder);
    int rc = encode_open_audio(&a->encoder, &a->job->a, quality, a->why);
    for (int64_t at = 0; rc == 0 && at < a->sound.n && !done(a); at += a->frame_size) {
        if (io->cancelled(io))
            return fail_with(a->why, -E_CANCELLED, "cancelled");
        rc = encode(a, at);
        a->stats->frames_encoded++;
        if (rc == 0 && (int64_t)a->coded.len * 8 > bits)
            return 0;
    }
    if (rc == 0 && !done(a))
        rc = fail_with(a->why, -E_INTERNAL, "the encoder gave %lld frames", (long long)a->taken);
    return rc < 0 ? rc : 1;
}

// What does not fit at the coarsest quality either is left as it is.
static int encode_all(struct audio *a, struct io *io)
{
    int rc = 0, quality = a->job->a.quality;
    for (int i = 0; rc == 0 && i <= COARSER; i++) {
        rc = encode_within(a, io, quality, i < COARSER ? a->job->bits : INT64_MAX);
        quality = quality * 7 / 10 > 1 ? quality * 7 / 10 : 1;
    }
    return rc < 0 ? rc : 0;
}

// ---- putting out

static int write_all(struct audio *a)
{
    const int64_t cut_every = muldiv_round(FRAGMENT_SECONDS, a->job->a.sample_rate, a->frame_size);
    const uint8_t *packet = a->coded.data;
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < a->taken; packet += a->sizes[i++]) {
        buf_append(&a->out.data, packet, a->sizes[i]);
        rc = out_sample(&a->out, (uint32_t)a->frame_size, 0, true);
        if (rc == 0 && ((i + 1) % cut_every == 0 || i + 1 == a->taken))
            rc = out_cut(&a->out);
    }
    return rc;
}

// ---- public

static int check_job(const struct job *job, const struct why *why)
{
    if (job->first < 0 || job->first > FRAME_INDEX_MAX || job->frames < 1)
        return fail_with(why, -E_PROTOCOL, "a frame number out of range");
    if (job->a.codec >= AUDIO_CODECS || job->a.sample_rate < 8000 || job->a.sample_rate > 96000 ||
        job->a.channels < 1 || job->a.channels > JOB_CHANNELS_MAX ||
        job->media->audio.sample_rate < 1)
        return fail_with(why, -E_PROTOCOL, "audio settings out of range");
    if (job->frames > FRAMES_MAX)
        return fail_with(why, -E_LIMITS, "%lld frames in a segment", (long long)job->frames);
    return 0;
}

static void close_all(struct audio *a)
{
    a->stats->samples_read = a->decoder.samples;
    a->stats->frames_decoded = a->decoder.frames;
    a->stats->decode_us = a->decoder.us;
    a->stats->bytes = a->out.bytes;
    swr_free(&a->mixer);
    av_frame_free(&a->frame);
    av_frame_free(&a->mixed);
    av_packet_free(&a->packet);
    avcodec_free_context(&a->encoder);
    decoder_close(&a->decoder);
    canvas_finish(&a->source);
    canvas_finish(&a->sound);
    buf_finish(&a->coded);
    out_finish(&a->out);
}

static int run(struct audio *a, struct io *io)
{
    a->frame = av_frame_alloc();
    a->mixed = av_frame_alloc();
    a->packet = av_packet_alloc();
    if (!a->frame || !a->mixed || !a->packet)
        return fail_with(a->why, -E_NO_MEMORY, "no memory for a frame");
    int rc = make_sound(a, io);
    if (rc < 0)
        return rc;
    const int64_t start = clock_us();
    rc = encode_all(a, io);
    a->stats->encode_us = clock_us() - start;
    return rc < 0 ? rc : write_all(a);
}

int av_audio(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap)
{
    const struct why why = { detail, cap };
    int rc = check_job(job, &why);
    if (rc < 0)
        return rc;
    struct audio a = { .job = job, .why = &why, .stats = stats };
    a.frame_size = sound_frame(&job->a);
    buf_init(&a.coded, CODED_MAX);
    out_init(&a.out, io, job->sequence, job->first * a.frame_size, &why);
    a.out.track = (struct fmp4_track){ .timescale = (uint32_t)job->a.sample_rate };
    rc = run(&a, io);
    close_all(&a);
    return rc;
}
