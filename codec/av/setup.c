// SPDX-License-Identifier: BSD-2-Clause
//
// setup - what the worker's program does once, and the door to its work.

#include "codec/av/av.h"

#if defined __x86_64__ || defined __i386__
#include <cpuid.h>
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavutil/cpu.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "codec/av/decode.h"
#include "codec/av/encode.h"
#include "codec/av/heap.h"
#include "codec/media.h"

// Raised by one whenever our own code makes other bytes of the same order, so that what
// an older program left in a cache is not taken for what this one would make.
#define OWN_VERSION 9

// The largest buffer libav may ask for at once; a 16384x16384 picture of 10 bits fits.
#define ALLOC_MAX (1 * GIB)

// Of its memory, what a worker keeps from one job to the next: one part in so many.
#define KEPT_SHARE 4

static const char *const FILTERS[] = {
    "buffer", "buffersink", "scale",   "transpose", "hflip", "vflip",
    "format", "zscale",     "tonemap", "bwdif",     "idet",
};

// Fixed settings, whose headers enter the signature.
static const struct video_settings VIDEO = {
    .width = 320,
    .height = 180,
    .fps = { 30000, 1001 },
    .crf = 23,
    .maxrate = 1000000,
    .bufsize = 1000000,
    .vbv_init_permille = 700,
    .level = 31,
    .preset = "veryfast",
    .colour = { 1, 1, 1, false },
};
static const struct audio_settings AUDIO = { .sample_rate = 48000, .channels = 2, .quality = 100 };

static char signature[400];

// ---- libav's messages

// Called by any thread.  What libav says of a damaged source is no news to anybody
// but us: what comes of it, the job's answer tells.
static void log_libav(void *context, int level, const char *fmt, va_list ap)
{
    char line[512];
    int prefix = 1;
    decoder_overhear(context, fmt);
    if (level > AV_LOG_WARNING || !log_enabled(LOG_DEBUG))
        return;
    av_log_format_line2(context, level, fmt, ap, line, sizeof line, &prefix);
    line[strcspn(line, "\n")] = '\0';
    log_debug("libav", "%s", line);
}

// ---- what must be there

static int check_names(const struct why *why)
{
    for (int id = CODEC_NONE + 1; id < CODEC_COUNT; id++)
        if (!avcodec_find_decoder_by_name(codec_decoder(id)))
            return fail_with(why, -E_CONFIG, "libavcodec has no decoder %s", codec_decoder(id));
    for (size_t i = 0; i < countof(FILTERS); i++)
        if (!avfilter_get_by_name(FILTERS[i]))
            return fail_with(why, -E_CONFIG, "libavfilter has no filter %s", FILTERS[i]);
    return 0;
}

// ---- the signature

// The build number that x264 notes in the first picture of a stream; 0: none found.
static int x264_build(const uint8_t *p, size_t n)
{
    static const char mark[] = "x264 - core ";
    const uint8_t *at = memmem(p, n, mark, sizeof mark - 1);
    char digits[8] = "";
    if (!at)
        return 0;
    at += sizeof mark - 1;
    for (size_t i = 0; i < sizeof digits - 1 && at + i < p + n && at[i] >= '0' && at[i] <= '9'; i++)
        digits[i] = (char)at[i];
    return atoi(digits);
}

// Libraries behind libavcodec say it by a symbol, if they are there.
static const char *x265_version(void)
{
    const char *const *const text = dlsym(RTLD_DEFAULT, "x265_version_str");
    return text ? *text : "none";
}

static const char *svt_version(void)
{
    const char *(*const text)(void) =
        (const char *(*)(void))dlsym(RTLD_DEFAULT, "svt_av1_get_version");
    return text ? text() : "none";
}

static const char *opus_version(void)
{
    const char *(*const text)(void) =
        (const char *(*)(void))dlsym(RTLD_DEFAULT, "opus_get_version_string");
    return text ? text() : "none";
}

// What libraries that look at the CPU may do: its maker and what libav found in it.
static const char *cpu_class(void)
{
    static char text[40];
    char maker[13] = "";
#if defined __x86_64__ || defined __i386__
    unsigned a, words[3] = { 0 };
    __get_cpuid(0, &a, &words[0], &words[2], &words[1]);
    memcpy(maker, words, sizeof words);
    for (char *c = maker; *c; c++)
        if (*c == ' ')
            *c = '-';
#endif
    snprintf(text, sizeof text, "%s-%x", maker, (unsigned)av_get_cpu_flags());
    return text;
}

static int sign_video(struct buf *headers, int *build, const struct why *why)
{
    AVCodecContext *encoder = NULL;
    int rc = encode_open_video(&encoder, &VIDEO, why);
    if (rc < 0)
        return rc;
    AVPacket *packet = av_packet_alloc();
    rc = packet ? encode_one(encoder, packet) : AVERROR(ENOMEM);
    if (rc == 0) {
        buf_append(headers, encoder->extradata, (size_t)encoder->extradata_size);
        *build = x264_build(packet->data, (size_t)packet->size);
    }
    av_packet_free(&packet);
    avcodec_free_context(&encoder);
    return rc < 0 ? fail_libav(why, -E_CONFIG, rc, "trying libx264") : 0;
}

// What x265 writes into headers, if this libavcodec has it.  SVT-AV1 would start some
// twenty threads only to be asked: its version stands for what it writes.
static int sign_others(struct buf *headers, const struct why *why)
{
    struct video_settings v = VIDEO;
    AVCodecContext *encoder = NULL;
    v.codec = VIDEO_HEVC;
    v.level = 93;
    buf_puts(headers, svt_version());
    if (!avcodec_find_encoder_by_name("libx265"))
        return 0;
    const int rc = encode_open_video(&encoder, &v, why);
    if (rc == 0)
        buf_append(headers, encoder->extradata, (size_t)encoder->extradata_size);
    encode_close(&encoder);
    return rc;
}

static int sign_audio(struct buf *headers, const struct why *why)
{
    AVCodecContext *encoder = NULL;
    const int rc = encode_open_audio(&encoder, &AUDIO, AUDIO.quality, why);
    if (rc == 0)
        buf_append(headers, encoder->extradata, (size_t)encoder->extradata_size);
    avcodec_free_context(&encoder);
    return rc;
}

static int sign(const struct why *why)
{
    struct buf headers;
    int build = 0;
    buf_init(&headers, 65536);
    int rc = sign_video(&headers, &build, why);
    if (rc == 0)
        rc = sign_others(&headers, why);
    if (rc == 0)
        rc = sign_audio(&headers, why);
    if (rc == 0) {
        char hex[KEY_HEX];
        const struct key k = key_of(headers.data, headers.len);
        const unsigned c = avcodec_version(), s = swscale_version(), r = swresample_version();
        snprintf(signature, sizeof signature,
                 "own %d lavc %u.%u.%u swscale %u.%u.%u swresample %u.%u.%u x264 %d x265 %.40s "
                 "svtav1 %.40s opus %.40s cpu %s headers %.16s",
                 OWN_VERSION, AV_VERSION_MAJOR(c), AV_VERSION_MINOR(c), AV_VERSION_MICRO(c),
                 AV_VERSION_MAJOR(s), AV_VERSION_MINOR(s), AV_VERSION_MICRO(s), AV_VERSION_MAJOR(r),
                 AV_VERSION_MINOR(r), AV_VERSION_MICRO(r), build, x265_version(), svt_version(),
                 opus_version(), cpu_class(), key_hex(&k, hex));
    }
    buf_finish(&headers);
    return rc;
}

// ---- public

int av_setup(char *detail, size_t cap)
{
    const struct why why = { detail, cap };
    av_log_set_callback(log_libav);
    setenv("SVT_LOG", "0", 0); // or it writes to stderr at every part
    av_max_alloc((size_t)ALLOC_MAX);
    int rc = check_names(&why);
    if (rc == 0)
        rc = sign(&why);
    return rc < 0 ? -E_CONFIG : 0;
}

const char *av_signature(void)
{
    return signature;
}

static int run_kind(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
                    size_t cap)
{
    const struct why why = { detail, cap };
    switch (job->kind) {
    case JOB_PROBE:
        return av_probe(job, io, detail, cap);
    case JOB_INIT:
        return av_init_segment(job, io, detail, cap);
    case JOB_VIDEO:
        if (job->media && media_has_video(job->media))
            return av_video(job, io, stats, detail, cap);
        return fail_with(&why, -E_PROTOCOL, "a video job without video");
    case JOB_SHEET:
        if (job->media && media_has_video(job->media))
            return av_sheet(job, io, stats, detail, cap);
        return fail_with(&why, -E_PROTOCOL, "a sheet job without video");
    case JOB_AUDIO:
        if (job->media && media_has_audio(job->media))
            return av_audio(job, io, stats, detail, cap);
        return fail_with(&why, -E_PROTOCOL, "an audio job without audio");
    case JOB_TEXT:
        return av_text(job, io, detail, cap);
    default:
        return fail_with(&why, -E_PROTOCOL, "a job of kind %d", (int)job->kind);
    }
}

int av_run(const struct job *job, struct io *io, struct job_stats *stats, char *detail, size_t cap)
{
    memset(stats, 0, sizeof *stats);
    if (cap)
        detail[0] = '\0';
    const int rc = run_kind(job, io, stats, detail, cap);
    if (rc == -E_NO_MEMORY) {
        coder_forget();
        heap_give_back();
    }
    coder_report(stats);
    return rc;
}

void av_allow(int64_t memory)
{
    coder_allow(memory / KEPT_SHARE);
}
