// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/scan.h"

#include "base/err.h"
#include "codec/av/scan_steps.h"
#include "codec/beginning.h"

#define ERRORS_MAX 64 // in a row: then it is taken for the end

static int take_packet(struct scan *s, AVPacket *p)
{
    int rc = scan_add_streams(s);
    if (rc < 0)
        return rc;
    if (scan_begin_track(s, p) < 0)
        return fail_with(s->why, -E_NO_MEMORY, "no memory for a parser");
    rc = scan_headers(s, p);
    return rc < 0 ? rc : scan_add_all(s, p);
}

static bool all_are_long(const struct scan *s)
{
    bool any = false;
    for (int i = 0; i < s->x->track_count; i++) {
        const struct scan_track *const k = &s->tracks[i];
        if (k->codec == CODEC_NONE)
            continue;
        any = true;
        if (!k->timed || k->latest - k->earliest < BEGINNING_SECONDS * s->x->tracks[i].timescale)
            return false;
    }
    return any;
}

// Whether the beginning ends before this packet: so the source's bytes alone decide.
static bool breaks_off(const struct scan *s, const AVPacket *p)
{
    return beginning_may_end(s->limits->first, s->io->size, p->pos) && all_are_long(s);
}

// What libavformat's demuxer of RealMedia could not read of a packet it then takes for others, of
// pictures at any time.
static void drift(struct scan *s)
{
    for (int i = 0; i < s->x->track_count && s->x->container == CONTAINER_RM; i++)
        s->tracks[i].adrift = s->x->tracks[i].video;
}

// Damage is passed by; what io returned is not.
static int read_packets(struct scan *s, AVPacket *p)
{
    for (int errors = 0; errors < ERRORS_MAX;) {
        int rc = demux_next(s->demux, p, s->why);
        if (rc == 0)
            return 0;
        if (rc == -E_CORRUPT) {
            errors++;
            drift(s);
            continue;
        }
        if (rc < 0)
            return rc;
        errors = 0;
        s->x->beginning = breaks_off(s, p);
        rc = s->x->beginning ? 0 : take_packet(s, p);
        av_packet_unref(p);
        if (rc < 0 || s->x->beginning)
            return rc;
    }
    return 0;
}

static int scan(struct scan *s)
{
    AVPacket *p = av_packet_alloc();
    if (!p)
        return fail_with(s->why, -E_NO_MEMORY, "no memory for a packet");
    int rc = read_packets(s, p);
    av_packet_free(&p);
    for (int i = 0; rc == 0 && i < s->x->track_count; i++)
        if (scan_close_track(s, i) < 0)
            rc = fail_with(s->why, -E_NO_MEMORY, "no memory for its times");
    return rc;
}

int index_scan(struct io *io, struct demux *d, enum container container, const struct carriage *how,
               const struct job_limits *limits, struct index *out, const struct why *why)
{
    struct scan s = { .io = io,
                      .demux = d,
                      .limits = limits,
                      .how = *how,
                      .x = out,
                      .why = why,
                      .wraps = container == CONTAINER_TS || container == CONTAINER_PS,
                      .dif_stream = -1 };
    *out = (struct index){ .container = container };
    timeline_init(&s.timeline, 90000);
    const int rc = scan(&s);
    for (int i = 0; i < out->track_count; i++)
        scan_end_track(&s.tracks[i]);
    free(s.tracks);
    return rc;
}
