// SPDX-License-Identifier: BSD-2-Clause
//
// A record is proven by its hash, but whoever asks for a recipe chooses the hash:
// so all that is changed here is hashed anew, as somebody would who can write to a
// tier.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/copy.h"
#include "codec/hls.h"
#include "codec/record.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

#define ASSET "clips/cat.mp4"
#define VERSION "v1"
#define HEADERS "headers 1234"

static struct media *planned(struct plan *p, const struct conf *conf, struct media *m)
{
    assert_int_equal(media_finish(m), 0);
    assert_int_equal(plan_make(p, conf, m, ASSET, VERSION, HEADERS), 0);
    return m;
}

static struct media *asset_by(struct plan *p, const struct conf *conf, int groups, int packets)
{
    struct media *const m = make_media(groups, packets);
    if (groups) {
        make_text(m, 9, "en", &m->size);
        make_text(m, 9, "de", &m->size);
    }
    if (groups && packets)
        make_more_audio(m, "de", 48000, &m->size);
    return planned(p, conf, m);
}

static struct media *asset(struct plan *p, int groups, int packets)
{
    struct conf conf = settings();
    conf.opus_bitrate = 96000;
    return asset_by(p, &conf, groups, packets);
}

// With a ramp of 1 and 2 s.
static struct media *ramped_asset(struct plan *p, int groups, int packets)
{
    struct conf conf = settings();
    conf.ramp[0] = 1000;
    conf.ramp[1] = 2000;
    conf.ramp_count = 2;
    struct media *const m = asset_by(p, &conf, groups, packets);
    assert_int_equal(p->table.ramp, 2);
    return m;
}

// Whose table is cut by the source.
static struct media *copied_asset_by(struct plan *p, struct conf conf, int groups)
{
    struct media *const m = planned(p, &conf, make_closed(groups));
    assert_true(p->table.cuts && p->renditions[0].kind == RENDITION_SOURCE);
    return m;
}

static struct media *copied_asset(struct plan *p, int groups)
{
    return copied_asset_by(p, settings_to_copy(), groups);
}

static struct media *ramped_copied_asset(struct plan *p, int groups)
{
    struct conf conf = settings_to_copy();
    conf.ramp[0] = 1000;
    conf.ramp_count = 1;
    struct media *const m = copied_asset_by(p, conf, groups);
    assert_int_equal(p->table.ramp, 1);
    return m;
}

static struct buf packed(const struct plan *p, const struct rendition *r)
{
    struct buf b;
    buf_init(&b, RECORD_MAX);
    assert_int_equal(record_pack(p, r, ASSET, VERSION, HEADERS, &b), 0);
    return b;
}

// With the hash that the bytes have.
static int unpack(const void *bytes, size_t n, struct plan *out)
{
    const struct key recipe = key_of(bytes, n);
    return record_unpack(bytes, n, &recipe, ASSET, VERSION, out);
}

// ---- what is kept comes back

static void assert_same_settings(const struct rendition *a, const struct rendition *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->codecs, b->codecs);
    assert_int_equal(a->bandwidth, b->bandwidth);
    assert_int_equal(a->average, b->average);
    assert_true(key_equal(&a->recipe, &b->recipe));
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->v.maxrate, b->v.maxrate);
    assert_int_equal(a->every, b->every);
    assert_memory_equal(&a->s, &b->s, sizeof a->s);
    assert_int_equal(a->v.level, b->v.level);
    assert_string_equal(a->v.preset, b->v.preset);
    assert_int_equal(a->a.sample_rate, b->a.sample_rate);
    assert_int_equal(a->a.quality, b->a.quality);
    assert_int_equal(a->a.codec, b->a.codec);
    assert_true(a->t.format == b->t.format && a->t.file == b->t.file && a->track == b->track);
}

static void assert_same_table(const struct segtab *a, const struct segtab *b)
{
    assert_true(rat_cmp(a->fps, b->fps) == 0 && a->fps.den == b->fps.den);
    assert_true(a->frames == b->frames && a->per == b->per && a->part == b->part);
    assert_true(a->count == b->count && a->clock == b->clock && !a->cuts == !b->cuts);
    assert_int_equal(a->ramp, b->ramp);
    for (int k = 0; k <= a->count; k++)
        assert_int_equal(segtab_frame(a, k), segtab_frame(b, k));
    if (a->cuts)
        assert_memory_equal(a->cuts, b->cuts, ((size_t)a->count + 1) * sizeof *a->cuts);
}

static void round_trip(void **state)
{
    (void)state;
    static const struct {
        int groups, packets;
        bool copied, ramp;
    } cases[] = { { 30, 600, false, false }, { 30, 0, false, false }, { 0, 600, false, false },
                  { 1, 2, false, false },    { 90, 0, true, false },  { 1, 0, true, false },
                  { 30, 600, false, true },  { 0, 600, false, true }, { 90, 0, true, true } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct plan p, back;
        struct media *(*const copied)(struct plan *, int) =
            cases[i].ramp ? ramped_copied_asset : copied_asset;
        struct media *(*const coded)(struct plan *, int, int) =
            cases[i].ramp ? ramped_asset : asset;
        struct media *m = cases[i].copied ? copied(&p, cases[i].groups)
                                          : coded(&p, cases[i].groups, cases[i].packets);
        assert_true(p.count > 0);
        for (int k = 0; k < p.count; k++) {
            struct buf b = packed(&p, &p.renditions[k]), again;
            assert_int_equal(
                record_unpack(b.data, b.len, &p.renditions[k].recipe, ASSET, VERSION, &back), 0);
            assert_int_equal(back.count, 1);
            assert_same_table(&back.table, &p.table);
            assert_int_equal(back.target_duration, p.target_duration);
            assert_same_settings(&p.renditions[k], &back.renditions[0]);
            assert_true(plan_fit(&back, m));
            again = packed(&back, &back.renditions[0]);
            assert_int_equal(again.len, b.len);
            assert_memory_equal(again.data, b.data, b.len);
            buf_finish(&b);
            buf_finish(&again);
            plan_finish(&back);
        }
        plan_finish(&p);
        media_destroy(m);
    }
}

// A file beside the source: its version is part of the recipe, its suffix of a path.
static void files(void **state)
{
    (void)state;
    static const struct {
        const char *suffix;
        int rc;
    } cases[] = { { ".en.srt", 0 },         { ".en.vtt", 0 },
                  { "en.srt", -E_CORRUPT }, { "./../x.srt", -E_CORRUPT },
                  { "", -E_CORRUPT },       { ".\\srt", -E_CORRUPT } };
    struct plan p, back;
    struct key recipes[countof(cases)][2];
    struct media *m = asset(&p, 30, 600);
    const int count = p.count;
    for (size_t i = 0; i < countof(cases); i++) {
        for (int version = 0; version < 2; version++) {
            const struct key k = key_of(&version, sizeof version);
            p.count = count;
            assert_int_equal(plan_add_file(&p, "pt-BR", TEXT_SUBRIP, cases[i].suffix, k, ASSET,
                                           VERSION, HEADERS),
                             0);
            const struct rendition *const r = &p.renditions[count];
            assert_string_equal(r->name, "subs-pt-BR");
            recipes[i][version] = r->recipe;
            struct buf b = packed(&p, r);
            assert_int_equal(record_unpack(b.data, b.len, &r->recipe, ASSET, VERSION, &back),
                             cases[i].rc);
            buf_finish(&b);
            if (cases[i].rc < 0)
                continue;
            const struct rendition *const x = &back.renditions[0];
            assert_true(x->t.file && x->t.format == TEXT_SUBRIP && plan_fit(&back, m));
            assert_string_equal(x->file.suffix, cases[i].suffix);
            assert_true(key_equal(&x->file.version, &k));
        }
        assert_false(key_equal(&recipes[i][0], &recipes[i][1]));
    }
    assert_false(key_equal(&recipes[0][0], &recipes[1][0]));
    while (p.count < PLAN_RENDITIONS)
        assert_int_equal(
            plan_add_file(&p, "de", TEXT_WEBVTT, ".de.vtt", recipes[0][0], ASSET, VERSION, HEADERS),
            0);
    assert_int_equal(
        plan_add_file(&p, "de", TEXT_WEBVTT, ".de.vtt", recipes[0][0], ASSET, VERSION, HEADERS),
        -E_LIMITS);
    media_destroy(m);
}

// ---- what is not this record is refused

static void others(void **state)
{
    (void)state;
    struct plan p, out;
    struct media *m = asset(&p, 30, 600);
    struct buf b = packed(&p, &p.renditions[0]);
    const struct key *const recipe = &p.renditions[0].recipe;
    struct key other = *recipe;
    other.b[15] ^= 2; // the last bit is a mark
    static const struct {
        const char *asset, *version;
    } wrong[] = { { "clips/cat.mp", VERSION }, { ASSET, "v2" }, { "", VERSION }, { ASSET, "" } };
    assert_int_equal(record_unpack(b.data, b.len, recipe, ASSET, VERSION, &out), 0);
    assert_int_equal(record_unpack(b.data, b.len, &other, ASSET, VERSION, &out), -E_CORRUPT);
    for (size_t i = 0; i < countof(wrong); i++)
        assert_int_equal(
            record_unpack(b.data, b.len, recipe, wrong[i].asset, wrong[i].version, &out),
            -E_CORRUPT);
    buf_finish(&b);
    media_destroy(m);
}

// A name that says less than it should would let two assets share a recipe.
static void long_names(void **state)
{
    (void)state;
    char a[2048], b[2048];
    memset(a, 'x', sizeof a - 1);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof a);
    b[sizeof b - 2] = 'y';
    struct plan p, out;
    struct media *m = asset(&p, 30, 0);
    const char *const names[] = { a, b };
    struct key recipes[2];
    for (int i = 0; i < 2; i++) {
        struct buf record;
        buf_init(&record, RECORD_MAX);
        assert_int_equal(record_pack(&p, &p.renditions[0], names[i], VERSION, HEADERS, &record), 0);
        recipes[i] = key_of(record.data, record.len);
        assert_int_equal(
            record_unpack(record.data, record.len, &recipes[i], names[i], VERSION, &out), 0);
        buf_finish(&record);
    }
    assert_false(key_equal(&recipes[0], &recipes[1]));
    media_destroy(m);
}

// ---- hostile bytes

static int64_t read_zeros(struct io *io, int64_t offset, void *out, int64_t n)
{
    assert_true(offset >= 0 && n >= 0 && offset + n <= io->size);
    memset(out, 0, (size_t)n);
    return n;
}

static int append_nowhere(struct io *io, const void *bytes, size_t n)
{
    (void)io, (void)bytes, (void)n;
    return 0;
}

static bool never(struct io *io)
{
    (void)io;
    return false;
}

static void use_source(const struct plan *p, const struct media *m)
{
    struct io io = { m->size, read_zeros, append_nowhere, never, NULL, NULL };
    struct buf init;
    buf_init(&init, 1 << 20);
    copy_init(p, &p->renditions[0], m, &init);
    buf_finish(&init);
    for (int k = -1; k <= p->table.count && k < 4; k++)
        assert_true(copy_segment(p, &p->renditions[0], m, k, &io) < 0); // zeros are no pictures
}

// Whatever was taken must be good for all that is done with a plan.
static void use(struct plan *p, const struct media *m)
{
    if (!plan_fit(p, m))
        return;
    struct buf text;
    buf_init(&text, 64 << 20);
    hls_media(&text, p, &p->renditions[0], NULL);
    buf_finish(&text);
    if (p->renditions[0].kind == RENDITION_SOURCE) {
        use_source(p, m);
        return;
    }
    for (int k = -1; k <= p->table.count && k < 4; k++) {
        struct job job;
        const int rc = k < 0 ? plan_init_job(p, &p->renditions[0], m, &job)
                             : plan_segment_job(p, &p->renditions[0], m, k, 0, &job);
        struct buf packed_job;
        buf_init(&packed_job, 1 << 24);
        job.limits = (struct job_limits){ 1, 1, 1, 0, 1, 0 };
        // What the server orders, a worker takes: or a record could bring workers down.
        if (rc == 0) {
            struct job there;
            assert_int_equal(job_pack(&job, &packed_job), 0);
            assert_int_equal(job_unpack(&there, packed_job.data, packed_job.len), 0);
            job_finish(&there);
        }
        buf_finish(&packed_job);
        job_finish(&job);
    }
}

static void flip_each_bit(struct plan *p, struct media *m)
{
    struct plan out;
    int taken = 0;
    const char *const names[] = {
        p->renditions[0].name, "audio-0",     "trick", "storyboard", "poster", "subs-de", "audio-1",
        "audio-0-opus",        "audio-1-opus"
    };
    for (size_t k = 0; k < countof(names); k++) {
        const struct rendition *const r = plan_find(p, names[k]);
        if (!r)
            continue;
        struct buf b = packed(p, r);
        for (size_t i = 0; i < b.len; i++) {
            const uint8_t was = b.data[i];
            for (int bit = 0; bit < 8; bit++) {
                b.data[i] = was ^ (uint8_t)(1 << bit);
                if (unpack(b.data, b.len, &out) == 0) {
                    use(&out, m);
                    plan_finish(&out);
                    taken++;
                }
            }
            b.data[i] = was;
        }
        buf_finish(&b);
    }
    assert_true(taken > 0); // a name may be another
    plan_finish(p);
    media_destroy(m);
}

static void any_byte(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = asset(&p, 30, 600);
    flip_each_bit(&p, m);
    m = copied_asset(&p, 60);
    flip_each_bit(&p, m);
    m = ramped_asset(&p, 30, 0);
    flip_each_bit(&p, m);
    m = ramped_copied_asset(&p, 60);
    flip_each_bit(&p, m);
}

static void any_length(void **state)
{
    (void)state;
    for (int copied = 0; copied < 2; copied++) {
        struct plan p, out;
        struct media *m = copied ? copied_asset(&p, 60) : asset(&p, 30, 600);
        struct buf b = packed(&p, &p.renditions[0]);
        for (size_t n = 0; n < b.len; n++)
            assert_int_equal(unpack(b.data, n, &out), -E_CORRUPT);
        buf_append(&b, "", 1);
        assert_int_equal(unpack(b.data, b.len, &out), -E_CORRUPT);
        buf_finish(&b);
        plan_finish(&p);
        media_destroy(m);
    }
}

static void refuse(const struct plan *p, const struct rendition *r)
{
    struct plan out;
    struct buf b = packed(p, r);
    assert_int_equal(unpack(b.data, b.len, &out), -E_CORRUPT);
    buf_finish(&b);
}

static struct rendition *named(struct plan *p, const char *name)
{
    return &p->renditions[plan_find(p, name) - p->renditions];
}

static void numbers_out_of_range(void **state)
{
    (void)state;
    static struct plan p; // its address is in the tables
    struct media *m = asset(&p, 30, 600);
    struct rendition *const v = &p.renditions[0], *const a = named(&p, "audio-0");
    struct rendition *const trick = named(&p, "trick"), *const board = named(&p, "storyboard");
    assert_int_equal(v->kind, RENDITION_VIDEO);
    const struct {
        int64_t *field;
        int64_t value;
    } wide[] = {
        { &p.table.fps.num, 0 }, { &p.table.fps.num, -25 },  { &p.table.fps.num, INT64_MAX },
        { &p.table.fps.den, 0 }, { &p.table.fps.den, 5000 }, { &p.table.frames, 0 },
        { &p.table.frames, -1 }, { &p.table.frames, 1 },     { &p.table.frames, INT64_MAX },
        { &p.table.per, 0 },     { &p.table.per, 1 << 30 },  { &p.table.per, INT64_MIN },
        { &p.table.part, 0 },    { &p.table.part, 1 << 30 }, { &v->v.fps.den, 0 },
        { &v->v.fps.num, 61 },   { &v->v.maxrate, 0 },       { &v->v.bufsize, INT64_MAX },
        { &v->bandwidth, 0 },    { &v->average, -1 },        { &v->bandwidth, INT64_MAX },
    };
    for (size_t i = 0; i < countof(wide); i++) {
        const int64_t was = *wide[i].field;
        *wide[i].field = wide[i].value;
        refuse(&p, v);
        *wide[i].field = was;
    }
    const struct {
        int *field;
        int value;
        const struct rendition *of;
    } narrow[] = {
        { &p.table.count, 0, v },
        { &p.table.count, 2, v },
        { &p.table.count, INT32_MAX, v },
        { &p.target_duration, 0, v },
        { &p.target_duration, 101, v },
        { &v->v.width, 3, v },
        { &v->v.width, 0, v },
        { &v->v.height, 1 << 20, v },
        { &v->v.crf, 52, v },
        { &v->v.level, 0, v },
        { &v->v.vbv_init_permille, 1001, v },
        { &v->v.colour.matrix, 256, v },
        { &a->a.sample_rate, 44000, a },
        { &a->a.channels, 3, a },
        { &a->a.quality, -1, a },
        { &board->s.width, 3, board },
        { &board->s.rows, 0, board },
        { &board->s.columns, 65, board },
        { &board->s.quality, 32, board },
    };
    for (size_t i = 0; i < countof(narrow); i++) {
        const int was = *narrow[i].field;
        *narrow[i].field = narrow[i].value;
        refuse(&p, narrow[i].of);
        *narrow[i].field = was;
    }
    board->every = 0;
    refuse(&p, board);
    // A step of none, of another length than its encoder is told, and too long for its ticks.
    static const int64_t steps[] = { 0, -1, 24, JOB_FRAMES_MAX };
    for (size_t i = 0; i < countof(steps); i++) {
        const struct rendition was = *trick;
        trick->every = steps[i];
        trick->v.fps.den = steps[i] == 24 ? 25 : steps[i];
        refuse(&p, trick);
        *trick = was;
    }
    copy_string(v->v.preset, sizeof v->v.preset, "sloth");
    refuse(&p, v);
    media_destroy(m);
}

// An interlaced source: the rungs that show every field have twice the table's rate.
static void interlaced(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.media_every_field = 480;
    struct media *m = make_media(30, 600);
    m->video.fields = FIELDS_TOP_FIRST;
    assert_int_equal(media_finish(m), 0);
    struct plan p, back;
    assert_int_equal(plan_make(&p, &conf, m, ASSET, VERSION, HEADERS), 0);
    for (int k = 0; k < p.count; k++) {
        struct rendition *const r = &p.renditions[k];
        if (r->kind != RENDITION_VIDEO)
            continue;
        const bool fields = r->v.height >= 480;
        assert_int_equal(r->v.deinterlace, fields ? DEINTERLACE_FIELDS : DEINTERLACE_FRAMES);
        assert_int_equal(r->v.fps.num, fields ? 50 : 25);
        struct buf b = packed(&p, r);
        assert_int_equal(record_unpack(b.data, b.len, &r->recipe, ASSET, VERSION, &back), 0);
        assert_int_equal(back.renditions[0].v.deinterlace, r->v.deinterlace);
        assert_true(plan_fit(&back, m));
        m->video.fields = FIELDS_NONE;
        assert_false(plan_fit(&back, m));
        m->video.fields = FIELDS_TOP_FIRST;
        buf_finish(&b);
        r->v.fps.num = 75 - r->v.fps.num; // of the other kind
        refuse(&p, r);
    }
    media_destroy(m);
}

static void codecs(void **state)
{
    (void)state;
    struct conf conf = settings();
    conf.rungs[0].codec = CONF_HEVC;
    conf.rungs[1].codec = CONF_AV1;
    conf.rungs[0].short_side = 720;
    conf.rungs[2].encoder = CONF_H264_QSV;
    struct media *m = make_media(30, 600);
    assert_int_equal(media_finish(m), 0);
    struct plan p, back;
    assert_int_equal(plan_make(&p, &conf, m, ASSET, VERSION, HEADERS), 0);
    for (int k = 0; k < 2; k++) {
        struct rendition *const r = &p.renditions[k];
        assert_int_equal(r->v.codec, k ? VIDEO_AV1 : VIDEO_HEVC);
        struct buf b = packed(&p, r);
        assert_int_equal(record_unpack(b.data, b.len, &r->recipe, ASSET, VERSION, &back), 0);
        assert_int_equal(back.renditions[0].v.codec, r->v.codec);
        assert_int_equal(back.renditions[0].v.level, r->v.level);
        buf_finish(&b);
        r->v.colour.transfer = TRANSFER_PQ;
        r->v.mastering.light[1] = 400;
        b = packed(&p, r);
        assert_int_equal(unpack(b.data, b.len, &back), 0);
        assert_memory_equal(&back.renditions[0].v.mastering, &r->v.mastering,
                            sizeof r->v.mastering);
        buf_finish(&b);
        r->v.mastering.light[1] = UINT16_MAX + 1;
        refuse(&p, r);
        r->v.mastering.light[1] = 0;
        r->v.codec = VIDEO_CODECS;
        refuse(&p, r);
    }
    struct rendition *const r = &p.renditions[2];
    struct buf b = packed(&p, r);
    assert_int_equal(record_unpack(b.data, b.len, &r->recipe, ASSET, VERSION, &back), 0);
    assert_int_equal(back.renditions[0].v.encoder, ENCODER_H264_QSV);
    buf_finish(&b);
    r->v.encoder = ENCODER_HEVC_QSV;
    refuse(&p, r);
    plan_finish(&p);
    media_destroy(m);
}

static void cuts_out_of_range(void **state)
{
    (void)state;
    struct plan p;
    struct media *m = copied_asset(&p, 60);
    struct segtab *const t = &p.table;
    const struct rendition *const r = &p.renditions[0];
    assert_in_range(t->count, 4, 10);
    const struct {
        int64_t *field;
        int64_t value;
    } cases[] = {
        { &t->clock, 0 },
        { &t->clock, -1 },
        { &t->clock, SEGTAB_CLOCK_MAX + 1 },
        { &t->cuts[1].frame, 0 },
        { &t->cuts[1].frame, t->cuts[2].frame },
        { &t->cuts[1].frame, t->cuts[2].frame + 1 },
        { &t->cuts[1].frame, INT64_MIN / 4 },
        { &t->cuts[t->count].frame, t->frames + 1 },
        { &t->cuts[t->count].frame, t->frames - 1 },
        { &t->cuts[1].tick, 0 },
        { &t->cuts[1].tick, -5 },
        { &t->cuts[1].tick, t->cuts[2].tick },
        { &t->cuts[2].tick, INT64_MAX / 4 },
        { &t->frames, INT32_MAX },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const int64_t was = *cases[i].field;
        *cases[i].field = cases[i].value;
        refuse(&p, r);
        *cases[i].field = was;
    }
    t->count--;
    refuse(&p, r);
    t->count++;
    p.renditions[0].v.width = 0;
    refuse(&p, r);
    plan_finish(&p);
    media_destroy(m);
}

static void ramps_out_of_range(void **state)
{
    (void)state;
    for (int copied = 0; copied < 2; copied++) {
        struct plan p;
        struct media *m = copied ? ramped_copied_asset(&p, 60) : ramped_asset(&p, 30, 0);
        struct segtab *const t = &p.table;
        const int64_t first = t->ramp_ends[0],
                      values[] = { 0, -1, t->frames + 1, INT64_MAX, INT64_MIN };
        for (size_t i = 0; i < countof(values); i++) {
            t->ramp_ends[0] = values[i];
            refuse(&p, &p.renditions[0]);
        }
        t->ramp_ends[0] = copied ? first + 1 : t->ramp_ends[1];
        refuse(&p, &p.renditions[0]);
        t->ramp_ends[0] = first;
        if (!copied) { // a whole segment in the ramp
            t->ramp_ends[1] += t->per;
            t->count--;
            refuse(&p, &p.renditions[0]);
            t->ramp_ends[1] -= t->per;
            t->count++;
        }
        const int was = t->ramp;
        t->ramp = 0;
        if (!copied) // the whole segments would not be so many
            refuse(&p, &p.renditions[0]);
        t->ramp = was;
        t->count = t->ramp;
        refuse(&p, &p.renditions[0]);
        plan_finish(&p);
        media_destroy(m);
    }
}

// The longest table fits, however uneven it is.
static void the_longest_table(void **state)
{
    (void)state;
    struct plan p, out;
    struct media *m = copied_asset(&p, 60);
    struct segtab *const t = &p.table;
    t->count = SEGTAB_CUTS_MAX;
    t->clock = SEGTAB_CLOCK_MAX;
    t->frames = 0;
    t->cuts = xrealloc(t->cuts, ((size_t)t->count + 1) * sizeof *t->cuts);
    for (int k = 1; k <= t->count; k++) {
        t->frames += k % 2 ? 1260 : 15;
        t->cuts[k] = (struct cut){ t->frames * 2000000 + k % 3 * 777777, t->frames };
    }
    struct buf b = packed(&p, &p.renditions[0]);
    assert_int_equal(unpack(b.data, b.len, &out), 0);
    assert_same_table(&out.table, t);
    buf_finish(&b);
    plan_finish(&out);
    plan_finish(&p);
    media_destroy(m);
}

// ---- a record and the index that it is used with

static void a_record_of_another_index(void **state)
{
    (void)state;
    struct plan p, other;
    struct media *m = asset(&p, 30, 600), *sound = asset(&other, 0, 600);
    assert_true(plan_fit(&p, m));
    assert_true(plan_fit(&other, sound));
    assert_false(plan_fit(&p, sound));
    assert_false(plan_fit(&other, m));
    // The same grid, but nothing to show: a picture cannot be ordered.
    other.renditions[0].kind = RENDITION_VIDEO;
    assert_false(plan_fit(&other, sound));
    p.table.frames++;
    assert_false(plan_fit(&p, m));
    media_destroy(m);
    media_destroy(sound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(interlaced),
        cmocka_unit_test(codecs),
        cmocka_unit_test(others),
        cmocka_unit_test(long_names),
        cmocka_unit_test(any_byte),
        cmocka_unit_test(files),
        cmocka_unit_test(any_length),
        cmocka_unit_test(numbers_out_of_range),

        cmocka_unit_test(cuts_out_of_range),
        cmocka_unit_test(ramps_out_of_range),
        cmocka_unit_test(the_longest_table),
        cmocka_unit_test(a_record_of_another_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
