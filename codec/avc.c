// SPDX-License-Identifier: BSD-2-Clause

#include "codec/avc.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/bits.h"

#define SLICE 1
#define PARTITION_A 2
#define PARTITION_C 4

// Of a set that is looked into: what stands before the fields that we want is shorter.
#define SPS_READ 512

static int type_of(const struct nal_unit *u)
{
    return u->n ? u->p[0] & 0x1f : 0;
}

// ---- parameter sets

static int keep_set(struct avc_sets *sets, struct nal_unit u)
{
    if (u.n > UINT16_MAX)
        return -E_CORRUPT;
    if (type_of(&u) == AVC_UNIT_SPS) {
        if (u.n < 4 || sets->sps_count == AVC_SPS_MAX)
            return -E_CORRUPT;
        sets->sps[sets->sps_count++] = u;
    } else if (type_of(&u) == AVC_UNIT_PPS) {
        if (sets->pps_count == AVC_PPS_MAX)
            return -E_CORRUPT;
        sets->pps[sets->pps_count++] = u;
    }
    return 0;
}

static int read_annex_b(struct avc_sets *sets, const uint8_t *p, size_t n)
{
    struct nal_unit u;
    int rc = 0;
    sets->length_size = 4;
    sets->coded = true;
    for (size_t at = 0; rc == 0 && nal_next_coded(p, n, &at, &u);)
        rc = keep_set(sets, u);
    return rc;
}

static int read_listed(struct avc_sets *sets, struct reader *r, int count, int type)
{
    for (int i = 0; i < count; i++) {
        const size_t n = get_be16(r);
        const struct nal_unit u = { get_bytes(r, n), n };
        if (!u.p || type_of(&u) != type || keep_set(sets, u) < 0)
            return -E_CORRUPT;
    }
    return 0;
}

static int read_avcc(struct avc_sets *sets, const uint8_t *p, size_t n)
{
    struct reader r = reader_of(p, n);
    get_bytes(&r, 4); // version, and profile to level: the SPS says it too
    sets->length_size = (get_u8(&r) & 3) + 1;
    if (sets->length_size == 3)
        return -E_CORRUPT;
    int rc = read_listed(sets, &r, get_u8(&r) & 0x1f, AVC_UNIT_SPS);
    if (rc == 0)
        rc = read_listed(sets, &r, get_u8(&r), AVC_UNIT_PPS);
    return rc < 0 || r.bad ? -E_CORRUPT : 0;
}

int avc_read_sets(struct avc_sets *out, const uint8_t *extradata, size_t n)
{
    *out = (struct avc_sets){ 0 };
    if (n == 0)
        return -E_CORRUPT;
    const int rc =
        extradata[0] == 1 ? read_avcc(out, extradata, n) : read_annex_b(out, extradata, n);
    return rc < 0 ? rc : out->sps_count && out->pps_count ? 0 : -E_CORRUPT;
}

// ---- inside a sequence parameter set

// A signed one, modulo 256: all that scaling lists need of it.
static int get_se_byte(struct bits *b)
{
    const uint32_t v = get_ue(b);
    return (int)((v & 1 ? v / 2 + 1 : 0 - v / 2) & 0xff);
}

static void skip_scaling_list(struct bits *b, int size)
{
    int last = 8, next = 8;
    for (int i = 0; i < size && !b->bytes.bad; i++) {
        if (next != 0)
            next = (last + get_se_byte(b)) & 0xff;
        last = next ? next : last;
    }
}

static bool profile_has_chroma(int profile)
{
    static const uint8_t high[] = { 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135 };
    return memchr(high, profile, sizeof high) != NULL;
}

static void read_chroma(struct bits *b, struct avc_format *f)
{
    const uint32_t chroma = get_ue(b);
    if (chroma == 3)
        f->separate_planes = get_bit(b);
    const uint32_t luma = get_ue(b), other = get_ue(b);
    if (chroma > 3 || luma > 6 || other > 6)
        b->bytes.bad = true;
    f->chroma = (int)(chroma & 3);
    f->luma_depth = 8 + (int)(luma & 7);
    f->chroma_depth = 8 + (int)(other & 7);
}

static void skip_scaling(struct bits *b, const struct avc_format *f)
{
    get_bit(b); // lossless
    if (!get_bit(b))
        return;
    for (int i = 0; i < (f->chroma == 3 ? 12 : 8); i++)
        if (get_bit(b))
            skip_scaling_list(b, i < 6 ? 16 : 64);
}

// log2 of a maximum, less 4.
static int get_log2(struct bits *b)
{
    const uint32_t v = get_ue(b);
    if (v > 12)
        b->bytes.bad = true;
    return (int)(v & 15) + 4;
}

static void read_order(struct bits *b, struct avc_format *f)
{
    f->order_type = get_ue(b);
    if (f->order_type == 0)
        f->order_bits = get_log2(b);
    if (f->order_type != 1)
        return;
    f->order_fixed = get_bit(b);
    get_ue(b);
    get_ue(b);
    for (uint32_t n = get_ue(b); n > 0 && !b->bytes.bad; n--)
        get_ue(b);
}

// Up to and with the fields that avcC repeats.
static struct bits begin_format(struct avc_format *f, const uint8_t *p, size_t n)
{
    *f = (struct avc_format){ p[1], p[2], p[3], 1, 8, 8, .frames_only = false };
    struct bits b = { .bytes = reader_of(p + 4, n - 4) };
    f->id = get_ue(&b);
    if (profile_has_chroma(f->profile))
        read_chroma(&b, f);
    return b;
}

int avc_read_format(struct avc_format *out, const struct nal_unit *sps)
{
    uint8_t plain[SPS_READ];
    const size_t n = unescape(plain, sizeof plain, sps->p, sps->n);
    if (n < 4)
        return -E_CORRUPT;
    struct bits b = begin_format(out, plain, n);
    if (profile_has_chroma(out->profile))
        skip_scaling(&b, out);
    out->frame_num_bits = get_log2(&b);
    read_order(&b, out);
    get_ue(&b);  // reference frames
    get_bit(&b); // gaps in their numbers
    get_ue(&b);  // width
    get_ue(&b);  // height
    out->frames_only = get_bit(&b);
    return b.bytes.bad ? -E_CORRUPT : 0;
}

// ---- avcC

static int put_chroma(struct buf *out, const struct nal_unit *sps)
{
    struct avc_format f;
    // Valid fields are too short to hold a byte against start codes.
    const struct bits b = begin_format(&f, sps->p, sps->n);
    if (b.bytes.bad)
        return -E_CORRUPT;
    put_u8(out, (uint8_t)(0xfc | f.chroma));
    put_u8(out, (uint8_t)(0xf8 | (f.luma_depth - 8)));
    put_u8(out, (uint8_t)(0xf8 | (f.chroma_depth - 8)));
    put_u8(out, 0); // no SPS extensions
    return 0;
}

static void put_sets(struct buf *out, const struct nal_unit *sets, int count)
{
    for (int i = 0; i < count; i++) {
        put_be16(out, (uint16_t)sets[i].n);
        buf_append(out, sets[i].p, sets[i].n);
    }
}

int avc_config(struct buf *out, const uint8_t *extradata, size_t n)
{
    struct avc_sets sets;
    int rc = avc_read_sets(&sets, extradata, n);
    if (rc < 0)
        return rc;
    put_u8(out, 1);
    buf_append(out, sets.sps[0].p + 1, 3); // profile, compatibility, level
    put_u8(out, (uint8_t)(0xfc | (sets.length_size - 1)));
    put_u8(out, (uint8_t)(0xe0 | sets.sps_count));
    put_sets(out, sets.sps, sets.sps_count);
    put_u8(out, (uint8_t)sets.pps_count);
    put_sets(out, sets.pps, sets.pps_count);
    if (profile_has_chroma(sets.sps[0].p[1]))
        rc = put_chroma(out, &sets.sps[0]);
    return rc < 0 ? rc : buf_error(out);
}

// ---- samples

static int framing(const struct avc_sets *sets)
{
    return sets->coded ? NAL_CODED : sets->length_size;
}

// Whether u is a parameter set that is not one of these.
static bool is_other_set(const struct avc_sets *sets, const struct nal_unit *u)
{
    const int type = type_of(u);
    return (type == AVC_UNIT_SPS && !nal_is_among(u, sets->sps, sets->sps_count)) ||
           (type == AVC_UNIT_PPS && !nal_is_among(u, sets->pps, sets->pps_count));
}

static bool is_slice(int type)
{
    return type == SLICE || type == AVC_UNIT_IDR;
}

// What a slice begins with; -1 where that cannot be read.
static int64_t first_macroblock(const struct nal_unit *u)
{
    uint8_t plain[9];
    const size_t n = unescape(plain, sizeof plain, u->p, u->n);
    struct bits b = { .bytes = reader_of(plain + 1, n - 1) };
    const int64_t first = get_ue(&b);
    return b.bytes.bad ? -1 : first;
}

int avc_pictures(const uint8_t *extradata, size_t n, const uint8_t *p, size_t size)
{
    struct avc_sets sets;
    const bool told = avc_read_sets(&sets, extradata, n) == 0;
    struct reader r = reader_of(p, size);
    struct nal_unit u;
    int count = 0;
    while (nal_next(&r, 0, told ? framing(&sets) : NAL_CODED, &u))
        count += is_slice(type_of(&u)) && first_macroblock(&u) == 0;
    return count;
}

int avc_copy_sample(struct buf *out, const struct avc_sets *sets, const uint8_t *p, size_t n,
                    bool *idr)
{
    struct reader r = reader_of(p, n);
    struct nal_unit u;
    int picture = 0; // the type of its slices
    int64_t last = -1;
    while (nal_next(&r, 0, framing(sets), &u)) {
        const int type = type_of(&u);
        if (is_other_set(sets, &u) || (type >= PARTITION_A && type <= PARTITION_C))
            return -E_CORRUPT;
        if (!is_slice(type))
            continue;
        const int64_t first = first_macroblock(&u);
        if ((picture && picture != type) || first <= last || (!picture && first > 0))
            return -E_CORRUPT;
        picture = type;
        last = first;
        put_be(out, u.n, sets->length_size);
        buf_append(out, u.p, u.n);
    }
    *idr = picture == AVC_UNIT_IDR;
    return r.bad || !picture ? -E_CORRUPT : buf_error(out);
}

static enum sight see(const void *sets, const struct nal_unit *u)
{
    const int type = type_of(u);
    if (is_other_set(sets, u))
        return SIGHT_OTHER_SETS;
    if (type == AVC_UNIT_IDR)
        return SIGHT_START;
    return type >= SLICE && type <= PARTITION_C ? SIGHT_OTHER : SIGHT_UNSEEN;
}

// Whether those seen go from top to bottom; the last of them may be cut.
static bool slices_rise(const uint8_t *p, size_t n, size_t size, int length_size)
{
    struct reader r = reader_of(p, n);
    struct nal_unit u;
    int64_t last = -1;
    while (nal_next(&r, size - n, length_size, &u)) {
        if (!is_slice(type_of(&u)))
            continue;
        const int64_t first = first_macroblock(&u);
        if (first < 0)
            return reader_left(&r) == 0 && n < size;
        if (first <= last)
            return false;
        last = first;
    }
    return true;
}

enum sight avc_look(const struct avc_sets *sets, const uint8_t *p, size_t n, size_t size)
{
    const enum sight sight = nal_look(p, n, size, framing(sets), see, sets);
    const bool rise = slices_rise(p, n, size, framing(sets));
    return sight == SIGHT_START && !rise ? SIGHT_DISORDER : sight;
}
