// SPDX-License-Identifier: BSD-2-Clause
//
// probe - makes the index of a source: what is in it, and where every sample is.
//
// Where things come from: the sample tables from our own parsers (index.h) or, where the
// container has no index of use, from one reading of all packets (scan.h); codec,
// extradata, rotation and tags from libavformat (demux.h), whose own table must
// agree with ours; size, depth, colour and rates from the first pictures and
// sounds, read by our table and decoded just as the segments will be (decode.h).
// So nothing is decoded but what was chosen, and what cannot be decoded fails
// here and not under a viewer.
//
// Everything is counted: bytes read, streams, pixels before a decoder is opened,
// the length.

#include "codec/av/av.h"

#include <inttypes.h>
#include <string.h>

#include <libavutil/dovi_meta.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>

#include "base/err.h"
#include "base/log.h"
#include "codec/av/codecs.h"
#include "codec/av/decode.h"
#include "codec/av/demux.h"
#include "codec/av/fields.h"
#include "codec/av/index.h"
#include "codec/av/recent.h"
#include "codec/av/scan.h"
#include "codec/av/sniff.h"
#include "codec/av/sound_times.h"
#include "codec/av/text_times.h"
#include "codec/coding.h"

#define FIRST_SAMPLES 64    // given to a decoder to see what it makes of them
#define COMPARED_PACKETS 16 // of Matroska, with libavformat's
#define REORDER_MAX 64
#define LOOKS 5               // at sync samples
#define LOOK_BYTES (16 * KIB) // of each
#define HDR_PEAK_NITS 1000    // where nothing is said
#define APPEND_MAX (256 * 1024)

// Counts what is read through it.
struct meter {
    struct io io;
    struct io *to;
    int64_t left;
};

// One of the two tracks that are chosen.
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

// ---- reading

static int64_t meter_read(struct io *io, int64_t offset, void *out, int64_t n)
{
    struct meter *m = container_of(io, struct meter, io);
    if (n > m->left)
        return -E_LIMITS;
    const int64_t got = m->to->read(m->to, offset, out, n);
    m->left -= got > 0 ? got : 0;
    return got;
}

static bool meter_cancelled(struct io *io)
{
    struct meter *m = container_of(io, struct meter, io);
    return m->to->cancelled && m->to->cancelled(m->to);
}

static int sniff_source(struct probe *p)
{
    uint8_t head[SNIFF_BYTES];
    struct io *io = &p->meter.io;
    int64_t n = io->read(io, 0, head, sizeof head);
    const size_t tag = n > 0 ? sniff_id3(head, (size_t)n) : 0;
    if (tag > 0)
        n = io->read(io, (int64_t)tag, head, sizeof head);
    if (n < 0)
        return fail_with(p->why, (int)n, "reading the source: %s", err_sentence((int)n));
    p->container = sniff(head, (size_t)n, &p->how);
    return p->container ? 0
                        : fail_with(p->why, -E_UNSUPPORTED,
                                    "this is no video or audio file of a kind that is read");
}

static AVStream *stream_of(const struct probe *p, const struct index_track *t)
{
    const AVFormatContext *ctx = p->demux.ctx;
    return t->number < (int)ctx->nb_streams ? ctx->streams[t->number] : NULL;
}

// Of a container without an index of use, by reading it all.
static int scan(struct probe *p)
{
    const struct job_limits *limits = &p->job->limits;
    recent_init(&p->recent, &p->meter.io);
    struct io *io = &p->recent.io;
    int rc = demux_open(&p->demux, io, p->container, true, limits, p->why);
    if (rc == 0)
        rc = index_scan(io, &p->demux, p->container, &p->how, limits, &p->index, p->why);
    return rc;
}

// Matroska's compatibility mode tells times of decoding: only the pictures know better.
static bool hides_times(const struct probe *p)
{
    for (int i = 0; i < p->index.track_count; i++) {
        const AVStream *st = stream_of(p, &p->index.tracks[i]);
        const enum codec_id codec = st ? codec_of(st->codecpar->codec_id) : CODEC_NONE;
        if (p->index.tracks[i].decode_times && codec != CODEC_NONE && codec_reorders(codec))
            return true;
    }
    return false;
}

// By our own parser.
static int parse(struct probe *p)
{
    const struct job_limits *limits = &p->job->limits;
    struct io *io = &p->meter.io;
    int rc = p->container == CONTAINER_MP4
                 ? index_read_mp4(io, limits, &p->index, p->why->line, p->why->cap)
                 : index_read_matroska(io, limits, &p->index, p->why->line, p->why->cap);
    if (rc == 0)
        rc = demux_open(&p->demux, io, p->container, false, limits, p->why);
    if (rc < 0 || !hides_times(p))
        return rc;
    demux_close(&p->demux);
    index_finish(&p->index);
    return scan(p);
}

// The tables, and the headers as libavformat sees them.
static int read_index(struct probe *p)
{
    return p->container == CONTAINER_MP4 || p->container == CONTAINER_MATROSKA ? parse(p) : scan(p);
}

// ---- choosing the tracks

// 0: the track can be taken; or a negative enum err and a line.
static int check_track(const struct index_track *t, const AVStream *st, const struct why *why)
{
    const enum AVMediaType type = t->video ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
    const char *kind = t->video ? "video" : "audio";
    if (t->refused)
        return fail_with(why, -E_UNSUPPORTED, "the %s track is not supported: %s", kind, t->why);
    if (!st || st->codecpar->codec_type != type || !codec_of(st->codecpar->codec_id))
        return fail_with(why, -E_UNSUPPORTED, "%s of the kind %s is not supported", kind,
                         st ? avcodec_get_name(st->codecpar->codec_id) : "none");
    if (t->sample_count == 0)
        return fail_with(why, -E_CORRUPT,
                         t->lost ? "the file ends before its %s" : "its %s is empty", kind);
    return 0;
}

// The first track that can be taken, one flagged as default before others.  0 when
// there is none of that kind, or a choice; else why the last one cannot be taken.
static int choose(const struct probe *p, bool video, struct chosen *best, const struct why *why)
{
    int rc = 0;
    for (int i = 0; i < p->index.track_count; i++) {
        struct index_track *t = &p->index.tracks[i];
        AVStream *st = stream_of(p, t);
        if (!(video ? t->video : t->audio) || (st && st->disposition & AV_DISPOSITION_ATTACHED_PIC))
            continue;
        const int unfit = check_track(t, st, why);
        if (unfit < 0)
            rc = unfit;
        else if (!best->track || (t->enabled && !best->track->enabled))
            *best = (struct chosen){ t, st, codec_of(st->codecpar->codec_id) };
    }
    return best->track ? 0 : rc;
}

// Dolby Vision whose pictures look wrong without its enhancement data.
static bool is_dolby_only(const AVStream *st)
{
    size_t n = 0;
    const AVDOVIDecoderConfigurationRecord *c =
        (const void *)av_stream_get_side_data(st, AV_PKT_DATA_DOVI_CONF, &n);
    return c && n >= sizeof *c &&
           (c->dv_profile == 5 || (c->dv_profile == 10 && !c->dv_bl_signal_compatibility_id));
}

// Video that cannot be shown fails it all: sound alone is not what its viewers
// come for.  Pictures without usable sound play silently.
static int choose_tracks(struct probe *p)
{
    int rc = choose(p, true, &p->video, p->why);
    if (rc < 0)
        return rc;
    if (p->video.track && is_dolby_only(p->video.stream))
        return fail_with(p->why, -E_UNSUPPORTED,
                         "Dolby Vision without a base layer for other screens is not supported");
    char line[DETAIL_MAX] = "";
    const struct why silent = { line, sizeof line };
    rc = choose(p, false, &p->audio, p->video.track ? &silent : p->why);
    if (rc < 0 && !p->video.track)
        return rc;
    if (rc < 0)
        log_info("probe", "the sound is left out: %s", line);
    if (!p->video.track && !p->audio.track)
        return fail_with(p->why, -E_UNSUPPORTED, "there is no video or audio that can be decoded");
    return 0;
}

// ---- our table against libavformat's

static int disagree(const struct probe *p, const struct index_track *t, int i)
{
    log_warn("probe", "track %d, sample %d: our index and libavformat's disagree", t->number, i);
    return fail_with(p->why, -E_UNSUPPORTED, "the index of the file is not understood");
}

// An MP4's table is in memory once it is open.
static int compare_entries(const struct probe *p, const struct chosen *c)
{
    const struct index_track *t = c->track;
    const int n = avformat_index_get_entries_count(c->stream);
    for (int i = 0, e = 0; i < t->sample_count && e < n; e++) {
        const AVIndexEntry *entry = avformat_index_get_entry(c->stream, e);
        if (entry->size == 0)
            continue; // we do not keep these
        if (entry->pos != t->samples[i].offset || (uint32_t)entry->size != t->samples[i].size)
            return disagree(p, t, i);
        i++;
    }
    return 0;
}

// Of a Matroska file only the first packets can be compared.
static int compare_packets(struct probe *p, const struct chosen *c)
{
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return fail_with(p->why, -E_NO_MEMORY, "no memory for a packet");
    const struct index_track *t = c->track;
    int rc = 1;
    for (int i = 0; rc > 0 && i < t->sample_count && i < COMPARED_PACKETS;) {
        rc = demux_next(&p->demux, packet, p->why);
        if (rc > 0 && packet->stream_index == t->number && packet->size > 0) {
            const struct sample *s = &t->samples[i];
            const int64_t size = (int64_t)s->size + t->strip.n;
            if (packet->size != size || packet->pos > s->offset)
                rc = disagree(p, t, i);
            i++;
        }
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return rc < 0 ? rc : 0;
}

static int compare(struct probe *p, const struct chosen *c)
{
    if (!c->track)
        return 0;
    if (c->track->lost)
        log_info("probe", "track %d: the file ends before %d of its samples", c->track->number,
                 c->track->lost);
    return p->index.container == CONTAINER_MP4 ? compare_entries(p, c) : 0;
}

// As with other faults of the sound, pictures play without it.
static int compare_sound(struct probe *p)
{
    const int rc = compare(p, &p->audio);
    if (rc != -E_UNSUPPORTED || !p->video.track)
        return rc;
    log_info("probe", "the sound is left out: %s", p->why->cap ? p->why->line : "unusable");
    p->audio = (struct chosen){ 0 };
    return 0;
}

static int compare_all(struct probe *p)
{
    int rc = compare(p, &p->video);
    if (rc == 0)
        rc = compare_sound(p);
    if (rc == 0 && p->index.container == CONTAINER_MATROSKA && !p->recent.bytes)
        rc = compare_packets(p, p->video.track ? &p->video : &p->audio);
    return rc;
}

// ---- common to both tracks

static int copy_extradata(const struct probe *p, const AVCodecParameters *par, uint8_t **out,
                          int *size)
{
    if (par->extradata_size > MEDIA_EXTRADATA_MAX)
        return fail_with(p->why, -E_LIMITS, "codec headers of %d bytes", par->extradata_size);
    if (par->extradata_size > 0) {
        *out = xmalloc((size_t)par->extradata_size);
        *size = par->extradata_size;
        memcpy(*out, par->extradata, (size_t)*size);
    }
    return 0;
}

static int check_length(const struct probe *p, int64_t end, int64_t timescale)
{
    if ((__int128)end * 1000 > (__int128)p->job->limits.duration_ms * timescale)
        return fail_with(p->why, -E_LIMITS, "it lasts longer than the limit of %" PRId64 " s",
                         p->job->limits.duration_ms / 1000);
    return 0;
}

// ---- video: the sample table

// Leaves out what stands before the first sync sample: it can never be decoded.
static int drop_undecodable(struct probe *p)
{
    struct index_track *t = p->video.track;
    int first = 0;
    while (first < t->sample_count && !t->samples[first].sync)
        first++;
    if (first == t->sample_count)
        return fail_with(p->why, -E_CORRUPT, "no picture that decoding could start at");
    t->sample_count -= first;
    memmove(t->samples, t->samples + first, (size_t)t->sample_count * sizeof *t->samples);
    if (t->heads)
        memmove(t->heads, t->heads + first, (size_t)t->sample_count * sizeof *t->heads);
    return 0;
}

// How many samples before it in decode order follow a sample in presentation, at most.
static int reorder_depth(const struct index_track *t)
{
    int64_t latest[REORDER_MAX]; // the greatest times so far, falling
    int n = 0, depth = 0;
    for (int i = 0; i < t->sample_count; i++) {
        const int64_t pts = t->samples[i].pts;
        int at = 0;
        while (at < n && latest[at] > pts)
            at++;
        depth = at > depth ? at : depth;
        if (at == REORDER_MAX)
            continue;
        n += n < REORDER_MAX;
        memmove(latest + at + 1, latest + at, (size_t)(n - 1 - at) * sizeof *latest);
        latest[at] = pts;
    }
    return depth;
}

// VP8 has packets that decode to nothing one can see; so are second fields of pictures.
static bool is_hidden(const struct probe *p, int i)
{
    const struct index_track *t = p->video.track;
    if (p->second && p->second[i])
        return true;
    return p->video.codec == CODEC_VP8 && t->heads && !(t->heads[i][0] & 0x10);
}

// T0 is the first presented picture that decoding from the start gives: `first`
// is the time of what the decoder gave first.
static int find_t0(struct probe *p, int64_t first)
{
    const struct index_track *t = p->video.track;
    const int64_t from = first > 0 ? first : 0;
    p->t0 = INT64_MAX;
    for (int i = 0; i < t->sample_count; i++) {
        const int64_t pts = t->samples[i].pts;
        if (pts >= from && pts < p->t0 && !is_hidden(p, i))
            p->t0 = pts;
    }
    if (p->t0 >= t->end)
        return fail_with(p->why, -E_CORRUPT, "no picture is ever presented");
    return 0;
}

// Moves the table into the media; times count from T0 now.
static void take_samples(struct probe *p)
{
    struct index_track *t = p->video.track;
    struct video_track *v = &p->media->video;
    for (int i = 0; i < t->sample_count; i++)
        t->samples[i].pts = is_hidden(p, i) ? SAMPLE_UNSEEN : t->samples[i].pts - p->t0;
    v->end = t->end - p->t0;
    v->samples = t->samples;
    v->sample_count = t->sample_count;
    v->carriage = t->carriage;
    t->samples = NULL;
    t->sample_count = t->sample_cap = 0;
    t->carriage = (struct carriage){ 0 };
}

// ---- video: what the headers and the first picture tell

static int check_pixels(const struct probe *p, int64_t width, int64_t height)
{
    if (width > 32768 || height > 32768 || width * height > p->job->limits.pixels)
        return fail_with(p->why, -E_LIMITS, "pictures of %" PRId64 "x%" PRId64 " exceed the limit",
                         width, height);
    return 0;
}

static int begin_video(struct probe *p)
{
    const AVCodecParameters *par = p->video.stream->codecpar;
    struct video_track *v = &p->media->video;
    int rc = check_pixels(p, par->width, par->height);
    if (rc == 0)
        rc = drop_undecodable(p);
    if (rc == 0)
        rc = copy_extradata(p, par, &v->extradata, &v->extradata_size);
    v->codec = p->video.codec;
    v->timescale = p->video.track->timescale;
    v->coded_width = par->width;
    v->coded_height = par->height;
    v->tag = par->codec_tag;
    v->strip = p->video.track->strip;
    v->reorder = reorder_depth(p->video.track);
    return rc;
}

static int by_pts(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return (x->pts > y->pts) - (x->pts < y->pts);
}

// What the decoder makes of the first packets of sound.  Implicit SBR may show up
// late, and doubles the rate.
struct sound {
    int rate, channels, samples;
};

static void note_sound(struct sound *s, const AVFrame *frame)
{
    if (frame->sample_rate >= s->rate)
        *s = (struct sound){ frame->sample_rate, frame->ch_layout.nb_channels, frame->nb_samples };
}

// Decodes the first samples of t: pictures until one has come, which is in frame
// then; sound to the end of what was given.  How many frames came, or a negative
// enum err.
static int decode_first(struct probe *p, const struct index_track *t, AVFrame *frame,
                        struct sound *sound)
{
    const int n = t->sample_count < FIRST_SAMPLES ? t->sample_count : FIRST_SAMPLES;
    struct pick picks[FIRST_SAMPLES]; // all of them: none is to be skipped
    for (int i = 0; i < n; i++)
        picks[i] = (struct pick){ t->samples[i].pts, 1 };
    qsort(picks, (size_t)n, sizeof *picks, by_pts);
    const struct job job = { .kind = t->video ? JOB_VIDEO : JOB_AUDIO,
                             .limits = p->job->limits,
                             .source_size = p->job->source_size,
                             .media = p->media,
                             .samples = t->samples,
                             .carriage = t->carriage,
                             .sample_count = n,
                             .picks = picks,
                             .pick_count = n };
    struct decoder d;
    int count = 0;
    int rc = decoder_open(&d, &job, &p->meter.io, t->video, p->why);
    while (rc >= 0 && !(count && t->video)) {
        rc = decoder_next(&d, frame);
        if (rc <= 0)
            break;
        if (t->audio)
            note_sound(sound, frame);
        count++;
    }
    decoder_close(&d);
    return rc < 0 ? rc : count;
}

// The display matrix maps (x, y), y pointing down, to (ax + cy, bx + dy).  It is a
// turn, and then perhaps a flip left and right: which shows in its determinant.
static void set_rotation(struct video_track *v, const AVStream *st)
{
    size_t n = 0;
    const int32_t *m = (const void *)av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &n);
    if (!m || n < 9 * sizeof *m)
        return;
    int64_t a = m[0];
    const int64_t b = m[1], c = m[3], d = m[4];
    v->mirror = (__int128)a * d - (__int128)b * c < 0;
    if (v->mirror)
        a = -a;
    const int64_t wide = a < 0 ? -a : a, high = b < 0 ? -b : b;
    if (wide >= high)
        v->rotate = a < 0 ? 180 : 0;
    else
        v->rotate = b > 0 ? 90 : 270;
}

static const void *side_data(const AVStream *st, enum AVPacketSideDataType in_stream,
                             const AVFrame *frame, enum AVFrameSideDataType in_frame, size_t size)
{
    size_t n = 0;
    const void *found = av_stream_get_side_data(st, in_stream, &n);
    if (found && n >= size)
        return found;
    const AVFrameSideData *sd = av_frame_get_side_data(frame, in_frame);
    return sd && sd->size >= size ? sd->data : NULL;
}

static const AVContentLightMetadata *light_of(const struct probe *p, const AVFrame *frame)
{
    return side_data(p->video.stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, frame,
                     AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, sizeof(AVContentLightMetadata));
}

static const AVMasteringDisplayMetadata *display_of(const struct probe *p, const AVFrame *frame)
{
    return side_data(p->video.stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, frame,
                     AV_FRAME_DATA_MASTERING_DISPLAY_METADATA, sizeof(AVMasteringDisplayMetadata));
}

// Fixed for the whole asset, so that its segments are mapped alike.
static int peak_of(const struct probe *p, const AVFrame *frame)
{
    const AVContentLightMetadata *const light = light_of(p, frame);
    const AVMasteringDisplayMetadata *const display = display_of(p, frame);
    double nits = HDR_PEAK_NITS;
    if (p->media->video.colour.transfer == TRANSFER_PQ) {
        if (light && light->MaxCLL > 0)
            nits = light->MaxCLL;
        else if (display && display->has_luminance && display->max_luminance.den > 0)
            nits = av_q2d(display->max_luminance);
    }
    return nits < 100 ? 100 : nits > 10000 ? 10000 : (int)nits;
}

// In whole units of 1/scale; 0 where that is no number in range.
static uint32_t units(AVRational q, int64_t scale, int64_t max)
{
    const int64_t n = q.num >= 0 && q.den > 0 ? muldiv_round(q.num, scale, q.den) : 0;
    return n <= max ? (uint32_t)n : 0;
}

static struct mastering mastering_of(const struct probe *p, const AVFrame *frame)
{
    const AVContentLightMetadata *const light = light_of(p, frame);
    const AVMasteringDisplayMetadata *const d = display_of(p, frame);
    static const int order[] = { 1, 2, 0 }; // it has red first
    struct mastering m = { 0 };
    if (light && light->MaxCLL <= UINT16_MAX && light->MaxFALL <= UINT16_MAX) {
        m.light[0] = light->MaxCLL;
        m.light[1] = light->MaxFALL;
    }
    if (!d || !d->has_primaries || !d->has_luminance)
        return m;
    for (int i = 0; i < 8; i++)
        m.display[i] =
            units(i < 6 ? d->display_primaries[order[i / 2]][i % 2] : d->white_point[i % 2], 50000,
                  UINT16_MAX);
    m.display[8] = units(d->max_luminance, 10000, UINT32_MAX);
    m.display[9] = units(d->min_luminance, 10000, UINT32_MAX);
    return m;
}

static int tag(int of_frame, int of_container)
{
    const int v = of_frame != 2 && of_frame != 0 ? of_frame : of_container;
    return v > 0 && v < 256 ? v : 2;
}

static bool is_full_range(const AVFrame *frame, const AVCodecParameters *par)
{
    const enum AVPixelFormat f = frame->format;
    if (f == AV_PIX_FMT_YUVJ420P || f == AV_PIX_FMT_YUVJ422P || f == AV_PIX_FMT_YUVJ444P ||
        f == AV_PIX_FMT_YUVJ440P || f == AV_PIX_FMT_YUVJ411P)
        return true;
    const enum AVColorRange r = frame->color_range ? frame->color_range : par->color_range;
    return r == AVCOL_RANGE_JPEG;
}

static void set_colour(struct probe *p, const AVFrame *frame)
{
    const AVCodecParameters *par = p->video.stream->codecpar;
    struct video_track *v = &p->media->video;
    v->colour.primaries = tag(frame->color_primaries, par->color_primaries);
    v->colour.transfer = tag(frame->color_trc, par->color_trc);
    // Here 0 is a value of its own: the planes are R, G and B.
    v->colour.matrix =
        frame->colorspace == AVCOL_SPC_RGB ? 0 : tag(frame->colorspace, par->color_space);
    v->colour.full_range = is_full_range(frame, par);
    v->peak_nits = media_is_hdr(p->media) ? peak_of(p, frame) : 0;
    if (media_is_hdr(p->media))
        v->mastering = mastering_of(p, frame);
}

static void set_aspect(struct probe *p, AVFrame *frame)
{
    struct video_track *v = &p->media->video;
    const AVRational sar = av_guess_sample_aspect_ratio(p->demux.ctx, p->video.stream, frame);
    const double r = sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 0;
    const bool sane = r >= 0.05 && r <= 20;
    v->sar_num = sane ? sar.num : 1;
    v->sar_den = sane ? sar.den : 1;
    v->coded_width = frame->width;
    v->coded_height = frame->height;
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
    v->bit_depth = format ? format->comp[0].depth : 8;
}

static int set_fields(struct probe *p, const AVFrame *frame)
{
    const struct index_track *const t = p->video.track;
    const enum AVFieldOrder told = p->video.stream->codecpar->field_order;
    if (!fields_hinted(p->video.codec, told, frame))
        return 0;
    const struct job like = { .limits = p->job->limits,
                              .source_size = p->job->source_size,
                              .media = p->media,
                              .carriage = t->carriage };
    struct fields_found found;
    const int rc =
        fields_see(&like, &p->meter.io, t->samples, t->sample_count, told, &found, p->why);
    p->media->video.fields = found.order;
    if (rc == 0 && found.half)
        p->second = fields_second(t->samples, t->sample_count, found.half);
    return rc;
}

static int see_first_picture(struct probe *p, AVFrame *frame)
{
    int rc = decode_first(p, p->video.track, frame, NULL);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return fail_with(p->why, -E_CORRUPT, "its first picture cannot be decoded");
    rc = check_pixels(p, frame->width, frame->height);
    if (rc < 0)
        return rc;
    set_rotation(&p->media->video, p->video.stream);
    set_aspect(p, frame);
    set_colour(p, frame);
    rc = set_fields(p, frame);
    return rc < 0 ? rc : find_t0(p, frame->pts == AV_NOPTS_VALUE ? 0 : frame->pts);
}

// ---- video: whether it could be copied

// The beginning of a sample; *got of its bytes.
static int read_head(struct probe *p, const struct sample *s, uint8_t head[LOOK_BYTES],
                     int64_t *got)
{
    struct io *const io = &p->meter.io;
    const int64_t n = s->size < LOOK_BYTES ? s->size : LOOK_BYTES;
    *got = io->read(io, s->offset, head, n);
    if (*got < 0)
        return fail_with(p->why, (int)*got, "reading the source: %s", err_sentence((int)*got));
    return 0;
}

// AV1 has its sequence header in samples.  av1C may be without, and what encoders put there
// before they began to encode is not always true.
static int take_sequence(struct probe *p, struct video_track *v)
{
    uint8_t head[LOOK_BYTES];
    struct buf config;
    int64_t n;
    int rc = read_head(p, &v->samples[0], head, &n);
    buf_init(&config, MEDIA_EXTRADATA_MAX);
    if (rc == 0 && av1_config(&config, head, (size_t)n) == 0) {
        free(v->extradata);
        v->extradata = memcpy(xmalloc(config.len), config.data, config.len);
        v->extradata_size = (int)config.len;
    }
    buf_finish(&config);
    return rc;
}

static int look_at(struct probe *p, const struct coding *c, const struct sample *s,
                   enum sight *sight)
{
    uint8_t head[LOOK_BYTES];
    int64_t n;
    const int rc = read_head(p, s, head, &n);
    if (rc == 0)
        *sight = n < s->size && n < LOOK_BYTES ? SIGHT_DAMAGED
                                               : coding_look(c, head, (size_t)n, s->size);
    return rc;
}

// Looks at sync samples until one is not what the others are.
static int look_at_some(struct probe *p, const struct coding *c, const int *syncs, int count)
{
    struct video_track *const v = &p->media->video;
    int rc = 0;
    v->sight = SIGHT_START;
    for (int i = 0; rc == 0 && i < count && v->sight == SIGHT_START; i++)
        if (i == 0 || syncs[i] > syncs[i - 1])
            rc = look_at(p, c, &v->samples[syncs[i]], &v->sight);
    return rc;
}

// Which of the sync samples number n of the video is; -1: it has fewer.
static int nth_sync(const struct video_track *v, int n)
{
    for (int i = 0; i < v->sample_count; i++)
        if (v->samples[i].sync && n-- == 0)
            return i;
    return -1;
}

// A few sync samples stand for all, as each costs a read: the first two, as who mixes kinds of
// them begins with the one and goes on with the other, and the second is needed soon; and
// where headers may change, the last, and two between.  One that is different is found
// when it is copied.
static int look_at_syncs(struct probe *p)
{
    const struct video_track *const v = &p->media->video;
    struct coding coding;
    int count = 0, syncs[LOOKS], looks = 0;
    if (!coding_read(&coding, v))
        return 0;
    for (int i = 0; i < v->sample_count; i++)
        count += v->samples[i].sync;
    const int last = count - 1;
    const int wanted[LOOKS] = { 0, last > 0, last / 3, last / 3 * 2, last };
    for (int i = 0; i < (coding_is_kept(p->media) ? 2 : LOOKS) && count > 0; i++)
        syncs[looks++] = nth_sync(v, wanted[i]);
    return look_at_some(p, &coding, syncs, looks);
}

static int see_whether_to_copy(struct probe *p)
{
    struct video_track *const v = &p->media->video;
    if (v->carriage.kind != CARRIAGE_WHOLE)
        return 0;
    const int rc = v->codec == CODEC_AV1 ? take_sequence(p, v) : 0;
    return rc < 0 ? rc : look_at_syncs(p);
}

static int probe_video(struct probe *p, AVFrame *frame)
{
    if (!p->video.track)
        return 0;
    int rc = begin_video(p);
    if (rc == 0)
        rc = see_first_picture(p, frame);
    if (rc < 0)
        return rc;
    take_samples(p);
    rc = check_length(p, p->media->video.end, p->media->video.timescale);
    return rc < 0 ? rc : see_whether_to_copy(p);
}

// ---- audio

static int between(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

static int begin_audio(struct probe *p)
{
    const AVCodecParameters *par = p->audio.stream->codecpar;
    struct audio_track *a = &p->media->audio;
    a->codec = p->audio.codec;
    a->sample_rate = between(par->sample_rate, 8000, 192000);
    a->channels = between(par->ch_layout.nb_channels, 1, 8);
    a->block_align = between(par->block_align, 0, 1 << 24);
    a->bits_per_sample = between(par->bits_per_coded_sample, 0, 64);
    a->bit_rate = par->bit_rate > 0 && par->bit_rate < INT32_MAX ? par->bit_rate : 0;
    a->strip = p->audio.track->strip;
    a->tags = p->audio.track->tags;
    return copy_extradata(p, par, &a->extradata, &a->extradata_size);
}

static int set_audio(struct probe *p, const struct sound *s)
{
    struct audio_track *a = &p->media->audio;
    if (s->rate < 8000 || s->rate > 192000 || s->channels < 1 || s->channels > 8)
        return fail_with(p->why, -E_UNSUPPORTED, "sound of %d Hz and %d channels", s->rate,
                         s->channels);
    a->sample_rate = s->rate;
    a->channels = s->channels;
    const bool video = p->video.track;
    const int rc = sound_times(
        a, p->audio.track, s->samples,
        (struct sound_origin){ video ? p->t0 : 0, video ? p->media->video.timescale : 0 });
    a->carriage = p->audio.track->carriage;
    p->audio.track->carriage = (struct carriage){ 0 };
    if (rc < 0)
        return fail_with(p->why, rc, "the times of the sound make no sense");
    if (a->sample_count == 0)
        return fail_with(p->why, -E_UNSUPPORTED, "the sound is empty");
    const struct sample *last = &a->samples[a->sample_count - 1];
    return check_length(p, last->pts + last->duration, a->sample_rate);
}

static int try_audio(struct probe *p, AVFrame *frame)
{
    struct sound s = { 0 };
    int rc = begin_audio(p);
    if (rc == 0)
        rc = decode_first(p, p->audio.track, frame, &s);
    if (rc == 0)
        return fail_with(p->why, -E_CORRUPT, "its sound cannot be decoded");
    return rc < 0 ? rc : set_audio(p, &s);
}

static void forget_audio(struct probe *p)
{
    struct audio_track *a = &p->media->audio;
    free(a->extradata);
    free(a->samples);
    carriage_finish(&a->carriage);
    *a = (struct audio_track){ .codec = CODEC_NONE };
}

// Pictures whose sound is of no use play silently; only then is a fault of the
// sound no fault of the source.
static int probe_audio(struct probe *p, AVFrame *frame)
{
    if (!p->audio.track)
        return 0;
    const int rc = try_audio(p, frame);
    if (!p->video.track || (rc != -E_CORRUPT && rc != -E_UNSUPPORTED))
        return rc;
    log_info("probe", "the sound is left out: %s", p->why->cap ? p->why->line : "unusable");
    forget_audio(p);
    return 0;
}

// Makes t the track that all of the above is about.
static int try_another(struct probe *p, struct index_track *t, AVFrame *frame)
{
    AVStream *const st = stream_of(p, t);
    int rc = check_track(t, st, p->why);
    if (rc < 0)
        return rc;
    p->audio = (struct chosen){ t, st, codec_of(st->codecpar->codec_id) };
    rc = compare(p, &p->audio);
    return rc < 0 ? rc : try_audio(p, frame);
}

// A track too many, or of no use, is left out and is no fault of the source.
static int add_another(struct probe *p, struct index_track *t, AVFrame *frame)
{
    struct media *const m = p->media;
    m->audio = (struct audio_track){ .codec = CODEC_NONE };
    const bool room = m->more_audio_count < MEDIA_AUDIOS - 1;
    const int rc = room ? try_another(p, t, frame)
                        : fail_with(p->why, -E_LIMITS, "there are more than %d", MEDIA_AUDIOS);
    if (rc == 0) {
        m->more_audio[m->more_audio_count++] = m->audio;
        return 0;
    }
    forget_audio(p);
    if (rc != -E_CORRUPT && rc != -E_UNSUPPORTED && rc != -E_LIMITS)
        return rc;
    log_info("probe", "the sound of track %d is left out: %s", t->number,
             p->why->cap ? p->why->line : "unusable");
    return 0;
}

// The tracks of sound beside the one that was chosen.
static int probe_more_audio(struct probe *p, AVFrame *frame)
{
    const struct chosen chosen = p->audio;
    const struct audio_track first = p->media->audio;
    int rc = 0;
    if (!p->video.track || first.codec == CODEC_NONE)
        return 0;
    for (int i = 0; rc == 0 && i < p->index.track_count; i++) {
        struct index_track *t = &p->index.tracks[i];
        if (t->audio && t != chosen.track)
            rc = add_another(p, t, frame);
    }
    p->audio = chosen;
    p->media->audio = first;
    return rc;
}

// ---- subtitles

static int add_text(struct probe *p, const struct index_track *t)
{
    struct media *m = p->media;
    if (t->refused || m->text_count == MEDIA_TEXTS) {
        log_info("probe", "the subtitles of track %d are left out: %s", t->number,
                 t->refused ? t->why : "there are too many");
        return 0;
    }
    const int rc = text_times(&m->texts[m->text_count], t, p->t0, m->video.timescale);
    m->text_count += rc == 0;
    return rc == -E_NOT_FOUND ? 0 : rc;
}

// Where all are preferred, which is what Matroska says of tracks that nobody chose from,
// none is.
static void forget_preferred(struct media *m)
{
    bool all = true;
    for (int i = 0; i < m->text_count; i++)
        all = all && m->texts[i].tags.flags & TAG_PREFERRED;
    for (int i = 0; all && i < m->text_count; i++)
        m->texts[i].tags.flags &= ~(unsigned)TAG_PREFERRED;
}

// Only beside pictures, whose playlists can name them.
static int probe_texts(struct probe *p)
{
    int rc = 0;
    for (int i = 0; rc == 0 && p->video.track && i < p->index.track_count; i++)
        if (p->index.tracks[i].text)
            rc = add_text(p, &p->index.tracks[i]);
    forget_preferred(p->media);
    return rc;
}

// ---- the whole

static int fill_media(struct probe *p)
{
    p->media = media_create();
    p->media->container = p->index.container;
    p->media->reach = p->index.beginning ? MEDIA_BEGINNING : MEDIA_ALL;
    p->media->size = p->meter.io.size;
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return fail_with(p->why, -E_NO_MEMORY, "no memory for a frame");
    int rc = probe_video(p, frame);
    if (rc == 0)
        rc = probe_audio(p, frame);
    if (rc == 0)
        rc = probe_more_audio(p, frame);
    if (rc == 0)
        rc = probe_texts(p);
    av_frame_free(&frame);
    if (rc < 0)
        return rc;
    rc = media_finish(p->media);
    return rc < 0 ? fail_with(p->why, rc, "its tables make no sense") : 0;
}

static int append_packed(const struct probe *p)
{
    struct buf b;
    buf_init(&b, (size_t)GIB);
    int rc = media_pack(p->media, &b);
    for (size_t at = 0; rc == 0 && at < b.len; at += APPEND_MAX) {
        const size_t n = b.len - at < APPEND_MAX ? b.len - at : APPEND_MAX;
        rc = p->meter.to->append(p->meter.to, b.data + at, n);
    }
    buf_finish(&b);
    return rc < 0 ? fail_with(p->why, rc, "giving the index back: %s", err_sentence(rc)) : 0;
}

static int run(struct probe *p)
{
    int rc = sniff_source(p);
    if (rc == 0)
        rc = read_index(p);
    if (rc == 0)
        rc = choose_tracks(p);
    if (rc == 0)
        rc = compare_all(p);
    if (rc == 0)
        rc = fill_media(p);
    return rc == 0 ? append_packed(p) : rc;
}

int av_probe(const struct job *job, struct io *io, char *detail, size_t cap)
{
    const struct why why = { detail, cap };
    struct probe p = { .job = job, .why = &why };
    p.meter = (struct meter){
        .io = { .size = io->size, .read = meter_read, .cancelled = meter_cancelled },
        .to = io,
        .left = job->limits.probe_bytes,
    };
    const int rc = run(&p);
    media_destroy(p.media);
    free(p.second);
    demux_close(&p.demux);
    recent_finish(&p.recent);
    index_finish(&p.index);
    return rc;
}
