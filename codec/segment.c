// SPDX-License-Identifier: BSD-2-Clause

#include "codec/segment.h"

#include <assert.h>

// Seconds of n frames, to the nearest (a half up): how EXTINF meets TARGETDURATION.
static int64_t seconds(struct rational fps, int64_t n)
{
    return muldiv_round(n, fps.den, fps.num);
}

// Equal roundings mean that the rest is under a second, too.
static bool joins(const struct segtab *t, int64_t rest)
{
    const bool tiny = muldiv_floor(10 * rest, t->fps.den, t->fps.num) < 1;
    return tiny || seconds(t->fps, t->per + rest) == seconds(t->fps, t->per);
}

struct segtab segtab_make(struct rational fps, int64_t frames, int64_t target_ms)
{
    assert(fps.num > 0 && fps.den > 0 && frames > 0 && target_ms > 0);
    struct segtab t = { .fps = fps, .frames = frames };
    t.per = muldiv_round(target_ms, fps.num, 1000 * fps.den);
    // Even, so that the two parts of a segment are equal.
    t.per = t.per > 1 ? 2 * muldiv_round(target_ms, fps.num, 2000 * fps.den) : 1;
    t.part = t.per > 1 ? t.per / 2 : 1;

    const int64_t count = muldiv_ceil(frames, 1, t.per);
    assert(count <= INT32_MAX);
    t.count = (int)count;
    if (t.count > 1 && joins(&t, frames - (count - 1) * t.per))
        t.count--;
    return t;
}

int64_t segtab_frame(const struct segtab *t, int k)
{
    assert(k >= 0 && k <= t->count);
    return k == t->count ? t->frames : k * t->per;
}

int64_t segtab_start_us(const struct segtab *t, int k)
{
    return muldiv_round(segtab_frame(t, k), 1000000 * t->fps.den, t->fps.num);
}

int64_t segtab_audio_frame(const struct segtab *t, int k, int sample_rate)
{
    return muldiv_ceil(segtab_frame(t, k), sample_rate * t->fps.den, AUDIO_FRAME * t->fps.num);
}

int64_t segtab_audio_start_us(const struct segtab *t, int k, int sample_rate)
{
    const int64_t frame = segtab_audio_frame(t, k, sample_rate);
    return muldiv_round(frame, 1000000 * AUDIO_FRAME, sample_rate);
}

int segtab_parts(const struct segtab *t, int k)
{
    const int64_t n = segtab_frame(t, k + 1) - segtab_frame(t, k);
    const int64_t parts = muldiv_round(n, 1, t->part);
    return parts > 1 ? (int)parts : 1;
}

void segtab_part(const struct segtab *t, int k, int j, int64_t *first, int64_t *n)
{
    const int parts = segtab_parts(t, k);
    assert(j >= 0 && j < parts);
    const int64_t start = segtab_frame(t, k);
    const int64_t frames = segtab_frame(t, k + 1) - start;
    *first = start + j * frames / parts;
    *n = start + (j + 1) * frames / parts - *first;
}

// All segments but the last are alike, so the first and the last tell.
static void part_range(const struct segtab *t, int64_t *min, int64_t *max)
{
    *min = INT64_MAX;
    *max = 0;
    const int ends[] = { 0, t->count - 1 };
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < segtab_parts(t, ends[i]); j++) {
            int64_t first, n;
            segtab_part(t, ends[i], j, &first, &n);
            *min = n < *min ? n : *min;
            *max = n > *max ? n : *max;
        }
    }
}

int64_t segtab_part_max(const struct segtab *t)
{
    int64_t min, max;
    part_range(t, &min, &max);
    return max;
}

int64_t segtab_part_min(const struct segtab *t)
{
    int64_t min, max;
    part_range(t, &min, &max);
    return min;
}

static int64_t longer(int64_t longest_us, int64_t from_us, int64_t to_us)
{
    return to_us - from_us > longest_us ? to_us - from_us : longest_us;
}

int segtab_target_duration(const struct segtab *t, int sample_rate)
{
    int64_t us = 0;
    for (int k = 0; k < t->count; k++) {
        us = longer(us, segtab_start_us(t, k), segtab_start_us(t, k + 1));
        if (sample_rate > 0)
            us = longer(us, segtab_audio_start_us(t, k, sample_rate),
                        segtab_audio_start_us(t, k + 1, sample_rate));
    }
    const int64_t rounded = (us + 500000) / 1000000;
    return rounded > 1 ? (int)rounded : 1;
}
