// SPDX-License-Identifier: BSD-2-Clause

#include "codec/hevc_sets.h"

#include "base/base.h"
#include "base/err.h"
#include "codec/nal.h"

#define SET_READ 8192 // of a set: what we want stands before that
#define CONFIG_HEAD 21
#define PROFILE_MAX 3 // Main, Main 10, Main Still Picture
#define LAYERS_MAX 7
#define SIDE_MAX 65536
#define TILES_MAX 64 // in a row or column

int hevc_bits_for(uint32_t n)
{
    int bits = 0;
    while (bits < 32 && (uint64_t)1 << bits < n)
        bits++;
    return bits;
}

static void skip_ues(struct bits *b, int n)
{
    while (n-- > 0)
        get_ue(b);
}

// ---- sets of reference pictures

static bool add_ref(struct hevc_refs *r, int32_t delta, bool used)
{
    if (r->count == HEVC_REFS_MAX)
        return false;
    r->delta[r->count] = delta;
    r->used[r->count++] = used;
    return true;
}

static bool read_listed(struct bits *b, struct hevc_refs *r)
{
    uint32_t counts[2];
    counts[0] = get_ue(b);
    counts[1] = get_ue(b);
    bool fits = counts[0] <= HEVC_REFS_MAX && counts[1] <= HEVC_REFS_MAX;
    for (int side = 0; side < 2; side++) {
        int32_t delta = 0;
        for (uint32_t i = 0; fits && i < counts[side]; i++) {
            const int32_t step = (int32_t)(get_ue(b) & 0x7fff) + 1;
            delta += side == 0 ? -step : step;
            fits = add_ref(r, delta, get_bit(b));
        }
        if (side == 0)
            r->before = r->count;
    }
    return fits;
}

// What the slice says of a picture of the set that this one is predicted from, or, behind them
// all, of the picture that the set belonged to.
struct carried {
    bool used, kept;
};

// (7-61), (7-62): what was before on one side may be on the other now.  Those that are further
// away on the other side come first, nearest last; then that picture itself; then those that
// stay.
static bool take_side(struct hevc_refs *r, const struct hevc_refs *from, int32_t shift,
                      const struct carried *c, int sign)
{
    const int low = sign < 0 ? from->before : 0, high = sign < 0 ? from->count : from->before;
    const int stay = sign < 0 ? 0 : from->before, end = sign < 0 ? from->before : from->count;
    bool fits = true;
    for (int j = high - 1; j >= low; j--)
        if ((from->delta[j] + shift) * sign > 0 && c[j].kept)
            fits = fits && add_ref(r, from->delta[j] + shift, c[j].used);
    if (shift * sign > 0 && c[from->count].kept)
        fits = fits && add_ref(r, shift, c[from->count].used);
    for (int j = stay; j < end; j++)
        if ((from->delta[j] + shift) * sign > 0 && c[j].kept)
            fits = fits && add_ref(r, from->delta[j] + shift, c[j].used);
    return fits;
}

static bool read_predicted(struct bits *b, struct hevc_sps *s, int i)
{
    struct carried c[HEVC_REFS_MAX + 1];
    const uint32_t back = i == s->refs_count ? get_ue(b) + 1 : 1;
    const bool negative = get_bit(b);
    const int32_t distance = (int32_t)(get_ue(b) & 0x7fff) + 1;
    if (back == 0 || back > (uint32_t)i)
        return false;
    const struct hevc_refs *const from = &s->refs[i - (int)back];
    for (int j = 0; j <= from->count; j++) {
        c[j].used = get_bit(b);
        c[j].kept = c[j].used || get_bit(b);
    }
    const int32_t shift = negative ? -distance : distance;
    struct hevc_refs *const r = &s->refs[i];
    const bool fits = take_side(r, from, shift, c, -1);
    r->before = r->count;
    return fits && take_side(r, from, shift, c, 1);
}

bool hevc_refs_read(struct bits *b, struct hevc_sps *s, int i)
{
    assert(i <= s->refs_count && i < HEVC_SHORT_MAX);
    s->refs[i] = (struct hevc_refs){ 0 };
    return i > 0 && get_bit(b) ? read_predicted(b, s, i) : read_listed(b, &s->refs[i]);
}

// ---- sequence parameter sets

// Returns the profile.
static int skip_profile(struct bits *b, int layers)
{
    bool profile[LAYERS_MAX] = { false }, level[LAYERS_MAX] = { false };
    get_bits(b, 3);
    const int idc = (int)get_bits(b, 5);
    skip_bits(b, 80);
    get_bits(b, 8);
    for (int i = 0; i < layers - 1; i++) {
        profile[i] = get_bit(b);
        level[i] = get_bit(b);
    }
    if (layers > 1)
        skip_bits(b, 2 * (9 - layers));
    for (int i = 0; i < layers - 1; i++)
        skip_bits(b, 88 * profile[i] + 8 * level[i]);
    return idc;
}

static void skip_scaling(struct bits *b)
{
    for (int size = 0; size < 4; size++)
        for (int matrix = 0; matrix < 6; matrix += size == 3 ? 3 : 1) {
            const int coefficients = 1 << (4 + 2 * size);
            if (get_bit(b))
                skip_ues(b, (size > 1) + (coefficients < 64 ? coefficients : 64));
            else
                get_ue(b);
        }
}

static int read_blocks(struct bits *b, struct hevc_sps *s, uint32_t width, uint32_t height)
{
    const uint32_t least = get_ue(b), more = get_ue(b);
    if (least > 3 || more > 3 || width == 0 || width > SIDE_MAX || height == 0 || height > SIDE_MAX)
        return -E_CORRUPT;
    const uint32_t side = 1u << (3 + least + more);
    s->address_bits = hevc_bits_for(((width + side - 1) / side) * ((height + side - 1) / side));
    skip_ues(b, 4);               // transforms
    if (get_bit(b) && get_bit(b)) // lists of scaling
        skip_scaling(b);
    return 0;
}

static void read_tools(struct bits *b, struct hevc_sps *s)
{
    get_bit(b); // asymmetric motion
    s->sao = get_bit(b);
    if (get_bit(b)) { // PCM
        get_bits(b, 8);
        skip_ues(b, 2);
        get_bit(b);
    }
}

static int read_references(struct bits *b, struct hevc_sps *s)
{
    const uint32_t count = get_ue(b);
    if (count >= HEVC_SHORT_MAX)
        return -E_CORRUPT;
    s->refs_count = (int)count;
    for (int i = 0; i < s->refs_count; i++)
        if (b->bytes.bad || !hevc_refs_read(b, s, i))
            return -E_CORRUPT;
    s->long_term = get_bit(b);
    const uint32_t longs = s->long_term ? get_ue(b) : 0;
    if (longs > HEVC_LONG_MAX)
        return -E_CORRUPT;
    for (s->long_count = 0; s->long_count < (int)longs; s->long_count++) {
        get_bits(b, s->order_bits);
        s->long_used[s->long_count] = get_bit(b);
    }
    s->temporal_vectors = get_bit(b);
    return 0;
}

static int read_sps(struct bits *b, struct hevc_sps *s)
{
    get_bits(b, 4); // id of the VPS
    const int layers = (int)get_bits(b, 3) + 1;
    get_bit(b);
    if (layers > LAYERS_MAX)
        return -E_CORRUPT;
    const int profile = skip_profile(b, layers);
    if (profile == 0 || profile > PROFILE_MAX)
        return -E_UNSUPPORTED;
    s->id = get_ue(b);
    s->chroma = get_ue(b);
    s->separate_planes = s->chroma == 3 && get_bit(b);
    if (s->separate_planes)
        s->chroma = 0;
    const uint32_t width = get_ue(b), height = get_ue(b);
    if (get_bit(b)) // a window of them
        skip_ues(b, 4);
    skip_ues(b, 2); // bit depths
    const uint32_t order = get_ue(b);
    if (order > 12)
        return -E_CORRUPT;
    s->order_bits = (int)order + 4;
    skip_ues(b, 3 * (get_bit(b) ? layers : 1)); // what is kept
    const int rc = read_blocks(b, s, width, height);
    if (rc < 0)
        return rc;
    read_tools(b, s);
    return read_references(b, s);
}

// ---- picture parameter sets

static int skip_tiles(struct bits *b)
{
    const uint32_t columns = get_ue(b), rows = get_ue(b);
    if (columns >= TILES_MAX || rows >= TILES_MAX)
        return -E_CORRUPT;
    if (!get_bit(b))
        skip_ues(b, (int)(columns + rows));
    get_bit(b);
    return 0;
}

static void read_filter(struct bits *b, struct hevc_pps *p)
{
    p->filter_across = get_bit(b);
    if (!get_bit(b))
        return;
    p->filter_override = get_bit(b);
    p->filter_off = get_bit(b);
    if (!p->filter_off)
        skip_ues(b, 2);
}

static int read_pps(struct bits *b, struct hevc_pps *p)
{
    p->id = get_ue(b);
    p->sps = get_ue(b);
    p->dependent = get_bit(b);
    p->output = get_bit(b);
    p->extra_bits = (int)get_bits(b, 3);
    get_bit(b); // signs hidden
    p->cabac_init = get_bit(b);
    for (int i = 0; i < 2; i++)
        p->refs[i] = get_ue(b) + 1;
    get_ue(b); // quantizer
    get_bits(b, 2);
    if (get_bit(b))
        get_ue(b);
    skip_ues(b, 2);
    p->chroma_offsets = get_bit(b);
    p->weighted = get_bit(b);
    p->weighted_bi = get_bit(b);
    get_bit(b); // lossless blocks
    p->tiles = get_bit(b);
    p->rows = get_bit(b);
    if (p->tiles && skip_tiles(b) < 0)
        return -E_CORRUPT;
    read_filter(b, p);
    if (get_bit(b))
        skip_scaling(b);
    p->reorders = get_bit(b);
    get_ue(b); // merging
    p->extended = get_bit(b);
    return 0;
}

// ---- hvcC

static int read_unit(struct hevc_sets *out, int type, const uint8_t *p, size_t n)
{
    uint8_t plain[SET_READ];
    const size_t got = unescape(plain, sizeof plain, p, n);
    struct bits b = { .bytes = reader_of(plain + 2, got > 2 ? got - 2 : 0) };
    int rc = 0;
    if (type == HEVC_UNIT_SPS)
        rc = out->sps_count == HEVC_SETS_MAX ? -E_UNSUPPORTED
                                             : read_sps(&b, &out->sps[out->sps_count++]);
    else if (type == HEVC_UNIT_PPS)
        rc = out->pps_count == HEVC_SETS_MAX ? -E_UNSUPPORTED
                                             : read_pps(&b, &out->pps[out->pps_count++]);
    return rc == 0 && b.bytes.bad ? -E_CORRUPT : rc;
}

static int read_array(struct hevc_sets *out, struct reader *r)
{
    const int type = get_u8(r) & 0x3f, count = get_be16(r);
    int rc = 0;
    for (int i = 0; rc == 0 && i < count; i++) {
        const size_t n = get_be16(r);
        const uint8_t *const p = get_bytes(r, n);
        const bool wanted = type == HEVC_UNIT_SPS || type == HEVC_UNIT_PPS;
        rc = !p ? -E_CORRUPT : wanted ? read_unit(out, type, p, n) : 0;
    }
    return rc;
}

int hevc_sets_read(struct hevc_sets *out, const uint8_t *config, size_t n)
{
    struct reader r = reader_of(config, n);
    int rc = 0;
    memset(out, 0, sizeof *out);
    get_bytes(&r, CONFIG_HEAD);
    out->length_size = (get_u8(&r) & 3) + 1;
    for (int arrays = get_u8(&r); rc == 0 && arrays > 0; arrays--)
        rc = read_array(out, &r);
    if (rc == 0 && (r.bad || out->sps_count == 0 || out->pps_count == 0 || out->length_size == 3))
        rc = -E_CORRUPT;
    return rc;
}
