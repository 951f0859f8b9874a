// SPDX-License-Identifier: BSD-2-Clause
//
// The packed form of an index:
//
//   "TMix", u8 version, head, and in a whole index the video's pieces and the table of
//   its samples, those of the audio, and the tables of the texts.
//
// A table is chunks of about a minute; a chunk is v count, v bytes, and then that
// many bytes: the samples, told by what is not as expected.  Each chunk starts
// afresh, so it can be read alone.  A sample takes two bytes or more, and
// memory is asked for only when the bytes that fill it are there.
//
// The version changes with this form and with the rules of media_finish and
// grid_fps: the unpacker computes the grid again and insists on the same result.
// Checksums are the business of the tiers.

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/media.h"

#define VERSION 9
#define CHUNK_SECONDS 60

static const char magic[] = "TMix";

// ---- packing

static void put_text(struct buf *b, const char *s)
{
    put_v(b, strlen(s));
    buf_puts(b, s);
}

static void put_strip(struct buf *b, const struct strip *s)
{
    put_v(b, (uint64_t)s->n);
    buf_append(b, s->bytes, (size_t)s->n);
}

static void put_headers(struct buf *b, const uint8_t *bytes, int size)
{
    put_v(b, (uint64_t)size);
    buf_append(b, bytes, (size_t)size);
}

static void put_coded(struct buf *b, const uint8_t *extradata, int size, const struct strip *s)
{
    put_headers(b, extradata, size);
    put_strip(b, s);
}

static void put_palette(struct buf *b, const uint8_t *palette)
{
    put_v(b, palette != NULL);
    buf_append(b, palette, palette ? MEDIA_PALETTE : 0);
}

static void put_tags(struct buf *b, const struct tags *t)
{
    put_text(b, t->language);
    put_text(b, t->title);
    put_v(b, t->flags);
}

void mastering_pack(const struct mastering *m, struct buf *out)
{
    for (size_t i = 0; i < countof(m->display); i++)
        put_v(out, m->display[i]);
    for (size_t i = 0; i < countof(m->light); i++)
        put_v(out, m->light[i]);
}

static void put_video(struct buf *b, const struct video_track *v)
{
    const int64_t fields[] = {
        v->timescale,
        v->coded_width,
        v->coded_height,
        v->sar_num,
        v->sar_den,
        v->rotate,
        v->mirror,
        v->bit_depth,
        v->colour.primaries,
        v->colour.transfer,
        v->colour.matrix,
        v->colour.full_range,
        v->peak_nits,
        v->fields,
        v->reorder,
        v->end,
        v->bytes,
        v->sample_count,
        v->shown_count,
        v->tag,
        v->bits_per_sample,
        v->sight,
    };
    for (size_t i = 0; i < countof(fields); i++)
        put_v(b, (uint64_t)fields[i]);
    mastering_pack(&v->mastering, b);
    put_palette(b, v->palette);
    put_coded(b, v->extradata, v->extradata_size, &v->strip);
    put_v(b, (uint64_t)v->more_headers_count);
    for (int i = 0; i < v->more_headers_count; i++)
        put_headers(b, v->more_headers[i].bytes, v->more_headers[i].size);
    carriage_pack(&v->carriage, b);
}

static void put_audio(struct buf *b, const struct audio_track *a)
{
    put_v(b, (uint64_t)a->sample_rate);
    put_v(b, (uint64_t)a->channels);
    put_tags(b, &a->tags);
    put_v(b, (uint64_t)a->block_align);
    put_v(b, (uint64_t)a->bits_per_sample);
    put_v(b, (uint64_t)a->bit_rate);
    put_v(b, (uint64_t)a->bytes);
    put_v(b, (uint64_t)a->sample_count);
    put_coded(b, a->extradata, a->extradata_size, &a->strip);
    carriage_pack(&a->carriage, b);
}

static void put_texts(struct buf *b, const struct media *m)
{
    put_v(b, (uint64_t)m->text_count);
    for (int i = 0; i < m->text_count; i++) {
        const struct text_track *t = &m->texts[i];
        put_v(b, t->format);
        put_tags(b, &t->tags);
        put_strip(b, &t->strip);
        put_v(b, t->strip.deflated);
        put_v(b, (uint64_t)t->sample_count);
    }
}

int media_pack_head(const struct media *m, struct buf *out)
{
    buf_puts(out, magic);
    put_u8(out, VERSION);
    put_v(out, m->container);
    put_v(out, m->reach);
    put_v(out, (uint64_t)m->size);
    put_v(out, (uint64_t)m->fps.num);
    put_v(out, (uint64_t)m->fps.den);
    put_v(out, (uint64_t)m->frames);
    put_v(out, m->constant_rate);
    // By name: the numbers are only an order in codecs.def.
    put_text(out, codec_name(m->video.codec));
    if (media_has_video(m))
        put_video(out, &m->video);
    put_v(out, (uint64_t)media_audio_count(m));
    for (int i = 0; i < media_audio_count(m); i++) {
        put_text(out, codec_name(media_audio(m, i)->codec));
        put_audio(out, media_audio(m, i));
    }
    put_texts(out, m);
    return buf_error(out);
}

// What is expected of the next sample.
struct expected {
    int64_t offset, pts;
    uint32_t duration;
};

static struct expected expect_after(const struct sample *s)
{
    return (struct expected){ s->offset + s->size, s->pts + s->duration, s->duration };
}

// The size with three bits: sync, not where expected, another duration.  headers: tracks with more
// than one tell of each which it has.
static void put_sample(struct buf *b, const struct sample *s, const struct expected *e,
                       bool headers)
{
    const bool moved = s->offset != e->offset, other = s->duration != e->duration;
    put_v(b, (uint64_t)s->size << 3 | (uint64_t)s->sync << 2 | (uint64_t)moved << 1 | other);
    put_z(b, s->pts - e->pts);
    if (moved)
        put_z(b, s->offset - e->offset);
    if (other)
        put_v(b, s->duration);
    if (headers)
        put_v(b, s->headers);
}

static int chunk_length(const struct sample *s, int n, int64_t timescale)
{
    const int64_t minute = CHUNK_SECONDS * timescale;
    int i = 1;
    while (i < n && s[i].pts - s[0].pts < minute)
        i++;
    return i;
}

static void put_table(struct buf *out, const struct carriage *c, const struct sample *s, int n,
                      int64_t timescale, bool headers)
{
    carriage_pack_pieces(c, out);
    struct buf chunk;
    buf_init(&chunk, out->max);
    while (n > 0 && !out->failed) {
        struct expected e = { 0, 0, 0 };
        const int count = chunk_length(s, n, timescale);
        for (int i = 0; i < count; i++) {
            put_sample(&chunk, &s[i], &e, headers);
            e = expect_after(&s[i]);
        }
        put_v(out, (uint64_t)count);
        put_v(out, chunk.len);
        buf_append(out, chunk.data, chunk.len);
        if (chunk.failed)
            out->failed = true;
        buf_clear(&chunk);
        s += count;
        n -= count;
    }
    buf_finish(&chunk);
}

int media_pack(const struct media *m, struct buf *out)
{
    media_pack_head(m, out);
    if (media_has_video(m))
        put_table(out, &m->video.carriage, m->video.samples, m->video.sample_count,
                  m->video.timescale, m->video.more_headers_count > 0);
    for (int i = 0; i < media_audio_count(m); i++) {
        const struct audio_track *a = media_audio(m, i);
        put_table(out, &a->carriage, a->samples, a->sample_count, a->sample_rate, false);
    }
    const struct carriage whole = { 0 };
    for (int i = 0; i < m->text_count; i++)
        put_table(out, &whole, m->texts[i].samples, m->texts[i].sample_count, MEDIA_TEXT_RATE,
                  false);
    return buf_error(out);
}

// ---- unpacking: ranges that keep the reading itself safe; the rules come after

static int64_t get_up_to(struct reader *r, int64_t max)
{
    const uint64_t v = get_v(r);
    if (v <= (uint64_t)max)
        return (int64_t)v;
    r->bad = true;
    return 0;
}

static int get_int(struct reader *r)
{
    return (int)get_up_to(r, INT32_MAX);
}

static bool get_bool(struct reader *r)
{
    return get_up_to(r, 1);
}

static enum codec_id get_codec(struct reader *r)
{
    const size_t n = (size_t)get_int(r);
    const uint8_t *name = get_bytes(r, n);
    for (int id = CODEC_NONE; name && id < CODEC_COUNT; id++)
        if (strlen(codec_name(id)) == n && memcmp(codec_name(id), name, n) == 0)
            return id;
    r->bad = true;
    return CODEC_NONE;
}

// A text of less than cap bytes.
static void get_text(struct reader *r, char *out, size_t cap)
{
    const size_t n = (size_t)get_up_to(r, (int64_t)cap - 1);
    const uint8_t *p = get_bytes(r, n);
    if (p)
        memcpy(out, p, n);
}

static void get_tags(struct reader *r, struct tags *t)
{
    get_text(r, t->language, sizeof t->language);
    get_text(r, t->title, sizeof t->title);
    t->flags = (unsigned)get_up_to(r, TAGS);
}

static void get_strip(struct reader *r, struct strip *s)
{
    const int n = (int)get_up_to(r, MEDIA_STRIP_MAX);
    const uint8_t *p = get_bytes(r, (size_t)n);
    if (p) {
        memcpy(s->bytes, p, (size_t)n);
        s->n = n;
    }
}

static void get_headers(struct reader *r, uint8_t **bytes, int *size)
{
    const int n = (int)get_up_to(r, MEDIA_EXTRADATA_MAX);
    const uint8_t *p = get_bytes(r, (size_t)n);
    if (p && n > 0) {
        *bytes = memcpy(xmalloc((size_t)n), p, (size_t)n);
        *size = n;
    }
}

static void get_coded(struct reader *r, uint8_t **extradata, int *size, struct strip *s)
{
    get_headers(r, extradata, size);
    get_strip(r, s);
}

static void get_more_headers(struct reader *r, struct video_track *v)
{
    const int count = (int)get_up_to(r, MEDIA_HEADERS);
    while (v->more_headers_count < count && !r->bad) {
        struct headers *h = &v->more_headers[v->more_headers_count++];
        get_headers(r, &h->bytes, &h->size);
        r->bad |= h->size == 0;
    }
}

static void get_palette(struct reader *r, uint8_t **out)
{
    const uint8_t *p = get_bool(r) ? get_bytes(r, MEDIA_PALETTE) : NULL;
    if (p)
        *out = memcpy(xmalloc(MEDIA_PALETTE), p, MEDIA_PALETTE);
}

void mastering_unpack(struct reader *r, struct mastering *m)
{
    for (size_t i = 0; i < countof(m->display); i++)
        m->display[i] = (uint32_t)get_up_to(r, UINT32_MAX);
    for (size_t i = 0; i < countof(m->light); i++)
        m->light[i] = (uint32_t)get_up_to(r, UINT32_MAX);
}

static void get_video(struct reader *r, struct video_track *v)
{
    v->timescale = get_int(r);
    v->coded_width = get_int(r);
    v->coded_height = get_int(r);
    v->sar_num = get_int(r);
    v->sar_den = get_int(r);
    v->rotate = get_int(r);
    v->mirror = get_bool(r);
    v->bit_depth = get_int(r);
    v->colour.primaries = get_int(r);
    v->colour.transfer = get_int(r);
    v->colour.matrix = get_int(r);
    v->colour.full_range = get_bool(r);
    v->peak_nits = get_int(r);
    v->fields = (enum field_order)get_up_to(r, FIELDS_COUNT - 1);
    v->reorder = get_int(r);
    v->end = get_up_to(r, INT64_MAX);
    v->bytes = get_up_to(r, INT64_MAX);
    v->sample_count = get_int(r);
    v->shown_count = get_int(r);
    v->tag = (uint32_t)get_up_to(r, UINT32_MAX);
    v->bits_per_sample = get_int(r);
    v->sight = (enum sight)get_up_to(r, SIGHTS - 1);
    mastering_unpack(r, &v->mastering);
    get_palette(r, &v->palette);
    get_coded(r, &v->extradata, &v->extradata_size, &v->strip);
    get_more_headers(r, v);
    carriage_unpack(r, &v->carriage);
}

static void get_audio(struct reader *r, struct audio_track *a)
{
    a->sample_rate = get_int(r);
    a->channels = get_int(r);
    get_tags(r, &a->tags);
    a->block_align = get_int(r);
    a->bits_per_sample = get_int(r);
    a->bit_rate = get_up_to(r, INT32_MAX);
    a->bytes = get_up_to(r, INT64_MAX);
    a->sample_count = get_int(r);
    get_coded(r, &a->extradata, &a->extradata_size, &a->strip);
    carriage_unpack(r, &a->carriage);
}

static void get_audios(struct reader *r, struct media *m)
{
    const int count = (int)get_up_to(r, MEDIA_AUDIOS);
    for (int i = 0; i < count && !r->bad; i++) {
        struct audio_track *a = i == 0 ? &m->audio : &m->more_audio[m->more_audio_count++];
        a->codec = get_codec(r);
        get_audio(r, a);
        if (a->codec == CODEC_NONE)
            r->bad = true;
    }
}

static void get_texts(struct reader *r, struct media *m)
{
    m->text_count = (int)get_up_to(r, MEDIA_TEXTS);
    for (int i = 0; i < m->text_count && !r->bad; i++) {
        struct text_track *t = &m->texts[i];
        t->format = (enum text_format)get_up_to(r, TEXT_FORMATS - 1);
        get_tags(r, &t->tags);
        get_strip(r, &t->strip);
        t->strip.deflated = get_bool(r);
        t->sample_count = get_int(r);
    }
}

static void get_head(struct reader *r, struct media *m)
{
    const uint8_t *start = get_bytes(r, sizeof magic - 1);
    if (!start || memcmp(start, magic, sizeof magic - 1) != 0 || get_u8(r) != VERSION) {
        r->bad = true;
        return;
    }
    m->container = (enum container)get_up_to(r, CONTAINER_COUNT - 1);
    m->reach = (enum reach)get_up_to(r, MEDIA_REACHES - 1);
    m->size = get_up_to(r, MEDIA_SIZE_MAX);
    m->fps.num = get_int(r);
    m->fps.den = get_int(r);
    m->frames = get_up_to(r, INT64_MAX);
    m->constant_rate = get_bool(r);
    m->video.codec = get_codec(r);
    if (media_has_video(m))
        get_video(r, &m->video);
    get_audios(r, m);
    get_texts(r, m);
}

static struct media *unpack_head(struct reader *r)
{
    struct media *m = media_create();
    get_head(r, m);
    if (!r->bad && media_check_head(m) == 0)
        return m;
    media_destroy(m);
    return NULL;
}

int media_unpack_head(const uint8_t *bytes, size_t n, struct media **out)
{
    struct reader r = reader_of(bytes, n);
    struct media *m = unpack_head(&r);
    if (!m)
        return -E_CORRUPT;
    *out = m;
    return 0;
}

static int64_t get_moved(struct reader *r, int64_t from)
{
    int64_t to;
    if (__builtin_add_overflow(from, get_z(r), &to) || to > INT64_MAX / 4 || to < INT64_MIN / 4)
        r->bad = true;
    return r->bad ? 0 : to;
}

static void get_sample(struct reader *r, struct sample *s, const struct expected *e, int headers)
{
    const uint64_t word = get_v(r);
    if (word >> 3 > UINT32_MAX)
        r->bad = true;
    s->size = (uint32_t)(word >> 3);
    s->sync = word & 4;
    s->pts = get_moved(r, e->pts);
    s->offset = word & 2 ? get_moved(r, e->offset) : e->offset;
    s->duration = word & 1 ? (uint32_t)get_up_to(r, UINT32_MAX) : e->duration;
    s->headers = headers ? (uint8_t)get_up_to(r, headers) : 0;
}

// One chunk, of at most max samples; how many, 0 when it is malformed.
static int get_chunk(struct reader *r, struct sample *s, int max, int headers)
{
    const int count = (int)get_up_to(r, max);
    const size_t n = (size_t)get_up_to(r, INT64_MAX);
    const uint8_t *p = get_bytes(r, n);
    if (!p)
        return 0;
    struct reader chunk = reader_of(p, n);
    struct expected e = { 0, 0, 0 };
    for (int i = 0; i < count && !chunk.bad; i++) {
        get_sample(&chunk, &s[i], &e, headers);
        e = expect_after(&s[i]);
    }
    return chunk.bad || reader_left(&chunk) > 0 ? 0 : count;
}

static int get_table(struct reader *r, struct carriage *c, int64_t source_size, struct sample **out,
                     int n, int headers)
{
    const int rc = carriage_unpack_pieces(r, c, source_size);
    if (rc < 0)
        return rc;
    if (r->bad || (size_t)n > reader_left(r) / 2)
        return -E_CORRUPT;
    struct sample *s = calloc((size_t)n, sizeof *s);
    if (!s)
        return -E_NO_MEMORY;
    *out = s;
    for (int done = 0; done < n;) {
        const int count = get_chunk(r, s + done, n - done, headers);
        if (count == 0)
            return -E_CORRUPT;
        done += count;
    }
    return 0;
}

// Both were computed from the same tables, or somebody lies.
static bool same_result(const struct media *a, const struct media *b)
{
    for (int i = 0; i < a->more_audio_count; i++)
        if (a->more_audio[i].bytes != b->more_audio[i].bytes)
            return false;
    return rat_cmp(a->fps, b->fps) == 0 && a->fps.den == b->fps.den && a->frames == b->frames &&
           a->constant_rate == b->constant_rate && a->video.bytes == b->video.bytes &&
           a->video.shown_count == b->video.shown_count && a->audio.bytes == b->audio.bytes;
}

static int get_tables(struct reader *r, struct media *m)
{
    const struct media told = *m;
    int rc = 0;
    if (media_has_video(m))
        rc = get_table(r, &m->video.carriage, m->size, &m->video.samples, m->video.sample_count,
                       m->video.more_headers_count);
    for (int i = 0; rc == 0 && i < media_audio_count(m); i++) {
        struct audio_track *a = i == 0 ? &m->audio : &m->more_audio[i - 1];
        rc = get_table(r, &a->carriage, m->size, &a->samples, a->sample_count, 0);
    }
    struct carriage whole = { 0 };
    for (int i = 0; rc == 0 && i < m->text_count; i++)
        rc = get_table(r, &whole, m->size, &m->texts[i].samples, m->texts[i].sample_count, 0);
    if (rc == 0 && reader_left(r) > 0)
        rc = -E_CORRUPT;
    if (rc == 0)
        rc = media_finish(m);
    return rc == 0 && !same_result(&told, m) ? -E_CORRUPT : rc;
}

int media_unpack(const uint8_t *bytes, size_t n, struct media **out)
{
    struct reader r = reader_of(bytes, n);
    struct media *m = unpack_head(&r);
    if (!m)
        return -E_CORRUPT;
    const int rc = m->reach == MEDIA_CONTINUED ? -E_CORRUPT : get_tables(&r, m);
    if (rc < 0) {
        media_destroy(m);
        return rc;
    }
    *out = m;
    return 0;
}
