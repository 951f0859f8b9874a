// SPDX-License-Identifier: BSD-2-Clause
//
// t_av_vc1 - what pictures of VC-1 and WMV 3 say of themselves, and their order in an MP4 that does
// not tell it.  FFmpeg encodes neither.

#include "test/unit/av_tools.h"

#include <stdlib.h>

#include "base/base.h"
#include "codec/av/probe_steps.h"
#include "codec/av/vc1.h"

// "1011 0" into bytes; the rest is zeros.  How many there are.
static size_t bits(const char *text, uint8_t *out)
{
    size_t n = 0;
    for (; *text; text++) {
        if (*text == ' ')
            continue;
        if (n % 8 == 0)
            out[n / 8] = 0;
        out[n / 8] |= (uint8_t)((*text - '0') << (7 - n % 8));
        n++;
    }
    return (n + 7) / 8;
}

// A sequence header of the Advanced profile up to the flag of interlacing, which it ends with.
#define SEQUENCE                                                                                   \
    "00000000 00000000 00000001 00001111 "                                                         \
    "11 011 01 000 00000 0 000011101111 000001110111 0 "

#define FRAME "00000000 00000000 00000001 00001101 "
#define ENTRY "00000000 00000000 00000001 00001110 10101010 "

// STRUCT_C of WMV 3 up to RANGERED, which it ends with.
#define STRUCT_C "0100 000 00000 1 0 0 1 1 0 00 1 0 0 0 "

static const struct {
    enum codec_id codec;
    const char *headers, *picture;
    enum vc1_type type;
} pictures[] = {
    { CODEC_VC1, SEQUENCE "0", FRAME "110", VC1_I },
    { CODEC_VC1, SEQUENCE "0", FRAME "0", VC1_P },
    { CODEC_VC1, SEQUENCE "0", FRAME "10", VC1_B },
    { CODEC_VC1, SEQUENCE "0", FRAME "1110", VC1_B }, // of macroblocks that are all intra
    { CODEC_VC1, SEQUENCE "0", FRAME "1111", VC1_P }, // skipped
    { CODEC_VC1, SEQUENCE "0", "110", VC1_I },        // as ASF and MP4 have it
    { CODEC_VC1, SEQUENCE "0", ENTRY FRAME "110", VC1_I },
    { CODEC_VC1, SEQUENCE "1", "0 110", VC1_I },
    { CODEC_VC1, SEQUENCE "1", "10 10", VC1_B },
    { CODEC_VC1, SEQUENCE "1", "11 001", VC1_I }, // fields: I and P
    { CODEC_VC1, SEQUENCE "1", "11 011", VC1_P },
    { CODEC_VC1, SEQUENCE "1", "11 100", VC1_B },
    { CODEC_WMV3, STRUCT_C "0 000 00 0 1", "00 0", VC1_I },
    { CODEC_WMV3, STRUCT_C "0 000 00 0 1", "00 1", VC1_P },
    { CODEC_WMV3, STRUCT_C "0 001 00 0 1", "11 1", VC1_P },
    { CODEC_WMV3, STRUCT_C "0 001 00 0 1", "11 01", VC1_I },
    { CODEC_WMV3, STRUCT_C "0 001 00 0 1", "11 00", VC1_B },
    { CODEC_WMV3, STRUCT_C "1 111 00 1 1", "1 11 1 00", VC1_B },
    { CODEC_WMV3, STRUCT_C "1 111 00 1 1", "0 00 0 1", VC1_P },
};

static void what_pictures_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(pictures); i++) {
        uint8_t headers[64], picture[64];
        const size_t n = bits(pictures[i].headers, headers), m = bits(pictures[i].picture, picture);
        const struct vc1 v = vc1_headers(pictures[i].codec, headers, n);
        assert_true(v.known);
        if (vc1_look(&v, picture, m) != pictures[i].type)
            fail_msg("picture %zu is %d", i, vc1_look(&v, picture, m));
        assert_int_equal(vc1_look(&v, picture, 0), VC1_P);
        assert_false(vc1_headers(pictures[i].codec, headers, 2).known);
    }
    assert_false(vc1_headers(CODEC_WMV2, (const uint8_t *)"WMV2", 4).known);
}

#define PICTURES 5

static void find_order(struct probe *p, struct clip *c, bool told, const int64_t *should)
{
    struct memory m;
    memory_init(&m, &c->bytes);
    meter_init(&p->meter, &m.io, MIB);
    for (int i = 0; i < c->count; i++) {
        c->samples[i].pts = told ? should[i] : 10 * i;
        c->samples[i].sync = true;
    }
    assert_int_equal(probe_order(p), 0);
    for (int i = 0; i < c->count; i++)
        assert_int_equal(c->samples[i].pts, should[i]);
    buf_finish(&m.out);
}

static void order_in_an_mp4(void **state)
{
    (void)state;
    static const char *const coded[PICTURES] = { "110", "0", "10", "110", "10" };
    static const int64_t shown[PICTURES] = { 0, 20, 10, 40, 30 };
    static const int64_t decoded[PICTURES] = { 0, 10, 20, 30, 40 };
    struct clip c;
    clip_init(&c);
    for (int i = 0; i < PICTURES; i++) {
        uint8_t bytes[8] = { 0 };
        const AVPacket p = { .data = bytes, .size = 8 };
        bits(coded[i], bytes);
        clip_add(&c, &p, 0, 10);
    }
    uint8_t headers[64];
    AVCodecParameters par = { .extradata = headers };
    par.extradata_size = (int)bits(SEQUENCE "0", headers);
    AVStream stream = { .codecpar = &par };
    struct index_track track = { .video = true, .samples = c.samples, .sample_count = PICTURES };
    char line[200] = "";
    const struct why why = { line, sizeof line };
    struct probe p = { .why = &why, .index.container = CONTAINER_MP4 };
    p.video = (struct chosen){ &track, &stream, CODEC_VC1 };
    find_order(&p, &c, false, shown);
    for (int i = 0; i < PICTURES; i++)
        assert_int_equal(c.samples[i].sync, i == 0 || i == 3);
    find_order(&p, &c, true, shown); // what is told stays
    p.video.codec = CODEC_H264;
    find_order(&p, &c, false, decoded);
    clip_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pictures_say),
        cmocka_unit_test(order_in_an_mp4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
