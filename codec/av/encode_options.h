// SPDX-License-Identifier: BSD-2-Clause
//
// encode_options - options of encoders, which have to be there.  Only encode*.c include this.

#ifndef CODEC_AV_ENCODE_OPTIONS_H
#define CODEC_AV_ENCODE_OPTIONS_H

#include <stdio.h>

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>

#include "base/base.h"

static inline void set_option(AVCodecContext *ctx, const char *name, const char *value)
{
    const int rc = av_opt_set(ctx->priv_data, name, value, 0);
    assert(rc == 0);
}

static inline void set_number(AVCodecContext *ctx, const char *name, int value)
{
    char text[12];
    snprintf(text, sizeof text, "%d", value);
    set_option(ctx, name, text);
}

#endif
