// SPDX-License-Identifier: BSD-2-Clause

#include "bench/sim/sim.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/err.h"
#include "base/wanted.h"
#include "bench/sim/events.h"
#include "bench/viewers/chance.h"
#include "cache/object.h"
#include "server/sched_parts.h"

#define SECOND INT64_C(1000000)
#define SEGMENT (4 * SECOND)
#define AHEAD (30 * SECOND) // buffered at most
#define FIRST (SECOND / 2)  // to begin with
#define CALM (2 * SECOND)   // nobody leaves sooner for seeing nothing
#define MEAN_PATIENCE 17.0  // seconds on top
#define TRIES 6
#define LENGTH_MEDIAN 14.0   // seconds of a video
#define LENGTH_SIGMA 0.6     // of its logarithm
#define WATCH_SCALE 8.0      // of those who do not see all
#define SALVAGE (300 * 1000) // as workers.salvage
#define WARM_UP (60 * SECOND)

struct viewer {
    struct work work;
    struct job job;
    int64_t length, watch;   // media
    int64_t fetched, shown;  // whole, and so much that may be shown
    int64_t position, since; // at that time
    int64_t waits_since;
    uint64_t fetching, playing_epoch, waiting_epoch; // what older events were for is over
    uint32_t session;
    int tries;
    double cost; // of its media, of SIM_COST
    bool asks, plays, begun, gone;
};

static struct world {
    struct events events;
    int64_t now;
    uint64_t random;
    struct sched sched;
    struct conf conf;
    struct viewer **viewers; // all that ever came: events may name any of them
    size_t viewer_count, viewer_cap;
    double every;   // seconds between two that come, on the mean
    double pressed; // as in the order
} w;

static struct sim_result r;

// Of the first pictures.
static struct {
    int64_t *us;
    size_t count, cap;
} starts;

static void later(int64_t after, void (*happens)(void *, uint64_t), void *what, uint64_t epoch)
{
    events_add(&w.events, &(struct event){ w.now + after, happens, what, epoch, 0 });
}

static bool counts(void)
{
    return w.now >= WARM_UP;
}

static double seconds_of(int64_t us)
{
    return (double)us / 1e6;
}

// ---- a viewer's clock

static void settle(struct viewer *v)
{
    if (v->plays) {
        v->position += w.now - v->since;
        r.played += counts() ? seconds_of(w.now - v->since) : 0;
    }
    v->since = w.now;
}

static void leave(struct viewer *v);
static void consider(struct viewer *v);

static void loses_patience(void *what, uint64_t epoch)
{
    struct viewer *const v = what;
    if (epoch == v->waiting_epoch && !v->gone && !v->plays)
        leave(v);
}

static void wait(struct viewer *v)
{
    v->plays = false;
    v->waits_since = w.now;
    later(CALM + (int64_t)(chance_wait(&w.random, MEAN_PATIENCE) * 1e6), loses_patience, v,
          ++v->waiting_epoch);
}

// What there was to show has been shown, or it has seen enough.
static void plays_out(void *what, uint64_t epoch)
{
    struct viewer *const v = what;
    if (epoch != v->playing_epoch || v->gone)
        return;
    settle(v);
    if (v->position >= v->watch || v->position >= v->length) {
        leave(v);
        return;
    }
    r.stalls += counts();
    wait(v);
}

static void play_on(struct viewer *v)
{
    settle(v);
    const int64_t until = min64(min64(v->shown, v->watch), v->length);
    later(until - v->position, plays_out, v, ++v->playing_epoch);
}

static void note_start(int64_t us)
{
    starts.us = xgrow(starts.us, starts.count, &starts.cap, sizeof *starts.us);
    starts.us[starts.count++] = us;
}

// There is something to show up to that.
static void has(struct viewer *v, int64_t shown)
{
    v->shown = shown;
    if (!v->plays) {
        const int64_t waited = w.now - v->waits_since;
        if (counts() && !v->begun)
            note_start(waited);
        else if (counts())
            r.stalled += seconds_of(waited);
        v->begun = v->plays = true;
        v->since = w.now;
    }
    play_on(v);
}

// ---- the server

static void drop_object(struct viewer *v)
{
    if (!v->work.object)
        return;
    object_fail(v->work.object, E_CANCELLED, NULL);
    object_leave(v->work.object);
    object_unref(&v->work.object);
}

static void dispatch(void);

static void free_slot(struct viewer *v)
{
    v->work.slot->work = NULL;
    v->work.slot = NULL;
    w.sched.running--;
    v->asks = false;
}

static void begins_to_come(void *what, uint64_t epoch)
{
    struct viewer *const v = what;
    if (epoch == v->fetching && !v->gone)
        has(v, min64(v->fetched + SEGMENT, v->length));
}

static void is_made(void *what, uint64_t epoch)
{
    struct viewer *const v = what;
    if (epoch != v->fetching)
        return;
    r.busy += counts() ? seconds_of(v->work.cost_us) : 0;
    free_slot(v);
    v->fetched = min64(v->fetched + SEGMENT, v->length);
    v->tries = 0;
    consider(v);
    dispatch();
}

static void run(struct slot *slot, struct work *work)
{
    struct viewer *const v = container_of(work, struct viewer, work);
    sched_unqueue(&w.sched, work);
    work->slot = slot;
    slot->work = work;
    slot->since_us = w.now;
    w.sched.running++;
    later(work->cost_us * FIRST / SEGMENT, begins_to_come, v, ++v->fetching);
    later(work->cost_us, is_made, v, v->fetching);
}

static void dispatch(void)
{
    struct work *work;
    for (int i = 0; i < w.sched.slot_count; i++) {
        struct slot *const slot = &w.sched.slots[i];
        if (!slot->work && (work = sched_next_media(&w.sched, slot)))
            run(slot, work);
    }
}

static void asks_again(void *what, uint64_t epoch)
{
    struct viewer *const v = what;
    if (epoch == v->fetching && !v->gone && !v->asks)
        consider(v);
}

static void is_refused(struct viewer *v)
{
    v->asks = false;
    r.refused += counts();
    if (++v->tries == TRIES)
        leave(v);
    else
        later((1 + v->work.wait_us / SECOND) * SECOND, asks_again, v, ++v->fetching);
}

static void is_late(void *what, uint64_t epoch)
{
    struct viewer *const v = what;
    if (epoch != v->fetching || !v->asks || v->work.state != WORK_READY)
        return;
    sched_withdraw(&w.sched, &v->work);
    is_refused(v);
}

// ---- what a viewer asks for

static int64_t due(const struct viewer *v)
{
    return v->plays ? w.now + v->fetched - v->position : w.now;
}

static void order(struct viewer *v)
{
    static const struct key key;
    drop_object(v);
    v->work.object = object_create(&key, 1, NULL);
    object_join(v->work.object);
    object_want(v->work.object, due(v));
    const int64_t span = min64(SEGMENT, v->length - v->fetched);
    v->job =
        (struct job){ .kind = JOB_AUDIO, .frames = (int64_t)((double)span * SIM_COST * v->cost) };
    v->work.job = &v->job;
    v->work.client = v->session;
    v->work.span_us = 2 * span; // no sound beside it
    v->work.opens = v->fetched == 0;
    v->work.queued_us = w.now;
    v->work.wait_us = 0;
}

static void ask(struct viewer *v)
{
    struct work *out = NULL;
    v->asks = true;
    order(v);
    sched_take_turn(&w.sched, &v->work);
    int err = sched_admit(&w.sched, &v->work, w.now);
    if (err == 0)
        err = sched_make_room(&w.sched, &v->work, &out);
    if (out)
        is_refused(container_of(out, struct viewer, work));
    if (err < 0) {
        is_refused(v);
        return;
    }
    sched_enqueue(&w.sched, &v->work);
    later(w.conf.workers_queue_wait * 1000, is_late, v, ++v->fetching);
    dispatch();
}

// Asks for the next segment, now or when there is room in the buffer.
static void consider(struct viewer *v)
{
    if (v->asks || v->gone || v->fetched >= v->length)
        return;
    settle(v);
    const int64_t full = v->fetched - v->position - AHEAD;
    if (full < 0)
        ask(v);
    else
        later(full + 1, asks_again, v, ++v->fetching);
}

// ---- coming and going

static void stop_work(struct viewer *v)
{
    if (!v->work.slot) {
        sched_withdraw(&w.sched, &v->work);
        v->asks = false;
        return;
    }
    const int64_t spent = w.now - v->work.slot->since_us;
    if (v->work.cost_us - spent < SALVAGE)
        return; // is_made will see it
    r.busy += counts() ? seconds_of(spent) : 0;
    r.vain += counts() ? seconds_of(spent) : 0;
    v->fetching++;
    free_slot(v);
    dispatch();
}

static void leave(struct viewer *v)
{
    settle(v);
    v->gone = true;
    v->plays = false;
    r.without += counts() && !v->begun;
    if (v->asks)
        stop_work(v);
}

static double length_of_video(void)
{
    const double u = chance_unit(&w.random), t = chance_unit(&w.random);
    const double normal = sqrt(-2 * log1p(-u)) * cos(6.283185307179586 * t);
    return LENGTH_MEDIAN * exp(LENGTH_SIGMA * normal);
}

static bool is_pressed(void)
{
    sched_press(&w.sched, sched_wait_of_newcomer(&w.sched, w.now), w.now);
    return w.sched.pressure.on;
}

static void comes(void *what, uint64_t epoch)
{
    (void)what, (void)epoch;
    struct viewer *const v = xcalloc(1, sizeof *v);
    v->length = (int64_t)(length_of_video() * 1e6) + FIRST;
    v->watch = (int64_t)(chance_watch(&w.random, WATCH_SCALE) * 1e6) + 1;
    v->session = (uint32_t)w.viewer_count;
    const bool pressed = is_pressed();
    v->cost = pressed ? w.pressed : 1;
    w.viewers = xgrow(w.viewers, w.viewer_count, &w.viewer_cap, sizeof(*w.viewers));
    w.viewers[w.viewer_count++] = v;
    r.visits += counts();
    r.pressed += counts() && pressed;
    wait(v);
    consider(v);
    later((int64_t)(chance_wait(&w.random, w.every) * 1e6), comes, NULL, 0);
}

// Seconds that somebody watches, on the mean.
static double mean_watched(void)
{
    const int n = 200000;
    double sum = 0;
    w.random = 7;
    for (int i = 0; i < n; i++) {
        const double length = length_of_video(), watch = chance_watch(&w.random, WATCH_SCALE);
        sum += length < watch ? length : watch;
    }
    return sum / n;
}

static void free_viewer(struct viewer *v)
{
    drop_object(v);
    free(v);
}

// ---- one run

static void open_world(const struct sim_order *order)
{
    const int workers = order->workers;
    w = (struct world){ .now = 0 };
    r = (struct sim_result){ .capacity = workers / SIM_COST * order->seconds };
    starts.count = 0;
    w.conf = (struct conf){ .workers_count = workers,
                            .workers_queue = workers > 8 ? 32 * workers : 256,
                            .workers_queue_wait = 20000,
                            .workers_patience = order->patience_ms,
                            .pressure_wait = 2000,
                            .pressure_ease = 15000,
                            .origin_count = 1 };
    w.every = mean_watched() * SIM_COST / (order->load * workers);
    w.pressed = order->pressed;
    w.random = 1;
    struct sched *const s = &w.sched;
    s->conf = &w.conf;
    s->slots = xcalloc((size_t)workers, sizeof *s->slots);
    s->slot_count = workers;
    pthread_cond_init(&s->more, NULL);
    pthread_cond_init(&s->tick, NULL);
    list_init(&s->media.works);
    list_init(&s->probes.works);
    // What a job takes is known, and no estimate: a microsecond for a unit.
    forecast_learn(&s->forecast, &(struct job){ .kind = JOB_AUDIO, .frames = 1000 }, 1000);
}

static void close_world(void)
{
    for (size_t i = 0; i < w.viewer_count; i++)
        free_viewer(w.viewers[i]);
    free(w.viewers);
    events_finish(&w.events);
    free(w.sched.slots);
    pthread_cond_destroy(&w.sched.more);
    pthread_cond_destroy(&w.sched.tick);
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double start_quantile(double q)
{
    return starts.count ? seconds_of(starts.us[(size_t)(q * (double)(starts.count - 1))]) : 0;
}

struct sim_result sim_run(const struct sim_order *order)
{
    struct event e;
    open_world(order);
    later(0, comes, NULL, 0);
    while (events_next(&w.events, &e) && e.at_us < WARM_UP + (int64_t)(order->seconds * 1e6)) {
        w.now = e.at_us;
        e.happens(e.what, e.epoch);
    }
    qsort(starts.us, starts.count, sizeof *starts.us, by_size);
    r.start_median = start_quantile(0.5);
    r.start_99 = start_quantile(0.99);
    close_world();
    return r;
}
