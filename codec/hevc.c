// SPDX-License-Identifier: BSD-2-Clause

#include "codec/hevc.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/bits.h"

#define SPS_READ 256 // of a set that is looked into: what we want stands before that
#define PTL_AT 3     // in it: where profile, tier and level stand
#define SEI_READ 64  // of a note that may be kept

// Types of NAL units.
#define SLICES 32 // all below
#define LAST_REFERENCE 9
#define FIRST_IRAP 16
#define CRA 21
#define SEI 39

// Notes on how bright pictures are: of the screen they were mastered on, of the brightest among
// them, and that HLG may be shown as SDR.
#define MASTERING 137
#define LIGHT_LEVEL 144
#define ALTERNATIVE_TRANSFER 147

static int type_of(const struct nal_unit *u)
{
    return u->p[0] >> 1 & 0x3f;
}

// A unit of another layer (of depth, of the other eye) means nothing to who shows one.
static bool is_base(const struct nal_unit *u)
{
    return u->n > 2 && (u->p[0] & 1) == 0 && u->p[1] >> 3 == 0;
}

// ---- parameter sets

static int keep(struct hevc_units *sets, struct nal_unit u)
{
    const int i = is_base(&u) ? type_of(&u) - HEVC_UNIT_VPS : HEVC_SETS;
    if (i < 0 || i >= HEVC_SETS)
        return 0;
    if (u.n > UINT16_MAX || sets->count[i] == HEVC_UNITS_MAX)
        return -E_CORRUPT;
    sets->v[i][sets->count[i]++] = u;
    return 0;
}

static int read_annex_b(struct hevc_units *sets, const uint8_t *p, size_t n)
{
    struct nal_unit u;
    int rc = 0;
    sets->length_size = 4;
    sets->coded = true;
    for (size_t at = 0; rc == 0 && nal_next_coded(p, n, &at, &u);)
        rc = keep(sets, u);
    return rc;
}

static int read_hvcc(struct hevc_units *sets, const uint8_t *p, size_t n)
{
    struct reader r = reader_of(p, n);
    get_bytes(&r, 21); // what stands here the SPS says, too
    sets->length_size = (get_u8(&r) & 3) + 1;
    int rc = sets->length_size == 3 ? -E_CORRUPT : 0;
    for (int lists = get_u8(&r); lists > 0 && rc == 0; lists--) {
        get_u8(&r); // what the units are, they say themselves
        for (int count = get_be16(&r); count > 0 && rc == 0; count--) {
            const size_t size = get_be16(&r);
            const struct nal_unit u = { get_bytes(&r, size), size };
            rc = r.bad ? -E_CORRUPT : keep(sets, u);
        }
    }
    return r.bad ? -E_CORRUPT : rc;
}

int hevc_read_units(struct hevc_units *out, const uint8_t *extradata, size_t n)
{
    *out = (struct hevc_units){ 0 };
    if (n == 0)
        return -E_CORRUPT;
    const int rc =
        extradata[0] == 1 ? read_hvcc(out, extradata, n) : read_annex_b(out, extradata, n);
    for (int i = 0; i < HEVC_SETS; i++)
        if (out->count[i] == 0)
            return -E_CORRUPT;
    return rc;
}

// ---- inside a sequence parameter set

// Profiles and levels of the temporal layers below the highest.
static void skip_sub_layers(struct bits *b, int layers)
{
    bool profile[8], level[8];
    for (int i = 1; i < layers; i++) {
        profile[i] = get_bit(b);
        level[i] = get_bit(b);
    }
    for (int i = layers; i <= 8 && layers > 1; i++)
        get_bits(b, 2);
    for (int i = 1; i < layers; i++) {
        for (int k = 0; profile[i] && k < 88; k++)
            get_bit(b);
        if (level[i])
            get_bits(b, 8);
    }
}

int hevc_read_format(struct hevc_format *f, const struct nal_unit *sps)
{
    uint8_t plain[SPS_READ];
    const size_t n = unescape(plain, sizeof plain, sps->p, sps->n);
    if (n < PTL_AT + HEVC_PTL_SIZE + 1)
        return -E_CORRUPT;
    *f = (struct hevc_format){ .layers = (plain[2] >> 1 & 7) + 1, .nested = plain[2] & 1 };
    memcpy(f->ptl, plain + PTL_AT, HEVC_PTL_SIZE);
    struct bits b = { .bytes =
                          reader_of(plain + PTL_AT + HEVC_PTL_SIZE, n - PTL_AT - HEVC_PTL_SIZE) };
    if (f->layers > 7)
        return -E_CORRUPT;
    skip_sub_layers(&b, f->layers);
    get_ue(&b); // id
    f->chroma = get_ue(&b);
    if (f->chroma == 3)
        get_bit(&b); // separate planes
    get_ue(&b);      // width
    get_ue(&b);      // height
    if (get_bit(&b)) // a window of them
        for (int i = 0; i < 4; i++)
            get_ue(&b);
    f->luma_depth = get_ue(&b);
    f->chroma_depth = get_ue(&b);
    const bool sane = f->chroma <= 3 && f->luma_depth <= 8 && f->chroma_depth <= 8;
    return b.bytes.bad || !sane ? -E_CORRUPT : 0;
}

// What is compatible stands there with its first bit last, and zeros at the end are left out.
void hevc_name(const struct hevc_format *f, char *out, size_t cap)
{
    uint32_t compatible = 0;
    for (int i = 0; i < 32; i++)
        compatible |= (uint32_t)(f->ptl[1 + i / 8] >> (7 - i % 8) & 1) << i;
    int constraints = 6;
    while (constraints > 0 && f->ptl[4 + constraints] == 0)
        constraints--;
    char space[2] = { "\0ABC"[f->ptl[0] >> 6] };
    int n = snprintf(out, cap, "hvc1.%s%d.%" PRIX32 ".%c%d", space, hevc_profile(f), compatible,
                     f->ptl[0] & 0x20 ? 'H' : 'L', f->ptl[11]);
    for (int i = 0; i < constraints && n > 0 && (size_t)n < cap; i++)
        n += snprintf(out + n, cap - (size_t)n, ".%X", f->ptl[5 + i]);
}

// ---- hvcC

static void put_format(struct buf *out, const struct hevc_format *f, int length_size)
{
    put_u8(out, 1); // version
    buf_append(out, f->ptl, HEVC_PTL_SIZE);
    put_be16(out, 0xf000); // spatial segmentation: not told
    put_u8(out, 0xfc);     // parallelism: neither
    put_u8(out, (uint8_t)(0xfc | f->chroma));
    put_u8(out, (uint8_t)(0xf8 | (f->luma_depth & 7)));
    put_u8(out, (uint8_t)(0xf8 | (f->chroma_depth & 7)));
    put_be16(out, 0); // mean frame rate: not told
    put_u8(out, (uint8_t)(f->layers << 3 | f->nested << 2 | (length_size - 1)));
}

static void put_sets(struct buf *out, const struct hevc_units *sets)
{
    put_u8(out, HEVC_SETS);
    for (int i = 0; i < HEVC_SETS; i++) {
        put_u8(out, (uint8_t)(0x80 | (HEVC_UNIT_VPS + i))); // all there are
        put_be16(out, (uint16_t)sets->count[i]);
        for (int k = 0; k < sets->count[i]; k++) {
            put_be16(out, (uint16_t)sets->v[i][k].n);
            buf_append(out, sets->v[i][k].p, sets->v[i][k].n);
        }
    }
}

int hevc_config(struct buf *out, const uint8_t *extradata, size_t n)
{
    struct hevc_units sets;
    struct hevc_format format;
    int rc = hevc_read_units(&sets, extradata, n);
    if (rc == 0)
        rc = hevc_read_format(&format, &sets.v[HEVC_SPS][0]);
    if (rc < 0)
        return rc;
    put_format(out, &format, sets.length_size);
    put_sets(out, &sets);
    return buf_error(out);
}

// ---- samples

static int framing(const struct hevc_units *sets)
{
    return sets->coded ? NAL_CODED : sets->length_size;
}

static bool is_other_set(const struct hevc_units *sets, const struct nal_unit *u)
{
    const int i = is_base(u) ? type_of(u) - HEVC_UNIT_VPS : HEVC_SETS;
    return i >= 0 && i < HEVC_SETS && !nal_is_among(u, sets->v[i], sets->count[i]);
}

static bool is_slice(const struct nal_unit *u)
{
    return is_base(u) && type_of(u) < SLICES;
}

// Whether it is a note that says one thing, and that is how bright pictures are.
static bool is_light_note(const struct nal_unit *u)
{
    uint8_t plain[SEI_READ];
    if (!is_base(u) || type_of(u) != SEI)
        return false;
    const size_t n = unescape(plain, sizeof plain, u->p, u->n);
    const int kind = n > 4 ? plain[2] : 0;
    return (kind == MASTERING || kind == LIGHT_LEVEL || kind == ALTERNATIVE_TRANSFER) &&
           n == 4 + (size_t)plain[3] + 1 && plain[n - 1] == 0x80;
}

static enum start start_of(int type)
{
    return type == HEVC_UNIT_IDR_W_RADL || type == HEVC_UNIT_IDR_N_LP ? START_CLEAN
           : type == CRA                                              ? START_LED
                                                                      : START_NOT;
}

// Types that have no meaning yet are not shown by everybody.
static bool is_known_slice(int type)
{
    return type <= LAST_REFERENCE || (type >= FIRST_IRAP && type <= CRA);
}

static int take_slice(const struct nal_unit *u, int *picture)
{
    const int type = type_of(u);
    const bool first = u->p[2] & 0x80;
    // All slices of a picture are of one type, and one of them is the first.
    if (!is_known_slice(type) || first != (*picture < 0) || (!first && type != *picture))
        return -E_CORRUPT;
    *picture = type;
    return 0;
}

int hevc_copy_sample(struct buf *out, const struct hevc_units *sets, const uint8_t *p, size_t n,
                     enum start *start)
{
    struct reader r = reader_of(p, n);
    struct nal_unit u;
    int picture = -1; // the type of its slices
    while (nal_next(&r, 0, framing(sets), &u)) {
        if (is_other_set(sets, &u) || (is_slice(&u) && take_slice(&u, &picture) < 0))
            return -E_CORRUPT;
        if (!is_slice(&u) && !is_light_note(&u))
            continue;
        put_be(out, u.n, sets->length_size);
        buf_append(out, u.p, u.n);
    }
    *start = start_of(picture);
    return r.bad || picture < 0 ? -E_CORRUPT : buf_error(out);
}

static enum sight see(const void *sets, const struct nal_unit *u)
{
    if (is_other_set(sets, u))
        return SIGHT_OTHER_SETS;
    if (!is_slice(u))
        return SIGHT_UNSEEN;
    return start_of(type_of(u)) == START_NOT ? SIGHT_OTHER : SIGHT_START;
}

enum sight hevc_look(const struct hevc_units *sets, const uint8_t *p, size_t n, size_t size)
{
    return nal_look(p, n, size, framing(sets), see, sets);
}
