// SPDX-License-Identifier: BSD-2-Clause
//
// plan - which renditions an asset has, what each promises, and what it takes
// to make one segment of it.  Pure: the same index, settings and asset give the
// same plan on every machine.

#ifndef CODEC_PLAN_H
#define CODEC_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "codec/job.h"
#include "codec/media.h"
#include "codec/segment.h"

#define PLAN_VIDEOS 40                  // rungs, perhaps twice, and the like
#define PLAN_LABEL (LANGUAGE_NAME + 48) // bytes of a label, its end included
#define PLAN_FILES 16                   // of subtitles beside the source
#define PLAN_SUFFIX 48                  // bytes of a suffix, its end included
#define PLAN_RENDITIONS (PLAN_VIDEOS + 3 * MEDIA_AUDIOS + MEDIA_TEXTS + PLAN_FILES)

struct conf;

// A record holds the number: new kinds go to the end.
enum rendition_kind {
    RENDITION_AUDIO,
    RENDITION_VIDEO,
    RENDITION_TRICK, // for fast play and scrubbing: a picture a segment (codec/stills.h)
    RENDITION_TEXT,  // subtitles (codec/texts.h)
    // Sheets of pictures instead of segments.
    RENDITION_STORYBOARD,
    RENDITION_POSTER,
    RENDITION_SOURCE, // its own video as it is (codec/passthrough.h)
    RENDITION_KINDS,
};

// moof sequence numbers rise by this from segment to segment.  Fragments last about half a
// second and segments at most twenty-one: more than any has.
#define SEQUENCES_PER_SEGMENT 64

// When entry playlists name a rendition.  What is below its recipe can be had at any time.
enum rendition_shown {
    SHOWN_ALWAYS,
    SHOWN_AT_EASE,
    SHOWN_UNDER_PRESSURE,
};

// A file beside the source.
struct plan_file {
    char suffix[PLAN_SUFFIX]; // of its name behind the source's, ".en.srt"
    struct key version;
};

// A rendition of this asset: what the encoder is told (in settings, which is
// all a worker sees) and what the playlists say.
struct rendition {
    char name[24]; // "720p", "audio-0": unique in the plan, a URL path segment
    enum rendition_kind kind;
    enum rendition_shown shown; // for entry playlists, not in the recipe
    struct video_settings
        v; // of the kinds video and trick; of source: codec, size, rate and colour
    struct audio_settings a; // of the kind audio
    bool copied;   // of the kind audio: the source's own (codec/sound_copy.h); quality is 0
    int64_t every; // of trick and storyboard: grid frames from a picture to the next
    struct sheet_settings s; // of the kinds storyboard and poster
    struct text_settings t;  // of the kind text
    int track;               // of audio and text: its number in the index, if it is no file
    struct plan_file file;   // of the kind text, if it is one
    struct tags tags;        // of the kinds audio and text; for playlists, not in the recipe
    char codecs[48];         // RFC 6381; "jpeg"
    // Bits per second that no segment of this rendition exceeds, container
    // included.  Each part starts with the buffer filled to init, and its encoder
    // brings it to half by the end at worst; so, with P the seconds of the shortest part,
    //   video  1.05 x (maxrate + max(0, init - 1/2) x bufsize / P) + 2000 + container
    //          (P < 1 s: there may be no time for that: init x bufsize / P)
    //          (in the ramp init is lower, plan_vbv_init, so that P is that of the others)
    //   trick  1.05 x bufsize / the shortest segment + container: a picture may take it all
    //   sheets stills_sheet_bytes over their time; coded more coarsely to stay below it
    //   source what the samples of the largest segment have, + container
    //   audio  1.6 x nominal (Opus 1.75), the spread on most sounds, + container;
    //          a segment that would exceed it is coded more coarsely (codec/av/audio.c).
    int64_t bandwidth;
    int64_t average;   // bits per second expected; a guess until something is made
    struct key recipe; // hash of everything a player relies on (codec/recipe.h)
};

// How the ladder meets the source, in this order:
// - a rung whose short side is larger than the source's is dropped (no upscaling);
//   where none is left there is one rung at the source's own size;
// - an interlaced source is deinterlaced, a picture for each frame; rungs of at least
//   media.every_field show each field as a picture, at twice the rate of the grid;
// - maxrate grows by half above 30 pictures per second;
// - maxrate is limited to a multiple of the source's own rate (1.5 for H.264), as more
//   saves nothing; where the source's own video is a rendition in the same codec and range, to
//   so much that players take that for the better one, which it is, if that is enough to be
//   worth looking at.  Never below 100 kb/s;
// - a rung that then saves less than 15 % of maxrate against the one above is dropped.
// Then, for times when viewers ask for more than can be made (pressure.short_side and
// pressure.preset):
// - larger rungs than it says are not shown under pressure, but for the smallest SDR rung of the
//   plainest codec;
// - beside each of the others that is coded in software there is a faster one, "480p-fast", which
//   is shown instead.
// Rungs of each codec and range are a ladder of their own; the limits of HEVC and AV1 are
// lower.

// A rung of the ladder that this asset does not get, and why; for `probe`.
struct dropped {
    char name[24];
    char why[120];
};

struct plan {
    struct segtab table;                          // owns memory: plan_finish
    bool growing;                                 // of a beginning: segments will follow
    int target_duration;                          // EXT-X-TARGETDURATION of all playlists
    struct rendition renditions[PLAN_RENDITIONS]; // source, video by falling size, audio, ...
    int count;
    struct dropped dropped[PLAN_VIDEOS];
    int dropped_count;
};

// Of a beginning (codec/beginning.h), and of what continues it, the table is open, and source is
// not offered; stills and the source's subtitles only of what continues it, as where the ones lie
// depends on the end, and the others may begin late.  All recipes of the beginning are among those
// of what continues it.
//
// Makes the plan.  asset and version identify the source in the recipes.
// headers stands for what the encoder library writes into headers (it comes
// from the workers' hello).  With the head of m alone, source is not offered.
// -E_UNSUPPORTED when there is nothing to show or hear, or no segment of a beginning is sure.
// plan_finish is due after 0 only.
int plan_make(struct plan *p, const struct conf *conf, const struct media *m, const char *asset,
              const char *version, const char *headers);

// Makes to, which owns nothing, a copy that has to be finished too.
void plan_copy(struct plan *to, const struct plan *from);

// Frees what a plan owns; may be repeated.
void plan_finish(struct plan *p);

// Whether it is made without a worker.
static inline bool rendition_is_copied(const struct rendition *r)
{
    return r->kind == RENDITION_SOURCE || r->copied;
}

static inline bool rendition_is_video(const struct rendition *r)
{
    return r->kind == RENDITION_VIDEO || r->kind == RENDITION_SOURCE;
}

// Adds the subtitles of a file beside the source.  The others stay as they are.  0;
// -E_LIMITS when there are enough of them.
int plan_add_file(struct plan *p, const char *language, enum text_format format, const char *suffix,
                  struct key file_version, const char *asset, const char *version,
                  const char *headers);

// Whether a plan of old (codec/record.h) is one of this index: the same grid, and for
// each rendition a track, interlaced where it is to be deinterlaced.  One with an open table
// gets the index's end.
bool plan_fit(struct plan *p, const struct media *m);

// The rendition of that name, or NULL.
const struct rendition *plan_find(const struct plan *p, const char *name);

// Leaves in p what entry playlists name under pressure, or at ease.
void plan_show(struct plan *p, bool pressed);

// What players show of r where they list its kind: its title, or the name of its language,
// and no other of the kind the same.
void plan_label(const struct plan *p, const struct rendition *r, char out[PLAN_LABEL]);

static inline bool plan_is_sheets(const struct rendition *r)
{
    return r->kind == RENDITION_STORYBOARD || r->kind == RENDITION_POSTER;
}

// Whether any of its video renditions keeps a high range.
bool plan_has_hdr(const struct plan *p);

// The codec of its video renditions that most players know, of those without a high range;
// VIDEO_CODECS: there are none.
enum video_codec plan_plainest(const struct plan *p);

// How many segments, or sheets, r has.
int plan_segments(const struct plan *p, const struct rendition *r);

// Where segment k of r starts (k = plan_segments: where the last one ends), in ticks of
// its track: plan_timescale of them a second.
int64_t plan_segment_start(const struct plan *p, const struct rendition *r, int k);
int64_t plan_timescale(const struct plan *p, const struct rendition *r);

// The same in microseconds, rounded: what telescoping EXTINFs are made of.
int64_t plan_segment_us(const struct plan *p, const struct rendition *r, int k);

// The samples of segment k: frames of video, packets of audio, pictures of a sheet; of text
// it is one.  Not of source: the index tells.
int64_t plan_segment_samples(const struct plan *p, const struct rendition *r, int k);

// Bits per second that the frames of no segment of r, an audio rendition, may exceed:
// what its bandwidth leaves beside the container.
int64_t plan_audio_maxrate(const struct plan *p, const struct rendition *r);

// How full the buffer of a part of segment k is when its encoder begins, in thousandths: in the
// ramp, what is above half is less in proportion to its time.  So a short segment, and any row of
// segments, takes no higher rate than those behind the ramp, and BANDWIDTH is theirs.
int plan_vbv_init(const struct plan *p, const struct rendition *r, int k);

// The sequence number of the first fragment of segment k.
int64_t plan_sequence(int k);

// Fills the job that makes the init segment, or segment k, of r, which is not copied.  back: 0, or
// how many sync samples earlier than needed decoding starts (after -E_SEEK). The job is to be
// finished with job_finish.  -E_NOT_FOUND: k outside the table, or the init segment of text or
// sheets, which have none.
int plan_init_job(const struct plan *p, const struct rendition *r, const struct media *m,
                  struct job *job);
int plan_segment_job(const struct plan *p, const struct rendition *r, const struct media *m, int k,
                     int back, struct job *job);

// The byte range of the source that the samples of a job span, of a transport stream a
// little less; *n is 0 where they are not worth being read as one: there are none, or they
// are texts, which lie far apart.
void plan_job_range(const struct job *job, int64_t *offset, int64_t *n);

#endif
