// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/graph.h"

#include <inttypes.h>
#include <stdio.h>

#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/mem.h>

static int open_ends(struct graph *g, const AVFrame *like, int64_t timescale)
{
    char args[160];
    snprintf(args, sizeof args,
             "video_size=%dx%d:pix_fmt=%d:time_base=1/%" PRId64 ":pixel_aspect=1/1", like->width,
             like->height, like->format, timescale);
    const int rc = avfilter_graph_create_filter(&g->in, avfilter_get_by_name("buffer"), "in", args,
                                                NULL, g->graph);
    if (rc < 0)
        return rc;
    return avfilter_graph_create_filter(&g->out, avfilter_get_by_name("buffersink"), "out", NULL,
                                        NULL, g->graph);
}

static int link_chain(struct graph *g, const char *chain)
{
    AVFilterInOut *from = avfilter_inout_alloc(), *to = avfilter_inout_alloc();
    int rc = AVERROR(ENOMEM);
    if (from && to) {
        // Named as the chain sees them: it takes what "in" gives.
        *from = (AVFilterInOut){ av_strdup("in"), g->in, 0, NULL };
        *to = (AVFilterInOut){ av_strdup("out"), g->out, 0, NULL };
        rc = avfilter_graph_parse_ptr(g->graph, chain, &to, &from, NULL);
    }
    avfilter_inout_free(&from);
    avfilter_inout_free(&to);
    return rc < 0 ? rc : avfilter_graph_config(g->graph, NULL);
}

int graph_open(struct graph *g, const char *chain, const AVFrame *like, int64_t timescale)
{
    g->graph = avfilter_graph_alloc();
    if (!g->graph)
        return AVERROR(ENOMEM);
    g->graph->nb_threads = 1;
    // Of a scaler that it puts in by itself, where a filter does not take the format.
    g->graph->scale_sws_opts = av_strdup("flags=bicubic+accurate_rnd+full_chroma_int+bitexact");
    int rc = open_ends(g, like, timescale);
    if (rc >= 0)
        rc = link_chain(g, chain);
    if (rc < 0)
        graph_close(g);
    return rc;
}

int graph_give(struct graph *g, AVFrame *frame)
{
    return av_buffersrc_add_frame_flags(g->in, frame,
                                        AV_BUFFERSRC_FLAG_KEEP_REF | AV_BUFFERSRC_FLAG_PUSH);
}

int graph_take(struct graph *g, AVFrame *out)
{
    return av_buffersink_get_frame(g->out, out);
}

void graph_close(struct graph *g)
{
    avfilter_graph_free(&g->graph);
}
