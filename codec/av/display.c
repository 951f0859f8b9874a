// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/display.h"

#include <libavutil/pixdesc.h>

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
    set_aspect(v, av_guess_sample_aspect_ratio(ctx, st, first));
    v->coded_width = first->width;
    v->coded_height = first->height;
    v->bit_depth = format ? (int)max64(format->comp[0].depth, 8) : 8; // RGB555 has 5
}
