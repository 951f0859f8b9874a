// SPDX-License-Identifier: BSD-2-Clause
//
// The writer is checked against bytes written down here and against fmp4_check;
// fmp4_check is checked by breaking good segments, byte by byte.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"
#include "codec/fmp4.h"

#define MAX 100000

// ---- init segments

// 64x36, High 4:2:0 8 bit, as x264 writes it.
static const uint8_t sps[] = { 0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x44, 0x26,
                               0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
                               0x00, 0x03, 0x00, 0xc8, 0x3c, 0x48, 0x96, 0x58 };
static const uint8_t asc[] = { 0x11, 0x90 };

static const struct fmp4_track video = {
    .video = true,
    .timescale = 25,
    .width = 64,
    .height = 36,
    .colour = { 1, 1, 1, false },
    .config = sps, // any bytes: the writer does not look inside
    .config_size = sizeof sps,
};

static const struct fmp4_track audio = {
    .coding = FMP4_AAC,
    .timescale = 48000,
    .config = asc,
    .config_size = sizeof asc,
    .sample_rate = 48000,
    .channels = 2,
    .bitrate = 128000,
};

static bool is_container(const char *type)
{
    static const char list[] = "moov trak mdia minf dinf stbl mvex moof traf";
    return strstr(list, type) != NULL;
}

// Prints the boxes as "moov(mvhd trak(...))" and checks that sizes nest exactly.
static void print_tree(struct buf *out, const uint8_t *p, size_t n)
{
    struct reader r = reader_of(p, n);
    while (reader_left(&r) > 0) {
        char type[5] = { 0 };
        const uint32_t size = get_be32(&r);
        const uint8_t *name = get_bytes(&r, 4);
        assert_non_null(name);
        memcpy(type, name, 4);
        assert_true(size >= 8);
        const uint8_t *body = get_bytes(&r, size - 8);
        assert_non_null(body);
        if (out->len && out->data[out->len - 1] != '(')
            buf_puts(out, " ");
        buf_puts(out, type);
        const size_t skip = strcmp(type, "stsd") == 0 ? 8 : strcmp(type, "avc1") == 0 ? 78 : 28;
        if (is_container(type) || skip == 8 || skip == 78 || strcmp(type, "mp4a") == 0 ||
            strcmp(type, "Opus") == 0) {
            const size_t head = is_container(type) ? 0 : skip;
            assert_true(size - 8 >= head);
            buf_puts(out, "(");
            print_tree(out, body + head, size - 8 - head);
            buf_puts(out, ")");
        }
    }
}

static void assert_tree(const struct buf *b, const char *expected)
{
    struct buf tree;
    buf_init(&tree, MAX);
    print_tree(&tree, b->data, b->len);
    assert_int_equal(buf_append(&tree, "", 1), 0);
    assert_string_equal((char *)tree.data, expected);
    buf_finish(&tree);
}

static const uint8_t *find(const struct buf *b, const char *type)
{
    const uint8_t *p = memmem(b->data, b->len, type, 4);
    assert_non_null(p);
    return p + 4;
}

static void test_init_video(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, MAX);
    assert_int_equal(fmp4_init(&b, &video), 0);
    assert_tree(&b, "ftyp moov(mvhd trak(tkhd mdia(mdhd hdlr minf(vmhd dinf(dref) "
                    "stbl(stsd(avc1(avcC colr pasp)) stts stsc stsz stco)))) mvex(trex))");
    assert_int_equal(b.len, 651 + sizeof sps);
    assert_memory_equal(b.data,
                        "\0\0\0\x20"
                        "ftypiso6\0\0\0\0iso6cmfccmf2mp41",
                        32);
    assert_memory_equal(find(&b, "avcC"), sps, sizeof sps);
    assert_memory_equal(find(&b, "colr"), "nclx\0\1\0\1\0\1\0", 11);
    assert_memory_equal(find(&b, "tkhd"), "\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    assert_memory_equal(find(&b, "tkhd") + 76, "\0\x40\0\0\0\x24\0\0", 8);
    buf_finish(&b);
}

static void test_init_audio(void **state)
{
    (void)state;
    static const uint8_t esds[] = {
        0,    0,    0,    0,                                     // version
        0x03, 0x80, 0x80, 0x80, 0x22, 0,    0,    0,             // ES
        0x04, 0x80, 0x80, 0x80, 0x14, 0x40, 0x15, 0, 0x06, 0x00, // decoder: 1536 bytes,
        0x00, 0x08, 0xca, 0x00, 0x00, 0x01, 0xf4, 0,             // at most 576000 b/s, 128000
        0x05, 0x80, 0x80, 0x80, 0x02, 0x11, 0x90,                // AudioSpecificConfig
        0x06, 0x80, 0x80, 0x80, 0x01, 0x02,
    };
    struct buf b;
    buf_init(&b, MAX);
    assert_int_equal(fmp4_init(&b, &audio), 0);
    assert_tree(&b, "ftyp moov(mvhd trak(tkhd mdia(mdhd hdlr minf(smhd dinf(dref) "
                    "stbl(stsd(mp4a(esds)) stts stsc stsz stco)))) mvex(trex))");
    assert_memory_equal(find(&b, "esds"), esds, sizeof esds);
    assert_memory_equal(find(&b, "mp4a") + 16, "\0\2\0\x10\0\0\0\0\xbb\x80\0\0", 12);
    buf_finish(&b);
}

static void test_init_opus(void **state)
{
    (void)state;
    static const uint8_t dops[] = { 0, 2, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0 };
    struct fmp4_track t = audio, back;
    struct buf b;
    t.coding = FMP4_OPUS;
    t.config = dops;
    t.config_size = sizeof dops;
    buf_init(&b, MAX);
    assert_int_equal(fmp4_init(&b, &t), 0);
    assert_tree(&b, "ftyp moov(mvhd trak(tkhd mdia(mdhd hdlr minf(smhd dinf(dref) "
                    "stbl(stsd(Opus(dOps)) stts stsc stsz stco sgpd)))) mvex(trex))");
    assert_memory_equal(find(&b, "Opus") + 16, "\0\2\0\x10\0\0\0\0\xbb\x80\0\0", 12);
    assert_memory_equal(find(&b, "sgpd"), "\2\0\0\0roll\0\0\0\1\0\0\0\1\xff\xfc", 18);
    assert_int_equal(fmp4_read_init(b.data, b.len, &back), 0);
    assert_true(!back.video && back.coding == FMP4_OPUS && back.channels == 2);
    assert_int_equal(back.sample_rate, 48000);
    assert_int_equal(back.config_size, sizeof dops);
    assert_memory_equal(back.config, dops, sizeof dops);
    buf_finish(&b);
}

static void test_ceiling(void **state)
{
    (void)state;
    const struct fmp4_sample sample = { 100, 1, 0, true };
    static const uint8_t data[100];
    for (size_t max = 0; max < 300; max++) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(fmp4_init(&b, &video), -E_LIMITS);
        buf_clear(&b);
        const int rc = fmp4_fragment(&b, &video, 1, 0, &sample, 1, data, sizeof data);
        assert_int_equal(rc, max < 212 ? -E_LIMITS : 0);
        buf_finish(&b);
    }
}

// ---- fragments

static const uint8_t payload[1000] = { 1, 2, 3 };

// decode order IDR P B B P: presented 0 2 3 1 4 when shifted to start at the IDR
static const struct fmp4_sample gop[] = {
    { 50, 1, 0, true },   { 20, 1, 2, false }, { 10, 1, -1, false },
    { 11, 1, -1, false }, { 21, 1, 0, false },
};

static size_t sum_sizes(const struct fmp4_sample *s, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += s[i].size;
    return n;
}

static void test_fragment_bytes(void **state)
{
    (void)state;
    static const uint8_t moof[] = {
        0, 0, 0, 0x8c, 'm', 'o', 'o', 'f',                                                      //
        0, 0, 0, 0x10, 'm', 'f', 'h', 'd', 0, 0, 0,   0,    0,    0,    0,    7,                //
        0, 0, 0, 0x74, 't', 'r', 'a', 'f',                                                      //
        0, 0, 0, 0x18, 't', 'f', 'h', 'd', 0, 2, 0,   0x28, 0,    0,    0,    1,                //
        0, 0, 0, 1,    1,   1,   0,   0,                                                        //
        0, 0, 0, 0x14, 't', 'f', 'd', 't', 1, 0, 0,   0,    0,    0,    0,    1,    0, 0, 0, 2, //
        0, 0, 0, 0x40, 't', 'r', 'u', 'n', 1, 0, 0xa, 5,    0,    0,    0,    5,                //
        0, 0, 0, 0x94, 2,   0,   0,   0,                                                        //
        0, 0, 0, 50,   0,   0,   0,   0,   0, 0, 0,   20,   0,    0,    0,    2,                //
        0, 0, 0, 10,   255, 255, 255, 255, 0, 0, 0,   11,   0xff, 0xff, 0xff, 0xff,             //
        0, 0, 0, 21,   0,   0,   0,   0,                                                        //
        0, 0, 0, 0x78, 'm', 'd', 'a', 't', 1, 2, 3,
    };
    struct buf b;
    buf_init(&b, MAX);
    assert_int_equal(fmp4_fragment(&b, &video, 7, (uint64_t)1 << 32 | 2, gop, 5, payload, 112), 0);
    assert_int_equal(b.len, sizeof moof - 3 + 112);
    assert_memory_equal(b.data, moof, sizeof moof);
    buf_finish(&b);
}

static void test_fragment_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const struct fmp4_track *track;
        struct fmp4_sample s[3];
        int count;
        uint32_t tfhd, trun; // flags
    } cases[] = {
        { "one key frame", &video, { { 5, 1, 0, true } }, 1, 0x020028, 0x205 },
        { "key frames alone",
          &video,
          { { 5, 1, 0, true }, { 6, 1, 0, true } },
          2,
          0x020028,
          0x205 },
        { "key and others",
          &video,
          { { 5, 1, 0, true }, { 6, 1, 0, false }, { 6, 1, 0, false } },
          3,
          0x020028,
          0x205 },
        { "others alone", &video, { { 5, 1, 0, false }, { 6, 1, 0, false } }, 2, 0x020028, 0x201 },
        { "reordered", &video, { { 5, 1, 0, true }, { 6, 1, 1, false } }, 2, 0x020028, 0xa05 },
        { "key in the middle",
          &video,
          { { 5, 1, 0, true }, { 6, 1, 0, false }, { 6, 1, 0, true } },
          3,
          0x020008,
          0x601 },
        { "unequal durations",
          &video,
          { { 5, 1, 0, true }, { 6, 2, 0, true } },
          2,
          0x020020,
          0x305 },
        { "audio", &audio, { { 5, 1024, 9, true }, { 6, 1024, 9, true } }, 2, 0x020028, 0x201 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b;
        buf_init(&b, MAX);
        assert_int_equal(fmp4_styp(&b), 0);
        assert_int_equal(fmp4_fragment(&b, cases[i].track, 1, 9, cases[i].s, cases[i].count,
                                       payload, sum_sizes(cases[i].s, cases[i].count)),
                         0);
        struct reader tfhd = reader_of(find(&b, "tfhd"), 4), trun = reader_of(find(&b, "trun"), 4);
        if (get_be32(&tfhd) != cases[i].tfhd || get_be32(&trun) != (0x1000000 | cases[i].trun))
            fail_msg("%s", cases[i].what);
        struct fmp4_summary sum;
        assert_int_equal(fmp4_check(b.data, b.len, &sum), 0);
        assert_int_equal(sum.begins_sync, cases[i].s[0].sync);
        assert_int_equal(sum.samples, cases[i].count);
        buf_finish(&b);
    }
}

// ---- fmp4_check

static void make_segment(struct buf *b)
{
    static const struct fmp4_sample tail[] = { { 30, 1, 1, false }, { 31, 2, -1, false } };
    buf_init(b, MAX);
    fmp4_styp(b);
    fmp4_fragment(b, &video, 3, 100, gop, 5, payload, 112);
    fmp4_fragment(b, &video, 4, 105, tail, 2, payload, 61);
    fmp4_fragment(b, &video, 9, 108, gop, 5, payload, 112);
    assert_int_equal(buf_error(b), 0);
}

static void test_check_summary(void **state)
{
    (void)state;
    struct buf b;
    make_segment(&b);
    struct fmp4_summary sum;
    assert_int_equal(fmp4_check(b.data, b.len, &sum), 0);
    assert_int_equal(sum.fragments, 3);
    assert_int_equal(sum.samples, 12);
    assert_int_equal(sum.start, 100);
    assert_int_equal(sum.duration, 13);
    assert_true(sum.begins_sync);
    buf_finish(&b);
}

// No prefix of a segment but one that ends with a fragment is a segment.
static void test_check_cut(void **state)
{
    (void)state;
    struct buf b;
    make_segment(&b);
    int whole = 0;
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, b.data, n);
        struct fmp4_summary sum;
        const int rc = fmp4_check(copy, n, &sum);
        assert_true(rc == 0 || rc == -E_CORRUPT);
        whole += rc == 0;
        free(copy);
    }
    assert_int_equal(whole, 2);
    buf_finish(&b);
}

// Of the bytes that are not media, few may change without being noticed: the
// brands, fields of the same meaning.
static void test_check_flips(void **state)
{
    (void)state;
    struct buf b;
    make_segment(&b);
    int unnoticed = 0;
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            b.data[i] ^= (uint8_t)(1 << bit);
            struct fmp4_summary sum;
            const int rc = fmp4_check(b.data, b.len, &sum);
            assert_true(rc == 0 || rc == -E_CORRUPT);
            unnoticed += rc == 0;
            b.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    const int media = (112 + 61 + 112) * 8;
    assert_in_range(unnoticed, media, media + 900);
    buf_finish(&b);
}

static void test_check_refuses(void **state)
{
    (void)state;
    static const struct fmp4_sample early = { 5, 1, -1, true }, late = { 5, 1, 1, true },
                                    plain = { 5, 1, 0, true };
    static const struct {
        const char *what;
        bool styp;
        const struct fmp4_sample *first;
        uint32_t sequence2;
        uint64_t start2;
        int expected;
    } cases[] = {
        { "good", true, &plain, 2, 1, 0 },
        { "no styp", false, &plain, 2, 1, -E_CORRUPT },
        { "gap", true, &plain, 2, 2, -E_CORRUPT },
        { "overlap", true, &plain, 2, 0, -E_CORRUPT },
        { "sequence stands", true, &plain, 1, 1, -E_CORRUPT },
        { "shown before the cut", true, &early, 2, 1, -E_CORRUPT },
        { "shown after the cut", true, &late, 2, 1, -E_CORRUPT },
        { "beyond 63 bits", true, &plain, 2, UINT64_MAX, -E_CORRUPT },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b;
        buf_init(&b, MAX);
        if (cases[i].styp)
            fmp4_styp(&b);
        fmp4_fragment(&b, &video, 1, 0, cases[i].first, 1, payload, 5);
        fmp4_fragment(&b, &video, cases[i].sequence2, cases[i].start2, &plain, 1, payload, 5);
        struct fmp4_summary sum;
        if (fmp4_check(b.data, b.len, &sum) != cases[i].expected)
            fail_msg("%s", cases[i].what);
        buf_finish(&b);
    }
}

// ---- reading back

static void test_read_init(void **state)
{
    (void)state;
    struct fmp4_track hevc = video, av1 = video;
    hevc.coding = FMP4_HEVC;
    av1.coding = FMP4_AV1;
    const struct fmp4_track *const tracks[] = { &video, &audio, &hevc, &av1 };
    for (size_t i = 0; i < countof(tracks); i++) {
        struct buf b;
        struct fmp4_track t;
        buf_init(&b, MAX);
        assert_int_equal(fmp4_init(&b, tracks[i]), 0);
        assert_int_equal(fmp4_read_init(b.data, b.len, &t), 0);
        assert_int_equal(t.video, tracks[i]->video);
        assert_int_equal(t.coding, tracks[i]->coding);
        assert_int_equal(t.timescale, tracks[i]->timescale);
        assert_int_equal(t.width, tracks[i]->width);
        assert_int_equal(t.height, tracks[i]->height);
        assert_int_equal(t.sample_rate, tracks[i]->sample_rate);
        assert_int_equal(t.channels, tracks[i]->channels);
        assert_int_equal(t.config_size, tracks[i]->config_size);
        assert_memory_equal(t.config, tracks[i]->config, t.config_size);
        for (size_t n = 0; n < b.len; n++) { // the boxes that count end near the end
            uint8_t *const copy = malloc(n ? n : 1);
            memcpy(copy, b.data, n);
            if (fmp4_read_init(copy, n, &t) == 0)
                fail_msg("%zu bytes of %zu were taken", n, b.len);
            free(copy);
        }
        buf_finish(&b);
    }
}

static void test_samples(void **state)
{
    (void)state;
    static const struct fmp4_sample tail[] = { { 30, 1, 1, false }, { 31, 2, -1, false } };
    struct buf b;
    struct fmp4_found *f;
    int count;
    make_segment(&b);
    assert_int_equal(fmp4_samples(b.data, b.len, 12, &f, &count), 0);
    assert_int_equal(count, 12);
    const uint8_t *data = memmem(b.data, b.len, "mdat", 4);
    uint64_t time = 100;
    for (int i = 0; i < 7; i++) {
        const struct fmp4_sample *const want = i < 5 ? &gop[i] : &tail[i - 5];
        if (i == 5)
            data = memmem(data + 4, b.len, "mdat", 4);
        assert_int_equal(f[i].s.size, want->size);
        assert_int_equal(f[i].s.duration, want->duration);
        assert_int_equal(f[i].s.offset, want->offset);
        assert_int_equal(f[i].s.sync, want->sync);
        assert_int_equal(f[i].time, time);
        assert_ptr_equal(f[i].data, data + 4);
        time += want->duration;
        data += want->size;
    }
    free(f);
    assert_int_equal(fmp4_samples(b.data, b.len, 11, &f, &count), -E_LIMITS);
    assert_null(f);
    assert_int_equal(fmp4_samples(b.data, b.len - 1, 12, &f, &count), -E_CORRUPT);
    buf_finish(&b);
}

// Every beginning has its fragments, and those are a segment.
static void test_whole_fragments(void **state)
{
    (void)state;
    struct buf b;
    make_segment(&b);
    int steps = 0;
    size_t before = 0;
    for (size_t n = 0; n <= b.len; n++) {
        const size_t whole = fmp4_whole_fragments(b.data, n);
        assert_true(whole <= n && whole >= before);
        struct fmp4_summary sum;
        if (whole > before) {
            assert_int_equal(whole, n);
            assert_int_equal(fmp4_check(b.data, whole, &sum), 0);
            assert_int_equal(sum.fragments, ++steps);
        }
        before = whole;
    }
    assert_int_equal(steps, 3);
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_video),      cmocka_unit_test(test_init_audio),
        cmocka_unit_test(test_init_opus),       cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_fragment_bytes),  cmocka_unit_test(test_fragment_shapes),
        cmocka_unit_test(test_check_summary),   cmocka_unit_test(test_check_cut),
        cmocka_unit_test(test_check_flips),     cmocka_unit_test(test_check_refuses),
        cmocka_unit_test(test_read_init),       cmocka_unit_test(test_samples),
        cmocka_unit_test(test_whole_fragments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
