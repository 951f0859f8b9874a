// SPDX-License-Identifier: BSD-2-Clause
//
// encode - the video encoders, those of AAC, Opus and JPEG, as settings say.
//
// Video: one thread (more would change the bytes, and with a binding VBV even
// from run to run), capped CRF.  Nothing that depends on content may reach the
// headers: the GOP is longer than any part, so the only IDR is the first picture
// and the headers do not know the part's length.
//
// x264: `stitchable` pins the PPS.  `cpu-independent` makes machines agree, and does
// more: without it x264 r3095 reads uninitialised memory (the macroblock tree's
// assembly, where a row has no round number of macroblocks) and the bytes change with
// what the heap held before.
//
// x265 without a pool of threads and with one frame at a time; SVT-AV1 with one of its
// "logical processors": both gave the same bytes with every instruction set of x86.
// SVT-AV1 1.4 does not keep a maxrate (noise took twice as much): parts.c looks at what
// came.  What it hands out as its headers before a picture was coded is not what it writes
// into the stream (other tools are on): of AV1, headers are those of a coded picture.
//
// Audio: constant quality, because the state of the rate control of a mean rate
// never forgets where it began.  Noise substitution is off: its random numbers
// depend on every frame before.  What then remains of the past: see audio.c.  Of Opus, which
// has no constant quality, an unconstrained mean rate; without its analysis, whose network has a
// long memory.

#include "codec/av/encode.h"

#include "base/bytes.h"
#include "base/err.h"
#include "codec/av/device.h"
#include "codec/av/encode_hardware.h"
#include "codec/av/encode_options.h"
#include "codec/av1.h"
#include "codec/avc.h"
#include "codec/hardware.h"
#include "codec/hevc.h"
#include "codec/opus.h"
#include "codec/sound.h"

#define GOP (JOB_FRAMES_MAX + 1)
#define PINNED "stitchable=1:cpu-independent=1"
// Of our own preset, beside x264's veryfast; docs/quality.md has the front that it lies on.
// More B pictures in a row than one pay where pictures follow each other quickly.
// Another string or number here takes another OWN_VERSION (setup.c).
#define JIT "partitions=p8x8,i8x8:me=dia:aq-mode=2"
#define JIT_SLOW JIT ":bframes=1"
#define QUICK 40          // more pictures a second than that
#define AAC_NOMINAL 64000 // bits per second and channel: sets the AAC encoder's bandwidth
#define OPUS_COMPLEXITY 6 // of 10: the highest without analysis
#define OPUS_RATE_MIN 500 // bits per second and channel
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

static void configure_picture(AVCodecContext *ctx, const struct video_settings *v)
{
    ctx->width = v->width;
    ctx->height = v->height;
    ctx->pix_fmt = is_ten_bit(v) ? AV_PIX_FMT_YUV420P10 : AV_PIX_FMT_YUV420P;
    ctx->sample_aspect_ratio = (AVRational){ 1, 1 };
    ctx->color_primaries = v->colour.primaries;
    ctx->color_trc = v->colour.transfer;
    ctx->colorspace = v->colour.matrix;
    ctx->color_range = AVCOL_RANGE_MPEG;
    ctx->framerate = (AVRational){ (int)v->fps.num, (int)v->fps.den };
    ctx->time_base = (AVRational){ (int)v->fps.den, (int)v->fps.num };
    ctx->gop_size = GOP;
    ctx->keyint_min = GOP;
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_CLOSED_GOP | AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
}

static void configure_rate(AVCodecContext *ctx, const struct video_settings *v)
{
    ctx->rc_max_rate = v->maxrate;
    ctx->rc_buffer_size = (int)v->bufsize;
}

static bool is_jit(const struct video_settings *v)
{
    return strcmp(v->preset, "jit") == 0;
}

// The preset of x264 and x265 that this one is, or is made of.
static const char *base_preset(const struct video_settings *v)
{
    return is_jit(v) ? "veryfast" : v->preset;
}

static const char *x264_params(const struct video_settings *v)
{
    if (!is_jit(v))
        return PINNED;
    return v->fps.num > QUICK * v->fps.den ? PINNED ":" JIT : PINNED ":" JIT_SLOW;
}

static void configure_x264(AVCodecContext *ctx, const struct video_settings *v)
{
    set_number(ctx, "crf", v->crf);
    set_option(ctx, "preset", base_preset(v));
    set_option(ctx, "profile", "high");
    set_number(ctx, "level", v->level);
    set_option(ctx, "forced-idr", "1");
    set_option(ctx, "a53cc", "0");
    set_option(ctx, "x264-params", x264_params(v));
    configure_rate(ctx, v);
    ctx->rc_initial_buffer_occupancy = (int)(v->bufsize * v->vbv_init_permille / 1000);
}

static void configure_x265(AVCodecContext *ctx, const struct video_settings *v)
{
    char params[256];
    snprintf(params, sizeof params,
             "log-level=none:pools=none:frame-threads=1:wpp=0:pmode=0:pme=0:lookahead-slices=0:"
             "info=0:hrd=0:aud=0:repeat-headers=0:open-gop=0:scenecut=0:"
             "high-tier=0:level-idc=%d:vbv-init=%d.%03d",
             v->level / 3, v->vbv_init_permille / 1000, v->vbv_init_permille % 1000);
    set_number(ctx, "crf", v->crf);
    set_option(ctx, "preset", base_preset(v));
    set_option(ctx, "profile", is_ten_bit(v) ? "main10" : "main");
    set_option(ctx, "forced-idr", "1");
    set_option(ctx, "x265-params", params);
    configure_rate(ctx, v);
}

// The presets of x264, the slowest first, and the next of the same speed.
static int svt_preset(const char *x264)
{
    static const char *const names[] = {
        "placebo", "veryslow", "slower",   "slow",      "medium",
        "fast",    "faster",   "veryfast", "superfast", "ultrafast"
    };
    size_t i = 0;
    while (i < countof(names) - 1 && strcmp(names[i], x264) != 0)
        i++;
    return 3 + (int)i;
}

static void configure_svt(AVCodecContext *ctx, const struct video_settings *v)
{
    set_number(ctx, "crf", v->crf);
    set_number(ctx, "preset", svt_preset(base_preset(v)));
    set_option(ctx, "svtav1-params", "lp=1:scd=0");
}

static const struct {
    const char *encoder;
    void (*configure)(AVCodecContext *ctx, const struct video_settings *v);
    enum fmp4_coding coding;
    // avcC or hvcC of its headers
    int (*config)(struct buf *out, const uint8_t *extradata, size_t n);
} makers[VIDEO_CODECS] = {
    [VIDEO_H264] = { "libx264", configure_x264, FMP4_AVC, avc_config },
    [VIDEO_HEVC] = { "libx265", configure_x265, FMP4_HEVC, hevc_config },
    [VIDEO_AV1] = { "libsvtav1", configure_svt, FMP4_AV1, NULL }, // coded first
};

static int open_hardware(AVCodecContext **out, const struct video_settings *v,
                         const struct why *why)
{
    AVCodecContext *ctx = create_encoder(hardware_name(v->encoder), why);
    if (!ctx)
        return -E_CONFIG;
    configure_picture(ctx, v);
    const int rc = hardware_configure(ctx, v);
    if (rc < 0) {
        avcodec_free_context(&ctx);
        return fail_libav(why, -E_CONFIG, rc, "no device for VAAPI");
    }
    return open_encoder(out, ctx, why);
}

static bool sane_video(const struct video_settings *v)
{
    return v->codec < VIDEO_CODECS && v->encoder < VIDEO_ENCODERS && v->width > 0 &&
           v->height > 0 && v->width <= 16384 && v->height <= 16384 && v->fps.num > 0 &&
           v->fps.den > 0 && v->fps.num <= INT32_MAX && v->fps.den <= DEN_MAX && v->maxrate >= 0 &&
           v->bufsize >= 0 && v->bufsize <= INT32_MAX && v->vbv_init_permille >= 0 &&
           v->vbv_init_permille <= 1000;
}

// Bytes of the NAL unit before the next start code, or all.
static size_t unit_length(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 2 < n; i++)
        if (p[i] == 0 && p[i + 1] == 0 && p[i + 2] == 1)
            return i && p[i - 1] == 0 ? i - 1 : i; // the zero_byte belongs to the start code
    return n;
}

// What an encoder tells of itself: user data in an SEI message.  And what drivers say again
// though it stands in the headers.
static bool is_note(enum video_codec codec, const uint8_t *unit, size_t n)
{
    const int AVC_SEI = 6, HEVC_SEI = 39, USER_DATA = 5;
    const int AVC_FIRST = 7, AVC_LAST = 9, HEVC_FIRST = 32, HEVC_LAST = 35; // sets, delimiter
    const int type = codec == VIDEO_HEVC ? unit[0] >> 1 & 63 : unit[0] & 31;
    if (codec == VIDEO_HEVC ? type >= HEVC_FIRST && type <= HEVC_LAST
                            : type >= AVC_FIRST && type <= AVC_LAST)
        return true;
    if (codec == VIDEO_HEVC)
        return n > 2 && (unit[0] >> 1 & 63) == HEVC_SEI && unit[2] == USER_DATA;
    return n > 1 && (unit[0] & 31) == AVC_SEI && unit[1] == USER_DATA;
}

static int put_nal_units(struct buf *out, enum video_codec codec, const uint8_t *p, size_t n)
{
    size_t at = unit_length(p, n);
    while (at < n) {
        while (at < n && p[at] == 0)
            at++;
        at++; // the one that ends the start code
        if (at >= n)
            break;
        const size_t length = unit_length(p + at, n - at);
        if (length && !is_note(codec, p + at, length)) {
            put_be32(out, (uint32_t)length);
            buf_append(out, p + at, length);
        }
        at += length;
    }
    return buf_error(out);
}

// A picture that it takes, as its first.
static AVFrame *grey_picture(const AVCodecContext *encoder)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = encoder->pix_fmt;
    frame->width = encoder->width;
    frame->height = encoder->height;
    frame->pts = 0;
    if (av_frame_get_buffer(frame, 0) < 0)
        av_frame_free(&frame);
    for (int i = 0; frame && i < 3; i++)
        memset(frame->data[i], encoder->pix_fmt == AV_PIX_FMT_YUV420P10 ? 2 : 128, // 0x202
               (size_t)frame->linesize[i] * (size_t)frame->height / (i ? 2 : 1));
    return frame;
}

// ---- public

int encode_open_video(AVCodecContext **out, const struct video_settings *v, const struct why *why)
{
    if (!sane_video(v))
        return fail_with(why, -E_PROTOCOL, "video settings out of range");
    if (v->encoder != ENCODER_SOFTWARE)
        return open_hardware(out, v, why);
    AVCodecContext *ctx = create_encoder(makers[v->codec].encoder, why);
    if (!ctx)
        return -E_CONFIG;
    configure_picture(ctx, v);
    makers[v->codec].configure(ctx, v);
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

static void configure_aac(AVCodecContext *ctx, const struct audio_settings *a, int quality)
{
    ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
    // The encoder's lambda, unscaled.  It derives bandwidth and thresholds from the product
    // of the two: half the quality alone would leave of mono nothing above 4 kHz.
    ctx->global_quality = quality;
    ctx->bit_rate = (int64_t)AAC_NOMINAL * a->channels * a->quality / quality;
    ctx->flags |= AV_CODEC_FLAG_QSCALE;
    set_option(ctx, "aac_pns", "0");
}

static void configure_opus(AVCodecContext *ctx, const struct audio_settings *a, int quality)
{
    const int least = OPUS_RATE_MIN * a->channels;
    ctx->sample_fmt = AV_SAMPLE_FMT_FLT;
    ctx->bit_rate = quality > least ? quality : least;
    ctx->compression_level = OPUS_COMPLEXITY;
    set_option(ctx, "application", "audio");
    set_option(ctx, "vbr", "on");
    set_option(ctx, "frame_duration", "20");
}

int encode_open_audio(AVCodecContext **out, const struct audio_settings *a, int quality,
                      const struct why *why)
{
    if (a->codec >= AUDIO_CODECS || a->channels < 1 || a->channels > JOB_CHANNELS_MAX ||
        quality < 1)
        return fail_with(why, -E_PROTOCOL, "audio settings out of range");
    AVCodecContext *ctx = create_encoder(a->codec == AUDIO_OPUS ? "libopus" : "aac", why);
    if (!ctx)
        return -E_CONFIG;
    av_channel_layout_default(&ctx->ch_layout, a->channels);
    ctx->sample_rate = a->sample_rate;
    ctx->time_base = (AVRational){ 1, a->sample_rate };
    ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    ctx->thread_count = 1;
    if (a->codec == AUDIO_OPUS)
        configure_opus(ctx, a, quality);
    else
        configure_aac(ctx, a, quality);
    return open_encoder(out, ctx, why);
}

int encode_one(AVCodecContext *encoder, AVPacket *packet)
{
    AVFrame *frame = grey_picture(encoder);
    int rc = frame ? avcodec_send_frame(encoder, frame) : AVERROR(ENOMEM);
    av_frame_free(&frame);
    if (rc == 0)
        rc = avcodec_send_frame(encoder, NULL);
    return rc < 0 ? rc : avcodec_receive_packet(encoder, packet);
}

// From the headers that stand before a coded picture.
static int put_coded_config(struct buf *out, AVCodecContext *encoder)
{
    AVPacket *packet = av_packet_alloc();
    int rc = packet ? encode_one(encoder, packet) : AVERROR(ENOMEM);
    rc = rc < 0 ? -E_INTERNAL : av1_config(out, packet->data, (size_t)packet->size);
    av_packet_free(&packet);
    return rc;
}

static int put_config(struct buf *out, const struct job *job, bool video, AVCodecContext *encoder)
{
    const uint8_t *const p = encoder->extradata;
    const size_t n = (size_t)encoder->extradata_size;
    if (video && job->v.codec == VIDEO_AV1)
        return put_coded_config(out, encoder);
    if (video)
        return makers[job->v.codec].config(out, p, n);
    return job->a.codec == AUDIO_OPUS ? opus_config(out, p, n) : buf_append(out, p, n);
}

int encode_track(AVCodecContext *encoder, const struct job *job, bool video, struct fmp4_track *t,
                 struct buf *config, const struct why *why)
{
    buf_init(config, CONFIG_MAX);
    if (put_config(config, job, video, encoder) < 0)
        return fail_with(why, -E_INTERNAL, "%s wrote unusable headers", encoder->codec->name);
    if (video && job->v.encoder && !hardware_keeps_promise(&job->v, config->data, config->len))
        return fail_with(why, -E_CONFIG, "%s took another profile or level", encoder->codec->name);
    *t = (struct fmp4_track){ .video = video, .config = config->data, .config_size = config->len };
    if (video) {
        t->coding = makers[job->v.codec].coding;
        t->timescale = (uint32_t)job->v.fps.num;
        t->width = job->v.width;
        t->height = job->v.height;
        t->colour = job->v.colour;
        t->mastering = job->v.mastering;
    } else {
        t->coding = job->a.codec == AUDIO_OPUS ? FMP4_OPUS : FMP4_AAC;
        t->timescale = (uint32_t)job->a.sample_rate;
        t->sample_rate = job->a.sample_rate;
        t->channels = job->a.channels;
        t->bitrate = (uint32_t)encoder->bit_rate;
    }
    return 0;
}

int encode_give(AVCodecContext *encoder, const AVFrame *picture)
{
    const bool elsewhere =
        encoder->pix_fmt == AV_PIX_FMT_NV12 || encoder->pix_fmt == AV_PIX_FMT_VAAPI;
    if (!picture || !elsewhere)
        return avcodec_send_frame(encoder, picture);
    AVFrame *copy = device_picture(encoder, picture);
    const int rc = copy ? avcodec_send_frame(encoder, copy) : AVERROR(ENOMEM);
    av_frame_free(&copy);
    return rc;
}

// SVT-AV1 1.4 waits for ever when it is closed before it has seen a picture and the end.
static void run_out(AVCodecContext *encoder)
{
    AVFrame *frame = grey_picture(encoder);
    AVPacket *packet = av_packet_alloc();
    if (frame)
        avcodec_send_frame(encoder, frame);
    int rc;
    do {
        rc = avcodec_send_frame(encoder, NULL);
        while (packet && avcodec_receive_packet(encoder, packet) == 0)
            av_packet_unref(packet);
    } while (packet && rc == AVERROR(EAGAIN));
    av_frame_free(&frame);
    av_packet_free(&packet);
}

void encode_close(AVCodecContext **encoder)
{
    if (*encoder && (*encoder)->codec_id == AV_CODEC_ID_AV1)
        run_out(*encoder);
    avcodec_free_context(encoder);
}

int encode_sample(struct buf *out, enum video_codec codec, const uint8_t *p, size_t n)
{
    return codec == VIDEO_AV1 ? av1_copy_sample(out, p, n) : put_nal_units(out, codec, p, n);
}
