// SPDX-License-Identifier: BSD-2-Clause

#include "codec/cenc.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/hash.h"
#include "codec/boxes.h"
#include "codec/cenc_layout.h"
#include "codec/fmp4.h"

#define CRYPT_BLOCKS 1 // of video: so many blocks are encrypted,
#define SKIP_BLOCKS 9  // and so many behind them are not
#define SAMPLES_MAX 100000
#define SENC_SUBSAMPLES 2u
#define TRUN_OFFSET_AT 16 // from the start of the box

// ---- init segment

static void put_tenc(struct buf *b, const struct encryption *e, bool video)
{
    const size_t at = full_open(b, "tenc", 1, 0);
    put_u8(b, 0);
    put_u8(b, video ? CRYPT_BLOCKS << 4 | SKIP_BLOCKS : 0);
    put_u8(b, 1); // protected
    put_u8(b, 0); // no vector of each sample, but
    buf_append(b, e->key_id.b, sizeof e->key_id.b);
    put_u8(b, sizeof e->iv.b);
    buf_append(b, e->iv.b, sizeof e->iv.b);
    box_close(b, at);
}

static void put_sinf(struct buf *b, const struct encryption *e, const char *coding, bool video)
{
    const size_t sinf = box_open(b, "sinf");
    const size_t frma = box_open(b, "frma");
    buf_append(b, coding, 4);
    box_close(b, frma);
    const size_t schm = full_open(b, "schm", 0, 0);
    buf_puts(b, "cbcs");
    put_be32(b, 0x10000);
    box_close(b, schm);
    const size_t schi = box_open(b, "schi");
    put_tenc(b, e, video);
    box_close(b, schi);
    box_close(b, sinf);
}

static void put_pssh(struct buf *b, const struct encryption *e)
{
    static const uint8_t common[16] = { 0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02,
                                        0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2, 0xfb, 0x4b };
    const size_t at = full_open(b, "pssh", 1, 0);
    buf_append(b, common, sizeof common);
    put_be32(b, 1);
    buf_append(b, e->key_id.b, sizeof e->key_id.b);
    put_be32(b, 0); // no data
    box_close(b, at);
}

static int put_entry(struct buf *out, const struct encryption *e, bool video, struct reader stsd)
{
    struct reader entry;
    buf_append(out, get_bytes(&stsd, 8), stsd.bad ? 0 : 8); // version, flags and count
    const char *const coding = next_box(&stsd, &entry);
    if (!coding)
        return -E_CORRUPT;
    const size_t at = box_open(out, video ? "encv" : "enca");
    buf_append(out, entry.p, reader_left(&entry));
    put_sinf(out, e, coding, video);
    box_close(out, at);
    return reader_left(&stsd) ? -E_CORRUPT : 0;
}

// Copies boxes; those on the way to the sample entry grow.
static int put_boxes(struct buf *out, const struct encryption *e, bool video, struct reader r,
                     const char *const *way)
{
    int rc = 0;
    while (rc == 0 && reader_left(&r) > 0) {
        const uint8_t *const begin = r.p;
        struct reader body;
        const char *const type = next_box(&r, &body);
        if (!type)
            return -E_CORRUPT;
        if (memcmp(type, *way, 4) != 0) {
            buf_append(out, begin, (size_t)(r.p - begin));
            continue;
        }
        const size_t at = box_open(out, *way);
        rc = way[1] ? put_boxes(out, e, video, body, way + 1) : put_entry(out, e, video, body);
        if (memcmp(type, "moov", 4) == 0)
            put_pssh(out, e);
        box_close(out, at);
    }
    return rc;
}

int cenc_init(struct buf *out, const struct encryption *e, const uint8_t *init, size_t n)
{
    static const char *const way[] = { "moov", "trak", "mdia", "minf", "stbl", "stsd", NULL };
    struct fmp4_track track;
    int rc = fmp4_read_init(init, n, &track);
    if (rc == 0)
        rc = put_boxes(out, e, track.video, reader_of(init, n), way);
    return rc < 0 ? rc : buf_error(out);
}

// ---- samples

// A media segment on the way.
struct segment {
    const struct encryption *e;
    struct buf *out;
    struct cipher *cipher;
    bool video;
    struct cenc_rules *rules; // of video
    struct fmp4_found *samples;
    int count, at;               // at: first of the fragment
    struct cenc_layout *layouts; // of the fragment's samples, of video
};

// One block in ten; the chain begins anew in each subsample and goes on over what is skipped.
static void hide_some(struct cipher *c, const uint8_t iv[CIPHER_BLOCK], uint8_t *p, size_t n)
{
    const size_t step = (CRYPT_BLOCKS + SKIP_BLOCKS) * CIPHER_BLOCK;
    cipher_restart(c, iv);
    for (size_t at = 0; at + CIPHER_BLOCK <= n; at += step)
        cipher_add(c, p + at, CIPHER_BLOCK, p + at);
}

static void hide_all(struct cipher *c, const uint8_t iv[CIPHER_BLOCK], uint8_t *p, size_t n)
{
    cipher_restart(c, iv);
    if (n >= CIPHER_BLOCK)
        cipher_add(c, p, n - n % CIPHER_BLOCK, p);
}

static void put_sample(const struct segment *s, int i)
{
    const struct fmp4_found *const f = &s->samples[s->at + i];
    uint8_t *p = buf_extend(s->out, f->s.size);
    if (!p)
        return;
    memcpy(p, f->data, f->s.size);
    if (!s->video) {
        hide_all(s->cipher, s->e->iv.b, p, f->s.size);
        return;
    }
    const struct cenc_layout *const l = &s->layouts[i];
    for (int k = 0; k < l->count; k++) {
        hide_some(s->cipher, s->e->iv.b, p + l->list[k].clear, l->list[k].hidden);
        p += l->list[k].clear + l->list[k].hidden;
    }
}

// ---- fragments

static void put_sizes(struct buf *b, const struct cenc_layout *l, int count)
{
    const size_t at = full_open(b, "saiz", 0, 0);
    put_u8(b, 0); // they differ
    put_be32(b, (uint32_t)count);
    for (int i = 0; i < count; i++)
        put_u8(b, (uint8_t)(2 + 6 * l[i].count));
    box_close(b, at);
}

// Where in the moof, which begins at moof, the first sample's layout stands.
static void put_place(struct buf *b, size_t moof)
{
    const size_t at = full_open(b, "saio", 0, 0);
    put_be32(b, 1);
    put_be32(b, (uint32_t)(b->len + 4 + 16 - moof)); // behind the head of senc
    box_close(b, at);
}

static void put_layouts(struct buf *b, const struct cenc_layout *l, int count)
{
    const size_t at = full_open(b, "senc", 0, SENC_SUBSAMPLES);
    put_be32(b, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        put_be16(b, (uint16_t)l[i].count);
        for (int k = 0; k < l[i].count; k++) {
            put_be16(b, (uint16_t)l[i].list[k].clear);
            put_be32(b, (uint32_t)l[i].list[k].hidden);
        }
    }
    box_close(b, at);
}

// Copies a traf, whose trun moves with it; returns where that one's data offset stands.
static size_t put_traf(const struct segment *s, struct reader traf, int count, size_t moof)
{
    struct buf *const b = s->out;
    const size_t at = box_open(b, "traf");
    size_t offset_at = 0;
    while (reader_left(&traf) > 0) {
        const uint8_t *const begin = traf.p;
        struct reader body;
        const char *const type = next_box(&traf, &body);
        if (!type)
            break;
        if (memcmp(type, "trun", 4) == 0)
            offset_at = b->len + TRUN_OFFSET_AT;
        buf_append(b, begin, (size_t)(traf.p - begin));
    }
    if (s->video) {
        put_sizes(b, s->layouts, count);
        put_place(b, moof);
        put_layouts(b, s->layouts, count);
    }
    box_close(b, at);
    return offset_at;
}

// fmp4_samples has seen that these are the boxes in it, in this order.
static void put_moof(const struct segment *s, struct reader body, int count)
{
    struct buf *const b = s->out;
    const size_t moof = box_open(b, "moof");
    const uint8_t *const begin = body.p;
    struct reader mfhd, traf;
    get_box(&body, "mfhd", &mfhd);
    buf_append(b, begin, (size_t)(body.p - begin));
    get_box(&body, "traf", &traf);
    const size_t offset_at = put_traf(s, traf, count, moof);
    box_close(b, moof);
    patch_be32(b, offset_at, (uint32_t)(b->len - moof + 8)); // behind the head of mdat
}

static int lay_out(const struct segment *s, int i, struct cenc_layout *l)
{
    const struct fmp4_found *const f = &s->samples[i];
    return cenc_lay_out(s->rules, f->data, f->s.size, l);
}

static int put_fragment(struct segment *s, struct reader moof, struct reader mdat)
{
    int count = 0, rc = 0;
    while (s->at + count < s->count && s->samples[s->at + count].data < mdat.end)
        count++;
    s->layouts = s->video ? xcalloc((size_t)count, sizeof *s->layouts) : NULL;
    for (int i = 0; s->video && i < count && rc == 0; i++)
        rc = lay_out(s, s->at + i, &s->layouts[i]);
    if (rc == 0) {
        put_moof(s, moof, count);
        const size_t at = box_open(s->out, "mdat");
        for (int i = 0; i < count; i++)
            put_sample(s, i);
        box_close(s->out, at);
    }
    free(s->layouts);
    s->at += count;
    return rc < 0 ? rc : buf_error(s->out);
}

static int put_fragments(struct segment *s, const uint8_t *bytes, size_t n)
{
    struct reader r = reader_of(bytes, n), body, mdat;
    int rc = 0;
    if (get_box(&r, "styp", &body))
        buf_append(s->out, bytes, (size_t)(r.p - bytes));
    while (rc == 0 && get_box(&r, "moof", &body) && get_box(&r, "mdat", &mdat))
        rc = put_fragment(s, body, mdat);
    return rc;
}

static int begin(struct segment *s, const uint8_t *init, size_t n)
{
    struct fmp4_track track;
    const int rc = fmp4_read_init(init, n, &track);
    s->video = rc == 0 && track.video;
    return s->video ? cenc_rules_create(&track, &s->rules) : rc;
}

int cenc_segment(struct buf *out, const struct encryption *e, const uint8_t *init, size_t init_size,
                 const uint8_t *bytes, size_t n)
{
    const size_t whole = fmp4_whole_fragments(bytes, n);
    struct segment *const s = xcalloc(1, sizeof *s);
    s->e = e;
    s->out = out;
    int rc = begin(s, init, init_size);
    if (rc == 0 && whole > 0)
        rc = fmp4_samples(bytes, whole, SAMPLES_MAX, &s->samples, &s->count);
    if (rc == 0 && whole > 0) {
        s->cipher = cipher_begin(e->key.b);
        rc = put_fragments(s, bytes, whole);
        cipher_end(s->cipher);
    }
    cenc_rules_destroy(s->rules);
    free(s->samples);
    free(s);
    return rc;
}
