// SPDX-License-Identifier: BSD-2-Clause
//
// Sources are made by hand, bytes and all: what each sample holds says which it is.  Their
// copies are read back by fmp4_check and by a reader of their samples here.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/coding.h"
#include "codec/copy.h"
#include "codec/fmp4.h"
#include "codec/passthrough.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

// ---- a source with its bytes

struct world {
    struct io io;
    struct media *m;
    struct plan p;
    const struct rendition *source; // NULL: it is not offered
    uint8_t *bytes;
    struct buf out;
    int cancel_after; // appends; -1: never
};

static int64_t read_bytes(struct io *io, int64_t offset, void *out, int64_t n)
{
    const struct world *w = container_of(io, struct world, io);
    if (offset >= w->m->size)
        return 0;
    n = offset + n > w->m->size ? w->m->size - offset : n;
    memcpy(out, w->bytes + offset, (size_t)n);
    return n;
}

static int append_bytes(struct io *io, const void *bytes, size_t n)
{
    return buf_append(&container_of(io, struct world, io)->out, bytes, n);
}

static bool is_cancelled(struct io *io)
{
    struct world *w = container_of(io, struct world, io);
    return w->cancel_after >= 0 && w->cancel_after-- == 0;
}

// ---- how samples of each coding look

struct look {
    enum codec_id codec;
    const char *delimiter, *start; // units of a sample: what comes first, and stands for a start
    size_t delimiter_n, start_n;
    uint8_t sync[3], other[3]; // what a picture begins with
    const char *name;          // as CODECS has it
};

#define BYTES(s) s, sizeof(s) - 1
#define AV1_SEQUENCE "\x0a\x0b\x00\x00\x00\x04\x3e\xa7\xbc\x02\xf8\x00\x40"

// A delimiter, a note, and, of AV1, a sequence header.
#define LOOK(codec, delimiter, start, ...)                                                         \
    {                                                                                              \
        codec, delimiter, start, sizeof(delimiter) - 1, sizeof(start) - 1, __VA_ARGS__             \
    }
static const struct look looks[] = {
    LOOK(CODEC_H264, "\0\0\0\2\x09\x10\0\0\0\6\x06\5\2\1\1\x80", "", { 0x65, 0x80, 0 },
         { 0x41, 0x80, 0 }, "avc1.64000A"),
    LOOK(CODEC_HEVC, "\0\0\0\3\x46\1\x10\0\0\0\7\x4e\1\5\2\1\1\x80", "", { 0x26, 1, 0x80 },
         { 0x02, 1, 0x80 }, "hvc1.1.6.L93.90"),
    LOOK(CODEC_AV1, "\x12\0\x2a\2\4\x80", AV1_SEQUENCE, { 0x10, 0, 0 }, { 0x30, 0, 0 },
         "av01.0.00M.08"),
};

static const struct look *look_of(const struct media *m)
{
    size_t i = 0;
    while (looks[i].codec != m->video.codec)
        i++;
    return &looks[i];
}

// Bytes of a unit of so many: those of a length in front, or of an OBU's head.
static size_t put_head(uint8_t *at, size_t n, const struct look *l)
{
    memset(at, 0, 4);
    if (l->codec == CODEC_AV1) {
        at[0] = 0x32; // a frame; its size in three bytes
        for (int i = 0; i < 3; i++)
            at[1 + i] = (uint8_t)((n - 4) >> 7 * i & 0x7f) | (i < 2 ? 0x80 : 0);
    } else {
        at[2] = (uint8_t)((n - 4) >> 8);
        at[3] = (uint8_t)(n - 4);
    }
    return 4;
}

// The picture bears the sample's number at its end, without a zero.
static void put_number(uint8_t *end, int number)
{
    for (int i = 0; i < 4; i++)
        end[i - 4] = (uint8_t)(0x80 | (number >> 6 * i & 0x3f));
}

static int get_number(const uint8_t *end)
{
    int number = 0;
    for (int i = 0; i < 4; i++)
        number |= (end[i - 4] & 0x3f) << 6 * i;
    return number;
}

static void put_picture(uint8_t *at, size_t n, const struct look *l, bool sync, int number)
{
    memset(at, 0xaa, n);
    const size_t head = put_head(at, n, l);
    memcpy(at + head, sync ? l->sync : l->other, 3);
    put_number(at + n, number);
}

// Behind start codes, as its headers are.
static void code_sample(uint8_t *p, size_t n)
{
    struct reader r = reader_of(p, n);
    struct nal_unit u;
    while (nal_next(&r, 0, 4, &u))
        memcpy(p + (u.p - p) - 4, "\0\0\0\1", 4);
}

static void write_sample(struct world *w, int i)
{
    const struct look *const l = look_of(w->m);
    const struct sample *s = &w->m->video.samples[i];
    uint8_t *at = w->bytes + s->offset;
    memcpy(at, l->delimiter, l->delimiter_n);
    at += l->delimiter_n;
    const size_t start = s->sync ? l->start_n : 0;
    memcpy(at, l->start, start);
    put_picture(at + start, s->size - l->delimiter_n - start, l, s->sync, i);
    if (w->m->video.extradata[0] == 0)
        code_sample(w->bytes + s->offset, s->size);
}

// What is left of a sample is what stands for a start, and the picture.
static bool check_sample(const struct media *m, const uint8_t *p, size_t n, int *number)
{
    const struct look *const l = look_of(m);
    const bool sync =
        memcmp(p + l->start_n + 4, l->sync, 3) == 0 && memcmp(p, l->start, l->start_n) == 0;
    const size_t start = sync ? l->start_n : 0;
    uint8_t head[4];
    put_head(head, n - start, l);
    assert_memory_equal(p + start, head, sizeof head);
    assert_memory_equal(p + start + 4, sync ? l->sync : l->other, 3);
    *number = get_number(p + n);
    return sync;
}

static void set_up(struct world *w, struct media *m)
{
    *w = (struct world){ .io = { m->size, read_bytes, append_bytes, is_cancelled },
                         .m = m,
                         .cancel_after = -1 };
    w->bytes = xcalloc(1, (size_t)m->size);
    for (int i = 0; i < m->video.sample_count; i++)
        write_sample(w, i);
    buf_init(&w->out, 64 * MIB);
    const struct conf conf = settings_to_copy();
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(&w->p, &conf, m, "a", "v", "h"), 0);
    w->source = plan_find(&w->p, "source");
}

static void tear_down(struct world *w)
{
    plan_finish(&w->p);
    media_destroy(w->m);
    free(w->bytes);
    buf_finish(&w->out);
}

// ---- kinds of sources

static struct media *constant(void)
{
    return make_closed(40);
}

static struct media *jittering(void)
{
    struct media *m = make_closed(40);
    for (int i = 1; i < m->video.sample_count; i++)
        m->video.samples[i].pts += i * 7919 % 100 - 50;
    m->video.samples[0].pts = 0;
    return m;
}

// Every seventh picture waits for a second.
static struct media *variable(void)
{
    struct media *m = make_closed(20);
    for (int i = 0; i < m->video.sample_count; i++)
        m->video.samples[i].pts += m->video.samples[i].pts / 512 / 7 * 4000;
    m->video.end += 240 / 7 * 4000;
    return m;
}

static struct media *fast(void)
{
    struct media *m = make_closed(100);
    m->video.timescale = 512 * 120;
    return m;
}

static struct media *milliseconds(void)
{
    struct media *m = make_closed(40);
    struct video_track *v = &m->video;
    v->timescale = 1000;
    for (int i = 0; i < v->sample_count; i++)
        v->samples[i].pts = muldiv_round(v->samples[i].pts / 512, 1001, 30);
    v->end = muldiv_round(v->end / 512, 1001, 30);
    return m;
}

// The last picture is beyond the end.
static struct media *cut_behind(void)
{
    struct media *m = make_closed(10);
    m->video.samples[119].pts += 1024;
    m->video.samples[118].pts = 118 * 512;
    m->video.end = 119 * 512;
    return m;
}

// Sound that goes on for a second.
static struct media *with_longer_sound(void)
{
    struct media *m = make_closed(10);
    make_audio(m, 260, 0, &m->size);
    return m;
}

// Around the sync sample that would be the first cut pictures lean on each other.
static struct media *with_an_open_group(void)
{
    struct media *m = make_closed(40);
    const int64_t pts = m->video.samples[95].pts;
    m->video.samples[95].pts = m->video.samples[97].pts;
    m->video.samples[97].pts = pts;
    return m;
}

static struct media *short_lengths(void)
{
    return make_closed(1);
}

static struct media *of_headers(struct media *m, enum codec_id codec, const char *headers, size_t n)
{
    free(m->video.extradata);
    m->video.codec = codec;
    m->video.extradata = memcpy(xmalloc(n), headers, n);
    m->video.extradata_size = (int)n;
    return m;
}

#define HEVC_VPS                                                                                   \
    "\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\x95\x98" \
    "\x09"
#define HEVC_SPS                                                                                   \
    "\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x05\x02\x01\x69" \
    "\x65\x95"                                                                                     \
    "\x9a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00\x00\x03\x03\x21"
#define HVCC                                                                                       \
    "\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x03" \
    "\xa0\x00"                                                                                     \
    "\x01\x00\x18" HEVC_VPS "\xa1\x00\x01\x00\x2a" HEVC_SPS                                        \
    "\xa2\x00\x01\x00\x07\x44\x01\xc1\x72\xb4\x22\x40"

static struct media *in_hevc(void)
{
    return of_headers(make_closed(40), CODEC_HEVC, BYTES(HVCC));
}

static struct media *in_av1(void)
{
    return of_headers(make_closed(40), CODEC_AV1, BYTES("\x81\x00\x0c\x00" AV1_SEQUENCE));
}

// As in a transport stream: behind start codes, which also part the sets of the headers.
static struct media *in_coded_h264(void)
{
    return of_headers(make_closed(40), CODEC_H264,
                      BYTES("\0\0\0\1\x67\x64\0\x0a\xac\xd9\x44\x26\xc0\x44\0\0\3\0\4\0\0\3\0\xc8"
                            "\x3c\x48\x96\x58\0\0\1\x68\xeb\xe3\xcb\x22\xc0"));
}

static struct media *in_coded_hevc(void)
{
    return of_headers(
        make_closed(40), CODEC_HEVC,
        BYTES("\0\0\0\1" HEVC_VPS "\0\0\0\1" HEVC_SPS "\0\0\0\1\x44\x01\xc1\x72\xb4\x22\x40"));
}

static const struct {
    const char *what;
    struct media *(*make)(void);
    bool constant;
    int shown;
    const char *fps; // as FRAME-RATE has it
} kinds[] = {
    { "constant", constant, true, 480, "25.000" },
    { "jittering", jittering, true, 480, NULL },
    { "variable", variable, false, 240, NULL },
    { "120 a second", fast, false, 1200, "120.000" },
    { "milliseconds", milliseconds, true, 480, "29.970" },
    { "cut behind", cut_behind, true, 119, "25.000" },
    { "longer sound", with_longer_sound, false, 120, "25.000" },
    { "an open group", with_an_open_group, true, 480, "25.000" },
    { "half a second", short_lengths, true, 12, "25.000" },
    { "HEVC", in_hevc, true, 480, "25.000" },
    { "AV1", in_av1, true, 480, "25.000" },
    { "coded H.264", in_coded_h264, true, 480, "25.000" },
    { "coded HEVC", in_coded_hevc, true, 480, "25.000" },
};

// ---- a copy is what the source shows

// Reads the samples of a fragment: presentation times, and the number each bears.
struct reading {
    const struct media *m;
    int64_t time;
    int count;
    int64_t pts[4096];
    int number[4096];
};

static struct reader box(struct reader *r, const char *type)
{
    const uint32_t n = get_be32(r);
    assert_memory_equal(get_bytes(r, 4), type, 4);
    return reader_of(get_bytes(r, n - 8), n - 8);
}

static void read_trun(struct reading *g, struct reader run, uint32_t duration, uint32_t flags,
                      struct reader data)
{
    const uint32_t fields = get_be32(&run) & 0xffffff, count = get_be32(&run);
    get_be32(&run);
    const uint32_t first = fields & 0x4 ? get_be32(&run) : flags;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t lasts = fields & 0x100 ? get_be32(&run) : duration;
        const uint32_t size = get_be32(&run);
        const uint32_t own = fields & 0x400 ? get_be32(&run) : i == 0 ? first : flags;
        const int32_t offset = fields & 0x800 ? (int32_t)get_be32(&run) : 0;
        const uint8_t *const p = get_bytes(&data, size);
        assert_non_null(p);
        assert_true(size > 20);
        const bool sync = check_sample(g->m, p, size, &g->number[g->count]);
        assert_int_equal(sync, !(own & 0x10000));
        g->pts[g->count++] = g->time + offset;
        g->time += lasts;
    }
    assert_int_equal(reader_left(&data), 0);
}

static void read_segment(struct reading *g, const struct buf *b)
{
    struct reader r = reader_of(b->data, b->len);
    box(&r, "styp");
    while (reader_left(&r)) {
        struct reader moof = box(&r, "moof"), mdat = box(&r, "mdat");
        box(&moof, "mfhd");
        struct reader traf = box(&moof, "traf"), tfhd = box(&traf, "tfhd");
        const uint32_t has = get_be32(&tfhd);
        get_be32(&tfhd);
        const uint32_t duration = has & 0x8 ? get_be32(&tfhd) : 0;
        const uint32_t flags = has & 0x20 ? get_be32(&tfhd) : 0;
        struct reader tfdt = box(&traf, "tfdt");
        get_be32(&tfdt);
        assert_int_equal(get_be64(&tfdt), g->time);
        read_trun(g, box(&traf, "trun"), duration, flags, mdat);
    }
}

static void check_segment(struct world *w, int k, struct reading *g)
{
    struct fmp4_summary got;
    const int64_t start = plan_segment_start(&w->p, w->source, k);
    const int64_t end = plan_segment_start(&w->p, w->source, k + 1);
    buf_clear(&w->out);
    assert_int_equal(copy_segment(&w->p, w->source, w->m, k, &w->io), 0);
    assert_int_equal(fmp4_check(w->out.data, w->out.len, &got), 0);
    assert_true(got.begins_sync);
    assert_int_equal(got.start, start);
    assert_int_equal(got.duration, end - start);
    const int64_t us =
        plan_segment_us(&w->p, w->source, k + 1) - plan_segment_us(&w->p, w->source, k);
    assert_true((int64_t)w->out.len * 8 * 1000000 <= w->source->bandwidth * us);
    struct copy_span span;
    assert_int_equal(copy_span(&w->p, w->m, k, &span), 0);
    assert_true((int64_t)w->out.len <= copy_bytes(&w->p, w->m, k, &span));
    const int before = g->count;
    g->time = start;
    read_segment(g, &w->out);
    assert_int_equal(g->time, end);
    assert_int_equal(g->count - before, span.last - span.first);
}

// Where the encoded rungs are cut, within half a frame of theirs; at the same tick when the
// rate is constant.
static void check_cut(const struct world *w, int k)
{
    const struct rational fps = w->p.table.fps;
    const int64_t grid = segtab_frame(&w->p.table, k) * fps.den;
    const int64_t own = muldiv_round(plan_segment_start(&w->p, w->source, k), 1000000 * fps.num,
                                     plan_timescale(&w->p, w->source));
    const int64_t off = own > grid * 1000000 ? own - grid * 1000000 : grid * 1000000 - own;
    assert_true(off <= fps.den * 500000 + fps.num);
    if (w->m->constant_rate)
        assert_true(plan_timescale(&w->p, w->source) == fps.num &&
                    plan_segment_start(&w->p, w->source, k) == grid);
}

static void check_times(const struct world *w, const struct reading *g)
{
    for (int i = 0; i < g->count; i++) {
        assert_int_equal(g->number[i], i); // in decode order, each once
        const int64_t own = w->m->video.samples[i].pts;
        if (!w->m->constant_rate)
            assert_int_equal(g->pts[i], own);
        else // on the grid, and by less than a frame from where it was
            assert_true(g->pts[i] % w->p.table.fps.den == 0 &&
                        llabs(g->pts[i] * w->m->video.timescale - own * w->p.table.fps.num) <
                            w->m->video.timescale * w->p.table.fps.den);
    }
}

static void each_picture_once(void **state)
{
    (void)state;
    static struct reading g;
    for (size_t i = 0; i < countof(kinds); i++) {
        struct world w;
        set_up(&w, kinds[i].make());
        if (!w.source)
            fail_msg("%s: not offered: %s", kinds[i].what, w.p.dropped[0].why);
        assert_int_equal(w.m->constant_rate, kinds[i].constant);
        g = (struct reading){ .m = w.m };
        for (int k = 0; k < w.p.table.count; k++) {
            check_cut(&w, k);
            check_segment(&w, k, &g);
        }
        assert_int_equal(g.count, kinds[i].shown);
        check_times(&w, &g);
        char rate[16];
        snprintf(rate, sizeof rate, "%.3f", rat_double(w.source->v.fps));
        if (kinds[i].fps && strcmp(rate, kinds[i].fps) != 0)
            fail_msg("%s: %s frames a second", kinds[i].what, rate);
        assert_string_equal(w.source->codecs, look_of(w.m)->name);
        tear_down(&w);
    }
}

static void one_segment_alone(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, variable());
    const int count = w.p.table.count;
    struct key first[64];
    assert_in_range(count, 3, 64);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < count; i++) {
            const int k = round ? count - 1 - i : i;
            buf_clear(&w.out);
            assert_int_equal(copy_segment(&w.p, w.source, w.m, k, &w.io), 0);
            const struct key now = key_of(w.out.data, w.out.len);
            if (round)
                assert_true(key_equal(&now, &first[k]));
            first[k] = now;
        }
    assert_int_equal(copy_segment(&w.p, w.source, w.m, count, &w.io), -E_NOT_FOUND);
    assert_int_equal(copy_segment(&w.p, w.source, w.m, -1, &w.io), -E_NOT_FOUND);
    tear_down(&w);
}

static void the_first_bytes_leave_early(void **state)
{
    (void)state;
    static const int frames[] = { 1, 1 + 13 }; // one, and then the 25ths that make half a second
    for (size_t i = 0; i < countof(frames); i++) {
        struct world w;
        set_up(&w, constant());
        w.cancel_after = (int)i + 1; // fragments
        assert_int_equal(copy_segment(&w.p, w.source, w.m, 0, &w.io), -E_CANCELLED);
        struct fmp4_summary got;
        assert_int_equal(fmp4_check(w.out.data, w.out.len, &got), 0);
        assert_int_equal(got.fragments, i + 1);
        assert_int_equal(got.duration, frames[i]);
        tear_down(&w);
    }
}

static void an_init_segment(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, constant());
    assert_int_equal(copy_init(&w.p, w.source, w.m, &w.out), 0);
    const uint8_t *const avcc = memmem(w.out.data, w.out.len, "avcC", 4);
    assert_non_null(avcc);
    assert_memory_equal(avcc + 4, w.m->video.extradata, (size_t)w.m->video.extradata_size);
    const uint8_t *const colr = memmem(w.out.data, w.out.len, "nclx", 4);
    assert_memory_equal(colr + 4, "\0\1\0\1\0\1\0", 7); // as the other rungs guess it
    tear_down(&w);
}

// ---- what comes is not what was told

// A delimiter of 6 bytes, a note of 10, and the picture, of which the fifth byte is its type; of
// HEVC one of 7, one of 11. Of AV1 a delimiter of 2, a note of 4, and at a start a header of 13.
static void damage(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct media *(*make)(void);
        int sample;
        int at;
        uint8_t byte;
        int rc;
    } cases[] = {
        { "a unit that does not end", constant, 30, 17, 0x7f, -E_CORRUPT },
        { "no IDR picture at the cut", constant, 96, 20, 0x41, -E_CORRUPT },
        { "an IDR picture elsewhere", constant, 100, 20, 0x65, 0 },
        { "another set", constant, 110, 10, 0x67, -E_CORRUPT },
        { "no picture at all", constant, 120, 20, 0x06, -E_CORRUPT },
        { "a note more", constant, 130, 10, 0x0c, 0 },
        { "HEVC: a unit that does not end", in_hevc, 30, 19, 0x7f, -E_CORRUPT },
        { "HEVC: a CRA picture at the cut", in_hevc, 96, 22, 0x2a, 0 },
        { "HEVC: a BLA picture at the cut", in_hevc, 96, 22, 0x20, -E_CORRUPT },
        { "HEVC: a trailing picture at the cut", in_hevc, 96, 22, 0x02, -E_CORRUPT },
        { "HEVC: a type that nobody knows", in_hevc, 100, 22, 0x2c, -E_CORRUPT },
        { "HEVC: another set", in_hevc, 110, 11, 0x42, -E_CORRUPT },
        { "HEVC: not the first slice of its picture", in_hevc, 120, 24, 0x40, -E_CORRUPT },
        { "HEVC: of another layer", in_hevc, 120, 23, 0x09, -E_CORRUPT },
        { "coded: one that begins with no start code", in_coded_h264, 30, 2, 1, -E_CORRUPT },
        { "coded: no IDR picture at the cut", in_coded_h264, 96, 20, 0x41, -E_CORRUPT },
        { "coded: another set", in_coded_h264, 110, 10, 0x67, -E_CORRUPT },
        { "coded: no first slice", in_coded_h264, 120, 21, 0, -E_CORRUPT },
        { "AV1: a unit that does not end", in_av1, 30, 9, 0x7f, -E_CORRUPT },
        { "AV1: no key frame at the cut", in_av1, 96, 23, 0x30, -E_CORRUPT },
        { "AV1: an old one at the cut", in_av1, 96, 23, 0x90, -E_CORRUPT },
        { "AV1: one that is not shown at the cut", in_av1, 96, 23, 0x00, -E_CORRUPT },
        { "AV1: no sequence header at the cut", in_av1, 96, 6, 0x7a, -E_CORRUPT },
        { "AV1: another one", in_av1, 108, 17, 0xf0, -E_CORRUPT },
        { "AV1: another note", in_av1, 120, 4, 1, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w;
        set_up(&w, cases[i].make());
        assert_non_null(w.source);
        w.bytes[w.m->video.samples[cases[i].sample].offset + cases[i].at] = cases[i].byte;
        int rc = 0;
        for (int k = 0; k < w.p.table.count; k++) {
            struct copy_span span;
            assert_int_equal(copy_span(&w.p, w.m, k, &span), 0);
            const bool hit = cases[i].sample >= span.first && cases[i].sample < span.last;
            buf_clear(&w.out);
            rc = copy_segment(&w.p, w.source, w.m, k, &w.io);
            if (rc != (hit ? cases[i].rc : 0))
                fail_msg("%s: segment %d: %s", cases[i].what, k, err_name(rc));
        }
        tear_down(&w);
    }
}

// A picture that others lead is no start, though it looks like one; one that leads others is.
static void a_start_that_is_led(void **state)
{
    (void)state;
    for (int led = 0; led < 2; led++) {
        struct media *const m = in_hevc();
        if (led) { // by the B behind it
            const int64_t pts = m->video.samples[12].pts;
            m->video.samples[12].pts = m->video.samples[14].pts;
            m->video.samples[14].pts = pts;
        }
        struct world w;
        set_up(&w, m);
        w.bytes[m->video.samples[12].offset + 22] = 0x2a; // CRA
        assert_int_equal(copy_segment(&w.p, w.source, m, 0, &w.io), 0);
        struct fmp4_found *found;
        int count;
        assert_int_equal(fmp4_samples(w.out.data, w.out.len, 1000, &found, &count), 0);
        assert_true(count > 24 && found[0].s.sync && found[24].s.sync && !found[13].s.sync);
        assert_int_equal(found[12].s.sync, !led);
        free(found);
        tear_down(&w);
    }
}

// Where its container lets headers change, that is found before anything is sent.
static void headers_that_change_in_a_segment(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct world w;
        set_up(&w, constant());
        w.m->video.tag = kept ? 0x31637661 : 0x33637661; // avc1, avc3
        w.bytes[w.m->video.samples[132].offset + 10] = 0x67;
        assert_int_equal(copy_segment(&w.p, w.source, w.m, 1, &w.io), -E_CORRUPT);
        assert_int_equal(w.out.len > 0, kept);
        tear_down(&w);
    }
}

static void a_source_that_ends_early(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, constant());
    const int last = w.p.table.count - 1;
    w.m->size -= 1000;
    assert_int_equal(copy_segment(&w.p, w.source, w.m, 0, &w.io), 0);
    assert_int_equal(copy_segment(&w.p, w.source, w.m, last, &w.io), -E_CORRUPT);
    tear_down(&w);
}

// Of an IDR picture, from that macroblock on.
static void put_slice(struct buf *out, int macroblock)
{
    int bits = 0;
    while ((macroblock + 1) >> bits)
        bits++;
    put_be32(out, 0x165);
    put_be16(out, (uint16_t)((macroblock + 1) << (17 - 2 * bits) | 1));
}

// Start codes of three bytes, which lengths are longer than: the promise holds, or there is no
// copy.
static void a_picture_in_many_slices(void **state)
{
    (void)state;
    struct media *const m = in_coded_h264();
    struct coding c;
    assert_true(coding_read(&c, &m->video));
    for (int slices = 60; slices < 70; slices++) {
        struct buf in, out;
        enum start start;
        buf_init(&in, 4096);
        buf_init(&out, 4096);
        for (int i = 0; i < slices; i++)
            put_slice(&in, i);
        const int rc = coding_copy_sample(&out, &c, in.data, in.len, &start);
        assert_int_equal(rc, slices <= NAL_GROWTH ? 0 : -E_CORRUPT);
        assert_true(rc < 0 || out.len <= coding_room(&c, in.len));
        buf_finish(&in);
        buf_finish(&out);
    }
    media_destroy(m);
}

// A table of another index, as a record may bring it.
static void other_cuts(void **state)
{
    (void)state;
    static const struct {
        int k;
        int64_t tick, frame;
    } cases[] = {
        { 1, 97, 96 },   // no picture is there but by the grid
        { 1, 95, 95 },   // no sync sample
        { 1, 108, 96 },  // another one is fine
        { 1, 1000, 96 }, // behind the next
        { 5, 480, 480 }, // the end is too early, or the same
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w;
        set_up(&w, constant());
        assert_int_equal(w.p.table.count, 5);
        w.p.table.cuts[cases[i].k].tick = cases[i].tick;
        bool refused = false;
        for (int k = 0; k < w.p.table.count; k++)
            refused |= copy_segment(&w.p, w.source, w.m, k, &w.io) < 0;
        assert_int_equal(refused, cases[i].tick != 108 && cases[i].tick != 480);
        w.p.table.clock++;
        assert_int_equal(copy_segment(&w.p, w.source, w.m, 0, &w.io), -E_CORRUPT);
        tear_down(&w);
    }
}

// ---- refusals

static void as_it_is(struct media *m)
{
    (void)m;
}
static void of_another_codec(struct media *m)
{
    m->video.codec = CODEC_VP9;
}
static void of_hevc_without_headers(struct media *m)
{
    m->video.codec = CODEC_HEVC;
}
static void turned(struct media *m)
{
    m->video.rotate = 90;
}
static void mirrored(struct media *m)
{
    m->video.mirror = true;
}
static void stretched(struct media *m)
{
    m->video.sar_num = 4;
    m->video.sar_den = 3;
}
static void hdr(struct media *m)
{
    m->video.colour.transfer = TRANSFER_HLG;
}
static void stripped(struct media *m)
{
    m->video.strip.n = 1;
}
static void without_headers(struct media *m)
{
    m->video.extradata_size = 0;
}
static void with_annex_b(struct media *m)
{
    m->video.extradata[0] = 0;
}
static void of_ten_bits(struct media *m)
{
    m->video.extradata[9] = 110;
}
// In the PPS: ffmpeg has no encoder that writes any of these.
static void with_slice_groups(struct media *m)
{
    m->video.extradata[36] = 0xe6;
}
static void with_redundant_slices(struct media *m)
{
    m->video.extradata[39] = 0x62;
}
static void with_a_broken_set(struct media *m)
{
    memset(m->video.extradata + 37, 0, 4);
}
static void with_slices_out_of_order(struct media *m)
{
    m->video.sight = SIGHT_DISORDER;
}
static void of_recovery_points(struct media *m)
{
    m->video.sight = SIGHT_OTHER;
}
static void with_other_sets(struct media *m)
{
    m->video.sight = SIGHT_OTHER_SETS;
}
static void not_looked_at(struct media *m)
{
    m->video.sight = SIGHT_UNSEEN;
}
static void cut_in_front(struct media *m)
{
    for (int i = 0; i < m->video.sample_count; i++)
        m->video.samples[i].pts -= 512 * 2;
    m->video.end -= 512 * 2;
}
static void with_one_sync_sample(struct media *m)
{
    for (int i = 1; i < m->video.sample_count; i++)
        m->video.samples[i].sync = false;
}
static void with_leading_pictures(struct media *m)
{
    for (int i = 12; i < m->video.sample_count; i += 12) {
        const int64_t pts = m->video.samples[i].pts;
        m->video.samples[i].pts = m->video.samples[i + 2].pts; // its B comes first
        m->video.samples[i + 2].pts = pts;
    }
}
static void with_a_fine_clock(struct media *m)
{
    m->video.timescale = 1000000000;
    for (int i = 0; i < m->video.sample_count; i++)
        m->video.samples[i].pts = m->video.samples[i].pts * 78125 + (i ? i * 39 % 60000000 : 0);
    m->video.end = m->video.end * 78125 + 60000000;
}
static void with_a_huge_picture(struct media *m)
{
    m->video.samples[5].size = COPY_SAMPLE_MAX + 1;
    m->size += COPY_SAMPLE_MAX;
}

static const struct {
    void (*change)(struct media *m);
    const char *why; // NULL: it is offered
} refusals[] = {
    { as_it_is, NULL },
    { of_another_codec, "it is not H.264, HEVC or AV1" },
    { of_hevc_without_headers, "headers" },
    { turned, "turned" },
    { mirrored, "turned" },
    { stretched, "stretched" },
    { hdr, "HDR" },
    { stripped, "strips" },
    { without_headers, "headers" },
    { with_annex_b, "headers" },
    { of_ten_bits, "profile" },
    { with_slice_groups, "slice groups" },
    { with_redundant_slices, "redundant" },
    { with_a_broken_set, "picture parameter sets" },
    { with_slices_out_of_order, "out of order" },
    { of_recovery_points, "IDR" },
    { with_other_sets, "change" },
    { not_looked_at, "not known" },
    { cut_in_front, "edit list" },
    { with_one_sync_sample, "up to 19.20 s (limit 6.00 s)" },
    { with_leading_pictures, "up to 19.20 s" },
    { with_a_fine_clock, "clock" },
    { with_a_huge_picture, "too large" },
};

static void what_cannot_be_copied(void **state)
{
    (void)state;
    const struct conf conf = settings_to_copy();
    for (size_t i = 0; i < countof(refusals); i++) {
        struct media *const m = constant();
        struct plan p;
        refusals[i].change(m);
        assert_int_equal(media_finish(m), 0);
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const bool offered = plan_find(&p, "source");
        assert_true(offered == !!p.table.cuts);
        if (offered != !refusals[i].why)
            fail_msg("case %zu: %s", i, offered ? "offered" : p.dropped[0].why);
        if (!offered && (strcmp(p.dropped[0].name, "source") != 0 ||
                         !strstr(p.dropped[0].why, refusals[i].why)))
            fail_msg("case %zu: %s", i, p.dropped[0].why);
        plan_finish(&p);
        media_destroy(m);
    }
}

// Off, or told the head alone, the table is the regular one.
static void not_asked_for(void **state)
{
    (void)state;
    for (int off = 0; off < 2; off++) {
        struct conf conf = settings_to_copy();
        struct media *const m = constant(), *head = NULL;
        struct plan p;
        conf.media_passthrough = !off;
        assert_int_equal(media_finish(m), 0);
        head = media_copy_head(m, 0);
        assert_int_equal(plan_make(&p, &conf, off ? m : head, "a", "v", "h"), 0);
        assert_null(p.table.cuts);
        assert_null(plan_find(&p, "source"));
        media_destroy(head);
        media_destroy(m);
    }
}

// Players take the source for the best, and are given all rungs that save something.
static void rungs_below_the_source(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, constant());
    assert_true(w.source == &w.p.renditions[0]);
    assert_true(w.p.count > 1);
    for (int i = 1; i < w.p.count; i++)
        if (w.p.renditions[i].kind == RENDITION_VIDEO)
            assert_true(w.p.renditions[i].bandwidth < w.p.renditions[i - 1].bandwidth);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_picture_once),
        cmocka_unit_test(one_segment_alone),
        cmocka_unit_test(the_first_bytes_leave_early),
        cmocka_unit_test(an_init_segment),
        cmocka_unit_test(damage),
        cmocka_unit_test(a_start_that_is_led),
        cmocka_unit_test(headers_that_change_in_a_segment),
        cmocka_unit_test(a_source_that_ends_early),
        cmocka_unit_test(a_picture_in_many_slices),
        cmocka_unit_test(other_cuts),
        cmocka_unit_test(what_cannot_be_copied),
        cmocka_unit_test(not_asked_for),
        cmocka_unit_test(rungs_below_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
