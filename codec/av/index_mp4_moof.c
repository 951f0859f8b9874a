// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4_moof - the samples of fragments.

#include "codec/av/index_mp4.h"

#include "base/base.h"
#include "base/err.h"

// One track's part of a fragment while it is read.
struct traf {
    struct trak *k;
    struct index_track *t;
    struct defaults d;
    int64_t base;  // offsets in trun count from here
    int64_t data;  // where the next run begins unless it says otherwise
    int64_t shown; // what is presented up to then has been there before
    bool hides;    // some of it
    uint8_t headers;
    bool ended; // the file ended in it
};

static bool parse_tfhd(struct mp4 *m, struct traf *f, struct reader r, int64_t moof_at,
                       int64_t data)
{
    uint32_t flags;
    box_version(&r, &flags);
    const uint32_t id = get_be32(&r);
    f->k = NULL;
    for (int i = 0; i < m->x->track_count && !f->k; i++)
        if (m->traks[i].id == id)
            f->k = &m->traks[i], f->t = &m->x->tracks[i];
    if (!f->k || !index_is_wanted(f->t))
        return false;
    f->d = f->k->trex;
    uint32_t description = f->k->description;
    // Without a base of its own a track's data follows that of the track before it.
    f->base = flags & 0x20000 ? moof_at : data;
    if (flags & 0x1)
        f->base = get_offset(&r, 8);
    if (flags & 0x2)
        description = get_be32(&r);
    if (!mp4_headers(f->k, f->t, description, &f->headers))
        return false;
    if (flags & 0x8)
        f->d.duration = get_be32(&r);
    if (flags & 0x10)
        f->d.size = get_be32(&r);
    if (flags & 0x20)
        f->d.flags = get_be32(&r);
    f->data = f->base;
    return !r.bad;
}

static bool is_sync_flags(uint32_t flags)
{
    return !(flags & 0x01010000); // neither "is non-sync" nor "depends on others"
}

static void note_times(struct trak *k, int64_t pts)
{
    k->latest_dts = max64(k->latest_dts, k->next_dts);
    k->latest_pts = max64(k->latest_pts, pts);
}

// As mp4_add_sample.
static int add_sample(struct mp4 *m, struct traf *f, const struct sample *s)
{
    const int before = f->t->sample_count, rc = mp4_add_sample(m, f->t, s);
    if (rc != 1 || f->t->sample_count == before)
        return rc;
    note_times(f->k, s->pts);
    if (s->pts > f->shown)
        return 1;
    if (index_hide(f->t, f->hides || !s->sync ? INDEX_HIDDEN : INDEX_ANEW) < 0)
        return fail_with(m->why, -E_NO_MEMORY, "no memory for a fragment");
    f->hides = true;
    return 1;
}

static int trun_samples(struct mp4 *m, struct traf *f, struct reader r, uint32_t flags,
                        uint32_t count, uint32_t first_flags)
{
    int rc = 1;
    for (uint32_t i = 0; rc == 1 && i < count; i++) {
        const uint32_t duration = flags & 0x100 ? get_be32(&r) : f->d.duration;
        const uint32_t size = flags & 0x200 ? get_be32(&r) : f->d.size;
        const uint32_t own = flags & 0x400 ? get_be32(&r) : f->d.flags;
        const int32_t shift = flags & 0x800 ? (int32_t)get_be32(&r) : 0;
        const struct sample s = {
            .offset = f->data,
            .pts = f->k->next_dts + shift,
            .size = size,
            .duration = duration,
            .sync = is_sync_flags(i == 0 && flags & 0x4 ? first_flags : own) || f->t->audio,
            .headers = f->headers,
        };
        rc = add_sample(m, f, &s);
        f->data += size;
        f->k->next_dts += duration;
        f->t->lost += rc == 0;
    }
    f->ended = rc == 0;
    return rc < 0 ? rc : 0;
}

static int parse_trun(struct mp4 *m, struct traf *f, struct reader r)
{
    uint32_t flags;
    box_version(&r, &flags);
    const uint32_t count = get_be32(&r);
    if (flags & 0x1)
        f->data = f->base + (int32_t)get_be32(&r);
    const uint32_t first_flags = flags & 0x4 ? get_be32(&r) : 0;
    const int fields = __builtin_popcount(flags & 0xf00);
    if (r.bad || (uint64_t)count * (uint32_t)fields * 4 > reader_left(&r))
        return mp4_corrupt(m, "trun");
    if (f->data < 0 || (!fields && !f->d.size))
        return 0;
    return trun_samples(m, f, r, flags, count, first_flags);
}

// A fragment that goes back to what was there before, as recorders leave them who send one twice:
// that stays, and goes on where the new one has more.
static int64_t shown_before(const struct trak *k, int64_t dts)
{
    return dts <= k->latest_dts ? k->latest_pts : INT64_MIN;
}

static int parse_tfdt(struct mp4 *m, struct traf *f, struct reader r)
{
    const uint64_t dts = get_be(&r, box_version(&r, NULL) ? 8 : 4);
    if (dts >= (uint64_t)INDEX_TIME_MAX)
        return mp4_corrupt(m, "tfdt");
    f->k->next_dts = (int64_t)dts;
    f->shown = shown_before(f->k, f->k->next_dts);
    return 0;
}

static int parse_traf(struct mp4 *m, struct reader traf, int64_t moof_at, int64_t *data,
                      bool *ended)
{
    struct reader body;
    struct traf f = { .shown = INT64_MIN };
    if (!box_find(traf, TYPE('t', 'f', 'h', 'd'), &body) ||
        !parse_tfhd(m, &f, body, moof_at, *data))
        return 0;
    int rc = box_find(traf, TYPE('t', 'f', 'd', 't'), &body) ? parse_tfdt(m, &f, body) : 0;
    uint32_t type;
    while (rc == 0 && !f.ended && box_next(&traf, &type, &body))
        if (type == TYPE('t', 'r', 'u', 'n'))
            rc = parse_trun(m, &f, body);
    *data = f.data;
    *ended |= f.ended;
    return rc;
}

int mp4_parse_moof(struct mp4 *m, struct reader moof, int64_t at, bool *ended)
{
    uint32_t type;
    struct reader body;
    int64_t data = at;
    int rc = 0;
    while (rc == 0 && box_next(&moof, &type, &body))
        if (type == TYPE('t', 'r', 'a', 'f'))
            rc = parse_traf(m, body, at, &data, ended);
    return rc;
}
