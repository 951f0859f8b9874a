// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/grid.h"

#define FRAMES_MAX 250000

static int64_t *pts_memory(void)
{
    static int64_t pts[FRAMES_MAX];
    return pts;
}

// Frame i at i / fps, rounded to a tick.
static void constant(int64_t *pts, int n, struct rational fps, int64_t timescale)
{
    for (int i = 0; i < n; i++)
        pts[i] = muldiv_round(i, fps.den * timescale, fps.num);
}

static void expect_fps(struct rational got, struct rational want)
{
    if (got.num != want.num || got.den != want.den)
        fail_msg("%ld/%ld instead of %ld/%ld", (long)got.num, (long)got.den, (long)want.num,
                 (long)want.den);
}

static const struct rational rates[] = {
    { 10, 1 },       { 25, 2 }, { 15, 1 }, { 20, 1 }, { 24000, 1001 }, { 24, 1 }, { 25, 1 },
    { 30000, 1001 }, { 30, 1 }, { 48, 1 }, { 50, 1 }, { 60000, 1001 }, { 60, 1 },
};

static const int64_t timescales[] = { 600, 1000, 12800, 30000, 90000, 1000000, 1000000000 };

// A constant rate is found and its grid is the identity, whatever the clock rounds.
static void constant_rates(void **state)
{
    (void)state;
    static const int lengths[] = { 30, 31, 300, 5000, 200000 };
    int64_t *pts = pts_memory();
    for (size_t r = 0; r < countof(rates); r++)
        for (size_t t = 0; t < countof(timescales); t++)
            for (size_t l = 0; l < countof(lengths); l++) {
                const int n = lengths[l];
                // Where 0.1 % is less than a tick, 59.94 may truly look like 60.
                if (n * timescales[t] * rates[r].den < 2000 * rates[r].num)
                    continue;
                constant(pts, n, rates[r], timescales[t]);
                const int64_t end = muldiv_round(n, rates[r].den * timescales[t], rates[r].num);
                const struct rational fps = grid_fps(pts, n, end, timescales[t]);
                expect_fps(fps, rates[r]);
                assert_int_equal(grid_frames(end, timescales[t], fps), n);
                assert_true(grid_identity(pts, n, timescales[t], fps));
            }
}

static void unusual_rates(void **state)
{
    (void)state;
    static const struct {
        struct rational source, want;
        int64_t timescale;
    } cases[] = {
        { { 14, 1 }, { 14, 1 }, 600 },
        { { 47, 2 }, { 47, 2 }, 47000 },
        { { 1, 1 }, { 1, 1 }, 1000 },
        { { 5, 1 }, { 5, 1 }, 1000 },
        { { 1, 2 }, { 1, 1 }, 1000 }, // a picture each two seconds: twice each
        { { 1, 10 }, { 1, 1 }, 90000 },
        { { 120, 1 }, { 60, 1 }, 90000 }, // above 60: divided
        { { 120, 1 }, { 60, 1 }, 1000 },
        { { 120000, 1001 }, { 60000, 1001 }, 120000 },
        { { 240, 1 }, { 60, 1 }, 600 * 4 },
        { { 100, 1 }, { 50, 1 }, 90000 },
        { { 90, 1 }, { 45, 1 }, 90000 },
        { { 144, 1 }, { 48, 1 }, 1000000 },
        { { 1000, 1 }, { 1000, 17 }, 1000 },
        { { 603, 10 }, { 60, 1 }, 6030 }, // hardly above
        // A camera's own clock, long enough to show that it is not 29.97.
        { { 5997, 200 }, { 5997, 200 }, 5997 },
    };
    int64_t *pts = pts_memory();
    for (size_t i = 0; i < countof(cases); i++) {
        const int n = 20000;
        constant(pts, n, cases[i].source, cases[i].timescale);
        const int64_t end = pts[n - 1] + pts[1];
        expect_fps(grid_fps(pts, n, end, cases[i].timescale), cases[i].want);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

// What phones, screen recorders and old files do.
static void variable_rates(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct rational source, want;
        int64_t timescale;
        int n, jitter_permille, drop_percent;
    } cases[] = {
        { "phone, jitter", { 60, 1 }, { 60, 1 }, 90000, 18, 35, 0 },
        { "phone, jitter, long", { 30, 1 }, { 30, 1 }, 90000, 9000, 100, 0 },
        { "29.97 with holes", { 30000, 1001 }, { 30000, 1001 }, 600, 77, 0, 10 },
        { "29.97 with holes, ms", { 30000, 1001 }, { 30000, 1001 }, 1000, 5000, 0, 7 },
        { "screen, holes", { 60, 1 }, { 60, 1 }, 6000, 469, 0, 1 },
        { "browser", { 15, 1 }, { 15, 1 }, 1000, 74, 60, 0 },
        { "one hole in an hour", { 24000, 1001 }, { 24000, 1001 }, 1000, 90000, 0, 0 },
    };
    int64_t *pts = pts_memory();
    for (size_t i = 0; i < countof(cases); i++) {
        uint32_t seed = 7;
        int n = 0;
        const int64_t d =
            muldiv_round(cases[i].timescale, cases[i].source.den, cases[i].source.num);
        for (int k = 0; k < cases[i].n; k++) {
            const bool drop = (int)(next_random(&seed) % 100) < cases[i].drop_percent;
            if (k > 0 && (drop || (cases[i].n == 90000 && k == 45000)))
                continue;
            const int64_t span = d * cases[i].jitter_permille / 1000;
            const int64_t off = span ? (int64_t)(next_random(&seed) % (2 * span + 1)) - span : 0;
            pts[n++] =
                muldiv_round(k, cases[i].source.den * cases[i].timescale, cases[i].source.num) +
                (k ? off : 0);
        }
        const struct rational fps = grid_fps(pts, n, pts[n - 1] + d, cases[i].timescale);
        if (rat_cmp(fps, cases[i].want) != 0)
            fail_msg("%s: %ld/%ld", cases[i].what, (long)fps.num, (long)fps.den);
    }
}

// No mode at all: the mean, with a denominator that keeps time scales small.
static void no_rate_at_all(void **state)
{
    (void)state;
    int64_t *pts = pts_memory();
    for (uint32_t seed = 1; seed < 300; seed++) {
        uint32_t s = seed;
        const int n = 2 + (int)(next_random(&s) % 400);
        const int64_t widest = 1 + next_random(&s) % 100000;
        pts[0] = 0;
        for (int i = 1; i < n; i++)
            pts[i] = pts[i - 1] + 1 + next_random(&s) % widest;
        const int64_t timescale = 1 + next_random(&s) % 100000;
        const struct rational fps = grid_fps(pts, n, pts[n - 1] + 1, timescale);
        assert_in_range(fps.den, 1, 1001);
        assert_true(fps.num >= fps.den && fps.num <= 60 * fps.den);
        expect_fps(rat_reduce(fps), fps);
    }
}

static void extremes(void **state)
{
    (void)state;
    const int64_t limit = INT64_C(1000000) * 1000000000;
    const struct {
        int64_t pts[3];
        int n;
        int64_t end, timescale;
    } cases[] = {
        { { 0 }, 1, 1, 1 },
        { { 0 }, 1, 1, 1000000000 },
        { { 0 }, 1, limit, 1000000000 },
        { { 0, 1 }, 2, 2, 1000000000 },
        { { 0, limit - 1 }, 2, limit, 1000000000 },
        { { 0, 1, limit - 1 }, 3, limit, 1000000000 },
        { { 0, 1, 2 }, 3, 1000000, 1 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct rational fps =
            grid_fps(cases[i].pts, cases[i].n, cases[i].end, cases[i].timescale);
        assert_true(fps.den >= 1 && fps.den <= 1001);
        assert_true(fps.num >= fps.den && fps.num <= 60 * fps.den);
        const int64_t frames = grid_frames(cases[i].end, cases[i].timescale, fps);
        assert_true(frames >= 1);
        assert_in_range(grid_pick(cases[i].pts, cases[i].n, cases[i].timescale, fps, frames - 1), 0,
                        cases[i].n - 1);
    }
    const int64_t one[] = { 0 };
    expect_fps(grid_fps(one, 1, 33, 1000), (struct rational){ 30, 1 });
    expect_fps(grid_fps(one, 1, 180000, 1000), (struct rational){ 1, 1 });
}

// The nearest by brute force, a tie to the earlier.
// Film on discs and in broadcasts: a picture lasts two fields, the next one three.
static void soft_pulldown(void **state)
{
    (void)state;
    int64_t *pts = pts_memory();
    static const int64_t timescales_of_film[] = { 1000, 90000, 60000 };
    for (size_t t = 0; t < countof(timescales_of_film); t++)
        for (int n = 8; n < 5000; n += 77) {
            for (int i = 0; i < n; i++)
                pts[i] =
                    muldiv_round(5 * (i / 2) + 2 * (i % 2), 1001 * timescales_of_film[t], 60000);
            const struct rational fps = grid_fps(pts, n, pts[n - 1] + 1, timescales_of_film[t]);
            expect_fps(fps, (struct rational){ 24000, 1001 });
            assert_true(grid_identity(pts, n, timescales_of_film[t], fps));
        }
}

static int nearest(const int64_t *pts, int n, int64_t timescale, struct rational fps, int64_t frame)
{
    int best = 0;
    __int128 least = -1;
    for (int i = 0; i < n; i++) {
        __int128 d = (__int128)pts[i] * fps.num - (__int128)frame * timescale * fps.den;
        d = d < 0 ? -d : d;
        if (least < 0 || d < least) {
            least = d;
            best = i;
        }
    }
    return best;
}

static void picks_the_nearest(void **state)
{
    (void)state;
    int64_t *pts = pts_memory();
    for (uint32_t seed = 1; seed < 200; seed++) {
        uint32_t s = seed;
        const int n = 1 + (int)(next_random(&s) % 60);
        pts[0] = 0;
        for (int i = 1; i < n; i++)
            pts[i] = pts[i - 1] + 1 + next_random(&s) % 12;
        const struct rational fps = rates[next_random(&s) % countof(rates)];
        const int64_t timescale = 100 + next_random(&s) % 100;
        const int64_t frames = grid_frames(pts[n - 1] + 20, timescale, fps);
        for (int64_t f = 0; f < frames; f++)
            assert_int_equal(grid_pick(pts, n, timescale, fps, f),
                             nearest(pts, n, timescale, fps, f));
    }
    // 25 frames a second over pictures at 0, 40, 120: frame 2 is as far from 40 as from 120.
    const int64_t tie[] = { 0, 40, 120 };
    assert_int_equal(grid_pick(tie, 3, 1000, (struct rational){ 25, 1 }, 2), 1);
}

static void shown_through_the_order(void **state)
{
    (void)state;
    struct sample samples[] = { { .pts = 0 }, { .pts = 120 }, { .pts = 40 }, { .pts = 80 } };
    int shown[] = { 0, 2, 3, 1 };
    struct media m = { .fps = { 25, 1 },
                       .video = { .codec = CODEC_H264,
                                  .timescale = 1000,
                                  .samples = samples,
                                  .sample_count = 4,
                                  .shown = shown,
                                  .shown_count = 4 } };
    for (int n = 0; n < 4; n++)
        assert_int_equal(grid_shown(&m, n), n);
    assert_int_equal(grid_shown(&m, 1000000), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_pulldown),     cmocka_unit_test(constant_rates),
        cmocka_unit_test(unusual_rates),     cmocka_unit_test(variable_rates),
        cmocka_unit_test(no_rate_at_all),    cmocka_unit_test(extremes),
        cmocka_unit_test(picks_the_nearest), cmocka_unit_test(shown_through_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
