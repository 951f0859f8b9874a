// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/resource.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/media.h"
#include "test/unit/media_tools.h"

#define PACK_MAX (64 * MIB)

static void same_samples(const struct sample *a, const struct sample *b, int n)
{
    for (int i = 0; i < n; i++)
        assert_true(a[i].offset == b[i].offset && a[i].pts == b[i].pts && a[i].size == b[i].size &&
                    a[i].duration == b[i].duration && a[i].sync == b[i].sync &&
                    a[i].headers == b[i].headers);
}

static void same_media(const struct media *a, const struct media *b)
{
    assert_true(a->container == b->container && a->size == b->size && a->frames == b->frames);
    assert_true(a->fps.num == b->fps.num && a->fps.den == b->fps.den);
    assert_int_equal(a->constant_rate, b->constant_rate);
    assert_true(a->video.codec == b->video.codec && a->audio.codec == b->audio.codec);
    assert_int_equal(a->video.sample_count, b->video.sample_count);
    assert_int_equal(a->video.bytes, b->video.bytes);
    assert_int_equal(a->video.end, b->video.end);
    assert_int_equal(a->video.shown_count, b->video.shown_count);
    assert_int_equal(a->video.extradata_size, b->video.extradata_size);
    assert_int_equal(a->audio.bytes, b->audio.bytes);
    assert_int_equal(a->audio.sample_count, b->audio.sample_count);
    assert_string_equal(a->audio.tags.language, b->audio.tags.language);
    assert_memory_equal(&a->audio.strip, &b->audio.strip, sizeof a->audio.strip);
    assert_int_equal(a->more_audio_count, b->more_audio_count);
    for (int i = 0; i < a->more_audio_count; i++) {
        const struct audio_track *const x = &a->more_audio[i], *const y = &b->more_audio[i];
        assert_true(x->codec == y->codec && x->sample_rate == y->sample_rate);
        assert_true(x->bytes == y->bytes && x->extradata_size == y->extradata_size);
        assert_memory_equal(&x->tags, &y->tags, sizeof x->tags);
        same_samples(x->samples, y->samples, x->sample_count);
    }
    assert_int_equal(a->text_count, b->text_count);
    for (int i = 0; i < a->text_count; i++) {
        assert_int_equal(a->texts[i].format, b->texts[i].format);
        assert_memory_equal(&a->texts[i].tags, &b->texts[i].tags, sizeof a->texts[i].tags);
        assert_memory_equal(&a->texts[i].strip, &b->texts[i].strip, sizeof a->texts[i].strip);
        assert_int_equal(a->texts[i].sample_count, b->texts[i].sample_count);
    }
    assert_int_equal(a->video.bits_per_sample, b->video.bits_per_sample);
    assert_int_equal(a->video.more_headers_count, b->video.more_headers_count);
    for (int i = 0; i < a->video.more_headers_count; i++) {
        const struct headers x = a->video.more_headers[i], y = b->video.more_headers[i];
        assert_int_equal(x.size, y.size);
        assert_memory_equal(x.bytes, y.bytes, (size_t)x.size);
    }
    assert_int_equal(!a->video.palette, !b->video.palette);
    if (a->video.palette)
        assert_memory_equal(a->video.palette, b->video.palette, MEDIA_PALETTE);
    if (a->video.extradata)
        assert_memory_equal(a->video.extradata, b->video.extradata, a->video.extradata_size);
}

static struct buf pack(const struct media *m, int (*how)(const struct media *, struct buf *))
{
    struct buf b;
    buf_init(&b, PACK_MAX);
    assert_int_equal(how(m, &b), 0);
    return b;
}

// As many texts as there may be, with all that can be said of one.
static void add_texts(struct media *m)
{
    for (int i = 0; i < MEDIA_TEXTS; i++) {
        make_text(m, 3 + i, i % 2 ? "de" : "zh-Hant-HK", &m->size);
        struct text_track *t = &m->texts[i];
        copy_string(t->tags.title, sizeof t->tags.title, "Für <alle>");
        t->tags.flags = (unsigned)i * 2 % (TAGS + 1);
        t->format = (enum text_format)(1 + i % (TEXT_FORMATS - 1));
        t->strip.n = i;
        memset(t->strip.bytes, 7, (size_t)i);
    }
}

// Headers and colours, as many as there may be.
static void add_headers(struct video_track *v)
{
    v->bits_per_sample = 8;
    v->palette = memset(xmalloc(MEDIA_PALETTE), 3, MEDIA_PALETTE);
    v->more_headers_count = MEDIA_HEADERS;
    for (int i = 0; i < MEDIA_HEADERS; i++)
        v->more_headers[i] = (struct headers){ memset(xmalloc(40 + i), i, 40 + (size_t)i), 40 + i };
    for (int i = 0; i < v->sample_count; i++)
        v->samples[i].headers = (uint8_t)(i % (MEDIA_HEADERS + 1));
}

static void there_and_back(void **state)
{
    (void)state;
    static const struct {
        int groups, packets;
    } cases[] = { { 1, 0 }, { 0, 2 }, { 5, 30 }, { 500, 11000 }, { 0, 5000 } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct media *m = make_media(cases[i].groups, cases[i].packets);
        if (i == 2)
            add_texts(m);
        if (i == 3)
            add_headers(&m->video);
        for (int k = 1; i > 1 && cases[i].groups && k < MEDIA_AUDIOS; k++)
            make_more_audio(m, k % 2 ? "de" : "en", 8000 * k, &m->size);
        assert_int_equal(media_finish(m), 0);
        struct buf b = pack(m, media_pack);
        struct media *back = NULL;
        assert_int_equal(media_unpack(b.data, b.len, &back), 0);
        same_media(m, back);
        if (cases[i].groups) {
            same_samples(m->video.samples, back->video.samples, m->video.sample_count);
            assert_memory_equal(m->video.shown, back->video.shown,
                                (size_t)m->video.shown_count * sizeof(int));
        }
        if (cases[i].packets)
            same_samples(m->audio.samples, back->audio.samples, m->audio.sample_count);
        for (int k = 0; k < m->text_count; k++)
            same_samples(m->texts[k].samples, back->texts[k].samples, m->texts[k].sample_count);
        media_destroy(back);
        buf_finish(&b);
        media_destroy(m);
    }
}

// An index that somebody else wrote may say that its first piece is not that of its first sample.
static void samples_before_the_first_piece(void **state)
{
    (void)state;
    for (int video = 0; video < 2; video++)
        for (int early = 0; early < 2; early++) {
            struct media *m = make_media(video ? 5 : 0, video ? 0 : 30);
            struct carriage *const c = video ? &m->video.carriage : &m->audio.carriage;
            c->kind = CARRIAGE_PIECES;
            c->piece_count = 1;
            c->pieces = xmalloc(sizeof *c->pieces);
            c->pieces[0] = (struct piece){ early ? 100 : 0, 0, m->size };
            assert_int_equal(media_finish(m), early ? -E_CORRUPT : 0);
            media_destroy(m);
        }
}

static void heads(void **state)
{
    (void)state;
    struct media *m = make_media(5, 30);
    assert_int_equal(media_finish(m), 0);
    struct media *copy = media_copy_head(m, 0), *back = NULL;
    same_media(m, copy);
    assert_null(copy->video.samples);
    assert_true(media_memory(copy) < media_memory(m));

    struct buf head = pack(copy, media_pack_head), whole = pack(m, media_pack);
    assert_int_equal(media_unpack_head(head.data, head.len, &back), 0);
    same_media(m, back);
    assert_null(back->video.samples);
    assert_null(back->video.shown);
    media_destroy(back);
    assert_int_equal(media_unpack_head(whole.data, whole.len, &back), 0);
    same_media(m, back);
    media_destroy(back);
    // A head is no index.
    assert_int_equal(media_unpack(head.data, head.len, &back), -E_CORRUPT);
    buf_finish(&head);
    buf_finish(&whole);
    media_destroy(copy);
    media_destroy(m);
}

static void shown_order(void **state)
{
    (void)state;
    struct media *m = make_media(2, 0);
    m->video.samples[23].pts = m->video.samples[20].pts; // presented twice: the first counts
    assert_int_equal(media_finish(m), 0);
    // Two of the first group lie before T0.
    assert_int_equal(m->video.shown_count, 12 * 2 - 2 - 1);
    for (int i = 1; i < m->video.shown_count; i++)
        assert_true(m->video.samples[m->video.shown[i]].pts >
                    m->video.samples[m->video.shown[i - 1]].pts);
    for (int i = 0; i < m->video.shown_count; i++)
        assert_int_not_equal(m->video.shown[i], 23);
    media_destroy(m);
}

static void grids(void **state)
{
    (void)state;
    static const struct {
        int groups, packets;
        int64_t first; // pts of the first audio packet
        int64_t frames;
        bool constant;
    } cases[] = {
        { 10, 0, 0, 118, true },        { 10, 100, 0, 118, true },
        { 10, 200, 0, 118, true },      // 4.64 s of sound to 4.72 s of pictures
        { 10, 224, 0, 118, true },      // 5.20 s: not half a second more
        { 10, 225, 0, 131, false },     // 5.22 s: just more
        { 10, 226, -44100, 118, true }, // it began earlier
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct media *m = make_media(cases[i].groups, cases[i].packets);
        for (int k = 0; k < m->audio.sample_count; k++)
            m->audio.samples[k].pts = cases[i].first + k * 1024;
        assert_int_equal(media_finish(m), 0);
        assert_true(m->fps.num == 25 && m->fps.den == 1);
        assert_int_equal(m->frames, cases[i].frames);
        assert_int_equal(m->constant_rate, cases[i].constant);
        media_destroy(m);
    }
}

static void sound_alone(void **state)
{
    (void)state;
    struct media *m = make_media(0, 10);
    assert_int_equal(media_finish(m), 0);
    assert_true(m->fps.num == 44100 && m->fps.den == 1024);
    assert_int_equal(m->frames, 9); // the first packet lies before T0
    assert_false(m->constant_rate);
    m->audio.sample_rate = 22050; // becomes 48000
    assert_int_equal(media_finish(m), 0);
    assert_true(m->fps.num == 48000 && m->fps.den == 1024);
    assert_int_equal(m->frames, 20); // 9 x 1024 / 22050 s
    media_destroy(m);
}

// Each breaks one rule.
static void break_it(struct media *m, int how)
{
    struct video_track *v = &m->video;
    struct audio_track *a = &m->audio;
    struct text_track *t = &m->texts[0];
    switch (how) {
    case 0:
        m->container = CONTAINER_NONE;
        break;
    case 1:
        m->size = 0;
        break;
    case 2:
        m->size = MEDIA_SIZE_MAX + 1;
        break;
    case 3:
        m->size--;
        break; // the last sample ends past it
    case 4:
        v->codec = CODEC_AAC;
        break;
    case 5:
        a->codec = CODEC_H264;
        break;
    case 6:
        v->timescale = 0;
        break;
    case 7:
        v->timescale = 1000000001;
        break;
    case 8:
        v->coded_width = 0;
        break;
    case 9:
        v->coded_height = 32769;
        break;
    case 10:
        v->sar_num = 0;
        break;
    case 11:
        v->sar_den = -1;
        break;
    case 12:
        v->rotate = 45;
        break;
    case 13:
        v->rotate = 360;
        break;
    case 14:
        v->bit_depth = 17;
        break;
    case 15:
        v->colour.matrix = 256;
        break;
    case 16:
        v->peak_nits = -1;
        break;
    case 17:
        v->reorder = -1;
        break;
    case 18:
        v->end = 0;
        break;
    case 19:
        v->end = v->timescale * MEDIA_SECONDS_MAX + 1;
        break;
    case 20:
        v->extradata_size = MEDIA_EXTRADATA_MAX + 1;
        break;
    case 21:
        v->strip.n = MEDIA_STRIP_MAX + 1;
        break;
    case 22:
        v->samples[3].size = 0;
        break;
    case 23:
        v->samples[3].offset = -1;
        break;
    case 24:
        v->samples[3].offset = m->size;
        break;
    case 25:
        v->samples[3].offset = INT64_MAX;
        break;
    case 26:
        v->samples[3].pts = INT64_MIN;
        break;
    case 27:
        v->samples[3].pts = v->timescale * MEDIA_SECONDS_MAX + 1;
        break;
    case 28:
        v->end = 1, v->samples[0].pts = 1;
        break; // nothing is shown
    case 29:
        v->samples[0].pts = 1;
        break; // T0 is not 0
    case 30:
        a->sample_rate = 7999;
        break;
    case 31:
        a->channels = 9;
        break;
    case 32:
        a->tags.language[1] = '"';
        break;
    case 33:
        a->samples[5].pts = a->samples[4].pts;
        break;
    case 34:
        a->samples[5].duration++;
        break;
    case 35:
        a->samples[5].duration = UINT32_MAX;
        break;
    case 36:
        v->sample_count = 0;
        break;
    case 37:
        v->codec = a->codec = CODEC_NONE;
        break;
    case 38:
        t->format = TEXT_FORMATS;
        break;
    case 39:
        strcpy(t->tags.language, "eng");
        break;
    case 40:
        strcpy(t->tags.title, "a\"b");
        break;
    case 41:
        memset(t->tags.title, 'a', sizeof t->tags.title);
        break;
    case 42:
        t->tags.flags = TAGS + 1;
        break;
    case 43:
        t->sample_count = 0;
        break;
    case 44:
        t->samples[2].pts = t->samples[1].pts - 1;
        break;
    case 45:
        t->samples[2].duration = 0;
        break;
    case 46:
        t->samples[0].duration = 500; // over at T0
        break;
    case 47:
        t->samples[0].pts = -(int64_t)MEDIA_SECONDS_MAX * 1000 - 1;
        t->samples[0].duration = UINT32_MAX;
        break;
    case 48:
        t->samples[2].offset = m->size;
        break;
    case 49:
        t->strip.n = MEDIA_STRIP_MAX + 1;
        break;
    case 50:
        v->codec = CODEC_NONE; // texts alone
        break;
    case 51:
        m->more_audio[1].channels = 0;
        break;
    case 52:
        m->more_audio[1].samples[3].pts = m->more_audio[1].samples[4].pts;
        break;
    case 53:
        m->more_audio[0].codec = CODEC_NONE;
        break;
    case 54:
        a->codec = CODEC_NONE; // others without a first
        break;
    default:
        fail();
    }
}

static void broken_rules(void **state)
{
    (void)state;
    for (int how = 0; how <= 54; how++) {
        struct media *m = make_media(2, 30);
        make_text(m, 5, "en", &m->size);
        make_more_audio(m, "de", 48000, &m->size);
        make_more_audio(m, "fr", 48000, &m->size);
        break_it(m, how);
        if (media_finish(m) != -E_CORRUPT)
            fail_msg("rule %d", how);
        media_destroy(m);
    }
}

// What anybody may rely on after an unpack, looked at from outside.
static void inspect(const struct media *m)
{
    assert_int_equal(media_check_head(m), 0);
    for (int i = 0; i < m->video.shown_count; i++) {
        assert_in_range(m->video.shown[i], 0, m->video.sample_count - 1);
        const struct sample *s = &m->video.samples[m->video.shown[i]];
        assert_true(s->offset >= 0 && s->size > 0 && s->size <= m->size - s->offset);
        assert_true(s->pts >= 0 && s->pts < m->video.end);
    }
    int w, h;
    media_display_size(m, &w, &h);
    assert_true(w >= 1 && h >= 1);
    assert_true(media_video_rate(m) >= 0 && media_audio_rate(m, 0) >= 0);
}

static void try_unpack(const uint8_t *bytes, size_t n)
{
    // A block of its own, so that the sanitizer sees one byte too far.
    uint8_t *own = memcpy(xmalloc(n ? n : 1), bytes, n);
    struct media *m = NULL;
    const int rc = media_unpack(own, n, &m);
    assert_true(rc == 0 || rc == -E_CORRUPT);
    if (rc == 0)
        inspect(m);
    else
        assert_null(m);
    media_destroy(m);
    m = NULL;
    if (media_unpack_head(own, n, &m) == 0)
        assert_int_equal(media_check_head(m), 0);
    media_destroy(m);
    free(own);
}

static void hostile_bytes(void **state)
{
    (void)state;
    struct media *m = make_media(3, 40);
    assert_int_equal(media_finish(m), 0);
    struct buf b = pack(m, media_pack);
    struct media *back = NULL;
    for (size_t n = 0; n < b.len; n++) {
        try_unpack(b.data, n);
        assert_int_equal(media_unpack(b.data, n, &back), -E_CORRUPT);
    }
    for (size_t i = 0; i < b.len; i++) {
        const uint8_t was = b.data[i];
        for (int change = 1; change < 256; change++) {
            b.data[i] = was ^ (uint8_t)change;
            try_unpack(b.data, b.len);
        }
        b.data[i] = was;
    }
    buf_puts(&b, "x");
    assert_int_equal(media_unpack(b.data, b.len, &back), -E_CORRUPT);
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) { // random bytes after a good beginning
        for (size_t i = 5 + (size_t)round % 60; i < 200 && i < b.len; i++) {
            seed = seed * 1664525 + 1013904223;
            b.data[i] = (uint8_t)(seed >> 24);
        }
        try_unpack(b.data, 200);
    }
    buf_finish(&b);
    media_destroy(m);
}

// A count is believed only when the bytes are there.
static void promises_without_bytes(void **state)
{
    (void)state;
    struct media *m = make_media(1, 0);
    assert_int_equal(media_finish(m), 0);
    m->video.sample_count = MEDIA_SAMPLES_MAX;
    struct buf b = pack(m, media_pack_head);
    struct media *back = NULL;
    assert_true(b.len < 200);
    assert_int_equal(media_unpack_head(b.data, b.len, &back), 0);
    media_destroy(back);
    back = NULL;
#ifndef SANITIZED
    // With less memory than it would take: not asked for.
    struct rlimit was, tight;
    getrlimit(RLIMIT_AS, &was);
    tight = was;
    tight.rlim_cur = 128 * MIB;
    setrlimit(RLIMIT_AS, &tight);
#endif
    assert_int_equal(media_unpack(b.data, b.len, &back), -E_CORRUPT);
#ifndef SANITIZED
    setrlimit(RLIMIT_AS, &was);
#endif
    buf_finish(&b);
    m->video.sample_count = 12;
    media_destroy(m);
}

// The head of 12 pictures, and a table that is ours to spoil.
static struct buf begin_table(size_t bytes)
{
    struct media *m = make_media(1, 0);
    assert_int_equal(media_finish(m), 0);
    struct buf b = pack(m, media_pack_head);
    media_destroy(m);
    put_v(&b, 12);
    put_v(&b, bytes);
    return b;
}

static void steps_out_of_this_world(void **state)
{
    (void)state;
    static const int64_t steps[] = { INT64_MAX, INT64_MIN, INT64_MAX / 4, INT64_MIN / 4, 1 };
    for (size_t i = 0; i < countof(steps); i++)
        for (size_t k = 0; k < countof(steps); k++) {
            struct buf chunk;
            buf_init(&chunk, MIB);
            for (int n = 0; n < 12; n++) {
                put_v(&chunk, UINT64_C(0xffffffff) << 3 | 7);
                put_z(&chunk, steps[i]);
                put_z(&chunk, steps[k]);
                put_v(&chunk, UINT32_MAX);
            }
            struct buf b = begin_table(chunk.len);
            buf_append(&b, chunk.data, chunk.len);
            try_unpack(b.data, b.len);
            buf_finish(&chunk);
            buf_finish(&b);
        }
}

static void a_chunk_is_filled_exactly(void **state)
{
    (void)state;
    struct media *m = make_media(1, 0), *back = NULL;
    assert_int_equal(media_finish(m), 0);
    struct buf good = pack(m, media_pack), head = pack(m, media_pack_head);
    const size_t at = head.len + 2; // the table's count and length take a byte each
    const size_t n = good.len - at;
    assert_true(n < 127 && good.data[at - 1] == n);
    for (int more = -1; more <= 1; more++) {
        struct buf b = begin_table(n + (size_t)more);
        buf_append(&b, good.data + at, n);
        if (more > 0)
            put_u8(&b, 0);
        assert_int_equal(media_unpack(b.data, b.len, &back), more ? -E_CORRUPT : 0);
        buf_finish(&b);
    }
    media_destroy(back);
    media_destroy(m);
    buf_finish(&good);
    buf_finish(&head);
}

static void ceilings(void **state)
{
    (void)state;
    struct media *m = make_media(500, 1000);
    assert_int_equal(media_finish(m), 0);
    for (size_t max = 0; max < 3000; max += 101) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(media_pack(m, &b), -E_LIMITS);
        buf_finish(&b);
    }
    struct buf b = pack(m, media_pack);
    assert_true(b.len < 7 * (500 * 12 + 1000)); // an index is small
    buf_finish(&b);
    media_destroy(m);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        int w, h, sar_num, sar_den, rotate, width, height;
    } cases[] = {
        { 1920, 1080, 1, 1, 0, 1920, 1080 },     { 3840, 2160, 1, 1, 90, 2160, 3840 },
        { 1920, 1080, 1, 1, 180, 1920, 1080 },   { 1920, 1080, 1, 1, 270, 1080, 1920 },
        { 800, 640, 64, 45, 0, 1138, 640 },      { 720, 576, 16, 15, 90, 576, 768 },
        { 161, 121, 1, 1, 0, 161, 121 },         { 1, 1, 1, 1000, 0, 1, 1 },
        { 32768, 2, INT32_MAX, 1, 0, 65535, 2 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct media m = { .video = { .codec = CODEC_H264,
                                      .coded_width = cases[i].w,
                                      .coded_height = cases[i].h,
                                      .sar_num = cases[i].sar_num,
                                      .sar_den = cases[i].sar_den,
                                      .rotate = cases[i].rotate } };
        int w, h;
        media_display_size(&m, &w, &h);
        assert_int_equal(w, cases[i].width);
        assert_int_equal(h, cases[i].height);
    }
    assert_string_equal(codec_name(CODEC_NONE), "none");
    assert_string_equal(codec_decoder(CODEC_AV1), "libdav1d");
    assert_int_equal(media_output_rate(44100), 44100);
    assert_int_equal(media_output_rate(96000), 48000);
}

static void rates(void **state)
{
    (void)state;
    struct media *m = make_media(10, 100);
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(media_video_rate(m), m->video.bytes * 8 * 25 / 118);
    assert_int_equal(media_audio_rate(m, 0), 100 * 300 * 8 * 25 / 118);
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(heads),
        cmocka_unit_test(samples_before_the_first_piece),
        cmocka_unit_test(shown_order),
        cmocka_unit_test(grids),
        cmocka_unit_test(sound_alone),
        cmocka_unit_test(broken_rules),
        cmocka_unit_test(hostile_bytes),
        cmocka_unit_test(promises_without_bytes),
        cmocka_unit_test(steps_out_of_this_world),
        cmocka_unit_test(a_chunk_is_filled_exactly),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(sizes),
        cmocka_unit_test(rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
