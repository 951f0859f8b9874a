// SPDX-License-Identifier: BSD-2-Clause
//
// index - the sample tables of a source with presentation times, which libavformat does
// not give, and our own parsers of MP4/MOV and Matroska/WebM that make them.  They read
// through struct io only what they need and treat every byte as hostile.  No libav here.
// (Sources of other containers: scan.h.)

#ifndef CODEC_AV_INDEX_H
#define CODEC_AV_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/io.h"
#include "codec/job.h"
#include "codec/media.h"

// The pts of a laced audio frame that is not the first of its block: it begins
// where the frame before it ends.
#define INDEX_NO_PTS INT64_MIN

// Times in a container beyond this many ticks are taken for damage; sums of a
// few of them fit int64_t.
#define INDEX_TIME_MAX ((int64_t)1 << 56)

#define INDEX_PARTS_MAX 100

// A part of an edit list, in ticks: what the track has of [from, to) is presented from `at` on.
struct index_part {
    int64_t at, from, to;
};

// Of a sample that is not presented, but others may lean on it.
enum index_hidden {
    INDEX_SHOWN,
    INDEX_HIDDEN,
    INDEX_ANEW, // and it does not go on with the sample before it: a sync sample that others follow
};

// One track as it stands in the container, before T0 is known.
struct index_track {
    bool video, audio;
    enum text_format text;    // TEXT_NONE: no subtitles, or of a kind that we do not read
    int number;               // position among all tracks of the file: libavformat's stream index
    int64_t timescale;        // ticks per second, 1 .. 10^9
    struct sample *samples;   // decode order; pts in ticks on the presentation timeline (edit
                              // list applied); none where refused
    struct carriage carriage; // what the offsets of samples are
    uint8_t (*heads)[2]; // of all but an MP4: the first two bytes of each packet (0 past its end);
                         // of DV's sound how many samples it holds
    int sample_count;    // <= MEDIA_SAMPLES_MAX over all tracks
    int sample_cap;      // private
    uint8_t *hidden;     // enum index_hidden of each sample; NULL: all are shown
    // By which the samples are yet to be presented (index_present); their times are those of the
    // media until then.
    struct index_part *parts;
    int part_count;
    int lost;               // samples left out because the file ends before them
    int64_t end;            // presentation end in ticks (edit list applied); INT64_MAX: open
    bool end_is_exact;      // to the sample of a sound: what is decoded past it is padding
    int64_t codec_delay_ns; // decoded audio to drop at the start (Matroska CodecDelay)
    int64_t padding_ns;     // and at the end
    struct headers more_headers[MEDIA_HEADERS]; // of samples that name them
    int more_headers_count;
    struct strip strip;
    struct tags tags;
    bool enabled;      // default / enabled flag
    bool swapped;      // the bytes of each word of its samples are: CODEC_AC3_SWAPPED
    bool decode_times; // pts are times of decoding (Matroska's V_MS/VFW/FOURCC)
    bool refused;      // edit list beyond what we follow, encryption, ... (why says it)
    char why[120];
};

struct index {
    enum container container;
    bool fragmented; // MP4 in fragments
    bool beginning;  // it breaks off (job_limits.first)
    struct index_track *tracks;
    int track_count;
};

// Whether anything of it may be used.
static inline bool index_is_wanted(const struct index_track *t)
{
    return !t->refused && (t->video || t->audio || t->text);
}

// 0; -E_CORRUPT, -E_UNSUPPORTED, -E_LIMITS (job_limits) with one line in detail; or what io
// returned.  index_finish is due in either case.
int index_read_mp4(struct io *io, const struct job_limits *limits, struct index *out, char *detail,
                   size_t cap);
int index_read_matroska(struct io *io, const struct job_limits *limits, struct index *out,
                        char *detail, size_t cap);

void index_finish(struct index *x);

// Puts the samples of t in the order of its parts, if it has any: of pictures also those that have
// to be decoded before and between them, which are hidden; of sound whole frames, as many as come
// nearest; so a sample may be there more than once.  t may be left without any.  0, -E_LIMITS or
// -E_NO_MEMORY.
int index_present(struct index_track *t);

// ---- for the two parsers

// A new track at the end, language "und", enabled.  The pointer is valid until the next call.
struct index_track *index_add_track(struct index *x);

// Appends a sample; head is its first two bytes, NULL in an MP4.  0; -E_LIMITS when the
// file has more than MEDIA_SAMPLES_MAX; -E_NO_MEMORY.
int index_add_sample(struct index *x, struct index_track *t, const struct sample *s,
                     const uint8_t *head);

// Marks the sample that was added last as not presented.  0 or -E_NO_MEMORY.
int index_hide(struct index_track *t, enum index_hidden how);

// Marks t as not to be used, and frees its samples.
void index_refuse(struct index_track *t, const char *why);

// The end of the presentation as the samples alone tell it; INT64_MIN without samples.
int64_t index_samples_end(const struct index_track *t);

#endif
