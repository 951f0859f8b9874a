// SPDX-License-Identifier: BSD-2-Clause
//
// AAC: the encoder is one frame behind.  Its first packet is priming and dropped, so that an
// encode of the whole begins one frame before the first that is kept; it needs 32 frames to
// settle, and the two behind the last to know how blocks go on.
//
// Opus: libopus is 312 samples behind, and codes a frame as soon as it is there.  At a
// complexity that leaves out its analysis of music and speech, and at 96 kb/s or more, 64
// frames make the packets those of a continuous encode.  (Below, it spends more or less by an
// average of loudness that takes 20 s to be forgotten; then there is as little to hear of a
// border, and the 4 frames that RFC 7845 asks for are too few for either.)  An encode of the
// whole begins with the first frame that is kept, because a decoder begins there too, and both
// must know the same: the first 312 samples are silence.

#include "codec/sound.h"

#include "base/base.h"

static const struct codec {
    const char *codecs;
    int frame;
    int delay;    // samples by which the encoder is behind
    int pre_roll; // frames
    int lowest;   // no encode begins before this frame
    int ahead;    // samples behind the last frame that the encoder has to hear
} codecs[AUDIO_CODECS] = {
    [AUDIO_AAC] = { "mp4a.40.2", AAC_FRAME, AAC_FRAME, 32, -1, 2 * AAC_FRAME },
    [AUDIO_OPUS] = { "opus", OPUS_FRAME, 312, 64, 0, 312 },
};

int sound_frame(const struct audio_settings *a)
{
    return codecs[a->codec].frame;
}

struct rational sound_frame_rate(const struct audio_settings *a)
{
    return (struct rational){ a->sample_rate, sound_frame(a) };
}

int64_t sound_feed_begin(const struct audio_settings *a, int64_t first)
{
    const struct codec *const c = &codecs[a->codec];
    const int64_t frame = first - c->pre_roll;
    return (frame > c->lowest ? frame : c->lowest) * c->frame + c->delay;
}

int64_t sound_feed_end(const struct audio_settings *a, int64_t first, int64_t frames)
{
    const struct codec *const c = &codecs[a->codec];
    return (first + frames) * c->frame + c->ahead;
}

const char *sound_codecs(enum audio_codec codec)
{
    return codecs[codec].codecs;
}

int64_t sound_nominal_rate(const struct audio_settings *a)
{
    if (a->codec == AUDIO_OPUS)
        return a->quality;
    return a->channels > 1 ? 64000 * a->channels : 72000;
}
