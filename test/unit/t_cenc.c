// SPDX-License-Identifier: BSD-2-Clause
//
// That what is encrypted can be decrypted, the end-to-end tests see; here it is cut and broken.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/avc_slice.h"
#include "codec/cenc.h"
#include "codec/cenc_layout.h"
#include "codec/fmp4.h"

// ---- slice headers

// Of "1 01 ...": the bits, a one behind them, and some bytes.  Returns how many bits.
static size_t pack(uint8_t *out, const char *bits)
{
    size_t n = 0;
    memset(out, 0, 64);
    for (; *bits; bits++) {
        if (*bits == ' ')
            continue;
        out[n / 8] |= (uint8_t)((*bits - '0') << (7 - n % 8));
        n++;
    }
    out[n / 8] |= (uint8_t)(1 << (7 - n % 8));
    return n;
}

static void headers(void **state)
{
    (void)state;
    static const struct avc_format plain = {
        .chroma = 1, .frames_only = true, .frame_num_bits = 4, .order_bits = 4
    };
    static const struct avc_format fields = { .chroma = 1, .frame_num_bits = 4, .order_type = 1 };
    static const struct avc_format gray = { .frames_only = true,
                                            .frame_num_bits = 5,
                                            .order_type = 2 };
    static const struct {
        const char *what;
        const struct avc_format *sps;
        struct avc_picture_set pps;
        const char *bits; // a NAL unit's head first
    } cases[] = {
        { "IDR",
          &plain,
          { .cabac = true, .refs = { 1, 1 } },
          "0 11 00101 1 0001000 1 0000 1 0000 00 1" },
        { "with a loop filter",
          &plain,
          { .deblocking = true, .refs = { 1, 1 } },
          "0 11 00101 1 011 1 0000 1 0000 00 1 1 010 011" },
        { "without",
          &plain,
          { .deblocking = true, .refs = { 1, 1 } },
          "0 11 00101 1 011 1 0000 1 0000 00 1 010" },
        { "P",
          &plain,
          { .cabac = true, .refs = { 3, 1 } },
          "0 10 00001 1 1 1 0101 1010 0 0 0 1 1" },
        { "P of fewer, in another order",
          &plain,
          { .cabac = true, .refs = { 3, 1 } },
          "0 10 00001 1 1 1 0101 1010 1 010 1 1 1 011 1 00100 0 010 00110" },
        { "P with weights",
          &plain,
          { .weighted = true, .refs = { 2, 1 } },
          "0 10 00001 1 1 1 0101 1010 0 0 1 1 1 1 1 1 1 1 1 1 0 0 0 1" },
        { "P that forgets",
          &plain,
          { .refs = { 1, 1 } },
          "0 10 00001 1 1 1 0101 1010 0 0 1 010 1 00100 1 1 00101 1 00110 1 1" },
        { "P with more of an order",
          &plain,
          { .order_in_frame = true, .redundant = true, .refs = { 1, 1 } },
          "0 00 00001 1 1 1 0101 1010 00111 1 0 0 1" },
        { "B",
          &plain,
          { .cabac = true, .refs = { 2, 1 } },
          "0 00 00001 1 010 1 0101 1010 1 0 0 0 1 1" },
        { "B with weights",
          &plain,
          { .weighted_bi = 1, .refs = { 1, 1 } },
          "0 00 00001 1 010 1 0101 1010 1 0 0 0 1 1 0 1 1 1 1 1 0 0 1" },
        { "a field",
          &fields,
          { .order_in_frame = true, .refs = { 1, 1 } },
          "0 00 00001 1 011 1 0101 1 0 010 1" },
        { "a frame of fields",
          &fields,
          { .order_in_frame = true, .refs = { 1, 1 } },
          "0 00 00001 1 011 1 0101 0 010 011 1" },
        { "gray",
          &gray,
          { .weighted = true, .refs = { 1, 1 } },
          "0 00 00001 1 1 1 01010 0 0 1 1 1 1 1" },
        { "SP", &plain, { .refs = { 1, 1 } }, "0 00 00001 1 00100 1 0101 1010 0 0 1 0 1" },
        { "SI", &plain, { .refs = { 1, 1 } }, "0 00 00001 1 00101 1 0101 1010 1 1" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct avc_slices s = { .sps_count = 1, .pps_count = 1 };
        uint8_t unit[64];
        size_t got = 0;
        const size_t bits = pack(unit, cases[i].bits);
        s.sps[0] = *cases[i].sps;
        s.pps[0] = cases[i].pps;
        const int rc = avc_slice_header(&s, unit, sizeof unit, &got);
        if (rc != 0 || got != (bits + 7) / 8)
            fail_msg("%s: %s, %zu bytes of %zu bits", cases[i].what, err_name(rc), got, bits);
        for (size_t n = 0; n < (bits + 7) / 8; n++)
            assert_int_equal(avc_slice_header(&s, unit, n, &got), -E_CORRUPT);
        s.pps[0].id = 1;
        assert_int_equal(avc_slice_header(&s, unit, sizeof unit, &got), -E_CORRUPT);
    }
}

// The byte against start codes is one of the header's.
static void escaped_header(void **state)
{
    (void)state;
    const struct avc_slices s = {
        .sps = { { .chroma = 1, .frames_only = true, .frame_num_bits = 16, .order_bits = 16 } },
        .pps = { { .refs = { 1, 1 } } },
        .sps_count = 1,
        .pps_count = 1,
    };
    // first 1, type 011, set 1, 16 + 16 bits of zeros, quantizer 1
    static const uint8_t unit[] = { 0x01, 0xb8, 0, 0, 3, 0, 0x04, 0xff, 0xff };
    size_t got = 0;
    assert_int_equal(avc_slice_header(&s, unit, sizeof unit, &got), 0);
    assert_int_equal(got, 7);
}

// ---- segments

#define FRAMES 6

enum kind { AVC, HEVC, AV1, SOUND, KINDS };

static const uint8_t annex_b[] = { 0,    0, 0, 1, 0x67, 0x64, 0,    0x0a, 0xac, 0xd9, 0x44,
                                   0x26, 0, 0, 0, 1,    0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0 };
static const uint8_t avc_idr[] = { 0x65, 0x88, 0x84 }, avc_p[] = { 0x01, 0x88, 0x84 };
static const uint8_t asc[] = { 0x11, 0x90 };

// As x265 and SVT-AV1 write them, of 64x64: headers, and pictures as far as we need them.
static const uint8_t hevc_config[] = {
    0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1e, 0xf0, 0x00, 0xfc,
    0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0xa0, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0c, 0x01,
    0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x1e, 0x92, 0x80, 0x90, 0xa1, 0x00, 0x01, 0x00, 0x29, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00,
    0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x1e, 0xa0, 0x20, 0x81, 0x05, 0x96,
    0x4a, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00,
    0xc8, 0x40, 0xa2, 0x00, 0x01, 0x00, 0x06, 0x44, 0x01, 0xc1, 0x71, 0xa1, 0x12
};
static const uint8_t hevc_idr[] = { 0x28, 0x01, 0xaf, 0x04, 0x18, 0xda, 0x58, 0xfb, 0x13, 0x38,
                                    0x56, 0xe5, 0x72, 0x30, 0xaa, 0x71, 0x45, 0xda, 0x77, 0x8c };
static const uint8_t hevc_p[] = { 0x02, 0x01, 0xd0, 0x09, 0x7e, 0x11, 0x18, 0x26, 0xc0,
                                  0xd3, 0xdd, 0x7b, 0x30, 0xf2, 0x0a, 0x8f, 0x18 };
static const uint8_t av1_key[] = { 0x14, 0x00, 0x34, 0x80, 0x24, 0x91, 0x24, 0x84,
                                   0x7d, 0xe4, 0xdd, 0x47, 0xf3, 0x3c, 0x2d, 0x9f,
                                   0xf5, 0x4d, 0x3d, 0xd8, 0x45, 0xc5, 0x17, 0x6e };
static const uint8_t av1_sequence[] = { 0x0a, 0x0a, 0x00, 0x00, 0x00, 0x02,
                                        0xaf, 0xff, 0x9f, 0x7f, 0x20, 0x08 };
static const uint8_t av1_inter[] = { 0x32, 0x01, 0x04, 0x04, 0x92, 0x49, 0x11, 0xf0, 0x00,
                                     0x00, 0x03, 0x3e, 0x00, 0x00, 0x00, 0x97, 0x44 };
static const uint8_t av1_config[] = { 0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0a, 0x00, 0x00,
                                      0x00, 0x02, 0xaf, 0xff, 0x80, 0x5f, 0x00, 0x08 };

struct bytes {
    const uint8_t *p;
    size_t n;
};
#define BYTES(array)                                                                               \
    {                                                                                              \
        array, sizeof array                                                                        \
    }

static const struct {
    struct bytes config, front; // front: before the first picture
    struct bytes picture[2];    // the first, and others
    size_t head[2];             // of it, that stays clear
} streams[KINDS] = {
    [AVC] = { .picture = { BYTES(avc_idr), BYTES(avc_p) }, .head = { 5, 5 } },
    [HEVC] = { .config = BYTES(hevc_config),
               .picture = { BYTES(hevc_idr), BYTES(hevc_p) },
               .head = { 5, 9 } },
    [AV1] = { .config = BYTES(av1_config),
              .front = BYTES(av1_sequence),
              .picture = { BYTES(av1_key), BYTES(av1_inter) },
              .head = { 10, 15 } },
    [SOUND] = { .config = BYTES(asc) },
};

struct made {
    struct buf init, media;
    struct encryption e;
};

// What is before a picture of n bytes.
static void put_front(struct buf *data, enum kind kind, bool first, uint32_t n)
{
    static const uint8_t sei[] = { 0, 0, 0, 2, 6, 5 };
    if (kind == AVC)
        buf_append(data, sei, sizeof sei);
    if (first)
        buf_append(data, streams[kind].front.p, streams[kind].front.n);
    if (kind == AV1) { // the head of a frame's OBU
        put_u8(data, 0x32);
        put_u8(data, (uint8_t)(0x80 | (n & 0x7f)));
        put_u8(data, (uint8_t)(n >> 7));
    } else if (kind != SOUND) {
        put_be32(data, n);
    }
}

static void put_sample(struct buf *data, enum kind kind, int i, uint32_t n)
{
    const struct bytes *const picture = &streams[kind].picture[i > 0];
    put_front(data, kind, i == 0, n);
    buf_append(data, picture->p, picture->n);
    buf_fill(data, 0x5a, n - picture->n);
}

static void make_fragment(struct buf *out, const struct fmp4_track *t, enum kind kind, int k)
{
    struct fmp4_sample samples[FRAMES] = { { 0 } };
    struct buf data;
    buf_init(&data, MIB);
    for (int i = 0; i < FRAMES; i++) {
        const size_t begin = data.len;
        put_sample(&data, kind, i, (uint32_t)(100 + 60 * i));
        samples[i] = (struct fmp4_sample){ (uint32_t)(data.len - begin), 1, 0, i == 0 };
    }
    assert_int_equal(fmp4_fragment(out, t, (uint32_t)k + 1, (uint64_t)(FRAMES * k), samples, FRAMES,
                                   data.data, data.len),
                     0);
    buf_finish(&data);
}

static struct fmp4_track track_of(enum kind kind, struct buf *config)
{
    const bool video = kind != SOUND;
    buf_init(config, KIB);
    if (kind == AVC)
        assert_int_equal(avc_config(config, annex_b, sizeof annex_b), 0);
    else
        buf_append(config, streams[kind].config.p, streams[kind].config.n);
    return (struct fmp4_track){
        .video = video,
        .timescale = 48000,
        .coding = video ? (enum fmp4_coding)kind : 0,
        .width = 64,
        .height = 64,
        .config = config->data,
        .config_size = config->len,
        .sample_rate = 48000,
        .channels = 2,
    };
}

static struct made make(enum kind kind)
{
    struct made m = { .e = { .method = ENCRYPTION_CBCS, .key = { { 1 } }, .iv = { { 2 } } } };
    struct buf config;
    const struct fmp4_track t = track_of(kind, &config);
    buf_init(&m.init, MIB);
    buf_init(&m.media, MIB);
    assert_int_equal(fmp4_init(&m.init, &t), 0);
    fmp4_styp(&m.media);
    for (int k = 0; k < 3; k++)
        make_fragment(&m.media, &t, kind, k);
    buf_finish(&config);
    return m;
}

static void finish(struct made *m)
{
    buf_finish(&m->init);
    buf_finish(&m->media);
}

static int encrypt(const struct made *m, const uint8_t *bytes, size_t n, struct buf *out)
{
    buf_init(out, MIB);
    return cenc_segment(out, &m->e, m->init.data, m->init.len, bytes, n);
}

// ---- layouts

// The first sample and one that refers to it: all of a picture behind its header, of AV1 in
// whole blocks.
static void what_is_hidden(void **state)
{
    (void)state;
    for (int kind = 0; kind < SOUND; kind++) {
        struct buf config, data;
        struct cenc_rules *rules;
        struct cenc_layout l;
        const struct fmp4_track t = track_of((enum kind)kind, &config);
        assert_int_equal(cenc_rules_create(&t, &rules), 0);
        for (int i = 0; i < 2; i++) {
            buf_init(&data, MIB);
            put_front(&data, (enum kind)kind, i == 0, 300);
            const size_t clear = data.len + streams[kind].head[i];
            buf_clear(&data);
            put_sample(&data, (enum kind)kind, i, 300);
            const size_t rest = data.len - clear, hidden = kind == AV1 ? rest / 16 * 16 : rest;
            assert_int_equal(cenc_lay_out(rules, data.data, data.len, &l), 0);
            const struct cenc_subsample *const got = l.list;
            if (l.count != 1 + (hidden < rest) || got[0].clear != clear || got[0].hidden != hidden)
                fail_msg("coding %d, picture %d: %zu and %zu", kind, i, got[0].clear,
                         got[0].hidden);
            buf_finish(&data);
        }
        cenc_rules_destroy(rules);
        buf_finish(&config);
    }
}

// A picture of so many slices of n bytes each, after an SEI of some size.
static int lay_out_slices(int count, uint32_t n, uint32_t sei, struct cenc_layout *out)
{
    struct buf config, data;
    struct cenc_rules *rules;
    const struct fmp4_track t = track_of(AVC, &config);
    buf_init(&data, 64 * MIB);
    put_be32(&data, sei);
    buf_fill(&data, 6, sei);
    for (int i = 0; i < count; i++) {
        put_be32(&data, n);
        buf_append(&data, avc_p, sizeof avc_p);
        buf_fill(&data, 0x5a, n - sizeof avc_p);
    }
    assert_int_equal(cenc_rules_create(&t, &rules), 0);
    const int rc = cenc_lay_out(rules, data.data, data.len, out);
    size_t sum = 0;
    for (int i = 0; i < out->count; i++) {
        sum += out->list[i].clear + out->list[i].hidden;
        assert_true(out->list[i].clear <= CENC_CLEAR_MAX);
    }
    assert_true(rc < 0 || sum == data.len);
    cenc_rules_destroy(rules);
    buf_finish(&data);
    buf_finish(&config);
    return rc;
}

static void many_slices(void **state)
{
    (void)state;
    static const struct {
        int slices;
        uint32_t n, sei;
        int rc, entries, hidden;
    } cases[] = {
        { 1, 50, 10, 0, 1, 1 },
        { 42, 50, 10, 0, 42, 42 },
        { 43, 50, 10, 0, 42, 42 },
        { 700, 50, 10, 0, 42, 41 },
        { 60, 40000, 10, 0, 42, 42 },
        { 1, 3000000, 10, 0, 1, 1 },
        { 2, 50, 65535, 0, 3, 2 },
        { 0, 0, 65531, 0, 1, 0 },
        { 0, 0, 65532, 0, 2, 0 },
        { 0, 0, 42 * 65535 - 4, 0, 42, 0 },
        { 0, 0, 42 * 65535 - 3, -E_LIMITS, 0, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct cenc_layout l;
        int hidden = 0;
        const int rc = lay_out_slices(cases[i].slices, cases[i].n, cases[i].sei, &l);
        assert_int_equal(rc, cases[i].rc);
        for (int k = 0; rc == 0 && k < l.count; k++)
            hidden += l.list[k].hidden > 0;
        if (rc == 0 && (l.count != cases[i].entries || hidden != cases[i].hidden))
            fail_msg("case %zu: %d entries, %d hidden", i, l.count, hidden);
    }
}

// ---- segments of them

// What there is of a segment makes the beginning of what all of it makes.
static void a_segment_grows(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct made m = make((enum kind)kind);
        struct buf whole, part;
        assert_int_equal(encrypt(&m, m.media.data, m.media.len, &whole), 0);
        assert_true(whole.len > 0 && (kind != SOUND || whole.len == m.media.len));
        size_t last = 0;
        int steps = 0;
        for (size_t n = 0; n <= m.media.len; n++) {
            assert_int_equal(encrypt(&m, m.media.data, n, &part), 0);
            assert_true(part.len >= last && part.len <= whole.len);
            if (part.len > 0)
                assert_memory_equal(part.data, whole.data, part.len);
            steps += part.len > last;
            last = part.len;
            buf_finish(&part);
        }
        assert_int_equal(steps, 3);
        assert_int_equal(last, whole.len);
        buf_finish(&whole);
        finish(&m);
    }
}

// Broken anywhere it is an answer, not an accident (the sanitizers watch).
static void hostile(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct made m = make((enum kind)kind);
        struct buf out;
        for (size_t i = 0; i < m.media.len; i++)
            for (int bit = 0; bit < 8; bit += 3) {
                m.media.data[i] ^= (uint8_t)(1 << bit);
                const int rc = encrypt(&m, m.media.data, m.media.len, &out);
                assert_true(rc == 0 || rc == -E_CORRUPT || rc == -E_UNSUPPORTED || rc == -E_LIMITS);
                buf_finish(&out);
                m.media.data[i] ^= (uint8_t)(1 << bit);
            }
        for (size_t i = 0; i < m.init.len; i++)
            for (int bit = 0; bit < 8; bit++) {
                m.init.data[i] ^= (uint8_t)(1 << bit);
                buf_init(&out, MIB);
                int rc = cenc_init(&out, &m.e, m.init.data, m.init.len);
                assert_true(rc == 0 || rc == -E_CORRUPT);
                buf_finish(&out);
                rc = encrypt(&m, m.media.data, m.media.len, &out);
                assert_true(rc == 0 || rc == -E_CORRUPT || rc == -E_UNSUPPORTED || rc == -E_LIMITS);
                buf_finish(&out);
                m.init.data[i] ^= (uint8_t)(1 << bit);
            }
        finish(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),         cmocka_unit_test(escaped_header),
        cmocka_unit_test(what_is_hidden),  cmocka_unit_test(many_slices),
        cmocka_unit_test(a_segment_grows), cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
