// SPDX-License-Identifier: BSD-2-Clause
//
// t_av_times - times where containers tell too little: clocks that turn and jump
// (timeline.h), pictures that nobody stamped (picture_times.h), and sound whose stamps are
// rough or have holes (sound_times.h).

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/av/index.h"
#include "codec/av/picture_times.h"
#include "codec/av/sound_times.h"
#include "codec/av/timeline.h"

#define SECOND 90000
#define WRAP ((int64_t)1 << 33)

// ---- one time line

#define PACKETS 10

static const struct {
    const char *what;
    struct {
        int track;
        int64_t time, should;
    } packets[PACKETS]; // until time and should are 0 for track 0
} lines[] = {
    { "as it is", { { 0, 100, 100 }, { 1, 90, 90 }, { 0, 3700, 3700 }, { 1, 2000, 2000 } } },
    { "the clock turns, for one track before the other",
      { { 0, WRAP - 100, WRAP - 100 },
        { 1, WRAP - 200, WRAP - 200 },
        { 0, 3500, WRAP + 3500 },
        { 1, WRAP - 20, WRAP - 20 },
        { 1, 1700, WRAP + 1700 },
        { 0, 7100, WRAP + 7100 } } },
    { "a track begins behind the turn",
      { { 0, WRAP - 100, WRAP - 100 }, { 1, 50, WRAP + 50 }, { 0, 3500, WRAP + 3500 } } },
    { "a gap of nine seconds stays",
      { { 0, 0 + 1, 1 }, { 0, 3601, 3601 }, { 0, 9 * SECOND, 9 * SECOND } } },
    { "another recording: both tracks go on, together",
      { { 0, 10 * SECOND, 10 * SECOND },
        { 1, 10 * SECOND + 10, 10 * SECOND + 10 },
        { 0, 10 * SECOND + 3600, 10 * SECOND + 3600 },
        { 1, 10 * SECOND + 2000, 10 * SECOND + 2000 },
        { 0, 500 * SECOND, 10 * SECOND + 7200 },
        { 1, 500 * SECOND + 5, 10 * SECOND + 7205 },
        { 0, 500 * SECOND + 3600, 10 * SECOND + 10800 } } },
    { "and one that began earlier",
      { { 0, 1000 * SECOND, 1000 * SECOND },
        { 0, 1000 * SECOND + 3600, 1000 * SECOND + 3600 },
        { 0, 3, 1000 * SECOND + 7200 },
        { 0, 3603, 1000 * SECOND + 10800 } } },
};

static void one_time_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(lines); i++) {
        struct timeline l;
        timeline_init(&l, SECOND);
        for (int k = 0; k < PACKETS && (lines[i].packets[k].time || lines[i].packets[k].track);
             k++) {
            const int64_t time = lines[i].packets[k].time;
            const int64_t is = time + timeline_add(&l, lines[i].packets[k].track, time);
            if (is != lines[i].packets[k].should)
                fail_msg("%s, packet %d: is %lld, should %lld", lines[i].what, k, (long long)is,
                         (long long)lines[i].packets[k].should);
        }
    }
}

// ---- pictures

#define NO INDEX_NO_PTS
#define PICTURES 8

// Pictures in the order of decoding: pts, dts, order; 'r' restarts, 'b' is a B-picture.
static const struct {
    const char *what;
    enum picture_order order;
    int count;
    int64_t pts[PICTURES], dts[PICTURES];
    int32_t orders[PICTURES];
    const char *kinds;
    int64_t should[PICTURES];
} cases[] = {
    { "all are told",
      ORDER_TYPES,
      3,
      { 20, 50, 30 },
      { NO, NO, NO },
      { 0 },
      "rpb",
      { 20, 50, 30 } },
    { "decode times alone, in order",
      ORDER_DECODED,
      3,
      { NO, NO, NO },
      { 0, 10, 25 },
      { 0 },
      "rpp",
      { 0, 10, 25 } },
    { "by types",
      ORDER_TYPES,
      5,
      { NO, NO, NO, NO, NO },
      { 0, 10, 20, 30, 40 },
      { 0 },
      "rpbbp",
      { 0, 30, 10, 20, 40 } },
    { "by counts, begun anew at a picture that restarts",
      ORDER_COUNTED,
      6,
      { NO, NO, NO, NO, NO, NO },
      { 0, 10, 20, 30, 40, 50 },
      { 0, 6, 2, 4, 0, 2 },
      "rpppRp",
      { 0, 30, 10, 20, 40, 50 } },
    { "nothing at all",
      ORDER_COUNTED,
      3,
      { NO, NO, NO },
      { NO, NO, NO },
      { 0, 4, 2 },
      "rpp",
      { 0, 20, 10 } },
    { "some pts: others between them",
      ORDER_TYPES,
      6,
      { 100, NO, NO, 160, NO, NO },
      { NO, NO, NO, NO, NO, NO },
      { 0 },
      "rppppp",
      { 100, 120, 140, 160, 170, 180 } },
    { "and before the first",
      ORDER_DECODED,
      3,
      { NO, NO, 100 },
      { NO, NO, NO },
      { 0 },
      "rpp",
      { 80, 90, 100 } },
    { "pts that can be nothing but decode times",
      ORDER_TYPES,
      4,
      { 0, 10, 20, 30 },
      { NO, NO, NO, NO },
      { 0 },
      "rpbp",
      { 0, 20, 10, 30 } },
    { "times of showing that were taken for those of decoding",
      ORDER_TYPES,
      4,
      { NO, NO, NO, NO },
      { 0, 20, 10, 30 },
      { 0 },
      "rpbp",
      { 0, 20, 10, 30 } },
    { "a hole in the decode times stays",
      ORDER_DECODED,
      3,
      { NO, NO, NO },
      { 0, 50, 60 },
      { 0 },
      "rpp",
      { 0, 50, 60 } },
};

static void pictures_that_nobody_stamped(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct sample samples[PICTURES] = { 0 };
        struct picture pictures[PICTURES] = { 0 };
        for (int k = 0; k < cases[i].count; k++) {
            samples[k].pts = cases[i].pts[k];
            pictures[k] =
                (struct picture){ .dts = cases[i].dts[k],
                                  .order = cases[i].orders[k],
                                  .restarts = cases[i].kinds[k] == 'r' || cases[i].kinds[k] == 'R',
                                  .b = cases[i].kinds[k] == 'b' };
        }
        assert_int_equal(picture_times(samples, pictures, cases[i].count, cases[i].order, 10), 0);
        for (int k = 0; k < cases[i].count; k++)
            if (samples[k].pts != cases[i].should[k])
                fail_msg("%s, picture %d: is %lld, should %lld", cases[i].what, k,
                         (long long)samples[k].pts, (long long)cases[i].should[k]);
    }
}

// ---- sound

#define WMA_PACKETS 7

// As a Windows encoder stamped them, in milliseconds, and how many frames it says end in each.
static const struct {
    int64_t time;
    uint8_t first;
    int64_t should; // samples at 44.1 kHz
} wma[WMA_PACKETS] = {
    { 0, 0x09, -2048 },       { 325, 0x18, 7 * 2048 },   { 695, 0x26, 15 * 2048 },
    { 996, 0x34, 21 * 2048 }, { 1177, 0x45, 25 * 2048 }, { 1404, 0x55, 30 * 2048 },
    { 3000, 0x65, 132300 }, // behind a hole
};

// Packets of WMA that share their bits follow one another by what they decode to.
static void wma_follows(void **state)
{
    (void)state;
    uint8_t flags[6] = { 0, 0, 0, 0, 2 };
    struct sample samples[WMA_PACKETS];
    uint8_t heads[WMA_PACKETS][2];
    for (int i = 0; i < WMA_PACKETS; i++) {
        samples[i] = (struct sample){ .pts = wma[i].time, .duration = 371, .size = 5945 };
        heads[i][0] = wma[i].first;
    }
    const struct index_track t = {
        .timescale = 1000, .samples = samples, .sample_count = WMA_PACKETS, .heads = heads
    };
    struct audio_track a = { .codec = CODEC_WMAV2,
                             .sample_rate = 44100,
                             .channels = 2,
                             .extradata = flags,
                             .extradata_size = sizeof flags };
    const struct sound_origin t0 = { 0, 1000 };
    assert_int_equal(sound_times(&a, &t, 8 * 2048, 0, t0), 0);
    assert_int_equal(a.sample_count, WMA_PACKETS);
    for (int i = 0; i < WMA_PACKETS; i++)
        assert_int_equal(a.samples[i].pts, wma[i].should);
    assert_int_equal(a.samples[1].duration, 8 * 2048);
    free(a.samples);
}

// Packets of a DVD's PCM differ in length, of 16 bits and of 24.
static void pcm_of_a_dvd(void **state)
{
    (void)state;
    uint8_t heads[3][2] = { { 0, 1 }, { 0, 1 }, { 0, 0x81 } };
    struct sample samples[3] = { { .pts = 0, .size = 2005 },
                                 { .pts = INDEX_NO_PTS, .size = 2033 },
                                 { .pts = INDEX_NO_PTS, .size = 1203 } };
    const struct index_track t = {
        .timescale = 90000, .samples = samples, .sample_count = 3, .heads = heads
    };
    struct audio_track a = { .codec = CODEC_PCM_DVD, .sample_rate = 48000, .channels = 2 };
    assert_int_equal(sound_times(&a, &t, 600, 0, (struct sound_origin){ 0, 90000 }), 0);
    assert_int_equal(a.samples[1].pts, 500);
    assert_int_equal(a.samples[2].pts, 500 + 507);
    assert_int_equal(a.samples[2].duration, 200);
    free(a.samples);
}

#define PRO_PACKETS 5

// Packets of WMA Pro hold frames of 2048 samples, as many as their times say, but the first, of
// which two come with the next: so all comes two frames before it is stamped.
static void wma_pro_goes_by_its_times(void **state)
{
    (void)state;
    const int64_t times[PRO_PACKETS] = { 0, 425, 767, 1108, 1535 };
    const int frames[PRO_PACKETS] = { 8, 8, 8, 10, 10 };
    struct sample samples[PRO_PACKETS];
    for (int i = 0; i < PRO_PACKETS; i++)
        samples[i] = (struct sample){ .pts = times[i], .size = 9 };
    const struct index_track t = { .timescale = 1000,
                                   .samples = samples,
                                   .sample_count = PRO_PACKETS };
    struct audio_track a = { .codec = CODEC_WMAPRO, .sample_rate = 48000, .channels = 2 };
    int64_t at = 425 * 48 - (2 + 8) * 2048; // all but at 0
    assert_int_equal(sound_times(&a, &t, 2048, 8 * 2048, (struct sound_origin){ 0, 1000 }), 0);
    for (int i = 0; i < PRO_PACKETS; i++) {
        assert_int_equal(a.samples[i].pts, at);
        assert_int_equal(a.samples[i].duration, frames[i] * 2048);
        at += frames[i] * 2048;
    }
    free(a.samples);
}

#define BLOCKS 4

// Headers of Vorbis as FFmpeg has them: blocks of 512 and 4096 samples, and a mode for each.
static uint8_t vorbis_headers[] = "\0\x1e"
                                  "\1vorbis\0\0\0\0\1\x44\xac\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xc9\1"
                                  "\0\1\3"
                                  "\0\x13"
                                  "\5vorbis\1\0\0\0\0\x80\0\0\0\0\0\1";

// The time that libavformat gives to a short block behind a long one is too late, by more
// than 20 ms.
static void short_blocks_follow(void **state)
{
    (void)state;
    uint8_t heads[BLOCKS][2] = { { 0x0e }, { 0x06 }, { 0 }, { 0 } };
    struct sample samples[BLOCKS] = {
        { .pts = 0 }, { .pts = 2048 }, { .pts = 4096 + 896 }, { .pts = 5248 }
    };
    const int64_t should[BLOCKS + 1] = { 0, 2048, 4096, 5248, 5504 };
    const struct index_track t = {
        .timescale = 44100, .samples = samples, .sample_count = BLOCKS, .heads = heads
    };
    struct audio_track a = { .codec = CODEC_VORBIS,
                             .sample_rate = 44100,
                             .channels = 1,
                             .extradata = vorbis_headers,
                             .extradata_size = sizeof vorbis_headers - 1 };
    assert_int_equal(sound_times(&a, &t, 2048, 0, (struct sound_origin){ 0, 44100 }), 0);
    assert_int_equal(a.sample_count, BLOCKS);
    for (int i = 0; i < BLOCKS; i++) {
        assert_int_equal(a.samples[i].pts, should[i]);
        assert_int_equal(a.samples[i].duration, should[i + 1] - should[i]);
    }
    free(a.samples);
}

#define SOUNDS 4

#define ALONE -1

// Packets of AAC at 48 kHz, each of 1024 samples, with pictures from `first` of 90 kHz on, or
// ALONE.
static const struct {
    const char *what;
    int64_t first;
    struct {
        int64_t pts, should;
    } packets[SOUNDS]; // the first one, and all until both are 0
} sounds[] = {
    { "one behind the other", 1890, { { 0, -1008 }, { 1024, 16 }, { 2048, 1040 } } },
    // As FFmpeg makes it of a copy whose first packet it gives the time until the second, which
    // comes where the pictures do, but for 16 samples.
    { "a hole until 16 samples behind the first picture",
      7200,
      { { 0, -3840 }, { 3856, 16 }, { 4880, 1040 } } },
    { "a jitter of less than 20 ms is none",
      0,
      { { 0, 0 }, { 1024 + 950, 1024 }, { 2048, 2048 } } },
    { "what is later is", 0, { { 0, 0 }, { 1024 + 970, 1994 }, { 2048 + 970, 3018 } } },
    { "alone it begins at once", ALONE, { { 4800, 0 }, { 5824, 1024 } } },
    { "the first two at one time: the first is not heard",
      ALONE,
      { { 1024, -1024 }, { 1024, 0 }, { 2048, 1024 } } },
    { "what has no time comes before the first that has one",
      0,
      { { NO, 952 }, { NO, 1976 }, { 3000, 3000 }, { NO, 4024 } } },
    { "and is heard, too", ALONE, { { NO, 0 }, { NO, 1024 }, { 3000, 2048 }, { NO, 3072 } } },
};

static void sound_with_holes(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(sounds); i++) {
        struct sample samples[SOUNDS] = { 0 };
        struct index_track t = { .timescale = 48000, .samples = samples };
        struct audio_track a = { .codec = CODEC_AAC, .sample_rate = 48000, .channels = 2 };
        for (int k = 0; k < SOUNDS && (k == 0 || sounds[i].packets[k].pts); k++)
            samples[t.sample_count++] =
                (struct sample){ .pts = sounds[i].packets[k].pts, .size = 9, .duration = 1024 };
        const struct sound_origin t0 = { sounds[i].first, 90000 }, alone = { 0, 0 };
        const bool with = sounds[i].first != ALONE;
        assert_int_equal(sound_times(&a, &t, 1024, 0, with ? t0 : alone), 0);
        assert_int_equal(a.sample_count, t.sample_count);
        for (int k = 0; k < a.sample_count; k++)
            if (a.samples[k].pts != sounds[i].packets[k].should)
                fail_msg("%s, packet %d: is %lld, should %lld", sounds[i].what, k,
                         (long long)a.samples[k].pts, (long long)sounds[i].packets[k].should);
        free(a.samples);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_time_line),
        cmocka_unit_test(pictures_that_nobody_stamped),
        cmocka_unit_test(wma_follows),
        cmocka_unit_test(short_blocks_follow),
        cmocka_unit_test(wma_pro_goes_by_its_times),
        cmocka_unit_test(pcm_of_a_dvd),
        cmocka_unit_test(sound_with_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
