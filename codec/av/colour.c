// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/colour.h"

#include <libavutil/mastering_display_metadata.h>

#include "base/rational.h"

#define HDR_PEAK_NITS 1000 // where nothing is said

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

static const AVContentLightMetadata *light_of(const AVStream *st, const AVFrame *frame)
{
    return side_data(st, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL,
                     sizeof(AVContentLightMetadata));
}

static const AVMasteringDisplayMetadata *display_of(const AVStream *st, const AVFrame *frame)
{
    return side_data(st, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, frame,
                     AV_FRAME_DATA_MASTERING_DISPLAY_METADATA, sizeof(AVMasteringDisplayMetadata));
}

static int peak_of(int transfer, const AVStream *st, const AVFrame *frame)
{
    const AVContentLightMetadata *const light = light_of(st, frame);
    const AVMasteringDisplayMetadata *const display = display_of(st, frame);
    double nits = HDR_PEAK_NITS;
    if (transfer == TRANSFER_PQ) {
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

static struct mastering mastering_of(const AVStream *st, const AVFrame *frame)
{
    const AVContentLightMetadata *const light = light_of(st, frame);
    const AVMasteringDisplayMetadata *const d = display_of(st, frame);
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

void colour_read(struct media *m, const AVStream *st, const AVFrame *first)
{
    const AVCodecParameters *const par = st->codecpar;
    struct video_track *const v = &m->video;
    v->colour.primaries = tag(first->color_primaries, par->color_primaries);
    v->colour.transfer = tag(first->color_trc, par->color_trc);
    // Here 0 is a value of its own: the planes are R, G and B.
    v->colour.matrix =
        first->colorspace == AVCOL_SPC_RGB ? 0 : tag(first->colorspace, par->color_space);
    v->colour.full_range = is_full_range(first, par);
    v->peak_nits = media_is_hdr(m) ? peak_of(v->colour.transfer, st, first) : 0;
    if (media_is_hdr(m))
        v->mastering = mastering_of(st, first);
}
