// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/codecs.h"

enum codec_id codec_of(enum AVCodecID id)
{
    for (enum codec_id c = CODEC_NONE + 1; c < CODEC_COUNT; c++) {
        const AVCodec *decoder = avcodec_find_decoder_by_name(codec_decoder(c));
        if (decoder && decoder->id == id)
            return c;
    }
    return CODEC_NONE;
}

bool codec_reorders(enum codec_id c)
{
    switch (c) {
    case CODEC_MSMPEG4V2:
    case CODEC_MSMPEG4V3:
    case CODEC_WMV1:
    case CODEC_WMV2:
    case CODEC_H263:
    case CODEC_FLV1:
    case CODEC_THEORA:
    case CODEC_MJPEG:
    case CODEC_PRORES:
    case CODEC_DNXHD:
        return false;
    default:
        return true;
    }
}
