// SPDX-License-Identifier: BSD-2-Clause
//
// The scheduler: who gets a worker, who waits and for how long, and what becomes of them.

#include "test/unit/sched_tools.h"

#include "test/unit/counters.h"

// ---- one job

static void jobs_and_how_they_end(void **state)
{
    (void)state;
    static const struct {
        const char *script, *bytes, *detail;
        int code, begun;
        int crashes, retries;
    } cases[] = {
        { "abcD", "abc", "", 0, 1, 0, 0 },
        { "D", "", "", 0, 0, 0, 0 },
        { "aU", "a", "no such thing", -E_UNSUPPORTED, 1, 0, 0 },
        { "S", "", "", -E_SEEK, 0, 0, 0 },
        // A worker dies: the second one repeats it, and goes on.
        { "C"
          "abD",
          "ab", "", 0, 1, 1, 1 },
        { "abC"
          "abcD",
          "abc", "", 0, 1, 1, 1 },
        { "abcdeC"
          "abcdeD",
          "abcde", "", 0, 1, 1, 1 },
        { "abC"
          "U",
          "ab", "no such thing", -E_UNSUPPORTED, 1, 1, 1 },
        // It does not repeat it: what was sent cannot be taken back.
        { "abC"
          "axcD",
          "ab", "the second run did not repeat the first", -E_INTERNAL, 1, 1, 1 },
        { "abC"
          "aD",
          "ab", "the second run did not repeat the first", -E_INTERNAL, 1, 1, 1 },
        { "abC"
          "abC",
          "ab", "two workers went down with this source", -E_POISONED, 1, 2, 1 },
    };
    conf.workers_poison = 0; // nothing is refused
    open_sched();
    for (size_t i = 0; i < countof(cases); i++) {
        struct errand t;
        mark_counters();
        start(&t, (char)('a' + i), 1, cases[i].script);
        wait_until_done(&t);
        assert_int_equal(t.code, cases[i].code);
        assert_string_equal(t.detail, cases[i].detail);
        assert_int_equal(t.begun, cases[i].begun);
        assert_true(t.work.started_us >= t.work.queued_us && t.work.queued_us > 0);
        if (t.code == 0)
            assert_int_equal(t.work.stats.frames_decoded, 5);
        expect_bytes(&t, cases[i].bytes);
        assert_int_equal(since(STAT_workers_crashed_total), cases[i].crashes);
        assert_int_equal(since(STAT_jobs_retried_total), cases[i].retries);
        assert_int_equal(stat_get(STAT_jobs_running), 0);
        assert_int_equal(stat_get(STAT_jobs_queued), 0);
        finish(&t);
    }
    close_sched();
}

static void workers_wear_out(void **state)
{
    (void)state;
    conf.workers_jobs = 2;
    open_sched();
    mark_counters();
    for (int i = 0; i < 5; i++) {
        struct errand t;
        start(&t, 'a', 1, "aD");
        wait_until_done(&t);
        assert_int_equal(t.code, 0);
        finish(&t);
    }
    assert_int_equal(since(STAT_workers_started_total), 2);
    close_sched();
}

// ---- who is next

static void everybody_gets_a_turn(void **state)
{
    (void)state;
    open_sched();
    struct errand t[6];
    start(&t[0], 'a', 1, "|D");
    wait_until_gated(1);
    start(&t[1], 'b', 1, "D");
    start(&t[2], 'c', 1, "D");
    start(&t[3], 'd', 1, "D");
    start(&t[4], 'e', 2, "D");
    start(&t[5], 'f', 3, "D");
    assert_int_equal(sched_queued(sched), 5);
    let_go(&t[0]);
    for (size_t i = 0; i < countof(t); i++)
        wait_until_done(&t[i]);
    assert_string_equal(world.order, "aefbcd");
    for (size_t i = 0; i < countof(t); i++)
        finish(&t[i]);
    close_sched();
}

// Of one worker, each for a client of its own.
static void who_is_due_first_runs_first(void **state)
{
    static const struct {
        enum wanted_class class;
        int64_t due_us;
    } of[] = {
        { WANTED_WARM, 100 },    { WANTED_AHEAD, 300 },   { WANTED_AHEAD, 200 },
        { WANTED_VIEWER, 5000 }, { WANTED_VIEWER, 4000 }, { WANTED_VIEWER, 5000 },
    };
    struct errand gate, t[countof(of)];
    (void)state;
    open_sched();
    start_encode(&gate, 'a', 1, "|D");
    wait_until_gated(1);
    for (size_t i = 0; i < countof(of); i++) {
        wanted = wanted_at(of[i].class, of[i].due_us);
        start_encode(&t[i], (char)('b' + i), (uint32_t)(10 + i), "D");
    }
    let_go(&gate);
    for (size_t i = 0; i < countof(of); i++)
        wait_until_done(&t[i]);
    assert_string_equal(world.order, "afegdcb");
    for (size_t i = 0; i < countof(of); i++)
        finish(&t[i]);
    finish(&gate);
    close_sched();
}

// A viewer asks for what was begun ahead of another.
static void what_is_wanted_sooner_runs_sooner(void **state)
{
    struct errand gate, ahead[2], viewer;
    (void)state;
    open_sched();
    start_encode(&gate, 'a', 1, "|D");
    wait_until_gated(1);
    wanted = wanted_at(WANTED_AHEAD, 0);
    start_encode(&ahead[0], 'b', 1, "D");
    start_encode(&ahead[1], 'c', 1, "D");
    wanted = 500;
    start_encode(&viewer, 'd', 2, "D");
    assert_true(object_want(ahead[1].object, 400));
    assert_false(object_want(ahead[1].object, 401));
    sched_hurry(sched, ahead[1].object);
    let_go(&gate);
    wait_until_done(&ahead[0]);
    assert_string_equal(world.order, "acdb");
    struct errand *const all[] = { &gate, &ahead[0], &ahead[1], &viewer };
    for (size_t i = 0; i < countof(all); i++)
        finish(all[i]);
    close_sched();
}

static void what_nobody_waits_for_leaves_a_worker(void **state)
{
    struct errand ahead[2], viewer;
    (void)state;
    conf.workers_count = 2;
    open_sched();
    wanted = wanted_at(WANTED_AHEAD, 0);
    start_encode(&ahead[0], 'a', 1, "|D");
    start_encode(&ahead[1], 'b', 1, "D");
    wait_until_gated(1);
    wanted = 0;
    start_encode(&viewer, 'c', 2, "D");
    wait_until_done(&viewer);
    assert_string_equal(world.order, "c");
    let_go(&ahead[0]);
    wait_until_done(&ahead[0]);
    wait_until_done(&ahead[1]); // on either worker: who hears first of his end is open
    assert_true(strcmp(world.order, "cab") == 0 || strcmp(world.order, "cba") == 0);
    finish(&ahead[0]);
    finish(&ahead[1]);
    finish(&viewer);
    close_sched();
}

// However much he has asked for: his next work is not due later than that.
static void a_share_has_an_end(void **state)
{
    struct errand gate, t[12], mine, other;
    (void)state;
    conf.workers_queue = 20;
    open_sched();
    start_encode(&gate, 'a', 9, "|D");
    wait_until_gated(1);
    for (size_t i = 0; i < countof(t); i++) // a second each
        start_encode(&t[i], 'b', 1, "D");
    wanted = SCHED_LEAD_US + 1;
    start_encode(&other, 'c', 2, "D");
    wanted = 0;
    start_encode(&mine, 'd', 1, "D");
    for (size_t i = 0; i < countof(t); i++)
        cancel(&t[i]);
    let_go(&gate);
    wait_until_done(&other);
    assert_string_equal(world.order + countof(t), "adc");
    for (size_t i = 0; i < countof(t); i++)
        finish(&t[i]);
    finish(&gate);
    finish(&mine);
    finish(&other);
    close_sched();
}

// What was cancelled before it ran was no turn.
static void cancelled_jobs_cost_nothing(void **state)
{
    (void)state;
    open_sched();
    struct errand t[6], mine, other;
    start(&t[0], 'a', 1, "|D");
    wait_until_gated(1);
    for (int i = 1; i < 6; i++) {
        start(&t[i], (char)('a' + i), 2, "D");
        cancel(&t[i]);
        assert_int_equal(t[i].code, -E_CANCELLED);
        assert_int_equal(t[i].work.started_us, 0);
    }
    start(&mine, 'i', 2, "D");
    start(&other, 'j', 3, "D");
    let_go(&t[0]);
    wait_until_done(&mine);
    wait_until_done(&other);
    assert_string_equal(world.order, "bcdefaij");
    for (size_t i = 0; i < countof(t); i++)
        finish(&t[i]);
    finish(&mine);
    finish(&other);
    close_sched();
}

static void a_full_queue_gives_way_to_who_asks_for_less(void **state)
{
    (void)state;
    conf.workers_queue = 3;
    open_sched();
    struct errand t[4], b[3];
    struct work *out;
    start(&t[0], 'a', 1, "|D");
    wait_until_gated(1);
    for (int i = 1; i < 4; i++)
        start(&t[i], (char)('a' + i), 1, "D");
    // Turns 1, 2 and 3 wait.
    mark_counters();
    struct errand more;
    prepare(&more, 'e', 1, "D");
    assert_int_equal(submit(&more, &out), -E_BUSY);
    assert_null(out);
    assert_int_equal(since(STAT_jobs_refused_total), 1);

    for (int i = 0; i < 2; i++) {
        prepare(&b[i], (char)('f' + i), 2, "D");
        assert_int_equal(submit(&b[i], &out), 0);
        assert_ptr_equal(out, &t[3 - i].work);
        out->done(out, -E_BUSY, "");
        assert_int_equal(sched_queued(sched), 3);
    }
    // Of the same greed, who was there stays.
    prepare(&b[2], 'h', 2, "D");
    assert_int_equal(submit(&b[2], &out), -E_BUSY);
    assert_null(out);
    // To cancel what was pushed out is too late, and does no harm.
    cancel(&t[3]);

    let_go(&t[0]);
    wait_until_done(&t[1]);
    wait_until_done(&b[1]);
    assert_string_equal(world.order, "dcafbg");
    more.done = b[2].done = 1; // never taken
    for (int i = 0; i < 4; i++)
        finish(&t[i]);
    for (int i = 0; i < 3; i++)
        finish(&b[i]);
    finish(&more);
    close_sched();
}

static void of_equal_turns_the_last_makes_room(void **state)
{
    (void)state;
    conf.workers_queue = 3;
    open_sched();
    struct errand t[4], more;
    struct work *out;
    static const uint32_t clients[] = { 1, 1, 2, 2 }; // turns 0, 1, 0, 1
    start(&t[0], 'a', clients[0], "|D");
    wait_until_gated(1);
    for (int i = 1; i < 4; i++)
        start(&t[i], (char)('a' + i), clients[i], "D");
    prepare(&more, 'e', 3, "D");
    assert_int_equal(submit(&more, &out), 0);
    assert_ptr_equal(out, &t[3].work);
    out->done(out, -E_BUSY, "");
    let_go(&t[0]);
    wait_until_done(&t[1]);
    wait_until_done(&more);
    assert_string_equal(world.order, "daceb");
    for (int i = 0; i < 4; i++)
        finish(&t[i]);
    finish(&more);
    close_sched();
}

// Probes neither wait for encodes nor are kept out by them; nor does one that comes
// late turn back the clock of the others.
static void probes_have_a_way_of_their_own(void **state)
{
    (void)state;
    conf.workers_queue = 4;
    open_sched();
    struct errand m[4], p[2], gate, last[4];
    start_encode(&m[0], 'a', 1, "|D");
    wait_until_gated(1);
    for (int i = 1; i < 4; i++)
        start_encode(&m[i], (char)('a' + i), 1, "D");
    start_encode(&gate, 'e', 1, "|D"); // turn 4; the queue is full
    start(&p[0], 'f', 9, "|D");        // turn 0
    start(&p[1], 'g', 9, "D");         // turn 1
    wait_until_gated(2);
    let_go(&m[0]);
    wait_until_done(&m[3]);
    wait_until_gated(2);
    let_go(&p[0]);
    wait_until_done(&p[1]);
    // What client 1 asked for lasts 5 s: then he is not behind a newcomer's second.
    wanted = 5000000;
    start_encode(&last[0], 'h', 1, "D");
    for (int i = 1; i < 4; i++)
        start_encode(&last[i], (char)('h' + i), 2, "D");
    let_go(&gate);
    for (int i = 0; i < 4; i++)
        wait_until_done(&last[i]);
    assert_string_equal(world.order, "abcdfgehijk");
    for (int i = 0; i < 4; i++) {
        finish(&m[i]);
        finish(&last[i]);
    }
    finish(&p[0]);
    finish(&p[1]);
    finish(&gate);
    close_sched();
}

static void a_slow_probe_holds_up_nobody(void **state)
{
    (void)state;
    conf.workers_probes = 3;
    open_sched();
    struct errand slow[2], t;
    start(&slow[0], 'a', 1, "|D");
    start(&slow[1], 'b', 1, "|D");
    wait_until_gated(2);
    start(&t, 'c', 1, "D");
    wait_until_done(&t);
    assert_string_equal(world.order, "c");
    // No encode waits for them, nor they for encodes.
    struct errand encode, probe;
    start_encode(&encode, 'd', 1, "|D");
    wait_until_gated(3);
    start(&probe, 'e', 1, "D");
    wait_until_done(&probe);
    assert_string_equal(world.order, "ce");
    let_go(&slow[0]);
    let_go(&slow[1]);
    let_go(&encode);
    struct errand *const all[] = { &slow[0], &slow[1], &t, &encode, &probe };
    for (size_t i = 0; i < countof(all); i++) {
        wait_until_done(all[i]);
        finish(all[i]);
    }
    close_sched();
}

// Of an origin that does not answer, however many of its sources are asked for.
static void one_origin_leaves_a_probe_to_the_others(void **state)
{
    (void)state;
    conf.workers_probes = 2;
    conf.origin_count = 2;
    open_sched();
    struct errand slow[3], t;
    struct work *out;
    for (int i = 0; i < 3; i++)
        start(&slow[i], (char)('a' + i), 1, "|D");
    wait_until_gated(1);
    assert_int_equal(sched_queued(sched), 2);
    prepare(&t, 'd', 1, "D"); // its turn is the last
    t.work.origin = 1;
    assert_int_equal(submit(&t, &out), 0);
    wait_until_done(&t);
    assert_string_equal(world.order, "d");
    for (int i = 0; i < 3; i++) {
        wait_until_gated(1);
        let_go(&slow[i]);
        wait_until_done(&slow[i]);
    }
    for (int i = 0; i < 3; i++)
        finish(&slow[i]);
    finish(&t);
    close_sched();
}

// By what a job like it took: a time that is not nothing, of which the second has far more.
static void what_would_wait_too_long_is_refused(void **state)
{
    struct errand first, gate, endless, late, sooner;
    struct work *out;
    (void)state;
    conf.workers_queue_wait = 60000;
    open_sched();
    prepare_reading(&first, 'a', 1, "D", 0);
    first.job.kind = JOB_AUDIO;
    first.job.frames = first.job.sequence = 1;
    assert_int_equal(submit(&first, &out), 0);
    wait_until_done(&first);
    assert_int_equal(first.code, 0);
    start_encode(&gate, 'b', 1, "|D");
    wait_until_gated(1);

    wanted = 1000;
    prepare_reading(&endless, 'c', 2, "D", 0);
    endless.job.kind = JOB_AUDIO;
    endless.job.frames = INT64_C(1) << 40;
    assert_int_equal(submit(&endless, &out), 0); // before it there is nothing of any length
    mark_counters();
    prepare_reading(&late, 'd', 3, "D", 0);
    assert_int_equal(submit(&late, &out), -E_BUSY);
    assert_true(late.work.wait_us > 60000000);
    assert_int_equal(since(STAT_jobs_refused_total), 1);
    wanted = 999;
    start_encode(&sooner, 'e', 4, "D"); // comes before it
    cancel(&endless);
    let_go(&gate);
    wait_until_done(&sooner);
    assert_string_equal(world.order, "acbe");
    late.done = 1; // never taken
    struct errand *const all[] = { &first, &gate, &endless, &late, &sooner };
    for (size_t i = 0; i < countof(all); i++)
        finish(all[i]);
    close_sched();
}

// An AUDIO job, of a class of its own, of which one with one frame has taught what that takes.
static void prepare_sound(struct errand *t, char name, int64_t frames, int64_t due_us, bool opens)
{
    wanted = due_us;
    prepare_reading(t, name, (uint32_t)name, "D", 0);
    t->job.kind = JOB_AUDIO;
    t->job.sequence = 1;
    t->job.frames = frames;
    t->work.opens = opens;
}

static void expect_pressure(bool on)
{
    assert_int_equal(sched_is_pressed(sched), on);
    assert_int_equal(stat_get(STAT_pressure), on);
}

static void learn_sound(struct errand *t)
{
    struct work *out;
    prepare_sound(t, 'a', 1, 0, false);
    assert_int_equal(submit(t, &out), 0);
    wait_until_done(t);
    assert_int_equal(t->code, 0);
}

// The one worker knows how long sound takes, and has something to do.
static void keep_busy(struct errand *first, struct errand *gate)
{
    learn_sound(first);
    start_encode(gate, 'b', 1, "|D");
    wait_until_gated(1);
}

static void end_busy(struct errand *first, struct errand *gate)
{
    let_go(gate);
    wait_until_done(gate);
    finish(first);
    finish(gate);
}

// Of one worker, which has something to do.
static void too_many_wait_at_the_door(void **state)
{
    static const struct {
        bool watches, long_before, patient; // who was there
        int64_t frames;                     // of who comes; 0: a probe of what he will watch
        bool opens;
        int code;
        bool himself; // it was he who was there
    } cases[] = {
        { true, false, true, INT64_C(1) << 30, true, -E_BUSY, false }, // he would make one wait
        { true, false, true, INT64_C(1) << 30, false, 0, false }, // as those do who watch already
        { true, false, true, 1, true, 0, false },
        { false, false, true, INT64_C(1) << 30, true, 0, false }, // who begins is not made to wait
        { true, true, true, 1, true, -E_BUSY, false },            // he would wait too long himself
        { true, true, false, 1, true, 0, false },
        { true, false, true, INT64_C(1) << 30, true, 0, true },
        { true, true, true, 1, true, 0, true },
        { true, true, true, 0, true, -E_BUSY, false },
        { true, true, true, 0, false, 0, false }, // not to watch it
        { true, true, false, 0, true, 0, false },
        { true, false, true, 0, true, 0, false }, // nothing was learnt of what follows
        { true, true, true, 0, true, 0, true },
    };
    struct errand first, gate, there, comes;
    struct work *out;
    (void)state;
    conf.workers_queue_wait = conf.pressure_wait = conf.pressure_ease = INT64_C(1) << 40;
    open_sched();
    keep_busy(&first, &gate);
    for (size_t i = 0; i < countof(cases); i++) {
        const int64_t now = clock_us();
        conf.workers_patience = cases[i].patient ? 1000 : 0;
        prepare_sound(&there, 'c', cases[i].long_before ? INT64_C(1) << 30 : 1,
                      cases[i].long_before ? now : now + 60000000, !cases[i].watches);
        assert_int_equal(submit(&there, &out), 0);
        prepare_sound(&comes, 'd', cases[i].frames, now + 1000000, cases[i].opens);
        if (cases[i].frames == 0)
            comes.job.kind = JOB_PROBE;
        comes.work.client = cases[i].himself ? there.work.client : comes.work.client;
        assert_int_equal(submit(&comes, &out), cases[i].code);
        expect_pressure(cases[i].code < 0);
        sched_ease(sched, now, now);
        sched_ease(sched, now + 2000 * conf.pressure_ease, now);
        expect_pressure(false);
        cancel(&there);
        if (cases[i].code == 0 && cases[i].frames == 0)
            wait_until_done(&comes); // there is a worker for it
        else if (cases[i].code == 0)
            cancel(&comes);
        comes.done = 1; // or never taken
        finish(&there);
        finish(&comes);
    }
    end_busy(&first, &gate);
    close_sched();
}

// ---- pressure

// Of one worker, which has something to do.
static void pressure_comes_and_goes(void **state)
{
    static const struct {
        int64_t frames, due_in_us; // of who waits
        bool on;
    } cases[] = {
        { INT64_C(1) << 40, 1000000, true }, // before who comes and says nothing of himself
        { INT64_C(1) << 40, 60000000, false },
        { 0, 1000000, false }, // of no length that is known
    };
    struct errand first, gate, there;
    (void)state;
    conf.workers_queue_wait = INT64_C(1) << 40;
    conf.pressure_wait = conf.pressure_ease = 1000000;
    open_sched();
    keep_busy(&first, &gate);
    for (size_t i = 0; i < countof(cases); i++) {
        const int64_t now = clock_us();
        struct work *out;
        prepare_sound(&there, 'c', cases[i].frames, now + cases[i].due_in_us, false);
        assert_int_equal(submit(&there, &out), 0);
        expect_pressure(cases[i].on);
        assert_true((sched_wait_us(sched) >= conf.pressure_wait * 1000) == cases[i].on);
        cancel(&there);
        finish(&there);
        const int64_t later = there.work.queued_us + 60000000;
        sched_ease(sched, later, later); // it is over, but for how long?
        expect_pressure(cases[i].on);
        sched_ease(sched, later + conf.pressure_ease * 1000, later);
        expect_pressure(false);
    }
    end_busy(&first, &gate);
    close_sched();
}

// While there is pressure, it looks again after a second.
static void pressure_is_looked_at(void **state)
{
    struct errand first, gate, there;
    struct work *out;
    (void)state;
    conf.workers_queue_wait = INT64_C(1) << 40;
    conf.pressure_wait = 1;
    open_sched();
    assert_int_equal(sched_ease(sched, 5, 60000000), 60000000);
    keep_busy(&first, &gate);
    prepare_sound(&there, 'c', INT64_C(1) << 40, clock_us(), false);
    assert_int_equal(submit(&there, &out), 0);
    const int64_t now = there.work.queued_us;
    assert_int_equal(sched_ease(sched, now, now + 5), now + 5);
    assert_int_equal(sched_ease(sched, now, now + 60000000), now + 1000000);
    cancel(&there);
    end_busy(&first, &gate);
    finish(&there);
    const int64_t end = clock_ms() + PATIENCE_MS;
    while (stat_get(STAT_pressure)) { // by its own clock
        assert_true(clock_ms() < end);
        poll(NULL, 0, 1);
    }
    close_sched();
}

// ---- bringing

// More of them than workers.
static void no_worker_waits_for_an_origin(void **state)
{
    (void)state;
    open_sched();
    struct errand slow[2], t;
    start_reading(&slow[0], 'a', 1, "|D", 1);
    start_reading(&slow[1], 'b', 1, "a|D", 2);
    wait_until_gated(2);
    start_reading(&t, 'c', 1, "D", 1); // its turn is the last
    wait_until_done(&t);
    assert_string_equal(world.order, "c");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(slow[i].work.started_us, 0);
        let_go(&slow[i]);
        wait_until_done(&slow[i]);
        assert_int_equal(slow[i].code, 0);
        assert_true(slow[i].work.bring_us > 0);
    }
    expect_bytes(&slow[1], "xa");
    finish(&slow[0]);
    finish(&slow[1]);
    finish(&t);
    close_sched();
}

// A thread that waits for something else.
static void wait_at_a_gate(struct task *t)
{
    (void)t;
    lock(&world.lock);
    world.waiting++;
    pthread_cond_broadcast(&world.change);
    while (world.waiting > 0)
        pthread_cond_wait(&world.change, &world.lock);
    unlock(&world.lock);
}

// No thread has come to it yet: it is done at once.
static void cancelling_what_is_to_be_brought(void **state)
{
    (void)state;
    open_sched();
    struct task busy[4];
    struct errand t;
    for (int i = 0; i < 4; i++) {
        busy[i].run = wait_at_a_gate;
        tasks_add(threads, &busy[i]);
    }
    wait_until_gated(4);
    start_reading(&t, 'a', 1, "D", 1);
    cancel(&t);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.code, -E_CANCELLED);
    finish(&t);
    lock(&world.lock);
    world.waiting = 0;
    pthread_cond_broadcast(&world.change);
    unlock(&world.lock);
    close_sched();
}

static void cancelling_what_is_brought(void **state)
{
    (void)state;
    open_sched();
    mark_counters();
    struct errand t[4], other;
    for (int i = 0; i < 4; i++)
        start_reading(&t[i], (char)('a' + i), 1, "|D", 1);
    wait_until_gated(3); // of four threads, one is left to what is opened
    assert_int_equal(sched_queued(sched), 4);
    for (int i = 3; i >= 0; i--) {
        cancel(&t[i]);
        wait_until_done(&t[i]);
        assert_int_equal(t[i].code, -E_CANCELLED);
        assert_int_equal(t[i].work.started_us, 0);
        finish(&t[i]);
    }
    assert_int_equal(since(STAT_jobs_queued), 0);
    start_reading(&other, 'e', 1, "D", 1);
    wait_until_done(&other);
    finish(&other);
    close_sched();
}

static void what_cannot_be_brought_is_not_run(void **state)
{
    (void)state;
    open_sched();
    struct errand t;
    start_reading(&t, 'a', 1, "aE", 2);
    wait_until_done(&t);
    assert_int_equal(t.code, -E_ORIGIN);
    assert_int_equal(t.work.started_us, 0);
    assert_int_equal(sched_queued(sched), 0);
    finish(&t);
    close_sched();
}

static bool is_touched(const struct errand *t)
{
    lock(&world.lock);
    const bool touched = world.scripts[t->name - 'a'].at > 0;
    unlock(&world.lock);
    return touched;
}

static void wait_until_touched(struct errand *t, int n)
{
    const int64_t end = clock_ms() + PATIENCE_MS;
    for (int i = 0; i < n; i++) {
        while (!is_touched(&t[i])) {
            assert_true(clock_ms() < end);
            poll(NULL, 0, 1);
        }
    }
}

// While the workers do not come round to them: by an origin's share of half the
// cache, but it is one at least.
static void what_waits_for_workers_is_bounded(void **state)
{
    (void)state;
    static const struct {
        int blocks; // of the cache
        int origins, brought;
    } cases[] = { { 16, 1, 4 }, { 16, 2, 2 }, { 8, 1, 2 }, { 8, 2, 1 }, { 8, 30, 1 } };
    for (size_t k = 0; k < countof(cases); k++) {
        conf.cache_source_blocks = (int64_t)cases[k].blocks * BLOCK;
        conf.origin_count = cases[k].origins;
        open_sched();
        struct errand busy, t[5], other;
        struct work *out;
        start_encode(&busy, 'a', 1, "|D");
        wait_until_gated(1);
        for (int i = 0; i < 5; i++)
            start_reading(&t[i], (char)('b' + i), 1, "DDDDDDDD", 2);
        wait_until_touched(t, cases[k].brought);
        // Another origin has a share of its own.
        prepare_reading(&other, 'g', 1, "DDDDDDDD", 2);
        other.work.origin = 1;
        assert_int_equal(submit(&other, &out), 0);
        wait_until_touched(&other, 1);
        for (int i = 0; i < 5; i++)
            assert_int_equal(is_touched(&t[i]), i < cases[k].brought);
        let_go(&busy);
        for (int i = 0; i < 5; i++) {
            wait_until_done(&t[i]);
            assert_int_equal(t[i].code, 0);
            finish(&t[i]);
        }
        wait_until_done(&other);
        finish(&other);
        finish(&busy);
        close_sched();
    }
}

// A job that reads much begins when the first of it is here, but not on the last
// worker that is idle.
static void much_is_begun_early(void **state)
{
    (void)state;
    conf.workers_count = 2;
    open_sched();
    struct errand t[3];
    start_reading(&t[0], 'a', 1, "a|D", 2);
    wait_until_gated(1);
    wait_until_begun(&t[0]);
    start_reading(&t[1], 'b', 1, "a|D", 2);
    wait_until_gated(2);
    start_reading(&t[2], 'c', 1, "D", 1);
    wait_until_done(&t[2]);
    assert_int_equal(t[1].work.started_us, 0);
    for (int i = 0; i < 2; i++) {
        let_go(&t[i]);
        wait_until_done(&t[i]);
        assert_int_equal(t[i].code, 0);
    }
    for (int i = 0; i < 3; i++)
        finish(&t[i]);
    close_sched();
}

// ---- waiting too long

// While their workers, and the threads of their origin, are busy for ever.
static void waiting_too_long(void **state)
{
    (void)state;
    open_sched();
    mark_counters();
    struct errand busy[2], t[6];
    start(&busy[0], 'a', 1, "|D");
    start_encode(&busy[1], 'b', 1, "|D");
    wait_until_gated(2);
    start(&t[0], 'c', 1, "D");              // a probe
    start_encode(&t[1], 'd', 1, "D");       // with nothing to bring
    start_reading(&t[2], 'e', 1, "|D", 1);  // being brought, like
    start_reading(&t[3], 'f', 1, "|D", 1);  // this
    start_reading(&t[4], 'g', 1, "|D", 1);  // and this
    start_reading(&t[5], 'h', 1, "DDD", 1); // waits for a thread
    wait_until_gated(5);
    const int64_t now = clock_us(), wait = conf.workers_queue_wait * 1000;
    assert_true(sched_expire(sched, now) <= now + wait);
    assert_true(sched_expire(sched, t[0].work.queued_us + wait - 1) == t[0].work.queued_us + wait);
    assert_int_equal(sched_queued(sched), 6);
    assert_int_equal(since(STAT_jobs_refused_total), 0);
    sched_expire(sched, now + wait);
    static const char *const details[] = { "for a worker", "origin was too slow" };
    for (int i = 0; i < 6; i++) {
        const bool brought = i >= 2 && i < 5;
        wait_until_done(&t[i]);
        assert_int_equal(t[i].code, brought ? -E_ORIGIN_TIMEOUT : -E_BUSY);
        assert_non_null(strstr(t[i].detail, details[brought]));
        finish(&t[i]);
    }
    assert_int_equal(since(STAT_jobs_refused_total), 6);
    assert_int_equal(sched_queued(sched), 0);
    // Not what has a worker.
    sched_refuse(sched, &busy[1].work);
    for (int i = 0; i < 2; i++) {
        let_go(&busy[i]);
        wait_until_done(&busy[i]);
        assert_int_equal(busy[i].code, 0);
        finish(&busy[i]);
    }
    close_sched();
}

// By itself, without anything else happening.
static void the_scheduler_looks_at_its_clock(void **state)
{
    (void)state;
    conf.workers_queue_wait = 1;
    open_sched();
    struct errand t;
    start_reading(&t, 'a', 1, "|D", 1);
    wait_until_done(&t);
    // On a busy machine the millisecond goes by before its bytes are asked for.
    assert_true(t.code == -E_ORIGIN_TIMEOUT || t.code == -E_BUSY);
    finish(&t);
    close_sched();
}

// ---- cancelling

static void cancelling_what_runs(void **state)
{
    (void)state;
    open_sched();
    mark_counters();
    struct errand t, next;
    start(&t, 'a', 1, "ab|cD");
    wait_until_gated(1);
    cancel(&t);
    wait_until_done(&t);
    assert_int_equal(t.code, -E_CANCELLED);
    expect_bytes(&t, "ab");
    cancel(&t); // again: nothing
    start(&next, 'b', 1, "D");
    wait_until_done(&next);
    assert_int_equal(next.code, 0);
    // The worker ended softly and was used again.
    assert_int_equal(since(STAT_workers_started_total), 0);
    assert_int_equal(since(STAT_workers_killed_total), 0);
    finish(&t);
    finish(&next);
    close_sched();
}

static void cancelling_what_hangs(void **state)
{
    (void)state;
    conf.workers_cancel = 10;
    open_sched();
    mark_counters();
    struct errand t;
    for (int i = 0; i < 3; i++) {
        start(&t, 'a', 1, "a|H");
        wait_until_gated(1);
        let_go(&t);
        cancel(&t);
        wait_until_done(&t);
        assert_int_equal(t.code, -E_CANCELLED);
        finish(&t);
    }
    // Which says nothing of the source.
    assert_int_equal(since(STAT_sources_poisoned_total), 0);
    start(&t, 'a', 1, "D");
    wait_until_done(&t);
    assert_int_equal(t.code, 0);
    finish(&t);
    close_sched();
}

// ---- poison

static void two_crashes_poison(void **state)
{
    (void)state;
    open_sched();
    mark_counters();
    struct errand t, other;
    struct work *out;
    start(&t, 'a', 1, "CC");
    wait_until_done(&t);
    assert_int_equal(t.code, -E_POISONED);
    assert_int_equal(since(STAT_sources_poisoned_total), 1);
    finish(&t);
    prepare(&t, 'a', 2, "D");
    assert_int_equal(submit(&t, &out), -E_POISONED);
    t.done = 1;
    finish(&t);
    start(&other, 'b', 1, "D");
    wait_until_done(&other);
    assert_int_equal(other.code, 0);
    finish(&other);
    close_sched();
}

static void a_hang_is_a_crash(void **state)
{
    (void)state;
    conf.workers_probe_time = 30;
    open_sched();
    mark_counters();
    struct errand t;
    start(&t, 'a', 1, "HH");
    wait_until_done(&t);
    assert_int_equal(t.code, -E_POISONED);
    assert_int_equal(since(STAT_workers_killed_total), 2);
    finish(&t);
    close_sched();
}

static void a_slow_origin_is_not_the_sources_fault(void **state)
{
    (void)state;
    conf.workers_probe_time = 30;
    open_sched();
    struct errand t;
    for (int i = 0; i < 3; i++) {
        start(&t, 'a', 1, "~aH");
        wait_until_done(&t);
        assert_int_equal(t.code, -E_ORIGIN_TIMEOUT);
        assert_string_equal(t.detail, "most of the job's time went by waiting for the origin");
        finish(&t);
    }
    close_sched();
}

// ---- the end

static void stopping_with_work_in_flight(void **state)
{
    (void)state;
    open_sched();
    struct errand t[4];
    start(&t[0], 'a', 1, "a|D");
    wait_until_gated(1);
    for (int i = 1; i < 4; i++)
        start(&t[i], (char)('a' + i), (uint32_t)i, "D");
    cancel(&t[0]);
    sched_destroy(sched);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t[i].done, 1);
        assert_true(t[i].code == -E_CANCELLED || t[i].code == -E_STOPPING || t[i].code == 0);
        finish(&t[i]);
    }
    tasks_destroy(threads);
    zygote_stop(zygote);
    source_cache_destroy(sources);
}

// Everything at once, from many threads: each job ends exactly once.

static void *visit(void *arg)
{
    const int me = *(const int *)arg;
    unsigned seed = (unsigned)me;
    static const char *const scripts[] = { "abcD",
                                           "aU",
                                           "D",
                                           "a|D",
                                           "abC"
                                           "abD",
                                           "abcdefghD" };
    for (int i = 0; i < ROUNDS; i++) {
        struct errand t;
        struct work *out;
        const int what = rand_r(&seed) % (int)countof(scripts);
        prepare(&t, (char)('a' + me), (uint32_t)me, scripts[what]);
        const bool leave = what == 3 || rand_r(&seed) % 3 == 0;
        const int rc = submit(&t, &out);
        if (out)
            out->done(out, -E_BUSY, "");
        if (rc == 0 && leave)
            cancel(&t);
        if (rc == 0)
            wait_until_done(&t);
        else
            t.done = 1;
        assert_true(rc == 0 || rc == -E_BUSY);
        lock(&world.lock);
        world.done_count = 0;
        unlock(&world.lock);
        finish(&t);
    }
    return NULL;
}

static void all_at_once(void **state)
{
    (void)state;
    conf.workers_queue = 2;
    conf.workers_poison = 0;
    conf.workers_jobs = 5;
    let_all_visit(visit);
}

#define T(f) cmocka_unit_test_setup(f, setup)
#define T_CACHE(f) cmocka_unit_test_setup(f, setup_cache)

int main(int argc, char **argv)
{
    (void)argc;
    fake_worker_main(argv, obey);
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        T(jobs_and_how_they_end),
        T(workers_wear_out),
        T(everybody_gets_a_turn),
        T(who_is_due_first_runs_first),
        T(what_is_wanted_sooner_runs_sooner),
        T(what_nobody_waits_for_leaves_a_worker),
        T(a_share_has_an_end),
        T(what_would_wait_too_long_is_refused),
        T(too_many_wait_at_the_door),
        T(pressure_comes_and_goes),
        T(pressure_is_looked_at),
        T(cancelled_jobs_cost_nothing),
        T(a_full_queue_gives_way_to_who_asks_for_less),
        T(of_equal_turns_the_last_makes_room),
        T(probes_have_a_way_of_their_own),
        T(a_slow_probe_holds_up_nobody),
        T(one_origin_leaves_a_probe_to_the_others),
        T_CACHE(no_worker_waits_for_an_origin),
        T_CACHE(cancelling_what_is_to_be_brought),
        T_CACHE(cancelling_what_is_brought),
        T_CACHE(what_cannot_be_brought_is_not_run),
        T_CACHE(what_waits_for_workers_is_bounded),
        T_CACHE(much_is_begun_early),
        T_CACHE(waiting_too_long),
        T_CACHE(the_scheduler_looks_at_its_clock),
        T(cancelling_what_runs),
        T(cancelling_what_hangs),
        T(two_crashes_poison),
        T(a_hang_is_a_crash),
        T(a_slow_origin_is_not_the_sources_fault),
        T(stopping_with_work_in_flight),
        T(all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
