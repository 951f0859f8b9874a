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

void swap_bytes(uint8_t *p, int n)
{
    for (int i = 0; i + 1 < n; i += 2) {
        const uint8_t first = p[i];
        p[i] = p[i + 1];
        p[i + 1] = first;
    }
}

static bool has_property(enum codec_id c, int property)
{
    const AVCodec *decoder = avcodec_find_decoder_by_name(codec_decoder(c));
    const AVCodecDescriptor *d = decoder ? avcodec_descriptor_get(decoder->id) : NULL;
    return d && d->props & property;
}

bool codec_reorders(enum codec_id c)
{
    return has_property(c, AV_CODEC_PROP_REORDER);
}

bool codec_is_intra(enum codec_id c)
{
    return has_property(c, AV_CODEC_PROP_INTRA_ONLY);
}
