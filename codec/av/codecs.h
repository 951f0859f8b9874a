// SPDX-License-Identifier: BSD-2-Clause
//
// codecs - our kinds of coded media as libavcodec knows them.

#ifndef CODEC_AV_CODECS_H
#define CODEC_AV_CODECS_H

#include <stdbool.h>

#include <libavcodec/avcodec.h>

#include "codec/media.h"

// Ours for what libavcodec calls id; CODEC_NONE when we do not read it.
enum codec_id codec_of(enum AVCodecID id);

// Of a kind whose words are swapped in its container: makes of it what the decoder knows, or back.
void swap_bytes(uint8_t *p, int n);

// Whether its pictures may come in another order than they are decoded in.
bool codec_reorders(enum codec_id c);

// Whether none of its pictures leans on another.
bool codec_is_intra(enum codec_id c);

#endif
