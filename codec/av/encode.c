// SPDX-License-Identifier: BSD-2-Clause
//
// encode - libx264, FFmpeg's AAC encoder and its JPEG encoder, as settings say.
//
// Video: one thread (more would change the bytes, and with a binding VBV even
// from run to run), capped CRF.  Nothing that depends on content may reach the
// headers: `stitchable` pins the PPS, and the GOP is longer than any part, so the
// only IDR is the first picture and the headers do not know the part's length.
// `cpu-independent` makes machines agree, and does more: without it x264 r3095
// reads uninitialised memory (the macroblock tree's assembly, where a row has no
// round number of macroblocks) and the bytes change with what the heap held before.
//
// Audio: constant quality, because the state of the rate control of a mean rate
// never forgets where it began.  Noise substitution is off: its random numbers
// depend on every frame before.  What then remains of the past: see audio.c.

#include "codec/av/encode.h"

#include <libavutil/opt.h>

#include "base/err.h"
#include "codec/avc.h"

#define GOP (JOB_FRAMES_MAX + 1)
#define AUDIO_NOMINAL 64000 // bits per second and channel: sets the AAC encoder's bandwidth
#define CONFIG_MAX 4096
#define DEN_MAX (INT32_MAX / 64) // ticks of a frame: composition offsets fit 32 bits

static int open_encoder(AVCodecContext **out, AVCodecContext *ctx, const struct why *why)
{
    const AVCodec *const codec = ctx->codec; // not there after a failure
    const int rc = avcodec_open2(ctx, codec, NULL);
    if (rc < 0) {
        char doing[40];
        snprintf(doing, sizeof doing, "opening %s", codec->name);
        avcodec_free_context(&ctx);
        // The settings were tried; what x264 has no words for is that it found no memory.
        return fail_libav(why, rc == AVERROR_EXTERNAL ? -E_NO_MEMORY : -E_INTERNAL, rc, doing);
    }
    *out = ctx;
    return 0;
}

static AVCodecContext *create_encoder(const char *name, const struct why *why)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    AVCodecContext *ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!ctx)
        fail_with(why, -E_CONFIG, "libavcodec has no encoder %s", name);
    return ctx;
}

static void set_option(AVCodecContext *ctx, const char *name, const char *value)
{
    const int rc = av_opt_set(ctx->priv_data, name, value, 0);
    assert(rc == 0);
}

static void configure_rate(AVCodecContext *ctx, const struct video_settings *v)
{
    char crf[12];
    snprintf(crf, sizeof crf, "%d", v->crf);
    set_option(ctx, "crf", crf);
    ctx->rc_max_rate = v->maxrate;
    ctx->rc_buffer_size = (int)v->bufsize;
    ctx->rc_initial_buffer_occupancy = (int)(v->bufsize * v->vbv_init_permille / 1000);
}

static void configure_picture(AVCodecContext *ctx, const struct video_settings *v)
{
    ctx->width = v->width;
    ctx->height = v->height;
    ctx->pix_fmt = AV_PIX_FMT_YUV420P;
    ctx->sample_aspect_ratio = (AVRational){ 1, 1 };
    ctx->color_primaries = v->colour.primaries;
    ctx->color_trc = v->colour.transfer;
    ctx->colorspace = v->colour.matrix;
    ctx->color_range = AVCOL_RANGE_MPEG;
    ctx->framerate = (AVRational){ (int)v->fps.num, (int)v->fps.den };
    ctx->time_base = (AVRational){ (int)v->fps.den, (int)v->fps.num };
}

static void configure_stream(AVCodecContext *ctx, const struct video_settings *v)
{
    char level[12];
    snprintf(level, sizeof level, "%d", v->level);
    set_option(ctx, "preset", v->preset);
    set_option(ctx, "profile", "high");
    set_option(ctx, "level", level);
    set_option(ctx, "forced-idr", "1");
    set_option(ctx, "a53cc", "0");
    set_option(ctx, "x264-params", "stitchable=1:cpu-independent=1");
    ctx->gop_size = GOP;
    ctx->keyint_min = GOP;
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_CLOSED_GOP | AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
}

static bool sane_video(const struct video_settings *v)
{
    return v->width > 0 && v->height > 0 && v->width <= 16384 && v->height <= 16384 &&
           v->fps.num > 0 && v->fps.den > 0 && v->fps.num <= INT32_MAX && v->fps.den <= DEN_MAX &&
           v->maxrate >= 0 && v->bufsize >= 0 && v->bufsize <= INT32_MAX &&
           v->vbv_init_permille >= 0 && v->vbv_init_permille <= 1000;
}

// Bytes of the NAL unit before the next start code, or all.
static size_t unit_length(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 2 < n; i++)
        if (p[i] == 0 && p[i + 1] == 0 && p[i + 2] == 1)
            return i && p[i - 1] == 0 ? i - 1 : i; // the zero_byte belongs to the start code
    return n;
}

static bool is_note(const uint8_t *unit, size_t n)
{
    const int SEI = 6, USER_DATA = 5;
    return n > 1 && (unit[0] & 31) == SEI && unit[1] == USER_DATA;
}

// ---- public

int encode_open_video(AVCodecContext **out, const struct video_settings *v, const struct why *why)
{
    if (!sane_video(v))
        return fail_with(why, -E_PROTOCOL, "video settings out of range");
    AVCodecContext *ctx = create_encoder("libx264", why);
    if (!ctx)
        return -E_CONFIG;
    configure_picture(ctx, v);
    configure_stream(ctx, v);
    configure_rate(ctx, v);
    return open_encoder(out, ctx, why);
}

int encode_open_jpeg(AVCodecContext **out, const AVFrame *like, int quality, const struct why *why)
{
    AVCodecContext *ctx = create_encoder("mjpeg", why);
    if (!ctx)
        return -E_CONFIG;
    ctx->width = like->width;
    ctx->height = like->height;
    ctx->pix_fmt = like->format;
    ctx->color_range = like->color_range;
    ctx->sample_aspect_ratio = (AVRational){ 1, 1 };
    ctx->time_base = (AVRational){ 1, 1 };
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
    ctx->global_quality = quality * FF_QP2LAMBDA;
    return open_encoder(out, ctx, why);
}

int encode_open_audio(AVCodecContext **out, const struct audio_settings *a, int quality,
                      const struct why *why)
{
    if (a->channels < 1 || a->channels > 2 || quality < 1)
        return fail_with(why, -E_PROTOCOL, "audio settings out of range");
    AVCodecContext *ctx = create_encoder("aac", why);
    if (!ctx)
        return -E_CONFIG;
    av_channel_layout_default(&ctx->ch_layout, a->channels);
    ctx->sample_rate = a->sample_rate;
    ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
    ctx->time_base = (AVRational){ 1, a->sample_rate };
    // The encoder's lambda, unscaled.  It derives bandwidth and thresholds from the product
    // of the two: half the quality alone would leave of mono nothing above 4 kHz.
    ctx->global_quality = quality;
    ctx->bit_rate = (int64_t)AUDIO_NOMINAL * a->channels * a->quality / quality;
    ctx->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    ctx->thread_count = 1;
    set_option(ctx, "aac_pns", "0");
    return open_encoder(out, ctx, why);
}

int encode_track(const AVCodecContext *encoder, const struct job *job, bool video,
                 struct fmp4_track *t, struct buf *config, const struct why *why)
{
    const uint8_t *bytes = encoder->extradata;
    const size_t n = (size_t)encoder->extradata_size;
    buf_init(config, CONFIG_MAX);
    const int rc = video ? avc_config(config, bytes, n) : buf_append(config, bytes, n);
    if (rc < 0)
        return fail_with(why, -E_INTERNAL, "%s wrote unusable headers", encoder->codec->name);
    *t = (struct fmp4_track){ .video = video, .config = config->data, .config_size = config->len };
    if (video) {
        t->timescale = (uint32_t)job->v.fps.num;
        t->width = job->v.width;
        t->height = job->v.height;
        t->colour = job->v.colour;
    } else {
        t->timescale = (uint32_t)job->a.sample_rate;
        t->sample_rate = job->a.sample_rate;
        t->channels = job->a.channels;
        t->bitrate = (uint32_t)encoder->bit_rate;
    }
    return 0;
}

int encode_nal_units(struct buf *out, const uint8_t *p, size_t n)
{
    size_t at = unit_length(p, n);
    while (at < n) {
        while (at < n && p[at] == 0)
            at++;
        at++; // the one that ends the start code
        if (at >= n)
            break;
        const size_t length = unit_length(p + at, n - at);
        if (length && !is_note(p + at, length)) {
            const uint8_t prefix[4] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                                        (uint8_t)(length >> 8), (uint8_t)length };
            buf_append(out, prefix, sizeof prefix);
            buf_append(out, p + at, length);
        }
        at += length;
    }
    return buf_error(out);
}
