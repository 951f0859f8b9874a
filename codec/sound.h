// SPDX-License-Identifier: BSD-2-Clause
//
// sound - what the codecs of audio renditions need to be cut: the grid of their frames, and
// how much an encoder hears around the frames that are kept of it.  Pure.

#ifndef CODEC_SOUND_H
#define CODEC_SOUND_H

#include <stdint.h>

#include "base/rational.h"
#include "codec/job.h"

#define AAC_FRAME 1024 // samples of a frame
#define OPUS_FRAME 960
#define SOUND_FRAME_MAX AAC_FRAME

// Samples of a frame of these settings, and how many frames a second has.
int sound_frame(const struct audio_settings *a);
struct rational sound_frame_rate(const struct audio_settings *a);

// The samples [begin, end) that an encoder is fed for frames [first, first + frames): whole
// frames of them.  The packet that comes with pts i x sound_frame is frame i; those before
// first are dropped.
int64_t sound_feed_begin(const struct audio_settings *a, int64_t first);
int64_t sound_feed_end(const struct audio_settings *a, int64_t first, int64_t frames);

// What RFC 6381 calls it.
const char *sound_codecs(enum audio_codec codec);

// The bit rate that is usual with these settings: of AAC what its encoder is told as nominal.
int64_t sound_nominal_rate(const struct audio_settings *a);

#endif
