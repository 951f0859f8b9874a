// SPDX-License-Identifier: BSD-2-Clause
//
// scan_picture - what a picture says of itself in its first bytes: whether decoding may start at
// it, when it is shown, and whether it is a field of the one before it.

#include "codec/av/scan_steps.h"

#include <stdlib.h>

#include <libavutil/intreadwrite.h>

#include "base/err.h"
#include "codec/av/real.h"
#include "codec/avc.h"

// What the headers of a picture say; *sync as the demuxer has it.
static struct picture look(struct scan_track *k, const AVPacket *p, bool *sync)
{
    struct picture picture = { .dts = INDEX_NO_PTS };
    uint8_t *out;
    int n;
    if (!k->parser)
        return picture;
    av_parser_parse2(k->parser, k->headers, &out, &n, p->data, p->size, p->pts, p->dts, p->pos);
    const AVCodecParserContext *const c = k->parser;
    if (c->key_frame >= 0)
        *sync = c->key_frame;
    else if (c->pict_type != AV_PICTURE_TYPE_NONE)
        *sync = c->pict_type == AV_PICTURE_TYPE_I;
    picture.order = c->output_picture_number;
    picture.restarts = *sync && c->output_picture_number <= 0;
    picture.b = c->pict_type == AV_PICTURE_TYPE_B;
    return picture;
}

#define REAL_CLOCK 8192 // of the headers of pictures: milliseconds until it turns

// RealVideo 2, of which libavformat knows only what the container says: it may flag no sync
// samples, and a B-picture has the time of the picture sent before it.
static void look_real(const AVStream *st, const AVPacket *p, struct sample *sample,
                      struct picture *picture)
{
    const AVCodecParameters *const par = st->codecpar;
    const int table = real_table_length(p->data, p->size);
    const uint32_t version = par->extradata_size >= 8 ? AV_RB32(par->extradata + 4) : 0;
    const struct real_picture r = real_look(version, p->data + table, p->size - table);
    sample->sync = r.intra;
    picture->b = r.b;
    if (r.b && r.time >= 0 && sample->pts != INDEX_NO_PTS)
        sample->pts -= (sample->pts - r.time) & (REAL_CLOCK - 1);
}

static void look_vc1(const struct vc1 *v, const AVPacket *p, struct sample *sample,
                     struct picture *picture)
{
    const enum vc1_type type = vc1_look(v, p->data, (size_t)p->size);
    sample->sync = p->flags & AV_PKT_FLAG_KEY && type == VC1_I;
    picture->b = type == VC1_B;
}

// What libavformat does not know of a picture.
static void look_closer(const struct scan_track *k, const AVStream *st, const AVPacket *p,
                        struct sample *sample, struct picture *picture)
{
    if (k->codec == CODEC_RV20)
        look_real(st, p, sample, picture);
    if (k->vc1.known)
        look_vc1(&k->vc1, p, sample, picture);
}

static int add_picture(struct scan_track *k, int i, const struct picture *p)
{
    if (i == k->picture_cap) {
        k->picture_cap = k->picture_cap ? k->picture_cap + k->picture_cap / 2 : 512;
        struct picture *pictures = realloc(k->pictures, (size_t)k->picture_cap * sizeof *pictures);
        if (!pictures)
            return -E_NO_MEMORY;
        k->pictures = pictures;
    }
    k->pictures[i] = *p;
    return 0;
}

// Whether p, which was looked at, is one field.  (A field of HEVC is a picture of its own; of all
// others a packet has both.)
static bool is_field(const struct scan_track *k, const AVStream *st, const AVPacket *p)
{
    const int structure = k->parser ? k->parser->picture_structure : AV_PICTURE_STRUCTURE_FRAME;
    return k->codec == CODEC_H264 &&
           (structure == AV_PICTURE_STRUCTURE_TOP_FIELD ||
            structure == AV_PICTURE_STRUCTURE_BOTTOM_FIELD) &&
           avc_pictures(st->codecpar->extradata, (size_t)st->codecpar->extradata_size, p->data,
                        (size_t)p->size) == 1;
}

// To the sample before it.
static bool can_join(const struct index_track *t, const struct sample *s)
{
    return t->sample_count > 0 && s->size < UINT32_MAX / 2 &&
           t->samples[t->sample_count - 1].size < UINT32_MAX / 2;
}

int scan_add_video(struct scan_track *k, struct scan *s, struct index_track *t,
                   struct sample *sample, const AVPacket *p, const uint8_t *head)
{
    const AVStream *st = s->demux->ctx->streams[p->stream_index];
    struct picture picture = look(k, p, &sample->sync);
    look_closer(k, st, p, sample, &picture);
    const bool field = is_field(k, st, p);
    if (field && k->half && can_join(t, sample)) {
        t->samples[t->sample_count - 1].size += sample->size;
        k->half = false;
        return 0;
    }
    k->half = field;
    picture.dts = scan_time_of(s, k, st, p->dts);
    const int rc = add_picture(k, t->sample_count, &picture);
    return rc < 0 ? rc : index_add_sample(s->x, t, sample, head);
}
