// SPDX-License-Identifier: BSD-2-Clause
//
// t_av_trace - packets are found in a source again, and read from it later (payload.h):
// in pieces, in transport packets, behind damage; and what a source is, by its first bytes.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/av/real.h"
#include "codec/av/sniff.h"
#include "codec/av/trace.h"
#include "codec/payload.h"
#include "test/unit/av_tools.h"

#define PID 256
#define PACKETS 40

// ---- sources made here

static uint32_t seed;

static uint8_t any(void)
{
    seed = seed * 1664525 + 1013904223;
    return (uint8_t)(seed >> 24);
}

// Packets of all lengths; some are as the one before, and some hold nothing but zeros if wanted.
struct packets {
    uint8_t bytes[PACKETS][3000];
    int n[PACKETS];
};

static struct packets *make_packets(bool zeros)
{
    struct packets *p = xcalloc(1, sizeof *p);
    for (int i = 0; i < PACKETS; i++) {
        p->n[i] = i % 7 == 0 ? 1 + any() % 20 : 1 + (any() << 8 | any()) % 3000;
        for (int k = 0; k < p->n[i]; k++)
            p->bytes[i][k] = zeros && i % 5 == 1 ? 0 : any();
        if (i % 9 == 4) {
            p->n[i] = p->n[i - 1];
            memcpy(p->bytes[i], p->bytes[i - 1], (size_t)p->n[i]);
        }
    }
    return p;
}

static void put_foreign(struct buf *b, int n)
{
    while (n-- > 0)
        put_u8(b, any());
}

// Cut so that at most `most` bytes stand together (0: whole), foreign bytes between.
static struct buf source_of_pieces(const struct packets *p, int most)
{
    struct buf b;
    buf_init(&b, (size_t)(16 * MIB));
    for (int i = 0; i < PACKETS; i++)
        for (int at = 0, n; at < p->n[i]; at += n) {
            put_foreign(&b, 3 + any() % 40);
            const int least = at ? 32 : 1; // a first piece may be brief
            n = p->n[i] - at < most || most == 0 ? p->n[i] - at : least + any() % (most - least);
            buf_append(&b, p->bytes[i] + at, (size_t)n);
        }
    return b;
}

struct ts {
    struct buf b;
    int packet, counters[2]; // of PID and the next
};

static void put_ts_packet(struct ts *ts, int pid, bool starts, const uint8_t *bytes, int n)
{
    const int stuffing = 184 - n; // in an adaptation field
    buf_fill(&ts->b, 0xcd, (size_t)(ts->packet == 192 ? 4 : 0));
    put_u8(&ts->b, 0x47);
    put_be16(&ts->b, (uint16_t)(pid | (starts ? 0x4000 : 0)));
    put_u8(&ts->b, (uint8_t)((stuffing ? 0x30 : 0x10) | (ts->counters[pid - PID]++ & 15)));
    if (stuffing) {
        put_u8(&ts->b, (uint8_t)(stuffing - 1));
        if (stuffing > 1)
            put_u8(&ts->b, 0);
        buf_fill(&ts->b, 0xff, (size_t)(stuffing > 2 ? stuffing - 2 : 0));
    }
    buf_append(&ts->b, bytes, (size_t)n);
    buf_fill(&ts->b, 0xfe, (size_t)(ts->packet == 204 ? 16 : 0));
}

// A PES packet for each of ours; packets of another PID between.
static struct buf source_of_transport(const struct packets *p, int packet)
{
    struct ts ts = { .packet = packet };
    buf_init(&ts.b, (size_t)(16 * MIB));
    uint8_t other[184];
    for (int i = 0; i < PACKETS; i++) {
        uint8_t pes[4000] = { 0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1 };
        memcpy(pes + 14, p->bytes[i], (size_t)p->n[i]);
        for (int at = 0, n, all = 14 + p->n[i]; at < all; at += n) {
            n = all - at < 184 ? all - at : 184;
            put_ts_packet(&ts, PID, at == 0, pes + at, n);
            for (int k = any() % 3; k > 0; k--) {
                for (int m = 0; m < 184; m++)
                    other[m] = any();
                put_ts_packet(&ts, PID + 1, false, other, 184);
            }
        }
    }
    return ts.b;
}

// ---- found, and read

static struct carriage transport_of(const struct buf *source)
{
    struct carriage how;
    assert_int_equal(sniff(source->data, source->len, &how), CONTAINER_TS);
    how.pid = PID;
    return how;
}

// Traces all packets, and reads those that were found, backwards, so that nothing is read on.
// How many were found.
static int trace_and_read(const struct buf *source, const struct carriage *how,
                          const struct packets *p)
{
    struct memory m;
    memory_init(&m, source);
    struct trace t;
    trace_init(&t, &m.io, how, INT64_MAX);
    struct sample samples[PACKETS];
    int of[PACKETS], count = 0;
    for (int i = 0; i < PACKETS; i++) {
        struct sample s = { .size = (uint32_t)p->n[i] };
        const int rc = trace_packet(&t, p->bytes[i], p->n[i], 0, &s.offset);
        assert_true(rc >= 0);
        if (rc > 0)
            of[count] = i, samples[count++] = s;
    }
    char line[200];
    const struct why why = { line, sizeof line };
    struct payload payload;
    payload_init(&payload, &m.io, &t.carriage, samples, count, &why);
    uint8_t bytes[3000];
    for (int k = count - 1; k >= 0; k--) {
        assert_int_equal(payload_read(&payload, k, bytes), 0);
        assert_memory_equal(bytes, p->bytes[of[k]], p->n[of[k]]);
    }
    payload_finish(&payload);
    trace_finish(&t);
    buf_finish(&m.out);
    return count;
}

// ---- RealMedia

#define SLICES 3

// A picture of one to three slices behind its table, as libavformat gives it; the slices go
// into the source with foreign bytes between.
static int make_picture(uint8_t *out, int slices, struct buf *source)
{
    int n = 1 + 8 * slices;
    const int table = n;
    out[0] = (uint8_t)(slices - 1);
    for (int k = 0; k < slices; k++) {
        const int size = 1 + any() % 300;
        const uint8_t entry[8] = { 1, 0, 0, 0, (uint8_t)(n - table), (uint8_t)((n - table) >> 8) };
        memcpy(out + 1 + 8 * k, entry, sizeof entry);
        for (int i = 0; i < size; i++)
            out[n + i] = any();
        put_foreign(source, 5 + any() % 40);
        buf_append(source, out + n, (size_t)size);
        n += size;
    }
    return n;
}

static void read_picture(const struct trace *t, struct memory *m, const struct sample *s,
                         const uint8_t *want, int n)
{
    char line[200];
    uint8_t bytes[1000];
    const struct why why = { line, sizeof line };
    struct payload payload;
    payload_init(&payload, &m->io, &t->carriage, s, 1, &why);
    const int table = real_table(&t->carriage, s, NULL);
    assert_int_equal(table + (int)s->size, n);
    assert_int_equal(real_table(&t->carriage, s, bytes), table);
    assert_int_equal(payload_read(&payload, 0, bytes + table), 0);
    assert_memory_equal(bytes, want, n);
    payload_finish(&payload);
}

// Pictures of RealMedia come back slice by slice, with the table that stands nowhere.
static void slices_of_realmedia(void **state)
{
    (void)state;
    static uint8_t pictures[PACKETS][1000];
    const struct carriage none = { 0 };
    struct buf source;
    struct sample s[PACKETS];
    int n[PACKETS];
    struct memory m;
    struct trace t;
    seed = 9;
    buf_init(&source, (size_t)MIB);
    for (int i = 0; i < PACKETS; i++)
        n[i] = make_picture(pictures[i], 1 + i % SLICES, &source);
    memory_init(&m, &source);
    trace_init(&t, &m.io, &none, INT64_MAX);
    t.back = 0;
    for (int i = 0; i < PACKETS; i++) {
        const int table = real_table_length(pictures[i], n[i]);
        assert_int_equal(table, 1 + 8 * (1 + i % SLICES));
        s[i] = (struct sample){ .size = (uint32_t)(n[i] - table) };
        assert_int_equal(real_trace(&t, pictures[i], n[i], table, &s[i].offset), 1);
    }
    for (int i = PACKETS - 1; i >= 0; i--)
        read_picture(&t, &m, &s[i], pictures[i], n[i]);
    assert_int_equal(real_table_length(pictures[0], 9), 0); // nothing behind it
    pictures[1][5 + 8] = 0; // the second begins where the first does
    pictures[1][6 + 8] = 0;
    assert_int_equal(real_table_length(pictures[1], n[1]), 0);
    trace_finish(&t);
    buf_finish(&m.out);
    buf_finish(&source);
}

// Sound that is dealt out: packets stand in the source in another order than they come in.
static void interleaved(void **state)
{
    (void)state;
    struct packets *p = make_packets(true);
    const struct carriage none = { 0 };
    struct buf source;
    int64_t at[PACKETS], offset;
    buf_init(&source, (size_t)MIB);
    for (int i = 0; i < PACKETS; i++) {
        const int k = i * 7 % PACKETS;
        put_foreign(&source, 3 + any() % 40);
        at[k] = (int64_t)source.len;
        buf_append(&source, p->bytes[k], (size_t)p->n[k]);
    }
    struct memory m;
    struct trace t;
    memory_init(&m, &source);
    trace_init(&t, &m.io, &none, INT64_MAX);
    t.back = 512 * KIB;
    for (int i = 0; i < PACKETS; i++) {
        assert_int_equal(trace_packet(&t, p->bytes[i], p->n[i], 0, &offset), 1);
        const int piece = carriage_find(&t.carriage, offset);
        const int64_t place =
            t.carriage.pieces[piece].offset + (offset - t.carriage.pieces[piece].at);
        assert_true(place <= at[i]); // there, or the same bytes before
        assert_memory_equal(source.data + place, p->bytes[i], p->n[i]);
    }
    assert_false(t.split);
    trace_finish(&t);
    buf_finish(&m.out);
    buf_finish(&source);
    free(p);
}

static void in_pieces(void **state)
{
    (void)state;
    static const int most[] = { 0, 1500, 255, 64 };
    const struct carriage none = { 0 };
    for (size_t i = 0; i < countof(most); i++)
        for (uint32_t run = 0; run < 4; run++) {
            seed = run * 77 + 1;
            struct packets *p = make_packets(most[i] == 0); // in pieces, zeros tell no place
            struct buf source = source_of_pieces(p, most[i]);
            const int found = trace_and_read(&source, &none, p);
            // Two alike in a row, the first one cut after a few bytes: one may be lost.
            if (found < PACKETS - (most[i] ? 4 : 0))
                fail_msg("pieces of %d, run %u: %d of %d", most[i], run, found, PACKETS);
            buf_finish(&source);
            free(p);
        }
}

static void in_a_transport_stream(void **state)
{
    (void)state;
    static const int sizes[] = { 188, 192, 204 };
    for (size_t i = 0; i < countof(sizes); i++) {
        seed = 5;
        struct packets *p = make_packets(true);
        struct buf source = source_of_transport(p, sizes[i]);
        struct carriage how = transport_of(&source);
        assert_int_equal(how.packet, sizes[i]);
        assert_int_equal(how.phase, sizes[i] == 192 ? 4 : 0);
        assert_int_equal(trace_and_read(&source, &how, p), PACKETS);
        buf_finish(&source);
        free(p);
    }
}

// Bytes are missing in the middle: packets stand elsewhere than they are counted from then on.
static void behind_a_hole(void **state)
{
    (void)state;
    seed = 9;
    struct packets *p = make_packets(true);
    struct buf source = source_of_transport(p, 188);
    const size_t at = source.len / 2 / 188 * 188 + 100, hole = 1003;
    memmove(source.data + at, source.data + at + hole, source.len - at - hole);
    source.len -= hole;
    struct carriage how = transport_of(&source);
    const int found = trace_and_read(&source, &how, p);
    assert_in_range(found, PACKETS - 3, PACKETS - 1);
    buf_finish(&source);
    free(p);
}

// ---- what is missing

#define TORN_AT 21 // a short sample: its one packet has room for flags

struct torn {
    struct buf source;
    struct carriage how;
    struct sample samples[PACKETS];
};

static uint8_t *packet_of(struct torn *t, int sample)
{
    const int64_t at = t->samples[sample].offset - t->how.phase;
    return t->source.data + t->how.phase + at / t->how.packet * t->how.packet;
}

static void is_whole(struct torn *t)
{
    (void)t;
}
static void is_marked(struct torn *t)
{
    packet_of(t, TORN_AT)[1] |= 0x80;
}
static void is_scrambled(struct torn *t)
{
    packet_of(t, TORN_AT)[3] |= 0x80;
}
static void is_lost(struct torn *t)
{
    packet_of(t, TORN_AT)[2] ^= 0xff; // of another PID
}
static void counts_anew(struct torn *t)
{
    for (uint8_t *p = packet_of(t, TORN_AT); p < t->source.data + t->source.len; p += t->how.packet)
        p[3] = (uint8_t)((p[3] & 0xf0) | ((p[3] + 3) & 0xf));
}
static void counts_anew_and_says_so(struct torn *t)
{
    counts_anew(t);
    packet_of(t, TORN_AT)[5] |= 0x80;
}
static void counts_anew_at_a_start(struct torn *t)
{
    counts_anew(t);
    t->samples[TORN_AT].sync = true;
}
static void is_passed_over(struct torn *t)
{
    memmove(&t->samples[TORN_AT], &t->samples[TORN_AT + 1],
            (PACKETS - TORN_AT - 1) * sizeof *t->samples);
}
static void is_passed_over_before_a_start(struct torn *t)
{
    is_passed_over(t);
    t->samples[TORN_AT].sync = true;
}

static void trace_all(struct torn *t, const struct packets *p)
{
    struct memory m;
    struct trace trace;
    memory_init(&m, &t->source);
    trace_init(&trace, &m.io, &t->how, INT64_MAX);
    for (int i = 0; i < PACKETS; i++) {
        t->samples[i].size = (uint32_t)p->n[i];
        assert_int_equal(trace_packet(&trace, p->bytes[i], p->n[i], 0, &t->samples[i].offset), 1);
    }
    trace_finish(&trace);
    buf_finish(&m.out);
}

// The first sample, read in order, that is torn; -1: none.
static int first_torn(const struct torn *t, int count)
{
    static const struct why silent = { NULL, 0 };
    struct memory m;
    struct payload payload;
    uint8_t bytes[3000];
    int torn = -1;
    memory_init(&m, &t->source);
    payload_init(&payload, &m.io, &t->how, t->samples, count, &silent);
    for (int i = 0; i < count && torn < 0; i++)
        if (payload_read(&payload, i, bytes) < 0 || payload_is_torn(&payload))
            torn = i;
    payload_finish(&payload);
    buf_finish(&m.out);
    return torn;
}

static void what_is_missing(void **state)
{
    (void)state;
    static const struct {
        void (*what)(struct torn *t);
        int at;
    } cases[] = {
        { is_whole, -1 },
        { is_marked, TORN_AT },
        { is_scrambled, TORN_AT },
        { is_lost, TORN_AT },
        { counts_anew, TORN_AT },
        { counts_anew_and_says_so, -1 },
        { counts_anew_at_a_start, -1 },
        { is_passed_over, TORN_AT },
        { is_passed_over_before_a_start, -1 },
    };
    for (size_t i = 0; i < 3 * countof(cases); i++) {
        static const int sizes[] = { 188, 192, 204 };
        seed = 5;
        struct packets *p = make_packets(false);
        struct torn t = { .source = source_of_transport(p, sizes[i % 3]) };
        t.how = transport_of(&t.source);
        trace_all(&t, p);
        cases[i / 3].what(&t);
        const int at = first_torn(&t, PACKETS - 1);
        if (at != cases[i / 3].at)
            fail_msg("case %zu: at %d", i / 3, at);
        buf_finish(&t.source);
        free(p);
    }
}

// A parser gives the zeros before a start code twice.
static void overlapping(void **state)
{
    (void)state;
    static const uint8_t es[] = "abcdefghijklmnopqr\0\0\1ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct buf source;
    buf_init(&source, 4096);
    buf_append(&source, es, 20); // one zero here
    buf_puts(&source, "header");
    buf_append(&source, es + 20, sizeof es - 21);
    struct memory m;
    memory_init(&m, &source);
    struct trace t;
    const struct carriage none = { 0 };
    trace_init(&t, &m.io, &none, INT64_MAX);
    int64_t first, second;
    assert_int_equal(trace_packet(&t, es, 19, 0, &first), 1);                   // with a zero
    assert_int_equal(trace_packet(&t, es + 18, sizeof es - 19, 0, &second), 1); // with it again
    assert_int_equal(first, 0);
    assert_int_equal(second, 18);
    trace_finish(&t);
    buf_finish(&source);
    buf_finish(&m.out);
}

static void not_there(void **state)
{
    (void)state;
    seed = 3;
    struct packets *p = make_packets(true);
    struct buf source = source_of_pieces(p, 0);
    struct memory m;
    memory_init(&m, &source);
    struct trace t;
    const struct carriage none = { 0 };
    int64_t offset;
    trace_init(&t, &m.io, &none, INT64_MAX);
    assert_int_equal(trace_packet(&t, (const uint8_t *)"made up by a demuxer", 20, 0, &offset), 0);
    assert_int_equal(trace_packet(&t, p->bytes[0], p->n[0], 0, &offset), 1); // nothing was skipped
    trace_finish(&t);
    trace_init(&t, &m.io, &none, 100); // a ceiling
    assert_int_equal(trace_packet(&t, p->bytes[0], p->n[0], 0, &offset), -E_LIMITS);
    trace_finish(&t);
    buf_finish(&source);
    buf_finish(&m.out);
    free(p);
}

// What a source ends in may be no packet; the end is the end, however often it is asked for.
static void behind_the_end(void **state)
{
    (void)state;
    seed = 4;
    struct packets *p = make_packets(true);
    struct buf source = source_of_transport(p, 188);
    buf_fill(&source, 0, 600);
    const struct carriage how = transport_of(&source);
    struct memory m;
    memory_init(&m, &source);
    struct trace t;
    trace_init(&t, &m.io, &how, INT64_MAX);
    int64_t offset;
    for (int i = 0; i < PACKETS; i++)
        assert_int_equal(trace_packet(&t, p->bytes[i], p->n[i], 0, &offset), 1);
    for (int again = 0; again < 3; again++)
        assert_int_equal(trace_packet(&t, p->bytes[0], p->n[0], 0, &offset), 0);
    trace_finish(&t);
    buf_finish(&source);
    buf_finish(&m.out);
    free(p);
}

// ---- first bytes

static const struct {
    enum container container;
    size_t n;
    const char *bytes;
} first_bytes[] = {
    { CONTAINER_NONE, 0, "" },
    { CONTAINER_NONE, 7, "#EXTM3U" },
    { CONTAINER_NONE, 12, "RIFF\0\0\0\0WEBP" },
    { CONTAINER_NONE, 3, "\0\0\1" },
    { CONTAINER_NONE, 12, "\0\0\1\xb3\0\0\0\0\0\0\0\0" }, // a sequence of no size
    { CONTAINER_MPEG_VIDEO, 11, "\0\0\1\xb3\x2d\1\xe0\x25\x24\x9f\x23" },
    { CONTAINER_MPEG_VIDEO, 14, "\0\0\0\0\0\1\xb3\x16\1\x20\x13\xff\xff\xe0" },
    { CONTAINER_NONE, 11, "\0\0\1\xb3\x2d\1\xe0\x29\x24\x9f\x23" }, // of no rate
    { CONTAINER_MP4, 12,
      "\0\0\0\x18"
      "ftypisom" },
    { CONTAINER_MATROSKA, 4, "\x1a\x45\xdf\xa3" },
    { CONTAINER_FLV, 9, "FLV\1\5\0\0\0\x09" },
    { CONTAINER_AVI, 12, "RIFF\0\0\0\0AVI " },
    { CONTAINER_WAV, 12, "RIFF\0\0\0\0WAVE" },
    { CONTAINER_WAV, 12, "RF64\xff\xff\xff\xffWAVE" },
    { CONTAINER_OGG, 6, "OggS\0\2" },
    { CONTAINER_FLAC, 4, "fLaC" },
    { CONTAINER_AMR, 6, "#!AMR\n" },
    { CONTAINER_IVF, 8, "DKIF\0\0\x20\0" },
    { CONTAINER_PS, 5, "\0\0\1\xba\x44" },
    { CONTAINER_RM, 4, ".RMF" },
    { CONTAINER_RM, 5, ".ra\xfd\0" },
    { CONTAINER_AIFF, 12, "FORM\0\0\0\0AIFF" },
    { CONTAINER_AIFF, 12, "FORM\0\0\0\0AIFC" },
    { CONTAINER_NONE, 12, "FORM\0\0\0\08SVX" },
    { CONTAINER_AU, 4, ".snd" },
    { CONTAINER_CAF, 4, "caff" },
    { CONTAINER_WAVPACK, 4, "wvpk" },
    { CONTAINER_TTA, 4, "TTA1" },
    { CONTAINER_DTS, 5, "\x7f\xfe\x80\1\xfc" },
    { CONTAINER_DTSHD, 8, "DTSHDHDR" },
    { CONTAINER_PS, 22, "rest\0\0\1\xba\x44\0\x24\x7e\xd4\1\5\xec\3\xf8\0\0\1\xe0" },
    { CONTAINER_PS, 20, "rest\0\0\1\xba\x21\0\1\0\1\x80\0\1\0\0\1\xbb" },
    { CONTAINER_NONE, 22, "rest\0\0\1\xba\x44\0\x24\x7e\xd4\1\5\xec\3\xf8rest" },
    { CONTAINER_NONE, 8, "rest\0\0\1\xba" },
    { CONTAINER_MXF, 22, "\0\0\0\0\0\0\0\0\6\x0e\x2b\x34\2\5\1\1\x0d\1\2\1\1\2" },
    { CONTAINER_H264, 8, "\0\0\0\1\x67\x64\0\x1f" },
    { CONTAINER_H264, 7, "\0\0\1\x09\xf0\0\0" },
    { CONTAINER_HEVC, 8, "\0\0\0\1\x40\1\x0c\1" },
    { CONTAINER_HEVC, 8, "\0\0\0\1\x46\1\x50\0" },
};

static void test_sniff(void **state)
{
    (void)state;
    struct carriage how;
    for (size_t i = 0; i < countof(first_bytes); i++) {
        const enum container c =
            sniff((const uint8_t *)first_bytes[i].bytes, first_bytes[i].n, &how);
        if (c != first_bytes[i].container)
            fail_msg("case %zu is %s", i, container_name(c));
    }
    uint8_t act[300] = "RIFF\0\0\0\0WAVE";
    assert_int_equal(sniff(act, sizeof act, &how), CONTAINER_WAV);
    act[256] = 0x84;
    assert_int_equal(sniff(act, sizeof act, &how), CONTAINER_NONE);
    assert_int_equal(sniff_id3((const uint8_t *)"ID3\4\0\0\0\0\1\2", 10), 10 + 130);
    assert_int_equal(sniff_id3((const uint8_t *)"ID4\4\0\0\0\0\1\2", 10), 0);
}

#define FRAMES 3

// Frames without a container, by the bytes that begin each and how long they say it is.
static const struct {
    enum container container;
    size_t size;
    const char *first, *next; // NULL: the same
} frames[] = {
    { CONTAINER_MP3, 417, "\xff\xfb\x90\x64\0\0", NULL }, // 128 kb/s, 44.1 kHz
    { CONTAINER_ADTS, 40, "\xff\xf1\x50\x80\x05\0", NULL },
    { CONTAINER_AC3, 768, "\x0b\x77\1\2\x14\x40", NULL }, // 192 kb/s, 48 kHz
    { CONTAINER_AC3, 836, "\x0b\x77\1\2\x55\x40", NULL }, // 44.1 kHz, the longer of two
    { CONTAINER_EAC3, 512, "\x0b\x77\0\xff\x34\x86", NULL },
    { CONTAINER_EAC3, 768, "\x0b\x77\1\2\x14\x40", "\x0b\x77\x41\x7f\x3f\x86" },
};

// Two in a row are enough at the start, three behind something else.
static void frames_in_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(frames); i++) {
        for (size_t junk = 0; junk <= 100; junk += 100) {
            uint8_t bytes[SNIFF_BYTES] = { 0 };
            struct carriage how;
            for (size_t k = 0; k < (junk ? 3 : 2); k++) {
                if (sniff(bytes, sizeof bytes, &how) != CONTAINER_NONE)
                    fail_msg("case %zu after %zu bytes of junk and %zu frames", i, junk, k);
                const char *const head = k && frames[i].next ? frames[i].next : frames[i].first;
                memcpy(bytes + junk + k * frames[i].size, head, 6);
            }
            if (sniff(bytes, sizeof bytes, &how) != frames[i].container)
                fail_msg("case %zu after %zu bytes of junk", i, junk);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_in_a_row),
        cmocka_unit_test(slices_of_realmedia),
        cmocka_unit_test(interleaved),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(in_a_transport_stream),
        cmocka_unit_test(behind_a_hole),
        cmocka_unit_test(overlapping),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(not_there),
        cmocka_unit_test(behind_the_end),
        cmocka_unit_test(test_sniff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
