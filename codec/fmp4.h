// SPDX-License-Identifier: BSD-2-Clause
//
// fmp4 - writes fragmented MP4 (CMAF) from sample tables.  Pure; no edit lists,
// no sidx.  Composition offsets are signed (trun version 1) and the earliest
// presentation time of a part equals its tfdt.
// Rules: ISO/IEC 14496-12 (boxes), 14496-14 (esds), 23000-19 (CMAF), and "Encapsulation of
// Opus in ISO Base Media File Format".

#ifndef CODEC_FMP4_H
#define CODEC_FMP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/media.h"

enum fmp4_coding {
    FMP4_AVC,
    FMP4_HEVC,
    FMP4_AV1,
    FMP4_CODINGS, // of video
    FMP4_AAC = FMP4_CODINGS,
    FMP4_OPUS,
};

struct fmp4_track {
    bool video;
    enum fmp4_coding coding;
    uint32_t timescale;
    // video
    int width, height;
    struct colour colour;       // written as colr nclx
    struct mastering mastering; // written as mdcv and clli, where it says something
    // The body of avcC, hvcC, av1C or dOps (codec/avc.h, hevc.h, av1.h, opus.h), or
    // AudioSpecificConfig; borrowed.
    const uint8_t *config;
    size_t config_size;
    // audio
    int sample_rate, channels;
    uint32_t bitrate; // for esds, nominal
};

struct fmp4_sample {
    uint32_t size;
    uint32_t duration; // ticks
    int32_t offset;    // presentation - decode time, ticks; video
    bool sync;
};

// ftyp + moov.  0 or the buffer's error.
int fmp4_init(struct buf *out, const struct fmp4_track *t);

// styp, once at the start of a segment.
int fmp4_styp(struct buf *out);

// moof, and the head of the mdat of samples whose bytes, n in all, come behind it.
// decode_time: tfdt of the first.  sequence: from 1, rising in the track.
int fmp4_fragment_head(struct buf *out, const struct fmp4_track *t, uint32_t sequence,
                       uint64_t decode_time, const struct fmp4_sample *samples, int count,
                       size_t n);

// The same and the bytes themselves: moof + mdat of samples whose bytes stand one after another in
// data.
int fmp4_fragment(struct buf *out, const struct fmp4_track *t, uint32_t sequence,
                  uint64_t decode_time, const struct fmp4_sample *samples, int count,
                  const uint8_t *data, size_t n);

// ---- reading back what was written (fmp4_read.c)

// What a segment holds, read back from its bytes.
struct fmp4_summary {
    int fragments;
    int64_t samples;
    uint64_t start;    // first tfdt
    uint64_t duration; // sum of sample durations
    bool begins_sync;
};

// Walks the boxes of a media segment as a strict reader: styp, then moof + mdat
// pairs that fill the bytes exactly, tfdt chaining without a gap.  -E_CORRUPT.
int fmp4_check(const uint8_t *bytes, size_t n, struct fmp4_summary *out);

// A sample in a media segment, whose bytes data points into.
struct fmp4_found {
    struct fmp4_sample s;
    uint64_t time; // of decoding, ticks
    const uint8_t *data;
};

// The samples of a media segment that fmp4_check takes, in decode order; *out is to be
// freed.  -E_CORRUPT, -E_LIMITS for more than max, and *out is NULL then.
int fmp4_samples(const uint8_t *bytes, size_t n, int max, struct fmp4_found **out, int *count);

// How many of these bytes, the first n of a media segment, are whole fragments; 0 for none.
size_t fmp4_whole_fragments(const uint8_t *bytes, size_t n);

// The track of an init segment; its config points into the bytes.  Nothing is said of
// colour and bitrate.  -E_CORRUPT, also for a coding that fmp4_init does not write.
int fmp4_read_init(const uint8_t *bytes, size_t n, struct fmp4_track *out);

#endif
