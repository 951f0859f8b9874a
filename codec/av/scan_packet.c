// SPDX-License-Identifier: BSD-2-Clause
//
// scan_packet - one packet as a sample: its time on the one time line, and where in the source it
// lies.

#include "codec/av/scan_steps.h"

#include <string.h>

#include <libavutil/intreadwrite.h>

#include "base/err.h"
#include "codec/av/codecs.h"
#include "codec/av/real.h"

#define MISSING_MAX 100 // more packets than were found: there is no use

#define WRAP ((int64_t)1 << 33)

// On the one time line, in ticks; INDEX_NO_PTS stays.
int64_t scan_time_of(const struct scan *s, const struct scan_track *k, const AVStream *st,
                     int64_t t)
{
    if (t == AV_NOPTS_VALUE)
        return INDEX_NO_PTS;
    const __int128 v = ((__int128)t + (s->wraps ? k->add : 0)) * st->time_base.num;
    return v > INDEX_TIME_MAX || v < -INDEX_TIME_MAX ? INDEX_NO_PTS : (int64_t)v;
}

static void unwrap(struct scan *s, int i, AVPacket *p)
{
    const int64_t t = p->dts != AV_NOPTS_VALUE ? p->dts : p->pts;
    if (!s->wraps || t == AV_NOPTS_VALUE)
        return;
    if (p->pts != AV_NOPTS_VALUE && p->pts < t - WRAP / 2)
        p->pts += WRAP; // the clock turned between the two
    s->tracks[i].add = timeline_add(&s->timeline, i, t);
}

void scan_note_time(struct scan_track *k, int64_t t)
{
    if (t == INDEX_NO_PTS)
        return;
    k->earliest = k->timed && k->earliest < t ? k->earliest : t;
    k->latest = k->timed && k->latest > t ? k->latest : t;
    k->timed = true;
}

static uint32_t duration_of(const AVPacket *p, const AVStream *st)
{
    const __int128 d = (__int128)p->duration * st->time_base.num;
    return d > 0 && d < UINT32_MAX ? (uint32_t)d : 0;
}

// What the demuxer says is to be left out of the sound at its start and its end (layout:
// AV_PKT_DATA_SKIP_SAMPLES).  Times before zero say the same of the start.
static void note_padding(struct index_track *t, const AVPacket *p, int rate)
{
    size_t n;
    const uint8_t *skip = av_packet_get_side_data(p, AV_PKT_DATA_SKIP_SAMPLES, &n);
    if (!t->audio || !skip || n < 10 || rate <= 0)
        return;
    if (t->sample_count == 0 && (p->pts == AV_NOPTS_VALUE || p->pts >= 0))
        t->codec_delay_ns = muldiv_round(AV_RL32(skip), 1000000000, rate);
    t->padding_ns = muldiv_round(AV_RL32(skip + 4), 1000000000, rate);
}

// AC-3 in RealMedia, and in WAV as it goes over a digital cable, lies there with the bytes of each
// word swapped.
static bool may_be_swapped(const struct scan *s, const struct scan_track *k,
                           const struct index_track *t)
{
    const enum container c = s->x->container;
    return k->codec == CODEC_AC3 && (t->swapped || t->sample_count == 0) &&
           (c == CONTAINER_RM || c == CONTAINER_WAV || c == CONTAINER_W64);
}

static int find_swapped(struct scan_track *k, struct index_track *t, AVPacket *p,
                        struct sample *sample)
{
    if (av_packet_make_writable(p) < 0)
        return -E_NO_MEMORY;
    swap_bytes(p->data, p->size);
    const int rc = trace_packet(&k->trace, p->data, p->size, p->pos, &sample->offset);
    t->swapped |= rc > 0;
    return rc;
}

// Where p lies in the source, into *sample.  As trace_packet.
static int find_packet(const struct scan *s, struct scan_track *k, struct index_track *t,
                       AVPacket *p, struct sample *sample)
{
    if (!k->sliced) {
        int rc = 0;
        if (!t->swapped)
            rc = trace_packet(&k->trace, p->data, p->size, p->pos, &sample->offset);
        return rc == 0 && may_be_swapped(s, k, t) ? find_swapped(k, t, p, sample) : rc;
    }
    const int table = real_table_length(p->data, p->size);
    sample->size -= (uint32_t)table;
    return table ? real_trace(&k->trace, p->data, p->size, table, &sample->offset) : 0;
}

// The headers of sound in an Ogg that goes on with another one: no sound.
static bool is_header(const struct scan_track *k, const AVPacket *p)
{
    if (k->codec == CODEC_OPUS)
        return p->size >= 8 &&
               (memcmp(p->data, "OpusHead", 8) == 0 || memcmp(p->data, "OpusTags", 8) == 0);
    return k->codec == CODEC_VORBIS && p->size >= 7 && p->data[0] & 1 &&
           memcmp(p->data + 1, "vorbis", 6) == 0;
}

// Whether the source ends in the midst of it.  (One picture that is there in part is better than
// none.)
static bool is_cut(const struct scan *s, const struct scan_track *k, const struct index_track *t,
                   const AVPacket *p)
{
    return t->video && t->sample_count > 0 && p->flags & AV_PKT_FLAG_CORRUPT &&
           k->trace.at == s->io->size;
}

int scan_add_packet(struct scan *s, AVPacket *p)
{
    struct scan_track *const k = &s->tracks[p->stream_index];
    struct index_track *const t = &s->x->tracks[p->stream_index];
    const AVStream *st = s->demux->ctx->streams[p->stream_index];
    k->adrift &= !(p->flags & AV_PKT_FLAG_KEY);
    if (k->codec == CODEC_NONE || p->size <= 0 || is_header(k, p) || k->adrift ||
        k->missing > t->sample_count + MISSING_MAX)
        return 0;
    if (k->codec == CODEC_DVAUDIO)
        return scan_add_dif(s, p);
    unwrap(s, p->stream_index, p);
    struct sample sample = { .pts = scan_time_of(s, k, st, p->pts),
                             .size = (uint32_t)p->size,
                             .duration = duration_of(p, st),
                             .sync = t->audio || p->flags & AV_PKT_FLAG_KEY ||
                                     codec_is_intra(k->codec) };
    const int rc = find_packet(s, k, t, p, &sample);
    k->missing += rc == 0;
    k->half &= rc != 0; // its other field may be what is missing
    if (rc <= 0)
        return rc < 0 ? fail_with(s->why, rc, "looking for its packets: %s", err_sentence(rc)) : 0;
    if (is_cut(s, k, t, p)) {
        t->lost++;
        return 0;
    }
    scan_note_time(k, scan_time_of(s, k, st, p->dts != AV_NOPTS_VALUE ? p->dts : p->pts));
    note_padding(t, p, st->codecpar->sample_rate);
    if (t->audio && sample.pts == INDEX_NO_PTS && p->dts != AV_NOPTS_VALUE)
        sample.pts = scan_time_of(s, k, st, p->dts);
    if (k->codec == CODEC_DV)
        scan_note_dif(s, p, &sample);
    const uint8_t head[2] = { p->data[0], p->size > 1 ? p->data[1] : 0 };
    const int added = t->video ? scan_add_video(k, s, t, &sample, p, head)
                               : index_add_sample(s->x, t, &sample, head);
    return added < 0 ? fail_with(s->why, added, "too many samples") : 0;
}
