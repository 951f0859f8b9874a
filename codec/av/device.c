// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/device.h"

#include <string.h>

#include <libavutil/hwcontext.h>

#define POOL 24 // pictures in the device's memory: what an encoder holds, and some

int device_attach(AVCodecContext *encoder)
{
    AVBufferRef *device = NULL;
    int rc = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, NULL, NULL, 0);
    AVBufferRef *frames = rc < 0 ? NULL : av_hwframe_ctx_alloc(device);
    av_buffer_unref(&device);
    if (!frames)
        return rc < 0 ? rc : AVERROR(ENOMEM);
    AVHWFramesContext *const f = (AVHWFramesContext *)frames->data;
    f->format = AV_PIX_FMT_VAAPI;
    f->sw_format = AV_PIX_FMT_NV12;
    f->width = encoder->width;
    f->height = encoder->height;
    f->initial_pool_size = POOL;
    rc = av_hwframe_ctx_init(frames);
    if (rc < 0)
        av_buffer_unref(&frames);
    encoder->hw_frames_ctx = frames;
    encoder->pix_fmt = AV_PIX_FMT_VAAPI;
    return rc;
}

static AVFrame *create(enum AVPixelFormat format, const AVFrame *like)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = format;
    frame->width = like->width;
    frame->height = like->height;
    if (av_frame_copy_props(frame, like) < 0)
        av_frame_free(&frame);
    return frame;
}

static void weave_chroma(const AVFrame *to, const AVFrame *from)
{
    for (int y = 0; y < from->height / 2; y++) {
        uint8_t *const out = to->data[1] + (ptrdiff_t)y * to->linesize[1];
        const uint8_t *const u = from->data[1] + (ptrdiff_t)y * from->linesize[1];
        const uint8_t *const v = from->data[2] + (ptrdiff_t)y * from->linesize[2];
        for (int x = 0; x < from->width / 2; x++) {
            out[2 * x] = u[x];
            out[2 * x + 1] = v[x];
        }
    }
}

static AVFrame *to_nv12(const AVFrame *picture)
{
    AVFrame *frame = create(AV_PIX_FMT_NV12, picture);
    if (!frame || av_frame_get_buffer(frame, 0) < 0) {
        av_frame_free(&frame);
        return NULL;
    }
    for (int y = 0; y < picture->height; y++)
        memcpy(frame->data[0] + (ptrdiff_t)y * frame->linesize[0],
               picture->data[0] + (ptrdiff_t)y * picture->linesize[0], (size_t)picture->width);
    weave_chroma(frame, picture);
    return frame;
}

static AVFrame *upload(const AVCodecContext *encoder, AVFrame *picture)
{
    AVFrame *frame = create(AV_PIX_FMT_VAAPI, picture);
    if (frame && (av_hwframe_get_buffer(encoder->hw_frames_ctx, frame, 0) < 0 ||
                  av_hwframe_transfer_data(frame, picture, 0) < 0))
        av_frame_free(&frame);
    av_frame_free(&picture);
    return frame;
}

AVFrame *device_picture(const AVCodecContext *encoder, const AVFrame *picture)
{
    AVFrame *frame = to_nv12(picture);
    return frame && encoder->hw_frames_ctx ? upload(encoder, frame) : frame;
}
