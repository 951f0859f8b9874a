// SPDX-License-Identifier: BSD-2-Clause

#include "codec/hevc.h"

#include "base/base.h"
#include "base/err.h"
#include "codec/bits.h"

#define SETS_MAX 8   // of one type
#define SPS_READ 256 // of a set that is looked into: what we want stands before that
#define PTL_AT 3     // in it: where profile, tier and level stand
#define PTL_SIZE 12

// In the order in which hvcC lists them.
static const int types[] = { 32, 33, 34 }; // VPS, SPS, PPS

struct unit {
    const uint8_t *p; // borrowed
    size_t n;
};

struct sets {
    struct unit v[countof(types)][SETS_MAX];
    int count[countof(types)];
};

static int keep(struct sets *sets, struct unit u)
{
    for (size_t i = 0; i < countof(types) && u.n >= 2; i++) {
        if ((u.p[0] >> 1 & 0x3f) != types[i])
            continue;
        if (u.n > UINT16_MAX || sets->count[i] == SETS_MAX)
            return -E_CORRUPT;
        sets->v[i][sets->count[i]++] = u;
    }
    return 0;
}

static int read_annex_b(struct sets *sets, const uint8_t *p, size_t n)
{
    int rc = 0;
    for (size_t at = next_start_code(p, n, 0); at < n && rc == 0;) {
        const size_t begin = at + 3;
        at = next_start_code(p, n, begin);
        size_t end = at;
        while (end > begin && p[end - 1] == 0) // zeros between NAL units
            end--;
        rc = keep(sets, (struct unit){ p + begin, end - begin });
    }
    for (size_t i = 0; i < countof(types); i++)
        if (sets->count[i] == 0)
            rc = -E_CORRUPT;
    return rc;
}

// What hvcC repeats of a sequence parameter set.
struct format {
    uint8_t ptl[PTL_SIZE];
    int layers; // temporal ones
    bool nested;
    uint32_t chroma, luma_depth, chroma_depth; // 1: 4:2:0; bits above 8
};

// Sets of streams with temporal layers, as nothing here makes, are not looked into.
static int read_format(struct format *f, const struct unit *sps)
{
    uint8_t plain[SPS_READ];
    const size_t n = unescape(plain, sizeof plain, sps->p, sps->n);
    if (n < PTL_AT + PTL_SIZE + 1)
        return -E_CORRUPT;
    *f = (struct format){ .layers = (plain[2] >> 1 & 7) + 1, .nested = plain[2] & 1 };
    memcpy(f->ptl, plain + PTL_AT, PTL_SIZE);
    struct bits b = { .bytes = reader_of(plain + PTL_AT + PTL_SIZE, n - PTL_AT - PTL_SIZE) };
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
    return b.bytes.bad || !sane || f->layers != 1 ? -E_CORRUPT : 0;
}

static void put_format(struct buf *out, const struct format *f)
{
    put_u8(out, 1); // version
    buf_append(out, f->ptl, PTL_SIZE);
    put_be16(out, 0xf000); // spatial segmentation: not told
    put_u8(out, 0xfc);     // parallelism: neither
    put_u8(out, (uint8_t)(0xfc | f->chroma));
    put_u8(out, (uint8_t)(0xf8 | f->luma_depth));
    put_u8(out, (uint8_t)(0xf8 | f->chroma_depth));
    put_be16(out, 0);                                            // mean frame rate: not told
    put_u8(out, (uint8_t)(f->layers << 3 | f->nested << 2 | 3)); // lengths of 4 bytes
}

static void put_sets(struct buf *out, const struct sets *sets)
{
    put_u8(out, countof(types));
    for (size_t i = 0; i < countof(types); i++) {
        put_u8(out, (uint8_t)(0x80 | types[i])); // all there are
        put_be16(out, (uint16_t)sets->count[i]);
        for (int k = 0; k < sets->count[i]; k++) {
            put_be16(out, (uint16_t)sets->v[i][k].n);
            buf_append(out, sets->v[i][k].p, sets->v[i][k].n);
        }
    }
}

int hevc_config(struct buf *out, const uint8_t *extradata, size_t n)
{
    struct sets sets = { 0 };
    struct format format;
    int rc = read_annex_b(&sets, extradata, n);
    if (rc == 0)
        rc = read_format(&format, &sets.v[1][0]);
    if (rc < 0)
        return rc;
    put_format(out, &format);
    put_sets(out, &sets);
    return buf_error(out);
}
