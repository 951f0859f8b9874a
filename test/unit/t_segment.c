// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "codec/segment.h"

#define NO_AUDIO ((struct rational){ 0, 1 })
#define CD ((struct rational){ 44100, 1024 })

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
            segtab_target_duration(&t, NO_AUDIO) != cases[i].target)
            fail_msg("case %zu: per %ld, count %d, last %ld, target %d", i, (long)t.per, t.count,
                     (long)last, segtab_target_duration(&t, NO_AUDIO));
    }
}

static const struct rational rates[] = {
    { 1, 1 },        { 10, 1 },       { 25, 2 },     { 24000, 1001 }, { 24, 1 },
    { 25, 1 },       { 30000, 1001 }, { 30, 1 },     { 50, 1 },       { 59999, 1001 },
    { 60000, 1001 }, { 60, 1 },       { 2081, 138 }, { 125, 4 },      { 375, 8 },
};

// Frames a second: of AAC, and of Opus.
static const struct rational audio_rates[] = {
    { 32000, 1024 }, { 44100, 1024 }, { 48000, 1024 }, { 48000, 960 }
};

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
            assert_in_range(n, 1, k < t->ramp ? t->per : t->part + t->part / 2 + 1);
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

static void check_audio(const struct segtab *t, struct rational rate, int target)
{
    assert_int_equal(segtab_audio_frame(t, 0, rate), 0);
    for (int k = 0; k < t->count; k++) {
        const int64_t a = segtab_audio_frame(t, k, rate);
        assert_true(segtab_audio_frame(t, k + 1, rate) > a);
        // Starts within a frame after the video: 0 <= a / rate - f / fps < 1 / rate.
        const __int128 late = (__int128)a * rate.den * t->fps.num -
                              (__int128)segtab_frame(t, k) * t->fps.den * rate.num;
        assert_true(late >= 0 && late < (__int128)rate.den * t->fps.num);
        const int64_t us =
            segtab_audio_start_us(t, k + 1, rate) - segtab_audio_start_us(t, k, rate);
        assert_true((us + 500000) / 1000000 <= target);
    }
}

// ---- ramps

static void ramps(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct rational fps;
        int64_t frames;
        int64_t ms[SEGTAB_RAMP_MAX]; // of the ramp; all in segments of 4 s
        int ramp;                    // of them are taken
        int64_t starts[6];           // but for the first, and with the end
    } cases[] = {
        { "a part, which costs nothing", { 25, 1 }, 325, { 2000 }, 1, { 50, 150, 250, 325 } },
        { "one, then two", { 25, 1 }, 325, { 1000, 2000 }, 2, { 25, 75, 175, 275, 325 } },
        { "equal ones", { 25, 1 }, 225, { 1000, 1000 }, 2, { 25, 50, 150, 225 } },
        { "no less than what was told", { 25, 2 }, 125, { 1000 }, 1, { 13, 63, 113, 125 } },
        { "of NTSC", { 30000, 1001 }, 300, { 1000, 2000 }, 2, { 30, 90, 210, 300 } },
        { "as much is left", { 25, 1 }, 50, { 1000, 2000 }, 1, { 25, 50 } },
        { "a frame less", { 25, 1 }, 49, { 1000, 2000 }, 0, { 49 } },
        { "the second has no room", { 25, 1 }, 124, { 1000, 2000 }, 1, { 25, 124 } },
        { "it has", { 25, 1 }, 125, { 1000, 2000 }, 2, { 25, 75, 125 } },
        { "a rest that joins", { 25, 1 }, 187, { 1000, 2000 }, 2, { 25, 75, 187 } },
        { "a rest that does not", { 25, 1 }, 188, { 1000, 2000 }, 2, { 25, 75, 175, 188 } },
        { "no room behind the first, but for two",
          { 25, 1 },
          217,
          { 1000, 3900 },
          1,
          { 25, 125, 217 } },
        { "a picture", { 25, 1 }, 1, { 1000 }, 0, { 1 } },
        { "as long as the others, in frames", { 1, 1 }, 9, { 3500 }, 0, { 4, 8, 9 } },
        { "pictures that last longer", { 1, 5 }, 3, { 1000 }, 0, { 1, 2, 3 } },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct segtab t = segtab_make(cases[i].fps, cases[i].frames, 4000);
        int n = 0;
        while (n < SEGTAB_RAMP_MAX && cases[i].ms[n])
            n++;
        segtab_ramp(&t, cases[i].ms, n);
        if (t.ramp != cases[i].ramp)
            fail_msg("%s: %d in the ramp", cases[i].what, t.ramp);
        for (int k = 1; k <= t.count; k++)
            if (segtab_frame(&t, k) != cases[i].starts[k - 1])
                fail_msg("%s: cut %d at %ld", cases[i].what, k, (long)segtab_frame(&t, k));
        if (t.count < (int)countof(cases[i].starts))
            assert_int_equal(cases[i].starts[t.count], 0);
    }
}

static const int64_t some_ramps[][SEGTAB_RAMP_MAX] = {
    { 0 }, { 1000 }, { 2000 }, { 1000, 2000 }, { 1000, 1000, 1500 }, { 1200, 1700, 2300, 3500 },
};

// Such of one of those as stay below a target.
static void give_ramp(struct segtab *t, const int64_t *ms, int64_t target_ms)
{
    int n = 0;
    while (n < SEGTAB_RAMP_MAX && ms[n] && ms[n] < target_ms)
        n++;
    segtab_ramp(t, ms, n);
}

// What is in the ramp is as long as was told, a second at least, and what follows no shorter.
static void check_ramp(const struct segtab *t)
{
    for (int k = 0; k < t->ramp; k++) {
        const int64_t n = segtab_frame(t, k + 1) - segtab_frame(t, k);
        assert_true(n * t->fps.den >= t->fps.num && n < t->per);
        assert_true(t->frames - segtab_frame(t, k + 1) >= n);
        assert_int_equal(segtab_part_least(t, k, k + 1), n); // one part
    }
    for (int k = t->ramp; k + 1 < t->count; k++)
        assert_true(segtab_frame(t, k + 1) - segtab_frame(t, k) >= t->per);
}

static int64_t audio_least(const struct segtab *t, struct rational rate)
{
    int64_t least = INT64_MAX;
    for (int k = 0; k < t->count; k++)
        least = min64(least, segtab_audio_frame(t, k + 1, rate) - segtab_audio_frame(t, k, rate));
    return least;
}

// ---- all of it

static void every_frame_once(void **state)
{
    (void)state;
    static const int64_t targets[] = { 1000, 2000, 3000, 4000, 4480, 6000, 20000 };
    for (size_t r = 0; r < countof(rates); r++)
        for (size_t i = 0; i < countof(targets); i++) {
            const int64_t longest = rat_double(rates[r]) * 45 + 3;
            for (int64_t frames = 1; frames < longest; frames += 1 + frames / 97) {
                struct segtab t = segtab_make(rates[r], frames, targets[i]);
                give_ramp(&t, some_ramps[frames % countof(some_ramps)], targets[i]);
                check_ramp(&t);
                assert_int_equal(segtab_frame(&t, 0), 0);
                assert_int_equal(segtab_frame(&t, t.count), frames);
                check_parts(&t);
                check_video(&t, segtab_target_duration(&t, NO_AUDIO));
                for (size_t s = 0; s < countof(audio_rates); s++) {
                    const int64_t least = audio_least(&t, audio_rates[s]);
                    check_audio(&t, audio_rates[s], segtab_target_duration(&t, audio_rates[s]));
                    // Of two segments of as many frames one may have a frame more.
                    assert_in_range(segtab_audio_min(&t, audio_rates[s]), least, least + 1);
                }
            }
        }
}

// Whatever the end: the cuts before it are the same, and what holds for all ends holds for it.
static void open_tables(void **state)
{
    (void)state;
    static const int64_t targets[] = { 1000, 2000, 4000, 20000 };
    for (size_t r = 0; r < countof(rates); r++)
        for (size_t i = 0; i < countof(targets); i++) {
            const struct segtab first = segtab_make_open(rates[r], 1, targets[i]);
            const int target = segtab_target_duration(&first, NO_AUDIO);
            const int64_t longest = rat_double(rates[r]) * 45 + 3;
            for (int64_t frames = (first.per + 1) / 2; frames < longest;
                 frames += 1 + frames / 97) {
                struct segtab t = segtab_make_open(rates[r], frames, targets[i]);
                assert_int_equal(segtab_frame(&t, t.count), frames);
                for (int k = 0; k < t.count; k++)
                    assert_int_equal(segtab_frame(&t, k), k * first.per);
                const int64_t last = frames - segtab_frame(&t, t.count - 1);
                assert_true(2 * last >= t.per && (t.per == 1 || 2 * last < 3 * t.per));
                assert_int_equal(segtab_target_duration(&t, NO_AUDIO), target);
                check_parts(&t);
                check_video(&t, target);
                for (size_t s = 0; s < countof(audio_rates); s++) {
                    const struct rational rate = audio_rates[s];
                    check_audio(&t, rate, segtab_target_duration(&first, rate));
                    for (int k = 0; k < t.count; k++)
                        assert_true(segtab_audio_frame(&t, k + 1, rate) -
                                        segtab_audio_frame(&t, k, rate) >=
                                    segtab_audio_min(&first, rate));
                }
                segtab_set_frames(&t, 7 * t.per);
                assert_int_equal(t.count, 7);
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
        check_video(&t, segtab_target_duration(&t, CD));
        check_audio(&t, CD, segtab_target_duration(&t, CD));
    }
}

// ---- cut by the source

// A table cut at these frames, or where it may not be, the regular one.  The source counts
// in thousands a second.
static bool cut_at(struct segtab *t, const int64_t *syncs, int n, int64_t limit, int64_t *longest)
{
    struct cutter c;
    cutter_begin(&c, t, 1000 * t->fps.num, limit);
    for (int i = 0; i < n; i++)
        cutter_offer(&c, (struct cut){ 1000 * syncs[i] * t->fps.den, syncs[i] });
    return cutter_end(&c, (struct cut){ 1000 * t->frames * t->fps.den, t->frames }, t, longest);
}

#define MOST 24

static void ramps_of_a_source(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int64_t frames;              // at 25 a second
        int64_t ms[SEGTAB_RAMP_MAX]; // of the ramp; all in segments of about 4 s
        int64_t syncs[MOST];         // but for the first
        int ramp;
        int64_t starts[MOST]; // but for the first, and with the end; none: refused
    } cases[] = {
        { "every second",
          225,
          { 1000, 2000 },
          { 25, 50, 75, 100, 125, 150, 175, 200 },
          2,
          { 25, 75, 175, 225 } },
        { "the nearest", 225, { 1000 }, { 30, 50, 140, 200 }, 1, { 30, 140, 225 } },
        { "then five", 375, { 1000, 2000 }, { 25, 150, 250 }, 1, { 25, 150, 250, 375 } },
        { "every two", 350, { 1000 }, { 50, 100, 150, 200, 250, 300 }, 1, { 50, 150, 250, 350 } },
        { "every five", 375, { 1000, 2000 }, { 125, 250 }, 0, { 125, 250, 375 } },
        { "none", 140, { 1000, 2000 }, { 0 }, 0, { 140 } },
        { "none but at the end", 120, { 1000 }, { 100 }, 0, { 120 } },
        { "within a second: the next one", 225, { 1000 }, { 20, 60, 150 }, 1, { 60, 150, 225 } },
        { "unless that would be too long", 300, { 1000 }, { 20, 160 }, 1, { 20, 160, 300 } },
        { "within a second of the end", 59, { 1000 }, { 38 }, 0, { 59 } },
        { "no room for the second", 120, { 1000, 2000 }, { 25, 50, 75, 100 }, 1, { 25, 120 } },
        { "what is left joins", 50, { 1000 }, { 15, 20, 42 }, 0, { 50 } },
        { "it would be refused without one, too", 200, { 1000 }, { 10, 175 }, 0, { 0 } },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct segtab t = segtab_make((struct rational){ 25, 1 }, cases[i].frames, 4000);
        int n = 0;
        int64_t longest;
        give_ramp(&t, cases[i].ms, 4000);
        while (cases[i].syncs[n])
            n++;
        const bool cut = cut_at(&t, cases[i].syncs, n, segtab_longest(&t, 0), &longest);
        if (cut != (cases[i].starts[0] > 0) || (cut && t.ramp != cases[i].ramp))
            fail_msg("%s: longest %ld, %d in the ramp", cases[i].what, (long)longest, t.ramp);
        for (int k = 1; cut && k <= t.count; k++)
            if (segtab_frame(&t, k) != cases[i].starts[k - 1])
                fail_msg("%s: cut %d at %ld", cases[i].what, k, (long)segtab_frame(&t, k));
        for (int k = 0; cut && k < t.ramp; k++)
            assert_int_equal(t.ramp_ends[k], segtab_frame(&t, k + 1));
        segtab_finish(&t);
    }
}

static void cuts_of_a_source(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int64_t frames;       // at 25 a second, in segments of about 4 s
        int64_t every;        // sync samples, 0: as listed
        int64_t syncs[MOST];  // but for the first
        int64_t starts[MOST]; // but for the first, and with the end; none: refused
        int64_t longest;      // if refused
        int64_t limit_ms;
    } cases[] = {
        { "every two seconds", 325, 50, { 0 }, { 100, 200, 300, 325 }, 0, 0 },
        { "every three: nearer than six", 400, 75, { 0 }, { 75, 150, 225, 300, 400 }, 0, 0 },
        { "every 3.5", 300, 88, { 0 }, { 88, 176, 264, 300 }, 0, 0 },
        { "every five", 300, 125, { 0 }, { 125, 250, 300 }, 0, 0 },
        { "every six", 450, 150, { 0 }, { 150, 300, 450 }, 0, 0 },
        { "a frame more", 450, 151, { 0 }, { 0 }, 151, 0 },
        { "only the first, short", 60, 0, { 0 }, { 60 }, 0, 0 },
        { "only the first", 151, 0, { 0 }, { 0 }, 151, 0 },
        { "every frame", 250, 1, { 0 }, { 100, 200, 250 }, 0, 0 },
        { "two equally far: the earlier", 220, 0, { 90, 110 }, { 90, 220 }, 0, 0 },
        { "the later is nearer", 200, 0, { 20, 145 }, { 145, 200 }, 0, 0 },
        { "the earlier is nearer", 175, 0, { 60, 145 }, { 60, 145, 175 }, 0, 0 },
        { "a rest that joins", 212, 50, { 0 }, { 100, 212 }, 0, 0 },
        { "a tiny rest joins at any price", 113, 0, { 111 }, { 113 }, 0, 0 },
        { "a rest that does not", 213, 50, { 0 }, { 100, 200, 213 }, 0, 0 },
        { "far from the end", 400, 0, { 100, 200 }, { 0 }, 200, 0 },
        { "every ten, which is allowed", 600, 250, { 0 }, { 250, 500, 600 }, 0, 10500 },
        { "early, and the next is not too late", 300, 0, { 10, 250 }, { 250, 300 }, 0, 10500 },
        { "early, and the next is too late", 300, 0, { 40, 280 }, { 40, 300 }, 0, 10500 },
        { "too early, and the next too late", 300, 0, { 2, 264 }, { 0 }, 264, 10500 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct segtab t = segtab_make((struct rational){ 25, 1 }, cases[i].frames, 4000);
        const struct segtab regular = t;
        int64_t syncs[1024], longest = 0;
        int n = 0;
        for (int64_t at = cases[i].every; at && at < cases[i].frames; at += cases[i].every)
            syncs[n++] = at;
        for (; !cases[i].every && cases[i].syncs[n]; n++)
            syncs[n] = cases[i].syncs[n];
        const bool cut = cut_at(&t, syncs, n, segtab_longest(&t, cases[i].limit_ms), &longest);
        if (cut != (cases[i].starts[0] > 0))
            fail_msg("%s: longest %ld", cases[i].what, (long)longest);
        for (int k = 1; cut && k <= t.count; k++)
            if (segtab_frame(&t, k) != cases[i].starts[k - 1])
                fail_msg("%s: cut %d at %ld", cases[i].what, k, (long)segtab_frame(&t, k));
        if (cut)
            assert_int_equal(cases[i].starts[t.count], 0);
        else
            assert_true(longest == cases[i].longest && memcmp(&t, &regular, sizeof t) == 0);
        segtab_finish(&t);
    }
}

static void how_long_a_segment_may_be(void **state)
{
    (void)state;
    static const struct {
        int64_t target, longest, want; // frames, at 25 a second
    } cases[] = {
        { 4000, 0, 150 },     { 4000, 5000, 150 },   { 4000, 10500, 262 },
        { 4000, 21000, 525 }, { 20000, 10500, 525 }, { 10000, 10500, 375 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct segtab t = segtab_make((struct rational){ 25, 1 }, 1000, cases[i].target);
        assert_int_equal(segtab_longest(&t, cases[i].longest), cases[i].want);
    }
}

static void check_ticks(const struct segtab *t, int target)
{
    int64_t sum = 0;
    for (int k = 0; k < t->count; k++) {
        const int64_t us = segtab_tick_us(t, k + 1) - segtab_tick_us(t, k);
        assert_true(us > 0 && (us + 500000) / 1000000 <= target);
        sum += us;
    }
    assert_int_equal(segtab_tick(t, 0), 0);
    assert_int_equal(sum, segtab_tick_us(t, t->count));
}

// Sync samples at random distances: one fixed seed.
static void any_source(void **state)
{
    (void)state;
    static const int64_t targets[] = { 1000, 2000, 4000, 6000, 20000 };
    unsigned seed = 7;
    int cut = 0, refused = 0;
    for (int round = 0; round < 3000; round++) {
        const struct rational fps = rates[rand_r(&seed) % countof(rates)];
        const int64_t most = (int64_t)(rat_double(fps) * (1 + rand_r(&seed) % 8)) + 1;
        int64_t frames = 1 + rand_r(&seed) % 2000, syncs[2048], longest;
        int n = 0;
        for (int64_t at = 1 + rand_r(&seed) % most; at < frames; at += 1 + rand_r(&seed) % most)
            syncs[n++] = at;
        const int64_t target = targets[rand_r(&seed) % countof(targets)];
        struct segtab t = segtab_make(fps, frames, target);
        give_ramp(&t, some_ramps[rand_r(&seed) % countof(some_ramps)], target);
        const int64_t limit = segtab_longest(&t, rand_r(&seed) % 2 * 7000);
        if (cut_at(&t, syncs, n, limit, &longest)) {
            cut++;
            assert_true(longest <= limit);
            assert_int_equal(segtab_frame(&t, 0), 0);
            assert_int_equal(segtab_frame(&t, t.count), frames);
            check_parts(&t);
            const int longest_s = segtab_target_duration(&t, CD);
            check_video(&t, longest_s);
            check_ticks(&t, longest_s);
            check_audio(&t, CD, longest_s);
            assert_int_equal(segtab_audio_min(&t, CD), audio_least(&t, CD));
            assert_true(t.ramp < t.count);
            assert_true(t.ramp == 0 ||
                        t.ramp_ends[t.ramp - 1] - segtab_frame(&t, t.ramp - 1) < t.per);
            for (int k = 0; k < t.ramp; k++)
                assert_int_equal(t.ramp_ends[k], segtab_frame(&t, k + 1));
            for (int k = 1, i = 0; k < t.count; k++) { // each a sync sample
                while (i < n && syncs[i] < segtab_frame(&t, k))
                    i++;
                assert_true(i < n && syncs[i] == segtab_frame(&t, k));
            }
        } else {
            refused++;
            assert_true(longest > limit && !t.cuts);
        }
        segtab_finish(&t);
    }
    assert_true(cut > 500 && refused > 500);
}

static void too_many_cuts(void **state)
{
    (void)state;
    struct segtab t = segtab_make((struct rational){ 1, 1 }, SEGTAB_CUTS_MAX, 1000);
    struct cutter c;
    int64_t longest;
    for (int more = 0; more < 2; more++) {
        t = segtab_make((struct rational){ 1, 1 }, SEGTAB_CUTS_MAX + more, 1000);
        cutter_begin(&c, &t, 1, INT64_MAX - 1);
        for (int64_t i = 1; i < t.frames; i++)
            cutter_offer(&c, (struct cut){ i, i });
        assert_int_equal(cutter_end(&c, (struct cut){ t.frames, t.frames }, &t, &longest), !more);
        segtab_finish(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts),
        cmocka_unit_test(every_frame_once),
        cmocka_unit_test(ramps),
        cmocka_unit_test(open_tables),
        cmocka_unit_test(long_assets),
        cmocka_unit_test(cuts_of_a_source),
        cmocka_unit_test(ramps_of_a_source),
        cmocka_unit_test(how_long_a_segment_may_be),
        cmocka_unit_test(any_source),
        cmocka_unit_test(too_many_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
