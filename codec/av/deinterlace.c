// SPDX-License-Identifier: BSD-2-Clause
//
// bwdif, told the order of the fields and to treat every picture: what single pictures
// say of themselves is not to be relied on, and may differ with where decoding began.
//
// At both ends of what it is given bwdif has one neighbour only.  Where the size of the
// pictures changes there is such an end, too, wherever giving began.

#include "codec/av/deinterlace.h"

#include "base/err.h"

static int fail(const struct deinterlacer *d, int rc)
{
    return fail_libav(d->why, -E_UNSUPPORTED, rc, "deinterlacing the pictures");
}

static int open_graph(struct deinterlacer *d, const AVFrame *like)
{
    char chain[64];
    const struct job *const job = d->job;
    snprintf(chain, sizeof chain, "bwdif=mode=%s:parity=%s:deint=all",
             pictures_per_frame(&job->v) > 1 ? "send_field" : "send_frame",
             job->media->video.fields == FIELDS_BOTTOM_FIRST ? "bff" : "tff");
    d->width = like->width;
    d->height = like->height;
    d->format = like->format;
    return graph_open(&d->graph, chain, like, job->media->video.timescale);
}

static bool fits(const struct deinterlacer *d, const AVFrame *frame)
{
    return d->graph.graph && frame->width == d->width && frame->height == d->height &&
           frame->format == d->format;
}

// The first frame of a graph: nothing comes out yet.
static int begin(struct deinterlacer *d)
{
    int rc = open_graph(d, d->waiting);
    if (rc >= 0)
        rc = graph_give(&d->graph, d->waiting);
    av_frame_free(&d->waiting);
    return rc < 0 ? fail(d, rc) : 0;
}

// ---- public

void deinterlace_init(struct deinterlacer *d, const struct job *job, const struct why *why)
{
    *d = (struct deinterlacer){ .job = job, .why = why };
}

int deinterlace_give(struct deinterlacer *d, const AVFrame *frame)
{
    assert(!d->waiting);
    int rc = 0;
    if (frame) {
        d->waiting = av_frame_clone(frame);
        if (!d->waiting)
            return fail_with(d->why, -E_NO_MEMORY, "no memory for a picture");
    }
    if (frame && fits(d, frame)) {
        rc = graph_give(&d->graph, d->waiting);
        av_frame_free(&d->waiting);
    } else if (d->graph.graph) {
        rc = graph_give(&d->graph, NULL);
    }
    return rc < 0 ? fail(d, rc) : 0;
}

int deinterlace_take(struct deinterlacer *d, AVFrame *out)
{
    if (d->graph.graph) {
        const int rc = graph_take(&d->graph, out);
        if (rc >= 0)
            return 1;
        if (rc == AVERROR(EAGAIN))
            return 0;
        graph_close(&d->graph);
        if (rc != AVERROR_EOF)
            return fail(d, rc);
    }
    return d->waiting ? begin(d) : 0;
}

void deinterlace_finish(struct deinterlacer *d)
{
    graph_close(&d->graph);
    av_frame_free(&d->waiting);
}
