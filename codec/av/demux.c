// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/demux.h"

#include <libavutil/mem.h>

#include "base/err.h"

#define BUFFER (64 * 1024)

static const char *const names[CONTAINER_COUNT] = {
#define X(id, demuxer, name) [id] = demuxer,
#include "codec/containers.def"
#undef X
};

static const char demuxers[] = ""
#define X(id, demuxer, name) demuxer ","
#include "codec/containers.def"
#undef X
    ;

// All decoders that we ever open.
static const char decoders[] = ""
#define X(id, name, decoder, video) decoder ","
#include "codec/codecs.def"
#undef X
    ;

static int read_io(void *opaque, uint8_t *out, int n)
{
    struct demux *d = opaque;
    if (d->io->cancelled && d->io->cancelled(d->io))
        d->err = -E_CANCELLED;
    if (d->err)
        return AVERROR_EXIT;
    if (d->pos >= d->io->size)
        return AVERROR_EOF; // 0 would not count as the end
    const int64_t left = d->io->size - d->pos;
    const int64_t got = d->io->read(d->io, d->pos, out, n < left ? n : left);
    if (got <= 0) {
        d->err = got < 0 ? (int)got : -E_IO;
        return AVERROR_EXIT;
    }
    d->pos += got;
    return (int)got;
}

static int64_t seek_io(void *opaque, int64_t offset, int whence)
{
    struct demux *d = opaque;
    if (whence & AVSEEK_SIZE)
        return d->io->size;
    whence &= ~AVSEEK_FORCE;
    if (whence == SEEK_CUR || whence == SEEK_END) {
        const int64_t from = whence == SEEK_CUR ? d->pos : d->io->size;
        if (__builtin_add_overflow(offset, from, &offset))
            return AVERROR(EINVAL);
    }
    if (offset < 0)
        return AVERROR(EINVAL);
    return d->pos = offset;
}

static int deny_open(AVFormatContext *ctx, AVIOContext **pb, const char *url, int flags,
                     AVDictionary **options)
{
    (void)ctx, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EACCES);
}

static int failed(const struct demux *d, int averror, const char *doing, const struct why *why)
{
    if (d->err)
        return fail_with(why, d->err, "%s: %s", doing, err_sentence(d->err));
    if (averror == AVERROR(ENOMEM)) // counts of a damaged file; what we need ourselves is less
        return fail_with(why, -E_CORRUPT, "%s: it claims more than fits into memory", doing);
    return fail_libav(why, -E_CORRUPT, averror, doing);
}

static int create_pb(struct demux *d)
{
    uint8_t *buffer = av_malloc(BUFFER);
    if (buffer)
        d->pb = avio_alloc_context(buffer, BUFFER, 0, d, read_io, NULL, seek_io);
    if (!d->pb)
        av_free(buffer);
    return d->pb ? 0 : AVERROR(ENOMEM);
}

// MP3 in a file of its own: where its sound begins and ends, libavformat says only of
// packets that it has counted.  All other times are to be those of the file.
static bool counts_time(enum container c)
{
    return c == CONTAINER_MP3;
}

static int configure(struct demux *d, enum container container, bool parse,
                     const struct job_limits *limits)
{
    d->ctx = avformat_alloc_context();
    if (!d->ctx)
        return AVERROR(ENOMEM);
    d->ctx->pb = d->pb;
    d->ctx->io_open = deny_open;
    d->ctx->flags |= AVFMT_FLAG_CUSTOM_IO | (parse ? 0 : AVFMT_FLAG_NOPARSE) |
                     (counts_time(container) ? 0 : AVFMT_FLAG_NOFILLIN);
    d->ctx->correct_ts_overflow = 0; // timeline.h does
    d->ctx->max_streams = limits->streams;
    d->ctx->codec_whitelist = av_strdup(decoders);
    d->ctx->format_whitelist = av_strdup(demuxers);
    d->ctx->protocol_whitelist = av_strdup("");
    return d->ctx->codec_whitelist && d->ctx->format_whitelist && d->ctx->protocol_whitelist
               ? 0
               : AVERROR(ENOMEM);
}

int demux_open(struct demux *d, struct io *io, enum container container, bool parse,
               const struct job_limits *limits, const struct why *why)
{
    assert(container > CONTAINER_NONE && container < CONTAINER_COUNT);
    *d = (struct demux){ .io = io };
    const AVInputFormat *format = av_find_input_format(names[container]);
    if (!format)
        return fail_with(why, -E_CONFIG, "libavformat cannot read %s", names[container]);
    AVDictionary *options = NULL;
    int rc = create_pb(d);
    if (rc == 0)
        rc = configure(d, container, parse, limits);
    if (rc == 0 && container == CONTAINER_MP4) // edits are our business: its index is to be raw
        rc = av_dict_set(&options, "ignore_editlist", "1", 0);
    if (rc >= 0 && container == CONTAINER_MP4)
        rc = av_dict_set(&options, "ignore_chapters", "1", 0);
    if (rc >= 0)
        rc = avformat_open_input(&d->ctx, NULL, format, &options);
    av_dict_free(&options);
    return rc < 0 ? failed(d, rc, "reading the headers", why) : 0;
}

// The colours of a palette come with a packet, and belong to all.
static int keep_palette(AVStream *st, const AVPacket *packet)
{
    size_t n = 0;
    const uint8_t *palette = av_packet_get_side_data(packet, AV_PKT_DATA_PALETTE, &n);
    if (!palette || n != AVPALETTE_SIZE || demux_palette(st))
        return 0;
    uint8_t *kept = av_stream_new_side_data(st, AV_PKT_DATA_PALETTE, n);
    if (kept)
        memcpy(kept, palette, n);
    return kept ? 0 : AVERROR(ENOMEM);
}

int demux_next(struct demux *d, AVPacket *packet, const struct why *why)
{
    int rc = av_read_frame(d->ctx, packet);
    if (rc == AVERROR_EOF)
        return 0;
    if (rc >= 0)
        rc = keep_palette(d->ctx->streams[packet->stream_index], packet);
    return rc < 0 ? failed(d, rc, "reading a packet", why) : 1;
}

const uint8_t *demux_palette(const AVStream *st)
{
    return av_stream_get_side_data(st, AV_PKT_DATA_PALETTE, NULL);
}

void demux_close(struct demux *d)
{
    avformat_close_input(&d->ctx);
    if (d->pb)
        av_freep(&d->pb->buffer); // may be another than the one we gave
    avio_context_free(&d->pb);
}
