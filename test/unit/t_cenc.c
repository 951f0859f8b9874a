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

static const uint8_t annex_b[] = { 0,    0, 0, 1, 0x67, 0x64, 0,    0x0a, 0xac, 0xd9, 0x44,
                                   0x26, 0, 0, 0, 1,    0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0 };

struct made {
    struct buf init, media;
    struct encryption e;
};

static void make_fragment(struct buf *out, const struct fmp4_track *t, int k)
{
    struct fmp4_sample samples[FRAMES] = { { 0 } };
    struct buf data;
    buf_init(&data, MIB);
    for (int i = 0; i < FRAMES; i++) {
        const size_t begin = data.len;
        const uint32_t n = (uint32_t)(100 + 60 * i);
        if (t->video) {
            static const uint8_t sei[] = { 0, 0, 0, 2, 6, 5 };
            buf_append(&data, sei, sizeof sei);
            put_be32(&data, n);
            put_u8(&data, i == 0 ? 0x65 : 0x01);
            put_u8(&data, 0x88);
            put_u8(&data, 0x84);
            buf_fill(&data, 0x5a, n - 3);
        } else {
            buf_fill(&data, 0x5a, n);
        }
        samples[i] = (struct fmp4_sample){ (uint32_t)(data.len - begin), 1, 0, i == 0 };
    }
    assert_int_equal(fmp4_fragment(out, t, (uint32_t)k + 1, (uint64_t)(FRAMES * k), samples, FRAMES,
                                   data.data, data.len),
                     0);
    buf_finish(&data);
}

static struct made make(bool video)
{
    static const uint8_t asc[] = { 0x11, 0x90 };
    struct made m = { .e = { .method = ENCRYPTION_CBCS, .key = { { 1 } }, .iv = { { 2 } } } };
    struct buf config;
    buf_init(&config, KIB);
    buf_init(&m.init, MIB);
    buf_init(&m.media, MIB);
    assert_int_equal(avc_config(&config, annex_b, sizeof annex_b), 0);
    const struct fmp4_track t = {
        .video = video,
        .timescale = 48000,
        .width = 64,
        .height = 36,
        .config = video ? config.data : asc,
        .config_size = video ? config.len : sizeof asc,
        .sample_rate = 48000,
        .channels = 2,
    };
    assert_int_equal(fmp4_init(&m.init, &t), 0);
    fmp4_styp(&m.media);
    for (int k = 0; k < 3; k++)
        make_fragment(&m.media, &t, k);
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

// What there is of a segment makes the beginning of what all of it makes.
static void a_segment_grows(void **state)
{
    (void)state;
    for (int video = 0; video < 2; video++) {
        struct made m = make(video);
        struct buf whole, part;
        assert_int_equal(encrypt(&m, m.media.data, m.media.len, &whole), 0);
        assert_true(whole.len > 0 && (video || whole.len == m.media.len));
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
    for (int video = 0; video < 2; video++) {
        struct made m = make(video);
        struct buf out;
        for (size_t i = 0; i < m.media.len; i++)
            for (int bit = 0; bit < 8; bit += 3) {
                m.media.data[i] ^= (uint8_t)(1 << bit);
                const int rc = encrypt(&m, m.media.data, m.media.len, &out);
                assert_true(rc == 0 || rc == -E_CORRUPT || rc == -E_LIMITS);
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
        cmocka_unit_test(headers),
        cmocka_unit_test(escaped_header),
        cmocka_unit_test(a_segment_grows),
        cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
