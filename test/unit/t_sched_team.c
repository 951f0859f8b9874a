// SPDX-License-Identifier: BSD-2-Clause
//
// The scheduler: works that make renditions of the same pictures, and share one decode.

#include "test/unit/sched_tools.h"

#include "test/unit/counters.h"

#define ENOUGH 5 // groups of pictures
#define SOURCE 'p'

static struct media *pictures(void)
{
    struct media *const m = make_media(ENOUGH, 0);
    assert_int_equal(media_finish(m), 0);
    return m;
}

// A rung of one picture of the source, whose script goes on where it is when NULL is given; name
// is what it goes by when it is done.
static void prepare_of(struct errand *t, char source, char name, int width, const char *script)
{
    struct media *const m = pictures();
    struct job *const j = &t->job;
    const struct script was = script ? (struct script){ 0 } : world.scripts[source - 'a'];
    prepare(t, source, 1, script);
    if (!script)
        world.scripts[source - 'a'] = was;
    t->name = name;
    j->source = t->work.version;
    j->kind = JOB_VIDEO;
    j->media = media_copy_head(m, 0);
    j->limits.pixels = 1 << 24;
    j->v = (struct video_settings){ .width = width,
                                    .height = 96,
                                    .fps = m->fps,
                                    .crf = 23,
                                    .maxrate = 1000000,
                                    .bufsize = 1000000,
                                    .level = 30,
                                    .preset = "veryfast",
                                    .colour = { 1, 1, 1, false } };
    j->samples = xcalloc(1, sizeof *j->samples);
    j->samples[0] = (struct sample){ .offset = SCRIPT_BLOCKS * BLOCK, .size = BLOCK, .sync = true };
    j->picks = xcalloc(1, sizeof *j->picks);
    j->picks[0] = (struct pick){ 0, 1 };
    j->sample_count = j->pick_count = j->part_count = j->parts_at_once = 1;
    j->part_frames[0] = j->last_ticks = j->sequence = 1;
    media_destroy(m);
}

static void prepare_rung(struct errand *t, char name, int width, const char *script)
{
    prepare_of(t, SOURCE, name, width, script);
}

static void begin_rung(struct errand *t)
{
    struct work *out;
    assert_int_equal(submit(t, &out), 0);
    assert_null(out);
}

static void start_rung(struct errand *t, char name, int width, const char *script)
{
    prepare_rung(t, name, width, script);
    begin_rung(t);
}

// Keeps the one worker until it is let go.
static void keep_busy(struct errand *t)
{
    start_encode(t, 'a', 9, "|D");
    wait_until_gated(1);
}

static void let_source_go(void)
{
    lock(&world.lock);
    world.scripts[SOURCE - 'a'].passed++;
    pthread_cond_broadcast(&world.change);
    unlock(&world.lock);
}

struct expected {
    const char *bytes;
    int code;
};

static void end_with(struct errand *t, struct expected e)
{
    wait_until_done(t);
    if (t->code != e.code)
        fail_msg("%c: %s (%s)", t->name, err_name(t->code), t->detail);
    expect_bytes(t, e.bytes);
    finish(t);
}

// ---- from the beginning

// Those that wait for a worker get it together; what fails so, each is alone.
static void test_queued(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        struct expected each[3];
        int64_t crashes;
    } rows[] = {
        { "0ab1x2pq1yD", { { "ab", 0 }, { "xy", 0 }, { "pq", 0 } }, 0 },
        { "2p.1x.0aD", { { "a", 0 }, { "x", 0 }, { "p", 0 } }, 0 },
        { "S", { { "", -E_SEEK }, { "", -E_SEEK }, { "", -E_SEEK } }, 0 },
        { "0a1xU"
          "abD"
          "xyD"
          "U",
          { { "ab", 0 }, { "xy", 0 }, { "", -E_UNSUPPORTED } },
          0 },
        { "0a1xC"
          "abD"
          "xyD"
          "pD",
          { { "ab", 0 }, { "xy", 0 }, { "p", 0 } },
          1 },
        { "1xC"
          "CabD"
          "xyD"
          "pD",
          { { "ab", 0 }, { "xy", 0 }, { "p", 0 } },
          2 },
        { "1xy.0aC"
          "abD"
          "pD",
          { { "ab", 0 }, { "xy", 0 }, { "p", 0 } },
          1 },
        { "0a1xC"
          "b"
          "xyD"
          "pD",
          { { "a", -E_INTERNAL }, { "xy", 0 }, { "p", 0 } },
          1 },
        { "1xC"
          "aD"
          "D"
          "pD",
          { { "a", 0 }, { "x", -E_INTERNAL }, { "p", 0 } },
          1 },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct errand busy, t[3];
        open_sched();
        const int64_t shared = stat_get(STAT_decodes_shared_total);
        const int64_t crashed = stat_get(STAT_workers_crashed_total);
        keep_busy(&busy);
        for (int k = 0; k < 3; k++)
            start_rung(&t[k], (char)('0' + k), 64 + 32 * k, rows[i].script);
        assert_int_equal(sched_queued(sched), 3);
        let_go(&busy);
        for (int k = 0; k < 3; k++)
            end_with(&t[k], rows[i].each[k]);
        wait_until_done(&busy);
        finish(&busy);
        assert_int_equal(stat_get(STAT_decodes_shared_total) - shared, 2);
        assert_int_equal(stat_get(STAT_workers_crashed_total) - crashed, rows[i].crashes);
        close_sched();
    }
}

static void other_version(struct errand *t)
{
    t->work.version = key_of("w", 1);
}

static void other_pictures(struct errand *t)
{
    t->job.first++;
}

static void other_start(struct errand *t)
{
    t->job.samples[0].offset += 2 * BLOCK;
}

static void watched(struct errand *t)
{
    t->job.v.codec = VIDEO_AV1;
    t->job.v.level = 5;
}

static void other_rate(struct errand *t)
{
    t->job.v.fps.den *= 2;
}

static void for_nobody(struct errand *t)
{
    object_want(t->object, wanted_at(WANTED_AHEAD, 0));
}

static void of_many_parts(struct errand *t)
{
    t->job.v.width = 16384;
    t->job.v.height = 2160;
}

// What would not see the same pictures, or should not take part of the worker, has it for itself.
static void test_no_company(void **state)
{
    (void)state;
    static void (*const rows[])(struct errand *) = { other_version, other_pictures, other_start,
                                                     watched,       other_rate,     for_nobody,
                                                     of_many_parts };
    for (size_t i = 0; i < countof(rows); i++) {
        struct errand busy, t[2];
        wanted = wanted_at(WANTED_VIEWER, 1000);
        open_sched();
        const int64_t shared = stat_get(STAT_decodes_shared_total);
        keep_busy(&busy);
        start_rung(&t[0], '0', 64,
                   "aD"
                   "bD");
        if (rows[i] == for_nobody)
            wanted = wanted_at(WANTED_AHEAD, 0);
        prepare_rung(&t[1], '1', 96, NULL);
        rows[i](&t[1]);
        begin_rung(&t[1]);
        let_go(&busy);
        end_with(&t[0], (struct expected){ "a", 0 });
        end_with(&t[1], (struct expected){ "b", 0 });
        wait_until_done(&busy);
        finish(&busy);
        if (stat_get(STAT_decodes_shared_total) != shared)
            fail_msg("row %zu", i);
        close_sched();
    }
}

// ---- those who come late

static void test_late(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        struct expected each[2];
        int64_t shared;
    } rows[] = {
        { "a|+b1xD", { { "ab", 0 }, { "x", 0 } }, 1 },
        { "a|+1x.0bD", { { "ab", 0 }, { "x", 0 } }, 1 },
        { "a|-bD"
          "xyD",
          { { "ab", 0 }, { "xy", 0 } },
          0 }, // it was too late
        { "a|D"
          "xyD",
          { { "a", 0 }, { "xy", 0 } },
          0 }, // it was over
        { "a|U"
          "xyD",
          { { "a", -E_UNSUPPORTED }, { "xy", 0 } },
          0 },
        { "a|+1xC"
          "abD"
          "xyD",
          { { "ab", 0 }, { "xy", 0 } },
          1 },
        { "a|-C"
          "abD"
          "xyD",
          { { "ab", 0 }, { "xy", 0 } },
          0 },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct errand t[2];
        open_sched();
        const int64_t shared = stat_get(STAT_decodes_shared_total);
        start_rung(&t[0], '0', 64, rows[i].script);
        wait_until_begun(&t[0]);
        wait_until_gated(1);
        prepare_rung(&t[1], '1', 96, NULL);
        begin_rung(&t[1]);
        assert_int_equal(sched_queued(sched), 0); // it has joined
        let_source_go();
        end_with(&t[0], rows[i].each[0]);
        end_with(&t[1], rows[i].each[1]);
        if (stat_get(STAT_decodes_shared_total) - shared != rows[i].shared)
            fail_msg("row %zu", i);
        close_sched();
    }
}

// ---- those who follow one another

// Who goes on where a worker's decoder stands may come before who is due a little sooner, but not
// before who is due much sooner.
static void test_goes_on(void **state)
{
    (void)state;
    static const struct {
        int64_t other, next; // when they are wanted
        const char *order;
    } rows[] = {
        { 1000000, 1000000, "f*no" },
        { 1000000, 1900000, "f*no" },
        { 1000000, 2100000, "f*on" },
        { 1000000, 500000, "f*no" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct errand first, busy, other, next;
        wanted = wanted_at(WANTED_VIEWER, 1000);
        open_sched();
        start_rung(&first, 'f', 64, "aL");
        end_with(&first, (struct expected){ "a", 0 });
        keep_busy(&busy);
        busy.name = '*';
        wanted = wanted_at(WANTED_VIEWER, rows[i].other);
        prepare_of(&other, 'o', 'o', 64, "bD");
        other.work.client = 2;
        begin_rung(&other);
        wanted = wanted_at(WANTED_VIEWER, rows[i].next);
        prepare_rung(&next, 'n', 64, "cD");
        next.job.picks[0].pts = 512;
        next.job.first = 1;
        next.work.client = 3;
        begin_rung(&next);
        lock(&world.lock);
        world.scripts[0].passed++; // of the busy one, whatever it is called
        pthread_cond_broadcast(&world.change);
        unlock(&world.lock);
        end_with(&other, (struct expected){ "b", 0 });
        end_with(&next, (struct expected){ "c", 0 });
        wait_until_done(&busy);
        finish(&busy);
        assert_string_equal(world.order, rows[i].order);
        close_sched();
    }
}

// ---- those who leave

// Nobody waits for the others: who is whole is done, whose reader has gone too.
static void test_leaving(void **state)
{
    (void)state;
    struct errand busy, t[3];
    open_sched();
    keep_busy(&busy);
    for (int k = 0; k < 3; k++)
        start_rung(&t[k], (char)('0' + k), 64 + 32 * k, "1x.2p!0a|bD");
    let_go(&busy);
    end_with(&t[1], (struct expected){ "x", 0 });
    wait_until_begun(&t[2]);
    cancel(&t[2]);
    wait_until_begun(&t[0]);
    let_source_go();
    end_with(&t[0], (struct expected){ "ab", 0 });
    end_with(&t[2], (struct expected){ "p", -E_CANCELLED });
    wait_until_done(&busy);
    finish(&busy);
    close_sched();
}

// The last one's leaving ends the run.
static void test_all_leave(void **state)
{
    (void)state;
    struct errand busy, t[2];
    open_sched();
    keep_busy(&busy);
    for (int k = 0; k < 2; k++)
        start_rung(&t[k], (char)('0' + k), 64 + 32 * k, "0a1x!|");
    let_go(&busy);
    wait_until_begun(&t[0]);
    wait_until_begun(&t[1]);
    cancel(&t[0]);
    wait_until_gated(1);
    cancel(&t[1]);
    end_with(&t[0], (struct expected){ "a", -E_CANCELLED });
    end_with(&t[1], (struct expected){ "x", -E_CANCELLED });
    wait_until_done(&busy);
    finish(&busy);
    start_rung(&t[0], '0', 64, "zD"); // the worker is of use still
    end_with(&t[0], (struct expected){ "z", 0 });
    close_sched();
}

// Who leaves before the worker has heard of him, joins nobody.
static void test_left_before(void **state)
{
    (void)state;
    struct errand busy, t[2];
    open_sched();
    keep_busy(&busy);
    for (int k = 0; k < 2; k++)
        start_rung(&t[k], (char)('0' + k), 64 + 32 * k, "aD");
    cancel(&t[1]);
    end_with(&t[1], (struct expected){ "", -E_CANCELLED });
    let_go(&busy);
    end_with(&t[0], (struct expected){ "a", 0 });
    wait_until_done(&busy);
    finish(&busy);
    close_sched();
}

// Everything at once, from many threads: each rung ends exactly once.
#define OFTEN(script) script script script script script script script script

static void *visit(void *arg)
{
    static const char *const scripts[] = { OFTEN("DDDDDDDD"), OFTEN("+D-DD+DD"), OFTEN("aDaDCaDaD"),
                                           OFTEN("UDUDSDDD") };
    const int number = *(const int *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct errand t;
        struct work *out;
        prepare_rung(&t, 'v', 64 + 32 * number, scripts[(i + number) % 4]);
        const int err = submit(&t, &out);
        assert_int_equal(err, 0);
        assert_null(out);
        if ((i + number) % 3 > 0)
            poll(NULL, 0, (i + number) % 3 - 1);
        cancel(&t); // or it has ended already
        wait_until_done(&t);
        finish(&t);
        lock(&world.lock);
        world.done_count = 0;
        unlock(&world.lock);
    }
    return NULL;
}

static void test_all_at_once(void **state)
{
    (void)state;
    conf.workers_count = 2;
    conf.workers_poison = 0;
    let_all_visit(visit);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(int argc, char **argv)
{
    (void)argc;
    fake_worker_main(argv, obey);
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(test_queued),    TEST(test_no_company),  TEST(test_late),    TEST(test_leaving),
        TEST(test_all_leave), TEST(test_left_before), TEST(test_goes_on), TEST(test_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
