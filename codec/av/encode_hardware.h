// SPDX-License-Identifier: BSD-2-Clause
//
// encode_hardware - how the encoders of graphics processors are configured.
//
// They have no capped CRF in common: they get a mean rate below a maxrate, no B-frames, no
// lookahead and no picture that is coded anew for its contents.  What came is looked at, as of
// SVT-AV1.  They were never tried: nobody here has one.

#ifndef CODEC_AV_ENCODE_HARDWARE_H
#define CODEC_AV_ENCODE_HARDWARE_H

#include <libavcodec/avcodec.h>

#include "codec/job.h"

// Sets what v->encoder (not ENCODER_SOFTWARE) needs beyond what all encoders are told of the
// picture, and gives it its device.  0, or a negative AVERROR: there is no device.
int hardware_configure(AVCodecContext *ctx, const struct video_settings *v);

// What CODECS promises has to be what a driver made of it: config is the body of avcC or hvcC.
bool hardware_keeps_promise(const struct video_settings *v, const uint8_t *config, size_t n);

#endif
