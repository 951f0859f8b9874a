// SPDX-License-Identifier: BSD-2-Clause

#include "codec/segment.h"

#include <assert.h>
#include <string.h>

#include "base/base.h"

#define LONGEST_SECONDS 21 // of a segment: what a target of 20 makes of a rest

// Seconds of n frames, to the nearest (a half up): how EXTINF meets TARGETDURATION.
static int64_t seconds(struct rational fps, int64_t n)
{
    return muldiv_round(n, fps.den, fps.num);
}

// Too short for a segment: there may be no frame of sound in it.
static bool is_tiny(struct rational fps, int64_t n)
{
    return muldiv_floor(10 * n, fps.den, fps.num) < 1;
}

// Whether a rest belongs to the segment of so many frames before it.  Equal roundings
// mean that it is under a second, too.
static bool joins(struct rational fps, int64_t before, int64_t rest)
{
    return is_tiny(fps, rest) || seconds(fps, before + rest) == seconds(fps, before);
}

static struct segtab make(struct rational fps, int64_t frames, int64_t target_ms)
{
    assert(fps.num > 0 && fps.den > 0 && frames > 0 && target_ms > 0);
    struct segtab t = { .fps = fps, .frames = frames };
    t.per = muldiv_round(target_ms, fps.num, 1000 * fps.den);
    // Even, so that the two parts of a segment are equal.
    t.per = t.per > 1 ? 2 * muldiv_round(target_ms, fps.num, 2000 * fps.den) : 1;
    t.part = t.per > 1 ? t.per / 2 : 1;
    return t;
}

// Segments that so many frames make.
static int regular_count(const struct segtab *t, int64_t frames)
{
    const int64_t count = muldiv_ceil(frames, 1, t->per);
    assert(count <= INT32_MAX);
    const bool joined = count > 1 && joins(t->fps, t->per, frames - (count - 1) * t->per);
    return (int)count - joined;
}

struct segtab segtab_make(struct rational fps, int64_t frames, int64_t target_ms)
{
    struct segtab t = make(fps, frames, target_ms);
    t.count = regular_count(&t, frames);
    return t;
}

// Rounded up, so that what was told as a second is one.
void segtab_ramp(struct segtab *t, const int64_t *ms, int n)
{
    assert(!t->open && !t->cuts && n <= SEGTAB_RAMP_MAX);
    int64_t at = 0;
    for (t->ramp = 0; t->ramp < n; t->ramp++) {
        const int64_t frames = muldiv_ceil(ms[t->ramp], t->fps.num, 1000 * t->fps.den);
        if (frames >= t->per || t->frames - at < 2 * frames)
            break;
        t->ramp_ends[t->ramp] = at += frames;
    }
    t->count = t->ramp + regular_count(t, t->frames - at);
}

struct segtab segtab_make_open(struct rational fps, int64_t frames, int64_t target_ms)
{
    struct segtab t = make(fps, frames, target_ms);
    t.open = true;
    segtab_set_frames(&t, frames);
    return t;
}

void segtab_set_frames(struct segtab *t, int64_t frames)
{
    assert(t->open && frames > 0 && frames / t->per < INT32_MAX);
    t->frames = frames;
    t->count = (int)muldiv_round(frames, 1, t->per);
    t->count = t->count > 1 ? t->count : 1;
}

struct segtab segtab_copy(const struct segtab *t)
{
    struct segtab copy = *t;
    if (t->cuts)
        copy.cuts = memcpy(xmalloc(segtab_memory(t)), t->cuts, segtab_memory(t));
    return copy;
}

void segtab_finish(struct segtab *t)
{
    free(t->cuts);
    t->cuts = NULL;
}

size_t segtab_memory(const struct segtab *t)
{
    return t->cuts ? ((size_t)t->count + 1) * sizeof *t->cuts : 0;
}

// ---- cut by the source

int64_t segtab_longest(const struct segtab *t, int64_t longest_ms)
{
    const int64_t most = muldiv_floor(LONGEST_SECONDS, t->fps.num, t->fps.den);
    const int64_t told = muldiv_floor(longest_ms, t->fps.num, 1000 * t->fps.den);
    const int64_t limit = told > 3 * t->per / 2 ? told : 3 * t->per / 2;
    return limit < most ? limit : most;
}

static const struct cut *last_cut(const struct cutter *c)
{
    return &c->made.cuts[c->made.count];
}

// Whether the next segment is one of the ramp.
static bool in_ramp(const struct cutter *c)
{
    const int k = c->made.count;
    return k < c->ramp && c->made.frames - last_cut(c)->frame >= 2 * c->wants[k];
}

// How far a place is from where a segment should end.
static int64_t off(const struct cutter *c, struct cut at)
{
    const int64_t goal = last_cut(c)->frame + (in_ramp(c) ? c->wants[c->made.count] : c->made.per);
    return at.frame > goal ? at.frame - goal : goal - at.frame;
}

static void cut(struct cutter *c, struct cut at)
{
    const int64_t n = at.frame - last_cut(c)->frame;
    c->longest = n > c->longest ? n : c->longest;
    if (c->made.count == SEGTAB_CUTS_MAX) {
        c->longest = INT64_MAX;
        return;
    }
    if (in_ramp(c))
        c->made.ramp_ends[c->made.ramp++] = at.frame;
    if (c->made.count + 1 == c->cap) {
        c->cap *= 2;
        c->made.cuts = xrealloc(c->made.cuts, (size_t)c->cap * sizeof *c->made.cuts);
    }
    c->made.cuts[++c->made.count] = at;
}

void cutter_begin(struct cutter *c, const struct segtab *t, int64_t clock, int64_t limit)
{
    assert(!t->cuts && clock > 0);
    *c = (struct cutter){ .made = *t, .cap = 64, .limit = limit };
    c->made.clock = clock;
    c->made.count = c->made.ramp = 0;
    c->ramp = t->ramp;
    for (int i = 0; i < t->ramp; i++)
        c->wants[i] = t->ramp_ends[i] - (i ? t->ramp_ends[i - 1] : 0);
    c->made.cuts = xcalloc((size_t)c->cap, sizeof *c->made.cuts);
}

// Whether a segment that ends there leaves too little to either side, if it may be longer.
static bool is_short(const struct cutter *c, struct cut at)
{
    const int64_t n = at.frame - last_cut(c)->frame, left = c->made.frames - at.frame;
    if (!in_ramp(c))
        return 2 * n < c->made.per;
    return (n < left ? n : left) * c->made.fps.den < c->made.fps.num;
}

// Whether the best so far is better than the next one.  Of two equally far the earlier is.
static bool is_best(const struct cutter *c, struct cut at)
{
    const int64_t n = c->next.frame - last_cut(c)->frame;
    if (n <= 0 || is_tiny(c->made.fps, n))
        return false;
    if (is_short(c, c->next) && at.frame - last_cut(c)->frame <= c->limit)
        return false;
    return off(c, c->next) <= off(c, at);
}

void cutter_offer(struct cutter *c, struct cut at)
{
    if (is_best(c, at))
        cut(c, c->next);
    c->next = at;
}

// What ends with the asset is none of the ramp, nor is what is no shorter than what follows.
static void trim_ramp(struct segtab *t)
{
    while (t->ramp >= t->count ||
           (t->ramp > 0 && t->cuts[t->ramp].frame - t->cuts[t->ramp - 1].frame >= t->per))
        t->ramp--;
}

bool cutter_end(struct cutter *c, struct cut end, struct segtab *t, int64_t *longest)
{
    struct segtab *const made = &c->made;
    assert(end.frame == made->frames);
    cutter_offer(c, end);
    cut(c, end);
    *longest = c->longest;
    if (c->longest > c->limit) {
        segtab_finish(made);
        return false;
    }
    struct cut *const last = &made->cuts[made->count];
    if (made->count > 1 &&
        joins(made->fps, last[-1].frame - last[-2].frame, last->frame - last[-1].frame)) {
        last[-1] = *last;
        made->count--;
    }
    trim_ramp(made);
    *t = *made;
    return true;
}

int64_t segtab_tick(const struct segtab *t, int k)
{
    assert(t->cuts && k >= 0 && k <= t->count);
    return t->cuts[k].tick;
}

int64_t segtab_tick_us(const struct segtab *t, int k)
{
    return muldiv_round(segtab_tick(t, k), 1000000, t->clock);
}

// ---- questions

int64_t segtab_frame(const struct segtab *t, int k)
{
    assert(k >= 0 && k <= t->count);
    if (t->cuts)
        return t->cuts[k].frame;
    if (k == t->count)
        return t->frames;
    if (t->ramp == 0)
        return k * t->per;
    return k == 0         ? 0
           : k <= t->ramp ? t->ramp_ends[k - 1]
                          : t->ramp_ends[t->ramp - 1] + (k - t->ramp) * t->per;
}

int64_t segtab_start_us(const struct segtab *t, int k)
{
    return muldiv_round(segtab_frame(t, k), 1000000 * t->fps.den, t->fps.num);
}

int64_t segtab_audio_frame(const struct segtab *t, int k, struct rational rate)
{
    return muldiv_ceil(segtab_frame(t, k), rate.num * t->fps.den, rate.den * t->fps.num);
}

int64_t segtab_audio_start_us(const struct segtab *t, int k, struct rational rate)
{
    return muldiv_round(segtab_audio_frame(t, k, rate), 1000000 * rate.den, rate.num);
}

// Of a segment of n frames behind the ramp.
static int64_t parts_of(const struct segtab *t, int64_t n)
{
    const int64_t parts = muldiv_round(n, 1, t->part);
    return parts > 1 ? parts : 1;
}

// One of the ramp is one part: half of it would be too short for an encoder to spread what it
// takes from its buffer.
int segtab_parts(const struct segtab *t, int k)
{
    const int64_t n = segtab_frame(t, k + 1) - segtab_frame(t, k);
    return k < t->ramp && n < t->per ? 1 : (int)parts_of(t, n);
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

// Frames that the last segment of an open table may have: [shortest, longest].
static int64_t open_shortest(const struct segtab *t)
{
    return (t->per + 1) / 2;
}

static int64_t open_longest(const struct segtab *t)
{
    return t->per > 1 ? 3 * t->per / 2 - 1 : 1;
}

static void open_part_range(const struct segtab *t, int64_t *min, int64_t *max)
{
    *min = INT64_MAX;
    *max = 0;
    for (int64_t n = open_shortest(t); n <= open_longest(t); n++) {
        const int64_t parts = parts_of(t, n);
        *min = n / parts < *min ? n / parts : *min;
        *max = muldiv_ceil(n, 1, parts) > *max ? muldiv_ceil(n, 1, parts) : *max;
    }
}

// The next segment behind k that may be unlike it: behind its ramp all of a regular table are
// alike but the last.
static int next_unlike(const struct segtab *t, int k)
{
    const bool alike = !t->cuts && k >= t->ramp && k + 1 < t->count;
    return alike ? t->count - 1 : k + 1;
}

// Of segments [k, end).
static void part_range(const struct segtab *t, int k, int end, int64_t *min, int64_t *max)
{
    if (t->open) {
        open_part_range(t, min, max);
        return;
    }
    *min = INT64_MAX;
    *max = 0;
    for (; k < end; k = next_unlike(t, k)) {
        for (int j = 0; j < segtab_parts(t, k); j++) {
            int64_t first, n;
            segtab_part(t, k, j, &first, &n);
            *min = n < *min ? n : *min;
            *max = n > *max ? n : *max;
        }
    }
}

int64_t segtab_part_max(const struct segtab *t)
{
    int64_t min, max;
    part_range(t, 0, t->count, &min, &max);
    return max;
}

int64_t segtab_part_least(const struct segtab *t, int k, int end)
{
    int64_t min, max;
    part_range(t, k, end, &min, &max);
    return min;
}

int64_t segtab_part_min(const struct segtab *t)
{
    return segtab_part_least(t, 0, t->count);
}

int64_t segtab_audio_min(const struct segtab *t, struct rational rate)
{
    if (t->open)
        return muldiv_floor(open_shortest(t), rate.num * t->fps.den, rate.den * t->fps.num);
    int64_t min = INT64_MAX;
    for (int k = 0; k < t->count; k = next_unlike(t, k)) {
        const int64_t n = segtab_audio_frame(t, k + 1, rate) - segtab_audio_frame(t, k, rate);
        min = n < min ? n : min;
    }
    return min;
}

static int64_t longer(int64_t longest_us, int64_t from_us, int64_t to_us)
{
    return to_us - from_us > longest_us ? to_us - from_us : longest_us;
}

// Of the longest segment that an open table may have, in pictures or in sound.
static int64_t open_longest_us(const struct segtab *t, struct rational audio_rate)
{
    const int64_t us = muldiv_ceil(open_longest(t), 1000000 * t->fps.den, t->fps.num);
    return audio_rate.num > 0 ? us + muldiv_ceil(1000000, audio_rate.den, audio_rate.num) : us;
}

int segtab_target_duration(const struct segtab *t, struct rational audio_rate)
{
    int64_t us = t->open ? open_longest_us(t, audio_rate) : 0;
    for (int k = 0; k < t->count && !t->open; k++) {
        us = longer(us, segtab_start_us(t, k), segtab_start_us(t, k + 1));
        if (t->cuts)
            us = longer(us, segtab_tick_us(t, k), segtab_tick_us(t, k + 1));
        if (audio_rate.num > 0)
            us = longer(us, segtab_audio_start_us(t, k, audio_rate),
                        segtab_audio_start_us(t, k + 1, audio_rate));
    }
    const int64_t rounded = (us + 500000) / 1000000;
    return rounded > 1 ? (int)rounded : 1;
}
