// SPDX-License-Identifier: BSD-2-Clause

#include "codec/avc_slice.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/bits.h"
#include "codec/nal.h"

// Longer than any header: 32 pictures in each list, with weights, and as many commands.
#define HEADER_READ 1024
#define PPS_READ 128
#define REFS_MAX 32

enum slice_kind { SLICE_P, SLICE_B, SLICE_I, SLICE_SP, SLICE_SI };

// ---- parameter sets

static int read_pps(struct avc_picture_set *out, const struct nal_unit *u)
{
    uint8_t plain[PPS_READ];
    const size_t n = unescape(plain, sizeof plain, u->p, u->n);
    struct bits b = { .bytes = reader_of(plain + 1, n > 1 ? n - 1 : 0) };
    out->id = get_ue(&b);
    out->sps = get_ue(&b);
    out->cabac = get_bit(&b);
    out->order_in_frame = get_bit(&b);
    if (get_ue(&b) != 0)
        return -E_UNSUPPORTED;
    for (int i = 0; i < 2; i++)
        out->refs[i] = get_ue(&b) + 1;
    out->weighted = get_bit(&b);
    out->weighted_bi = get_bits(&b, 2);
    for (int i = 0; i < 3; i++) // quantizers, whose sign does not matter
        get_ue(&b);
    out->deblocking = get_bit(&b);
    get_bit(&b);
    out->redundant = get_bit(&b);
    return b.bytes.bad ? -E_CORRUPT : 0;
}

int avc_slices_read(struct avc_slices *out, const struct avc_sets *sets)
{
    int rc = 0;
    *out = (struct avc_slices){ 0 };
    while (rc == 0 && out->sps_count < sets->sps_count) {
        rc = avc_read_format(&out->sps[out->sps_count], &sets->sps[out->sps_count]);
        out->sps_count++;
    }
    while (rc == 0 && out->pps_count < sets->pps_count) {
        rc = read_pps(&out->pps[out->pps_count], &sets->pps[out->pps_count]);
        out->pps_count++;
    }
    return rc;
}

static const struct avc_picture_set *find_pps(const struct avc_slices *s, uint32_t id)
{
    for (int i = 0; i < s->pps_count; i++)
        if (s->pps[i].id == id)
            return &s->pps[i];
    return NULL;
}

static const struct avc_format *find_sps(const struct avc_slices *s, uint32_t id)
{
    for (int i = 0; i < s->sps_count; i++)
        if (s->sps[i].id == id)
            return &s->sps[i];
    return NULL;
}

// ---- slice headers

// A header on the way through its fields.
struct header {
    struct bits b;
    const struct avc_picture_set *pps;
    const struct avc_format *sps;
    enum slice_kind kind;
    bool idr, reference, field;
    uint32_t refs[2];
};

static bool has_list(const struct header *h, int list)
{
    return list == 0 ? h->kind != SLICE_I && h->kind != SLICE_SI : h->kind == SLICE_B;
}

static void skip_order(struct header *h)
{
    struct bits *const b = &h->b;
    const bool both = h->pps->order_in_frame && !h->field;
    if (h->sps->order_type == 0)
        get_bits(b, h->sps->order_bits);
    else if (h->sps->order_type == 1 && !h->sps->order_fixed)
        get_ue(b);
    else
        return;
    if (both)
        get_ue(b);
}

static void read_place(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->sps->separate_planes)
        get_bits(b, 2);
    get_bits(b, h->sps->frame_num_bits);
    if (!h->sps->frames_only) {
        h->field = get_bit(b);
        if (h->field)
            get_bit(b);
    }
    if (h->idr)
        get_ue(b);
    skip_order(h);
    if (h->pps->redundant)
        get_ue(b);
}

static void read_refs(struct header *h)
{
    struct bits *const b = &h->b;
    memcpy(h->refs, h->pps->refs, sizeof h->refs);
    if (h->kind == SLICE_B)
        get_bit(b); // direct prediction
    if (!has_list(h, 0) || !get_bit(b))
        return;
    for (int list = 0; list < 2; list++)
        if (has_list(h, list))
            h->refs[list] = get_ue(b) + 1;
}

static void skip_reordering(struct header *h)
{
    struct bits *const b = &h->b;
    for (int list = 0; list < 2; list++) {
        if (!has_list(h, list) || !get_bit(b))
            continue;
        while (!b->bytes.bad && get_ue(b) != 3)
            get_ue(b);
    }
}

// Weight and offset, of each of n planes.
static void skip_weights(struct bits *b, int n)
{
    if (!get_bit(b))
        return;
    for (int i = 0; i < 2 * n; i++)
        get_ue(b);
}

static void skip_weight_table(struct header *h)
{
    struct bits *const b = &h->b;
    const bool colour = h->sps->chroma != 0 && !h->sps->separate_planes;
    get_ue(b);
    if (colour)
        get_ue(b);
    for (int list = 0; list < 2; list++) {
        for (uint32_t i = 0; has_list(h, list) && i < h->refs[list] && !b->bytes.bad; i++) {
            skip_weights(b, 1);
            if (colour)
                skip_weights(b, 2);
        }
    }
}

static void skip_marking(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->idr) {
        get_bits(b, 2);
        return;
    }
    if (!get_bit(b))
        return;
    uint32_t command;
    while (!b->bytes.bad && (command = get_ue(b)) != 0) {
        if (command != 5)
            get_ue(b);
        if (command == 3)
            get_ue(b);
    }
}

static void skip_coding(struct header *h)
{
    struct bits *const b = &h->b;
    if (h->pps->cabac && has_list(h, 0))
        get_ue(b);
    get_ue(b); // quantizer
    if (h->kind == SLICE_SP)
        get_bit(b);
    if (h->kind == SLICE_SP || h->kind == SLICE_SI)
        get_ue(b);
    if (h->pps->deblocking && get_ue(b) != 1) {
        get_ue(b);
        get_ue(b);
    }
}

static bool is_weighted(const struct header *h)
{
    return h->kind == SLICE_B ? h->pps->weighted_bi == 1
                              : h->pps->weighted && (h->kind == SLICE_P || h->kind == SLICE_SP);
}

static int walk(struct header *h, const struct avc_slices *s)
{
    struct bits *const b = &h->b;
    get_ue(b); // first macroblock
    h->kind = (enum slice_kind)(get_ue(b) % 5);
    h->pps = find_pps(s, get_ue(b));
    h->sps = h->pps ? find_sps(s, h->pps->sps) : NULL;
    if (!h->sps)
        return -E_CORRUPT;
    read_place(h);
    read_refs(h);
    if (h->refs[0] > REFS_MAX || h->refs[1] > REFS_MAX)
        return -E_CORRUPT;
    skip_reordering(h);
    if (is_weighted(h))
        skip_weight_table(h);
    if (h->reference)
        skip_marking(h);
    skip_coding(h);
    return b->bytes.bad ? -E_CORRUPT : 0;
}

int avc_slice_header(const struct avc_slices *s, const uint8_t *p, size_t n, size_t *bytes)
{
    uint8_t plain[HEADER_READ];
    const size_t got = unescape(plain, sizeof plain, p, n);
    if (got < 2)
        return -E_CORRUPT;
    struct header h = { .idr = (plain[0] & 31) == AVC_UNIT_IDR, .reference = plain[0] >> 5 & 3 };
    h.b.bytes = reader_of(plain + 1, got - 1);
    const int rc = walk(&h, s);
    if (rc == 0)
        *bytes = escaped(p, n, (size_t)(h.b.bytes.p - plain));
    return rc;
}
