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

static void put_unit(uint8_t *at, size_t n, uint8_t head, int number)
{
    memset(at, 0xaa, n);
    at[0] = at[1] = 0;
    at[2] = (uint8_t)((n - 4) >> 8);
    at[3] = (uint8_t)(n - 4);
    at[4] = head;
    if (n >= 9)
        memcpy(at + 5, &number, 4);
}

// A delimiter, a note, and a slice that bears the sample's number.
static void write_sample(struct world *w, int i)
{
    const struct sample *s = &w->m->video.samples[i];
    uint8_t *at = w->bytes + s->offset;
    put_unit(at, 6, 0x09, 0);
    put_unit(at + 6, 10, 0x06, i);
    put_unit(at + 16, s->size - 16, s->sync ? 0x65 : 0x41, i);
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
};

// ---- a copy is what the source shows

// Reads the samples of a fragment: presentation times, and the number each bears.
struct reading {
    int64_t time;
    int count, sync_count;
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
        assert_true(p[4] == 0x65 || p[4] == 0x41); // the slice alone
        assert_int_equal((p[2] << 8 | p[3]) + 4, size);
        assert_int_equal(p[4] == 0x65, !(own & 0x10000));
        memcpy(&g->number[g->count], p + 5, 4);
        g->sync_count += p[4] == 0x65;
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
        g = (struct reading){ 0 };
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
        assert_string_equal(w.source->codecs, "avc1.64000A");
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
    struct world w;
    set_up(&w, constant());
    w.cancel_after = 1; // one fragment
    assert_int_equal(copy_segment(&w.p, w.source, w.m, 0, &w.io), -E_CANCELLED);
    struct fmp4_summary got;
    assert_int_equal(fmp4_check(w.out.data, w.out.len, &got), 0);
    assert_int_equal(got.fragments, 1);
    assert_int_equal(got.duration, 13); // the first 25ths that make half a second
    tear_down(&w);
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

static void damage(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int sample;
        int at;
        uint8_t byte;
        int rc;
    } cases[] = {
        { "a unit that does not end", 30, 17, 0x7f, -E_CORRUPT },
        { "no IDR picture at the cut", 96, 20, 0x41, -E_CORRUPT },
        { "an IDR picture elsewhere", 100, 20, 0x65, 0 },
        { "another set", 110, 10, 0x67, -E_CORRUPT },
        { "no picture at all", 120, 20, 0x06, -E_CORRUPT },
        { "a note more", 130, 10, 0x0c, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w;
        set_up(&w, constant());
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
static void of_recovery_points(struct media *m)
{
    m->video.sight = AVC_NOT_IDR;
}
static void with_other_sets(struct media *m)
{
    m->video.sight = AVC_OTHER_SETS;
}
static void not_looked_at(struct media *m)
{
    m->video.sight = AVC_UNSEEN;
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
    { of_another_codec, "H.264" },
    { turned, "turned" },
    { mirrored, "turned" },
    { stretched, "stretched" },
    { hdr, "HDR" },
    { stripped, "pieces" },
    { without_headers, "headers" },
    { with_annex_b, "headers" },
    { of_ten_bits, "profile" },
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
        cmocka_unit_test(a_source_that_ends_early),
        cmocka_unit_test(other_cuts),
        cmocka_unit_test(what_cannot_be_copied),
        cmocka_unit_test(not_asked_for),
        cmocka_unit_test(rungs_below_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
