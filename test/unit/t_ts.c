// SPDX-License-Identifier: BSD-2-Clause
//
// Segments are made of tables of frames and read back by a small demultiplexer, over
// several segments as a player gets them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/avc.h"
#include "codec/fmp4.h"
#include "codec/segment.h"
#include "codec/sound.h"
#include "codec/ts.h"

#define MAX (64 * MIB)

// ---- inputs

static const uint8_t annex_b[] = { 0,    0,    0, 1, 0x67, 0x64, 0,    0x0a, 0xac, 0xd9,
                                   0x44, 0x26, 0, 0, 0,    1,    0x68, 0xeb, 0xe3, 0xcb };
static const uint8_t asc[] = { 0x11, 0x90 }; // AAC-LC, 48000, stereo

struct shape {
    const char *what;
    struct rational fps;
    int sample_rate;
    bool video, audio;
    int segment;       // frames
    uint32_t min, max; // bytes of a sample
};

static const struct shape shapes[] = {
    { "usual", { 25, 1 }, 48000, true, true, 100, 100, 9000 },
    { "29.97", { 30000, 1001 }, 44100, true, true, 120, 10, 30000 },
    { "60", { 60, 1 }, 44100, true, true, 240, 20, 4000 },
    { "slow", { 1, 1 }, 48000, true, true, 4, 10, 20000 },
    { "5", { 5, 1 }, 32000, true, true, 20, 6, 500 },
    { "silent", { 24000, 1001 }, 0, true, false, 96, 6, 900 },
    { "sound", { 25, 1 }, 48000, false, true, 100, 5, 700 },
    { "low sound", { 25, 1 }, 32000, false, true, 100, 8, 12 },
    { "tiny", { 25, 1 }, 44100, true, true, 3, 9, 12 },
    { "wasteful", { 25, 1 }, 48000, true, true, 50, 152, 152 },
};

struct made {
    struct buf video_init, audio_init, video, audio;
};

static uint32_t random_state;

static uint32_t random_between(uint32_t min, uint32_t max)
{
    random_state = random_state * 1103515245 + 12345;
    return min + (random_state >> 8) % (max - min + 1);
}

static void begin(struct buf *b)
{
    buf_init(b, MAX);
}

static void make_init(struct buf *out, const struct shape *s, bool video)
{
    struct buf config;
    begin(&config);
    begin(out);
    if (video)
        assert_int_equal(avc_config(&config, annex_b, sizeof annex_b), 0);
    else
        buf_append(&config, asc, sizeof asc);
    const struct fmp4_track t = {
        .video = video,
        .timescale = (uint32_t)(video ? s->fps.num : s->sample_rate),
        .width = 64,
        .height = 36,
        .config = config.data,
        .config_size = config.len,
        .sample_rate = s->sample_rate,
        .channels = 2,
    };
    assert_int_equal(fmp4_init(out, &t), 0);
    buf_finish(&config);
}

// One sample: a NAL unit behind its length, or bytes of sound.
static void put_sample(struct buf *data, bool video, uint32_t size, bool sync)
{
    if (!video) {
        for (uint32_t i = 0; i < size; i++)
            put_u8(data, (uint8_t)random_between(0, 255));
        return;
    }
    put_be32(data, size - 4);
    put_u8(data, sync ? 0x65 : 0x41);
    for (uint32_t i = 5; i < size; i++)
        put_u8(data, (uint8_t)random_between(1, 255)); // nothing like a start code
}

// Frames [first, first + count) in fragments of 12; of video each 50th is an IDR picture.
static void make_media(struct buf *out, const struct shape *s, bool video, int64_t first, int count)
{
    // Decode order I P B B: a pyramid of two.
    static const int32_t reorder[4] = { 0, 2, -1, -1 };
    const struct fmp4_track t = { .video = video };
    const int64_t tick = video ? s->fps.den : AAC_FRAME;
    struct fmp4_sample samples[12];
    struct buf data;
    begin(out);
    begin(&data);
    fmp4_styp(out);
    for (int i = 0; i < count;) {
        const int from = i;
        int n = 0;
        buf_clear(&data);
        for (; n < 12 && i < count; n++, i++) {
            const bool sync = !video || i % 50 == 0;
            const bool moves = video && count - i / 4 * 4 >= 4 && i / 4 * 4 % 50 < 46;
            const uint32_t most = video || s->max < 1000 ? s->max : 1000;
            const uint32_t size = random_between(s->min, most);
            put_sample(&data, video, size, sync);
            samples[n] = (struct fmp4_sample){ size, (uint32_t)tick,
                                               moves ? reorder[i % 4] * (int32_t)tick : 0, sync };
        }
        fmp4_fragment(out, &t, (uint32_t)(1 + from), (uint64_t)((first + from) * tick), samples, n,
                      data.data, data.len);
    }
    assert_int_equal(buf_error(out), 0);
    buf_finish(&data);
}

static int64_t audio_frame(const struct shape *s, int k)
{
    return muldiv_ceil((int64_t)k * s->segment * s->fps.den, s->sample_rate,
                       s->fps.num * AAC_FRAME);
}

static struct made make(const struct shape *s, int k)
{
    struct made m = { 0 };
    random_state = (uint32_t)k;
    if (s->video) {
        make_init(&m.video_init, s, true);
        make_media(&m.video, s, true, (int64_t)k * s->segment, s->segment);
    }
    if (s->audio) {
        make_init(&m.audio_init, s, false);
        make_media(&m.audio, s, false, audio_frame(s, k),
                   (int)(audio_frame(s, k + 1) - audio_frame(s, k)));
    }
    return m;
}

static void unmake(struct made *m)
{
    buf_finish(&m->video_init);
    buf_finish(&m->audio_init);
    buf_finish(&m->video);
    buf_finish(&m->audio);
}

static struct ts_input input(const struct buf *init, const struct buf *media)
{
    return (struct ts_input){ init->data, init->len, media->data, media->len, true };
}

static int mux(struct buf *out, const struct shape *s, const struct made *m, int k)
{
    const struct ts_input v = input(&m->video_init, &m->video);
    const struct ts_input a = input(&m->audio_init, &m->audio);
    return ts_segment(out, k, s->video ? &v : NULL, s->audio ? &a : NULL);
}

// ---- a demultiplexer

struct unit { // one PES packet
    int64_t pts, dts;
    struct buf data;
};

struct pid {
    int counter; // -1: none seen
    struct unit units[4096];
    int count;
};

struct demuxer {
    struct pid video, audio, pat, pmt;
    int64_t pcr;
    int packets; // of this segment
};

static int64_t get_timestamp(struct reader *r)
{
    const int64_t high = get_u8(r) >> 1 & 7, middle = get_be16(r) >> 1, low = get_be16(r) >> 1;
    return high << 30 | middle << 15 | low;
}

static void begin_unit(struct pid *p, struct reader *r, int stream_id)
{
    struct unit *const u = &p->units[p->count++];
    assert_int_equal(get_be(r, 3), 1);
    assert_int_equal(get_u8(r), stream_id);
    get_be16(r);
    assert_int_equal(get_u8(r), 0x84);
    const int flags = get_u8(r), n = get_u8(r);
    assert_int_equal(n, flags == 0xc0 ? 10 : 5);
    u->pts = u->dts = get_timestamp(r);
    if (flags == 0xc0)
        u->dts = get_timestamp(r);
    assert_false(r->bad); // no header was split
    begin(&u->data);
}

static void take_clock(struct demuxer *d, int64_t pcr)
{
    if (d->pcr >= 0)
        assert_in_range(pcr - d->pcr, 1, 9000);
    d->pcr = pcr;
}

static void take_adaptation(struct demuxer *d, struct reader *r)
{
    struct reader field = reader_of(r->p + 1, *r->p);
    assert_non_null(get_bytes(r, 1u + *r->p));
    if (reader_left(&field) == 0)
        return;
    const int flags = get_u8(&field);
    if (flags & 0x10)
        take_clock(d, (int64_t)(get_be(&field, 6) >> 15));
    for (; reader_left(&field); field.p++)
        assert_int_equal(*field.p, 0xff);
}

static void take_packet(struct demuxer *d, const uint8_t *bytes)
{
    struct reader r = reader_of(bytes, TS_PACKET);
    assert_int_equal(get_u8(&r), 0x47);
    const int word = get_be16(&r), pid = word & 0x1fff, control = get_u8(&r);
    struct pid *const p = pid == 0x100   ? &d->video
                          : pid == 0x101 ? &d->audio
                          : pid == 0     ? &d->pat
                                         : &d->pmt;
    assert_true(d->packets > 1 || p == (d->packets ? &d->pmt : &d->pat));
    d->packets++;
    if (p->counter >= 0)
        assert_int_equal(control & 15, (p->counter + (control >> 4 & 1)) & 15);
    p->counter = control & 15;
    if (control & 0x20)
        take_adaptation(d, &r);
    if (!(control & 0x10) || p == &d->pat || p == &d->pmt)
        return;
    assert_true(reader_left(&r) > 0);
    if (word & 0x4000)
        begin_unit(p, &r, p == &d->video ? 0xe0 : 0xc0);
    struct unit *const u = &p->units[p->count - 1];
    if (word & 0x4000)
        assert_true(d->pcr <= u->dts && u->dts <= u->pts);
    buf_append(&u->data, r.p, reader_left(&r));
}

static void demux(struct demuxer *d, const struct buf *segment)
{
    d->packets = 0;
    assert_int_equal(segment->len % TS_PACKET, 0);
    for (size_t at = 0; at < segment->len; at += TS_PACKET)
        take_packet(d, segment->data + at);
}

static struct demuxer *demuxer(void)
{
    struct demuxer *const d = xcalloc(1, sizeof *d);
    d->pcr = -1;
    d->video.counter = d->audio.counter = d->pat.counter = d->pmt.counter = -1;
    return d;
}

static void forget(struct pid *p)
{
    while (p->count > 0)
        buf_finish(&p->units[--p->count].data);
}

static void demuxer_finish(struct demuxer *d)
{
    forget(&d->video);
    forget(&d->audio);
    free(d);
}

// ---- what went in came out

static void expect_video(const struct pid *p, const struct shape *s, const struct buf *media)
{
    struct fmp4_found *f;
    int count;
    assert_int_equal(fmp4_samples(media->data, media->len, 100000, &f, &count), 0);
    assert_int_equal(p->count, count);
    for (int i = 0; i < count; i++) {
        const struct unit *const u = &p->units[i];
        struct buf want;
        begin(&want);
        buf_append(&want, "\0\0\0\1\x09\xf0", 6);
        if (f[i].s.sync)
            buf_append(&want, annex_b, sizeof annex_b);
        put_be32(&want, 1);
        buf_append(&want, f[i].data + 4, f[i].s.size - 4);
        assert_int_equal(u->data.len, want.len);
        assert_memory_equal(u->data.data, want.data, want.len);
        const int64_t time = (int64_t)f[i].time;
        assert_int_equal(u->pts, TS_OFFSET + muldiv_round(time + f[i].s.offset, 90000, s->fps.num));
        assert_int_equal(u->dts,
                         TS_OFFSET + muldiv_round(time - 2 * s->fps.den, 90000, s->fps.num));
        buf_finish(&want);
    }
    free(f);
}

// One frame behind its header, which it returns the size of.
static size_t expect_frame(const struct unit *u, size_t at, const struct fmp4_found *f)
{
    struct reader r = reader_of(u->data.data + at, u->data.len - at);
    assert_int_equal(get_be(&r, 3), 0xfff14c);
    const uint32_t word = get_be32(&r);
    assert_int_equal(word >> 30, 2); // channels
    assert_int_equal(word >> 13 & 0x1fff, f->s.size + 7);
    assert_int_equal(word & 0x1fff, 0x1ffc);
    const uint8_t *const body = get_bytes(&r, f->s.size);
    assert_non_null(body);
    assert_memory_equal(body, f->data, f->s.size);
    return f->s.size + 7;
}

static void expect_audio(const struct pid *p, const struct shape *s, const struct buf *media)
{
    struct fmp4_found *f;
    int count, unit = 0;
    size_t at = 0;
    assert_int_equal(fmp4_samples(media->data, media->len, 100000, &f, &count), 0);
    for (int i = 0; i < count; i++) {
        const struct unit *const u = &p->units[unit];
        assert_true(unit < p->count);
        if (at == 0)
            assert_int_equal(u->pts,
                             TS_OFFSET + muldiv_round((int64_t)f[i].time, 90000, s->sample_rate));
        at += expect_frame(u, at, &f[i]);
        if (at == u->data.len) {
            unit++;
            at = 0;
        }
    }
    assert_int_equal(unit, p->count);
    assert_int_equal(at, 0);
    free(f);
}

static void segments(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(shapes); i++) {
        const struct shape *const s = &shapes[i];
        struct demuxer *const d = demuxer();
        for (int k = 0; k < 20; k++) {
            struct made m = make(s, k);
            struct buf b;
            begin(&b);
            if (mux(&b, s, &m, k) < 0)
                fail_msg("%s, segment %d", s->what, k);
            assert_true(ts_check(b.data, b.len, k));
            assert_false(ts_check(b.data, b.len, k + 1));
            demux(d, &b);
            if (s->video)
                expect_video(&d->video, s, &m.video);
            if (s->audio)
                expect_audio(&d->audio, s, &m.audio);
            forget(&d->video);
            forget(&d->audio);
            buf_finish(&b);
            unmake(&m);
        }
        demuxer_finish(d);
    }
}

// The clock wraps after 26.5 hours.
static void wraps(void **state)
{
    (void)state;
    const struct shape s = { "late", { 25, 1 }, 48000, true, true, 100, 100, 200 };
    const int k = (int)(((INT64_C(1) << 33) - TS_OFFSET) / 360000);
    struct made m = make(&s, k);
    struct buf b;
    begin(&b);
    assert_int_equal(mux(&b, &s, &m, k), 0);
    struct demuxer *const d = demuxer();
    d->packets = 0;
    for (size_t at = 0; at < 2 * TS_PACKET; at += TS_PACKET)
        take_packet(d, b.data + at);
    int wrapped = 0;
    for (size_t at = 2 * TS_PACKET; at < b.len; at += TS_PACKET) {
        const uint8_t *const p = b.data + at;
        if (!(p[3] & 0x20) || p[4] < 7 || !(p[5] & 0x10))
            continue;
        struct reader r = reader_of(p + 6, 6);
        const int64_t pcr = (int64_t)(get_be(&r, 6) >> 15);
        wrapped += pcr < d->pcr;
        assert_in_range((pcr - d->pcr) & 0x1ffffffff, d->pcr < 0 ? 0 : 1,
                        d->pcr < 0 ? INT64_MAX : 9000);
        d->pcr = pcr;
    }
    assert_int_equal(wrapped, 1);
    demuxer_finish(d);
    buf_finish(&b);
    unmake(&m);
}

static const uint8_t tables[] = {
    0x47, 0x40, 0x00, 0x15, 0x00, 0x00, 0xb0, 0x0d, 0x00, 0x01, 0xc1, 0x00,
    0x00, 0x00, 0x01, 0xf0, 0x00, 0x2a, 0xb1, 0x04, 0xb2,
}, program[] = {
    0x47, 0x50, 0x00, 0x15, 0x00, 0x02, 0xb0, 0x17, 0x00, 0x01, 0xc1, 0x00, 0x00, 0xe1, 0x00, 0xf0,
    0x00, 0x1b, 0xe1, 0x00, 0xf0, 0x00, 0x0f, 0xe1, 0x01, 0xf0, 0x00, 0x2f, 0x44, 0xb9, 0x9b,
};

// As other multiplexers write them; the checksums, too.
static void tables_in_bytes(void **state)
{
    (void)state;
    struct made m = make(&shapes[0], 5);
    struct buf b;
    begin(&b);
    assert_int_equal(mux(&b, &shapes[0], &m, 0x25), 0);
    assert_memory_equal(b.data, tables, sizeof tables);
    assert_memory_equal(b.data + TS_PACKET, program, sizeof program);
    buf_finish(&b);
    unmake(&m);
}

// ---- beginnings

// While an input grows, what was written stays, and in the end all is there.
static void beginnings(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(shapes); i++) {
        const struct shape *const s = &shapes[i];
        struct made m = make(s, 3);
        struct buf whole, b;
        begin(&whole);
        begin(&b);
        assert_int_equal(mux(&whole, s, &m, 3), 0);
        size_t before = 0, steps = 0;
        for (int at = 0; at <= 40; at++) {
            struct ts_input v = input(&m.video_init, &m.video);
            struct ts_input a = input(&m.audio_init, &m.audio);
            v.whole = a.whole = false;
            v.media_size = v.media_size * (size_t)at / 40;
            a.media_size = a.media_size * (size_t)(at / 2 * 2) / 40;
            buf_clear(&b);
            assert_int_equal(ts_segment(&b, 3, s->video ? &v : NULL, s->audio ? &a : NULL), 0);
            assert_true(b.len >= before && b.len < whole.len);
            if (b.len)
                assert_memory_equal(b.data, whole.data, b.len);
            steps += b.len > before;
            before = b.len;
        }
        assert_true(s->segment < 50 || steps > 2);
        buf_finish(&whole);
        buf_finish(&b);
        unmake(&m);
    }
}

// ---- promises

static void rates(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(shapes); i++) {
        const struct shape *const s = &shapes[i];
        const struct rational length = { s->segment * s->fps.den, s->fps.num };
        const struct rational idr = { 50 * s->fps.den, s->fps.num };
        for (int k = 0; k < 20; k++) {
            struct made m = make(s, k);
            struct buf b;
            begin(&b);
            assert_int_equal(mux(&b, s, &m, k), 0);
            // The rates of the samples: fMP4's own bytes only make them larger.
            const int64_t audio_us = s->audio ? (audio_frame(s, k + 1) - audio_frame(s, k)) *
                                                    AAC_FRAME * 1000000 / s->sample_rate
                                              : 1;
            const int64_t video = muldiv_floor(8 * (int64_t)m.video.len, length.den, length.num);
            const int64_t audio = muldiv_floor(8 * (int64_t)m.audio.len, 1000000, audio_us);
            const int64_t promised =
                (s->video ? ts_video_rate(video, s->fps, idr, length) : 0) +
                (s->audio ? ts_audio_rate(audio, s->sample_rate, !s->video, length) : 0);
            const int64_t is = muldiv_ceil(8 * (int64_t)b.len, length.den, length.num);
            assert_true(is <= promised);
            assert_true(promised < 2 * is + 200000); // and not just any number
            buf_finish(&b);
            unmake(&m);
        }
    }
}

// ---- hostile inputs

static void try(const struct shape *s, const struct made *m)
{
    struct buf b;
    buf_init(&b, 4 * MIB);
    const int rc = mux(&b, s, m, 3);
    assert_true(rc == 0 || rc == -E_CORRUPT || rc == -E_LIMITS);
    if (rc == 0)
        assert_true(ts_check(b.data, b.len, 3));
    buf_finish(&b);
}

// Each bit of each input but for most of the media.
static void any_bit(void **state)
{
    (void)state;
    static const struct shape small[] = {
        { "both", { 25, 1 }, 48000, true, true, 3, 30, 40 },
        { "sound", { 25, 1 }, 48000, false, true, 3, 30, 40 },
    };
    for (size_t i = 0; i < countof(small); i++) {
        struct made m = make(&small[i], 3);
        struct buf *const inputs[] = { &m.video_init, &m.audio_init, &m.video, &m.audio };
        for (size_t k = 0; k < countof(inputs); k++)
            for (size_t bit = 0; bit < 8 * inputs[k]->len; bit++) {
                inputs[k]->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                try(&small[i], &m);
                inputs[k]->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
        unmake(&m);
    }
}

static void any_length(void **state)
{
    (void)state;
    const struct shape s = { "both", { 25, 1 }, 48000, true, true, 3, 30, 40 };
    struct made m = make(&s, 3);
    struct buf *const inputs[] = { &m.video_init, &m.audio_init, &m.video, &m.audio };
    for (size_t k = 0; k < countof(inputs); k++) {
        const size_t n = inputs[k]->len;
        for (inputs[k]->len = 0; inputs[k]->len < n; inputs[k]->len++)
            try(&s, &m);
    }
    unmake(&m);
}

static void ceilings(void **state)
{
    (void)state;
    struct made m = make(&shapes[0], 0);
    for (size_t max = 0; max < 400000; max += 10000) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(mux(&b, &shapes[0], &m, 0), -E_LIMITS);
        buf_finish(&b);
    }
    unmake(&m);
}

static void checks(void **state)
{
    (void)state;
    struct made m = make(&shapes[0], 0);
    struct buf b;
    begin(&b);
    assert_int_equal(mux(&b, &shapes[0], &m, 0), 0);
    assert_false(ts_check(b.data, b.len - 1, 0));
    assert_false(ts_check(b.data, b.len - TS_PACKET, 0));
    assert_false(ts_check(b.data, 2 * TS_PACKET, 0));
    assert_false(ts_check(b.data, 0, 0));
    // The heads of packets hold nothing that may change.
    int taken = 0;
    for (size_t at = 0; at < 40 * TS_PACKET; at += TS_PACKET)
        for (int bit = 0; bit < 32; bit++) {
            b.data[at + (size_t)bit / 8] ^= (uint8_t)(1 << bit % 8);
            taken += ts_check(b.data, b.len, 0);
            b.data[at + (size_t)bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    // Where a unit begins, its priority, and whether it has an adaptation field.
    assert_in_range(taken, 1, 40 * 3);
    buf_finish(&b);
    unmake(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments),   cmocka_unit_test(wraps),    cmocka_unit_test(tables_in_bytes),
        cmocka_unit_test(beginnings), cmocka_unit_test(rates),    cmocka_unit_test(any_bit),
        cmocka_unit_test(any_length), cmocka_unit_test(ceilings), cmocka_unit_test(checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
