// SPDX-License-Identifier: BSD-2-Clause
//
// hvcC of the headers that x265 writes; anything else is refused or survived.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/hevc.h"

#define START "\0\0\0\1"
// 640x360, Main, level 3.1, by x265 3.5.
#define VPS                                                                                        \
    "\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03"                 \
    "\x00\x5d\x95\x98\x09"
#define SPS                                                                                        \
    "\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0"                 \
    "\x05\x02\x01\x69\x65\x95\x9a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00"                 \
    "\x00\x03\x03\x21"
#define PPS "\x44\x01\xc1\x72\xb4\x22\x40"
#define SEI "\x4e\x01\x05\x01\x80"

static const char headers[] = START VPS START SPS START PPS;

static int config(struct buf *out, const void *bytes, size_t n)
{
    buf_init(out, 4096);
    return hevc_config(out, bytes, n);
}

static void what_x265_writes(void **state)
{
    (void)state;
    static const char want[] =
        "\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f"
        "\x03\xa0\x00\x01\x00\x18" VPS "\xa1\x00\x01\x00\x2a" SPS "\xa2\x00\x01\x00\x07" PPS;
    struct buf b;
    assert_int_equal(config(&b, headers, sizeof headers - 1), 0);
    assert_int_equal(b.len, sizeof want - 1);
    assert_memory_equal(b.data, want, b.len);
    buf_finish(&b);
    // Notes are left out.
    static const char noted[] = START SEI START VPS START SPS START PPS START SEI;
    assert_int_equal(config(&b, noted, sizeof noted - 1), 0);
    assert_int_equal(b.len, sizeof want - 1);
    buf_finish(&b);
}

static void what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
#define ROW(s) { s, sizeof(s) - 1 }
        ROW(""),
        ROW(START),
        ROW(VPS SPS PPS),
        ROW(START VPS START SPS),
        ROW(START VPS START PPS),
        ROW(START SPS START PPS),
        ROW(START VPS START "\x42\x01" START PPS),
        ROW(START VPS START SPS START SPS START SPS START SPS START SPS START SPS START SPS START
                SPS START SPS START PPS),
#undef ROW
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buf b;
        assert_int_equal(config(&b, rows[i].bytes, rows[i].n), -E_CORRUPT);
        buf_finish(&b);
    }
}

// ---- hvcC in

#define HEAD "\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00"
#define LIST(type, n, set) type "\x00\x01\x00" n set
#define LISTS LIST("\xa0", "\x18", VPS) LIST("\xa1", "\x2a", SPS) LIST("\xa2", "\x07", PPS)

static void an_hvcc(void **state)
{
    (void)state;
    static const char same[] = HEAD "\x0f\x03" LISTS;
    static const char noted[] =
        HEAD "\x0d\x04" LIST("\x27", "\x05", SEI) LISTS; // lengths of two bytes
    static const char bad[] = HEAD "\x0e\x03" LISTS;     // of three
    struct buf b;
    assert_int_equal(config(&b, same, sizeof same - 1), 0);
    assert_int_equal(b.len, sizeof same - 1);
    assert_memory_equal(b.data, same, b.len);
    buf_finish(&b);
    assert_int_equal(config(&b, noted, sizeof noted - 1), 0);
    assert_int_equal(b.len, sizeof same - 1);
    assert_int_equal(b.data[21], 0x0d);
    buf_finish(&b);
    assert_int_equal(config(&b, bad, sizeof bad - 1), -E_CORRUPT);
    buf_finish(&b);
    for (size_t n = 0; n < sizeof same - 1; n++) {
        uint8_t *const copy = malloc(n + !n);
        memcpy(copy, same, n);
        assert_int_equal(config(&b, copy, n), -E_CORRUPT);
        buf_finish(&b);
        free(copy);
    }
}

static void names(void **state)
{
    (void)state;
    static const struct {
        uint8_t ptl[HEVC_PTL_SIZE];
        const char *name;
    } rows[] = {
        { { 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93 }, "hvc1.1.6.L93.90" },
        { { 2, 0x20, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 153 }, "hvc1.2.4.L153.B0" },
        { { 0x22, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 150 }, "hvc1.2.4.H150" },
        { { 0x44, 0x08, 0, 0, 1, 0x90, 0, 8, 0, 0, 0, 90 }, "hvc1.A4.80000010.L90.90.0.8" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct hevc_format f = { .layers = 1 };
        char name[48];
        memcpy(f.ptl, rows[i].ptl, sizeof f.ptl);
        hevc_name(&f, name, sizeof name);
        assert_string_equal(name, rows[i].name);
    }
}

// Two temporal layers, the lower with a level of its own.
static void layers(void **state)
{
    (void)state;
    static const char sps[] =
        "\x42\x01\x03\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d"
        "\x40\x00\x5a\xa0\x05\x02\x01\x69\x65\x95\x9a\x49\x32\xbc\x05\xa0";
    struct hevc_format f;
    const struct nal_unit u = { (const uint8_t *)sps, sizeof sps - 1 };
    assert_int_equal(hevc_read_format(&f, &u), 0);
    assert_int_equal(f.layers, 2);
    assert_true(f.nested && f.chroma == 1 && f.luma_depth == 0 && f.chroma_depth == 0);
}

// ---- samples

#define BYTES(s) s, sizeof(s) - 1
#define IDR "\0\0\0\4\x26\1\xa0\x11"
#define IDR_MORE "\0\0\0\4\x26\1\x20\x11"
#define CRA "\0\0\0\4\x2a\1\xa0\x11"
#define BLA "\0\0\0\4\x20\1\x80\x11"
#define OTHER "\0\0\0\4\x02\1\x80\x11"
#define AUD "\0\0\0\3\x46\1\x10"
#define NOTE "\0\0\0\5" SEI
#define LIGHT "\0\0\0\x09\x4e\1\x90\4\3\xe8\1\x90\x80"
#define TWO_NOTES "\0\0\0\x0b\x4e\1\x90\4\3\xe8\1\x90\5\0\x80"
#define OWN_PPS "\0\0\0\7" PPS
#define OTHER_EYE "\0\0\0\4\x02\x09\x80\x11"

static const struct {
    const char *in;
    size_t n;
    const char *out; // NULL: corrupt
    size_t out_n;
    enum sight sight;
    enum start start;
} samples[] = {
    { BYTES(AUD IDR IDR_MORE), BYTES(IDR IDR_MORE), SIGHT_START, START_CLEAN },
    { BYTES(CRA), BYTES(CRA), SIGHT_START, START_LED },
    { BYTES(OTHER), BYTES(OTHER), SIGHT_OTHER, START_NOT },
    { BYTES(OWN_PPS NOTE LIGHT IDR), BYTES(LIGHT IDR), SIGHT_START, START_CLEAN },
    { BYTES(TWO_NOTES IDR), BYTES(IDR), SIGHT_START, START_CLEAN },
    { BYTES(OTHER OTHER_EYE), BYTES(OTHER), SIGHT_OTHER, START_NOT },
    { BYTES(IDR IDR), NULL, 0, SIGHT_START, START_NOT }, // two pictures
    { BYTES(IDR OTHER), NULL, 0, SIGHT_START, START_NOT },
    { BYTES(IDR_MORE), NULL, 0, SIGHT_START, START_NOT },                 // half of one
    { BYTES(BLA), BYTES(BLA), SIGHT_OTHER, START_NOT },                   // no cut is there
    { BYTES("\0\0\0\4\x2c\1\x80\x11"), NULL, 0, SIGHT_OTHER, START_NOT }, // unknown
    { BYTES("\0\0\0\4\x44\1\xc1\x72" IDR), NULL, 0, SIGHT_OTHER_SETS, START_NOT },
    { BYTES(AUD), NULL, 0, SIGHT_UNSEEN, START_NOT },
    { BYTES("\0\0\0\1\x26\1\xa0\x11"), NULL, 0, SIGHT_DAMAGED, START_NOT },
};

// Of samples with lengths.
static struct hevc_units own_sets(void)
{
    struct hevc_units sets;
    assert_int_equal(hevc_read_units(&sets, (const uint8_t *)headers, sizeof headers - 1), 0);
    assert_true(sets.coded);
    sets.coded = false;
    return sets;
}

static void copies(void **state)
{
    (void)state;
    const struct hevc_units sets = own_sets();
    for (size_t i = 0; i < countof(samples); i++) {
        const uint8_t *const in = (const uint8_t *)samples[i].in;
        struct buf b;
        enum start start = START_NOT;
        buf_init(&b, 4096);
        const int rc = hevc_copy_sample(&b, &sets, in, samples[i].n, &start);
        if (rc != (samples[i].out ? 0 : -E_CORRUPT) ||
            hevc_look(&sets, in, samples[i].n, samples[i].n) != samples[i].sight)
            fail_msg("case %zu: %s", i, err_name(rc));
        if (rc == 0 && (start != samples[i].start || b.len != samples[i].out_n ||
                        memcmp(b.data, samples[i].out, b.len) != 0))
            fail_msg("case %zu: other bytes", i);
        buf_finish(&b);
    }
}

// The same units, now behind start codes.
static void copies_of_coded(void **state)
{
    (void)state;
    struct hevc_units sets = own_sets();
    sets.coded = true;
    for (size_t i = 0; i < countof(samples); i++) {
        if (samples[i].sight == SIGHT_DAMAGED) // of lengths
            continue;
        struct reader r = reader_of(samples[i].in, samples[i].n);
        struct nal_unit u;
        struct buf in, out;
        enum start start = START_NOT;
        buf_init(&in, 4096);
        buf_init(&out, 4096);
        while (nal_next(&r, 0, 4, &u)) {
            put_be(&in, 1, 3);
            buf_append(&in, u.p, u.n);
        }
        const int rc = hevc_copy_sample(&out, &sets, in.data, in.len, &start);
        if (rc != (samples[i].out ? 0 : -E_CORRUPT) ||
            hevc_look(&sets, in.data, in.len, in.len) != samples[i].sight ||
            (rc == 0 && (start != samples[i].start || out.len != samples[i].out_n ||
                         memcmp(out.data, samples[i].out, out.len) != 0)))
            fail_msg("case %zu: %s", i, err_name(rc));
        buf_finish(&in);
        buf_finish(&out);
    }
}

static void copies_of_anything(void **state)
{
    (void)state;
    static const char whole[] = AUD OWN_PPS LIGHT IDR;
    const struct hevc_units sets = own_sets();
    for (size_t n = 0; n < sizeof whole; n++)
        for (size_t bit = 0; bit < n * 8; bit++) {
            uint8_t *const copy = malloc(n);
            struct buf b;
            enum start start;
            memcpy(copy, whole, n);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            buf_init(&b, 4096);
            const int rc = hevc_copy_sample(&b, &sets, copy, n, &start);
            assert_true(rc == 0 || rc == -E_CORRUPT);
            hevc_look(&sets, copy, n, sizeof whole);
            buf_finish(&b);
            free(copy);
        }
}

// From memory of exactly that size, which the sanitizers watch.
static void any_bit_and_length(void **state)
{
    (void)state;
    const size_t n = sizeof headers - 1;
    for (size_t at = 0; at < n; at++)
        for (int bit = 0; bit <= 8; bit++) {
            const size_t length = bit < 8 ? n : at;
            uint8_t *const p = malloc(length + !length);
            struct buf b;
            memcpy(p, headers, length);
            if (bit < 8)
                p[at] ^= (uint8_t)(1 << bit);
            const int rc = config(&b, p, length);
            assert_true(rc == 0 || rc == -E_CORRUPT);
            buf_finish(&b);
            free(p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_x265_writes),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(any_bit_and_length),
        cmocka_unit_test(an_hvcc),
        cmocka_unit_test(names),
        cmocka_unit_test(layers),
        cmocka_unit_test(copies),
        cmocka_unit_test(copies_of_coded),
        cmocka_unit_test(copies_of_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
