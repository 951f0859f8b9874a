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

#include "codec/av/probe_steps.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/codecs.h"
#include "codec/av/scan.h"
#include "codec/av/sniff.h"

#define APPEND_MAX (256 * 1024)
#define PRIMING_MS 100 // of sound, before what is heard first

// ---- the tables and headers of the source

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

AVStream *probe_stream(const struct probe *p, const struct index_track *t)
{
    const AVFormatContext *ctx = p->demux.ctx;
    return t->number < (int)ctx->nb_streams ? ctx->streams[t->number] : NULL;
}

// ASF says so in its headers (those of MP4 and Matroska, of each track).
static bool is_encrypted(const AVFormatContext *ctx)
{
    return av_dict_get(ctx->metadata, "ASF_Protection_Type", NULL, 0) ||
           av_dict_get(ctx->metadata, "encryption", NULL, 0);
}

// Of a container without an index of use, by reading it all.
static int scan(struct probe *p)
{
    const struct job_limits *limits = &p->job->limits;
    recent_init(&p->recent, &p->meter.io);
    struct io *io = &p->recent.io;
    int rc = demux_open(&p->demux, io, p->container, true, limits, p->why);
    if (rc == 0 && p->container == CONTAINER_ASF && is_encrypted(p->demux.ctx))
        rc = fail_with(p->why, -E_UNSUPPORTED, "it is encrypted");
    if (rc == 0)
        rc = index_scan(io, &p->demux, p->container, &p->how, limits, &p->index, p->why);
    return rc;
}

// Matroska's compatibility mode tells times of decoding: only the pictures know better.
static bool hides_times(const struct probe *p)
{
    for (int i = 0; i < p->index.track_count; i++) {
        const AVStream *st = probe_stream(p, &p->index.tracks[i]);
        const enum codec_id codec = st ? codec_of(st->codecpar->codec_id) : CODEC_NONE;
        if (p->index.tracks[i].decode_times && codec != CODEC_NONE && codec_reorders(codec))
            return true;
    }
    return false;
}

// Pictures that may not be used fail it all, and sound alone likewise (probe_choose).  Known before
// libavformat finds another fault in such a file (in fragments that are encrypted).
static int check_refused(const struct probe *p)
{
    const struct index_track *refused = NULL;
    bool usable[2] = { false }; // sound, pictures
    for (int i = 0; i < p->index.track_count; i++) {
        const struct index_track *const t = &p->index.tracks[i];
        if (!t->video && !t->audio)
            continue;
        usable[t->video] |= !t->refused;
        if (t->refused && (t->video || !refused))
            refused = t;
    }
    const bool all = refused && !usable[true] && (refused->video || !usable[false]);
    return all ? probe_check_track(refused, NULL, p->why) : 0;
}

// By our own parser.  Two kinds of Matroska it cannot read.
static int parse(struct probe *p)
{
    const struct job_limits *limits = &p->job->limits;
    struct io *io = &p->meter.io;
    int rc = p->container == CONTAINER_MP4
                 ? index_read_mp4(io, limits, &p->index, p->why->line, p->why->cap)
                 : index_read_matroska(io, limits, &p->index, p->why->line, p->why->cap);
    if (rc == 0)
        rc = check_refused(p);
    if (rc == 0)
        rc = demux_open(&p->demux, io, p->container, false, limits, p->why);
    const bool late = p->container == CONTAINER_MATROSKA && p->index.track_count == 0;
    if (rc < 0 || !(late || hides_times(p)))
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

// ---- common to the tracks

int probe_copy_extradata(const struct probe *p, const AVCodecParameters *par, uint8_t **out,
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

int probe_check_length(const struct probe *p, int64_t end, int64_t timescale)
{
    if ((__int128)end * 1000 > (__int128)p->job->limits.duration_ms * timescale)
        return fail_with(p->why, -E_LIMITS, "it lasts longer than the limit of %" PRId64 " s",
                         p->job->limits.duration_ms / 1000);
    return 0;
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

// The bytes of t's first pictures or sounds, up to where a segment may end.
static void add_beginning(const struct index_track *t, int64_t ms, int64_t *from, int64_t *to)
{
    const struct sample *const s = t->samples;
    const int64_t ticks = muldiv_ceil(t->audio ? ms + PRIMING_MS : ms, t->timescale, 1000);
    for (int i = 0; i < t->sample_count; i++) {
        const int64_t at = s[i].pts - s[0].pts;
        if ((at >= ticks && s[i].sync) || at >= ticks + ticks / 2)
            break;
        *from = min64(*from, s[i].offset);
        *to = max64(*to, s[i].offset + s[i].size);
    }
}

// Of a source that is far away: what is decoded below and what its first viewer asks for next come
// with one answer.
static void want_beginning(struct probe *p)
{
    struct io *const io = &p->meter.io;
    const struct index_track *const tracks[] = { p->video.track, p->audio.track };
    int64_t from = INT64_MAX, to = 0;
    for (size_t i = 0; i < countof(tracks); i++)
        if (tracks[i] && tracks[i]->carriage.kind == CARRIAGE_WHOLE && p->job->limits.begin_ms > 0)
            add_beginning(tracks[i], p->job->limits.begin_ms, &from, &to);
    to = min64(to, io->size);
    if (from >= 0 && from < to)
        io->want(io, from, to - from);
}

static int run(struct probe *p)
{
    int rc = sniff_source(p);
    if (rc == 0)
        rc = read_index(p);
    if (rc == 0)
        rc = probe_choose(p);
    if (rc == 0)
        rc = probe_compare(p);
    if (rc == 0)
        want_beginning(p);
    if (rc == 0)
        rc = fill_media(p);
    return rc == 0 ? append_packed(p) : rc;
}

int av_probe(const struct job *job, struct io *io, char *detail, size_t cap)
{
    const struct why why = { detail, cap };
    struct probe p = { .job = job, .why = &why };
    meter_init(&p.meter, io, job->limits.probe_bytes);
    const int rc = run(&p);
    media_destroy(p.media);
    free(p.second);
    demux_close(&p.demux);
    recent_finish(&p.recent);
    index_finish(&p.index);
    return rc;
}
