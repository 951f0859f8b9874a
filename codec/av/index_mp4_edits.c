// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4_edits - edit lists (ISO/IEC 14496-12, 8.6.6).
//
// One edit is followed: pts = decode time + composition offset - media_time
// + the leading empty edit.  What is more than that is refused, not guessed.

#include "codec/av/index_mp4.h"

#include "base/rational.h"

// v ticks of `from` a second in ticks of `to`; false when that is no sane time.
static bool rescale(int64_t v, int64_t to, int64_t from, int64_t *out)
{
    const __int128 p = (__int128)v * to;
    if (from <= 0 || p / from > INDEX_TIME_MAX || p / from < -INDEX_TIME_MAX)
        return false;
    *out = muldiv_round(v, to, from);
    return true;
}

struct elst_entry {
    int64_t duration, media_time;
    uint32_t rate;
};

static bool next_edit(struct reader *r, int version, struct elst_entry *e)
{
    if (reader_left(r) < (version ? 20u : 12u))
        return false;
    e->duration = (int64_t)get_be(r, version ? 8 : 4);
    e->media_time = version ? (int64_t)get_be64(r) : (int32_t)get_be32(r);
    e->rate = get_be32(r);
    return true;
}

static bool is_sane_edit(const struct elst_entry *e)
{
    return e->duration >= 0 && e->duration < INDEX_TIME_MAX && e->media_time >= -1 &&
           e->media_time < INDEX_TIME_MAX;
}

// Whether e goes on where the edit before it ended, but for rounding.
static bool continues(const struct mp4 *m, const struct trak *t, const struct elst_entry *e)
{
    int64_t length, tick;
    if (!rescale(t->edit.duration, t->timescale, m->movie_timescale, &length) ||
        !rescale(1, t->timescale, m->movie_timescale, &tick))
        return false;
    const int64_t gap = e->media_time - (t->edit.media_time + length);
    return t->edit.duration > 0 && gap >= -tick - 1 && gap <= tick + 1;
}

// NULL, or why this edit list cannot be followed.
const char *mp4_parse_edits(const struct mp4 *m, struct trak *t, struct reader r)
{
    const int version = box_version(&r, NULL);
    const uint32_t count = get_be32(&r);
    bool real = false, ended = false;
    struct elst_entry e;
    for (uint32_t i = 0; i < count && next_edit(&r, version, &e); i++) {
        if (!is_sane_edit(&e))
            return "a damaged edit list";
        if (e.media_time < 0) {
            ended = real;
            if (!real)
                t->edit.empty += e.duration;
            if (t->edit.empty >= INDEX_TIME_MAX)
                return "a damaged edit list";
            continue;
        }
        if (e.rate != 0x10000)
            return "an edit list that changes the speed";
        if (ended || (real && !continues(m, t, &e)))
            return "an edit list with more than one part";
        if (!real)
            t->edit.media_time = e.media_time;
        t->edit.duration = real && !e.duration ? 0 : t->edit.duration + e.duration;
        if (t->edit.duration >= INDEX_TIME_MAX)
            return "a damaged edit list";
        real = true;
    }
    return NULL;
}

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

// The end of an edit is only as exact as the movie's ticks: where these are coarser
// than the track's, it means the frame border that lies within one of them.
static int64_t snap_end(const struct index_track *t, int64_t end, int64_t samples_end, int64_t tick)
{
    int64_t best = end, off = tick + 1;
    for (int i = 0; i <= t->sample_count; i++) {
        const int64_t border = i < t->sample_count ? t->samples[i].pts : samples_end;
        if (distance(border, end) < off) {
            off = distance(border, end);
            best = border;
        }
    }
    return best;
}

int mp4_apply_edit(const struct mp4 *m, const struct trak *k, struct index_track *t)
{
    int64_t empty, duration, tick;
    if (!rescale(k->edit.empty, t->timescale, m->movie_timescale, &empty) ||
        !rescale(k->edit.duration, t->timescale, m->movie_timescale, &duration) ||
        !rescale(1, t->timescale, m->movie_timescale, &tick))
        return mp4_corrupt(m, "elst");
    for (int i = 0; i < t->sample_count; i++)
        t->samples[i].pts += empty - k->edit.media_time;
    t->end = index_samples_end(t);
    t->end_is_exact = true;
    // In a fragmented file the edit tells the length of the first fragment at most.
    if (duration && !m->fragmented && t->sample_count) {
        const bool exact = m->movie_timescale % t->timescale == 0;
        const int64_t end = exact ? empty + duration : snap_end(t, empty + duration, t->end, tick);
        if (end < t->end)
            t->end = end;
    }
    return 0;
}
