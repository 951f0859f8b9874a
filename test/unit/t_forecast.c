// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/media.h"
#include "server/forecast.h"

static struct media source = {
    .video = { .codec = CODEC_H264, .coded_width = 1920, .coded_height = 1080 }
};

static struct job encode(int samples, int64_t frames, int width, int height)
{
    struct job j = {
        .kind = JOB_VIDEO, .media = &source, .sample_count = samples, .part_count = 1
    };
    j.v.width = width;
    j.v.height = height;
    j.part_frames[0] = frames;
    return j;
}

static void knows_nothing_at_first(void **state)
{
    const struct job j = encode(100, 100, 640, 360), probe = { .kind = JOB_PROBE };
    struct forecast f = { 0 };
    (void)state;
    assert_int_equal(forecast_of(&f, &j), 0);
    forecast_learn(&f, &probe, 5000);
    assert_int_equal(forecast_of(&f, &j), 0);
    assert_int_equal(forecast_of(&f, &probe), 5000);
}

static void more_takes_longer(void **state)
{
    const struct job j = encode(100, 100, 640, 360), twice = encode(200, 200, 640, 360),
                     back = encode(200, 100, 640, 360);
    struct forecast f = { 0 };
    (void)state;
    forecast_learn(&f, &j, 1000000);
    assert_in_range(forecast_of(&f, &j), 999999, 1000001);
    assert_in_range(forecast_of(&f, &twice), 1999998, 2000002);
    // Decoding from further back costs its share: 1920x1080 against twice 640x360.
    assert_in_range(forecast_of(&f, &back), 1800000, 1830000);
}

// Who shares the decode adds what is coded.
static void company_is_cheaper(void **state)
{
    struct job j = encode(100, 100, 640, 360), more = encode(100, 100, 320, 180);
    struct forecast f = { 0 };
    (void)state;
    forecast_learn(&f, &j, 1000000);
    assert_in_range(forecast_in_company(&f, &j), 170000, 190000); // 2 x 640x360 of 1920x1080 more
    job_add_rung(&j, &more);
    forecast_learn(&f, &j, 1043478); // as much for each pixel
    assert_in_range(forecast_of(&f, &j), 1030000, 1050000);
}

static void what_is_not_alike_is_not_told(void **state)
{
    const struct job j = encode(100, 100, 640, 360), larger = encode(100, 100, 1280, 720);
    struct job hevc = j, sound = { .kind = JOB_AUDIO, .frames = 100 };
    struct forecast f = { 0 };
    (void)state;
    hevc.v.codec = VIDEO_HEVC;
    forecast_learn(&f, &j, 1000000);
    assert_int_equal(forecast_of(&f, &larger), 0);
    assert_int_equal(forecast_of(&f, &hevc), 0);
    assert_int_equal(forecast_of(&f, &sound), 0);
}

// However many there are: a frame of sound takes as long as millions of pixels.
static void of_many_kinds_no_other_is_told(void **state)
{
    static struct forecast f;
    const struct job sound = { .kind = JOB_AUDIO, .frames = 100 };
    int told = 0;
    (void)state;
    forecast_learn(&f, &sound, 50000);
    for (int width = 2; width <= 8000; width += 2) {
        const struct job j = encode(100, 100, width, 360);
        assert_int_equal(forecast_of(&f, &j), 0);
        forecast_learn(&f, &j, 1000000);
        forecast_learn(&f, &sound, 50000);
        assert_in_range(forecast_of(&f, &sound), 49999, 50001);
        told += forecast_of(&f, &j) > 999990;
    }
    assert_true(told > 3900 && told <= 4000);
}

// One that took long for once does not count for all; a machine that is slow now does.
static void it_follows(void **state)
{
    const struct job j = encode(100, 100, 640, 360), nothing = { .kind = JOB_AUDIO };
    struct forecast f = { 0 };
    (void)state;
    forecast_learn(&f, &j, 1000000);
    forecast_learn(&f, &j, 9000000);
    assert_in_range(forecast_of(&f, &j), 1999990, 2000010);
    for (int i = 0; i < 100; i++)
        forecast_learn(&f, &j, 9000000);
    assert_in_range(forecast_of(&f, &j), 8990000, 9000000);
    forecast_learn(&f, &nothing, 1000);
    assert_int_equal(forecast_of(&f, &nothing), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_nothing_at_first),
        cmocka_unit_test(more_takes_longer),
        cmocka_unit_test(company_is_cheaper),
        cmocka_unit_test(what_is_not_alike_is_not_told),
        cmocka_unit_test(of_many_kinds_no_other_is_told),
        cmocka_unit_test(it_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
