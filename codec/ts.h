// SPDX-License-Identifier: BSD-2-Clause
//
// ts - writes a segment of an MPEG transport stream from the fragmented MP4 of the
// same pictures and sounds.  Pure.
// Rules: ISO/IEC 13818-1 (packets, tables, PES), 14496-10 Annex B (H.264 in bytes),
// 14496-3 1.A.3 (ADTS), RFC 8216 3.2 (one program; PAT and PMT first).
//
// A segment knows nothing of the ones before and continues them all the same:
//
// - Times are TS_OFFSET + the time in the table, on the clock of 90 kHz, which wraps
//   after 2^33 ticks.  Decode times are TS_REORDER frames early, always, so that none is
//   behind its presentation time; the PCR is early by another fixed span.
// - Continuity counters: of PAT and PMT there is one packet each, with k mod 16.  Of
//   every other PID a segment has a multiple of 16 packets, so that each begins at 0: the
//   last PES packet is spread over as many more as that takes, each with one byte of it at
//   least (a packet without payload would not count; of nine bytes of video or eight of
//   sound on, the PES header stays in one).  It costs 7.5 packets or 1.4 kB on
//   the mean, 2.8 kB at most, for each PID and segment.
//
// So a player may also go from any segment of one rendition to any next one of another.

#ifndef CODEC_TS_H
#define CODEC_TS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rational.h"

#define TS_PACKET 188
#define TS_OFFSET 900000 // ticks of 90 kHz
#define TS_REORDER 2     // frames: what x264 needs with B-frames as references

// One track: its init segment, and the media segment or its beginning.  Borrowed.
struct ts_input {
    const uint8_t *init;
    size_t init_size;
    const uint8_t *media;
    size_t media_size;
    bool whole; // nothing will follow in media
};

// Appends segment k of H.264 video with AAC audio; either may be NULL.  While an input is
// not whole, only what does not depend on the rest: a longer beginning gives the same bytes
// and perhaps more.  0, or -E_CORRUPT for inputs that are not what fmp4.h writes,
// -E_LIMITS, or the buffer's error.
int ts_segment(struct buf *out, int k, const struct ts_input *video, const struct ts_input *audio);

// Whether these are whole packets with PAT and PMT of segment k first, and right counters.
bool ts_check(const uint8_t *bytes, size_t n, int k);

// Bits per second that no segment of at least shortest seconds exceeds, when its coded
// samples do not exceed rate.  fps: of frames; idr: seconds from one IDR picture to the next
// at least; alone: no video beside it.
int64_t ts_video_rate(int64_t rate, struct rational fps, struct rational idr,
                      struct rational shortest);
int64_t ts_audio_rate(int64_t rate, int sample_rate, bool alone, struct rational shortest);

#endif
