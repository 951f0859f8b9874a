// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/display.h"

#include <math.h>

#include <libavutil/pixdesc.h>

// It maps (x, y), y pointing down, to (ax + cy, bx + dy); a, b, c, d are elements 0, 1, 3, 4.
static const int32_t *display_matrix(const AVStream *st)
{
    size_t n = 0;
    const int32_t *m = (const void *)av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &n);
    return m && n >= 9 * sizeof *m ? m : NULL;
}

// The display matrix is a turn, and then perhaps a flip left and right: which shows in its
// determinant.
static void set_rotation(struct video_track *v, const AVStream *st)
{
    const int32_t *const m = display_matrix(st);
    if (!m)
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

// Where a matrix that stretches also turns pictures to their side, libavformat (FFmpeg 5.1) says
// how it stretches them as they are seen, not as they are coded.
static AVRational as_coded(const struct video_track *v, const AVStream *st, AVRational sar)
{
    const int32_t *const m = display_matrix(st);
    if (!m || v->rotate % 180 == 0 || sar.num <= 0 || sar.den <= 0 || m[3] == 0)
        return sar;
    const double stretch = fabs((double)m[1] / m[3]);
    const bool stretches = stretch < 0.99 || stretch > 1.01;
    const bool is_of_matrix = fabs(av_q2d(sar) * stretch - 1) < 0.01;
    return stretches && is_of_matrix ? av_inv_q(sar) : sar;
}

static void set_aspect(struct video_track *v, AVRational sar)
{
    const double r = sar.num > 0 && sar.den > 0 ? av_q2d(sar) : 0;
    const bool sane = r >= 0.05 && r <= 20;
    v->sar_num = sane ? sar.num : 1;
    v->sar_den = sane ? sar.den : 1;
}

void display_read(struct video_track *v, AVFormatContext *ctx, AVStream *st, AVFrame *first)
{
    const AVPixFmtDescriptor *const format = av_pix_fmt_desc_get(first->format);
    set_rotation(v, st);
    set_aspect(v, as_coded(v, st, av_guess_sample_aspect_ratio(ctx, st, first)));
    v->coded_width = first->width;
    v->coded_height = first->height;
    v->bit_depth = format ? (int)max64(format->comp[0].depth, 8) : 8; // RGB555 has 5
}
