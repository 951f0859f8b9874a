// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4_trak - the boxes of a trak: what the track is, and where its tables stand.

#include "codec/av/index_mp4.h"

#include <string.h>

#define TX3G_ALL_FORCED 0x80000000u // displayFlags of a sample entry

// ---- its header

static void parse_tkhd(struct trak *t, struct reader r)
{
    uint32_t flags;
    const int version = box_version(&r, &flags);
    get_bytes(&r, version ? 16 : 8);
    t->id = get_be32(&r);
    t->enabled = flags & 1;
}

static void parse_mdhd(struct trak *t, struct reader r)
{
    const int version = box_version(&r, NULL);
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

// ---- sample descriptions

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
    case TYPE('i', 'p', 'c', 'm'): // ISO/IEC 23003-5
    case TYPE('f', 'p', 'c', 'm'):
        return bits <= 64 && bits % 8 == 0 ? bits / 8 : 0;
    case TYPE('i', 'n', '3', '2'):
    case TYPE('f', 'l', '3', '2'):
        return 4;
    default:
        return 0;
    }
}

// Of kinds that QuickTime had before it said so: bytes of so many samples.
static struct chunk_unit old_unit(uint32_t entry, uint32_t channels)
{
    switch (entry) {
    case TYPE('i', 'm', 'a', '4'):
        return (struct chunk_unit){ 34 * channels, 64 };
    case TYPE('M', 'A', 'C', '3'):
        return (struct chunk_unit){ 2 * channels, 6 };
    case TYPE('M', 'A', 'C', '6'):
        return (struct chunk_unit){ channels, 6 };
    case TYPE('a', 'g', 's', 'm'):
        return (struct chunk_unit){ 33, 160 };
    default:
        return (struct chunk_unit){ 0, 0 };
    }
}

// What the chunks consist of by a sound description (QuickTime File Format Specification,
// "Sound Sample Descriptions"): of PCM version 2 says it, of other kinds version 1.
static struct chunk_unit parse_unit(uint32_t entry, struct reader r)
{
    get_bytes(&r, 8);
    const uint32_t version = get_be16(&r);
    get_bytes(&r, 6);
    const uint32_t channels = get_be16(&r), bits = get_be16(&r);
    struct chunk_unit u = { channels * pcm_bytes(entry, bits), 1 };
    get_bytes(&r, 8);
    if (version == 2) {
        get_bytes(&r, 28); // ... up to constBytesPerAudioPacket
        u.bytes = get_be32(&r);
        u.samples = get_be32(&r);
        return !r.bad && entry == TYPE('l', 'p', 'c', 'm') && u.samples == 1
                   ? u
                   : (struct chunk_unit){ 0, 0 };
    }
    if (u.bytes == 0)
        u = old_unit(entry, channels);
    if (u.bytes == 0 && version == 1) {
        u.samples = get_be32(&r);
        get_be32(&r); // bytes of one channel
        u.bytes = get_be32(&r);
    }
    return r.bad ? (struct chunk_unit){ 0, 0 } : u;
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
    box_version(&r, NULL);
    get_be32(&r);
    t->stsd = r;
    if (!box_next(&r, &t->entry, &body))
        return;
    t->unit = parse_unit(t->entry, body);
    if (is_encrypted(t->entry))
        t->refused = "encrypted";
    t->text = text_of(t->entry);
    if (t->text == TEXT_TX3G) {
        get_bytes(&body, 8);
        if (get_be32(&body) & TX3G_ALL_FORCED)
            t->tags.flags |= TAG_FORCED;
    }
}

// ---- where its tables are

static bool parse_sizes(struct trak *t, struct reader r, bool compact)
{
    box_version(&r, NULL);
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

static int parse_stbl(const struct mp4 *m, struct trak *t, struct reader r)
{
    uint32_t type = 0;
    struct reader body;
    bool ok = true;
    while (ok && box_next(&r, &type, &body)) {
        switch (type) {
        case TYPE('s', 't', 's', 'd'):
            parse_stsd(t, body);
            break;
        case TYPE('s', 't', 't', 's'):
            ok = t->has_stts = box_table(body, 8, &t->stts);
            break;
        case TYPE('c', 't', 't', 's'):
            ok = box_table(body, 8, &t->ctts);
            break;
        case TYPE('s', 't', 's', 's'):
            ok = t->has_stss = box_table(body, 4, &t->stss);
            break;
        case TYPE('s', 't', 's', 'z'):
        case TYPE('s', 't', 'z', '2'):
            ok = t->has_stsz = parse_sizes(t, body, type == TYPE('s', 't', 'z', '2'));
            break;
        case TYPE('s', 't', 's', 'c'):
            ok = t->has_stsc = box_table(body, 12, &t->stsc);
            break;
        case TYPE('s', 't', 'c', 'o'):
        case TYPE('c', 'o', '6', '4'):
            t->wide_offsets = type == TYPE('c', 'o', '6', '4');
            ok = t->has_stco = box_table(body, t->wide_offsets ? 8 : 4, &t->stco);
            break;
        }
    }
    const char name[] = { (char)(type >> 24), (char)(type >> 16), (char)(type >> 8), (char)type,
                          0 };
    return ok ? 0 : mp4_corrupt(m, name);
}

static int parse_mdia(const struct mp4 *m, struct trak *t, struct reader mdia)
{
    struct reader body, stbl;
    if (box_find(mdia, TYPE('m', 'd', 'h', 'd'), &body))
        parse_mdhd(t, body);
    if (box_find(mdia, TYPE('e', 'l', 'n', 'g'), &body)) {
        box_version(&body, NULL);
        language_parse(body.p, strnlen((const char *)body.p, reader_left(&body)), t->tags.language);
    }
    if (box_find(mdia, TYPE('h', 'd', 'l', 'r'), &body)) {
        get_bytes(&body, 8);
        t->handler = get_be32(&body);
    }
    if (box_find(mdia, TYPE('m', 'i', 'n', 'f'), &body) &&
        box_find(body, TYPE('s', 't', 'b', 'l'), &stbl))
        return parse_stbl(m, t, stbl);
    return 0;
}

// ---- what people call it

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
    while (box_next(&udta, &type, &body)) {
        if (type == TYPE('n', 'a', 'm', 'e')) {
            media_title(body.p, reader_left(&body), t->tags.title);
        } else if (type == TYPE('k', 'i', 'n', 'd')) {
            box_version(&body, NULL);
            const char *const scheme = get_string(&body);
            t->tags.flags |= tag_of(scheme, get_string(&body));
        }
    }
}

int mp4_parse_trak(const struct mp4 *m, struct trak *t, struct reader trak)
{
    *t = (struct trak){
        .tags.language = "und", .enabled = true, .latest_dts = INT64_MIN, .latest_pts = INT64_MIN
    };
    struct reader body, elst;
    if (box_find(trak, TYPE('t', 'k', 'h', 'd'), &body))
        parse_tkhd(t, body);
    if (box_find(trak, TYPE('m', 'd', 'i', 'a'), &body)) {
        const int rc = parse_mdia(m, t, body);
        if (rc < 0)
            return rc;
    }
    if (box_find(trak, TYPE('u', 'd', 't', 'a'), &body))
        parse_udta(t, body);
    if (box_find(trak, TYPE('e', 'd', 't', 's'), &body) &&
        box_find(body, TYPE('e', 'l', 's', 't'), &elst)) {
        const char *why = mp4_parse_edits(m, t, elst);
        t->refused = t->refused ? t->refused : why;
    }
    if (t->timescale < 1 || t->timescale > 1000000000)
        t->refused = t->refused ? t->refused : "a time scale that makes no sense";
    return 0;
}
