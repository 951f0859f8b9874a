// SPDX-License-Identifier: BSD-2-Clause
//
// probe_compare - our table of samples against libavformat's: where two that know nothing of
// each other read the same, the file is understood.

#include "codec/av/probe_steps.h"

#include "base/err.h"
#include "base/log.h"

#define COMPARED_PACKETS 16 // of Matroska, with libavformat's

static int disagree(const struct probe *p, const struct index_track *t, int i)
{
    log_warn("probe", "track %d, sample %d: our index and libavformat's disagree", t->number, i);
    return fail_with(p->why, -E_UNSUPPORTED, "its table of samples is not understood");
}

// An MP4's table is in memory once it is open.
static int compare_entries(const struct probe *p, const struct chosen *c)
{
    const struct index_track *t = c->track;
    const int n = avformat_index_get_entries_count(c->stream);
    for (int i = 0, e = 0; i < t->sample_count && e < n; e++) {
        const AVIndexEntry *entry = avformat_index_get_entry(c->stream, e);
        if (entry->size == 0)
            continue; // we do not keep these
        if (entry->pos != t->samples[i].offset || (uint32_t)entry->size != t->samples[i].size)
            return disagree(p, t, i);
        i++;
    }
    return 0;
}

// Of a Matroska file only the first packets can be compared.
static int compare_packets(struct probe *p, const struct chosen *c)
{
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return fail_with(p->why, -E_NO_MEMORY, "no memory for a packet");
    const struct index_track *t = c->track;
    int rc = 1;
    for (int i = 0; rc > 0 && i < t->sample_count && i < COMPARED_PACKETS;) {
        rc = demux_next(&p->demux, packet, p->why);
        if (rc > 0 && packet->stream_index == t->number && packet->size > 0) {
            const struct sample *s = &t->samples[i];
            const int64_t size = (int64_t)s->size + t->strip.n;
            if (packet->size != size || packet->pos > s->offset)
                rc = disagree(p, t, i);
            i++;
        }
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return rc < 0 ? rc : 0;
}

int probe_compare_track(struct probe *p, const struct chosen *c)
{
    if (!c->track)
        return 0;
    if (c->track->lost)
        log_info("probe", "track %d: the file ends before %d of its samples", c->track->number,
                 c->track->lost);
    return p->index.container == CONTAINER_MP4 ? compare_entries(p, c) : 0;
}

// As with other faults of the sound, pictures play without it.
static int compare_sound(struct probe *p)
{
    const int rc = probe_compare_track(p, &p->audio);
    if (rc != -E_UNSUPPORTED || !p->video.track)
        return rc;
    log_info("probe", "the sound is left out: %s", p->why->cap ? p->why->line : "unusable");
    p->audio = (struct chosen){ 0 };
    return 0;
}

int probe_compare(struct probe *p)
{
    int rc = probe_compare_track(p, &p->video);
    if (rc == 0)
        rc = compare_sound(p);
    if (rc == 0 && p->index.container == CONTAINER_MATROSKA && !p->recent.bytes)
        rc = compare_packets(p, p->video.track ? &p->video : &p->audio);
    return rc;
}
