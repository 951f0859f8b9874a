// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av1.h"

#include "base/err.h"
#include "codec/bits.h"

#define SEQUENCE_HEADER 1
#define TEMPORAL_DELIMITER 2
#define TILE_LIST 8
#define PADDING 15

struct obu {
    int type;
    const uint8_t *p; // of the whole of it, header and all; borrowed
    size_t n;
    const uint8_t *payload;
    size_t payload_size;
};

static uint64_t get_leb128(struct reader *r)
{
    uint64_t v = 0;
    for (int i = 0; i < 8 && !r->bad; i++) {
        const uint8_t byte = get_u8(r);
        v |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (!(byte & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

static int next_obu(struct reader *r, struct obu *o)
{
    o->p = r->p;
    const uint8_t head = get_u8(r);
    o->type = head >> 3 & 15;
    if (head & 4) // extension
        get_u8(r);
    if (head & 0x80 || !(head & 2)) // forbidden; without a size
        return -E_CORRUPT;
    o->payload_size = (size_t)get_leb128(r);
    o->payload = get_bytes(r, o->payload_size);
    o->n = (size_t)(r->p - o->p);
    return r->bad ? -E_CORRUPT : 0;
}

// ---- av1C

struct sequence {
    int profile, level, tier;
};

// Headers with timing are not looked into; nothing here makes them.
static int read_sequence(struct sequence *s, const struct obu *o)
{
    struct bits b = { .bytes = reader_of(o->payload, o->payload_size) };
    s->profile = get_bits(&b, 3);
    const int still = get_bits(&b, 2), timing = get_bit(&b);
    get_bit(&b); // delays of presentation
    get_bits(&b, 5 + 12);
    s->level = get_bits(&b, 5);
    s->tier = s->level > 7 ? get_bit(&b) : 0;
    return b.bytes.bad || still || timing ? -E_CORRUPT : 0;
}

int av1_config(struct buf *out, const uint8_t *extradata, size_t n)
{
    struct reader r = reader_of(extradata, n);
    struct sequence s = { 0 };
    struct obu o = { 0 };
    int rc = 0;
    while (rc == 0 && o.type != SEQUENCE_HEADER)
        rc = next_obu(&r, &o);
    if (rc == 0)
        rc = read_sequence(&s, &o);
    if (rc < 0)
        return rc;
    put_u8(out, 0x81); // version 1
    put_u8(out, (uint8_t)(s.profile << 5 | s.level));
    put_u8(out, (uint8_t)(s.tier << 7 | 0xc)); // 4:2:0
    put_u8(out, 0);
    return buf_append(out, o.p, o.n);
}

// ---- samples

int av1_copy_sample(struct buf *out, const uint8_t *p, size_t n)
{
    struct reader r = reader_of(p, n);
    while (reader_left(&r) > 0) {
        struct obu o;
        if (next_obu(&r, &o) < 0)
            return -E_CORRUPT;
        if (o.type != TEMPORAL_DELIMITER && o.type != TILE_LIST && o.type != PADDING)
            buf_append(out, o.p, o.n);
    }
    return buf_error(out);
}
