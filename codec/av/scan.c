// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/scan.h"

#include <inttypes.h>
#include <string.h>

#include <libavcodec/bsf.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mem.h>

#include "base/err.h"
#include "base/log.h"
#include "codec/av/codecs.h"
#include "codec/av/dif.h"
#include "codec/av/picture_times.h"
#include "codec/av/real.h"
#include "codec/av/timeline.h"
#include "codec/av/trace.h"
#include "codec/av/vc1.h"
#include "codec/avc.h"
#include "codec/beginning.h"

#define ERRORS_MAX 64   // in a row: then it is taken for the end
#define MISSING_MAX 100 // more packets than were found: there is no use
#define DELTAS 64       // between pictures, of which the middle one counts

// RealMedia deals out its sound over seconds of the source, so that what is lost is not heard
// at once.
#define DEALT_OUT (512 * KIB)

// What we hold of a stream of the demuxer while its packets are read.
struct track {
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

    struct track *tracks; // as many as x has
    struct timeline timeline;
    bool wraps; // its clocks do

    // The DV frame that was met last, whose sound libavformat gives as packets of their own.
    struct dif_sound dif; // bytes 0: it has none
    int64_t dif_pos;      // as the demuxer has it
    int64_t dif_offset, dif_pts;
    int dif_timescale; // of its time
    int dif_stream;    // where its sound is, once it is known
};

// ---- tracks

static bool is_of_interest(const AVStream *st)
{
    const enum AVMediaType type = st->codecpar->codec_type;
    return (type == AVMEDIA_TYPE_VIDEO || type == AVMEDIA_TYPE_AUDIO) &&
           !(st->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

static int begin_parser(struct track *k, const AVCodecParameters *par)
{
    k->parser = av_parser_init(par->codec_id);
    if (!k->parser)
        return 0; // its headers tell nothing that we need
    k->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    k->headers = avcodec_alloc_context3(NULL);
    return k->headers ? avcodec_parameters_to_context(k->headers, par) : AVERROR(ENOMEM);
}

static bool is_dif(const struct scan *s, const AVPacket *p)
{
    return s->dif.bytes && p->pos == s->dif_pos &&
           (s->dif_stream < 0 || s->dif_stream == p->stream_index);
}

// What the demuxer makes of it is not in the source; a decoder makes the same of its blocks.
static void begin_dif(struct scan *s, AVStream *st)
{
    AVCodecParameters *const par = st->codecpar;
    par->codec_id = AV_CODEC_ID_DVAUDIO;
    par->sample_rate = s->dif.rate;
    par->bits_per_coded_sample = s->dif.bits;
    par->block_align = s->dif.bytes;
    s->dif_stream = st->index;
}

// The stream may have been known before anybody could say what is in it.
static int begin_track(struct scan *s, const AVPacket *p)
{
    const int i = p->stream_index;
    struct track *const k = &s->tracks[i];
    AVStream *st = s->demux->ctx->streams[i];
    struct index_track *const t = &s->x->tracks[i];
    const AVDictionaryEntry *language = av_dict_get(st->metadata, "language", NULL, 0);
    if (k->codec != CODEC_NONE || !is_of_interest(st))
        return 0;
    if (st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && is_dif(s, p))
        begin_dif(s, st);
    // One of a kind that we do not read keeps no packets; it is there to be refused by name.
    k->codec = codec_of(st->codecpar->codec_id);
    t->video = st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
    t->audio = !t->video;
    t->timescale = st->time_base.den;
    if (k->codec == CODEC_NONE)
        return 0;
    if (language)
        language_parse(language->value, strlen(language->value), t->tags.language);
    struct carriage how = s->how;
    how.pid = st->id & 0x1fff;
    trace_init(&k->trace, s->io, &how, INT64_MAX); // s->io has a limit of its own
    k->sliced = real_is_sliced(s->x->container, k->codec);
    if (k->codec == CODEC_DVAUDIO) {
        t->timescale = s->dif_timescale;
        k->trace.carriage.kind = CARRIAGE_DIF;
    }
    if (s->x->container == CONTAINER_RM)
        k->trace.back = t->audio ? DEALT_OUT : 0;
    k->vc1 = vc1_headers(k->codec, st->codecpar->extradata, (size_t)st->codecpar->extradata_size);
    return t->video ? begin_parser(k, st->codecpar) : 0;
}

static int add_streams(struct scan *s)
{
    const AVFormatContext *ctx = s->demux->ctx;
    while (s->x->track_count < (int)ctx->nb_streams) {
        if (s->x->track_count == s->limits->streams || s->x->track_count == TIMELINE_TRACKS)
            return fail_with(s->why, -E_LIMITS, "more than %d tracks", s->x->track_count);
        const size_t n = (size_t)s->x->track_count + 1;
        s->tracks = xrealloc(s->tracks, n * sizeof *s->tracks);
        s->tracks[n - 1] = (struct track){ .codec = CODEC_NONE };
        index_add_track(s->x);
    }
    return 0;
}

static void end_track(struct track *k)
{
    if (k->codec != CODEC_NONE)
        trace_finish(&k->trace);
    av_parser_close(k->parser);
    avcodec_free_context(&k->headers);
    free(k->pictures);
}

// ---- times

#define WRAP ((int64_t)1 << 33)

// On the one time line, in ticks; INDEX_NO_PTS stays.
static int64_t time_of(const struct scan *s, const struct track *k, const AVStream *st, int64_t t)
{
    if (t == AV_NOPTS_VALUE)
        return INDEX_NO_PTS;
    const __int128 v = ((__int128)t + (s->wraps ? k->add : 0)) * st->time_base.num;
    return v > INDEX_TIME_MAX || v < -INDEX_TIME_MAX ? INDEX_NO_PTS : (int64_t)v;
}

static void unwrap(struct scan *s, int i, AVPacket *p)
{
    const int64_t t = p->dts != AV_NOPTS_VALUE ? p->dts : p->pts;
    if (!s->wraps || t == AV_NOPTS_VALUE)
        return;
    if (p->pts != AV_NOPTS_VALUE && p->pts < t - WRAP / 2)
        p->pts += WRAP; // the clock turned between the two
    s->tracks[i].add = timeline_add(&s->timeline, i, t);
}

static void note_time(struct track *k, int64_t t)
{
    if (t == INDEX_NO_PTS)
        return;
    k->earliest = k->timed && k->earliest < t ? k->earliest : t;
    k->latest = k->timed && k->latest > t ? k->latest : t;
    k->timed = true;
}

// ---- packets

static int add_dif(struct scan *s, const AVPacket *p)
{
    struct index_track *const t = &s->x->tracks[p->stream_index];
    if (!is_dif(s, p))
        return 0;
    const struct sample sample = {
        .offset = s->dif_offset, .pts = s->dif_pts, .size = (uint32_t)s->dif.bytes, .sync = true
    };
    const uint8_t samples[2] = { (uint8_t)(s->dif.samples >> 8), (uint8_t)s->dif.samples };
    note_time(&s->tracks[p->stream_index], sample.pts);
    const int rc = index_add_sample(s->x, t, &sample, samples);
    return rc < 0 ? fail_with(s->why, rc, "too many samples") : 0;
}

static void note_dif(struct scan *s, const AVPacket *p, const struct sample *sample)
{
    int64_t end = sample->offset + sample->size;
    if (!dif_read(p->data, (size_t)p->size, &s->dif))
        s->dif.bytes = 0;
    s->dif_pos = p->pos;
    s->dif_offset = sample->offset;
    carriage_span(&s->tracks[p->stream_index].trace.carriage, &s->dif_offset, &end);
    if (end - s->dif_offset != sample->size) // in pieces
        s->dif.bytes = 0;
    s->dif_pts = sample->pts;
    s->dif_timescale = s->demux->ctx->streams[p->stream_index]->time_base.den;
}

// What the headers of a picture say; *sync as the demuxer has it.
static struct picture look(struct track *k, const AVPacket *p, bool *sync)
{
    struct picture picture = { .dts = INDEX_NO_PTS };
    uint8_t *out;
    int n;
    if (!k->parser)
        return picture;
    av_parser_parse2(k->parser, k->headers, &out, &n, p->data, p->size, p->pts, p->dts, p->pos);
    const AVCodecParserContext *const c = k->parser;
    if (c->key_frame >= 0)
        *sync = c->key_frame;
    else if (c->pict_type != AV_PICTURE_TYPE_NONE)
        *sync = c->pict_type == AV_PICTURE_TYPE_I;
    picture.order = c->output_picture_number;
    picture.restarts = *sync && c->output_picture_number <= 0;
    picture.b = c->pict_type == AV_PICTURE_TYPE_B;
    return picture;
}

#define REAL_CLOCK 8192 // of the headers of pictures: milliseconds until it turns

// RealVideo 2, of which libavformat knows only what the container says: it may flag no sync
// samples, and a B-picture has the time of the picture sent before it.
static void look_real(const AVStream *st, const AVPacket *p, struct sample *sample,
                      struct picture *picture)
{
    const AVCodecParameters *const par = st->codecpar;
    const int table = real_table_length(p->data, p->size);
    const uint32_t version = par->extradata_size >= 8 ? AV_RB32(par->extradata + 4) : 0;
    const struct real_picture r = real_look(version, p->data + table, p->size - table);
    sample->sync = r.intra;
    picture->b = r.b;
    if (r.b && r.time >= 0 && sample->pts != INDEX_NO_PTS)
        sample->pts -= (sample->pts - r.time) & (REAL_CLOCK - 1);
}

static void look_vc1(const struct vc1 *v, const AVPacket *p, struct sample *sample,
                     struct picture *picture)
{
    const enum vc1_type type = vc1_look(v, p->data, (size_t)p->size);
    sample->sync = p->flags & AV_PKT_FLAG_KEY && type == VC1_I;
    picture->b = type == VC1_B;
}

// What libavformat does not know of a picture.
static void look_closer(const struct track *k, const AVStream *st, const AVPacket *p,
                        struct sample *sample, struct picture *picture)
{
    if (k->codec == CODEC_RV20)
        look_real(st, p, sample, picture);
    if (k->vc1.known)
        look_vc1(&k->vc1, p, sample, picture);
}

static int add_picture(struct track *k, int i, const struct picture *p)
{
    if (i == k->picture_cap) {
        k->picture_cap = k->picture_cap ? k->picture_cap + k->picture_cap / 2 : 512;
        struct picture *pictures = realloc(k->pictures, (size_t)k->picture_cap * sizeof *pictures);
        if (!pictures)
            return -E_NO_MEMORY;
        k->pictures = pictures;
    }
    k->pictures[i] = *p;
    return 0;
}

// Whether p, which was looked at, is one field.  (A field of HEVC is a picture of its own; of all
// others a packet has both.)
static bool is_field(const struct track *k, const AVStream *st, const AVPacket *p)
{
    const int structure = k->parser ? k->parser->picture_structure : AV_PICTURE_STRUCTURE_FRAME;
    return k->codec == CODEC_H264 &&
           (structure == AV_PICTURE_STRUCTURE_TOP_FIELD ||
            structure == AV_PICTURE_STRUCTURE_BOTTOM_FIELD) &&
           avc_pictures(st->codecpar->extradata, (size_t)st->codecpar->extradata_size, p->data,
                        (size_t)p->size) == 1;
}

// To the sample before it.
static bool can_join(const struct index_track *t, const struct sample *s)
{
    return t->sample_count > 0 && s->size < UINT32_MAX / 2 &&
           t->samples[t->sample_count - 1].size < UINT32_MAX / 2;
}

static int add_video(struct track *k, struct scan *s, struct index_track *t, struct sample *sample,
                     const AVPacket *p, const uint8_t *head)
{
    const AVStream *st = s->demux->ctx->streams[p->stream_index];
    struct picture picture = look(k, p, &sample->sync);
    look_closer(k, st, p, sample, &picture);
    const bool field = is_field(k, st, p);
    if (field && k->half && can_join(t, sample)) {
        t->samples[t->sample_count - 1].size += sample->size;
        k->half = false;
        return 0;
    }
    k->half = field;
    picture.dts = time_of(s, k, st, p->dts);
    const int rc = add_picture(k, t->sample_count, &picture);
    return rc < 0 ? rc : index_add_sample(s->x, t, sample, head);
}

static uint32_t duration_of(const AVPacket *p, const AVStream *st)
{
    const __int128 d = (__int128)p->duration * st->time_base.num;
    return d > 0 && d < UINT32_MAX ? (uint32_t)d : 0;
}

// What the demuxer says is to be left out of the sound at its start and its end (layout:
// AV_PKT_DATA_SKIP_SAMPLES).  Times before zero say the same of the start.
static void note_padding(struct index_track *t, const AVPacket *p, int rate)
{
    size_t n;
    const uint8_t *skip = av_packet_get_side_data(p, AV_PKT_DATA_SKIP_SAMPLES, &n);
    if (!t->audio || !skip || n < 10 || rate <= 0)
        return;
    if (t->sample_count == 0 && (p->pts == AV_NOPTS_VALUE || p->pts >= 0))
        t->codec_delay_ns = muldiv_round(AV_RL32(skip), 1000000000, rate);
    t->padding_ns = muldiv_round(AV_RL32(skip + 4), 1000000000, rate);
}

// AC-3 in RealMedia, and in WAV as it goes over a digital cable, lies there with the bytes of each
// word swapped.
static bool may_be_swapped(const struct scan *s, const struct track *k, const struct index_track *t)
{
    const enum container c = s->x->container;
    return k->codec == CODEC_AC3 && (t->swapped || t->sample_count == 0) &&
           (c == CONTAINER_RM || c == CONTAINER_WAV || c == CONTAINER_W64);
}

static int find_swapped(struct track *k, struct index_track *t, AVPacket *p, struct sample *sample)
{
    if (av_packet_make_writable(p) < 0)
        return -E_NO_MEMORY;
    swap_bytes(p->data, p->size);
    const int rc = trace_packet(&k->trace, p->data, p->size, p->pos, &sample->offset);
    t->swapped |= rc > 0;
    return rc;
}

// Where p lies in the source, into *sample.  As trace_packet.
static int find_packet(const struct scan *s, struct track *k, struct index_track *t, AVPacket *p,
                       struct sample *sample)
{
    if (!k->sliced) {
        int rc = 0;
        if (!t->swapped)
            rc = trace_packet(&k->trace, p->data, p->size, p->pos, &sample->offset);
        return rc == 0 && may_be_swapped(s, k, t) ? find_swapped(k, t, p, sample) : rc;
    }
    const int table = real_table_length(p->data, p->size);
    sample->size -= (uint32_t)table;
    return table ? real_trace(&k->trace, p->data, p->size, table, &sample->offset) : 0;
}

// The headers of sound in an Ogg that goes on with another one: no sound.
static bool is_header(const struct track *k, const AVPacket *p)
{
    if (k->codec == CODEC_OPUS)
        return p->size >= 8 &&
               (memcmp(p->data, "OpusHead", 8) == 0 || memcmp(p->data, "OpusTags", 8) == 0);
    return k->codec == CODEC_VORBIS && p->size >= 7 && p->data[0] & 1 &&
           memcmp(p->data + 1, "vorbis", 6) == 0;
}

// Whether the source ends in the midst of it.  (One picture that is there in part is better than
// none.)
static bool is_cut(const struct scan *s, const struct track *k, const struct index_track *t,
                   const AVPacket *p)
{
    return t->video && t->sample_count > 0 && p->flags & AV_PKT_FLAG_CORRUPT &&
           k->trace.at == s->io->size;
}

static int add_packet(struct scan *s, AVPacket *p)
{
    struct track *const k = &s->tracks[p->stream_index];
    struct index_track *const t = &s->x->tracks[p->stream_index];
    const AVStream *st = s->demux->ctx->streams[p->stream_index];
    k->adrift &= !(p->flags & AV_PKT_FLAG_KEY);
    if (k->codec == CODEC_NONE || p->size <= 0 || is_header(k, p) || k->adrift ||
        k->missing > t->sample_count + MISSING_MAX)
        return 0;
    if (k->codec == CODEC_DVAUDIO)
        return add_dif(s, p);
    unwrap(s, p->stream_index, p);
    struct sample sample = { .pts = time_of(s, k, st, p->pts),
                             .size = (uint32_t)p->size,
                             .duration = duration_of(p, st),
                             .sync = t->audio || p->flags & AV_PKT_FLAG_KEY ||
                                     codec_is_intra(k->codec) };
    const int rc = find_packet(s, k, t, p, &sample);
    k->missing += rc == 0;
    k->half &= rc != 0; // its other field may be what is missing
    if (rc <= 0)
        return rc < 0 ? fail_with(s->why, rc, "looking for its packets: %s", err_sentence(rc)) : 0;
    if (is_cut(s, k, t, p)) {
        t->lost++;
        return 0;
    }
    note_time(k, time_of(s, k, st, p->dts != AV_NOPTS_VALUE ? p->dts : p->pts));
    note_padding(t, p, st->codecpar->sample_rate);
    if (t->audio && sample.pts == INDEX_NO_PTS && p->dts != AV_NOPTS_VALUE)
        sample.pts = time_of(s, k, st, p->dts);
    if (k->codec == CODEC_DV)
        note_dif(s, p, &sample);
    const uint8_t head[2] = { p->data[0], p->size > 1 ? p->data[1] : 0 };
    const int added =
        t->video ? add_video(k, s, t, &sample, p, head) : index_add_sample(s->x, t, &sample, head);
    return added < 0 ? fail_with(s->why, added, "too many samples") : 0;
}

// WAV has blocks of one size, and libavformat gives several at once.  Bytes of one of these kinds,
// whose decoders take one at a time or tell nothing of each; 0: the packet is whole.
static int block_size(const struct scan *s, const AVStream *st)
{
    if (s->x->container != CONTAINER_WAV && s->x->container != CONTAINER_W64)
        return 0;
    switch (codec_of(st->codecpar->codec_id)) {
    case CODEC_WMAV1:
    case CODEC_WMAV2:
    case CODEC_ATRAC3:
    case CODEC_GSM_MS:
    case CODEC_TRUESPEECH:
        return st->codecpar->block_align;
    default:
        return 0;
    }
}

static int add_blocks(struct scan *s, AVPacket *p)
{
    const int block = block_size(s, s->demux->ctx->streams[p->stream_index]);
    int rc = 0;
    while (rc == 0 && block > 0 && p->size > block) {
        const int rest = p->size - block;
        p->size = block;
        rc = add_packet(s, p);
        p->data += block;
        p->size = rest;
        p->pts = p->dts = AV_NOPTS_VALUE;
    }
    return rc == 0 ? add_packet(s, p) : rc;
}

// ---- packed bitstreams of MPEG-4: a packet holds a picture, and behind it the B-picture that is
// shown before it; one with next to nothing comes later, so that there are as many packets as
// pictures

#define NOTHING_MAX 19 // bytes

// Where the second picture of a packet begins; 0: it has none.
static int second_picture(const AVPacket *p)
{
    static const uint8_t vop[] = { 0, 0, 1, 0xb6 };
    const uint8_t *const end = p->data + p->size;
    const uint8_t *const first = memmem(p->data, (size_t)p->size, vop, sizeof vop);
    const uint8_t *const second =
        first ? memmem(first + 4, (size_t)(end - first - 4), vop, sizeof vop) : NULL;
    return second ? (int)(second - p->data) : 0;
}

// Each picture is a sample of its own; those behind others take the times of what comes later.
static int add_pictures(struct scan *s, AVPacket *p)
{
    struct track *const k = &s->tracks[p->stream_index];
    const int second = second_picture(p);
    if (!second && k->owed > 0 && p->size <= NOTHING_MAX) {
        k->owed--;
        return 0;
    }
    if (!second)
        return add_packet(s, p);
    const int all = p->size;
    p->size = second;
    const int rc = add_packet(s, p);
    p->data += second;
    p->size = all - second;
    p->flags &= ~AV_PKT_FLAG_KEY;
    p->pts = p->dts = AV_NOPTS_VALUE;
    k->owed++;
    return rc < 0 ? rc : add_packet(s, p);
}

// ---- all packets

// Whether there is anything to extract.  (Where there is not, the filter says so in a dozen lines,
// and at every picture, until the log is full.)
static bool has_headers(const AVBitStreamFilter *f, enum AVCodecID id)
{
    for (const enum AVCodecID *k = f ? f->codec_ids : NULL; k && *k != AV_CODEC_ID_NONE; k++)
        if (*k == id)
            return true;
    return false;
}

// The headers that a decoder needs are in the stream: those before the first picture stand
// for all of it.
static int extract_headers(AVStream *st, const AVPacket *p)
{
    AVBSFContext *c = NULL;
    const AVBitStreamFilter *f = av_bsf_get_by_name("extract_extradata");
    if (!has_headers(f, st->codecpar->codec_id))
        return 0;
    AVPacket *copy = av_packet_clone(p);
    size_t n = 0;
    int rc = copy ? av_bsf_alloc(f, &c) : AVERROR(ENOMEM);
    if (rc >= 0)
        rc = avcodec_parameters_copy(c->par_in, st->codecpar);
    if (rc >= 0)
        rc = av_bsf_init(c);
    if (rc >= 0)
        rc = av_bsf_send_packet(c, copy);
    if (rc >= 0)
        rc = av_bsf_receive_packet(c, copy);
    const uint8_t *found =
        rc >= 0 ? av_packet_get_side_data(copy, AV_PKT_DATA_NEW_EXTRADATA, &n) : NULL;
    if (found && n <= MEDIA_EXTRADATA_MAX)
        st->codecpar->extradata = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (found && st->codecpar->extradata) {
        memcpy(st->codecpar->extradata, found, n);
        st->codecpar->extradata_size = (int)n;
    }
    av_packet_free(&copy);
    av_bsf_free(&c);
    return rc == AVERROR(ENOMEM) ? -E_NO_MEMORY : 0;
}

// What is MPEG-2 says so behind the header that it shares with MPEG-1, which is what raw streams
// and some AVIs are taken for.
static void tell_mpeg2(struct track *k, AVStream *st)
{
    static const uint8_t extension[] = { 0, 0, 1, 0xb5 };
    AVCodecParameters *const par = st->codecpar;
    if (k->codec != CODEC_MPEG1 ||
        !memmem(par->extradata, (size_t)par->extradata_size, extension, sizeof extension))
        return;
    k->codec = CODEC_MPEG2;
    par->codec_id = AV_CODEC_ID_MPEG2VIDEO;
}

static int take_packet(struct scan *s, AVPacket *p)
{
    int rc = add_streams(s);
    if (rc < 0)
        return rc;
    if (begin_track(s, p) < 0)
        return fail_with(s->why, -E_NO_MEMORY, "no memory for a parser");
    AVStream *st = s->demux->ctx->streams[p->stream_index];
    if (s->x->tracks[p->stream_index].video && !st->codecpar->extradata_size &&
        p->flags & AV_PKT_FLAG_KEY)
        rc = extract_headers(st, p);
    tell_mpeg2(&s->tracks[p->stream_index], st);
    if (rc < 0)
        return fail_with(s->why, rc, "no memory for headers");
    return s->tracks[p->stream_index].codec == CODEC_MPEG4 ? add_pictures(s, p) : add_blocks(s, p);
}

static bool all_are_long(const struct scan *s)
{
    bool any = false;
    for (int i = 0; i < s->x->track_count; i++) {
        const struct track *const k = &s->tracks[i];
        if (k->codec == CODEC_NONE)
            continue;
        any = true;
        if (!k->timed || k->latest - k->earliest < BEGINNING_SECONDS * s->x->tracks[i].timescale)
            return false;
    }
    return any;
}

// Whether the beginning ends before this packet: so the source's bytes alone decide.
static bool breaks_off(const struct scan *s, const AVPacket *p)
{
    return beginning_may_end(s->limits->first, s->io->size, p->pos) && all_are_long(s);
}

// What libavformat's demuxer of RealMedia could not read of a packet it then takes for others, of
// pictures at any time.
static void drift(struct scan *s)
{
    for (int i = 0; i < s->x->track_count && s->x->container == CONTAINER_RM; i++)
        s->tracks[i].adrift = s->x->tracks[i].video;
}

// Damage is passed by; what io returned is not.
static int read_packets(struct scan *s, AVPacket *p)
{
    for (int errors = 0; errors < ERRORS_MAX;) {
        int rc = demux_next(s->demux, p, s->why);
        if (rc == 0)
            return 0;
        if (rc == -E_CORRUPT) {
            errors++;
            drift(s);
            continue;
        }
        if (rc < 0)
            return rc;
        errors = 0;
        s->x->beginning = breaks_off(s, p);
        rc = s->x->beginning ? 0 : take_packet(s, p);
        av_packet_unref(p);
        if (rc < 0 || s->x->beginning)
            return rc;
    }
    return 0;
}

// ---- the end

// When every packet was in one run, nobody needs the list.
static void make_whole(struct index_track *t, struct trace *trace)
{
    const struct carriage *c = &trace->carriage;
    for (int i = 0, piece = 0; i < t->sample_count; i++) {
        while (t->samples[i].offset >= c->pieces[piece].at + c->pieces[piece].size)
            piece++;
        t->samples[i].offset += c->pieces[piece].offset - c->pieces[piece].at;
    }
    carriage_finish(&trace->carriage);
}

static void take_carriage(struct index_track *t, struct track *k)
{
    if (k->trace.carriage.kind == CARRIAGE_PIECES && !k->trace.split)
        make_whole(t, &k->trace);
    t->carriage = k->trace.carriage;
    k->trace.carriage = (struct carriage){ 0 };
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The middle one of the first times between pictures; 0: none is known.
static int64_t usual_step(const struct track *k, const struct index_track *t)
{
    int64_t steps[DELTAS];
    int n = 0;
    for (int i = 1; i < t->sample_count && n < DELTAS; i++) {
        const int64_t a = k->pictures[i - 1].dts, b = k->pictures[i].dts;
        if (a != INDEX_NO_PTS && b != INDEX_NO_PTS && b > a)
            steps[n++] = b - a;
    }
    qsort(steps, (size_t)n, sizeof *steps, by_value);
    return n ? steps[n / 2] : 0;
}

// Ticks of a picture: by the headers, by the times, by its packet, or as usual.
static int64_t picture_ticks(const struct track *k, const struct index_track *t, const AVStream *st)
{
    AVRational told = k->headers ? k->headers->framerate : (AVRational){ 0, 1 };
    if (k->codec == CODEC_H264)
        told.den *= 2; // its parser counts fields
    const AVRational rates[] = { told, st->avg_frame_rate, st->r_frame_rate };
    for (size_t i = 0; i < countof(rates); i++)
        if (rates[i].num > 0 && rates[i].den > 0 && av_q2d(rates[i]) <= 1000)
            return muldiv_round(t->timescale, rates[i].den, rates[i].num);
    const int64_t step = usual_step(k, t);
    if (step == 0 && t->samples[0].duration > 0)
        return t->samples[0].duration;
    return step ? step : max64(t->timescale / 25, 1);
}

static enum picture_order order_of(enum codec_id c)
{
    switch (c) {
    case CODEC_H264:
    case CODEC_HEVC:
        return ORDER_COUNTED;
    case CODEC_MPEG1:
    case CODEC_MPEG2:
    case CODEC_MPEG4:
    case CODEC_VC1:
    case CODEC_WMV3:
        return ORDER_TYPES;
    default:
        return ORDER_DECODED;
    }
}

static int close_video(struct track *k, struct index_track *t, const AVStream *st)
{
    return picture_times(t->samples, k->pictures, t->sample_count, order_of(k->codec),
                         picture_ticks(k, t, st));
}

// These say how long their sound is, to the sample.
static bool tells_end(enum container c)
{
    return c == CONTAINER_FLAC || c == CONTAINER_OGG || c == CONTAINER_WAVPACK ||
           c == CONTAINER_TTA;
}

// Ogg files one after another in one, as recordings of radio are, each with a clock of its own:
// from the second on sound goes on without it.  Whether there are any.
static bool goes_on_anew(struct index_track *t)
{
    int64_t latest = INT64_MIN;
    bool anew = false;
    for (int i = 0; i < t->sample_count; i++) {
        struct sample *const s = &t->samples[i];
        if (s->pts == INDEX_NO_PTS)
            continue;
        anew |= latest != INT64_MIN && s->pts < latest - t->timescale;
        latest = s->pts > latest ? s->pts : latest;
        if (anew)
            s->pts = INDEX_NO_PTS;
    }
    return anew;
}

// Of the samples at the end that have no time; a parser gives none to the last one of all.
static int64_t untold_at_end(const struct index_track *t)
{
    int64_t sum = 0;
    for (int i = t->sample_count - 1; i > 0 && t->samples[i].pts == INDEX_NO_PTS; i--)
        sum += t->samples[i].duration;
    return sum;
}

// Sound that nobody stamped begins at once.
static void close_audio(struct scan *s, struct index_track *t, const AVStream *st)
{
    bool known = false;
    for (int i = 0; !known && i < t->sample_count; i++)
        known = t->samples[i].pts != INDEX_NO_PTS;
    if (!known && t->sample_count > 0)
        t->samples[0].pts = 0;
    const bool anew = s->x->container == CONTAINER_OGG && goes_on_anew(t);
    t->end = index_samples_end(t) + untold_at_end(t);
    t->end_is_exact = tells_end(s->x->container) && st->duration > 0 && !s->x->beginning && !anew;
    if (t->end_is_exact)
        t->end = st->duration + (st->start_time != AV_NOPTS_VALUE ? st->start_time : 0);
}

static int close_track(struct scan *s, int i)
{
    struct track *const k = &s->tracks[i];
    struct index_track *const t = &s->x->tracks[i];
    if (k->codec == CODEC_NONE)
        return 0;
    if (k->missing)
        log_info("probe", "track %d: %d packets stand nowhere in the source as they are read", i,
                 k->missing);
    if (k->missing > t->sample_count) {
        index_refuse(t, "its packets do not lie in the source as they are read");
        return 0;
    }
    take_carriage(t, k);
    const AVStream *st = s->demux->ctx->streams[i];
    const int rc = t->video && t->sample_count ? close_video(k, t, st) : 0;
    t->end = index_samples_end(t);
    if (t->audio)
        close_audio(s, t, st);
    return rc;
}

static int scan(struct scan *s)
{
    AVPacket *p = av_packet_alloc();
    if (!p)
        return fail_with(s->why, -E_NO_MEMORY, "no memory for a packet");
    int rc = read_packets(s, p);
    av_packet_free(&p);
    for (int i = 0; rc == 0 && i < s->x->track_count; i++)
        if (close_track(s, i) < 0)
            rc = fail_with(s->why, -E_NO_MEMORY, "no memory for its times");
    return rc;
}

int index_scan(struct io *io, struct demux *d, enum container container, const struct carriage *how,
               const struct job_limits *limits, struct index *out, const struct why *why)
{
    struct scan s = { .io = io,
                      .demux = d,
                      .limits = limits,
                      .how = *how,
                      .x = out,
                      .why = why,
                      .wraps = container == CONTAINER_TS || container == CONTAINER_PS,
                      .dif_stream = -1 };
    *out = (struct index){ .container = container };
    timeline_init(&s.timeline, 90000);
    const int rc = scan(&s);
    for (int i = 0; i < out->track_count; i++)
        end_track(&s.tracks[i]);
    free(s.tracks);
    return rc;
}
