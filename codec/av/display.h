// SPDX-License-Identifier: BSD-2-Clause
//
// display - how the pictures of a source are to be shown: which side is up, how wide a pixel
// is, how large and how deep they are coded.

#ifndef CODEC_AV_DISPLAY_H
#define CODEC_AV_DISPLAY_H

#include <libavformat/avformat.h>

#include "codec/media.h"

// Sets rotate, mirror, sar_num, sar_den, coded_width, coded_height and bit_depth of v, as
// stream st of ctx and its first picture tell them.  A ratio that makes no sense becomes 1:1.
void display_read(struct video_track *v, AVFormatContext *ctx, AVStream *st, AVFrame *first);

#endif
