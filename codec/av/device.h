// SPDX-License-Identifier: BSD-2-Clause
//
// device - pictures for the encoders of graphics processors.

#ifndef CODEC_AV_DEVICE_H
#define CODEC_AV_DEVICE_H

#include <libavcodec/avcodec.h>

// Gives an encoder that is not open yet, of VAAPI, the first device there is and pictures in
// its memory.  0 or an AVERROR.
int device_attach(AVCodecContext *encoder);

// A copy of a picture (yuv420p) as such an encoder takes it: NV12, in the device's memory if it has
// some; to be freed with av_frame_free.  NULL: no memory, there or here.
AVFrame *device_picture(const AVCodecContext *encoder, const AVFrame *picture);

#endif
