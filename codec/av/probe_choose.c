// SPDX-License-Identifier: BSD-2-Clause
//
// probe_choose - which tracks of a source are taken, and why the others are not.

#include "codec/av/probe_steps.h"

#include <libavutil/dovi_meta.h>

#include "base/err.h"
#include "base/log.h"
#include "codec/av/av.h"
#include "codec/av/codecs.h"

int probe_check_track(const struct index_track *t, const AVStream *st, const struct why *why)
{
    const enum AVMediaType type = t->video ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
    const char *kind = t->video ? "video" : "audio";
    if (t->refused)
        return fail_with(why, -E_UNSUPPORTED, "the %s track is not supported: %s", kind, t->why);
    if (!st || st->codecpar->codec_type != type || !codec_of(st->codecpar->codec_id))
        return fail_with(why, -E_UNSUPPORTED, "%s of the kind %s is not supported", kind,
                         st ? avcodec_get_name(st->codecpar->codec_id) : "none");
    if (t->sample_count == 0)
        return fail_with(why, -E_CORRUPT,
                         t->lost ? "the file ends before its %s" : "its %s is empty", kind);
    return 0;
}

struct chosen probe_chosen(struct index_track *t, AVStream *st)
{
    const enum codec_id codec = codec_of(st->codecpar->codec_id);
    return (struct chosen){ t, st, t->swapped ? CODEC_AC3_SWAPPED : codec };
}

// The first track that can be taken, one flagged as default before others.  0 when
// there is none of that kind, or a choice; else why the last one cannot be taken.
static int choose(const struct probe *p, bool video, struct chosen *best, const struct why *why)
{
    int rc = 0;
    for (int i = 0; i < p->index.track_count; i++) {
        struct index_track *t = &p->index.tracks[i];
        AVStream *st = probe_stream(p, t);
        if (!(video ? t->video : t->audio) || (st && st->disposition & AV_DISPOSITION_ATTACHED_PIC))
            continue;
        const int unfit = probe_check_track(t, st, why);
        if (unfit < 0)
            rc = unfit;
        else if (!best->track || (t->enabled && !best->track->enabled))
            *best = probe_chosen(t, st);
    }
    return best->track ? 0 : rc;
}

// Dolby Vision whose pictures look wrong without its enhancement data.
static bool is_dolby_only(const AVStream *st)
{
    size_t n = 0;
    const AVDOVIDecoderConfigurationRecord *c =
        (const void *)av_stream_get_side_data(st, AV_PKT_DATA_DOVI_CONF, &n);
    return c && n >= sizeof *c &&
           (c->dv_profile == 5 || (c->dv_profile == 10 && !c->dv_bl_signal_compatibility_id));
}

// Video that cannot be shown fails it all: sound alone is not what its viewers
// come for.  Pictures without usable sound play silently.
int probe_choose(struct probe *p)
{
    int rc = choose(p, true, &p->video, p->why);
    if (rc < 0)
        return rc;
    if (p->video.track && is_dolby_only(p->video.stream))
        return fail_with(p->why, -E_UNSUPPORTED,
                         "Dolby Vision without a base layer for other screens is not supported");
    char line[DETAIL_MAX] = "";
    const struct why silent = { line, sizeof line };
    rc = choose(p, false, &p->audio, p->video.track ? &silent : p->why);
    if (rc < 0 && !p->video.track)
        return rc;
    if (rc < 0)
        log_info("probe", "the sound is left out: %s", line);
    if (!p->video.track && !p->audio.track)
        return fail_with(p->why, -E_UNSUPPORTED, "there is no video or audio that can be decoded");
    return 0;
}
