// SPDX-License-Identifier: BSD-2-Clause
//
// encode - the encoders and the only place where they are configured, so
// that the init segment and every part of every segment agree.

#ifndef CODEC_AV_ENCODE_H
#define CODEC_AV_ENCODE_H

#include <libavcodec/avcodec.h>

#include "base/buf.h"
#include "codec/av/fail.h"
#include "codec/fmp4.h"
#include "codec/job.h"

// Opens an encoder for one part of a video; to be freed with encode_close.
int encode_open_video(AVCodecContext **out, const struct video_settings *v, const struct why *why);

// Opens an encoder for a stretch of audio; the same.  quality: that of the settings, or
// less, down to 1: the same audio bandwidth with more noise, and far below it a narrower one.
// It takes samples in the format that it says.
int encode_open_audio(AVCodecContext **out, const struct audio_settings *a, int quality,
                      const struct why *why);

// Opens an encoder for JPEGs of pictures like this one (yuvj420p): baseline, nothing in it but
// the picture; the same.  quality: the scale of the quantiser, 2 .. 31.
int encode_open_jpeg(AVCodecContext **out, const AVFrame *like, int quality, const struct why *why);

// The track that such an encoder makes.  config (to be finished) receives the
// bytes that t borrows.  It may have to code a picture for that, and takes no other then.
int encode_track(AVCodecContext *encoder, const struct job *job, bool video, struct fmp4_track *t,
                 struct buf *config, const struct why *why);

// Frees an encoder of video, whatever it still has to code, and nulls *encoder; NULL is
// fine.  May take as long as a few pictures.
void encode_close(AVCodecContext **encoder);

// Gives it a picture as the filters make them, or NULL: avcodec_send_frame.
int encode_give(AVCodecContext *encoder, const AVFrame *picture);

// Codes one grey picture and ends its stream.  0, or a negative AVERROR.
int encode_one(AVCodecContext *encoder, AVPacket *packet);

// Appends the coded picture in [p, p + n) as MP4 holds it: NAL units with their length in
// front, without an encoder's note about itself; or OBUs.
int encode_sample(struct buf *out, enum video_codec codec, const uint8_t *p, size_t n);

#endif
