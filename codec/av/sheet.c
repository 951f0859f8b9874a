// SPDX-License-Identifier: BSD-2-Clause
//
// sheet - makes one JPEG of the pictures that video.c shows, row by row.
//
// Each run of the job is shown by a decoder of its own, as if it were all there is: what one
// picture looks like never depends on which others are on its sheet.
//
// JFIF knows one kind of colours, BT.601 of full range.  The quantiser is fixed; a sheet that
// then takes more than its share is coded again, more coarsely.

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/encode.h"
#include "codec/av/video.h"

#define QUALITY_WORST 31

struct sheet {
    struct sink sink;
    struct video_settings tile; // what the filter is told
    // borrowed
    const struct job *job;
    const struct why *why;

    AVFrame *canvas;
    int tiles; // on it
};

// ---- pictures

static void copy_plane(AVFrame *canvas, const AVFrame *tile, int plane, int x, int y)
{
    const int shift = plane > 0;
    const int to_pitch = canvas->linesize[plane], pitch = tile->linesize[plane];
    uint8_t *const to = canvas->data[plane] + (ptrdiff_t)(y >> shift) * to_pitch + (x >> shift);
    for (int row = 0; row < tile->height >> shift; row++)
        memcpy(to + (ptrdiff_t)row * to_pitch, tile->data[plane] + (ptrdiff_t)row * pitch,
               (size_t)(tile->width >> shift));
}

static int take_picture(struct sink *sink, AVFrame *picture)
{
    struct sheet *const s = container_of(sink, struct sheet, sink);
    const struct sheet_settings *const of = &s->job->s;
    if (picture->format != AV_PIX_FMT_YUV420P || picture->width != of->width ||
        picture->height != of->height || s->tiles == of->columns * of->rows)
        return fail_with(s->why, -E_INTERNAL, "a picture that does not fit the sheet");
    const int x = s->tiles % of->columns * of->width, y = s->tiles / of->columns * of->height;
    for (int plane = 0; plane < 3; plane++)
        copy_plane(s->canvas, picture, plane, x, y);
    s->tiles++;
    return 0;
}

static struct video_settings tile_settings(const struct job *job)
{
    return (struct video_settings){
        .width = job->s.width,
        .height = job->s.height,
        .fps = job->media->fps,
        .deinterlace =
            job->media->video.fields == FIELDS_NONE ? DEINTERLACE_NOT : DEINTERLACE_FRAMES,
        .colour = { AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_SMPTE170M, true },
    };
}

static int show_runs(struct sheet *s, struct io *io, struct job_stats *stats)
{
    struct job run = *s->job;
    struct audience audience = { .sinks = { &s->sink }, .count = 1 };
    int rc = 0;
    run.v = s->tile = tile_settings(s->job);
    s->sink.v = &s->tile;
    for (int i = 0; i < s->job->run_count && rc == 0; i++) {
        run.sample_count = s->job->runs[i].samples;
        run.pick_count = s->job->runs[i].picks;
        rc = video_show(&run, io, &audience, stats, s->why);
        run.samples += run.sample_count;
        run.picks += run.pick_count;
        run.first = 1; // there are pictures before
    }
    return rc;
}

// ---- the JPEG

static int open_canvas(struct sheet *s)
{
    const struct sheet_settings *const of = &s->job->s;
    AVFrame *const c = s->canvas = av_frame_alloc();
    if (!c)
        return fail_with(s->why, -E_NO_MEMORY, "no memory for a sheet");
    c->format = AV_PIX_FMT_YUVJ420P;
    c->color_range = AVCOL_RANGE_JPEG;
    c->width = of->columns * of->width;
    c->height = of->rows * of->height;
    if (av_frame_get_buffer(c, 0) < 0)
        return fail_with(s->why, -E_NO_MEMORY, "no memory for a sheet");
    // Black, where the last sheet has no more tiles.
    memset(c->data[0], 0, (size_t)c->linesize[0] * (size_t)c->height);
    for (int i = 1; i < 3; i++)
        memset(c->data[i], 128, (size_t)c->linesize[i] * (size_t)(c->height / 2));
    return 0;
}

static int encode(struct sheet *s, int quality, AVPacket *packet)
{
    AVCodecContext *encoder = NULL;
    const int rc = encode_open_jpeg(&encoder, s->canvas, quality, s->why);
    if (rc < 0)
        return rc;
    s->canvas->quality = encoder->global_quality; // the encoder looks here alone
    int av = avcodec_send_frame(encoder, s->canvas);
    if (av >= 0)
        av = avcodec_receive_packet(encoder, packet);
    avcodec_free_context(&encoder);
    return av < 0 ? fail_libav(s->why, -E_INTERNAL, av, "coding a sheet") : 0;
}

static int put_out(struct sheet *s, struct io *io, struct job_stats *stats)
{
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return fail_with(s->why, -E_NO_MEMORY, "no memory for a packet");
    const int64_t start = clock_us();
    int quality = s->job->s.quality;
    int rc = encode(s, quality, packet);
    while (rc == 0 && (int64_t)packet->size * 8 > s->job->bits && quality < QUALITY_WORST) {
        quality = quality * 3 / 2 < QUALITY_WORST ? quality * 3 / 2 : QUALITY_WORST;
        av_packet_unref(packet);
        rc = encode(s, quality, packet);
    }
    stats->encode_us += clock_us() - start;
    if (rc == 0)
        rc = io->append(io, packet->data, (size_t)packet->size);
    if (rc == 0) {
        stats->bytes += packet->size;
        stats->frames_encoded += s->tiles;
    }
    av_packet_free(&packet);
    return rc;
}

int av_sheet(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap)
{
    const struct why why = { detail, cap };
    struct sheet s = { .sink.take = take_picture, .job = job, .why = &why };
    if (!sheet_settings_ok(&job->s))
        return fail_with(&why, -E_PROTOCOL, "sheet settings out of range");
    int rc = open_canvas(&s);
    if (rc == 0)
        rc = show_runs(&s, io, stats);
    if (rc == 0)
        rc = put_out(&s, io, stats);
    av_frame_free(&s.canvas);
    return rc;
}
