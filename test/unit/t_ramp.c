// SPDX-License-Identifier: BSD-2-Clause
//
// Plans whose first segments are shorter, and what players are told of them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "codec/beginning.h"
#include "codec/dash.h"
#include "codec/hls.h"
#include "test/unit/media_tools.h"
#include "test/unit/plan_tools.h"

static struct conf ramp_of(int64_t first_ms, int64_t second_ms)
{
    struct conf conf = settings();
    conf.ramp[0] = first_ms;
    conf.ramp[1] = second_ms;
    conf.ramp_count = !!first_ms + !!second_ms;
    return conf;
}

static void plan_of(struct plan *p, const struct conf *conf, const struct media *m)
{
    assert_int_equal(plan_make(p, conf, m, "a", "v", "s"), 0);
}

// So many pictures of 25 a second, and as much sound.
static struct media *asset(int groups)
{
    struct media *const m = make_media(groups, 21 * groups);
    assert_int_equal(media_finish(m), 0);
    m->video.bytes = 9000000 * m->frames / 25 / 8;
    return m;
}

static int order_of(const struct plan *p, const struct media *m, const char *name, int k,
                    struct job *job)
{
    return plan_segment_job(p, plan_find(p, name), m, k, 0, job);
}

// What is above half of the buffer, in proportion to the time of a part.
static void buffers(void **state)
{
    (void)state;
    static const struct {
        int64_t ms[2], segment_ms;
        int init[4]; // of the first segments, in thousandths
        int parts[4];
    } cases[] = {
        { { 0, 0 }, 4000, { 680, 680, 680, 680 }, { 2, 2, 2, 2 } },
        { { 1000, 2000 }, 4000, { 590, 680, 680, 680 }, { 1, 1, 2, 2 } },
        { { 1000, 1000 }, 4000, { 590, 590, 680, 680 }, { 1, 1, 2, 2 } },
        { { 1520, 3200 }, 4000, { 636, 680, 680, 680 }, { 1, 1, 2, 2 } },
        { { 1200, 1900 }, 2000, { 680, 680, 680, 680 }, { 1, 1, 2, 2 } },
        { { 1000, 0 }, 2000, { 680, 680, 680, 680 }, { 1, 2, 2, 2 } },
    };
    struct media *m = asset(50);
    for (size_t i = 0; i < countof(cases); i++) {
        struct plan p;
        struct conf conf = ramp_of(cases[i].ms[0], cases[i].ms[1]);
        conf.media_segment = cases[i].segment_ms;
        plan_of(&p, &conf, m);
        for (int k = 0; k < 4; k++) {
            struct job job;
            assert_int_equal(order_of(&p, m, "720p", k, &job), 0);
            assert_int_equal(job.v.vbv_init_permille, cases[i].init[k]);
            assert_int_equal(job.part_count, cases[i].parts[k]);
            assert_true(job.v.maxrate == job.v.bufsize);
            job_finish(&job);
        }
    }
    media_destroy(m);
}

// Bits that segment k may have above maxrate, by the rule of codec/plan.h.
static int64_t bits_above(const struct plan *p, const struct media *m, int k)
{
    struct job job;
    int64_t sum = 0;
    assert_int_equal(order_of(p, m, "720p", k, &job), 0);
    for (int i = 0; i < job.part_count; i++)
        sum += job.v.bufsize * (job.v.vbv_init_permille - 500) / 1000;
    job_finish(&job);
    return sum;
}

// RFC 8216bis, 4.4.6.2: the peak is that of any contiguous segments of half to one and a half
// target durations; here any row of them keeps below BANDWIDTH, which is that of the segments
// behind the ramp.
static void bandwidth(void **state)
{
    (void)state;
    static const int64_t ramps[][2] = {
        { 0, 0 }, { 1000, 0 }, { 2000, 0 }, { 1000, 2000 }, { 1300, 3100 }
    };
    struct media *m = asset(51); // no last segment is within a second
    struct plan p;
    for (size_t i = 0; i < countof(ramps); i++) {
        const struct conf conf = ramp_of(ramps[i][0], ramps[i][1]);
        plan_of(&p, &conf, m);
        const struct rendition *const r = plan_find(&p, "720p");
        const int64_t part = segtab_part_least(&p.table, p.table.ramp, p.table.count);
        const int64_t most = (r->v.maxrate + r->v.bufsize * 18 * 25 / (100 * part)) * 105 / 100;
        assert_in_range(r->bandwidth, most + 2000, most + 20000);
        for (int from = 0; from < 4; from++) {
            int64_t sum = 0;
            for (int k = from; k < 4; k++) {
                sum += bits_above(&p, m, k);
                const int64_t us =
                    segtab_start_us(&p.table, k + 1) - segtab_start_us(&p.table, from);
                assert_true(muldiv_floor(sum, 1000000, us) <= r->v.bufsize * 18 / 200);
            }
        }
    }
    media_destroy(m);
}

// A changed ramp is another recipe, of all that is cut; what is not cut at all stays.
static void recipes(void **state)
{
    (void)state;
    static const int64_t ramps[][2] = { { 0, 0 }, { 1000, 0 }, { 2000, 0 }, { 1000, 2000 } };
    struct media *m = asset(50);
    struct plan plans[countof(ramps)];
    for (size_t i = 0; i < countof(ramps); i++) {
        const struct conf conf = ramp_of(ramps[i][0], ramps[i][1]);
        plan_of(&plans[i], &conf, m);
        for (size_t j = 0; j < i; j++)
            for (int n = 0; n < plans[0].count; n++)
                assert_false(
                    key_equal(&plans[i].renditions[n].recipe, &plans[j].renditions[n].recipe));
    }
    // Too short for one: as if there were none.
    struct media *const brief = asset(4);
    const struct conf conf = ramp_of(1000, 0), none = settings();
    assert_true(brief->frames < 50);
    plan_of(&plans[0], &none, brief);
    plan_of(&plans[1], &conf, brief);
    for (int n = 0; n < plans[0].count; n++)
        assert_true(key_equal(&plans[0].renditions[n].recipe, &plans[1].renditions[n].recipe));
    media_destroy(brief);
    media_destroy(m);
}

// The end of such a source is not known: one table has to do for all ends.
static void none_of_a_beginning(void **state)
{
    (void)state;
    const struct conf conf = ramp_of(1000, 2000);
    struct media *m = asset(50);
    struct plan p;
    m->reach = MEDIA_CONTINUED;
    plan_of(&p, &conf, m);
    assert_true(p.table.open && p.table.ramp == 0);
    assert_int_equal(segtab_frame(&p.table, 1), p.table.per);
    media_destroy(m);
}

// ---- what players are told

static char *text_of(struct buf *b)
{
    assert_int_equal(buf_append(b, "", 1), 0);
    return (char *)b->data;
}

// 238 frames of 25 a second: 1 + 2 + 4 + 2.52 s; AAC frames 0, 44, 130, 302, 410 of 44100 a second.
static void playlists(void **state)
{
    (void)state;
    static const struct {
        const char *name, *lines;
    } cases[] = {
        { "720p", "#EXTINF:1.000000,\n0.m4s\n#EXTINF:2.000000,\n1.m4s\n"
                  "#EXTINF:4.000000,\n2.m4s\n#EXTINF:2.520000,\n3.m4s\n#EXT-X-ENDLIST\n" },
        { "audio-0", "#EXTINF:1.021678,\n0.m4s\n#EXTINF:1.996916,\n1.m4s\n"
                     "#EXTINF:3.993832,\n2.m4s\n#EXTINF:2.507755,\n3.m4s\n#EXT-X-ENDLIST\n" },
    };
    const struct conf conf = ramp_of(1000, 2000);
    struct media *m = asset(20);
    struct plan p;
    plan_of(&p, &conf, m);
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b;
        buf_init(&b, MIB);
        assert_int_equal(hls_media(&b, &p, plan_find(&p, cases[i].name), NULL), 0);
        const char *const text = text_of(&b);
        assert_non_null(strstr(text, "#EXT-X-TARGETDURATION:4\n"));
        assert_string_equal(strstr(text, "#EXTINF"), cases[i].lines);
        buf_finish(&b);
    }
    media_destroy(m);
}

static void manifest(void **state)
{
    (void)state;
    const struct conf conf = ramp_of(1000, 2000);
    struct media *m = asset(20);
    struct plan p;
    struct buf b;
    plan_of(&p, &conf, m);
    buf_init(&b, MIB);
    assert_int_equal(dash_manifest(&b, &p, NULL, NULL), 0);
    const char *const text = text_of(&b);
    assert_non_null(strstr(text, "minBufferTime=\"PT4.000000S\""));
    assert_non_null(strstr(text, "<S t=\"0\" d=\"25\"/>\n<S d=\"50\"/>\n<S d=\"100\"/>\n"
                                 "<S d=\"63\"/>\n</SegmentTimeline>"));
    buf_finish(&b);
    media_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers),   cmocka_unit_test(bandwidth),

        cmocka_unit_test(recipes),   cmocka_unit_test(none_of_a_beginning),
        cmocka_unit_test(playlists), cmocka_unit_test(manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
