// SPDX-License-Identifier: BSD-2-Clause
//
// index_matroska - sample tables of Matroska and WebM (RFC 9559, RFC 8794).
//
// The file is walked once, element by element; payloads are skipped.  To enter
// a cluster is to go on with its first child: what ends it, known size or not,
// is the next element that is none of its children, so both kinds are one case.
// The walk ends at the end of the segment, or where the file is cut: the whole
// blocks before that stay.  Where it is damaged, that is where no element stands, it
// goes on with the next cluster, and the block before is left out: bytes may be missing in it.
//
// Not read: SeekHead, Cues, Duration (blocks tell better), TrackOperation,
// block additions.

#include "codec/av/index.h"

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/beginning.h"
#include "codec/fail.h"
#include "codec/window.h"

#define HEADER_MAX (16 * MIB) // of Info or Tracks
#define LACE_MAX 4096         // of the sizes before laced frames
#define FRAMES_MAX 256        // of one block
#define UNKNOWN UINT64_MAX    // an element's size: up to what cannot be its child
#define ELEMENT_MAX 12        // bytes before an element's body
#define DAMAGE_MAX (64 * MIB) // how far on a cluster is sought

enum {
    ID_EBML = 0x1a45dfa3,
    ID_SEGMENT = 0x18538067,
    ID_INFO = 0x1549a966,
    ID_TIMESTAMP_SCALE = 0x2ad7b1,
    ID_TRACKS = 0x1654ae6b,
    ID_TRACK = 0xae,
    ID_TRACK_NUMBER = 0xd7,
    ID_TRACK_TYPE = 0x83,
    ID_FLAG_ENABLED = 0xb9,
    ID_FLAG_DEFAULT = 0x88,
    ID_FLAG_FORCED = 0x55aa,
    ID_FLAG_CAPTIONS = 0x55ab,
    ID_FLAG_DESCRIPTION = 0x55ac,
    ID_FLAG_ORIGINAL = 0x55ae,
    ID_FLAG_COMMENTARY = 0x55af,
    ID_NAME = 0x536e,
    ID_LANGUAGE = 0x22b59c,
    ID_LANGUAGE_TAG = 0x22b59d,
    ID_CODEC = 0x86,
    ID_DEFAULT_DURATION = 0x23e383,
    ID_CODEC_DELAY = 0x56aa,
    ID_ENCODINGS = 0x6d80,
    ID_ENCODING = 0x6240,
    ID_ENCODING_SCOPE = 0x5032,
    ID_ENCODING_TYPE = 0x5033,
    ID_COMPRESSION = 0x5034,
    ID_COMPRESSION_ALGO = 0x4254,
    ID_COMPRESSION_SETTINGS = 0x4255,
    ID_CLUSTER = 0x1f43b675,
    ID_TIMESTAMP = 0xe7,
    ID_SIMPLE_BLOCK = 0xa3,
    ID_BLOCK_GROUP = 0xa0,
    ID_BLOCK = 0xa1,
    ID_BLOCK_DURATION = 0x9b,
    ID_REFERENCE = 0xfb,
    // Not looked into.
    ID_SEEK_HEAD = 0x114d9b74,
    ID_CUES = 0x1c53bb6b,
    ID_ATTACHMENTS = 0x1941a469,
    ID_CHAPTERS = 0x1043a770,
    ID_TAGS = 0x1254c367,
    ID_SILENT_TRACKS = 0x5854,
    ID_POSITION = 0xa7,
    ID_PREVIOUS_SIZE = 0xab,
    ID_ENCRYPTED_BLOCK = 0xaf,
    ID_VOID = 0xec,
    ID_CRC = 0xbf,
};

struct track {
    uint64_t number;           // as blocks name it
    uint64_t default_duration; // of a frame, in nanoseconds; 0 = unknown
};

struct matroska {
    struct window *w;
    const struct why *why;
    struct index *x;
    int max_tracks;
    int64_t first;        // job_limits.first
    uint64_t scale;       // nanoseconds of a tick of the file
    int64_t timescale;    // our ticks per second
    int64_t factor;       // our ticks in one of the file
    int64_t cluster;      // time of the cluster, in ticks of the file
    bool started;         // in the clusters: headers that come now are too late
    struct track *tracks; // [x->track_count]
    int last_track;       // to which the element read last added samples; -1: to none
    int last_count;       // how many it had before that
};

// ---- elements in memory

// A number with its length in front; the length bit stays when keep is set.
static uint64_t get_vint(struct reader *r, int max, bool keep)
{
    const int first = get_u8(r);
    int n = 1;
    while (n <= max && !(first & 0x80 >> (n - 1)))
        n++;
    if (n > max) {
        r->bad = true;
        return 0;
    }
    const uint64_t rest = get_be(r, n - 1);
    const uint64_t value =
        (uint64_t)(keep ? first : first & ((0x80 >> (n - 1)) - 1)) << (n - 1) * 8 | rest;
    const bool all_ones = !keep && value == ((uint64_t)1 << 7 * n) - 1;
    return all_ones ? UNKNOWN : value;
}

static uint32_t get_id(struct reader *r)
{
    return (uint32_t)get_vint(r, 4, true);
}

// Takes the next element out of r; false at the end, or at damage.
static bool next_element(struct reader *r, uint32_t *id, struct reader *body)
{
    if (!reader_left(r))
        return false;
    *id = get_id(r);
    const uint64_t n = get_vint(r, 8, false);
    if (r->bad || n > reader_left(r))
        return false;
    *body = reader_of(get_bytes(r, (size_t)n), (size_t)n);
    return true;
}

static uint64_t uint_of(struct reader r)
{
    const size_t n = reader_left(&r);
    return get_be(&r, n < 8 ? (int)n : 8);
}

// ---- Info and Tracks

static int parse_info(struct matroska *m, struct reader info)
{
    uint32_t id;
    struct reader body;
    if (m->started)
        return 0;
    while (next_element(&info, &id, &body))
        if (id == ID_TIMESTAMP_SCALE)
            m->scale = uint_of(body);
    if (m->scale < 1 || m->scale > 1000000000)
        return fail_with(m->why, -E_CORRUPT, "a time scale that makes no sense");
    const int64_t scale = (int64_t)m->scale;
    const bool whole = 1000000000 % scale == 0;
    m->timescale = whole ? 1000000000 / scale : 1000000000;
    m->factor = whole ? 1 : scale;
    return 0;
}

static void parse_compression(struct index_track *t, struct reader r)
{
    uint32_t id;
    struct reader body;
    uint64_t algo = 0;
    struct reader settings = { 0 };
    while (next_element(&r, &id, &body)) {
        if (id == ID_COMPRESSION_ALGO)
            algo = uint_of(body);
        if (id == ID_COMPRESSION_SETTINGS)
            settings = body;
    }
    const size_t n = reader_left(&settings);
    if (algo == 0) {
        t->strip.deflated = true;
    } else if (algo != 3) {
        index_refuse(t, "compressed packets");
    } else if (n > MEDIA_STRIP_MAX) {
        index_refuse(t, "header stripping of too many bytes");
    } else if (n) {
        memcpy(t->strip.bytes, settings.p, n);
        t->strip.n = (int)n;
    }
}

static void parse_encoding(struct index_track *t, struct reader r)
{
    uint32_t id;
    struct reader body, compression = { 0 };
    uint64_t scope = 1, type = 0;
    while (next_element(&r, &id, &body)) {
        if (id == ID_ENCODING_SCOPE)
            scope = uint_of(body);
        if (id == ID_ENCODING_TYPE)
            type = uint_of(body);
        if (id == ID_COMPRESSION)
            compression = body;
    }
    if (type != 0)
        index_refuse(t, "encrypted");
    else if (scope & 1)
        parse_compression(t, compression);
}

static void parse_encodings(struct index_track *t, struct reader r)
{
    uint32_t id;
    struct reader body;
    int n = 0;
    while (next_element(&r, &id, &body)) {
        if (id != ID_ENCODING)
            continue;
        if (n++)
            index_refuse(t, "packets encoded more than once");
        else
            parse_encoding(t, body);
    }
}

// What libavformat makes no stream of does not count as a track.
static bool is_track(struct reader entry)
{
    uint32_t id;
    struct reader body;
    uint64_t type = 0;
    bool codec = false;
    while (next_element(&entry, &id, &body)) {
        if (id == ID_TRACK_TYPE)
            type = uint_of(body);
        if (id == ID_CODEC)
            codec = reader_left(&body) > 0;
    }
    return codec && (type == 1 || type == 2 || type == 0x11 || type == 0x21);
}

// Strings may be padded with zeros.
static bool text_is(struct reader r, const char *text)
{
    const size_t n = reader_left(&r);
    const uint8_t *const p = get_bytes(&r, n);
    return p && strnlen((const char *)p, n) == strlen(text) && memcmp(p, text, strlen(text)) == 0;
}

static enum text_format text_of(struct reader codec)
{
    static const struct {
        const char *id;
        enum text_format format;
    } kinds[] = {
        { "S_TEXT/UTF8", TEXT_SUBRIP },     { "S_TEXT/ASCII", TEXT_SUBRIP },
        { "S_TEXT/ASS", TEXT_ASS },         { "S_TEXT/SSA", TEXT_ASS },
        { "S_TEXT/WEBVTT", TEXT_WEBVTT },   { "D_WEBVTT/SUBTITLES", TEXT_WEBM },
        { "D_WEBVTT/CAPTIONS", TEXT_WEBM },
    };
    for (size_t i = 0; i < countof(kinds); i++)
        if (text_is(codec, kinds[i].id))
            return kinds[i].format;
    return TEXT_NONE;
}

static void set_language(struct index_track *t, struct reader r)
{
    const size_t n = reader_left(&r) ? strnlen((const char *)r.p, reader_left(&r)) : 0;
    language_parse(r.p, n, t->tags.language);
}

static unsigned flag(uint64_t v, enum tag tag)
{
    return v == 1 ? tag : 0;
}

static void parse_tags(struct index_track *t, struct reader entry)
{
    uint32_t id;
    struct reader body, language = reader_of("eng", 3), tag = { 0 }; // the format's default
    uint64_t preferred = 1;                                          // likewise
    while (next_element(&entry, &id, &body)) {
        const uint64_t v = uint_of(body);
        switch (id) {
        case ID_NAME:
            media_title(body.p, reader_left(&body), t->tags.title);
            break;
        case ID_LANGUAGE:
            language = body;
            break;
        case ID_LANGUAGE_TAG:
            tag = body;
            break;
        case ID_FLAG_DEFAULT:
            preferred = v;
            break;
        case ID_FLAG_FORCED:
            t->tags.flags |= flag(v, TAG_FORCED);
            break;
        case ID_FLAG_CAPTIONS:
            t->tags.flags |= flag(v, TAG_CAPTIONS);
            break;
        case ID_FLAG_DESCRIPTION:
            t->tags.flags |= flag(v, TAG_DESCRIPTION);
            break;
        case ID_FLAG_COMMENTARY:
            t->tags.flags |= flag(v, TAG_COMMENTARY);
            break;
        case ID_FLAG_ORIGINAL:
            t->tags.flags |= v == 0 ? TAG_DUB : 0;
            break;
        }
    }
    t->tags.flags |= flag(preferred, TAG_PREFERRED);
    set_language(t, reader_left(&tag) ? tag : language);
}

static void parse_track(struct index_track *t, struct track *k, struct reader entry)
{
    uint32_t id;
    struct reader body;
    uint64_t enabled = 1, preferred = 1;
    *k = (struct track){ 0 };
    while (next_element(&entry, &id, &body)) {
        const uint64_t v = uint_of(body);
        switch (id) {
        case ID_TRACK_NUMBER:
            k->number = v;
            break;
        case ID_TRACK_TYPE:
            t->video = v == 1;
            t->audio = v == 2;
            break;
        case ID_FLAG_ENABLED:
            enabled = v;
            break;
        case ID_FLAG_DEFAULT:
            preferred = v;
            break;
        case ID_DEFAULT_DURATION:
            k->default_duration = v;
            break;
        case ID_CODEC:
            t->decode_times = text_is(body, "V_MS/VFW/FOURCC");
            if (text_is(body, "A_WAVPACK4"))
                index_refuse(t, "WavPack in Matroska, without its headers");
            t->text = text_of(body);
            break;
        case ID_CODEC_DELAY:
            t->codec_delay_ns = v < 1000000000 ? (int64_t)v : 0;
            break;
        case ID_ENCODINGS:
            parse_encodings(t, body);
            break;
        }
    }
    t->enabled = enabled && preferred;
    if (t->strip.deflated && !t->text)
        index_refuse(t, "compressed packets");
}

static int parse_tracks(struct matroska *m, struct reader tracks)
{
    uint32_t id;
    struct reader body;
    if (m->started || m->x->track_count)
        return 0; // a second copy, or too late
    while (next_element(&tracks, &id, &body)) {
        if (id != ID_TRACK || !is_track(body))
            continue;
        const int n = m->x->track_count;
        if (n >= m->max_tracks)
            return fail_with(m->why, -E_LIMITS, "more than %d tracks", m->max_tracks);
        m->tracks = xrealloc(m->tracks, (size_t)(n + 1) * sizeof *m->tracks);
        struct index_track *t = index_add_track(m->x);
        parse_track(t, &m->tracks[n], body);
        parse_tags(t, body);
    }
    return 0;
}

// ---- blocks

// A block as its container describes it; times in ticks of the file.
struct block {
    int64_t at, end;   // of its bytes in the file
    uint64_t duration; // 0 = unknown
    bool simple;
    bool referring; // to other blocks, in a group: no sync sample
};

// Takes the sizes of all frames but the last out of r; the count, or 0 at damage.
static int get_lace(struct reader *r, int lacing, int64_t left, int64_t *sizes)
{
    const int n = get_u8(r) + 1;
    int64_t sum = 0;
    for (int i = 0; i < n - 1 && !r->bad; i++) {
        if (lacing == 1) { // Xiph
            sizes[i] = 0;
            for (int b = 255; b == 255; sizes[i] += b)
                b = get_u8(r);
        } else if (lacing == 3) { // EBML: the first size, then differences
            const uint8_t *before = r->p;
            const uint64_t v = get_vint(r, 8, false);
            if (r->bad || v == UNKNOWN)
                return 0;
            const int bits = (int)(r->p - before) * 7;
            const int64_t bias = ((int64_t)1 << (bits - 1)) - 1;
            sizes[i] = i ? sizes[i - 1] + (int64_t)v - bias : (int64_t)v;
        } else {
            sizes[i] = 0; // all the same
        }
        if (sizes[i] < 0 || sizes[i] > left)
            return 0;
        sum += sizes[i];
    }
    return r->bad || sum > left ? 0 : n;
}

// The sizes of the n frames in the left bytes after the lace.
static bool finish_lace(int lacing, int n, int64_t left, int64_t *sizes)
{
    if (lacing == 2) {
        for (int i = 0; i < n; i++)
            sizes[i] = left / n;
        return left % n == 0;
    }
    sizes[n - 1] = left;
    for (int i = 0; i < n - 1; i++)
        sizes[n - 1] -= sizes[i];
    return sizes[n - 1] >= 0;
}

// The first two bytes of the packet as a decoder gets it.
static bool look_head(struct matroska *m, const struct index_track *t, int64_t at, int64_t size,
                      uint8_t *head)
{
    const int stripped = t->strip.n < 2 ? t->strip.n : 2;
    const int64_t n = size < 2 - stripped ? size : 2 - stripped;
    memset(head, 0, 2);
    memcpy(head, t->strip.bytes, (size_t)stripped);
    const uint8_t *p = n ? window_look(m->w, at, n) : head;
    if (p && n)
        memcpy(head + stripped, p, (size_t)n);
    return p;
}

static int add_frame(struct matroska *m, struct index_track *t, const struct sample *s)
{
    uint8_t head[2];
    if (s->size == 0)
        return 0;
    if (!look_head(m, t, s->offset, s->size, head))
        return m->w->err;
    const int rc = index_add_sample(m->x, t, s, head);
    return rc < 0 ? fail_with(m->why, rc, "too many samples") : 0;
}

// The time of a block in our ticks; false when that is no sane time.
static bool block_time(const struct matroska *m, int rel, int64_t *pts)
{
    const __int128 v = ((__int128)m->cluster + rel) * m->factor;
    *pts = (int64_t)v;
    return v < INDEX_TIME_MAX && v > -INDEX_TIME_MAX;
}

static uint32_t frame_duration(const struct matroska *m, const struct block *b,
                               const struct track *k)
{
    if (b->duration && b->duration < (uint64_t)(UINT32_MAX / m->factor))
        return (uint32_t)((int64_t)b->duration * m->factor);
    const uint64_t hour = UINT64_C(3600000000000);
    if (k->default_duration > hour)
        return 0;
    return (uint32_t)muldiv_round((int64_t)k->default_duration, m->timescale, 1000000000);
}

// The frames of a block; r stands behind its flags, at `at` in the file.
static int add_frames(struct matroska *m, const struct block *b, struct index_track *t,
                      struct sample s, int lacing, struct reader r, int64_t at)
{
    int64_t sizes[FRAMES_MAX] = { b->end - at };
    int n = 1;
    if (lacing) {
        const uint8_t *start = r.p;
        n = get_lace(&r, lacing, b->end - at, sizes);
        at += r.p - start;
        if (n == 0 || !finish_lace(lacing, n, b->end - at, sizes))
            return 0;
    }
    s.offset = at;
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        if (sizes[i] > INT32_MAX)
            return 0;
        s.size = (uint32_t)sizes[i];
        rc = add_frame(m, t, &s);
        s.offset += sizes[i];
        s.pts = INDEX_NO_PTS;
        s.duration = 0;
    }
    return rc;
}

static int track_of(const struct matroska *m, uint64_t number)
{
    for (int i = 0; i < m->x->track_count; i++)
        if (m->tracks[i].number == number)
            return i;
    return -1;
}

// A damaged block is left out: 0.
static int add_block(struct matroska *m, const struct block *b)
{
    int64_t n = min64(b->end - b->at, 16);
    const uint8_t *p = window_look(m->w, b->at, n);
    if (!p)
        return m->w->err;
    struct reader r = reader_of(p, (size_t)n);
    const int number = track_of(m, get_vint(&r, 8, false));
    const int rel = (int16_t)get_be16(&r);
    const int flags = get_u8(&r), lacing = flags >> 1 & 3;
    if (r.bad || number < 0)
        return 0;
    struct index_track *t = &m->x->tracks[number];
    if (!index_is_wanted(t))
        return 0;
    if (lacing && !t->audio) {
        index_refuse(t, t->video ? "laced pictures" : "laced texts");
        return 0;
    }
    int64_t pts;
    if (!block_time(m, rel, &pts))
        return fail_with(m->why, -E_CORRUPT, "time stamps that make no sense");

    const int64_t at = b->at + (r.p - p);
    if (lacing) { // the sizes may be many
        n = min64(b->end - at, LACE_MAX);
        p = window_look(m->w, at, n);
        if (!p)
            return m->w->err;
        r = reader_of(p, (size_t)n);
    }
    m->last_track = number;
    m->last_count = t->sample_count;
    const struct sample s = { .pts = pts,
                              .duration = lacing ? 0 : frame_duration(m, b, &m->tracks[number]),
                              .sync = t->audio || (b->simple ? flags & 0x80 : !b->referring) };
    return add_frames(m, b, t, s, lacing, r, at);
}

// ---- the walk

struct element {
    uint32_t id;
    int64_t body, end;
    bool open; // of unknown size; end is then that of the parent
    bool cut;  // the file ends in it; so is end
};

// The element at pos, in a parent that ends at limit; false where there is none.
static bool element_at(struct matroska *m, int64_t pos, int64_t limit, struct element *e)
{
    const int64_t n = min64(limit - pos, ELEMENT_MAX);
    const uint8_t *p = n > 0 ? window_look(m->w, pos, n) : NULL;
    if (!p)
        return false;
    struct reader r = reader_of(p, (size_t)n);
    e->id = get_id(&r);
    const uint64_t size = get_vint(&r, 8, false);
    if (r.bad)
        return false;
    e->body = pos + (r.p - p);
    e->open = size == UNKNOWN;
    e->cut = !e->open && size > (uint64_t)(limit - e->body);
    e->end = e->open || e->cut ? limit : e->body + (int64_t)size;
    return true;
}

static uint64_t look_uint(struct matroska *m, const struct element *e)
{
    const int64_t n = min64(e->end - e->body, 8);
    const uint8_t *p = window_look(m->w, e->body, n);
    return p ? uint_of(reader_of(p, (size_t)n)) : 0;
}

static int read_group(struct matroska *m, const struct element *group)
{
    struct element e;
    struct block b = { .at = -1 };
    for (int64_t pos = group->body; element_at(m, pos, group->end, &e) && !e.open; pos = e.end) {
        if (e.cut)
            break;
        if (e.id == ID_BLOCK)
            b.at = e.body, b.end = e.end;
        if (e.id == ID_BLOCK_DURATION)
            b.duration = look_uint(m, &e);
        if (e.id == ID_REFERENCE)
            b.referring = true;
    }
    if (m->w->err || b.at < 0)
        return m->w->err;
    return add_block(m, &b);
}

static int read_header(struct matroska *m, const struct element *e,
                       int (*parse)(struct matroska *, struct reader))
{
    const int64_t n = e->end - e->body;
    if (n > HEADER_MAX)
        return fail_with(m->why, -E_LIMITS, "a header of %lld bytes", (long long)n);
    struct buf b;
    buf_init(&b, HEADER_MAX);
    uint8_t *p = buf_extend(&b, (size_t)n);
    int rc = n && !p ? fail_with(m->why, -E_NO_MEMORY, "no memory for a header") : 0;
    if (rc == 0 && n && !window_copy(m->w, e->body, p, n))
        rc = m->w->err;
    if (rc == 0)
        rc = parse(m, reader_of(b.data, b.len));
    buf_finish(&b);
    return rc;
}

static int read_cluster_time(struct matroska *m, const struct element *e)
{
    const uint64_t v = look_uint(m, e);
    if (v > (uint64_t)INDEX_TIME_MAX)
        return fail_with(m->why, -E_CORRUPT, "time stamps that make no sense");
    m->cluster = (int64_t)v;
    m->started = true;
    return m->w->err;
}

static int read_element(struct matroska *m, const struct element *e)
{
    switch (e->id) {
    case ID_INFO:
        return read_header(m, e, parse_info);
    case ID_TRACKS:
        return read_header(m, e, parse_tracks);
    case ID_TIMESTAMP:
        return read_cluster_time(m, e);
    case ID_SIMPLE_BLOCK:
        return add_block(m, &(struct block){ .at = e->body, .end = e->end, .simple = true });
    case ID_BLOCK_GROUP:
        return read_group(m, e);
    default:
        return 0;
    }
}

// From the first of its samples to the last that has a time; in a lace only the first has one.
static int64_t length(const struct index_track *t)
{
    int i = t->sample_count - 1;
    while (i >= 0 && t->samples[i].pts == INDEX_NO_PTS)
        i--;
    return i < 0 ? 0 : t->samples[i].pts - t->samples[0].pts;
}

// Whether the beginning (codec/beginning.h) ends before this cluster.
static bool breaks_off(const struct matroska *m, const struct element *cluster)
{
    if (!beginning_may_end(m->first, m->w->io->size, cluster->body))
        return false;
    for (int i = 0; i < m->x->track_count; i++) {
        const struct index_track *const t = &m->x->tracks[i];
        if (index_is_wanted(t) && !t->text && length(t) < BEGINNING_SECONDS * m->timescale)
            return false;
    }
    return true;
}

// Of a segment or a cluster; or the file goes on with another one.
static bool is_known(uint32_t id)
{
    static const uint32_t ids[] = { ID_SIMPLE_BLOCK,  ID_BLOCK_GROUP,   ID_TIMESTAMP,
                                    ID_CLUSTER,       ID_VOID,          ID_CRC,
                                    ID_POSITION,      ID_PREVIOUS_SIZE, ID_ENCRYPTED_BLOCK,
                                    ID_SILENT_TRACKS, ID_CUES,          ID_TAGS,
                                    ID_SEEK_HEAD,     ID_INFO,          ID_TRACKS,
                                    ID_CHAPTERS,      ID_ATTACHMENTS,   ID_EBML,
                                    ID_SEGMENT };
    for (size_t i = 0; i < countof(ids); i++)
        if (ids[i] == id)
            return true;
    return false;
}

enum step {
    STEP_ON,
    STEP_CUT,  // the file ends in the midst of an element
    STEP_LOST, // this is no element
};

// What is at pos; one of a kind that is not known yet is one if another follows it.
static enum step step_at(struct matroska *m, int64_t pos, int64_t end, struct element *e)
{
    struct element next;
    if (!element_at(m, pos, end, e))
        return end - pos < ELEMENT_MAX ? STEP_CUT : STEP_LOST;
    const bool known = is_known(e->id);
    if (e->id != ID_CLUSTER && (e->open || e->cut))
        return known && e->cut ? STEP_CUT : STEP_LOST;
    return known || e->end == end || (element_at(m, e->end, end, &next) && is_known(next.id))
               ? STEP_ON
               : STEP_LOST;
}

static bool is_cluster(struct matroska *m, int64_t pos, int64_t end)
{
    struct element e, first;
    return element_at(m, pos, end, &e) && e.id == ID_CLUSTER &&
           element_at(m, e.body, e.end, &first) && is_known(first.id);
}

// The first cluster behind pos; -1: there is none.
static int64_t next_cluster(struct matroska *m, int64_t pos, int64_t end)
{
    static const uint8_t id[] = { 0x1f, 0x43, 0xb6, 0x75 };
    const int64_t size = sizeof id, limit = min64(end, pos + DAMAGE_MAX);
    for (pos++; limit - pos >= size;) {
        const int64_t n = min64(limit - pos, WINDOW_SIZE);
        const uint8_t *const p = window_look(m->w, pos, n);
        const uint8_t *const found = p ? memmem(p, (size_t)n, id, sizeof id) : NULL;
        const int64_t at = found ? found - p : n - size;
        if (!p)
            return -1;
        if (found && is_cluster(m, pos + at, end))
            return pos + at;
        pos += at + 1;
    }
    return -1;
}

// Where the walk goes on that came to the end, or to damage, behind the element at `last`.
static int64_t pass_damage(struct matroska *m, int64_t last, int64_t end)
{
    const int64_t at = next_cluster(m, last, end);
    if (at < 0)
        return end;
    log_info("probe", "bytes %lld to %lld of the file are damaged", (long long)last, (long long)at);
    if (m->last_track >= 0)
        m->x->tracks[m->last_track].sample_count = m->last_count;
    return at;
}

static int walk_segment(struct matroska *m, int64_t pos, int64_t end)
{
    struct element e;
    int64_t last = pos; // where the element before begins
    int rc = 0;
    while (rc == 0 && pos < end) {
        const enum step step = step_at(m, pos, end, &e);
        if (step == STEP_ON && (e.id == ID_EBML || e.id == ID_SEGMENT))
            break;
        if (step != STEP_LOST)
            m->last_track = -1;
        if (step != STEP_ON) {
            pos = last = pass_damage(m, step == STEP_LOST ? last : pos, end);
            continue;
        }
        const bool enter = e.id == ID_CLUSTER;
        m->x->beginning = enter && breaks_off(m, &e);
        if (m->x->beginning)
            break;
        if (!enter)
            rc = read_element(m, &e);
        last = pos;
        pos = enter ? e.body : e.end;
    }
    return rc < 0 ? rc : m->w->err;
}

static int walk_file(struct matroska *m)
{
    const int64_t size = m->w->io->size;
    struct element e;
    for (int64_t pos = 0; element_at(m, pos, size, &e); pos = e.end) {
        if (e.id == ID_SEGMENT)
            return walk_segment(m, e.body, e.end);
        if (e.open || e.cut)
            break;
    }
    return m->w->err ? m->w->err : fail_with(m->why, -E_CORRUPT, "there is no segment in it");
}

static void close_track(const struct matroska *m, struct index_track *t)
{
    t->timescale = m->timescale;
    t->end = index_samples_end(t);
}

int index_read_matroska(struct io *io, const struct job_limits *limits, struct index *out,
                        char *detail, size_t cap)
{
    const struct why why = { detail, cap };
    *out = (struct index){ .container = CONTAINER_MATROSKA };
    struct window *w = xmalloc(sizeof *w);
    window_init(w, io, limits->probe_bytes);
    struct matroska m = { .w = w,
                          .why = &why,
                          .x = out,
                          .max_tracks = limits->streams,
                          .first = limits->first,
                          .scale = 1000000,
                          .timescale = 1000,
                          .factor = 1,
                          .last_track = -1 };
    if (cap)
        detail[0] = 0;
    const int rc = walk_file(&m);
    for (int i = 0; i < out->track_count; i++)
        close_track(&m, &out->tracks[i]);
    if (rc < 0 && cap && !detail[0])
        fail_with(&why, rc, "%s", err_sentence(rc));
    free(m.tracks);
    free(w);
    return rc;
}
