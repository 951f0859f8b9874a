// SPDX-License-Identifier: BSD-2-Clause

#include "codec/hardware.h"

#include "base/base.h"

static const struct {
    const char *name;
    enum video_codec codec;
} encoders[VIDEO_ENCODERS] = {
    [ENCODER_SOFTWARE] = { "", VIDEO_CODECS },
    [ENCODER_H264_NVENC] = { "h264_nvenc", VIDEO_H264 },
    [ENCODER_H264_QSV] = { "h264_qsv", VIDEO_H264 },
    [ENCODER_H264_VAAPI] = { "h264_vaapi", VIDEO_H264 },
    [ENCODER_HEVC_NVENC] = { "hevc_nvenc", VIDEO_HEVC },
    [ENCODER_HEVC_QSV] = { "hevc_qsv", VIDEO_HEVC },
    [ENCODER_HEVC_VAAPI] = { "hevc_vaapi", VIDEO_HEVC },
};

const char *hardware_name(enum video_encoder e)
{
    return encoders[e].name;
}

enum video_codec hardware_codec(enum video_encoder e)
{
    assert(e != ENCODER_SOFTWARE);
    return encoders[e].codec;
}
