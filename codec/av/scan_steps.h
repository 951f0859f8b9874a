// SPDX-License-Identifier: BSD-2-Clause
//
// scan_steps - what the steps of a scan share (scan.h).  Only the files scan*.c include this.
//
//   scan.c          the order of the steps
//   scan_track.c    what a track is, once its first packet is there
//   scan_split.c    packets of several samples
//   scan_packet.c   one sample: its time, and where it lies
//   scan_picture.c  what a picture says of itself
//   scan_dif.c      the sound of DV
//   scan_end.c      what can be said only when all packets were seen
//
// Functions return 0, or a negative enum err and a line in s->why, unless they say otherwise.  One
// thread.

#ifndef CODEC_AV_SCAN_STEPS_H
#define CODEC_AV_SCAN_STEPS_H

#include <libavcodec/avcodec.h>

#include "codec/av/dif.h"
#include "codec/av/picture_times.h"
#include "codec/av/scan.h"
#include "codec/av/timeline.h"
#include "codec/av/trace.h"
#include "codec/av/vc1.h"

// What we hold of a stream of the demuxer while its packets are read.
struct scan_track {
    enum codec_id codec; // CODEC_NONE: its packets are of no interest
    struct trace trace;
    bool sliced; // real.h
    bool adrift; // until the next sync sample
    int missing; // packets that stand nowhere in the source as they are
    int64_t add; // to its times (timeline.h)
    bool timed;
    int64_t earliest, latest; // of its packets' times

    // video
    AVCodecParserContext *parser;
    AVCodecContext *headers; // of the parser
    struct vc1 vc1;
    struct picture *pictures;
    int picture_cap;
    bool half; // the last sample is one field, and the other is missing
    int owed;  // packets that stand for a picture which came with the one before
};

struct scan {
    // borrowed
    struct io *io;
    struct demux *demux;
    const struct job_limits *limits;
    struct carriage how;
    struct index *x;
    const struct why *why;

    struct scan_track *tracks; // as many as x has
    struct timeline timeline;
    bool wraps; // its clocks do

    // The DV frame that was met last, whose sound libavformat gives as packets of their own.
    struct dif_sound dif; // bytes 0: it has none
    int64_t dif_pos;      // as the demuxer has it
    int64_t dif_offset, dif_pts;
    int dif_timescale; // of its time
    int dif_stream;    // where its sound is, once it is known
};

// ---- scan_track.c

// A track for each stream that the demuxer knows by now.
int scan_add_streams(struct scan *s);

// Begins the track of p, unless it has begun: a stream may be known before anybody can say what is
// in it.  Negative (no enum err, no line): there is no memory.
int scan_begin_track(struct scan *s, const AVPacket *p);

// Takes the headers that its decoder needs from the first sync sample, where the container has
// none.
int scan_headers(struct scan *s, const AVPacket *p);

void scan_end_track(struct scan_track *k);

// ---- scan_split.c

// Adds what samples p holds.  It is changed.
int scan_add_all(struct scan *s, AVPacket *p);

// ---- scan_packet.c

// A time of the demuxer on the one time line, in ticks; INDEX_NO_PTS for none.
int64_t scan_time_of(const struct scan *s, const struct scan_track *k, const AVStream *st,
                     int64_t t);

// That the track reaches to there.
void scan_note_time(struct scan_track *k, int64_t t);

// Adds p as one sample, or leaves it out.
int scan_add_packet(struct scan *s, AVPacket *p);

// ---- scan_picture.c

// Adds a picture; head: the first two bytes of p.  As index_add_sample.
int scan_add_video(struct scan_track *k, struct scan *s, struct index_track *t,
                   struct sample *sample, const AVPacket *p, const uint8_t *head);

// ---- scan_dif.c

// Whether p is sound that libavformat took out of the DV frame before it.
bool scan_is_dif(const struct scan *s, const AVPacket *p);

void scan_begin_dif(struct scan *s, AVStream *st);
int scan_add_dif(struct scan *s, const AVPacket *p);

// Remembers what frame the sound that comes next lies in.
void scan_note_dif(struct scan *s, const AVPacket *p, const struct sample *sample);

// ---- scan_end.c

// Times and carriage of track i, all of whose packets were seen.  Negative: there is no memory.
int scan_close_track(struct scan *s, int i);

#endif
