// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/codecs.h"

#include <pthread.h>

static const AVCodec *decoders[CODEC_COUNT];

static void find_decoders(void)
{
    for (enum codec_id c = CODEC_NONE + 1; c < CODEC_COUNT; c++)
        decoders[c] = avcodec_find_decoder_by_name(codec_decoder(c));
}

// NULL: this libavcodec has none.  To find one by its name takes some thousand steps, and a scan
// asks at each packet.
static const AVCodec *decoder_of(enum codec_id c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_decoders);
    return decoders[c];
}

enum codec_id codec_of(enum AVCodecID id)
{
    for (enum codec_id c = CODEC_NONE + 1; c < CODEC_COUNT; c++)
        if (decoder_of(c) && decoder_of(c)->id == id)
            return c;
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
    const AVCodec *decoder = decoder_of(c);
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
