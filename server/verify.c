// SPDX-License-Identifier: BSD-2-Clause

#include "server/verify.h"

#include "codec/cues.h"
#include "codec/fmp4.h"
#include "codec/jpeg.h"
#include "codec/plan.h"
#include "codec/ts.h"
#include "server/route.h"

bool verify_index(const uint8_t *bytes, size_t n, int64_t source_size)
{
    struct media *media = NULL;
    const bool ok = media_unpack(bytes, n, &media) == 0 && media->size == source_size;
    media_destroy(media);
    return ok;
}

bool verify_stored(const struct route *r, const uint8_t *bytes, size_t n)
{
    struct fmp4_summary summary;
    int width, height;
    if (r->kind != ROUTE_SEGMENT)
        return n > 0;
    switch (r->format) {
    case FORMAT_VTT:
        return cues_check(bytes, n);
    case FORMAT_JPG:
        return jpeg_check(bytes, n, &width, &height) == 0;
    case FORMAT_TS:
        return ts_check(bytes, n, r->n);
    default:
        return fmp4_check(bytes, n, &summary) == 0;
    }
}

static bool verify_sheet(const struct rendition *r, const uint8_t *bytes, size_t n)
{
    int width, height;
    return jpeg_check(bytes, n, &width, &height) == 0 && width == r->s.columns * r->s.width &&
           height == r->s.rows * r->s.height;
}

bool verify_segment(const struct plan *p, const struct rendition *r, int k, const uint8_t *bytes,
                    size_t n)
{
    struct fmp4_summary got;
    if (r->kind == RENDITION_TEXT)
        return cues_check(bytes, n);
    if (plan_is_sheets(r))
        return verify_sheet(r, bytes, n);
    if (fmp4_check(bytes, n, &got) < 0 || !got.begins_sync)
        return false;
    const int64_t start = plan_segment_start(p, r, k), end = plan_segment_start(p, r, k + 1);
    if (got.start != (uint64_t)start)
        return false;
    // A source's own pictures may last as long as they like.
    return r->kind == RENDITION_SOURCE ? got.duration == (uint64_t)(end - start)
                                       : got.samples == plan_segment_samples(p, r, k);
}

bool verify_bandwidth(int64_t bandwidth, int64_t us, size_t n)
{
    return us == 0 || muldiv_ceil((int64_t)n * 8, 1000000, us) <= bandwidth;
}
