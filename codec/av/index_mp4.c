// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4 - sample tables of MP4 and MOV (ISO/IEC 14496-12).
//
// The top level is walked by box headers; moov is read whole, then its tables
// are walked in step, one run at a time, so nothing is allocated by a count
// that a file merely claims.  A fragmented file adds the runs of its moofs.
//
// One edit is followed: pts = decode time + composition offset - media_time
// + the leading empty edit.  What is more than that is refused, not guessed.
//
// Not read: sample groups, cslg, sidx and mfra, external data references.

#include "codec/av/index.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/av/fail.h"
#include "codec/av/window.h"

#define MOOV_MAX (64 * MIB)
#define MOOF_MAX (16 * MIB)
#define PCM_FRAMES 1024 // that one sample of ours has; libavformat's have as many

#define TX3G_ALL_FORCED 0x80000000u // displayFlags of a sample entry

#define TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

// An edit list of the kind we follow, in ticks of the movie but for media_time.
struct edit {
    int64_t empty;
    int64_t media_time;
    int64_t duration; // 0: to the end
};

// The defaults of a track's samples in fragments.
struct defaults {
    uint32_t duration, size, flags;
};

struct trak {
    uint32_t id;
    uint32_t handler;   // vide, soun, ...
    uint32_t timescale; // as it stands there
    uint32_t entry;     // type of the first sample entry
    bool enabled;
    struct tags tags;
    enum text_format text;
    struct edit edit;
    const char *refused;                              // or NULL
    struct reader stts, ctts, stss, stsz, stsc, stco; // entries; borrowed from moov
    bool has_stts, has_stss, has_stsz, has_stsc, has_stco, wide_offsets;
    uint32_t size_all; // size of every sample, or 0
    uint32_t size_count;
    int size_bits;      // of one entry of stsz
    uint32_t pcm_frame; // bytes that the sample entry tells of each sample, 0: it is not PCM
    struct defaults trex;
    uint32_t description; // of samples in fragments that tell no other
    int64_t next_dts;     // where the next fragment begins unless it says otherwise
};

struct mp4 {
    struct window *w;
    const struct why *why;
    struct index *x;
    struct buf moov;
    int64_t movie_timescale;
    bool fragmented;
    struct trak *traks; // [x->track_count]
};

static int corrupt(const struct mp4 *m, const char *box)
{
    return fail_with(m->why, -E_CORRUPT, "the %s box is damaged", box);
}

// ---- boxes in memory

// Takes the next box out of r; false at the end.  A box that claims more than
// its parent has is cut.
static bool next_box(struct reader *r, uint32_t *type, struct reader *body)
{
    if (reader_left(r) < 8)
        return false;
    uint64_t size = get_be32(r);
    *type = get_be32(r);
    uint64_t head = 8;
    if (size == 1) {
        size = get_be64(r);
        head = 16;
    }
    if (r->bad || (size && size < head))
        return false;
    const size_t left = reader_left(r);
    const size_t n = size == 0 || size - head > left ? left : (size_t)(size - head);
    *body = reader_of(get_bytes(r, n), n);
    return true;
}

static bool find_box(struct reader r, uint32_t wanted, struct reader *body)
{
    uint32_t type;
    while (next_box(&r, &type, body))
        if (type == wanted)
            return true;
    return false;
}

static int version_of(struct reader *r, uint32_t *flags)
{
    const uint32_t v = get_be32(r);
    if (flags)
        *flags = v & 0xffffff;
    return (int)(v >> 24);
}

// The entries of a table whose count comes next in r; false when they are not all there.
static bool get_entries(struct reader *r, size_t entry, struct reader *out)
{
    const uint64_t n = (uint64_t)get_be32(r) * entry;
    if (r->bad || n > reader_left(r))
        return false;
    *out = reader_of(get_bytes(r, (size_t)n), (size_t)n);
    return true;
}

static bool full_table(struct reader r, size_t entry, struct reader *out)
{
    version_of(&r, NULL);
    return get_entries(&r, entry, out);
}

// An offset in the file.  One that is past any file stays so, but may be added to.
static int64_t get_offset(struct reader *r, int n)
{
    const uint64_t v = get_be(r, n);
    return v < INT64_MAX / 2 ? (int64_t)v : INT64_MAX / 2;
}

// v ticks of `from` a second in ticks of `to`; false when that is no sane time.
static bool rescale(int64_t v, int64_t to, int64_t from, int64_t *out)
{
    const __int128 p = (__int128)v * to;
    if (from <= 0 || p / from > INDEX_TIME_MAX || p / from < -INDEX_TIME_MAX)
        return false;
    *out = muldiv_round(v, to, from);
    return true;
}

// ---- edit lists

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
static const char *parse_edits(const struct mp4 *m, struct trak *t, struct reader r)
{
    const int version = version_of(&r, NULL);
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

static int apply_edit(const struct mp4 *m, const struct trak *k, struct index_track *t)
{
    int64_t empty, duration, tick;
    if (!rescale(k->edit.empty, t->timescale, m->movie_timescale, &empty) ||
        !rescale(k->edit.duration, t->timescale, m->movie_timescale, &duration) ||
        !rescale(1, t->timescale, m->movie_timescale, &tick))
        return corrupt(m, "elst");
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

// ---- the boxes of a trak

static void parse_tkhd(struct trak *t, struct reader r)
{
    uint32_t flags;
    const int version = version_of(&r, &flags);
    get_bytes(&r, version ? 16 : 8);
    t->id = get_be32(&r);
    t->enabled = flags & 1;
}

static void parse_mdhd(struct trak *t, struct reader r)
{
    const int version = version_of(&r, NULL);
    get_bytes(&r, version ? 16 : 8);
    t->timescale = get_be32(&r);
    get_bytes(&r, version ? 8 : 4);
    const uint32_t packed = get_be16(&r);
    char code[3];
    for (int i = 0; i < 3; i++) {
        const int c = (int)(packed >> (10 - 5 * i) & 31) + 0x60;
        if (c < 'a' || c > 'z' || packed < 0x400)
            return;
        code[i] = (char)c;
    }
    language_parse(code, sizeof code, t->tags.language);
}

static bool parse_sizes(struct trak *t, struct reader r, bool compact)
{
    version_of(&r, NULL);
    const uint32_t first = get_be32(&r);
    t->size_count = get_be32(&r);
    t->size_all = compact ? 0 : first;
    t->size_bits = compact ? (int)(first & 0xff) : 32;
    const int bits = t->size_bits;
    if (r.bad || (bits != 4 && bits != 8 && bits != 16 && bits != 32))
        return false;
    t->stsz = r;
    return t->size_all || ((uint64_t)t->size_count * (uint32_t)bits + 7) / 8 <= reader_left(&r);
}

static bool is_encrypted(uint32_t entry)
{
    return entry == TYPE('e', 'n', 'c', 'v') || entry == TYPE('e', 'n', 'c', 'a') ||
           entry == TYPE('d', 'r', 'm', 'i') || entry == TYPE('d', 'r', 'm', 's');
}

// Bytes of one channel's value; bits as the sample entry says, which is right for some.
static uint32_t pcm_bytes(uint32_t entry, uint32_t bits)
{
    switch (entry) {
    case TYPE('s', 'o', 'w', 't'):
    case TYPE('t', 'w', 'o', 's'):
        return bits == 8 || bits == 16 ? bits / 8 : 0;
    case TYPE('r', 'a', 'w', ' '):
        return bits == 8 ? 1 : 0;
    case TYPE('u', 'l', 'a', 'w'):
    case TYPE('a', 'l', 'a', 'w'):
        return 1;
    case TYPE('i', 'n', '2', '4'):
        return 3;
    case TYPE('i', 'n', '3', '2'):
    case TYPE('f', 'l', '3', '2'):
        return 4;
    default:
        return 0;
    }
}

// Bytes of a sample by a sound description (QuickTime File Format Specification,
// "Sound Sample Descriptions"): version 2 says it, before that it is to be counted.
static uint32_t pcm_frame(uint32_t entry, struct reader r)
{
    get_bytes(&r, 8);
    const uint32_t version = get_be16(&r);
    get_bytes(&r, 6);
    const uint32_t channels = get_be16(&r), bits = get_be16(&r);
    if (version < 2)
        return r.bad ? 0 : channels * pcm_bytes(entry, bits);
    get_bytes(&r, 8 + 28); // ... up to constBytesPerAudioPacket
    const uint32_t bytes = get_be32(&r), frames = get_be32(&r);
    return !r.bad && entry == TYPE('l', 'p', 'c', 'm') && frames == 1 ? bytes : 0;
}

// "text" of QuickTime is left out: those are chapters.
static enum text_format text_of(uint32_t entry)
{
    return entry == TYPE('t', 'x', '3', 'g')   ? TEXT_TX3G
           : entry == TYPE('w', 'v', 't', 't') ? TEXT_WVTT
                                               : TEXT_NONE;
}

static void parse_stsd(struct trak *t, struct reader r)
{
    struct reader body;
    version_of(&r, NULL);
    get_be32(&r);
    if (!next_box(&r, &t->entry, &body))
        return;
    t->pcm_frame = pcm_frame(t->entry, body);
    if (is_encrypted(t->entry))
        t->refused = "encrypted";
    t->text = text_of(t->entry);
    if (t->text == TEXT_TX3G) {
        get_bytes(&body, 8);
        if (get_be32(&body) & TX3G_ALL_FORCED)
            t->tags.flags |= TAG_FORCED;
    }
}

static int parse_stbl(const struct mp4 *m, struct trak *t, struct reader r)
{
    uint32_t type = 0;
    struct reader body;
    bool ok = true;
    while (ok && next_box(&r, &type, &body)) {
        switch (type) {
        case TYPE('s', 't', 's', 'd'):
            parse_stsd(t, body);
            break;
        case TYPE('s', 't', 't', 's'):
            ok = t->has_stts = full_table(body, 8, &t->stts);
            break;
        case TYPE('c', 't', 't', 's'):
            ok = full_table(body, 8, &t->ctts);
            break;
        case TYPE('s', 't', 's', 's'):
            ok = t->has_stss = full_table(body, 4, &t->stss);
            break;
        case TYPE('s', 't', 's', 'z'):
        case TYPE('s', 't', 'z', '2'):
            ok = t->has_stsz = parse_sizes(t, body, type == TYPE('s', 't', 'z', '2'));
            break;
        case TYPE('s', 't', 's', 'c'):
            ok = t->has_stsc = full_table(body, 12, &t->stsc);
            break;
        case TYPE('s', 't', 'c', 'o'):
        case TYPE('c', 'o', '6', '4'):
            t->wide_offsets = type == TYPE('c', 'o', '6', '4');
            ok = t->has_stco = full_table(body, t->wide_offsets ? 8 : 4, &t->stco);
            break;
        }
    }
    const char name[] = { (char)(type >> 24), (char)(type >> 16), (char)(type >> 8), (char)type,
                          0 };
    return ok ? 0 : corrupt(m, name);
}

static int parse_mdia(const struct mp4 *m, struct trak *t, struct reader mdia)
{
    struct reader body, stbl;
    if (find_box(mdia, TYPE('m', 'd', 'h', 'd'), &body))
        parse_mdhd(t, body);
    if (find_box(mdia, TYPE('e', 'l', 'n', 'g'), &body)) {
        version_of(&body, NULL);
        language_parse(body.p, strnlen((const char *)body.p, reader_left(&body)), t->tags.language);
    }
    if (find_box(mdia, TYPE('h', 'd', 'l', 'r'), &body)) {
        get_bytes(&body, 8);
        t->handler = get_be32(&body);
    }
    if (find_box(mdia, TYPE('m', 'i', 'n', 'f'), &body) &&
        find_box(body, TYPE('s', 't', 'b', 'l'), &stbl))
        return parse_stbl(m, t, stbl);
    return 0;
}

// A role as a 'kind' box tells it (DASH's scheme), in enum tag.
static unsigned tag_of(const char *scheme, const char *value)
{
    static const struct {
        const char *value;
        enum tag tag;
    } roles[] = {
        { "caption", TAG_CAPTIONS },        { "forced-subtitle", TAG_FORCED },
        { "forced_subtitle", TAG_FORCED },  { "commentary", TAG_COMMENTARY },
        { "description", TAG_DESCRIPTION }, { "dub", TAG_DUB },
    };
    for (size_t i = 0; i < countof(roles) && strcmp(scheme, "urn:mpeg:dash:role:2011") == 0; i++)
        if (strcmp(value, roles[i].value) == 0)
            return roles[i].tag;
    return 0;
}

static const char *get_string(struct reader *r)
{
    const size_t left = reader_left(r), n = left ? strnlen((const char *)r->p, left) : 0;
    return n < left ? (const char *)get_bytes(r, n + 1) : "";
}

static void parse_udta(struct trak *t, struct reader udta)
{
    uint32_t type;
    struct reader body;
    while (next_box(&udta, &type, &body)) {
        if (type == TYPE('n', 'a', 'm', 'e')) {
            media_title(body.p, reader_left(&body), t->tags.title);
        } else if (type == TYPE('k', 'i', 'n', 'd')) {
            version_of(&body, NULL);
            const char *const scheme = get_string(&body);
            t->tags.flags |= tag_of(scheme, get_string(&body));
        }
    }
}

static int parse_trak(const struct mp4 *m, struct trak *t, struct reader trak)
{
    *t = (struct trak){ .tags.language = "und", .enabled = true };
    struct reader body, elst;
    if (find_box(trak, TYPE('t', 'k', 'h', 'd'), &body))
        parse_tkhd(t, body);
    if (find_box(trak, TYPE('m', 'd', 'i', 'a'), &body)) {
        const int rc = parse_mdia(m, t, body);
        if (rc < 0)
            return rc;
    }
    if (find_box(trak, TYPE('u', 'd', 't', 'a'), &body))
        parse_udta(t, body);
    if (find_box(trak, TYPE('e', 'd', 't', 's'), &body) &&
        find_box(body, TYPE('e', 'l', 's', 't'), &elst)) {
        const char *why = parse_edits(m, t, elst);
        t->refused = t->refused ? t->refused : why;
    }
    if (t->timescale < 1 || t->timescale > 1000000000)
        t->refused = t->refused ? t->refused : "a time scale that makes no sense";
    return 0;
}

// ---- sample tables

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
    bool pcm;
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

// Makes one sample of what the tables say about it.  1: it is there; 0: the file
// ends before it; or an error.
static int add_sample(struct mp4 *m, struct index_track *t, const struct sample *s)
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
        return corrupt(m, "stts");
    const bool sync = take_sync(w);
    const struct sample s = { .offset = offset,
                              .pts = w->dts + shift,
                              .size = size_of(k, w->i),
                              .duration = w->stts.value,
                              .sync = sync || !k->has_stss || t->audio };
    const int rc = add_sample(m, t, &s);
    w->dts += w->stts.value;
    w->i++;
    return rc;
}

// All of a chunk of PCM, which has a table entry for each of its samples, in larger ones.
static int walk_pcm_chunk(struct mp4 *m, struct trak *k, struct index_track *t, struct walk *w,
                          int64_t offset)
{
    int rc = 1;
    uint32_t left = w->stsc.per_chunk;
    left = left < k->size_count - w->i ? left : k->size_count - w->i;
    while (rc == 1 && left > 0) {
        const uint32_t n = left < PCM_FRAMES ? left : PCM_FRAMES;
        const struct sample s = {
            .offset = offset, .pts = w->dts, .size = n * k->pcm_frame, .duration = n, .sync = true
        };
        rc = add_sample(m, t, &s);
        offset += s.size;
        w->dts += n;
        w->i += n;
        left -= n;
    }
    return rc;
}

// Whether each sample lasts one tick: then its rate is that of the track.
static bool is_pcm(const struct trak *k, const struct index_track *t)
{
    struct runs stts = { .r = k->stts };
    return t->audio && k->pcm_frame > 0 && k->pcm_frame <= 256 && next_run(&stts) &&
           stts.value == 1 && reader_left(&stts.r) == 0;
}

// All samples of one chunk; as add_sample.
static int walk_chunk(struct mp4 *m, struct trak *k, struct index_track *t, struct walk *w)
{
    int64_t offset = get_offset(&k->stco, k->wide_offsets ? 8 : 4);
    int rc = 1;
    if (w->pcm)
        return walk_pcm_chunk(m, k, t, w, offset);
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
    w.pcm = is_pcm(k, t);
    uint32_t entry = 0;
    int rc = 1;
    for (uint32_t c = 1; rc == 1 && w.i < k->size_count && reader_left(&k->stco); c++) {
        enter_chunk(&w.stsc, c);
        if (entry && w.stsc.entry != entry && !t->text) {
            index_refuse(t, "several sample descriptions");
            return 0;
        }
        entry = w.stsc.entry;
        rc = walk_chunk(m, k, t, &w);
    }
    if (rc == 0) {
        const uint32_t lost = k->size_count - w.i + 1;
        t->lost = lost < INT32_MAX ? (int)lost : INT32_MAX;
    }
    k->next_dts = w.dts;
    if (entry > 1 && !t->text)
        index_refuse(t, "a second sample description");
    return rc < 0 ? rc : 0;
}

static int add_track(struct mp4 *m, struct trak *k)
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

// ---- moov

static void parse_trex(struct mp4 *m, struct reader mvex)
{
    uint32_t type;
    struct reader r;
    while (next_box(&mvex, &type, &r)) {
        if (type != TYPE('t', 'r', 'e', 'x'))
            continue;
        version_of(&r, NULL);
        const uint32_t id = get_be32(&r), description = get_be32(&r);
        const uint32_t duration = get_be32(&r), size = get_be32(&r), flags = get_be32(&r);
        for (int i = 0; i < m->x->track_count; i++) {
            if (m->traks[i].id != id)
                continue;
            m->traks[i].trex = (struct defaults){ duration, size, flags };
            m->traks[i].description = description;
        }
    }
}

static int parse_traks(struct mp4 *m, struct reader moov, int max)
{
    uint32_t type;
    struct reader body;
    while (next_box(&moov, &type, &body)) {
        if (type != TYPE('t', 'r', 'a', 'k'))
            continue;
        const int n = m->x->track_count;
        if (n >= max)
            return fail_with(m->why, -E_LIMITS, "more than %d tracks", max);
        m->traks = xrealloc(m->traks, (size_t)(n + 1) * sizeof *m->traks);
        int rc = parse_trak(m, &m->traks[n], body);
        if (rc == 0)
            rc = add_track(m, &m->traks[n]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_moov(struct mp4 *m, int max_tracks)
{
    const struct reader moov = reader_of(m->moov.data, m->moov.len);
    struct reader body;
    m->movie_timescale = 1;
    if (find_box(moov, TYPE('m', 'v', 'h', 'd'), &body)) {
        get_bytes(&body, version_of(&body, NULL) ? 16 : 8);
        m->movie_timescale = get_be32(&body);
    }
    if (m->movie_timescale < 1)
        return corrupt(m, "mvhd");
    struct reader mvex;
    m->fragmented = m->x->fragmented = find_box(moov, TYPE('m', 'v', 'e', 'x'), &mvex);
    const int rc = parse_traks(m, moov, max_tracks);
    if (rc == 0 && m->fragmented)
        parse_trex(m, mvex);
    return rc;
}

// ---- moof

// One track's part of a fragment while it is read.
struct traf {
    struct trak *k;
    struct index_track *t;
    struct defaults d;
    int64_t base; // offsets in trun count from here
    int64_t data; // where the next run begins unless it says otherwise
    bool ended;   // the file ended in it
};

static bool parse_tfhd(struct mp4 *m, struct traf *f, struct reader r, int64_t moof_at,
                       int64_t data)
{
    uint32_t flags;
    version_of(&r, &flags);
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
    if (description > 1 && !f->t->text)
        return index_refuse(f->t, "a second sample description"), false;
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
            .sync = is_sync_flags(i == 0 && flags & 0x4 ? first_flags : own) || f->t->audio
        };
        rc = add_sample(m, f->t, &s);
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
    version_of(&r, &flags);
    const uint32_t count = get_be32(&r);
    if (flags & 0x1)
        f->data = f->base + (int32_t)get_be32(&r);
    const uint32_t first_flags = flags & 0x4 ? get_be32(&r) : 0;
    const int fields = __builtin_popcount(flags & 0xf00);
    if (r.bad || (uint64_t)count * (uint32_t)fields * 4 > reader_left(&r))
        return corrupt(m, "trun");
    if (f->data < 0 || (!fields && !f->d.size))
        return 0;
    return trun_samples(m, f, r, flags, count, first_flags);
}

static int parse_traf(struct mp4 *m, struct reader traf, int64_t moof_at, int64_t *data,
                      bool *ended)
{
    struct reader body;
    struct traf f = { 0 };
    if (!find_box(traf, TYPE('t', 'f', 'h', 'd'), &body) ||
        !parse_tfhd(m, &f, body, moof_at, *data))
        return 0;
    if (find_box(traf, TYPE('t', 'f', 'd', 't'), &body)) {
        const uint64_t dts = get_be(&body, version_of(&body, NULL) ? 8 : 4);
        if (dts >= (uint64_t)INDEX_TIME_MAX)
            return corrupt(m, "tfdt");
        f.k->next_dts = (int64_t)dts;
    }
    uint32_t type;
    int rc = 0;
    while (rc == 0 && !f.ended && next_box(&traf, &type, &body))
        if (type == TYPE('t', 'r', 'u', 'n'))
            rc = parse_trun(m, &f, body);
    *data = f.data;
    *ended |= f.ended;
    return rc;
}

static int parse_moof(struct mp4 *m, struct reader moof, int64_t at, bool *ended)
{
    uint32_t type;
    struct reader body;
    int64_t data = at;
    int rc = 0;
    while (rc == 0 && next_box(&moof, &type, &body))
        if (type == TYPE('t', 'r', 'a', 'f'))
            rc = parse_traf(m, body, at, &data, ended);
    return rc;
}

// ---- the top level

struct box {
    uint32_t type;
    int64_t at, body, end;
};

// The box at pos; false where there is none (the end, damage, a failure to read).
static bool box_at(struct window *w, int64_t pos, struct box *b)
{
    const int64_t size = w->io->size;
    const int64_t n = size - pos < 16 ? size - pos : 16;
    const uint8_t *p = n >= 8 ? window_look(w, pos, n) : NULL;
    if (!p)
        return false;
    struct reader r = reader_of(p, (size_t)n);
    uint64_t length = get_be32(&r);
    b->type = get_be32(&r);
    uint64_t head = 8;
    if (length == 1) {
        length = get_be64(&r);
        head = 16;
    }
    if (r.bad || (length && length < head))
        return false;
    b->at = pos;
    b->body = pos + (int64_t)head;
    b->end = length == 0 || length > (uint64_t)(size - pos) ? size : pos + (int64_t)length;
    return true;
}

// Reads the whole body of b into out.
static int read_body(struct mp4 *m, const struct box *b, int64_t max, struct buf *out)
{
    const int64_t n = b->end - b->body;
    if (n > max)
        return fail_with(m->why, -E_LIMITS, "a header box of %" PRId64 " bytes", n);
    buf_init(out, (size_t)max);
    uint8_t *p = buf_extend(out, (size_t)n);
    if (n && !p)
        return fail_with(m->why, -E_NO_MEMORY, "no memory for a header box");
    if (n && !window_copy(m->w, b->body, p, n))
        return m->w->err;
    return 0;
}

static int read_fragment(struct mp4 *m, const struct box *b, bool *ended)
{
    struct buf moof;
    int rc = read_body(m, b, MOOF_MAX, &moof);
    if (rc == 0)
        rc = parse_moof(m, reader_of(moof.data, moof.len), b->at, ended);
    buf_finish(&moof);
    return rc;
}

// Walks the boxes of the file up to the end of what counts: the moov, or the
// last whole fragment.
static int walk_file(struct mp4 *m, int max_tracks)
{
    struct box b;
    bool found = false, ended = false;
    int rc = 0;
    for (int64_t pos = 0; rc == 0 && !ended && box_at(m->w, pos, &b); pos = b.end) {
        if (b.type == TYPE('m', 'o', 'o', 'v') && !found) {
            found = true;
            rc = read_body(m, &b, MOOV_MAX, &m->moov);
            if (rc == 0)
                rc = parse_moov(m, max_tracks);
            ended = !m->fragmented;
        } else if (b.type == TYPE('m', 'o', 'o', 'f') && found) {
            rc = read_fragment(m, &b, &ended);
        }
    }
    if (rc == 0)
        rc = m->w->err;
    if (rc == 0 && !found)
        return fail_with(m->why, -E_CORRUPT, "there is no moov box; the file is not complete");
    return rc;
}

int index_read_mp4(struct io *io, const struct job_limits *limits, struct index *out, char *detail,
                   size_t cap)
{
    const struct why why = { detail, cap };
    *out = (struct index){ .container = CONTAINER_MP4 };
    struct window *w = xmalloc(sizeof *w);
    window_init(w, io, limits->probe_bytes);
    struct mp4 m = { .w = w, .why = &why, .x = out };
    if (cap)
        detail[0] = 0;
    int rc = walk_file(&m, limits->streams);
    for (int i = 0; rc == 0 && i < out->track_count; i++)
        if (!out->tracks[i].refused)
            rc = apply_edit(&m, &m.traks[i], &out->tracks[i]);
    if (rc < 0 && cap && !detail[0])
        fail_with(&why, rc, "%s", err_sentence(rc));
    buf_finish(&m.moov);
    free(m.traks);
    free(w);
    return rc;
}
