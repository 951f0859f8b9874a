// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/avc.h"

#define MAX 100000

// 64x36, High 4:2:0 8 bit, as x264 writes it.
static const uint8_t sps[] = { 0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x44, 0x26,
                               0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
                               0x00, 0x03, 0x00, 0xc8, 0x3c, 0x48, 0x96, 0x58 };
static const uint8_t pps[] = { 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0 };

// ---- avcC

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1
#define SPS_HIGH "\x67\x64\x00\x0a\xac\xd9\x44\x26\xc0\x44\x00\x00\x03\x00\x04\x00"
#define SPS_MAIN "\x67\x4d\x40\x0a\x96"
// High, level 4: id 0, 4:2:2, 10 bits luma, 9 chroma.
#define SPS_HI10 "\x67\x6e\x00\x28\xb6\xb3"
// High, level 1, of 64x48: lists of 4x4 and 8x8; an order of the type 1, in frames and in fields.
#define SPS_LISTS "\x67\x64\x00\x0a\xad\xa4\x92\x49\x24\x92\x49\x02\x11\x5a\x11\xe0"
#define SPS_CYCLE "\x67\x64\x00\x0a\xac\xa1\x4c\xd0\x02\x59\x42\x3c"
#define SPS_FIELDS "\x67\x64\x00\x0a\xac\xa1\x4c\xd0\x02\x59\x42\x32"
#define PPS_1 "\x68\xeb\xe3"

static void test_avcc(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const uint8_t *in;
        size_t n;
        const uint8_t *out;
        size_t out_n; // 0: corrupt
    } cases[] = {
        { "high, long start codes", BYTES("\0\0\0\1" SPS_HIGH "\0\0\0\1" PPS_1),
          BYTES("\1\x64\0\x0a\xff\xe1\0\x0f\x67\x64\x00\x0a\xac\xd9\x44\x26\xc0\x44\x00\x00\x03"
                "\x00\x04\1\0\3" PPS_1 "\xfd\xf8\xf8\0") },
        { "main, short start codes, SEI between",
          BYTES("\0\0\1" SPS_MAIN "\0\0\1\x06\5\1\x80\0\0\1" PPS_1),
          BYTES("\1\x4d\x40\x0a\xff\xe1\0\5" SPS_MAIN "\1\0\3" PPS_1) },
        { "two PPS", BYTES("\0\0\1" SPS_MAIN "\0\0\1" PPS_1 "\0\0\1\x68\x11"),
          BYTES("\1\x4d\x40\x0a\xff\xe1\0\5" SPS_MAIN "\2\0\3" PPS_1 "\0\2\x68\x11") },
        { "bit depths", BYTES("\0\0\1" SPS_HI10 "\0\0\1" PPS_1),
          BYTES("\1\x6e\0\x28\xff\xe1\0\6" SPS_HI10 "\1\0\3" PPS_1 "\xfe\xfa\xf9\0") },
        { "avcC keeps its length size", BYTES("\1\x4d\x40\x0a\xfd\xe1\0\5" SPS_MAIN "\1\0\3" PPS_1),
          BYTES("\1\x4d\x40\x0a\xfd\xe1\0\5" SPS_MAIN "\1\0\3" PPS_1) },
        { "empty", BYTES(""), BYTES("") },
        { "no start code", BYTES(SPS_MAIN PPS_1), BYTES("") },
        { "no PPS", BYTES("\0\0\1" SPS_MAIN), BYTES("") },
        { "no SPS", BYTES("\0\0\1" PPS_1), BYTES("") },
        { "short SPS", BYTES("\0\0\1\x67\x64\1\0\0\1" PPS_1), BYTES("") },
        { "high SPS ends early", BYTES("\0\0\1\x67\x64\1\x0a\0\0\1" PPS_1), BYTES("") },
        { "absurd depth", BYTES("\0\0\1\x67\x64\x01\x0a\xa1\x18\0\0\1" PPS_1), BYTES("") },
        { "avcC cut", BYTES("\1\x4d\x40\x0a\xff\xe1\0\5" SPS_MAIN "\1\0\3\x68\xeb"), BYTES("") },
        { "avcC length size 3", BYTES("\1\x4d\x40\x0a\xfe\xe1\0\5" SPS_MAIN "\1\0\3" PPS_1),
          BYTES("") },
        { "avcC with an SPS as PPS", BYTES("\1\x4d\x40\x0a\xff\xe1\0\5" SPS_MAIN "\1\0\5" SPS_MAIN),
          BYTES("") },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b;
        buf_init(&b, MAX);
        const int rc = avc_config(&b, cases[i].in, cases[i].n);
        if (rc != (cases[i].out_n ? 0 : -E_CORRUPT))
            fail_msg("%s: %s", cases[i].what, err_name(rc));
        if (rc == 0 &&
            (b.len != cases[i].out_n || memcmp(b.data, cases[i].out, cases[i].out_n) != 0))
            fail_msg("%s: other bytes", cases[i].what);
        buf_finish(&b);
    }
}

// Anything may come in: every cut and every flipped bit of both forms.
static void test_avcc_hostile(void **state)
{
    (void)state;
    uint8_t annex_b[4 + sizeof sps + 4 + sizeof pps] = { 0, 0, 0, 1 };
    memcpy(annex_b + 4, sps, sizeof sps);
    memcpy(annex_b + 4 + sizeof sps, "\0\0\0\1", 4);
    memcpy(annex_b + 8 + sizeof sps, pps, sizeof pps);
    struct buf avcc, out;
    buf_init(&avcc, MAX);
    buf_init(&out, MAX);
    assert_int_equal(avc_config(&avcc, annex_b, sizeof annex_b), 0);
    for (int form = 0; form < 2; form++) {
        const uint8_t *p = form ? avcc.data : annex_b;
        const size_t len = form ? avcc.len : sizeof annex_b;
        for (size_t n = 0; n <= len; n++) {
            uint8_t *copy = malloc(n ? n : 1);
            memcpy(copy, p, n);
            for (size_t bit = 0; bit < n * 8; bit++) {
                copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
                buf_clear(&out);
                const int rc = avc_config(&out, copy, n);
                assert_true(rc == 0 || rc == -E_CORRUPT);
                copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
            free(copy);
        }
    }
    buf_finish(&avcc);
    buf_finish(&out);
}

// ---- what a sequence parameter set says

static bool same_format(const struct avc_format *a, const struct avc_format *b)
{
    return a->profile == b->profile && a->compatibility == b->compatibility &&
           a->level == b->level && a->chroma == b->chroma && a->luma_depth == b->luma_depth &&
           a->chroma_depth == b->chroma_depth && a->frames_only == b->frames_only;
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const uint8_t *in;
        size_t n;
        int rc;
        struct avc_format want;
    } cases[] = {
        { "x264, High", sps, sizeof sps, 0, { 100, 0, 10, 1, 8, 8, .frames_only = true } },
        { "x264, interlaced",
          BYTES("\x67\x64\x00\x15\xac\xd9\x44\x4f\xc4\x60\x22\x00\x00\x03\x00\x02\x00\x00\x03\x00"),
          0,
          { 100, 0, 21, 1, 8, 8, .frames_only = false } },
        { "x264, 4:2:2",
          BYTES("\x67\x7a\x00\x0a\xbc\xd9\x44\x7f\x8d\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00"),
          0,
          { 122, 0, 10, 2, 8, 8, .frames_only = true } },
        { "x264, Baseline",
          BYTES("\x67\x42\xc0\x0a\xd9\x04\x7f\x9f\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03"),
          0,
          { 66, 0xc0, 10, 1, 8, 8, .frames_only = true } },
        { "scaling lists, one in full and one cut short",
          BYTES(SPS_LISTS),
          0,
          { 100, 0, 10, 1, 8, 8, .frames_only = true } },
        { "an order told by a cycle",
          BYTES(SPS_CYCLE),
          0,
          { 100, 0, 10, 1, 8, 8, .frames_only = true } },
        { "and fields", BYTES(SPS_FIELDS), 0, { 100, 0, 10, 1, 8, 8, .frames_only = false } },
        { "nothing", BYTES("\x67\x64"), -E_CORRUPT, { 0 } },
        { "cut", BYTES("\x67\x64\x00\x0a\xac"), -E_CORRUPT, { 0 } },
        { "an endless number", BYTES("\x67\x42\x00\x0a\0\0\0\0\0\0\0\0"), -E_CORRUPT, { 0 } },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct avc_format got;
        const struct nal_unit unit = { cases[i].in, cases[i].n };
        const int rc = avc_read_format(&got, &unit);
        if (rc != cases[i].rc || (rc == 0 && !same_format(&got, &cases[i].want)))
            fail_msg("%s: %s", cases[i].what, err_name(rc));
    }
}

static void test_format_hostile(void **state)
{
    (void)state;
    for (size_t n = 0; n <= sizeof sps; n++)
        for (size_t bit = 0; bit < n * 8; bit++) {
            uint8_t *copy = malloc(n);
            memcpy(copy, sps, n);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct avc_format f;
            const int rc = avc_read_format(&f, &(struct nal_unit){ copy, n });
            assert_true(rc == 0 || rc == -E_CORRUPT);
            free(copy);
        }
}

// ---- samples

#define IDR "\0\0\0\3\x65\x88\x84"
#define IDR_2 "\0\0\0\2\x65\x40"
#define OTHER "\0\0\0\3\x41\x9a\x11"
#define SEI "\0\0\0\5\x06\5\1\x80\x80"
#define AUD "\0\0\0\2\x09\x10"
#define OWN_SPS "\0\0\0\5" SPS_MAIN
#define OWN_PPS "\0\0\0\3" PPS_1
#define AVCC "\1\x4d\x40\x0a\xff\xe1\0\5" SPS_MAIN "\1\0\3" PPS_1

static const struct {
    const char *what;
    const uint8_t *in;
    size_t n;
    const uint8_t *out;
    size_t out_n; // 0: corrupt
    enum sight sight;
} samples[] = {
    { "a slice", BYTES(OTHER), BYTES(OTHER), SIGHT_OTHER },
    { "two of an IDR picture", BYTES(IDR IDR_2), BYTES(IDR IDR_2), SIGHT_START },
    { "what stands beside it", BYTES(AUD OWN_SPS OWN_PPS SEI IDR SEI), BYTES(IDR), SIGHT_START },
    { "another set", BYTES("\0\0\0\6" SPS_MAIN "\1" IDR), BYTES(""), SIGHT_OTHER_SETS },
    { "another set behind it", BYTES(IDR "\0\0\0\3\x68\x11\x11"), BYTES(""), SIGHT_OTHER_SETS },
    { "slices out of order", BYTES(IDR_2 IDR), BYTES(""), SIGHT_DISORDER },
    { "a slice twice", BYTES(IDR IDR), BYTES(""), SIGHT_DISORDER },
    { "a slice of no place", BYTES(IDR "\0\0\0\1\x65"), BYTES(""), SIGHT_DISORDER },
    { "out of order, no start", BYTES("\0\0\0\2\x41\x40" OTHER), BYTES(""), SIGHT_OTHER },
    { "IDR and not", BYTES(IDR OTHER), BYTES(""), SIGHT_DISORDER },
    { "IDR and not, in order", BYTES(IDR "\0\0\0\2\x41\x40"), BYTES(""), SIGHT_START },
    { "half a picture", BYTES(IDR_2), BYTES(""), SIGHT_START },
    { "data partitions", BYTES("\0\0\0\2\x02\x88"), BYTES(""), SIGHT_OTHER },
    { "no picture", BYTES(AUD SEI), BYTES(""), SIGHT_UNSEEN },
    { "nothing", BYTES(""), BYTES(""), SIGHT_UNSEEN },
    { "Annex B", BYTES("\0\0\0\1\x65\x88\x84"), BYTES(""), SIGHT_DAMAGED },
    { "an empty unit", BYTES("\0\0\0\0" IDR), BYTES(""), SIGHT_DAMAGED },
    { "a length cut", BYTES(IDR "\0\0"), BYTES(""), SIGHT_DAMAGED },
    { "a unit cut", BYTES(AUD "\0\0\0\4\x65\x88\x84"), BYTES(""), SIGHT_DAMAGED },
};

static void test_samples(void **state)
{
    (void)state;
    struct avc_sets sets;
    assert_int_equal(avc_read_sets(&sets, BYTES(AVCC)), 0);
    for (size_t i = 0; i < countof(samples); i++) {
        struct buf out;
        buf_init(&out, MAX);
        bool idr = false;
        const int rc = avc_copy_sample(&out, &sets, samples[i].in, samples[i].n, &idr);
        if (rc != (samples[i].out_n ? 0 : -E_CORRUPT) ||
            avc_look(&sets, samples[i].in, samples[i].n, samples[i].n) != samples[i].sight)
            fail_msg("%s: %s", samples[i].what, err_name(rc));
        if (rc == 0 &&
            (out.len != samples[i].out_n || memcmp(out.data, samples[i].out, out.len) != 0 ||
             idr != (samples[i].sight == SIGHT_START)))
            fail_msg("%s: other bytes", samples[i].what);
        buf_finish(&out);
    }
}

#define CODED_SETS "\0\0\0\1" SPS_MAIN "\0\0\1" PPS_1

// The same units behind start codes of both kinds.
static void put_coded(struct buf *out, const uint8_t *p, size_t n)
{
    struct reader r = reader_of(p, n);
    struct nal_unit u;
    for (int i = 0; nal_next(&r, 0, 4, &u); i++) {
        if (i % 2 == 0)
            put_u8(out, 0);
        put_be(out, 1, 3);
        buf_append(out, u.p, u.n);
    }
}

static void test_coded_samples(void **state)
{
    (void)state;
    struct avc_sets sets;
    assert_int_equal(avc_read_sets(&sets, BYTES(CODED_SETS)), 0);
    for (size_t i = 0; i < countof(samples); i++) {
        struct buf in, out;
        bool idr = false;
        if (samples[i].sight == SIGHT_DAMAGED) // of lengths
            continue;
        buf_init(&in, MAX);
        buf_init(&out, MAX);
        put_coded(&in, samples[i].in, samples[i].n);
        const int rc = avc_copy_sample(&out, &sets, in.data, in.len, &idr);
        if (rc != (samples[i].out_n ? 0 : -E_CORRUPT) ||
            avc_look(&sets, in.data, in.len, in.len) != samples[i].sight ||
            (rc == 0 &&
             (out.len != samples[i].out_n || memcmp(out.data, samples[i].out, out.len) != 0)))
            fail_msg("%s: %s", samples[i].what, err_name(rc));
        buf_finish(&in);
        buf_finish(&out);
    }
}

static void test_odd_codes(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *in;
        size_t n;
        int rc;
        enum sight sight;
    } cases[] = {
        { BYTES("\0\0\0\0\0\1\x65\x88\x84"), 0, SIGHT_START },
        { BYTES("\0\0\1\0\0\0\1\x65\x88\x84"), 0, SIGHT_START }, // an empty unit
        { BYTES("\0\0\1\x65\x88\x84\0\0\0"), 0, SIGHT_START },
        { BYTES("\0\0\1\x65\x88\x84\0\0\1"), 0, SIGHT_START }, // of the next sample
        { BYTES("\x11\0\0\1\x65\x88\x84"), -E_CORRUPT, SIGHT_DAMAGED },
        { BYTES("\0\0\0\3\x65\x88\x84"), -E_CORRUPT, SIGHT_DAMAGED },
        { BYTES("\0\0\0"), -E_CORRUPT, SIGHT_UNSEEN },
    };
    struct avc_sets sets;
    assert_int_equal(avc_read_sets(&sets, BYTES(CODED_SETS)), 0);
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf out;
        bool idr;
        buf_init(&out, MAX);
        const int rc = avc_copy_sample(&out, &sets, cases[i].in, cases[i].n, &idr);
        if (rc != cases[i].rc ||
            avc_look(&sets, cases[i].in, cases[i].n, cases[i].n) != cases[i].sight)
            fail_msg("case %zu: %s", i, err_name(rc));
        if (rc == 0)
            assert_true(out.len == sizeof IDR - 1 && memcmp(out.data, IDR, out.len) == 0);
        buf_finish(&out);
    }
}

static void test_pictures(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *sets;
        size_t sets_n;
        const uint8_t *in;
        size_t n;
        int count;
    } cases[] = {
        { BYTES(AVCC), BYTES(AUD SEI IDR IDR_2), 1 },
        { BYTES(AVCC), BYTES(IDR IDR_2 OTHER), 2 }, // both fields, one of them in two slices
        { BYTES(AVCC), BYTES(AUD), 0 },
        { BYTES(CODED_SETS), BYTES("\0\0\1\x65\x88\x84\0\0\1\x41\x9a\x11"), 2 },
        { BYTES(""), BYTES("\0\0\1\x65\x88\x84\0\0\1\x41\x9a\x11"), 2 },
        { BYTES(""), BYTES("\0\0\1\x65"), 0 },
    };
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(avc_pictures(cases[i].sets, cases[i].sets_n, cases[i].in, cases[i].n),
                         cases[i].count);
}

// Seen from its beginning alone, a sample may be what the whole is, or is not seen yet.
static void test_first_bytes(void **state)
{
    (void)state;
    struct avc_sets sets;
    assert_int_equal(avc_read_sets(&sets, BYTES(AVCC)), 0);
    const struct nal_unit whole = { BYTES(AUD OWN_SPS OWN_PPS SEI IDR) };
    const size_t seen = whole.n - sizeof IDR + 1 + 5; // with the first byte of the slice
    for (size_t n = 0; n <= whole.n; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, whole.p, n);
        const enum sight s = avc_look(&sets, copy, n, whole.n);
        assert_int_equal(s, n < seen ? SIGHT_UNSEEN : SIGHT_START);
        free(copy);
    }
}

static void test_length_sizes(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *config;
        size_t config_n;
        const uint8_t *sample;
        size_t n;
    } cases[] = {
        { BYTES("\1\x4d\x40\x0a\xfd\xe1\0\5" SPS_MAIN "\1\0\3" PPS_1), BYTES("\0\2\x65\x88") },
        { BYTES("\1\x4d\x40\x0a\xfc\xe1\0\5" SPS_MAIN "\1\0\3" PPS_1), BYTES("\2\x65\x88") },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct avc_sets sets;
        struct buf out;
        bool idr;
        buf_init(&out, MAX);
        assert_int_equal(avc_read_sets(&sets, cases[i].config, cases[i].config_n), 0);
        assert_int_equal(avc_copy_sample(&out, &sets, cases[i].sample, cases[i].n, &idr), 0);
        assert_memory_equal(out.data, cases[i].sample, cases[i].n);
        buf_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_avcc),         cmocka_unit_test(test_avcc_hostile),
        cmocka_unit_test(test_format),       cmocka_unit_test(test_format_hostile),
        cmocka_unit_test(test_samples),      cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_length_sizes), cmocka_unit_test(test_coded_samples),
        cmocka_unit_test(test_odd_codes),    cmocka_unit_test(test_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
