// SPDX-License-Identifier: BSD-2-Clause
//
// scan_dif - the sound of DV, which the demuxer takes out of its pictures: a sample is where the
// frame is that it lies in.

#include "codec/av/scan_steps.h"

#include "base/err.h"

bool scan_is_dif(const struct scan *s, const AVPacket *p)
{
    return s->dif.bytes && p->pos == s->dif_pos &&
           (s->dif_stream < 0 || s->dif_stream == p->stream_index);
}

// What the demuxer makes of it is not in the source; a decoder makes the same of its blocks.
void scan_begin_dif(struct scan *s, AVStream *st)
{
    AVCodecParameters *const par = st->codecpar;
    par->codec_id = AV_CODEC_ID_DVAUDIO;
    par->sample_rate = s->dif.rate;
    par->bits_per_coded_sample = s->dif.bits;
    par->block_align = s->dif.bytes;
    s->dif_stream = st->index;
}

int scan_add_dif(struct scan *s, const AVPacket *p)
{
    struct index_track *const t = &s->x->tracks[p->stream_index];
    if (!scan_is_dif(s, p))
        return 0;
    const struct sample sample = {
        .offset = s->dif_offset, .pts = s->dif_pts, .size = (uint32_t)s->dif.bytes, .sync = true
    };
    const uint8_t samples[2] = { (uint8_t)(s->dif.samples >> 8), (uint8_t)s->dif.samples };
    scan_note_time(&s->tracks[p->stream_index], sample.pts);
    const int rc = index_add_sample(s->x, t, &sample, samples);
    return rc < 0 ? fail_with(s->why, rc, "too many samples") : 0;
}

void scan_note_dif(struct scan *s, const AVPacket *p, const struct sample *sample)
{
    int64_t end = sample->offset + sample->size;
    if (!dif_read(p->data, (size_t)p->size, &s->dif))
        s->dif.bytes = 0;
    s->dif_pos = p->pos;
    s->dif_offset = sample->offset;
    carriage_span(&s->tracks[p->stream_index].trace.carriage, &s->dif_offset, &end);
    if (end - s->dif_offset != sample->size) // in pieces
        s->dif.bytes = 0;
    s->dif_pts = sample->pts;
    s->dif_timescale = s->demux->ctx->streams[p->stream_index]->time_base.den;
}
