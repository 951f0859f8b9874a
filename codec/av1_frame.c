// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av1_frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/av1.h"
#include "codec/bits.h"

#define CONFIG_HEAD 4
#define NONE 7 // primary_ref_frame: nothing is taken over
#define REFS_USED 7
#define TILES_MAX 64 // in a row or column

enum frame_type { FRAME_KEY, FRAME_INTER, FRAME_INTRA, FRAME_SWITCH };

static int get_signed(struct bits *b, int n)
{
    const int v = (int)get_bits(b, n), sign = 1 << (n - 1);
    return v & sign ? v - 2 * sign : v;
}

// A number below n (4.10.7).
static int get_below(struct bits *b, int n)
{
    int w = 0;
    while (n >> w)
        w++;
    const int m = (1 << w) - n, v = (int)get_bits(b, w - 1);
    return v < m ? v : (v << 1) - m + get_bit(b);
}

// ---- frame header

// A header on the way through its fields.
struct header {
    struct bits b;
    const struct av1_sequence *s;
    struct av1_frames *f;
    const struct av1_obu *obu;
    bool existing; // a frame is shown again: there is no more
    bool shown, showable, intra, resilient, override_size, screen_content, integer_vectors;
    bool fixed; // the statistics of symbols are not updated
    bool block_copy, precise, two_references, lossless;
    int primary, refresh, refs[REFS_USED];
    int base_quantizer;
    bool quantizer_deltas;
    struct av1_reference self; // what it is to those that refer to it
};

static void skip_time(struct header *h)
{
    if (h->s->has_model && !h->s->equal_interval)
        skip_bits(&h->b, h->s->time_bits);
}

static int read_existing(struct header *h)
{
    const int i = (int)get_bits(&h->b, 3);
    skip_time(h);
    skip_bits(&h->b, h->s->id_bits);
    h->existing = true;
    if (!h->f->refs[i].valid)
        return -E_CORRUPT;
    h->self = h->f->refs[i];
    h->refresh = h->self.type == FRAME_KEY ? 0xff : 0;
    return 0;
}

static int read_type(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->s->reduced) {
        h->shown = h->intra = h->resilient = true;
        h->self.type = FRAME_KEY;
        return 0;
    }
    if (get_bit(b))
        return read_existing(h);
    h->self.type = (int)get_bits(b, 2);
    h->intra = h->self.type == FRAME_KEY || h->self.type == FRAME_INTRA;
    h->shown = get_bit(b);
    if (h->shown)
        skip_time(h);
    h->showable = h->shown ? h->self.type != FRAME_KEY : get_bit(b);
    const bool must = h->self.type == FRAME_SWITCH || (h->self.type == FRAME_KEY && h->shown);
    h->resilient = must || get_bit(b);
    return 0;
}

static void read_vectors(struct header *h)
{
    const struct av1_sequence *const s = h->s;
    const bool fixed = get_bit(&h->b);
    h->fixed = fixed || s->reduced;
    h->screen_content =
        s->screen_content == AV1_SAID_BY_FRAME ? get_bit(&h->b) : s->screen_content == 1;
    if (h->screen_content)
        h->integer_vectors =
            s->integer_vectors == AV1_SAID_BY_FRAME ? get_bit(&h->b) : s->integer_vectors == 1;
}

static void skip_removals(struct header *h)
{
    const struct av1_sequence *const s = h->s;
    if (!s->has_model || !get_bit(&h->b))
        return;
    for (int i = 0; i < s->points; i++) {
        const int point = s->point[i];
        const bool in = point >> h->obu->temporal & point >> (h->obu->spatial + 8) & 1;
        if (s->point_has_model[i] && (point == 0 || in))
            skip_bits(&h->b, s->removal_bits);
    }
}

static void read_orders(struct header *h)
{
    struct av1_frames *const f = h->f;
    for (int i = 0; i < AV1_REFS; i++) {
        const int order = (int)get_bits(&h->b, h->s->order_bits);
        if (!f->refs[i].valid || f->refs[i].order != order)
            f->refs[i] = (struct av1_reference){ .order = order };
    }
}

static void read_identity(struct header *h)
{
    struct bits *const b = &h->b;
    const bool begins = h->self.type == FRAME_KEY && h->shown;
    if (begins)
        memset(h->f->refs, 0, sizeof h->f->refs);
    read_vectors(h);
    skip_bits(b, h->s->id_bits);
    h->override_size = h->self.type == FRAME_SWITCH || (!h->s->reduced && get_bit(b));
    h->self.order = (int)get_bits(b, h->s->order_bits);
    h->primary = h->intra || h->resilient ? NONE : (int)get_bits(b, 3);
    skip_removals(h);
    h->refresh = h->self.type == FRAME_SWITCH || begins ? 0xff : (int)get_bits(b, 8);
    if ((!h->intra || h->refresh != 0xff) && h->resilient && h->s->order)
        read_orders(h);
}

// ---- sizes

static void read_superres(struct header *h)
{
    h->self.upscaled = h->self.width;
    if (h->s->superres && get_bit(&h->b)) {
        const int by = (int)get_bits(&h->b, 3) + 9;
        h->self.width = (h->self.upscaled * 8 + by / 2) / by;
    }
}

static void read_size(struct header *h)
{
    h->self.width = h->override_size ? (int)get_bits(&h->b, h->s->width_bits) + 1 : h->s->width;
    h->self.height = h->override_size ? (int)get_bits(&h->b, h->s->height_bits) + 1 : h->s->height;
    read_superres(h);
    if (get_bit(&h->b)) // what it is shown in
        skip_bits(&h->b, 32);
}

static void read_size_of_reference(struct header *h)
{
    for (int i = 0; i < REFS_USED; i++) {
        if (!get_bit(&h->b))
            continue;
        h->self.width = h->f->refs[h->refs[i]].upscaled;
        h->self.height = h->f->refs[h->refs[i]].height;
        read_superres(h);
        return;
    }
    read_size(h);
}

static int read_references(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->s->order && get_bit(b))
        return -E_UNSUPPORTED;
    for (int i = 0; i < REFS_USED; i++) {
        h->refs[i] = (int)get_bits(b, 3);
        skip_bits(b, h->s->delta_id_bits);
    }
    return 0;
}

static int read_inter(struct header *h)
{
    struct bits *const b = &h->b;
    const int rc = read_references(h);
    if (rc < 0)
        return rc;
    if (h->override_size && !h->resilient)
        read_size_of_reference(h);
    else
        read_size(h);
    h->precise = !h->integer_vectors && get_bit(b);
    if (!get_bit(b)) // the filter
        skip_bits(b, 2);
    get_bit(b);
    if (!h->resilient && h->s->reference_vectors)
        get_bit(b);
    return 0;
}

static int read_place(struct header *h)
{
    int rc = 0;
    if (h->intra) {
        read_size(h);
        if (h->screen_content && h->self.upscaled == h->self.width)
            h->block_copy = get_bit(&h->b);
    } else {
        rc = read_inter(h);
    }
    if (rc == 0 && (h->b.bytes.bad || h->self.width <= 0 || h->self.height <= 0))
        rc = -E_CORRUPT;
    return rc;
}

// ---- tiles

static int log2_above(int block, int target)
{
    int k = 0;
    while (block << k < target)
        k++;
    return k;
}

// How many tiles the n super blocks of a side make when each is as large as the others.
static int read_uniform(struct bits *b, int n, int least, int *log2)
{
    const int most = log2_above(1, (int)min64(n, TILES_MAX));
    *log2 = least;
    while (*log2 < most && get_bit(b))
        (*log2)++;
    const int size = (n + (1 << *log2) - 1) >> *log2;
    return (n + size - 1) / size;
}

// The same when each tile says how large it is, of max at most; *widest.
static int read_sized(struct bits *b, int n, int max, int *log2, int *widest)
{
    int count = 0;
    *widest = 0;
    for (int at = 0; at < n && !b->bytes.bad; count++) {
        const int size = get_below(b, (int)min64(n - at, max)) + 1;
        *widest = (int)max64(*widest, size);
        at += size;
    }
    *log2 = log2_above(1, count);
    return count;
}

static int read_tiles(struct header *h)
{
    struct bits *const b = &h->b;
    const int side = h->s->super_big ? 7 : 6; // log2 of a super block's
    const int columns = (((h->self.width + 7) >> 3 << 3) + (1 << side) - 1) >> side;
    const int rows = (((h->self.height + 7) >> 3 << 3) + (1 << side) - 1) >> side;
    const int widest = 4096 >> side, area = (4096 * 2304) >> (2 * side);
    const int least_columns = log2_above(widest, columns);
    const int least = (int)max64(least_columns, log2_above(area, rows * columns));
    int x_bits, y_bits, x, y, wide, high;
    if (get_bit(b)) {
        x = read_uniform(b, columns, least_columns, &x_bits);
        y = read_uniform(b, rows, (int)max64(least - x_bits, 0), &y_bits);
    } else {
        x = read_sized(b, columns, widest, &x_bits, &wide);
        const int fit = least > 0 ? rows * columns >> (least + 1) : rows * columns;
        y = read_sized(b, rows, (int)max64(fit / max64(wide, 1), 1), &y_bits, &high);
    }
    if (b->bytes.bad || x > TILES_MAX || y > TILES_MAX)
        return -E_CORRUPT;
    h->f->tiles = x * y;
    h->f->tile_bits = x_bits + y_bits;
    if (h->f->tile_bits > 0) {
        skip_bits(b, h->f->tile_bits);
        h->f->size_bytes = (int)get_bits(b, 2) + 1;
    }
    return 0;
}

// ---- what is coded how

static bool read_delta(struct bits *b)
{
    return get_bit(b) && get_signed(b, 7) != 0;
}

static void read_quantizers(struct header *h)
{
    struct bits *const b = &h->b;
    h->base_quantizer = (int)get_bits(b, 8);
    h->quantizer_deltas = read_delta(b);
    if (!h->s->mono) {
        const int more = h->s->separate_uv && get_bit(b) ? 4 : 2;
        for (int i = 0; i < more; i++)
            h->quantizer_deltas |= read_delta(b);
    }
    if (get_bit(b)) // matrices
        skip_bits(b, h->s->separate_uv ? 12 : 8);
}

static void read_features(struct header *h)
{
    static const int bits[] = { 9, 7, 7, 7, 7, 3, 0, 0 }; // with the sign
    for (int i = 0; i < AV1_SEGMENTS; i++)
        for (size_t k = 0; k < countof(bits); k++) {
            const bool enabled = get_bit(&h->b);
            const int value = enabled && bits[k] ? get_signed(&h->b, bits[k]) : 0;
            if (k > 0)
                continue;
            h->self.has_quantizer[i] = enabled;
            h->self.quantizer[i] = value;
        }
}

static void read_segments(struct header *h)
{
    struct bits *const b = &h->b;
    if (!get_bit(b))
        return;
    bool update = true;
    if (h->primary != NONE) {
        const struct av1_reference *const from = &h->f->refs[h->refs[h->primary]];
        if (get_bit(b)) // the map
            get_bit(b);
        update = get_bit(b);
        memcpy(h->self.has_quantizer, from->has_quantizer, sizeof from->has_quantizer);
        memcpy(h->self.quantizer, from->quantizer, sizeof from->quantizer);
    }
    if (update)
        read_features(h);
}

static void read_lossless(struct header *h)
{
    h->lossless = !h->quantizer_deltas;
    for (int i = 0; i < AV1_SEGMENTS; i++)
        h->lossless =
            h->lossless &&
            h->base_quantizer + (h->self.has_quantizer[i] ? h->self.quantizer[i] : 0) <= 0;
}

static void skip_block_deltas(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->base_quantizer == 0 || !get_bit(b))
        return;
    skip_bits(b, 2);
    if (!h->block_copy && get_bit(b))
        skip_bits(b, 3);
}

// ---- filters

static void skip_loop_filter(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->lossless || h->block_copy)
        return;
    const uint32_t levels = get_bits(b, 12);
    if (!h->s->mono && levels)
        skip_bits(b, 12);
    skip_bits(b, 3);
    if (!get_bit(b) || !get_bit(b))
        return;
    for (int i = 0; i < 10; i++)
        if (get_bit(b))
            skip_bits(b, 7);
}

static void skip_cdef(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->lossless || h->block_copy || !h->s->cdef)
        return;
    skip_bits(b, 2);
    const int count = 1 << get_bits(b, 2);
    skip_bits(b, count * (h->s->mono ? 6 : 12));
}

static void skip_restoration(struct header *h)
{
    struct bits *const b = &h->b;
    const bool all_lossless = h->lossless && h->self.width == h->self.upscaled;
    if (all_lossless || h->block_copy || !h->s->restoration)
        return;
    bool any = false, chroma = false;
    for (int i = 0; i < (h->s->mono ? 1 : 3); i++) {
        const bool is = get_bits(b, 2) != 0;
        any |= is;
        chroma |= is && i > 0;
    }
    if (any && get_bit(b) && !h->s->super_big)
        get_bit(b);
    if (chroma && h->s->sub_x && h->s->sub_y)
        get_bit(b);
}

// ---- prediction

static int distance(const struct header *h, int a, int b)
{
    if (h->s->order_bits == 0)
        return 0;
    const int m = 1 << (h->s->order_bits - 1), diff = a - b;
    return (diff & (m - 1)) - (diff & m);
}

// The order of the reference before `than` that is nearest to it.
static bool nearest_before(const struct header *h, int than, int *order)
{
    bool found = false;
    for (int i = 0; i < REFS_USED; i++) {
        const int o = h->f->refs[h->refs[i]].order;
        if (distance(h, o, than) < 0 && (!found || distance(h, o, *order) > 0)) {
            *order = o;
            found = true;
        }
    }
    return found;
}

// Whether blocks may be skipped that are predicted from two frames (5.9.22).
static bool may_skip(const struct header *h)
{
    int before, second;
    if (h->intra || !h->two_references || !h->s->order ||
        !nearest_before(h, h->self.order, &before))
        return false;
    for (int i = 0; i < REFS_USED; i++)
        if (distance(h, h->f->refs[h->refs[i]].order, h->self.order) > 0)
            return true;
    return nearest_before(h, before, &second);
}

// A number of mx values in all, coded so that small ones are short (5.9.27).
static void skip_subexp(struct bits *b, int values)
{
    int mk = 0;
    for (int i = 0; !b->bytes.bad; i++) {
        const int bits = i ? 3 + i - 1 : 3, a = 1 << bits;
        if (values <= mk + 3 * a) {
            get_below(b, values - mk);
            return;
        }
        if (!get_bit(b)) {
            skip_bits(b, bits);
            return;
        }
        mk += a;
    }
}

static void skip_motion(struct header *h)
{
    struct bits *const b = &h->b;
    for (int i = 0; !h->intra && i < REFS_USED; i++) {
        if (!get_bit(b))
            continue;
        const bool zoom = get_bit(b), shift = !zoom && get_bit(b);
        const int turns = zoom ? 2 : shift ? 0 : 4;
        for (int k = 0; k < turns; k++)
            skip_subexp(b, (2 << 12) + 1);
        for (int k = 0; k < 2; k++)
            skip_subexp(b, (2 << (shift ? 8 + h->precise : 12)) + 1);
    }
}

static void skip_points(struct bits *b, int n)
{
    skip_bits(b, 16 * n);
}

static void skip_grain(struct header *h)
{
    struct bits *const b = &h->b;
    const struct av1_sequence *const s = h->s;
    if (!s->grain || (!h->shown && !h->showable) || !get_bit(b))
        return;
    skip_bits(b, 16);
    if (h->self.type == FRAME_INTER && !get_bit(b)) {
        skip_bits(b, 3);
        return;
    }
    const int y = (int)get_bits(b, 4);
    skip_points(b, y);
    const bool from_luma = !s->mono && get_bit(b);
    int chroma[2] = { 0, 0 };
    for (int i = 0; i < 2 && !s->mono && !from_luma && !(s->sub_x && s->sub_y && y == 0); i++) {
        chroma[i] = (int)get_bits(b, 4);
        skip_points(b, chroma[i]);
    }
    skip_bits(b, 2);
    const int lag = (int)get_bits(b, 2), luma = 2 * lag * (lag + 1);
    skip_bits(b, y ? 8 * luma : 0);
    for (int i = 0; i < 2; i++)
        skip_bits(b, from_luma || chroma[i] ? 8 * (luma + (y > 0)) : 0);
    skip_bits(b, 4);
    for (int i = 0; i < 2; i++)
        skip_bits(b, chroma[i] ? 25 : 0);
    skip_bits(b, 2);
}

static void skip_coding(struct header *h)
{
    struct bits *const b = &h->b;
    skip_block_deltas(h);
    read_lossless(h);
    skip_loop_filter(h);
    skip_cdef(h);
    skip_restoration(h);
    if (!h->lossless)
        get_bit(b); // transforms
    h->two_references = !h->intra && get_bit(b);
    if (may_skip(h))
        get_bit(b);
    if (!h->intra && !h->resilient && h->s->warped)
        get_bit(b);
    get_bit(b); // fewer transforms
    skip_motion(h);
    skip_grain(h);
}

// ---- a frame

static void keep(struct header *h)
{
    h->self.valid = true;
    for (int i = 0; i < AV1_REFS; i++)
        if (h->refresh >> i & 1)
            h->f->refs[i] = h->self;
}

static int walk(struct header *h)
{
    int rc = read_type(h);
    if (rc < 0 || h->existing)
        return rc;
    read_identity(h);
    rc = read_place(h);
    if (rc < 0)
        return rc;
    if (!h->fixed)
        get_bit(&h->b);
    rc = read_tiles(h);
    if (rc < 0)
        return rc;
    read_quantizers(h);
    read_segments(h);
    skip_coding(h);
    const bool aligned = h->obu->type != AV1_FRAME || rest_is_zero(&h->b);
    return h->b.bytes.bad || !aligned ? -E_CORRUPT : 0;
}

// Moves r behind the header.
static int read_frame(struct av1_frames *f, const struct av1_obu *o, struct reader *r)
{
    struct header h = { .b = { .bytes = *r }, .s = &f->sequence, .f = f, .obu = o };
    f->size_bytes = 0;
    const int rc = f->known ? walk(&h) : -E_CORRUPT;
    if (rc < 0)
        return rc;
    keep(&h);
    f->begun = !h.existing;
    *r = h.b.bytes; // aligned
    return 0;
}

static int read_group(struct av1_frames *f, struct reader r,
                      int (*tile)(void *arg, const uint8_t *p, size_t n), void *arg)
{
    struct bits b = { .bytes = r };
    int first = 0, last = f->tiles - 1;
    if (!f->begun)
        return -E_CORRUPT;
    if (f->tiles > 1 && get_bit(&b)) {
        first = (int)get_bits(&b, f->tile_bits);
        last = (int)get_bits(&b, f->tile_bits);
    }
    r = b.bytes;
    if (r.bad || last >= f->tiles)
        return -E_CORRUPT;
    for (int i = first; i <= last; i++) {
        size_t size = 0;
        for (int k = 0; i < last && k < f->size_bytes; k++)
            size |= (size_t)get_u8(&r) << 8 * k;
        size = i < last ? size + 1 : reader_left(&r);
        const uint8_t *const p = get_bytes(&r, size);
        const int rc = p ? tile(arg, p, size) : -E_CORRUPT;
        if (rc < 0)
            return rc;
    }
    if (last == f->tiles - 1)
        f->begun = false;
    return 0;
}

static int take_sequence(struct av1_frames *f, const struct av1_obu *o)
{
    const int rc = av1_sequence_read(&f->sequence, o);
    f->known = rc == 0;
    return rc;
}

int av1_frames_begin(struct av1_frames *f, const uint8_t *config, size_t n)
{
    struct reader r = reader_of(config, n);
    int rc = get_bytes(&r, CONFIG_HEAD) ? 0 : -E_CORRUPT;
    memset(f, 0, sizeof *f);
    while (rc == 0 && reader_left(&r) > 0) {
        struct av1_obu o;
        rc = av1_next_obu(&r, &o);
        if (rc == 0 && o.type == AV1_SEQUENCE_HEADER)
            rc = take_sequence(f, &o);
    }
    return rc;
}

int av1_tiles(struct av1_frames *f, const uint8_t *p, size_t n,
              int (*tile)(void *arg, const uint8_t *p, size_t n), void *arg)
{
    struct reader r = reader_of(p, n);
    int rc = 0;
    while (rc == 0 && reader_left(&r) > 0) {
        struct av1_obu o;
        if (av1_next_obu(&r, &o) < 0)
            return -E_CORRUPT;
        struct reader body = reader_of(o.payload, o.payload_size);
        if (o.type == AV1_SEQUENCE_HEADER)
            rc = take_sequence(f, &o);
        else if (o.type == AV1_FRAME || (o.type == AV1_FRAME_HEADER && !f->begun))
            rc = read_frame(f, &o, &body);
        if (rc == 0 && (o.type == AV1_FRAME || o.type == AV1_TILE_GROUP))
            rc = read_group(f, body, tile, arg);
    }
    return rc;
}
