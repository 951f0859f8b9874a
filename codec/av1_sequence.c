// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av1_sequence.h"

#include "base/err.h"
#include "codec/bits.h"

#define UNSPECIFIED 2

static void read_model(struct bits *b, struct av1_sequence *s)
{
    skip_bits(b, 64); // ticks and scale
    s->equal_interval = get_bit(b);
    if (s->equal_interval)
        get_ue(b); // its code is the same
    s->has_model = get_bit(b);
    if (!s->has_model)
        return;
    s->delay_bits = (int)get_bits(b, 5) + 1;
    skip_bits(b, 32);
    s->removal_bits = (int)get_bits(b, 5) + 1;
    s->time_bits = (int)get_bits(b, 5) + 1;
}

static void read_points(struct bits *b, struct av1_sequence *s)
{
    const bool delays = get_bit(b);
    s->points = (int)get_bits(b, 5) + 1;
    for (int i = 0; i < s->points; i++) {
        s->point[i] = (int)get_bits(b, 12);
        const int level = (int)get_bits(b, 5), tier = level > 7 ? get_bit(b) : 0;
        if (i == 0) {
            s->level = level;
            s->tier = tier;
        }
        s->point_has_model[i] = s->has_model && get_bit(b);
        if (s->point_has_model[i])
            skip_bits(b, 2 * s->delay_bits + 1);
        if (delays && get_bit(b))
            skip_bits(b, 4);
    }
}

static void read_sizes(struct bits *b, struct av1_sequence *s)
{
    s->width_bits = (int)get_bits(b, 4) + 1;
    s->height_bits = (int)get_bits(b, 4) + 1;
    s->width = (int)get_bits(b, s->width_bits) + 1;
    s->height = (int)get_bits(b, s->height_bits) + 1;
    if (!s->reduced && get_bit(b)) {
        s->delta_id_bits = (int)get_bits(b, 4) + 2;
        s->id_bits = (int)get_bits(b, 3) + s->delta_id_bits + 1;
    }
}

static void read_tools(struct bits *b, struct av1_sequence *s)
{
    s->screen_content = s->integer_vectors = AV1_SAID_BY_FRAME;
    if (s->reduced)
        return;
    skip_bits(b, 2); // compound prediction
    s->warped = get_bit(b);
    get_bit(b); // filters
    s->order = get_bit(b);
    if (s->order) {
        get_bit(b);
        s->reference_vectors = get_bit(b);
    }
    if (!get_bit(b))
        s->screen_content = get_bit(b);
    if (s->screen_content > 0 && !get_bit(b))
        s->integer_vectors = get_bit(b);
    if (s->order)
        s->order_bits = (int)get_bits(b, 3) + 1;
}

static void read_subsampling(struct bits *b, struct av1_sequence *s)
{
    s->sub_x = s->profile != 1;
    s->sub_y = s->profile == 0;
    if (s->bits == 12) {
        s->sub_x = get_bit(b);
        s->sub_y = s->sub_x && get_bit(b);
    }
}

static void read_range(struct bits *b, struct av1_sequence *s)
{
    s->full_range = true; // of sRGB, which is 4:4:4
    if (s->primaries == 1 && s->transfer == 13 && s->matrix == 0)
        return;
    s->full_range = get_bit(b);
    read_subsampling(b, s);
    if (s->sub_x && s->sub_y)
        s->position = (int)get_bits(b, 2);
}

static void read_colour(struct bits *b, struct av1_sequence *s)
{
    s->bits = get_bit(b) ? 10 : 8;
    if (s->profile == 2 && s->bits == 10 && get_bit(b))
        s->bits = 12;
    s->mono = s->profile != 1 && get_bit(b);
    s->coloured = get_bit(b);
    s->primaries = s->coloured ? (int)get_bits(b, 8) : UNSPECIFIED;
    s->transfer = s->coloured ? (int)get_bits(b, 8) : UNSPECIFIED;
    s->matrix = s->coloured ? (int)get_bits(b, 8) : UNSPECIFIED;
    if (s->mono) {
        s->full_range = get_bit(b);
        s->sub_x = s->sub_y = true;
        return;
    }
    read_range(b, s);
    s->separate_uv = get_bit(b);
}

int av1_sequence_read(struct av1_sequence *s, const struct av1_obu *o)
{
    struct bits b = { .bytes = reader_of(o->payload, o->payload_size) };
    *s = (struct av1_sequence){ 0 };
    s->profile = (int)get_bits(&b, 3);
    s->still = get_bit(&b);
    s->reduced = get_bit(&b);
    if (s->reduced) {
        s->points = 1;
        s->level = (int)get_bits(&b, 5);
    } else {
        s->timed = get_bit(&b);
        if (s->timed)
            read_model(&b, s);
        read_points(&b, s);
    }
    read_sizes(&b, s);
    s->super_big = get_bit(&b);
    skip_bits(&b, 2);
    read_tools(&b, s);
    s->superres = get_bit(&b);
    s->cdef = get_bit(&b);
    s->restoration = get_bit(&b);
    read_colour(&b, s);
    s->grain = get_bit(&b);
    return b.bytes.bad || s->profile > 2 ? -E_CORRUPT : 0;
}
