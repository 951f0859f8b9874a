// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4_tables - the sample tables of a trak, walked in step, one run at a time: nothing is
// allocated by a count that a file merely claims.

#include "codec/av/index_mp4.h"

#include "base/err.h"

#define PCM_FRAMES 1024 // that one sample of ours has; libavformat's have as many
#define UNIT_LONG 160   // samples from which on a unit is a sample of ours (libavformat, too)
#define UNIT_MAX 16384  // bytes or samples

// A table of (count, value) pairs, one value after another.
struct runs {
    struct reader r;
    uint32_t left, value;
};

// False when the table is at its end; value then stays what it was.
static bool next_run(struct runs *t)
{
    while (t->left == 0) {
        if (reader_left(&t->r) < 8)
            return false;
        t->left = get_be32(&t->r);
        t->value = get_be32(&t->r);
    }
    t->left--;
    return true;
}

// How many samples the chunks have, one chunk after another.
struct chunks {
    struct reader r;
    uint32_t first;            // where the entry that comes next begins to hold, from 1
    uint32_t per_chunk, entry; // what holds now
    uint32_t next_per_chunk, next_entry;
};

static void load_chunk_run(struct chunks *c)
{
    c->first = 0;
    if (reader_left(&c->r) < 12)
        return;
    c->first = get_be32(&c->r);
    c->next_per_chunk = get_be32(&c->r);
    c->next_entry = get_be32(&c->r);
}

static void enter_chunk(struct chunks *c, uint32_t number)
{
    while (c->first && c->first <= number) {
        c->per_chunk = c->next_per_chunk;
        c->entry = c->next_entry;
        load_chunk_run(c);
    }
}

static uint32_t size_of(const struct trak *t, uint32_t i)
{
    if (t->size_all)
        return t->size_all;
    const uint8_t *p = t->stsz.p;
    if (t->size_bits == 4)
        return i % 2 ? p[i / 2] & 15 : p[i / 2] >> 4;
    const size_t n = (size_t)t->size_bits / 8;
    struct reader r = reader_of(p + i * n, n);
    return (uint32_t)get_be(&r, (int)n);
}

// State of walking all tables of a track in step.
struct walk {
    struct runs stts, ctts;
    struct chunks stsc;
    struct reader stss;
    uint32_t next_sync; // number of the next sync sample, 0 = no more
    uint32_t i;         // sample
    int64_t dts;
    uint8_t headers;
    bool units;
};

static bool take_sync(struct walk *w)
{
    const bool sync = w->next_sync == w->i + 1;
    while (w->next_sync && w->next_sync <= w->i + 1)
        w->next_sync = reader_left(&w->stss) >= 4 ? get_be32(&w->stss) : 0;
    return sync;
}

static bool is_time(int64_t v)
{
    return v > -INDEX_TIME_MAX && v < INDEX_TIME_MAX;
}

int mp4_add_sample(struct mp4 *m, struct index_track *t, const struct sample *s)
{
    if (!is_time(s->pts))
        return fail_with(m->why, -E_CORRUPT, "time stamps that make no sense");
    if (s->offset > m->w->io->size || s->size > m->w->io->size - s->offset)
        return 0;
    if (s->size == 0)
        return 1;
    const int rc = index_add_sample(m->x, t, s, NULL);
    return rc < 0 ? fail_with(m->why, rc, "too many samples") : 1;
}

static int walk_sample(struct mp4 *m, struct trak *k, struct index_track *t, struct walk *w,
                       int64_t offset)
{
    next_run(&w->stts); // at its end the last duration holds on
    const int64_t shift = next_run(&w->ctts) ? (int32_t)w->ctts.value : 0;
    if (w->stts.value > INT32_MAX)
        return mp4_corrupt(m, "stts");
    const bool sync = take_sync(w);
    const struct sample s = { .offset = offset,
                              .pts = w->dts + shift,
                              .size = size_of(k, w->i),
                              .duration = w->stts.value,
                              .sync = sync || !k->has_stss || t->audio,
                              .headers = w->headers };
    const int rc = mp4_add_sample(m, t, &s);
    w->dts += w->stts.value;
    w->i++;
    return rc;
}

// As many whole units as one sample of ours may have; one, if it is longer than that.
static uint32_t units_samples(const struct chunk_unit *u)
{
    return u->samples < UNIT_LONG ? PCM_FRAMES / u->samples * u->samples : u->samples;
}

// All of a chunk that consists of units, in larger samples than its table has.
static int walk_units(struct mp4 *m, struct trak *k, struct index_track *t, struct walk *w,
                      int64_t offset)
{
    const struct chunk_unit *const u = &k->unit;
    int rc = 1;
    uint32_t left = w->stsc.per_chunk;
    left = left < k->size_count - w->i ? left : k->size_count - w->i;
    while (rc == 1 && left >= u->samples) {
        const uint32_t most = units_samples(u), n = left < most ? left : most;
        const struct sample s = { .offset = offset,
                                  .pts = w->dts,
                                  .size = n / u->samples * u->bytes,
                                  .duration = n,
                                  .sync = true };
        rc = mp4_add_sample(m, t, &s);
        offset += s.size;
        w->dts += n;
        w->i += n;
        left -= n;
    }
    w->i += rc == 1 ? left : 0; // no whole unit
    return rc;
}

// Whether each sample lasts one tick: then its rate is that of the track.
static bool has_units(const struct trak *k, const struct index_track *t)
{
    struct runs stts = { .r = k->stts };
    return t->audio && k->unit.bytes > 0 && k->unit.bytes <= UNIT_MAX && k->unit.samples > 0 &&
           k->unit.samples <= UNIT_MAX && next_run(&stts) && stts.value == 1 &&
           reader_left(&stts.r) == 0;
}

// All samples of one chunk; as add_sample.
static int walk_chunk(struct mp4 *m, struct trak *k, struct index_track *t, struct walk *w)
{
    int64_t offset = get_offset(&k->stco, k->wide_offsets ? 8 : 4);
    int rc = 1;
    if (w->units)
        return walk_units(m, k, t, w, offset);
    for (uint32_t n = 0; rc == 1 && n < w->stsc.per_chunk && w->i < k->size_count; n++) {
        const uint32_t size = size_of(k, w->i);
        rc = walk_sample(m, k, t, w, offset);
        offset += size;
    }
    return rc;
}

static int walk_tables(struct mp4 *m, struct trak *k, struct index_track *t)
{
    struct walk w = { .stts.r = k->stts, .ctts.r = k->ctts, .stsc.r = k->stsc, .stss = k->stss };
    if (k->has_stss)
        w.next_sync = reader_left(&w.stss) ? get_be32(&w.stss) : 1;
    load_chunk_run(&w.stsc);
    w.units = has_units(k, t);
    uint32_t entry = 0;
    int rc = 1;
    for (uint32_t c = 1; rc == 1 && w.i < k->size_count && reader_left(&k->stco); c++) {
        enter_chunk(&w.stsc, c);
        if (w.stsc.entry != entry && !mp4_headers(k, t, w.stsc.entry, &w.headers))
            return 0;
        entry = w.stsc.entry;
        rc = walk_chunk(m, k, t, &w);
    }
    if (rc == 0) {
        const uint32_t lost = k->size_count - w.i + 1;
        t->lost = lost < INT32_MAX ? (int)lost : INT32_MAX;
    }
    k->next_dts = w.dts;
    return rc < 0 ? rc : 0;
}

int mp4_add_track(struct mp4 *m, struct trak *k)
{
    struct index_track *t = index_add_track(m->x);
    t->video = k->handler == TYPE('v', 'i', 'd', 'e');
    t->audio = k->handler == TYPE('s', 'o', 'u', 'n');
    t->timescale = k->timescale;
    t->enabled = k->enabled;
    t->text = t->video || t->audio ? TEXT_NONE : k->text;
    t->tags = k->tags;
    if (k->refused)
        index_refuse(t, k->refused);
    if (!index_is_wanted(t))
        return 0;
    if (!k->has_stts || !k->has_stsz || !k->has_stsc || !k->has_stco)
        return m->fragmented ? 0 : fail_with(m->why, -E_CORRUPT, "a track without sample tables");
    return walk_tables(m, k, t);
}
