// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4 - what the parser of MP4 and MOV shares among its files.  Only index_mp4*.c include
// this.
//
//   index_mp4.c         the top level: moov, and which of its parts are read
//   index_mp4_trak.c    the boxes of a trak
//   index_mp4_edits.c   edit lists
//   index_mp4_entries.c which headers a sample is decoded by
//   index_mp4_itunes.c  what iTunes notes instead
//   index_mp4_tables.c  sample tables
//   index_mp4_moof.c    fragments
//
// Functions return 0 or a negative enum err and a line in m->why, unless they say otherwise.

#ifndef CODEC_AV_INDEX_MP4_H
#define CODEC_AV_INDEX_MP4_H

#include "base/buf.h"
#include "codec/av/index.h"
#include "codec/av/mp4_boxes.h"
#include "codec/fail.h"
#include "codec/window.h"

// A part of an edit list, in ticks of the movie but for media_time.
struct edit {
    int64_t at; // when it is presented
    int64_t media_time;
    int64_t duration; // 0: to the end
};

// The defaults of a track's samples in fragments.
struct defaults {
    uint32_t duration, size, flags;
};

// The least that the chunks of a sound may have, where its tables count samples of a tick: PCM,
// or of QuickTime a packet of another kind, for which they have no size.
struct chunk_unit {
    uint32_t bytes; // 0: it is none of these
    uint32_t samples;
};

struct trak {
    uint32_t id;
    uint32_t handler;   // vide, soun, ...
    uint32_t timescale; // as it stands there
    uint32_t entry;     // type of the first sample entry
    struct reader stsd; // all of them; borrowed from moov
    bool enabled;
    struct tags tags;
    enum text_format text;
    struct edit edits[INDEX_PARTS_MAX];
    int edit_count;
    struct index_part heard; // of a track without an edit list; to == 0: nobody says
    const char *refused;     // or NULL
    struct reader stts, ctts, stss, stsz, stsc, stco; // entries; borrowed from moov
    bool has_stts, has_stss, has_stsz, has_stsc, has_stco, wide_offsets;
    uint32_t size_all; // size of every sample, or 0
    uint32_t size_count;
    int size_bits; // of one entry of stsz
    struct chunk_unit unit;
    struct defaults trex;
    uint32_t description; // of samples in fragments that tell no other
    int64_t next_dts;     // where the next fragment begins unless it says otherwise
    // The greatest times of its samples in fragments so far; INT64_MIN: there is none.
    int64_t latest_dts, latest_pts;
};

struct mp4 {
    struct window *w;
    const struct why *why;
    struct index *x;
    struct buf moov;
    int64_t movie_timescale;
    bool fragmented;
    struct trak *traks; // [x->track_count]
};

// -E_CORRUPT.
int mp4_corrupt(const struct mp4 *m, const char *box);

// An offset in the file.  One that is past any file stays so, but may be added to.
static inline int64_t get_offset(struct reader *r, int n)
{
    const uint64_t v = get_be(r, n);
    return v < INT64_MAX / 2 ? (int64_t)v : INT64_MAX / 2;
}

// NULL, or why this edit list cannot be followed: r is the body of an elst.
const char *mp4_parse_edits(const struct mp4 *m, struct trak *t, struct reader r);

// What a file of sound presents by a note of iTunes, in samples.  False: it has none.
bool mp4_parse_itunes(struct reader moov, struct index_part *heard);

// Moves t's samples to where k's edit presents them, and sets its end; or tells t of several parts.
int mp4_apply_edits(const struct mp4 *m, const struct trak *k, struct index_track *t);

// The headers by which samples of that sample entry (from 1) are decoded, for struct sample: new
// ones become t's.  false: t is refused for it.
bool mp4_headers(const struct trak *k, struct index_track *t, uint32_t entry, uint8_t *headers);

// Fills t, from moov.
int mp4_parse_trak(const struct mp4 *m, struct trak *t, struct reader trak);

// Adds k to the index, with the samples of its tables.
int mp4_add_track(struct mp4 *m, struct trak *k);

// Makes one sample of what is said about it.  1: it is there; 0: the file
// ends before it; or an error.
int mp4_add_sample(struct mp4 *m, struct index_track *t, const struct sample *s);

// Adds the samples of a moof that stands at that offset.  *ended: the file ends in them.
int mp4_parse_moof(struct mp4 *m, struct reader moof, int64_t at, bool *ended);

#endif
