// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/timeline.h"

#include "base/base.h"

#define WRAP ((int64_t)1 << 33)
#define BACK 1   // seconds that times may jump back in one recording
#define AHEAD 10 // and ahead: what the ffmpeg program allows too (dts_delta_threshold)

void timeline_init(struct timeline *l, int64_t timescale)
{
    *l = (struct timeline){ .second = timescale };
}

// add, and as many turns of the clock as bring time nearest to a known time.
static int64_t turned(int64_t add, int64_t time, int64_t near)
{
    const int64_t off = near - (time + add) + WRAP / 2;
    return add + (off >= 0 ? off / WRAP : -((WRAP - 1 - off) / WRAP)) * WRAP;
}

static bool goes_on(const struct timeline *l, int64_t last, int64_t time)
{
    return time >= last - BACK * l->second && time <= last + AHEAD * l->second;
}

// What a track adds from this packet on.
static int64_t choose(struct timeline *l, const struct timeline_track *t, int64_t time)
{
    if (!t->begun)
        return l->begun ? turned(l->newest, time, l->last) : 0;
    const int64_t same = turned(t->add, time, t->last);
    if (goes_on(l, t->last, time + same))
        return same;
    const int64_t others = turned(l->newest, time, t->last);
    return goes_on(l, t->last, time + others) ? others : t->last + t->step - time;
}

int64_t timeline_add(struct timeline *l, int track, int64_t time)
{
    assert(track >= 0 && track < TIMELINE_TRACKS);
    struct timeline_track *const t = &l->tracks[track];
    const int64_t add = choose(l, t, time), at = time + add;
    if (!t->begun || add != t->add)
        l->newest = add;
    t->step = t->begun && at > t->last && at - t->last < l->second ? at - t->last : 0;
    t->begun = l->begun = true;
    t->add = add;
    t->last = l->last = at;
    return add;
}
