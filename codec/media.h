// SPDX-License-Identifier: BSD-2-Clause
//
// media - the index: what we must know of one version of a source to plan and
// make anything from it.  A worker builds it once (the probe); packed, it is an
// object in every tier: a small head first, then the sample tables.
//
// Time.  T0 is the presentation time of the first presented video frame (of the
// first audio sample where there is no video), after edit lists.  All times
// below count from T0: video in ticks of video.timescale, audio in decoded
// samples at audio.sample_rate.
//
// The bytes of a packed index are hostile (disk, Redis, a worker): media_unpack
// range-checks everything once, and whoever holds a struct media may rely on
// every rule written here.

#ifndef CODEC_MEDIA_H
#define CODEC_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rational.h"
#include "codec/carriage.h"
#include "codec/language.h"
#include "codec/start.h"

#define MEDIA_SAMPLES_MAX (8 * 1000 * 1000) // of one track
#define MEDIA_EXTRADATA_MAX (64 * 1024)
#define MEDIA_HEADERS 16 // of one track, beside its first
#define MEDIA_STRIP_MAX 64
#define MEDIA_PALETTE 1024                // 256 colours of four bytes, as libavcodec takes them
#define MEDIA_SIZE_MAX ((int64_t)1 << 50) // bytes of a source
#define MEDIA_AUDIOS 16                   // tracks of sound
#define MEDIA_TEXTS 32                    // tracks of subtitles
#define MEDIA_TEXT_SAMPLES (100 * 1000)   // of one of them
#define MEDIA_TEXT_RATE 1000              // ticks a second of their samples
#define MEDIA_TITLE 64                    // bytes of a title, its end included
#define MEDIA_SECONDS_MAX 1000000         // all times lie within this of T0

enum codec_id {
    CODEC_NONE,
#define X(id, name, decoder, video) id,
#include "codec/codecs.def"
#undef X
    CODEC_COUNT,
};

enum container {
    CONTAINER_NONE,
#define X(id, demuxer, name) id,
#include "codec/containers.def"
#undef X
    CONTAINER_COUNT,
};

#define SAMPLE_UNSEEN                                                                              \
    (-1) // pts of a packet that no picture comes of: VP8 has hidden ones,
         // the second field of a picture may be one, and one whose picture is left
         // out between others (an edit list)
#define SAMPLE_ANEW                                                                                \
    (-2) // the same of a sync sample that does not go on with what stands before it: the
         // decoder is to forget that
// One coded packet, in decode order.
struct sample {
    int64_t offset;    // as the track's carriage says; offset + size lies within
                       // carriage_size
    int64_t pts;       // of the track's clock from T0; may be negative (decode only)
    uint32_t size;     // > 0
    uint32_t duration; // audio: decoded samples; video: ticks, 0 = unknown
    bool sync;         // decoding may start here
    uint8_t headers;   // video: what it is decoded by: 0 the track's extradata, n the n-th more
};

// Those of a codec, as extradata.
struct headers {
    uint8_t *bytes;
    int size; // 1 .. MEDIA_EXTRADATA_MAX
};

// The content encodings of Matroska: these bytes precede every packet, or (of texts only) each is
// compressed by zlib.
struct strip {
    uint8_t bytes[MEDIA_STRIP_MAX];
    int n;
    bool deflated;
};

// Code points of ISO/IEC 23091-2 (2 = unspecified).
struct colour {
    int primaries, transfer, matrix;
    bool full_range;
};

// How a picture is woven of two fields that were seen one after another, half a
// picture's time apart.
enum field_order {
    FIELDS_NONE,         // it is not: progressive
    FIELDS_TOP_FIRST,    // the lines 0, 2, 4, ... were seen first
    FIELDS_BOTTOM_FIRST, // the lines 1, 3, 5, ...
    FIELDS_COUNT,
};

// What its pictures were made on, and how light they get, in the units and the order of the boxes
// mdcv and clli (ISO/IEC 14496-12): x and y of green, blue, red and white in 1/50000, most and
// least luminance in 1/10000 cd/m2; MaxCLL and MaxFALL in cd/m2.  All 0 where nobody says.
struct mastering {
    uint32_t display[10];
    uint32_t light[2];
};

bool mastering_ok(const struct mastering *m);
static inline bool mastering_has_display(const struct mastering *m)
{
    return m->display[8] > 0;
}
static inline bool mastering_has_light(const struct mastering *m)
{
    return m->light[0] > 0 || m->light[1] > 0;
}
void mastering_pack(const struct mastering *m, struct buf *out);
struct reader;
// *m may be not ok.
void mastering_unpack(struct reader *r, struct mastering *m);

#define TRANSFER_PQ 16
#define TRANSFER_HLG 18

struct video_track {
    enum codec_id codec;           // CODEC_NONE: there is no video
    int64_t timescale;             // ticks per second, 1 .. 10^9
    int coded_width, coded_height; // 1 .. 32768
    int sar_num, sar_den;          // sample aspect ratio, both > 0
    int rotate;                    // degrees clockwise that make it upright: 0, 90, 180, 270
    bool mirror;                   // and then flip left and right
    int bit_depth;                 // 8 .. 16
    struct colour colour;          // as tagged; 2 where untagged
    int peak_nits;                 // HDR: for tone mapping, fixed at probe; 0 for SDR
    struct mastering mastering;    // of HDR
    enum field_order fields;       // of all its pictures, fixed at probe
    int reorder;         // how many frames may precede a frame in decode order and follow it in
                         // presentation
    int64_t end;         // presentation end in ticks: frames with 0 <= pts < end are presented
    enum sight sight;    // what all sync samples that the probe looked at begin with
    uint32_t tag;        // of its container, for decoders that know bad encoders by it
    int bits_per_sample; // of a pixel, as the container's header says; 0 where untold
    uint8_t *palette;    // MEDIA_PALETTE bytes that stand beside its first packet; NULL: none
    uint8_t *extradata;
    int extradata_size;
    struct headers more_headers[MEDIA_HEADERS]; // of later samples
    int more_headers_count;
    struct strip strip;
    struct carriage carriage;
    struct sample *samples; // in decode order; NULL in a head alone
    int sample_count;       // also in a head alone; >= 1
    int64_t bytes;          // sum of the sample sizes, made by media_finish; also in a head alone
    // The presented samples in presentation order (indices into samples), made
    // by media_unpack / media_finish; strictly increasing pts.
    int *shown;
    int shown_count; // >= 1 when there is video; also in a head alone; shown[0] has pts 0
};

enum tag {
    TAG_PREFERRED = 1,    // to be chosen unless somebody says otherwise
    TAG_FORCED = 2,       // only what those have to read who understand what is said
    TAG_CAPTIONS = 4,     // for those who cannot hear
    TAG_COMMENTARY = 8,   // of the makers
    TAG_DESCRIPTION = 16, // for those who cannot see
    TAG_DUB = 32,         // not the language it was made in
    TAGS = 63,
};

// What the container says of a track to people.
struct tags {
    char language[LANGUAGE_TAG]; // "und" if unknown
    char title[MEDIA_TITLE];     // UTF-8 without control bytes and '"'; "" if unknown
    unsigned flags;              // of enum tag
};

struct audio_track {
    enum codec_id codec; // CODEC_NONE: there is no audio
    int sample_rate;     // of the decoded samples, 8000 .. 192000
    int channels;        // 1 .. 8
    struct tags tags;
    // What old kinds have in the container's header; 0 where untold.
    int block_align;     // bytes
    int bits_per_sample; // coded
    int64_t bit_rate;
    uint8_t *extradata;
    int extradata_size;
    struct strip strip;
    struct carriage carriage;
    struct sample *samples; // pts strictly increasing; pts + duration <= next pts
    int sample_count;       // as for video
    int64_t bytes;          // as for video
};

// What the samples of a track of subtitles hold.  A packed index holds the number: new
// ones go to the end.
enum text_format {
    TEXT_NONE,
    TEXT_TX3G,   // 3GPP TS 26.245
    TEXT_WVTT,   // ISO/IEC 14496-30
    TEXT_SUBRIP, // the next three of Matroska (RFC 9559; "Matroska Subtitles")
    TEXT_ASS,
    TEXT_WEBVTT,
    TEXT_WEBM, // of WebM, and FFmpeg's Matroska: the lines of id and settings first
    TEXT_FORMATS,
};

// Subtitles.  Its samples are in milliseconds, as WebVTT prints them.
struct text_track {
    enum text_format format;
    struct tags tags;
    struct strip strip;
    struct sample *samples; // by rising pts; pts + duration > 0, duration > 0; they may overlap
    int sample_count;       // also in a head alone; >= 1
};

// How much of the source an index knows.  A long scan (codec/beginning.h) first makes one of
// the beginning, which is all that the first segments need.
enum reach {
    MEDIA_ALL,
    MEDIA_BEGINNING, // its tables end where the scan broke off
    MEDIA_CONTINUED, // the tables of all, and what else there is as the beginning has it
    MEDIA_REACHES,
};

struct media {
    enum container container;
    enum reach reach;
    int64_t size;           // bytes of the source
    int64_t beginning_rate; // MEDIA_CONTINUED: bits per second of the video in its beginning
    // The constant-rate output grid, decided at probe (codec/grid.h): frame n
    // lasts [n / fps, (n + 1) / fps).  Audio alone: fps is the rate of AAC frames,
    // media_output_rate / 1024.
    struct rational fps; // 1 <= fps <= 60 and fps.den <= 1001, or the audio frame rate
    int64_t frames;      // >= 1
    bool constant_rate;  // each presented source frame is exactly one grid frame
    struct video_track video;
    struct audio_track audio;
    // The other tracks of sound, only beside both of these.  They change nothing of the grid,
    // which goes on with the first only.
    struct audio_track more_audio[MEDIA_AUDIOS - 1];
    int more_audio_count;
    struct text_track texts[MEDIA_TEXTS]; // only beside video
    int text_count;
    int64_t clip_from; // of a clip (codec/clip.h): its T0, in milliseconds of the source's time;
                       // not packed
};

static inline bool media_has_video(const struct media *m)
{
    return m->video.codec != CODEC_NONE;
}

static inline bool media_has_audio(const struct media *m)
{
    return m->audio.codec != CODEC_NONE;
}

static inline bool media_is_hdr(const struct media *m)
{
    const int t = m->video.colour.transfer;
    return t == TRANSFER_PQ || t == TRANSFER_HLG;
}

// "h264"; NULL-safe for CODEC_NONE ("none").
const char *codec_name(enum codec_id id);
// "MPEG-TS".
const char *container_name(enum container c);
// The name of FFmpeg's decoder.
const char *codec_decoder(enum codec_id id);
bool codec_is_video(enum codec_id id);

struct media *media_create(void);
void media_destroy(struct media *m); // NULL is fine

// All tracks of sound, the first included, by their number.
static inline int media_audio_count(const struct media *m)
{
    return media_has_audio(m) ? 1 + m->more_audio_count : 0;
}

static inline const struct audio_track *media_audio(const struct media *m, int i)
{
    return i == 0 ? &m->audio : &m->more_audio[i - 1];
}

// Forgets the tracks of sound but the first n.
void media_keep_audios(struct media *m, int n);

// A copy without tables, without the texts, and of the tracks of sound with this one only, as
// the first: what a job carries.
struct media *media_copy_head(const struct media *m, int audio);

// Whether the head obeys the rules above: 0 or -E_CORRUPT.
int media_check_head(const struct media *m);

// Sorts and checks the tables of a media that was filled in by a probe: makes
// video.shown, sets bytes, fps, frames and constant_rate (by codec/grid.h).
// Where the audio goes on for more than half a second after the video, the grid
// goes on with it and holds the last picture.
// -E_CORRUPT when a rule above cannot be met, -E_NO_MEMORY.
int media_finish(struct media *m);

// Lays the grid of that rate over it instead: sets fps and frames.  There is video.
void media_set_fps(struct media *m, struct rational fps);

// Appends the packed index, not a continued one.  0 or the buffer's error.
int media_pack(const struct media *m, struct buf *out);

// Reads a packed index.  The bytes may be anything: -E_CORRUPT; -E_NO_MEMORY.  *out on
// success only.  Memory stays within about twenty times n.
int media_unpack(const uint8_t *bytes, size_t n, struct media **out);

// The same for the head alone (samples and shown stay NULL): what a job carries.
// media_unpack_head also takes a packed index, or its beginning, and reads its head.
int media_pack_head(const struct media *m, struct buf *out);
int media_unpack_head(const uint8_t *bytes, size_t n, struct media **out);

// Size of the picture upright and in square pixels, before any rounding to even.
void media_display_size(const struct media *m, int *width, int *height);

// The sample rate we give to audio of this rate: 32000, 44100 and 48000 are kept,
// all others become 48000.
int media_output_rate(int sample_rate);

// Mean bits per second of the video (audio, by its number) track over its duration; of a
// continued index the video's in its beginning.
int64_t media_video_rate(const struct media *m);
int64_t media_audio_rate(const struct media *m, int i);

// Makes a title of n bytes: what of it is UTF-8 and may stand in one, cut where it is full.
void media_title(const void *text, size_t n, char out[MEDIA_TITLE]);

// Memory held by it, for budgets.
size_t media_memory(const struct media *m);

#endif
