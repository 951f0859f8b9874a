// SPDX-License-Identifier: BSD-2-Clause
//
// Takes what fmp4.c writes and little else.  The bytes may come from a lower tier.

#include "codec/fmp4.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/boxes.h"
#include "codec/fmp4_flags.h"

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
    uint32_t trun_flags, first_flags;
    struct reader rows;  // of trun
    const uint8_t *data; // of the first sample
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

// Row i of a trun, with what tfhd says of all.
static struct fmp4_sample get_row(struct reader *r, const struct fragment *f, uint32_t i,
                                  uint32_t *flags)
{
    struct fmp4_sample s;
    s.duration = f->trun_flags & TRUN_DURATION ? get_be32(r) : f->duration;
    s.size = get_be32(r);
    const uint32_t own = f->trun_flags & TRUN_FLAGS ? get_be32(r) : f->flags;
    s.offset = f->trun_flags & TRUN_OFFSET ? (int32_t)get_be32(r) : 0;
    *flags = i == 0 && f->trun_flags & TRUN_FIRST_FLAGS ? f->first_flags : own;
    s.sync = !(*flags & SAMPLE_NON_SYNC_BIT);
    return s;
}

static bool read_sample(struct reader *r, struct fragment *f, uint32_t i)
{
    uint32_t flags;
    const struct fmp4_sample s = get_row(r, f, i, &flags);
    if (r->bad || s.duration == 0 || s.size == 0 || (flags != SAMPLE_SYNC && flags != SAMPLE_OTHER))
        return false;
    const int64_t shown = (int64_t)f->total + s.offset; // a row of 4 bytes adds less than 2^32
    if (i == 0 || shown < f->first_shown)
        f->first_shown = shown;
    if (i == 0)
        f->begins_sync = s.sync;
    f->total += s.duration;
    f->bytes += s.size;
    return true;
}

static bool read_trun(struct reader *traf, struct fragment *f)
{
    struct reader r;
    if (!get_full_box(traf, "trun", 1, &f->trun_flags, &r) ||
        !fields_known(f->trun_flags, f->tfhd_flags))
        return false;
    f->count = get_be32(&r);
    f->data_offset = get_be32(&r);
    f->first_flags = f->trun_flags & TRUN_FIRST_FLAGS ? get_be32(&r) : 0;
    f->rows = r;
    if (r.bad || f->count == 0)
        return false;
    for (uint32_t i = 0; i < f->count; i++)
        if (!read_sample(&r, f, i))
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
    if (f->data_offset != moof_size + 8 || !get_box(r, "mdat", &mdat))
        return false;
    f->data = mdat.p;
    return reader_left(&mdat) == f->bytes;
}

// ---- media segments

// Where samples are collected; may be NULL.
struct collected {
    struct fmp4_found *samples;
    int count, cap, max;
};

static bool collect(struct collected *c, const struct fragment *f)
{
    struct reader rows = f->rows;
    uint32_t flags;
    uint64_t time = f->start;
    const uint8_t *data = f->data;
    if (f->count > (uint32_t)(c->max - c->count))
        return false;
    if (c->count + (int)f->count > c->cap) {
        c->cap = 2 * c->cap + (int)f->count;
        c->samples = xrealloc(c->samples, (size_t)c->cap * sizeof *c->samples);
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const struct fmp4_sample s = get_row(&rows, f, i, &flags);
        c->samples[c->count++] = (struct fmp4_found){ s, time, data };
        time += s.duration;
        data += s.size;
    }
    return true;
}

static int walk(const uint8_t *bytes, size_t n, struct fmp4_summary *out, struct collected *into)
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
        if (into && !collect(into, &f))
            return -E_LIMITS;
        out->fragments++;
        out->samples += f.count;
        out->duration += f.total;
    } while (reader_left(&r) > 0);
    return 0;
}

int fmp4_check(const uint8_t *bytes, size_t n, struct fmp4_summary *out)
{
    return walk(bytes, n, out, NULL);
}

int fmp4_samples(const uint8_t *bytes, size_t n, int max, struct fmp4_found **out, int *count)
{
    struct fmp4_summary summary;
    struct collected c = { .max = max };
    const int rc = walk(bytes, n, &summary, &c);
    if (rc < 0) {
        free(c.samples);
        c = (struct collected){ 0 };
    }
    *out = c.samples;
    *count = c.count;
    return rc;
}

size_t fmp4_whole_fragments(const uint8_t *bytes, size_t n)
{
    struct reader r = reader_of(bytes, n), body;
    size_t whole = 0;
    if (!get_box(&r, "styp", &body))
        return 0;
    while (get_box(&r, "moof", &body) && get_box(&r, "mdat", &body))
        whole = (size_t)(r.p - bytes);
    return whole;
}

// ---- init segments

// Skips boxes up to the one of this type.
static bool find_box(struct reader *r, const char *type, struct reader *body)
{
    while (!r->bad && reader_left(r) >= 8) {
        struct reader next = *r;
        const uint32_t size = get_be32(&next);
        if (memcmp(next.p, type, 4) == 0)
            return get_box(r, type, body);
        if (size < 8 || !get_bytes(r, size))
            break;
    }
    return false;
}

static bool find_path(struct reader r, const char *const *path, struct reader *body)
{
    for (; *path; path++) {
        if (!find_box(&r, *path, body))
            return false;
        r = *body;
    }
    return true;
}

// A descriptor of this tag, its size in the four-byte form; its body.
static bool get_descriptor(struct reader *r, uint8_t tag, struct reader *body)
{
    size_t n = 0;
    if (get_u8(r) != tag)
        return false;
    for (int i = 0; i < 4; i++)
        n = n << 7 | (get_u8(r) & 0x7f);
    const uint8_t *const p = get_bytes(r, n);
    if (p)
        *body = reader_of(p, n);
    return p != NULL;
}

static bool take_config(struct fmp4_track *t, const struct reader *r)
{
    t->config = r->p;
    t->config_size = reader_left(r);
    return !r->bad && t->config_size > 0 && t->config_size <= MEDIA_EXTRADATA_MAX;
}

static bool read_visual(struct reader *entry, const char *config_box, struct fmp4_track *t)
{
    struct reader config;
    get_bytes(entry, 24);
    t->width = get_be16(entry);
    t->height = get_be16(entry);
    get_bytes(entry, 50);
    t->video = true;
    return find_box(entry, config_box, &config) && take_config(t, &config);
}

static void read_sound(struct reader *entry, struct fmp4_track *t)
{
    get_bytes(entry, 16);
    t->channels = get_be16(entry);
    get_bytes(entry, 6);
    t->sample_rate = (int)(get_be32(entry) >> 16);
}

static bool read_opus(struct reader *entry, struct fmp4_track *t)
{
    struct reader dops;
    read_sound(entry, t);
    t->coding = FMP4_OPUS;
    return find_box(entry, "dOps", &dops) && take_config(t, &dops);
}

static bool read_mp4a(struct reader *entry, struct fmp4_track *t)
{
    uint32_t flags;
    struct reader esds, es, decoder, config;
    read_sound(entry, t);
    t->coding = FMP4_AAC;
    if (!get_full_box(entry, "esds", 0, &flags, &esds) || !get_descriptor(&esds, 3, &es))
        return false;
    get_bytes(&es, 3);
    if (!get_descriptor(&es, 4, &decoder) || get_u8(&decoder) != 0x40)
        return false;
    get_bytes(&decoder, 12);
    return get_descriptor(&decoder, 5, &config) && take_config(t, &config);
}

static bool read_entry(struct reader stsd, struct fmp4_track *t)
{
    struct reader entry;
    get_be32(&stsd); // version and flags
    if (get_be32(&stsd) != 1)
        return false;
    const char *const type = next_box(&stsd, &entry);
    if (!type)
        return false;
    for (int i = 0; i < FMP4_CODINGS; i++)
        if (memcmp(type, fmp4_boxes[i].entry, 4) == 0) {
            t->coding = (enum fmp4_coding)i;
            return read_visual(&entry, fmp4_boxes[i].config, t);
        }
    if (memcmp(type, "Opus", 4) == 0)
        return read_opus(&entry, t);
    return memcmp(type, "mp4a", 4) == 0 && read_mp4a(&entry, t);
}

int fmp4_read_init(const uint8_t *bytes, size_t n, struct fmp4_track *out)
{
    static const char *const to_mdhd[] = { "moov", "trak", "mdia", "mdhd", NULL };
    static const char *const to_stsd[] = { "moov", "trak", "mdia", "minf", "stbl", "stsd", NULL };
    const struct reader r = reader_of(bytes, n);
    struct reader mdhd, stsd;
    *out = (struct fmp4_track){ 0 };
    if (!find_path(r, to_mdhd, &mdhd) || !find_path(r, to_stsd, &stsd))
        return -E_CORRUPT;
    get_bytes(&mdhd, 12); // version 0, as we write it
    out->timescale = get_be32(&mdhd);
    return read_entry(stsd, out) && out->timescale > 0 ? 0 : -E_CORRUPT;
}
