// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/real.h"

#include <libavutil/intreadwrite.h>

#include "codec/bits.h"

#define SLICES_MAX 256
#define LENGTH(slices) (1 + 8 * (slices))

bool real_is_sliced(enum container container, enum codec_id codec)
{
    return container == CONTAINER_RM && (codec == CODEC_RV10 || codec == CODEC_RV20 ||
                                         codec == CODEC_RV30 || codec == CODEC_RV40);
}

// ---- the table of a packet

// Where slice k of so many begins, behind the table; the one after the last: the end.
static int64_t slice_at(const uint8_t *packet, int n, int slices, int k)
{
    return k < slices ? (int64_t)AV_RL32(packet + 1 + 8 * k + 4) : n - LENGTH(slices);
}

int real_table_length(const uint8_t *packet, int n)
{
    const int slices = n > 0 ? packet[0] + 1 : 0;
    if (n <= LENGTH(slices) || slice_at(packet, n, slices, 0) != 0)
        return 0;
    for (int k = 0; k < slices; k++)
        if (slice_at(packet, n, slices, k) >= slice_at(packet, n, slices, k + 1))
            return 0;
    return LENGTH(slices);
}

int real_trace(struct trace *t, const uint8_t *packet, int n, int table, int64_t *offset)
{
    const int slices = packet[0] + 1;
    int rc = 1;
    for (int k = 0; rc > 0 && k < slices; k++) {
        const int64_t at = slice_at(packet, n, slices, k);
        const int64_t size = slice_at(packet, n, slices, k + 1) - at;
        int64_t place;
        rc = trace_packet(t, packet + table + at, (int)size, 0, &place);
        if (k == 0)
            *offset = place;
    }
    t->split |= slices > 1;
    return rc;
}

// ---- the header of a picture

#define MINOR(version) ((version) >> 20 & 0xff)

struct real_picture real_look(uint32_t version, const uint8_t *slice, int n)
{
    struct bits b = { .bytes = reader_of(slice, (size_t)n) };
    const int type = (int)get_bits(&b, 2);
    skip_bits(&b, 1 + 5);
    if (b.bytes.bad || MINOR(version) < 2)
        return (struct real_picture){ type < 2, type == 3, -1 };
    get_bit(&b);
    const int time = (int)get_bits(&b, 13);
    return (struct real_picture){ type < 2, type == 3, b.bytes.bad ? -1 : time };
}

// ---- the table of a sample

// The pieces of a sample: the first, and how many.  (Of what has none, or too many, nothing can
// be read, or decoded.)
static int pieces_of(const struct carriage *c, const struct sample *s, int *first)
{
    *first = 0;
    if (c->kind != CARRIAGE_PIECES)
        return 1;
    *first = carriage_find(c, s->offset);
    const int n = carriage_find(c, s->offset + s->size - 1) - *first + 1;
    return *first >= 0 && n >= 1 && n <= SLICES_MAX ? n : 1;
}

int real_table(const struct carriage *c, const struct sample *s, uint8_t *out)
{
    int first;
    const int slices = pieces_of(c, s, &first);
    if (out)
        out[0] = (uint8_t)(slices - 1);
    for (int k = 0; out && k < slices; k++) {
        const int64_t at = k ? c->pieces[first + k].at - s->offset : 0;
        AV_WL32(out + 1 + 8 * k, 1);
        AV_WL32(out + 1 + 8 * k + 4, (uint32_t)at);
    }
    return LENGTH(slices);
}
