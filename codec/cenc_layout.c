// SPDX-License-Identifier: BSD-2-Clause

#include "codec/cenc_layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "codec/av1_frame.h"
#include "codec/avc_slice.h"
#include "codec/hevc_slice.h"

#define RANGES_MAX 600 // slices of a picture of the largest level; what is more stays clear

// Bytes that may be encrypted.
struct range {
    size_t at, n;
};

struct cenc_rules {
    enum fmp4_coding coding;
    int length_size; // of a NAL unit
    union {
        struct avc_slices avc;
        struct hevc_sets hevc;
        struct av1_frames av1;
    };
    // of the sample
    const uint8_t *sample;
    struct range ranges[RANGES_MAX];
    int count;
};

// ---- what may be encrypted

static void add_range(struct cenc_rules *r, const uint8_t *p, size_t n)
{
    if (n > 0 && r->count < RANGES_MAX)
        r->ranges[r->count++] = (struct range){ (size_t)(p - r->sample), n };
}

static int slice_header(struct cenc_rules *r, const uint8_t *unit, size_t n, size_t *header)
{
    const int avc_type = unit[0] & 31;
    *header = n;
    if (r->coding == FMP4_HEVC)
        return hevc_is_slice(unit[0]) ? hevc_slice_header(&r->hevc, unit, n, header) : 0;
    return avc_type == 1 || avc_type == 5 ? avc_slice_header(&r->avc, unit, n, header) : 0;
}

static int find_slices(struct cenc_rules *r, const uint8_t *p, size_t n)
{
    struct reader in = reader_of(p, n);
    while (reader_left(&in) > 0) {
        const size_t size = (size_t)get_be(&in, r->length_size);
        const uint8_t *const unit = get_bytes(&in, size);
        size_t header;
        if (!unit || size == 0 || slice_header(r, unit, size, &header) < 0)
            return -E_CORRUPT;
        add_range(r, unit + header, size - header);
    }
    return 0;
}

static int add_tile(void *arg, const uint8_t *p, size_t n)
{
    add_range(arg, p, n - n % CIPHER_BLOCK);
    return 0;
}

// ---- layouts

// The rest of what is clear goes with what is hidden.
static int add(struct cenc_layout *l, size_t clear, size_t hidden)
{
    for (;;) {
        const size_t now = clear < CENC_CLEAR_MAX ? clear : CENC_CLEAR_MAX;
        if (l->count == CENC_SUBSAMPLES)
            return -E_LIMITS;
        clear -= now;
        l->list[l->count++] = (struct cenc_subsample){ now, clear ? 0 : hidden };
        if (clear == 0)
            return 0;
    }
}

static size_t entries(size_t clear)
{
    return (clear + CENC_CLEAR_MAX - 1) / CENC_CLEAR_MAX;
}

// Whether a layout that holds this range has room for what is behind it, if that is clear.
static bool leaves_room(const struct cenc_layout *l, size_t clear, size_t rest)
{
    const size_t own = clear ? entries(clear) : 1;
    return (size_t)l->count + own + entries(rest) <= CENC_SUBSAMPLES;
}

// All of them, or those that there is room for.
static int put_ranges(const struct cenc_rules *r, size_t n, bool all, struct cenc_layout *l)
{
    size_t end = 0;
    int rc = 0;
    l->count = 0;
    for (int i = 0; rc == 0 && i < r->count; i++) {
        const struct range *const g = &r->ranges[i];
        if (!all && !leaves_room(l, g->at - end, n - g->at - g->n))
            continue;
        rc = add(l, g->at - end, g->n);
        end = g->at + g->n;
    }
    return rc == 0 && end < n ? add(l, n - end, 0) : rc;
}

int cenc_lay_out(struct cenc_rules *r, const uint8_t *p, size_t n, struct cenc_layout *out)
{
    r->sample = p;
    r->count = 0;
    int rc = r->coding == FMP4_AV1 ? av1_tiles(&r->av1, p, n, add_tile, r) : find_slices(r, p, n);
    if (rc == 0)
        rc = put_ranges(r, n, true, out);
    return rc == -E_LIMITS ? put_ranges(r, n, false, out) : rc;
}

// ---- life

static int read_headers(struct cenc_rules *r, const struct fmp4_track *t)
{
    struct avc_sets sets;
    if (t->coding == FMP4_AV1)
        return av1_frames_begin(&r->av1, t->config, t->config_size);
    if (t->coding == FMP4_HEVC) {
        const int rc = hevc_sets_read(&r->hevc, t->config, t->config_size);
        r->length_size = r->hevc.length_size;
        return rc;
    }
    const int rc = avc_read_sets(&sets, t->config, t->config_size);
    r->length_size = sets.length_size;
    return rc < 0 ? rc : avc_slices_read(&r->avc, &sets);
}

int cenc_rules_create(const struct fmp4_track *t, struct cenc_rules **out)
{
    struct cenc_rules *const r = xcalloc(1, sizeof *r);
    r->coding = t->coding;
    const int rc = read_headers(r, t);
    *out = rc == 0 ? r : NULL;
    if (rc < 0)
        cenc_rules_destroy(r);
    return rc;
}

void cenc_rules_destroy(struct cenc_rules *r)
{
    free(r);
}
