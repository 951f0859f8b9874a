// SPDX-License-Identifier: BSD-2-Clause
//
// probe_video - the track of video: its samples in time from T0, what its headers and its
// first picture tell.

#include "codec/av/probe_steps.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "codec/av/colour.h"
#include "codec/av/display.h"
#include "codec/av/fields.h"
#include "codec/av/sights.h"

#define REORDER_MAX 64

// ---- the sample table

static void leave_out(struct index_track *t, int from, int to)
{
    const size_t rest = (size_t)(t->sample_count - to);
    memmove(t->samples + from, t->samples + to, rest * sizeof *t->samples);
    if (t->heads)
        memmove(t->heads + from, t->heads + to, rest * sizeof *t->heads);
    if (t->hidden)
        memmove(t->hidden + from, t->hidden + to, rest * sizeof *t->hidden);
    t->sample_count -= to - from;
}

// Of VP9 by its first byte (VP9 bitstream specification 7.2): after the marker and two bits of the
// profile.
static bool is_vp9_key(uint8_t head)
{
    const int shift = (head & 0x30) == 0x30; // profile 3 has a bit more
    const bool shows_another = head >> (3 - shift) & 1, leans = head >> (2 - shift) & 1;
    return !shows_another && !leans;
}

// Where packets tell it themselves, nobody else is believed: a WebM with transparency may call all
// its pictures sync samples.
static void find_keys(const struct probe *p)
{
    const struct index_track *const t = p->video.track;
    for (int i = 0; t->heads && i < t->sample_count; i++) {
        const uint8_t head = t->heads[i][0];
        if (p->video.codec == CODEC_VP8) // RFC 6386 9.1
            t->samples[i].sync = !(head & 1);
        if (p->video.codec == CODEC_VP9)
            t->samples[i].sync = is_vp9_key(head);
    }
}

// Leaves out what stands before the first sync sample: it can never be decoded.  Where there is
// none, a decoder has to say whether it can begin all the same.
static void drop_undecodable(struct index_track *t)
{
    int first = 0;
    while (first < t->sample_count && !t->samples[first].sync)
        first++;
    if (first < t->sample_count)
        leave_out(t, 0, first);
    else if (first > 0)
        t->samples[0].sync = true;
}

// Leaves out what leads the first sync sample: decoded after it, presented before it, and
// leaning on what came before both, unless they begin a recording.  How many there were.
static int drop_leaders(struct index_track *t)
{
    int i = 1, kept = 1;
    for (; i < t->sample_count && !t->samples[i].sync; i++) {
        if (t->samples[i].pts < t->samples[0].pts)
            continue;
        t->samples[kept] = t->samples[i];
        if (t->heads)
            memcpy(t->heads[kept], t->heads[i], sizeof *t->heads);
        if (t->hidden)
            t->hidden[kept] = t->hidden[i];
        kept++;
    }
    leave_out(t, kept, i);
    return i - kept;
}

// How many samples before it in decode order follow a sample in presentation, at most.
static int reorder_depth(const struct index_track *t)
{
    int64_t latest[REORDER_MAX]; // the greatest times so far, falling
    int n = 0, depth = 0;
    for (int i = 0; i < t->sample_count; i++) {
        const int64_t pts = t->samples[i].pts;
        if (t->hidden && t->hidden[i])
            continue;
        int at = 0;
        while (at < n && latest[at] > pts)
            at++;
        depth = at > depth ? at : depth;
        if (at == REORDER_MAX)
            continue;
        n += n < REORDER_MAX;
        memmove(latest + at + 1, latest + at, (size_t)(n - 1 - at) * sizeof *latest);
        latest[at] = pts;
    }
    return depth;
}

// VP8 has packets that decode to nothing one can see; so are second fields of pictures, and what
// the container leaves out.
static bool is_hidden(const struct probe *p, int i)
{
    const struct index_track *t = p->video.track;
    if ((p->second && p->second[i]) || (t->hidden && t->hidden[i]))
        return true;
    return p->video.codec == CODEC_VP8 && t->heads && !(t->heads[i][0] & 0x10);
}

// T0 is the first presented picture that decoding from the start gives: `first`
// is the time of what the decoder gave first.
static int find_t0(struct probe *p, int64_t first)
{
    const struct index_track *t = p->video.track;
    const int64_t from = first > 0 ? first : 0;
    p->t0 = INT64_MAX;
    for (int i = 0; i < t->sample_count; i++) {
        const int64_t pts = t->samples[i].pts;
        if (pts >= from && pts < p->t0 && !is_hidden(p, i))
            p->t0 = pts;
    }
    if (p->t0 >= t->end)
        return fail_with(p->why, -E_CORRUPT, "no picture is ever presented");
    return 0;
}

// Moves the table into the media; times count from T0 now.
static void take_samples(struct probe *p)
{
    struct index_track *t = p->video.track;
    struct video_track *v = &p->media->video;
    for (int i = 0; i < t->sample_count; i++)
        t->samples[i].pts = t->hidden && t->hidden[i] == INDEX_ANEW ? SAMPLE_ANEW
                            : is_hidden(p, i)                       ? SAMPLE_UNSEEN
                                                                    : t->samples[i].pts - p->t0;
    v->end = t->end - p->t0;
    v->samples = t->samples;
    v->sample_count = t->sample_count;
    v->carriage = t->carriage;
    t->samples = NULL;
    t->sample_count = t->sample_cap = 0;
    t->carriage = (struct carriage){ 0 };
}

// Those of later samples.
static void take_headers(struct probe *p)
{
    struct index_track *const t = p->video.track;
    struct video_track *const v = &p->media->video;
    memcpy(v->more_headers, t->more_headers, sizeof v->more_headers);
    v->more_headers_count = t->more_headers_count;
    t->more_headers_count = 0;
}

// ---- what the headers and the first picture tell

static int check_pixels(const struct probe *p, int64_t width, int64_t height)
{
    if (width > 32768 || height > 32768 || width * height > p->job->limits.pixels)
        return fail_with(p->why, -E_LIMITS, "pictures of %" PRId64 "x%" PRId64 " exceed the limit",
                         width, height);
    return 0;
}

// Whether the headers say that its pixels are numbers of colours, or may be.
static bool may_have_palette(const AVCodecParameters *par)
{
    return par->bits_per_coded_sample >= 1 && par->bits_per_coded_sample <= 8;
}

// What a scan has not met stands beside the first packet.
static int take_palette(struct probe *p)
{
    const AVStream *const st = p->video.stream;
    AVPacket *packet = av_packet_alloc();
    int rc = packet ? 1 : fail_with(p->why, -E_NO_MEMORY, "no memory for a packet");
    for (bool met = !may_have_palette(st->codecpar) || demux_palette(st); rc > 0 && !met;) {
        rc = demux_next(&p->demux, packet, p->why);
        met = rc > 0 && packet->stream_index == st->index;
        if (rc > 0)
            av_packet_unref(packet);
    }
    av_packet_free(&packet);
    const uint8_t *palette = demux_palette(st);
    if (palette)
        p->media->video.palette = memcpy(xmalloc(MEDIA_PALETTE), palette, MEDIA_PALETTE);
    return rc < 0 ? rc : 0;
}

// Of an edit list of several parts only now, as how deep the pictures are reordered is a matter of
// the media.
static int present(struct probe *p)
{
    const int rc = index_present(p->video.track);
    if (rc < 0)
        return fail_with(p->why, rc, "its edit list: %s", err_sentence(rc));
    return p->video.track->sample_count > 0
               ? 0
               : fail_with(p->why, -E_CORRUPT, "no picture is ever presented");
}

static int begin_video(struct probe *p)
{
    const AVCodecParameters *par = p->video.stream->codecpar;
    struct video_track *v = &p->media->video;
    int rc = check_pixels(p, par->width, par->height);
    if (rc == 0)
        rc = probe_order(p);
    find_keys(p);
    drop_undecodable(p->video.track);
    if (rc == 0)
        rc = probe_copy_extradata(p, par, &v->extradata, &v->extradata_size);
    take_headers(p);
    v->codec = p->video.codec;
    v->timescale = p->video.track->timescale;
    v->coded_width = par->width;
    v->coded_height = par->height;
    v->tag = par->codec_tag;
    v->bits_per_sample = (int)clamp64(par->bits_per_coded_sample, 0, 64);
    v->strip = p->video.track->strip;
    v->reorder = reorder_depth(p->video.track);
    if (rc == 0)
        rc = take_palette(p);
    return rc < 0 ? rc : present(p);
}

static int set_fields(struct probe *p, const AVFrame *frame)
{
    const struct index_track *const t = p->video.track;
    const enum AVFieldOrder told = p->video.stream->codecpar->field_order;
    if (!fields_hinted(p->video.codec, told, frame))
        return 0;
    const struct job like = { .limits = p->job->limits,
                              .source_size = p->job->source_size,
                              .media = p->media,
                              .carriage = t->carriage };
    struct fields_found found;
    const int rc =
        fields_see(&like, &p->meter.io, t->samples, t->sample_count, told, &found, p->why);
    p->media->video.fields = found.order;
    if (rc == 0 && found.half)
        p->second = fields_second(t->samples, t->sample_count, found.half);
    return rc;
}

// Of a recording that begins in the midst of another: what leads its first sync sample may decode
// with damage, or keep a decoder from giving anything (of H.264, FFmpeg 5.1, where there is no
// more than it holds back).
static int decode_first(struct probe *p, AVFrame *frame)
{
    struct index_track *const t = p->video.track;
    bool damaged = false;
    const int rc = probe_decode(p, t, frame, NULL, &damaged);
    const bool given = rc > 0 && (!damaged || frame->pts >= t->samples[0].pts);
    if (rc < 0 || given || drop_leaders(t) == 0)
        return rc;
    av_frame_unref(frame);
    return probe_decode(p, t, frame, NULL, NULL);
}

static int see_first_picture(struct probe *p, AVFrame *frame)
{
    int rc = decode_first(p, frame);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return fail_with(p->why, -E_CORRUPT, "its first picture cannot be decoded");
    rc = check_pixels(p, frame->width, frame->height);
    if (rc < 0)
        return rc;
    display_read(&p->media->video, p->demux.ctx, p->video.stream, frame);
    colour_read(p->media, p->video.stream, frame);
    rc = set_fields(p, frame);
    return rc < 0 ? rc : find_t0(p, frame->pts == AV_NOPTS_VALUE ? 0 : frame->pts);
}

int probe_video(struct probe *p, AVFrame *frame)
{
    if (!p->video.track)
        return 0;
    int rc = begin_video(p);
    if (rc == 0)
        rc = see_first_picture(p, frame);
    if (rc < 0)
        return rc;
    take_samples(p);
    rc = probe_check_length(p, p->media->video.end, p->media->video.timescale);
    return rc < 0 ? rc : sights_take(p->media, &p->meter.io, p->why);
}
