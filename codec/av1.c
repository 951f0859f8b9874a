// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av1.h"

#include "base/err.h"
#include "codec/bits.h"

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

int av1_next_obu(struct reader *r, struct av1_obu *o)
{
    o->p = r->p;
    const uint8_t head = get_u8(r);
    o->type = head >> 3 & 15;
    const uint8_t layers = head & 4 ? get_u8(r) : 0;
    o->temporal = layers >> 5;
    o->spatial = layers >> 3 & 3;
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
static int read_sequence(struct sequence *s, const struct av1_obu *o)
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
    struct av1_obu o = { 0 };
    int rc = 0;
    while (rc == 0 && o.type != AV1_SEQUENCE_HEADER)
        rc = av1_next_obu(&r, &o);
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
        struct av1_obu o;
        if (av1_next_obu(&r, &o) < 0)
            return -E_CORRUPT;
        if (o.type != AV1_TEMPORAL_DELIMITER && o.type != AV1_TILE_LIST && o.type != AV1_PADDING)
            buf_append(out, o.p, o.n);
    }
    return buf_error(out);
}
