// SPDX-License-Identifier: BSD-2-Clause
//
// filter - a libavfilter chain, described by one line of text.
//
// Scaling comes first, so that turning and tone mapping touch the small picture.
// swscale's flags give the same pixels on every CPU.  Colours are those decided
// at the probe (struct media): what the stream itself says may change in
// mid-stream or be lost by starting in the middle.  The one exception is a
// decoder that insists on full range.  The peak for tone mapping is
// fixed by the probe too, or segments of one scene would differ in brightness.
// A picture that changes its size in mid-stream gets a new chain to the same
// output size.

#include "codec/av/filter.h"

#include <libavutil/pixdesc.h>

#include "base/err.h"

#define CHAIN_MAX 1024
#define SCALE "flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
#define PEAK_UNKNOWN 1000 // nits, when an HDR source does not say

static bool is_hdr(int transfer)
{
    return transfer == TRANSFER_PQ || transfer == TRANSFER_HLG;
}

static enum AVPixelFormat plain_format(int format)
{
    switch (format) {
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    default:
        return format;
    }
}

// What swscale calls a matrix; NULL for those it does not know.
static const char *matrix_name(int matrix)
{
    switch (matrix) {
    case AVCOL_SPC_BT709:
        return "bt709";
    case AVCOL_SPC_FCC:
        return "fcc";
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        return "bt601";
    case AVCOL_SPC_SMPTE240M:
        return "smpte240m";
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return "bt2020";
    default:
        return NULL;
    }
}

// The source's colours; where they are untagged, those of the output.
static struct colour source_colour(const struct filter *f)
{
    struct colour c = f->media->video.colour;
    const struct colour *v = &f->v->colour;
    if (c.matrix == AVCOL_SPC_UNSPECIFIED)
        c.matrix = v->matrix;
    if (c.primaries == AVCOL_PRI_UNSPECIFIED)
        c.primaries = v->primaries;
    if (c.transfer == AVCOL_TRC_UNSPECIFIED)
        c.transfer = v->transfer;
    return c;
}

static const char *turn(const struct video_track *t)
{
    switch (t->rotate) {
    case 90:
        return t->mirror ? ",transpose=cclock_flip" : ",transpose=clock";
    case 180:
        return t->mirror ? ",vflip" : ",hflip,vflip";
    case 270:
        return t->mirror ? ",transpose=clock_flip" : ",transpose=cclock";
    default:
        return t->mirror ? ",hflip" : "";
    }
}

static const char *range_name(bool full)
{
    return full ? "pc" : "tv";
}

// To this range.
static void print_scale(struct buf *b, const struct filter *f, bool full)
{
    const struct video_settings *v = f->v;
    const bool sideways = f->media->video.rotate % 180 != 0;
    buf_printf(b, "scale=%d:%d:" SCALE ":in_range=%s:out_range=%s", sideways ? v->height : v->width,
               sideways ? v->width : v->height, range_name(f->full_range), range_name(full));
}

static void print_sdr(struct buf *b, const struct filter *f)
{
    const char *from = matrix_name(source_colour(f).matrix);
    const char *to = matrix_name(f->v->colour.matrix);
    print_scale(b, f, f->v->colour.full_range);
    // Named only where they differ: swscale takes the long way round when told both.
    if (from && to && strcmp(from, to) != 0)
        buf_printf(b, ":in_color_matrix=%s:out_color_matrix=%s", from, to);
    buf_puts(b, is_ten_bit(f->v) ? ",format=yuv420p10le" : ",format=yuv420p");
}

// correctness of the order: light is linear before its range is compressed.
static void print_tone_map(struct buf *b, const struct filter *f)
{
    const struct video_track *t = &f->media->video;
    const struct colour c = source_colour(f);
    const bool bt2020 = c.primaries == AVCOL_PRI_UNSPECIFIED || c.primaries == AVCOL_PRI_BT2020;
    print_scale(b, f, false);
    buf_printf(b, ",format=yuv420p10le,zscale=tin=%s:pin=%s:min=%s:rin=tv:t=linear:npl=100",
               c.transfer == TRANSFER_PQ ? "smpte2084" : "arib-std-b67",
               bt2020 ? "bt2020" : "bt709", c.matrix == AVCOL_SPC_BT709 ? "bt709" : "bt2020nc");
    buf_printf(b, ",format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0:peak=%d.%02d",
               (t->peak_nits > 0 ? t->peak_nits : PEAK_UNKNOWN) / 100,
               (t->peak_nits > 0 ? t->peak_nits : PEAK_UNKNOWN) % 100);
    const struct colour *const to = &f->v->colour;
    buf_printf(b, ",zscale=t=bt709:m=%s:r=%s:d=none,format=yuv420p",
               to->matrix == AVCOL_SPC_SMPTE170M ? "170m" : "bt709", range_name(to->full_range));
}

static int print_chain(struct buf *b, const struct filter *f)
{
    if (is_hdr(f->media->video.colour.transfer) && !is_hdr(f->v->colour.transfer))
        print_tone_map(b, f);
    else
        print_sdr(b, f);
    buf_puts(b, turn(&f->media->video));
    buf_append(b, "", 1);
    return buf_error(b);
}

static int build(struct filter *f, const AVFrame *like)
{
    struct buf chain;
    buf_init(&chain, CHAIN_MAX);
    graph_close(&f->graph);
    int rc = AVERROR(ENOMEM);
    if (print_chain(&chain, f) == 0)
        rc = graph_open(&f->graph, (const char *)chain.data, like, f->media->video.timescale);
    buf_finish(&chain);
    return rc < 0 ? fail_libav(f->why, -E_UNSUPPORTED, rc, "converting the pictures") : 0;
}

static void remove_side_data(AVFrame *frame)
{
    while (frame->nb_side_data)
        av_frame_remove_side_data(frame, frame->side_data[0]->type);
}

// The decoder's word on anything but pixels ends here.  Says whether the range is full.
static bool normalise(AVFrame *frame, const struct filter *f)
{
    const struct colour c = source_colour(f);
    const enum AVPixelFormat plain = plain_format(frame->format);
    const bool full =
        c.full_range || plain != frame->format || frame->color_range == AVCOL_RANGE_JPEG;
    frame->format = plain;
    frame->color_range = full ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    frame->colorspace = c.matrix;
    frame->color_primaries = c.primaries;
    frame->color_trc = c.transfer;
    frame->sample_aspect_ratio = (AVRational){ 1, 1 };
    frame->interlaced_frame = 0;
    remove_side_data(frame);
    return full;
}

// ---- public

void filter_init(struct filter *f, const struct media *media, const struct video_settings *v,
                 const struct why *why)
{
    *f = (struct filter){ .media = media, .v = v, .why = why };
}

int filter_picture(struct filter *f, AVFrame *in, AVFrame *out)
{
    const bool full = normalise(in, f);
    if (!f->graph.graph || in->width != f->width || in->height != f->height ||
        in->format != f->format || full != f->full_range) {
        f->width = in->width;
        f->height = in->height;
        f->format = in->format;
        f->full_range = full;
        const int rc = build(f, in);
        if (rc < 0)
            return rc;
    }
    int rc = graph_give(&f->graph, in);
    if (rc >= 0)
        rc = graph_take(&f->graph, out);
    if (rc < 0)
        return fail_libav(f->why, -E_INTERNAL, rc, "converting a picture");
    remove_side_data(out);
    return 0;
}

void filter_finish(struct filter *f)
{
    graph_close(&f->graph);
}
