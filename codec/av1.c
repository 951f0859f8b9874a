// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av1.h"

#include "base/err.h"
#include "codec/av1_sequence.h"

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
    return av1_next_cut(r, 0, o);
}

int av1_next_cut(struct reader *r, size_t beyond, struct av1_obu *o)
{
    o->p = r->p;
    const uint8_t head = get_u8(r);
    o->type = head >> 3 & 15;
    const uint8_t layers = head & 4 ? get_u8(r) : 0;
    o->temporal = layers >> 5;
    o->spatial = layers >> 3 & 3;
    if (head & 0x80 || !(head & 2)) // forbidden; without a size
        return -E_CORRUPT;
    const uint64_t size = get_leb128(r);
    const size_t left = reader_left(r);
    if (r->bad || size > left + beyond)
        return -E_CORRUPT;
    o->payload_size = size < left ? (size_t)size : left;
    o->payload = get_bytes(r, o->payload_size);
    o->n = (size_t)(r->p - o->p);
    return 0;
}

// ---- av1C

#define CONFIG_HEAD 4   // bytes of av1C before its OBUs
#define CONFIG_ONE 0x81 // the first of them, of version 1; no OBU begins so

int av1_find_sequence(const uint8_t *extradata, size_t n, struct av1_obu *out)
{
    struct reader r = reader_of(extradata, n);
    int rc = 0;
    if (n >= CONFIG_HEAD && extradata[0] == CONFIG_ONE)
        get_bytes(&r, CONFIG_HEAD);
    *out = (struct av1_obu){ 0 };
    while (rc == 0 && out->type != AV1_SEQUENCE_HEADER)
        rc = av1_next_obu(&r, out);
    return rc;
}

int av1_config(struct buf *out, const uint8_t *extradata, size_t n)
{
    struct av1_obu o;
    struct av1_sequence s;
    int rc = av1_find_sequence(extradata, n, &o);
    if (rc == 0)
        rc = av1_sequence_read(&s, &o);
    if (rc < 0)
        return rc;
    put_u8(out, CONFIG_ONE);
    put_u8(out, (uint8_t)(s.profile << 5 | s.level));
    put_u8(out, (uint8_t)(s.tier << 7 | (s.bits > 8) << 6 | (s.bits > 10) << 5 | s.mono << 4 |
                          s.sub_x << 3 | s.sub_y << 2 | s.position));
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
