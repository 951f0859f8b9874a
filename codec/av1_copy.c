// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av1_copy.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

// Of metadata: of the brightest picture, and of the screen they were mastered on.
#define LIGHT_LEVEL 1
#define MASTERING 2

int av1_header_read(struct av1_header *out, const uint8_t *extradata, size_t n)
{
    const int rc = av1_find_sequence(extradata, n, &out->obu);
    return rc < 0 ? rc : av1_sequence_read(&out->sequence, &out->obu);
}

// What a sequence header does not tell is not told, and means BT.709 in the limited range.
void av1_name(const struct av1_sequence *s, char *out, size_t cap)
{
    const int n = snprintf(out, cap, "av01.%d.%02d%c.%02d", s->profile, s->level,
                           s->tier ? 'H' : 'M', s->bits);
    const bool plain = s->primaries == 1 && s->transfer == 1 && s->matrix == 1;
    if (s->coloured && !(plain && !s->full_range) && n > 0 && (size_t)n < cap)
        snprintf(out + n, cap - (size_t)n, ".%d.%d%d%d.%02d.%02d.%02d.%d", s->mono, s->sub_x,
                 s->sub_y, s->position, s->primaries, s->transfer, s->matrix, s->full_range);
}

// ---- samples

// Whether it says nothing of pictures.
static bool is_filling(const struct av1_obu *o)
{
    return o->type == AV1_TEMPORAL_DELIMITER || o->type == AV1_TILE_LIST || o->type == AV1_PADDING;
}

static bool is_other_sequence(const struct av1_header *h, const struct av1_obu *o)
{
    return o->type == AV1_SEQUENCE_HEADER &&
           (o->n != h->obu.n || memcmp(o->p, h->obu.p, o->n) != 0);
}

static bool is_note(const struct av1_obu *o)
{
    const int kind = o->type == AV1_METADATA && o->payload_size ? o->payload[0] : 0;
    return o->type == AV1_METADATA && kind != LIGHT_LEVEL && kind != MASTERING;
}

static bool has_picture(const struct av1_obu *o)
{
    return (o->type == AV1_FRAME_HEADER || o->type == AV1_FRAME) && o->payload_size > 0;
}

// Behind a sequence header a key frame that is shown: not an old one, and not later.
static enum start start_of(const struct av1_obu *o, bool headed)
{
    return headed && (o->payload[0] & 0xf0) == 0x10 ? START_CLEAN : START_NOT;
}

int av1_copy_unit(struct buf *out, const struct av1_header *h, const uint8_t *p, size_t n,
                  enum start *start)
{
    struct reader r = reader_of(p, n);
    bool headed = false, seen = false;
    while (reader_left(&r) > 0) {
        struct av1_obu o;
        if (av1_next_obu(&r, &o) < 0 || is_other_sequence(h, &o))
            return -E_CORRUPT;
        headed |= o.type == AV1_SEQUENCE_HEADER;
        if (has_picture(&o) && !seen) {
            *start = start_of(&o, headed);
            seen = true;
        }
        if (!is_filling(&o) && !is_note(&o))
            buf_append(out, o.p, o.n);
    }
    return seen ? buf_error(out) : -E_CORRUPT;
}

enum sight av1_look(const struct av1_header *h, const uint8_t *p, size_t n, size_t size)
{
    struct reader r = reader_of(p, n);
    enum sight first = SIGHT_UNSEEN;
    for (bool headed = false; reader_left(&r) > 0;) {
        struct av1_obu o;
        if (av1_next_cut(&r, size - n, &o) < 0)
            return r.bad && n < size ? first : SIGHT_DAMAGED;
        if ((reader_left(&r) || n == size) && is_other_sequence(h, &o))
            return SIGHT_OTHER_SETS;
        headed |= o.type == AV1_SEQUENCE_HEADER;
        if (has_picture(&o) && first == SIGHT_UNSEEN)
            first = start_of(&o, headed) == START_CLEAN ? SIGHT_START : SIGHT_OTHER;
    }
    return first;
}
