// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/vc1.h"

#include "codec/bits.h"

enum { UNIT_FRAME = 0x0d, UNIT_SEQUENCE = 0x0f };

// The bytes behind the start code of the first unit of this type; false: there is none, and *out
// stays.
static bool find_unit(const uint8_t *p, size_t n, int type, struct reader *out)
{
    for (size_t at = next_start_code(p, n, 0); at + 4 <= n; at = next_start_code(p, n, at + 3)) {
        if (p[at + 3] != type)
            continue;
        *out = reader_of(p + at + 4, n - at - 4);
        return true;
    }
    return false;
}

// ---- headers

static struct vc1 sequence_header(const uint8_t *headers, size_t n)
{
    struct bits b = { 0 };
    if (!find_unit(headers, n, UNIT_SEQUENCE, &b.bytes))
        return (struct vc1){ 0 };
    skip_bits(&b, 2 + 3 + 2 + 3 + 5 + 1 + 12 + 12 + 1);
    const bool interlaced = get_bit(&b);
    return (struct vc1){
        .known = !b.bytes.bad, .advanced = true, .interlaced = interlaced, .has_b = true
    };
}

// STRUCT_C of Annex J.
static struct vc1 simple_header(const uint8_t *headers, size_t n)
{
    struct bits b = { .bytes = reader_of(headers, n) };
    struct vc1 v = { 0 };
    skip_bits(&b, 4 + 3 + 5 + 12);
    v.ranged = get_bit(&b);
    v.has_b = get_bits(&b, 3) > 0;
    skip_bits(&b, 2);
    v.interpolated = get_bit(&b);
    v.known = !b.bytes.bad;
    return v;
}

struct vc1 vc1_headers(enum codec_id codec, const uint8_t *headers, size_t n)
{
    if (codec == CODEC_WMV3)
        return simple_header(headers, n);
    return codec == CODEC_VC1 ? sequence_header(headers, n) : (struct vc1){ 0 };
}

// ---- pictures

static enum vc1_type field_type(struct bits *b)
{
    const int pair = (int)get_bits(b, 3); // I and I, I and P, P and I, P and P, four with B
    return pair >= 4 ? VC1_B : pair < 2 ? VC1_I : VC1_P;
}

static enum vc1_type advanced_type(const struct vc1 *v, struct bits *b)
{
    static const enum vc1_type types[] = { VC1_P, VC1_B, VC1_I, VC1_B, VC1_P };
    if (v->interlaced && get_bit(b) && get_bit(b))
        return field_type(b);
    int ones = 0;
    while (ones < 4 && get_bit(b))
        ones++;
    return types[ones];
}

static enum vc1_type simple_type(const struct vc1 *v, struct bits *b)
{
    skip_bits(b, v->interpolated + 2 + v->ranged);
    if (get_bit(b))
        return VC1_P;
    return v->has_b && !get_bit(b) ? VC1_B : VC1_I;
}

enum vc1_type vc1_look(const struct vc1 *v, const uint8_t *p, size_t n)
{
    struct bits b = { .bytes = reader_of(p, n) };
    if (v->advanced)
        find_unit(p, n, UNIT_FRAME, &b.bytes);
    const enum vc1_type type = v->advanced ? advanced_type(v, &b) : simple_type(v, &b);
    return b.bytes.bad ? VC1_P : type;
}
