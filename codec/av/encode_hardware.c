// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/encode_hardware.h"

#include "base/base.h"
#include "codec/av/device.h"
#include "codec/av/encode_options.h"

// For which codings an option is; some encoders have it for one alone.
#define AVC (1u << VIDEO_H264)
#define HEVC (1u << VIDEO_HEVC)
#define BOTH (AVC | HEVC)

struct option {
    const char *name, *value;
    unsigned codecs;
};

static const struct option nvenc[] = {
    { "preset", "p4", BOTH },
    { "tune", "hq", BOTH },
    { "rc", "vbr", BOTH },
    { "profile", "high", AVC },
    { "profile", "main", HEVC },
    { "tier", "main", HEVC },
    { "forced-idr", "1", BOTH },
    { "no-scenecut", "1", BOTH },
    { "rc-lookahead", "0", BOTH },
    { "b_ref_mode", "0", BOTH },
    { "a53cc", "0", BOTH },
    { "extra_sei", "0", BOTH },
    { 0 },
};

static const struct option qsv[] = {
    { "async_depth", "1", BOTH }, { "pic_timing_sei", "0", BOTH }, { "b_strategy", "0", BOTH },
    { "forced_idr", "1", AVC },   { "adaptive_i", "0", AVC },      { "adaptive_b", "0", AVC },
    { "look_ahead", "0", AVC },   { "a53cc", "0", AVC },           { 0 },
};

static const struct option vaapi[] = {
    { "rc_mode", "VBR", BOTH }, { "idr_interval", "0", BOTH }, { "async_depth", "1", BOTH },
    { "sei", "0", BOTH },       { "aud", "0", BOTH },          { 0 },
};

static const struct kind {
    const struct option *options;
    bool named;     // profile and level are options, and else fields of the context
    int level_unit; // what the field counts levels in, of those of the settings
    bool device;
} kinds[VIDEO_ENCODERS] = {
    [ENCODER_H264_NVENC] = { nvenc, .named = true },
    [ENCODER_HEVC_NVENC] = { nvenc, .named = true },
    [ENCODER_H264_QSV] = { qsv, .level_unit = 1 },
    [ENCODER_HEVC_QSV] = { qsv, .level_unit = 3 },
    [ENCODER_H264_VAAPI] = { vaapi, .level_unit = 1, .device = true },
    [ENCODER_HEVC_VAAPI] = { vaapi, .level_unit = 1, .device = true },
};

static void set_options(AVCodecContext *ctx, const struct option *o, enum video_codec codec)
{
    for (; o->name; o++)
        if (o->codecs & 1u << codec)
            set_option(ctx, o->name, o->value);
}

int hardware_configure(AVCodecContext *ctx, const struct video_settings *v)
{
    const struct kind *const k = &kinds[v->encoder];
    ctx->rc_max_rate = v->maxrate;
    ctx->rc_buffer_size = (int)v->bufsize;
    ctx->rc_initial_buffer_occupancy = (int)(v->bufsize * v->vbv_init_permille / 1000);
    ctx->bit_rate = v->maxrate * 7 / 10;
    ctx->pix_fmt = AV_PIX_FMT_NV12;
    ctx->max_b_frames = 0;
    set_options(ctx, k->options, v->codec);
    if (k->named) {
        set_number(ctx, "level", v->level);
    } else {
        ctx->profile = v->codec == VIDEO_H264 ? FF_PROFILE_H264_HIGH : FF_PROFILE_HEVC_MAIN;
        ctx->level = v->level / k->level_unit;
    }
    return k->device ? device_attach(ctx) : 0;
}

bool hardware_keeps_promise(const struct video_settings *v, const uint8_t *config, size_t n)
{
    if (v->codec == VIDEO_H264)
        return n > 3 && config[1] == 100 && config[3] == v->level;
    return n > 12 && (config[1] & 0x3f) == 1 && config[12] == v->level;
}
