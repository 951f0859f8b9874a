// SPDX-License-Identifier: BSD-2-Clause
//
// Exact arithmetic decides which frame is picked; floating point only compares
// rates, once, when the rate is chosen.

#include "codec/grid.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/base.h"

#define FPS_MAX 60
#define DEN_MAX 1001
#define PROBES 2048 // frame distances that are looked at to find the most frequent

static const struct rational usual[] = {
    { 10, 1 }, { 25, 2 }, { 15, 1 },       { 20, 1 }, { 24000, 1001 }, { 24, 1 },       { 25, 1 },
    { 30, 1 }, { 48, 1 }, { 30000, 1001 }, { 50, 1 }, { 60, 1 },       { 60000, 1001 },
};

// frames per ticks: a rate that is not yet brought into [1, 60].
struct measure {
    int64_t frames;
    int64_t ticks;
};

// The least distance of the window, a fifth wide, that holds most of them: time
// stamps jitter (33 and 34 ms are both 29.97), so a plain mode would not do.
static int64_t most_frequent(const int64_t *pts, int n)
{
    int64_t d[PROBES];
    const int count = n - 1 < PROBES ? n - 1 : PROBES;
    for (int i = 0; i < count; i++) {
        const int at = (int)muldiv_floor(i, n - 1, count);
        d[i] = pts[at + 1] - pts[at];
    }
    qsort(d, (size_t)count, sizeof *d, compare_int64);

    int64_t best = d[0];
    int most = 0;
    for (int i = 0, j = 0; i < count; i++) {
        while (j < count && d[j] - d[i] <= d[i] / 5)
            j++;
        if (j - i > most) {
            most = j - i;
            best = d[i];
        }
    }
    return best;
}

// The mean of the distances about the most frequent one.  The window grows a
// little downwards: it was found on a part of them.
static struct measure modal(const int64_t *pts, int n)
{
    const int64_t least = most_frequent(pts, n);
    const int64_t low = least - least / 10, high = least + least / 5;
    struct measure m = { 0, 0 };
    for (int i = 1; i < n; i++) {
        const int64_t d = pts[i] - pts[i - 1];
        if (d < low || d > high)
            continue;
        m.frames++;
        m.ticks += d;
    }
    return m;
}

// The fraction with a denominator of at most DEN_MAX that is nearest to num / den
// (which is in about [1, 61]), by continued fractions.
static struct rational simplify(int64_t num, int64_t den)
{
    const double wanted = (double)num / (double)den;
    struct rational old = { 0, 1 }, now = { 1, 0 };
    while (den) {
        const int64_t a = num / den, rest = num % den;
        if (now.den && a > (DEN_MAX - old.den) / now.den) {
            const int64_t b = (DEN_MAX - old.den) / now.den;
            const struct rational between = { b * now.num + old.num, b * now.den + old.den };
            const double e = fabs(rat_double(between) - wanted);
            return e < fabs(rat_double(now) - wanted) ? between : now;
        }
        const struct rational next = { a * now.num + old.num, a * now.den + old.den };
        old = now;
        now = next;
        num = den;
        den = rest;
    }
    return now;
}

// Brings a rate into [1, 61.2] by an integer factor; *thinned when it was divided.
static struct rational bring(struct measure m, int64_t timescale, bool *thinned)
{
    struct rational r = { m.frames * timescale, m.ticks };
    // Cameras that mean 60 jitter about it: 2 % above is still 60.
    const int64_t divisor = muldiv_ceil(r.num, 50, 51 * FPS_MAX * r.den);
    *thinned = divisor > 1;
    if (*thinned)
        r.den *= divisor;
    else if (r.num < r.den)
        r.num *= muldiv_ceil(r.den, 1, r.num);
    return r;
}

static struct rational limited(struct rational r)
{
    r = simplify(r.num, r.den);
    return r.num > FPS_MAX * r.den ? (struct rational){ FPS_MAX, 1 } : r;
}

static double distance(struct rational rate, struct rational from)
{
    return fabs(rat_double(rate) / rat_double(from) - 1);
}

// 30 and 29.97 are 0.1 % apart: the nearest, never the first that is near.
static struct rational nearest_usual(struct rational rate)
{
    struct rational best = usual[0];
    for (size_t i = 1; i < countof(usual); i++)
        if (distance(rate, usual[i]) < distance(rate, best))
            best = usual[i];
    return best;
}

struct rational grid_fps(const int64_t *pts, int n, int64_t end, int64_t timescale)
{
    assert(n > 0 && pts[0] == 0 && end > pts[n - 1] && timescale > 0);
    bool thinned;
    const struct measure m = n > 1 ? modal(pts, n) : (struct measure){ 1, end };
    const struct rational rate = bring(m, timescale, &thinned);

    const struct rational common = nearest_usual(rate);
    const double away = distance(rate, common);
    // Time stamps are rounded to a tick, or to a millisecond before they became ticks.
    const double rounding = timescale > 1000 ? (double)timescale / 1000 : 1;
    const bool near = away <= 0.01 || away * (double)m.ticks <= rounding;
    if (near && (thinned || grid_identity(pts, n, timescale, common)))
        return common;

    const struct rational own = limited(rate);
    if (thinned ? m.frames == n - 1 : grid_identity(pts, n, timescale, own))
        return own;
    static const struct rational film = { 24000, 1001 };
    if (!thinned && grid_identity(pts, n, timescale, film))
        return film;
    if (near)
        return common;
    const struct measure mean = { n > 1 ? n - 1 : 1, n > 1 ? pts[n - 1] : end };
    return limited(bring(mean, timescale, &thinned));
}

int64_t grid_frames(int64_t end, int64_t timescale, struct rational fps)
{
    const int64_t n = muldiv_round(end, fps.num, timescale * fps.den);
    return n > 1 ? n : 1;
}

// Presentation times, as an array or through the order of a track.
struct times {
    const int64_t *pts;
    const struct video_track *track;
    int n;
};

static int64_t time_of(const struct times *t, int i)
{
    return t->pts ? t->pts[i] : t->track->samples[t->track->shown[i]].pts;
}

// Whether grid frame n lies after the middle between source frames i - 1 and i.
static bool past_middle(const struct times *t, int i, int64_t timescale, struct rational fps,
                        int64_t n)
{
    const __int128 sum = (__int128)time_of(t, i - 1) + time_of(t, i);
    return sum * fps.num < (__int128)2 * n * timescale * fps.den;
}

// How many middles lie before frame n.
static int pick(const struct times *t, int64_t timescale, struct rational fps, int64_t n)
{
    int low = 0, high = t->n - 1;
    while (low < high) {
        const int i = low + (high - low + 1) / 2;
        if (past_middle(t, i, timescale, fps, n))
            low = i;
        else
            high = i - 1;
    }
    return low;
}

int grid_pick(const int64_t *pts, int n_pts, int64_t timescale, struct rational fps, int64_t n)
{
    assert(n_pts > 0 && n >= 0);
    const struct times t = { .pts = pts, .n = n_pts };
    return pick(&t, timescale, fps, n);
}

bool grid_identity(const int64_t *pts, int n_pts, int64_t timescale, struct rational fps)
{
    const struct times t = { .pts = pts, .n = n_pts };
    for (int i = 1; i < n_pts; i++)
        if (past_middle(&t, i, timescale, fps, i - 1) || !past_middle(&t, i, timescale, fps, i))
            return false;
    return true;
}

int grid_shown(const struct media *m, int64_t n)
{
    assert(media_has_video(m) && m->video.shown && n >= 0);
    const struct times t = { .track = &m->video, .n = m->video.shown_count };
    return pick(&t, m->video.timescale, m->fps, n);
}
