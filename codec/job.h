// SPDX-License-Identifier: BSD-2-Clause
//
// job - the complete order for one piece of work of a worker, and its result.
// Plain data; both sides pack and unpack it with these functions and check it.

#ifndef CODEC_JOB_H
#define CODEC_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/rational.h"
#include "codec/media.h"

#define JOB_SAMPLES_MAX 200000
#define JOB_FRAMES_MAX 20000
#define JOB_PARTS_MAX 64
#define JOB_CHANNELS_MAX 6
#define JOB_TEXT_MAX (4 * 1024 * 1024) // bytes of a file of subtitles
#define JOB_TILES_MAX 64
#define JOB_RUNGS_MAX 8
#define JOB_LEFT_MAX 4 // decoders

enum job_kind {
    JOB_PROBE = 1, // source -> packed index
    JOB_INIT,      // settings -> init segment, nothing read or encoded
    JOB_VIDEO,     // samples -> one video segment
    JOB_AUDIO,     // samples -> one audio segment
    JOB_TEXT,      // samples, or a file -> one segment of subtitles
    JOB_SHEET,     // samples -> one JPEG of pictures side by side
    JOB_KINDS,
};

struct job_limits {
    int64_t pixels;      // of a source picture
    int streams;         // of a source
    int64_t probe_bytes; // a probe may read
    int64_t first;       // a scan of more breaks off once (codec/beginning.h); 0: none does
    int64_t duration_ms; // of a source
    int64_t begin_ms;    // of it, a probe asks for at once, for whoever plays it; 0: nothing
};

// What a video rendition is coded in.  A record holds the number.
enum video_codec { VIDEO_H264, VIDEO_HEVC, VIDEO_AV1, VIDEO_CODECS };

// What codes it: the library that belongs to the codec, or by its name what a graphics processor
// has (codec/hardware.h).  A record holds the number.
enum video_encoder {
    ENCODER_SOFTWARE,
    ENCODER_H264_NVENC,
    ENCODER_H264_QSV,
    ENCODER_H264_VAAPI,
    ENCODER_HEVC_NVENC,
    ENCODER_HEVC_QSV,
    ENCODER_HEVC_VAAPI,
    VIDEO_ENCODERS,
};

// What an audio rendition is coded in.  A record holds the number.
enum audio_codec { AUDIO_AAC, AUDIO_OPUS, AUDIO_CODECS };

// The names of x264's presets, and ours, "jit".  A packed order holds the number.
#define PRESETS 11
int preset_number(const char *name); // [0, PRESETS), or -1 when there is none of that name
const char *preset_name(int number); // never freed

// What is made of an interlaced source's pictures.
enum deinterlace {
    DEINTERLACE_NOT,    // nothing: the source is progressive
    DEINTERLACE_FRAMES, // one picture of each, at the time of its first field
    DEINTERLACE_FIELDS, // two, one of each field
    DEINTERLACE_COUNT,
};

// Everything the video encoder is told.  Enters the recipe.
struct video_settings {
    enum video_codec codec;
    enum video_encoder encoder;
    int width, height;   // even, > 0
    struct rational fps; // the grid (twice it, DEINTERLACE_FIELDS); timescale of the output
                         // is fps.num
    enum deinterlace deinterlace;
    int crf;
    int64_t maxrate;            // bits per second
    int64_t bufsize;            // bits
    int vbv_init_permille;      // initial buffer occupancy
    int level;                  // level_idc (H.264: 31 = 3.1, HEVC: 93), seq_level_idx (AV1: 5)
    char preset[20];            // of x264 and x265; for SVT-AV1 the number next to it; "jit": ours
    struct colour colour;       // of the output; full_range is for JPEG alone
    struct mastering mastering; // of 10 bits
};

// Everything the audio encoder is told.  Enters the recipe.
struct audio_settings {
    int sample_rate; // 32000, 44100 or 48000; of Opus 48000
    int channels;    // 1, 2, or 6: 5.1; of Opus 1 or 2
    int quality;     // global_quality of FFmpeg's AAC encoder, constant-quality mode;
                     // the bits per second that libopus aims at
    enum audio_codec codec;
};

// What subtitles are made of.
struct text_settings {
    enum text_format format;
    bool file; // a whole file of it, SubRip or WebVTT; else samples of a track
};

// A sheet of columns x rows tiles, a picture each.  Enters the recipe.
struct sheet_settings {
    int width, height; // of a tile: even, > 0
    int columns, rows;
    int quality;        // scale of the quantiser of FFmpeg's JPEG encoder: 2 is fine, 31 coarse
    int64_t tile_bytes; // may a tile take on the average; a sheet of more is coded more coarsely
};

// The source frame with this pts, put out this often in a row.  0 times: it is seen by
// the deinterlacer alone, which needs the neighbours of what is put out.
struct pick {
    int64_t pts;
    int repeat; // >= 0; > 0 without a deinterlacer
};

// Whether pictures have 10 bits: those whose range is high.
static inline bool is_ten_bit(const struct video_settings *v)
{
    return v->colour.transfer == TRANSFER_PQ || v->colour.transfer == TRANSFER_HLG;
}

// Whether what codes it may break its maxrate, so that what came has to be looked at.
static inline bool rate_is_watched(const struct video_settings *v)
{
    return v->codec == VIDEO_AV1 || v->encoder != ENCODER_SOFTWARE;
}

// How many pictures are put out for one frame of the grid.
static inline int pictures_per_frame(const struct video_settings *v)
{
    return v->deinterlace == DEINTERLACE_FIELDS ? 2 : 1;
}

// A stretch of the samples that is decoded by itself, and how many of the picks it gives.
struct job_run {
    int samples, picks; // > 0
};

struct job {
    enum job_kind kind;
    struct job_limits limits;
    int64_t source_size;

    // INIT, VIDEO, AUDIO, SHEET (no TEXT): the head of the index (owned; no samples in it).
    struct media *media;
    bool video; // INIT: which of the two settings counts
    struct video_settings v;
    struct audio_settings a;
    struct sheet_settings s;

    // VIDEO, AUDIO, SHEET: the packets to decode, in decode order (owned).  TEXT: what is shown
    // some time in the segment; of a file there is one, which is all of it.
    struct sample *samples;
    int sample_count;
    struct carriage carriage; // how they lie in the source (owned)

    // VIDEO: the version of the source, for who finds what a job before has left; zeros: nobody
    // looks.  The last so many samples are not needed: they are decoded instead of an end, where
    // the next segment goes on in the same GOP.
    struct key source;
    int beyond;

    // VIDEO: pictures [first, first + sum of repeat) of the rendition.  With a deinterlacer
    // the picks are neighbours in the source, all of them; then, of two pictures for a
    // frame, the first shows its first field and all repeats the second.
    // SHEET: the tiles, first is the grid frame of the first of them; an interlaced source is
    // deinterlaced, and then the neighbours of each are picks, too.
    int64_t first;
    struct pick *picks; // owned; rising pts
    int pick_count;
    bool continues; // the first one put out was so in the segment before, too: there its
                    // first field was shown
    int64_t part_frames[JOB_PARTS_MAX]; // frames of each part; they sum to the segment
    int part_count;
    int parts_at_once;  // encoders that may run at a time; changes the speed, never the bytes
    int64_t last_ticks; // its last frame lasts so many; the others v.fps.den
    int64_t sequence;   // moof sequence number of the first fragment

    // VIDEO: other renditions ("rungs") that are made of the same pictures, side by side: all of
    // the above but v is theirs, too.  v is rung 0, these are the next.
    struct video_settings also[JOB_RUNGS_MAX - 1];
    int also_count;

    // AUDIO: its frames [first, first + frames) are put out; sequence as above.
    int64_t frames;
    int64_t end; // source content past this time is silence: the asset's duration in
                 // samples of a.sample_rate
    // AUDIO, SHEET: all of it at most; what has more is coded more coarsely
    int64_t bits;

    // SHEET: together they have all samples and all picks.
    struct job_run *runs; // owned
    int run_count;

    // TEXT: the segment is [from, to) in milliseconds; strip stands before each sample.
    struct text_settings t;
    int64_t from, to;
    int64_t shift; // of a file: its times are later by so many
    struct strip strip;
};

// A decoder that a job has left, open: behind the picture of this pts, where decoding began with
// the sample at this offset.
struct left_decoder {
    struct key source; // its version
    int64_t pts, from;
};

struct job_stats {
    int64_t frames_decoded;
    int64_t frames_encoded;
    int64_t samples_read; // packets given to the decoder
    int64_t concealed;    // output frames whose source frame could not be decoded
    int64_t bytes;        // appended
    int64_t decode_us, encode_us;
    int64_t first_us; // from its beginning to the first picture shown; 0: none was
    bool resumed;     // it went on with the decoder of a job before

    // All that a job may go on with now, left by this one and those before.
    struct left_decoder left[JOB_LEFT_MAX];
    int left_count;
};

// Whether an encoder may be told this.  The numbers may come from anywhere.
bool video_settings_ok(const struct video_settings *v);
bool audio_settings_ok(const struct audio_settings *a);
bool text_settings_ok(const struct text_settings *t);
bool sheet_settings_ok(const struct sheet_settings *s);

// What rung number i of a video job is told.
const struct video_settings *job_rung(const struct job *j, int i);

// Whether the same pictures may be shown to both.
bool video_settings_go_together(const struct video_settings *a, const struct video_settings *b);

// How many encoders of a rung run at once, each of which stands for a worker; at least 1.  Of AV1
// one: SVT-AV1 before 1.7 has tables that all encoders of a process share, and opening one clears
// and fills them, under the eyes of another.
int job_encoders(const struct job *j);

// Whether one decode will do for both, of the same source version.
bool job_shares_pictures(const struct job *a, const struct job *b);

// Adds what b makes, which shares its pictures, to a.  False when a has as many as it may.
bool job_add_rung(struct job *a, const struct job *b);

// Whether next may go on with a decoder that was left.
bool job_goes_on(const struct job *next, const struct job_stats *last);

void job_init(struct job *j);   // zeroes it
void job_finish(struct job *j); // frees what it owns; may be repeated

int job_pack(const struct job *j, struct buf *out);
// Hostile bytes: -E_PROTOCOL.  j is to be finished in either case.
int job_unpack(struct job *j, const uint8_t *bytes, size_t n);

// The settings of one rung.  Hostile bytes: -E_PROTOCOL.
void job_rung_pack(const struct video_settings *v, struct buf *out);
int job_rung_unpack(struct video_settings *v, const uint8_t *bytes, size_t n);

int job_stats_pack(const struct job_stats *s, struct buf *out);
int job_stats_unpack(struct job_stats *s, const uint8_t *bytes, size_t n);

#endif
