// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/segment.h"

static void cuts(void **state)
{
    (void)state;
    static const struct {
        struct rational fps;
        int64_t frames, target_ms;
        int64_t per;
        int count;
        int64_t last; // frames of the last segment
        int target;   // EXT-X-TARGETDURATION without audio
    } cases[] = {
        { { 25, 1 }, 1000, 4000, 100, 10, 100, 4 },
        { { 25, 2 }, 377, 4000, 50, 8, 27, 4 },
        { { 30000, 1001 }, 869, 4000, 120, 8, 29, 4 },
        { { 24000, 1001 }, 24000, 4000, 96, 250, 96, 4 },
        { { 60, 1 }, 469, 4000, 240, 2, 229, 4 },
        { { 25, 1 }, 75, 3000, 76, 1, 75, 3 },    // odd is made even
        { { 25, 1 }, 1, 4000, 100, 1, 1, 1 },     // a single frame
        { { 25, 1 }, 100, 4000, 100, 1, 100, 4 }, // exactly one
        { { 25, 1 }, 101, 4000, 100, 1, 101, 4 }, // and a frame: joined
        { { 25, 1 }, 112, 4000, 100, 1, 112, 4 }, // 4.48 s still rounds to 4
        { { 25, 1 }, 113, 4000, 100, 2, 13, 4 },  // 4.52 s does not
        { { 25, 1 }, 125, 4000, 100, 2, 25, 4 },
        { { 25, 1 }, 112, 4400, 110, 1, 112, 4 },
        { { 60, 1 }, 271, 4480, 268, 1, 271, 5 }, // under 0.1 s: joined at any price
        { { 60, 1 }, 276, 4480, 268, 2, 8, 4 },
        { { 1, 1 }, 10, 1000, 1, 10, 1, 1 },
        { { 48000, 1024 }, 4688, 4000, 188, 25, 176, 4 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct segtab t = segtab_make(cases[i].fps, cases[i].frames, cases[i].target_ms);
        const int64_t last = t.frames - segtab_frame(&t, t.count - 1);
        if (t.per != cases[i].per || t.count != cases[i].count || last != cases[i].last ||
            segtab_target_duration(&t, 0) != cases[i].target)
            fail_msg("case %zu: per %ld, count %d, last %ld, target %d", i, (long)t.per, t.count,
                     (long)last, segtab_target_duration(&t, 0));
    }
}

static const struct rational rates[] = {
    { 1, 1 },        { 10, 1 },       { 25, 2 },     { 24000, 1001 }, { 24, 1 },
    { 25, 1 },       { 30000, 1001 }, { 30, 1 },     { 50, 1 },       { 59999, 1001 },
    { 60000, 1001 }, { 60, 1 },       { 2081, 138 }, { 125, 4 },      { 375, 8 },
};

static const int sample_rates[] = { 32000, 44100, 48000 };

static void check_parts(const struct segtab *t)
{
    const int64_t longest = segtab_part_max(t), shortest = segtab_part_min(t);
    int64_t at = 0;
    for (int k = 0; k < t->count; k++) {
        assert_in_range(segtab_parts(t, k), 1, 64);
        for (int j = 0; j < segtab_parts(t, k); j++) {
            int64_t first, n;
            segtab_part(t, k, j, &first, &n);
            assert_int_equal(first, at);
            assert_in_range(n, 1, t->part + t->part / 2 + 1);
            assert_in_range(n, shortest, longest);
            at += n;
        }
        assert_int_equal(at, segtab_frame(t, k + 1));
    }
}

static void check_video(const struct segtab *t, int target)
{
    const int64_t duration = muldiv_round(t->frames, 1000000 * t->fps.den, t->fps.num);
    int64_t sum = 0;
    for (int k = 0; k < t->count; k++) {
        const int64_t us = segtab_start_us(t, k + 1) - segtab_start_us(t, k);
        assert_true(us > 0 && (us + 500000) / 1000000 <= target);
        assert_true(t->count == 1 || us > 90000);
        sum += us;
    }
    assert_int_equal(sum, duration);
}

static void check_audio(const struct segtab *t, int rate, int target)
{
    assert_int_equal(segtab_audio_frame(t, 0, rate), 0);
    for (int k = 0; k < t->count; k++) {
        const int64_t a = segtab_audio_frame(t, k, rate);
        assert_true(segtab_audio_frame(t, k + 1, rate) > a);
        // Starts within a frame after the video: 0 <= a * 1024 / rate - f / fps < 1024 / rate.
        const __int128 late =
            (__int128)a * 1024 * t->fps.num - (__int128)segtab_frame(t, k) * t->fps.den * rate;
        assert_true(late >= 0 && late < (__int128)1024 * t->fps.num);
        const int64_t us =
            segtab_audio_start_us(t, k + 1, rate) - segtab_audio_start_us(t, k, rate);
        assert_true((us + 500000) / 1000000 <= target);
    }
}

static void every_frame_once(void **state)
{
    (void)state;
    static const int64_t targets[] = { 1000, 2000, 3000, 4000, 4480, 6000, 20000 };
    for (size_t r = 0; r < countof(rates); r++)
        for (size_t i = 0; i < countof(targets); i++) {
            const int64_t longest = rat_double(rates[r]) * 45 + 3;
            for (int64_t frames = 1; frames < longest; frames += 1 + frames / 97) {
                const struct segtab t = segtab_make(rates[r], frames, targets[i]);
                assert_int_equal(segtab_frame(&t, 0), 0);
                assert_int_equal(segtab_frame(&t, t.count), frames);
                check_parts(&t);
                check_video(&t, segtab_target_duration(&t, 0));
                for (size_t s = 0; s < countof(sample_rates); s++)
                    check_audio(&t, sample_rates[s], segtab_target_duration(&t, sample_rates[s]));
            }
        }
}

// Twelve hours: no drift between the clocks.
static void long_assets(void **state)
{
    (void)state;
    for (size_t r = 0; r < countof(rates); r++) {
        const int64_t frames = muldiv_floor(12 * 3600, rates[r].num, rates[r].den);
        const struct segtab t = segtab_make(rates[r], frames, 4000);
        check_video(&t, segtab_target_duration(&t, 44100));
        check_audio(&t, 44100, segtab_target_duration(&t, 44100));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts),
        cmocka_unit_test(every_frame_once),
        cmocka_unit_test(long_assets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
