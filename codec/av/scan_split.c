// SPDX-License-Identifier: BSD-2-Clause
//
// scan_split - packets that hold several samples: blocks of sound in WAV, and pictures in packed
// bitstreams of MPEG-4.

#include "codec/av/scan_steps.h"

#include <string.h>

// WAV has blocks of one size, and libavformat gives several at once.  Bytes of one of these kinds,
// whose decoders take one at a time or tell nothing of each; 0: the packet is whole.
static int block_size(const struct scan *s, int stream)
{
    if (s->x->container != CONTAINER_WAV && s->x->container != CONTAINER_W64)
        return 0;
    switch (s->tracks[stream].codec) {
    case CODEC_WMAV1:
    case CODEC_WMAV2:
    case CODEC_ATRAC3:
    case CODEC_GSM_MS:
    case CODEC_TRUESPEECH:
        return s->demux->ctx->streams[stream]->codecpar->block_align;
    default:
        return 0;
    }
}

static int add_blocks(struct scan *s, AVPacket *p)
{
    const int block = block_size(s, p->stream_index);
    int rc = 0;
    while (rc == 0 && block > 0 && p->size > block) {
        const int rest = p->size - block;
        p->size = block;
        rc = scan_add_packet(s, p);
        p->data += block;
        p->size = rest;
        p->pts = p->dts = AV_NOPTS_VALUE;
    }
    return rc == 0 ? scan_add_packet(s, p) : rc;
}

// ---- packed bitstreams of MPEG-4: a packet holds a picture, and behind it the B-picture that is
// shown before it; one with next to nothing comes later, so that there are as many packets as
// pictures

#define NOTHING_MAX 19 // bytes

// Where the second picture of a packet begins; 0: it has none.
static int second_picture(const AVPacket *p)
{
    static const uint8_t vop[] = { 0, 0, 1, 0xb6 };
    const uint8_t *const end = p->data + p->size;
    const uint8_t *const first = memmem(p->data, (size_t)p->size, vop, sizeof vop);
    const uint8_t *const second =
        first ? memmem(first + 4, (size_t)(end - first - 4), vop, sizeof vop) : NULL;
    return second ? (int)(second - p->data) : 0;
}

// Each picture is a sample of its own; those behind others take the times of what comes later.
static int add_pictures(struct scan *s, AVPacket *p)
{
    struct scan_track *const k = &s->tracks[p->stream_index];
    const int second = second_picture(p);
    if (!second && k->owed > 0 && p->size <= NOTHING_MAX) {
        k->owed--;
        return 0;
    }
    if (!second)
        return scan_add_packet(s, p);
    const int all = p->size;
    p->size = second;
    const int rc = scan_add_packet(s, p);
    p->data += second;
    p->size = all - second;
    p->flags &= ~AV_PKT_FLAG_KEY;
    p->pts = p->dts = AV_NOPTS_VALUE;
    k->owed++;
    return rc < 0 ? rc : scan_add_packet(s, p);
}

int scan_add_all(struct scan *s, AVPacket *p)
{
    return s->tracks[p->stream_index].codec == CODEC_MPEG4 ? add_pictures(s, p) : add_blocks(s, p);
}
