// SPDX-License-Identifier: BSD-2-Clause
//
// probe_steps - what the steps of a probe share (av_probe).  Only the files probe*.c include
// this.
//
//   probe.c          the order of the steps; the tables and headers of the source
//   probe_choose.c   which of its tracks are taken
//   probe_compare.c  our tables against libavformat's
//   probe_order.c    the order of pictures that an MP4 does not tell
//   probe_decode.c   the first pictures and sounds, decoded
//   probe_video.c    the track of video, and T0
//   probe_audio.c    the tracks of sound
//   probe_texts.c    the tracks of subtitles
//
// Each step returns 0, or a negative enum err and a line in p->why; all read through
// p->meter.  One thread.

#ifndef CODEC_AV_PROBE_STEPS_H
#define CODEC_AV_PROBE_STEPS_H

#include "codec/av/demux.h"
#include "codec/av/index.h"
#include "codec/av/meter.h"
#include "codec/av/recent.h"

// A track that is made use of.
struct chosen {
    struct index_track *track; // NULL: there is none
    AVStream *stream;
    enum codec_id codec;
};

struct probe {
    // borrowed
    const struct job *job;
    const struct why *why;

    struct meter meter;
    struct recent recent; // of a source that is scanned
    enum container container;
    struct carriage how; // its packets lie
    struct index index;
    struct demux demux;
    struct chosen video, audio;
    struct media *media;
    int64_t t0;   // ticks of the video
    bool *second; // fields_second; NULL: none
};

// What the decoder makes of the first packets of sound.  Implicit SBR may show up
// late, and doubles the rate.
struct sound {
    int rate, channels, samples;
    int first;   // samples of the first packet
    bool second; // there was one of a second
};

// ---- probe.c

// The stream of t in the headers; NULL: it has none.
AVStream *probe_stream(const struct probe *p, const struct index_track *t);

// The codec's headers, a copy; to be freed.
int probe_copy_extradata(const struct probe *p, const AVCodecParameters *par, uint8_t **out,
                         int *size);

// -E_LIMITS: it ends, in units of timescale, later than jobs allow.
int probe_check_length(const struct probe *p, int64_t end, int64_t timescale);

// ---- probe_choose.c

// Whether the track can be taken.
int probe_check_track(const struct index_track *t, const AVStream *st, const struct why *why);

// One that can.
struct chosen probe_chosen(struct index_track *t, AVStream *st);

// Fills p->video and p->audio.
int probe_choose(struct probe *p);

// ---- probe_compare.c

// What can be compared of one track; nothing where it is not there.
int probe_compare_track(struct probe *p, const struct chosen *c);

// Of both chosen tracks.  Sound that does not agree is left out beside video.
int probe_compare(struct probe *p);

// ---- probe_order.c

// Mends the times of p->video's samples, where they are those of decoding, and their sync flags.
int probe_order(struct probe *p);

// ---- probe_decode.c

// Decodes the first samples of t, which p->media knows already: pictures until one has come,
// which is in frame then; sound to the end of what was given.  How many frames came, or a
// negative enum err.  sound may be NULL for video.  *damaged, unless it is NULL: not all of
// it decoded well.
int probe_decode(struct probe *p, const struct index_track *t, AVFrame *frame, struct sound *sound,
                 bool *damaged);

// ---- the tracks, as p->media has them; frame is for use meanwhile

int probe_video(struct probe *p, AVFrame *frame);      // and p->t0
int probe_audio(struct probe *p, AVFrame *frame);      // the chosen one
int probe_more_audio(struct probe *p, AVFrame *frame); // all others
int probe_texts(struct probe *p);

#endif
