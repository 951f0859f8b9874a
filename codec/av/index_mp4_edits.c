// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4_edits - edit lists (ISO/IEC 14496-12, 8.6.6).
//
// As a rule there is one edit: pts = decode time + composition offset - media_time
// + the leading empty edit.  Several that follow each other in the media, too, are one.  Of others
// the track is told (index_present).  A change of speed is refused, not guessed.

#include "codec/av/index_mp4.h"

#include "base/base.h"
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

// Whether e, presented at that time, goes on where the edit before it ended, but for rounding.
static bool continues(const struct mp4 *m, const struct trak *t, int64_t at,
                      const struct elst_entry *e)
{
    int64_t length, tick;
    if (t->edit_count == 0)
        return false;
    const struct edit *const before = &t->edits[t->edit_count - 1];
    if (!rescale(before->duration, t->timescale, m->movie_timescale, &length) ||
        !rescale(1, t->timescale, m->movie_timescale, &tick))
        return false;
    const int64_t gap = e->media_time - (before->media_time + length);
    return before->at + before->duration == at && gap >= -tick - 1 && gap <= tick + 1;
}

static const char *add_edit(const struct mp4 *m, struct trak *t, int64_t at,
                            const struct elst_entry *e)
{
    if (e->rate != 0x10000)
        return "an edit list that changes the speed";
    struct edit *const last = t->edit_count ? &t->edits[t->edit_count - 1] : NULL;
    if (last && last->duration == 0)
        return "a damaged edit list";
    if (continues(m, t, at, e)) {
        last->duration = e->duration ? last->duration + e->duration : 0;
        return NULL;
    }
    if (t->edit_count == INDEX_PARTS_MAX)
        return "an edit list of too many parts";
    t->edits[t->edit_count++] = (struct edit){ at, e->media_time, e->duration };
    return NULL;
}

const char *mp4_parse_edits(const struct mp4 *m, struct trak *t, struct reader r)
{
    const int version = box_version(&r, NULL);
    const uint32_t count = get_be32(&r);
    const char *why = NULL;
    int64_t at = 0;
    struct elst_entry e;
    for (uint32_t i = 0; !why && i < count && next_edit(&r, version, &e); i++) {
        if (!is_sane_edit(&e) || at + e.duration >= INDEX_TIME_MAX)
            return "a damaged edit list";
        if (e.media_time >= 0)
            why = add_edit(m, t, at, &e);
        at += e.duration;
    }
    if (t->edit_count == 0)
        t->edits[0].at = at; // empty edits alone
    return why;
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

// What of the media an edit presents, in ticks.  False: it makes no sense.
static bool part_of(const struct mp4 *m, const struct index_track *t, const struct edit *e,
                    struct index_part *p)
{
    int64_t length, tick;
    if (!rescale(e->at, t->timescale, m->movie_timescale, &p->at) ||
        !rescale(e->duration, t->timescale, m->movie_timescale, &length) ||
        !rescale(1, t->timescale, m->movie_timescale, &tick))
        return false;
    const int64_t all = index_samples_end(t), end = e->media_time + length;
    const bool exact = m->movie_timescale % t->timescale == 0;
    p->from = e->media_time;
    p->to = all;
    // In a fragmented file the edit tells the length of the first fragment at most.
    if (e->duration > 0 && !m->fragmented && t->sample_count > 0)
        p->to = exact ? end : snap_end(t, end, all, tick);
    p->to = p->to < all ? p->to : all;
    return true;
}

static int set_parts(const struct mp4 *m, const struct trak *k, struct index_track *t)
{
    if (m->fragmented) {
        index_refuse(t, "an edit list with more than one part, of fragments");
        return 0;
    }
    t->parts = xcalloc((size_t)k->edit_count, sizeof *t->parts);
    for (int i = 0; i < k->edit_count; i++) {
        struct index_part *const p = &t->parts[t->part_count];
        if (!part_of(m, t, &k->edits[i], p))
            return mp4_corrupt(m, "elst");
        t->part_count += p->to > p->from;
    }
    if (t->part_count == 0)
        index_refuse(t, "an edit list that presents nothing of it");
    return 0;
}

// Whether pictures before the edit would come to stand behind 0, where it has an empty one.
static bool shows_too_much(const struct index_track *t, const struct index_part *p)
{
    bool any = false;
    for (int i = 0; t->video && p->at > 0 && i < t->sample_count; i++)
        any |= t->samples[i].pts < p->from && t->samples[i].pts >= p->from - p->at;
    return any;
}

int mp4_apply_edits(const struct mp4 *m, const struct trak *k, struct index_track *t)
{
    struct index_part p;
    t->end_is_exact = true;
    if (k->edit_count > 1)
        return set_parts(m, k, t);
    if (!part_of(m, t, &k->edits[0], &p))
        return mp4_corrupt(m, "elst");
    if (!m->fragmented && shows_too_much(t, &p))
        return set_parts(m, k, t);
    if (k->heard.to > 0 && k->edit_count == 0 && k->heard.to <= p.to)
        p = (struct index_part){ p.at, k->heard.from, k->heard.to };
    const int64_t shift = p.at - p.from;
    for (int i = 0; i < t->sample_count; i++)
        t->samples[i].pts += shift;
    t->end = t->sample_count > 0 ? p.to + shift : p.to;
    return 0;
}
