// SPDX-License-Identifier: BSD-2-Clause

#include "codec/fmp4.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/fmp4_flags.h"

// Takes the next box off r, which must be of this type; its payload in *body.
static bool get_box(struct reader *r, const char *type, struct reader *body)
{
    const uint32_t size = get_be32(r);
    const uint8_t *name = get_bytes(r, 4);
    if (!name || memcmp(name, type, 4) != 0 || size < 8)
        return false;
    const uint8_t *p = get_bytes(r, size - 8);
    if (!p)
        return false;
    *body = reader_of(p, size - 8);
    return true;
}

static bool get_full_box(struct reader *r, const char *type, int version, uint32_t *flags,
                         struct reader *body)
{
    if (!get_box(r, type, body))
        return false;
    const uint32_t head = get_be32(body);
    *flags = head & 0xffffff;
    return !body->bad && (int)(head >> 24) == version;
}

// A fragment on the way through its boxes.
struct fragment {
    uint32_t sequence;
    uint32_t tfhd_flags, duration, flags; // tfhd and its defaults
    uint64_t start, total;                // tfdt; sum of durations
    int64_t first_shown;                  // smallest composition time from start
    uint32_t count, data_offset;
    uint64_t bytes;
    bool begins_sync;
};

static bool ended(const struct reader *r)
{
    return !r->bad && reader_left(r) == 0;
}

static bool read_tfhd(struct reader *traf, struct fragment *f)
{
    const uint32_t known = TFHD_DEFAULT_DURATION | TFHD_DEFAULT_FLAGS;
    struct reader r;
    if (!get_full_box(traf, "tfhd", 0, &f->tfhd_flags, &r) || get_be32(&r) != TRACK_ID)
        return false;
    if ((f->tfhd_flags & ~known) != TFHD_BASE_IS_MOOF)
        return false;
    f->duration = f->tfhd_flags & TFHD_DEFAULT_DURATION ? get_be32(&r) : 0;
    f->flags = f->tfhd_flags & TFHD_DEFAULT_FLAGS ? get_be32(&r) : 0;
    return ended(&r);
}

static bool read_tfdt(struct reader *traf, struct fragment *f)
{
    uint32_t flags;
    struct reader r;
    if (!get_full_box(traf, "tfdt", 1, &flags, &r))
        return false;
    f->start = get_be64(&r);
    return ended(&r) && f->start <= INT64_MAX;
}

// Sizes stand in the rows, the other fields there or in tfhd, but not in both.
static bool fields_known(uint32_t trun, uint32_t tfhd)
{
    const uint32_t must = TRUN_DATA_OFFSET | TRUN_SIZE;
    const uint32_t may = TRUN_FIRST_FLAGS | TRUN_DURATION | TRUN_FLAGS | TRUN_OFFSET;
    return (trun & must) == must && !(trun & ~(must | may)) &&
           !(trun & TRUN_DURATION) == !!(tfhd & TFHD_DEFAULT_DURATION) &&
           !(trun & TRUN_FLAGS) == !!(tfhd & TFHD_DEFAULT_FLAGS) &&
           !((trun & TRUN_FIRST_FLAGS) && (trun & TRUN_FLAGS));
}

static bool read_sample(struct reader *r, uint32_t trun, uint32_t first_flags, struct fragment *f,
                        uint32_t i)
{
    const uint32_t duration = trun & TRUN_DURATION ? get_be32(r) : f->duration;
    const uint32_t size = get_be32(r);
    const uint32_t own = trun & TRUN_FLAGS ? get_be32(r) : f->flags;
    const int32_t offset = trun & TRUN_OFFSET ? (int32_t)get_be32(r) : 0;
    const uint32_t flags = i == 0 && trun & TRUN_FIRST_FLAGS ? first_flags : own;
    if (r->bad || duration == 0 || size == 0 || (flags != SAMPLE_SYNC && flags != SAMPLE_OTHER))
        return false;
    const int64_t shown = (int64_t)f->total + offset; // a row of 4 bytes adds less than 2^32
    if (i == 0 || shown < f->first_shown)
        f->first_shown = shown;
    if (i == 0)
        f->begins_sync = !(flags & SAMPLE_NON_SYNC_BIT);
    f->total += duration;
    f->bytes += size;
    return true;
}

static bool read_trun(struct reader *traf, struct fragment *f)
{
    uint32_t flags;
    struct reader r;
    if (!get_full_box(traf, "trun", 1, &flags, &r) || !fields_known(flags, f->tfhd_flags))
        return false;
    f->count = get_be32(&r);
    f->data_offset = get_be32(&r);
    const uint32_t first_flags = flags & TRUN_FIRST_FLAGS ? get_be32(&r) : 0;
    if (r.bad || f->count == 0)
        return false;
    for (uint32_t i = 0; i < f->count; i++)
        if (!read_sample(&r, flags, first_flags, f, i))
            return false;
    return ended(&r);
}

static bool read_moof(struct reader *moof, struct fragment *f)
{
    uint32_t flags;
    struct reader mfhd, traf;
    if (!get_full_box(moof, "mfhd", 0, &flags, &mfhd))
        return false;
    f->sequence = get_be32(&mfhd);
    return ended(&mfhd) && get_box(moof, "traf", &traf) && ended(moof) && read_tfhd(&traf, f) &&
           read_tfdt(&traf, f) && read_trun(&traf, f) && ended(&traf);
}

static bool read_fragment(struct reader *r, struct fragment *f)
{
    *f = (struct fragment){ 0 };
    const uint8_t *begin = r->p;
    struct reader moof, mdat;
    if (!get_box(r, "moof", &moof) || !read_moof(&moof, f))
        return false;
    const size_t moof_size = (size_t)(r->p - begin);
    return f->data_offset == moof_size + 8 && get_box(r, "mdat", &mdat) &&
           reader_left(&mdat) == f->bytes;
}

int fmp4_check(const uint8_t *bytes, size_t n, struct fmp4_summary *out)
{
    *out = (struct fmp4_summary){ 0 };
    struct reader r = reader_of(bytes, n), styp;
    if (!get_box(&r, "styp", &styp) || reader_left(&styp) < 8)
        return -E_CORRUPT;
    struct fragment f = { 0 };
    do {
        const uint32_t before = f.sequence;
        if (!read_fragment(&r, &f) || f.sequence <= before)
            return -E_CORRUPT;
        if (out->fragments == 0) {
            // What a cut promises: the first picture shown is the one at the cut.
            if (f.first_shown != 0)
                return -E_CORRUPT;
            out->start = f.start;
            out->begins_sync = f.begins_sync;
        } else if (f.start - out->start != out->duration) {
            return -E_CORRUPT;
        }
        out->fragments++;
        out->samples += f.count;
        out->duration += f.total;
    } while (reader_left(&r) > 0);
    return 0;
}
