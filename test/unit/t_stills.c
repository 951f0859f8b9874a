// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/grid.h"
#include "codec/stills.h"
#include "config/conf.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

// A head with so many frames of a picture of that size.
static struct media *head(struct rational fps, int64_t frames, int w, int h)
{
    struct media *m = make_media(1, 0);
    m->fps = fps;
    m->frames = frames;
    m->video.coded_width = w;
    m->video.coded_height = h;
    m->video.bytes = 1000000;
    return m;
}

static void trick(void **state)
{
    (void)state;
    static const struct {
        struct rational fps;
        int64_t frames, every;
        int count;
        int64_t last; // frames that the last picture lasts
    } cases[] = {
        { { 25, 1 }, 1000, 25, 40, 25 },
        { { 25, 1 }, 1012, 25, 40, 37 }, // a rest under half a second has no picture of its own
        { { 25, 1 }, 1013, 25, 41, 13 },
        { { 30000, 1001 }, 869, 30, 29, 29 },
        { { 24000, 1001 }, 24000, 24, 1000, 24 },
        { { 25, 2 }, 377, 13, 29, 13 },
        { { 60, 1 }, 60, 60, 1, 60 },
        { { 25, 1 }, 1, 25, 1, 1 },
        { { 1, 1 }, 10, 1, 10, 1 },
        { { 5, 2 }, 100, 3, 33, 4 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct conf conf = settings();
        conf.media_segment = 1000; // the shortest: what every playlist's target must hold
        struct media *m = head(cases[i].fps, cases[i].frames, 1920, 1080);
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const struct rendition *const r = plan_find(&p, "trick");
        const int count = plan_segments(&p, r);
        assert_int_equal(r->every, cases[i].every);
        assert_int_equal(count, cases[i].count);
        for (int k = 0; k <= count; k++) {
            const int64_t frame = stills_frame(&p.table, r, k);
            assert_int_equal(frame, k < count ? k * r->every : cases[i].frames);
            assert_int_equal(plan_segment_start(&p, r, k), frame * cases[i].fps.den);
            assert_true(k == count || plan_segment_samples(&p, r, k) == 1);
        }
        const int64_t last = cases[i].frames - stills_frame(&p.table, r, count - 1);
        assert_int_equal(last, cases[i].last);
        assert_true(muldiv_round(last, cases[i].fps.den, cases[i].fps.num) <= p.target_duration);
        media_destroy(m);
    }
}

static void shapes(void **state)
{
    (void)state;
    static const struct {
        int w, h, rotate, out_w, out_h;
    } cases[] = {
        { 1920, 1080, 0, 640, 360 }, { 1920, 1080, 90, 360, 640 }, { 1440, 1080, 0, 480, 360 },
        { 1920, 800, 0, 640, 266 },  { 320, 180, 0, 320, 180 },    { 161, 121, 0, 160, 120 },
        { 1, 1, 0, 2, 2 },           { 8192, 2, 0, 640, 2 },       { 4, 8192, 0, 2, 640 },
        { 1000, 1000, 0, 360, 360 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = head((struct rational){ 25, 1 }, 100, cases[i].w, cases[i].h);
        m->video.rotate = cases[i].rotate;
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const struct rendition *const r = plan_find(&p, "trick");
        assert_int_equal(r->v.width, cases[i].out_w);
        assert_int_equal(r->v.height, cases[i].out_h);
        assert_true(video_settings_ok(&r->v));
        media_destroy(m);
    }
}

// ---- sheets

static void storyboards(void **state)
{
    (void)state;
    static const struct {
        struct rational fps;
        int64_t frames, every;
        int count, columns, rows, sheets;
    } cases[] = {
        { { 25, 1 }, 325, 25, 13, 4, 4, 1 },
        { { 25, 1 }, 1, 25, 1, 1, 1, 1 },
        { { 25, 1 }, 75, 25, 3, 3, 1, 1 },
        { { 25, 1 }, 76, 25, 4, 4, 1, 1 }, // a rest of one frame has a picture of its own
        { { 25, 1 }, 400, 25, 16, 4, 4, 1 },
        { { 25, 1 }, 401, 25, 17, 4, 4, 2 },
        { { 25, 1 }, 720 * 25, 25, 720, 4, 4, 45 },
        { { 25, 1 }, 720 * 25 + 1, 50, 361, 4, 4, 23 },
        { { 30000, 1001 }, 215784, 300, 720, 4, 4, 45 }, // two hours: every 10 s
        { { 24000, 1001 }, 345254, 480, 720, 4, 4, 45 }, // four: 20 s
        { { 25, 1 }, 1000000 * 25, 1200 * 25, 834, 4, 4, 53 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = head(cases[i].fps, cases[i].frames, 1920, 1080);
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const struct rendition *const r = plan_find(&p, "storyboard");
        assert_int_equal(r->every, cases[i].every);
        assert_int_equal(stills_count(&p.table, r), cases[i].count);
        assert_int_equal(r->s.columns, cases[i].columns);
        assert_int_equal(r->s.rows, cases[i].rows);
        assert_int_equal(plan_segments(&p, r), cases[i].sheets);
        assert_true(sheet_settings_ok(&r->s));
        int64_t samples = 0;
        for (int k = 0; k < cases[i].sheets; k++) {
            samples += plan_segment_samples(&p, r, k);
            const int64_t ticks = plan_segment_start(&p, r, k + 1) - plan_segment_start(&p, r, k);
            assert_true(muldiv_ceil(8 * stills_sheet_bytes(&p.table, r, k), cases[i].fps.num,
                                    ticks) <= r->bandwidth);
        }
        assert_int_equal(samples, cases[i].count);
        assert_int_equal(plan_segment_start(&p, r, cases[i].sheets),
                         cases[i].frames * cases[i].fps.den);
        media_destroy(m);
    }
}

// A sheet is one job, and a job has little time.
static void sheets_of_slow_sources(void **state)
{
    (void)state;
    static const struct {
        int w, h;
        bool few_syncs;
        int columns, rows;
    } cases[] = {
        { 1920, 1080, false, 4, 4 },   { 1920, 1080, true, 4, 4 },  { 3840, 2160, false, 4, 4 },
        { 3840, 2160, true, 4, 2 },    { 8192, 4320, false, 4, 1 }, { 8192, 4320, true, 2, 1 },
        { 32768, 32768, false, 1, 1 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = make_media(60, 0); // 29 s, a sync sample every 12 pictures
        for (int n = 1; n < m->video.sample_count && cases[i].few_syncs; n++)
            m->video.samples[n].sync = n % 240 == 0;
        m->video.coded_width = cases[i].w;
        m->video.coded_height = cases[i].h;
        assert_int_equal(media_finish(m), 0);
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const struct rendition *const r = plan_find(&p, "storyboard");
        assert_int_equal(r->s.columns, cases[i].columns);
        assert_int_equal(r->s.rows, cases[i].rows);
        int tiles = 0;
        for (int k = 0; k < plan_segments(&p, r); k++)
            tiles += (int)plan_segment_samples(&p, r, k);
        assert_int_equal(tiles, stills_count(&p.table, r));
        media_destroy(m);
    }
}

// The frame that is on screen at each whole second.
static void posters(void **state)
{
    (void)state;
    static const struct {
        struct rational fps;
        int64_t frames;
        int count, second;
        int64_t frame;
    } cases[] = {
        { { 25, 1 }, 325, 13, 12, 300 },
        { { 25, 1 }, 326, 14, 13, 325 },
        { { 25, 1 }, 1, 1, 0, 0 },
        { { 25, 2 }, 100, 8, 7, 87 },
        { { 30000, 1001 }, 30000, 1001, 1, 29 },
        { { 30000, 1001 }, 30000, 1001, 1000, 29970 },
        { { 24000, 1001 }, 24000, 1001, 100, 2397 },
        { { 60, 1 }, 61, 2, 1, 60 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = head(cases[i].fps, cases[i].frames, 1080, 1920);
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        const struct rendition *const r = plan_find(&p, "poster");
        assert_int_equal(plan_segments(&p, r), cases[i].count);
        assert_int_equal(stills_frame(&p.table, r, cases[i].second), cases[i].frame);
        assert_true(r->s.width == 720 && r->s.height == 1280);
        assert_true(r->s.columns == 1 && r->s.rows == 1);
        const int last = cases[i].count - 1;
        assert_int_equal(stills_poster(&p.table, r, last), last);
        assert_int_equal(stills_poster(&p.table, r, last + 1), last);
        assert_int_equal(stills_poster(&p.table, r, 999999), last);
        const int early = cases[i].count / 10;
        assert_int_equal(stills_poster(&p.table, r, -1), early < 10 ? early : 10);
        media_destroy(m);
    }
}

static void the_map(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = head((struct rational){ 30000, 1001 }, 5 * 30, 1280, 720);
    struct plan p;
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
    struct rendition r = *plan_find(&p, "storyboard");
    r.s.columns = 2;
    r.s.rows = 1;
    char hex[KEY_HEX], want[1000];
    key_hex(&r.recipe, hex);
    snprintf(want, sizeof want,
             "WEBVTT\n"
             "\n00:00:00.000 --> 00:00:01.001\n%s/storyboard/0.jpg#xywh=0,0,256,144\n"
             "\n00:00:01.001 --> 00:00:02.002\n%s/storyboard/0.jpg#xywh=256,0,256,144\n"
             "\n00:00:02.002 --> 00:00:03.003\n%s/storyboard/1.jpg#xywh=0,0,256,144\n"
             "\n00:00:03.003 --> 00:00:04.004\n%s/storyboard/1.jpg#xywh=256,0,256,144\n"
             "\n00:00:04.004 --> 00:00:05.005\n%s/storyboard/2.jpg#xywh=0,0,256,144\n",
             hex, hex, hex, hex, hex);
    struct buf b;
    buf_init(&b, MIB);
    assert_int_equal(stills_webvtt(&b, &p, &r), 0);
    buf_append(&b, "", 1);
    assert_string_equal((char *)b.data, want);
    buf_finish(&b);
    buf_init(&b, 100);
    assert_int_equal(stills_webvtt(&b, &p, &r), -E_LIMITS);
    buf_finish(&b);
    media_destroy(m);
}

// The table's sample with this pts.
static int at_pts(const struct video_track *v, int64_t pts)
{
    int i = 0;
    while (v->samples[i].pts != pts)
        i++;
    return i;
}

// A deinterlacer sees what the source has to either side of a picture.
static void check_neighbours(const struct video_track *v, const struct job *job, int64_t pts)
{
    int shown = 0, found = 0;
    while (v->samples[v->shown[shown]].pts != pts)
        shown++;
    const int first = shown > 0 ? shown - 1 : 0;
    const int last = shown + 1 < v->shown_count ? shown + 1 : shown;
    for (int i = 0; i < job->pick_count; i++)
        for (int n = first; n <= last; n++)
            found += v->samples[v->shown[n]].pts == job->picks[i].pts;
    assert_int_equal(found, last - first + 1);
}

// Each run is a stretch of the table from a sync sample to what it shows last, early enough
// for all of it; the picks are what the grid shows at the tiles' frames.
static void check_runs(const struct plan *p, const struct rendition *r, const struct media *m,
                       const struct job *job, int k)
{
    const struct video_track *const v = &m->video;
    const struct sample *s = job->samples;
    const struct pick *pick = job->picks;
    int first, n, tile = 0, end = -1;
    stills_on_sheet(&p->table, r, k, &first, &n);
    assert_int_equal(job->first, stills_frame(&p->table, r, first));
    for (int i = 0; i < job->run_count; i++) {
        const int start = at_pts(v, s->pts);
        assert_true(s->sync && s->pts <= pick->pts);
        assert_true(start > end); // what is decoded twice was needed once
        end = start + job->runs[i].samples - 1;
        assert_memory_equal(v->samples + start, s, (size_t)job->runs[i].samples * sizeof *s);
        bool needed = false;
        for (int j = 0; j < job->runs[i].picks; j++, pick++) {
            const int at = at_pts(v, pick->pts);
            assert_true(at >= start && at <= end);
            needed |= at == end;
            if (pick->repeat > 0 && v->fields != FIELDS_NONE)
                check_neighbours(v, job, pick->pts);
            for (int t = 0; t < pick->repeat; t++, tile++) {
                const int64_t frame = stills_frame(&p->table, r, first + tile);
                assert_int_equal(v->samples[v->shown[grid_shown(m, frame)]].pts, pick->pts);
            }
        }
        assert_true(needed);
        s += job->runs[i].samples;
    }
    assert_int_equal(tile, n);
    assert_ptr_equal(s, job->samples + job->sample_count);
    assert_ptr_equal(pick, job->picks + job->pick_count);
}

static void sheet_jobs(void **state)
{
    (void)state;
    static const struct {
        int groups;
        int64_t every; // 0: as it is
        bool few_syncs, interlaced;
    } cases[] = { { 60, 0, false, false },   { 60, 5, false, false }, { 60, 30, false, false },
                  { 60, 100, false, false }, { 60, 0, true, false },  { 60, 300, false, false },
                  { 1, 0, false, false },    { 60, 1, false, false }, { 60, 0, false, true },
                  { 60, 1, false, true },    { 60, 2, false, true },  { 60, 40, false, true } };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct conf conf = settings();
        struct media *m = make_media(cases[i].groups, 40);
        for (int n = 1; n < m->video.sample_count && cases[i].few_syncs; n++)
            m->video.samples[n].sync = n % 240 == 0;
        m->video.fields = cases[i].interlaced ? FIELDS_TOP_FIRST : FIELDS_NONE;
        assert_int_equal(media_finish(m), 0);
        struct plan p;
        assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
        struct rendition r = *plan_find(&p, "storyboard");
        r.every = cases[i].every ? cases[i].every : r.every;
        for (int k = 0; k < plan_segments(&p, &r); k++) {
            struct job job, there;
            struct buf b;
            buf_init(&b, MIB);
            assert_int_equal(plan_segment_job(&p, &r, m, k, 0, &job), 0);
            assert_int_equal(job.kind, JOB_SHEET);
            check_runs(&p, &r, m, &job, k);
            job.limits = (struct job_limits){ 1, 1, 1, 0, 1, 0 };
            assert_int_equal(job_pack(&job, &b), 0);
            assert_int_equal(job_unpack(&there, b.data, b.len), 0);
            job_finish(&there);
            job_finish(&job);
            buf_finish(&b);
        }
        struct job job;
        assert_int_equal(plan_segment_job(&p, &r, m, plan_segments(&p, &r), 0, &job), -E_NOT_FOUND);
        job_finish(&job);
        assert_int_equal(plan_init_job(&p, &r, m, &job), -E_NOT_FOUND);
        job_finish(&job);
        media_destroy(m);
    }
}

// A source of few pictures that each stay long: one for several tiles.
static void one_picture_for_many(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = make_media(1, 0);
    for (int i = 0; i < m->video.sample_count; i++)
        m->video.samples[i].pts *= 100;
    m->video.end *= 100;
    assert_int_equal(media_finish(m), 0);
    struct plan p;
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
    const struct rendition *const r = plan_find(&p, "storyboard");
    struct job job;
    assert_int_equal(plan_segment_job(&p, r, m, 0, 0, &job), 0);
    assert_int_equal(job.run_count, 1);
    assert_true(job.pick_count < 16 && job.picks[1].repeat > 1);
    check_runs(&p, r, m, &job, 0);
    job_finish(&job);
    media_destroy(m);
}

static void sound_has_none(void **state)
{
    (void)state;
    const struct conf conf = settings();
    struct media *m = make_media(0, 100);
    assert_int_equal(media_finish(m), 0);
    struct plan p;
    assert_int_equal(plan_make(&p, &conf, m, "a", "v", "h"), 0);
    static const char *const names[] = { "trick", "storyboard", "poster" };
    for (size_t i = 0; i < countof(names); i++)
        assert_null(plan_find(&p, names[i]));
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trick),          cmocka_unit_test(shapes),
        cmocka_unit_test(storyboards),    cmocka_unit_test(sheets_of_slow_sources),
        cmocka_unit_test(posters),        cmocka_unit_test(the_map),
        cmocka_unit_test(sheet_jobs),     cmocka_unit_test(one_picture_for_many),
        cmocka_unit_test(sound_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
