// SPDX-License-Identifier: BSD-2-Clause
//
// scan_track - what a track is, once its first packet is there: its kind and its headers.

#include "codec/av/scan_steps.h"

#include <string.h>

#include <libavcodec/bsf.h>
#include <libavutil/mem.h>

#include "base/err.h"
#include "codec/av/codecs.h"
#include "codec/av/real.h"

// RealMedia deals out its sound over seconds of the source, so that what is lost is not heard
// at once.
#define DEALT_OUT (512 * KIB)

static bool is_of_interest(const AVStream *st)
{
    const enum AVMediaType type = st->codecpar->codec_type;
    return (type == AVMEDIA_TYPE_VIDEO || type == AVMEDIA_TYPE_AUDIO) &&
           !(st->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

static int begin_parser(struct scan_track *k, const AVCodecParameters *par)
{
    k->parser = av_parser_init(par->codec_id);
    if (!k->parser)
        return 0; // its headers tell nothing that we need
    k->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    k->headers = avcodec_alloc_context3(NULL);
    return k->headers ? avcodec_parameters_to_context(k->headers, par) : AVERROR(ENOMEM);
}

// The stream may have been known before anybody could say what is in it.
int scan_begin_track(struct scan *s, const AVPacket *p)
{
    const int i = p->stream_index;
    struct scan_track *const k = &s->tracks[i];
    AVStream *st = s->demux->ctx->streams[i];
    struct index_track *const t = &s->x->tracks[i];
    const AVDictionaryEntry *language = av_dict_get(st->metadata, "language", NULL, 0);
    if (k->codec != CODEC_NONE || !is_of_interest(st))
        return 0;
    if (st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && scan_is_dif(s, p))
        scan_begin_dif(s, st);
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

int scan_add_streams(struct scan *s)
{
    const AVFormatContext *ctx = s->demux->ctx;
    while (s->x->track_count < (int)ctx->nb_streams) {
        if (s->x->track_count == s->limits->streams || s->x->track_count == TIMELINE_TRACKS)
            return fail_with(s->why, -E_LIMITS, "more than %d tracks", s->x->track_count);
        const size_t n = (size_t)s->x->track_count + 1;
        s->tracks = xrealloc(s->tracks, n * sizeof *s->tracks);
        s->tracks[n - 1] = (struct scan_track){ .codec = CODEC_NONE };
        index_add_track(s->x);
    }
    return 0;
}

void scan_end_track(struct scan_track *k)
{
    if (k->codec != CODEC_NONE)
        trace_finish(&k->trace);
    av_parser_close(k->parser);
    avcodec_free_context(&k->headers);
    free(k->pictures);
}

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
static void tell_mpeg2(struct scan_track *k, AVStream *st)
{
    static const uint8_t extension[] = { 0, 0, 1, 0xb5 };
    AVCodecParameters *const par = st->codecpar;
    if (k->codec != CODEC_MPEG1 ||
        !memmem(par->extradata, (size_t)par->extradata_size, extension, sizeof extension))
        return;
    k->codec = CODEC_MPEG2;
    par->codec_id = AV_CODEC_ID_MPEG2VIDEO;
}

int scan_headers(struct scan *s, const AVPacket *p)
{
    AVStream *const st = s->demux->ctx->streams[p->stream_index];
    int rc = 0;
    if (s->x->tracks[p->stream_index].video && !st->codecpar->extradata_size &&
        p->flags & AV_PKT_FLAG_KEY)
        rc = extract_headers(st, p);
    tell_mpeg2(&s->tracks[p->stream_index], st);
    return rc < 0 ? fail_with(s->why, rc, "no memory for headers") : 0;
}
