// SPDX-License-Identifier: BSD-2-Clause

#include "codec/hevc_slice.h"

#include "base/base.h"
#include "base/err.h"
#include "codec/nal.h"

#define HEADER_READ 8192 // longer than any: an entry point of 4 bytes a row, 2160 at most
#define LIST_MAX 16
#define POINTS_MAX 4096

enum unit_type {
    UNIT_PLAIN_MAX = 9, // below an IRAP picture's
    UNIT_IRAP = 16,
    UNIT_CRA = 21,
    UNIT_IRAP_MAX = 23,
};

enum slice_kind { SLICE_B, SLICE_P, SLICE_I };

bool hevc_is_slice(uint8_t first)
{
    const int type = first >> 1 & 0x3f;
    return type <= UNIT_PLAIN_MAX || (type >= UNIT_IRAP && type <= UNIT_CRA);
}

// A header on the way through its fields.
struct header {
    struct bits b;
    const struct hevc_pps *pps;
    struct hevc_sps *sps;
    int type; // of the NAL unit
    enum slice_kind kind;
    uint32_t refs[2];
    int used; // reference pictures of this one
    bool temporal_vectors, sao;
};

static bool find_sets(struct header *h, struct hevc_sets *s, uint32_t id)
{
    for (int i = 0; i < s->pps_count; i++)
        if (s->pps[i].id == id)
            h->pps = &s->pps[i];
    for (int i = 0; h->pps && i < s->sps_count; i++)
        if (s->sps[i].id == h->pps->sps)
            h->sps = &s->sps[i];
    return h->sps;
}

// ---- reference pictures

static bool read_short_refs(struct header *h)
{
    struct bits *const b = &h->b;
    struct hevc_sps *const s = h->sps;
    int i = s->refs_count;
    if (!get_bit(b)) {
        if (!hevc_refs_read(b, s, i))
            return false;
    } else if (s->refs_count == 0) {
        return false;
    } else {
        i = (int)get_bits(b, hevc_bits_for((uint32_t)s->refs_count));
    }
    if (i > s->refs_count)
        return false;
    for (int k = 0; k < s->refs[i].count; k++)
        h->used += s->refs[i].used[k];
    return true;
}

static bool read_long_refs(struct header *h)
{
    struct bits *const b = &h->b;
    const struct hevc_sps *const s = h->sps;
    if (!s->long_term)
        return true;
    const uint32_t known = s->long_count > 0 ? get_ue(b) : 0, brought = get_ue(b);
    if (known > HEVC_LONG_MAX || brought > HEVC_LONG_MAX)
        return false;
    for (uint32_t i = 0; i < known + brought; i++) {
        if (i < known) {
            const uint32_t at = get_bits(b, hevc_bits_for((uint32_t)s->long_count));
            h->used += at < (uint32_t)s->long_count && s->long_used[at];
        } else {
            get_bits(b, s->order_bits);
            h->used += get_bit(b);
        }
        if (get_bit(b))
            get_ue(b);
    }
    return true;
}

static bool read_refs(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->type == HEVC_UNIT_IDR_W_RADL || h->type == HEVC_UNIT_IDR_N_LP)
        return true;
    get_bits(b, h->sps->order_bits);
    if (!read_short_refs(h) || !read_long_refs(h))
        return false;
    h->temporal_vectors = h->sps->temporal_vectors && get_bit(b);
    return true;
}

// ---- prediction

static int lists(const struct header *h)
{
    return h->kind == SLICE_B ? 2 : 1;
}

static bool read_lists(struct header *h)
{
    struct bits *const b = &h->b;
    const bool own = get_bit(b);
    memcpy(h->refs, h->pps->refs, sizeof h->refs);
    for (int i = 0; own && i < lists(h); i++)
        h->refs[i] = get_ue(b) + 1;
    if (h->refs[0] > LIST_MAX || h->refs[1] > LIST_MAX || h->refs[0] == 0 || h->refs[1] == 0)
        return false;
    if (!h->pps->reorders || h->used <= 1)
        return true;
    const int bits = hevc_bits_for((uint32_t)h->used);
    for (int i = 0; i < lists(h); i++)
        if (get_bit(b))
            for (uint32_t k = 0; k < h->refs[i]; k++)
                get_bits(b, bits);
    return true;
}

// Weights and offsets, of which flags[i] say what there is.
static void skip_list_weights(struct header *h, uint32_t count)
{
    struct bits *const b = &h->b;
    bool luma[LIST_MAX], chroma[LIST_MAX] = { false };
    for (uint32_t i = 0; i < count; i++)
        luma[i] = get_bit(b);
    for (uint32_t i = 0; h->sps->chroma && i < count; i++)
        chroma[i] = get_bit(b);
    for (uint32_t i = 0; i < count; i++)
        for (int k = 0; k < 2 * luma[i] + 4 * chroma[i]; k++)
            get_ue(b);
}

static void skip_weights(struct header *h)
{
    get_ue(&h->b);
    if (h->sps->chroma)
        get_ue(&h->b);
    for (int i = 0; i < lists(h); i++)
        skip_list_weights(h, h->refs[i]);
}

static bool skip_prediction(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->kind == SLICE_I)
        return true;
    if (!read_lists(h))
        return false;
    if (h->kind == SLICE_B)
        get_bit(b); // differences of vectors are zero
    if (h->pps->cabac_init)
        get_bit(b);
    if (h->temporal_vectors) {
        const int list = h->kind == SLICE_B && !get_bit(b);
        if (h->refs[list] > 1)
            get_ue(b);
    }
    if (h->kind == SLICE_P ? h->pps->weighted : h->pps->weighted_bi)
        skip_weights(h);
    get_ue(b); // merging
    return true;
}

// ---- the header

static void skip_filter(struct header *h)
{
    struct bits *const b = &h->b;
    bool off = h->pps->filter_off;
    if (h->pps->filter_override && get_bit(b)) {
        off = get_bit(b);
        for (int i = 0; !off && i < 2; i++)
            get_ue(b);
    }
    if (h->pps->filter_across && (h->sao || !off))
        get_bit(b);
}

static int walk_independent(struct header *h)
{
    struct bits *const b = &h->b;
    get_bits(b, h->pps->extra_bits);
    const uint32_t kind = get_ue(b);
    if (kind > SLICE_I)
        return -E_CORRUPT;
    h->kind = (enum slice_kind)kind;
    if (h->pps->output)
        get_bit(b);
    if (h->sps->separate_planes)
        get_bits(b, 2);
    if (!read_refs(h))
        return -E_CORRUPT;
    for (int i = 0; h->sps->sao && i < 1 + (h->sps->chroma != 0); i++)
        h->sao |= get_bit(b);
    if (!skip_prediction(h))
        return -E_CORRUPT;
    for (int i = 0; i < 1 + 2 * h->pps->chroma_offsets; i++)
        get_ue(b); // quantizers
    skip_filter(h);
    return 0;
}

static int skip_end(struct header *h)
{
    struct bits *const b = &h->b;
    const uint32_t points = h->pps->tiles || h->pps->rows ? get_ue(b) : 0;
    const uint32_t bits = points > 0 ? get_ue(b) + 1 : 0;
    if (points > POINTS_MAX || bits > 32)
        return -E_CORRUPT;
    for (uint32_t i = 0; i < points; i++)
        get_bits(b, (int)bits);
    const uint32_t more = h->pps->extended ? get_ue(b) : 0;
    if (more > 256)
        return -E_CORRUPT;
    get_bits(b, (int)(8 * more));
    return get_bit(b) && rest_is_zero(b) ? 0 : -E_CORRUPT; // the alignment
}

static int walk(struct header *h, struct hevc_sets *s)
{
    struct bits *const b = &h->b;
    const bool first = get_bit(b);
    if (h->type >= UNIT_IRAP && h->type <= UNIT_IRAP_MAX)
        get_bit(b);
    if (!find_sets(h, s, get_ue(b)))
        return -E_CORRUPT;
    const bool dependent = !first && h->pps->dependent && get_bit(b);
    if (!first)
        get_bits(b, h->sps->address_bits);
    int rc = dependent ? 0 : walk_independent(h);
    if (rc == 0)
        rc = skip_end(h);
    return b->bytes.bad ? -E_CORRUPT : rc;
}

int hevc_slice_header(struct hevc_sets *s, const uint8_t *p, size_t n, size_t *bytes)
{
    uint8_t plain[HEADER_READ];
    const size_t got = unescape(plain, sizeof plain, p, n);
    if (got < 3)
        return -E_CORRUPT;
    struct header h = { .type = plain[0] >> 1 & 0x3f };
    h.b.bytes = reader_of(plain + 2, got - 2);
    const int rc = walk(&h, s);
    if (rc == 0)
        *bytes = escaped(p, n, (size_t)(h.b.bytes.p - plain));
    return rc;
}
