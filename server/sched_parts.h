// SPDX-License-Identifier: BSD-2-Clause
//
// sched_parts - what the files of the scheduler share.  Only sched*.c and bench/sim
// include this.
//
//   sched.c         life, what others ask for, status
//   sched_queue.c   the queues: whose turn it is, what may be brought
//   sched_admit.c   what would come too late
//   sched_bring.c   bringing the bytes that a job will read
//   sched_team.c    who shares a run of a worker with others
//   sched_drive.c   drivers and their workers
//   sched_run.c     one run of a worker
//   sched_late.c    what waits too long
//   sched_press.c   whether that is too much for the workers
//
// The way of a work: cold, bringing (its bytes), ready, out of the queue (with a
// worker, or done).  What has no bytes to bring begins as ready.
//
// Locks: sched.lock guards the queues, the works in them, the slots' current work and
// worker pointers, and the poison list.  Nothing blocks under it; done is called
// outside it.  Order: sched.lock, then that of a task queue.

#ifndef SERVER_SCHED_PARTS_H
#define SERVER_SCHED_PARTS_H

#include "server/sched.h"

#include <pthread.h>
#include <stdatomic.h>

#include "cache/source.h"
#include "config/conf.h"
#include "server/forecast.h"
#include "server/poison.h"
#include "server/pressure.h"
#include "server/worker.h"

#define CLIENT_BUCKETS 65536 // clients that fall together share a share

// The works that one run of a worker makes side by side, of the same pictures; nearly always one.
struct team {
    // changed under sched.lock; only the driver takes a work out again, and may look without
    struct work *works[JOB_RUNGS_MAX]; // by their rungs; NULL: over, or given back
    atomic_int count;
    bool closed; // nobody may join

    struct cancel cancel; // nobody wants any of it

    // the driver's alone
    const struct job *job; // that the worker runs
    struct job copy;       // it, of a video job
    struct source *source;
    int begun;                   // of the works, that are told of with the job
    int told;                    // of them, to the worker
    int taken;                   // of them, by it
    size_t put[JOB_RUNGS_MAX];   // bytes of their answers that came so far
    bool dropped[JOB_RUNGS_MAX]; // the worker was told that nobody wants it
    bool differs;                // something from what was put out before
    int64_t origin_us;           // spent waiting for the source
    struct job_stats stats;
};

// One driver and its worker.
struct slot {
    struct sched *sched;
    pthread_t thread;
    bool probes; // takes probes, and nothing else
    int jobs;    // run by this worker; driver only

    // protected by sched.lock; the worker itself is run by the driver alone
    struct worker *worker;
    struct team team;
    const struct work *work; // the first of those that it runs; NULL while it has none
    int64_t since_us;        // of that, or of what it ran last
    struct job_stats left;   // what it said last: of the decoders that its worker has left
};

struct queue {
    struct list works; // in order of arrival
    int count, ready;
};

// What is brought of one origin.
struct feed {
    int bringing; // works
    int64_t held; // bytes of works that are bringing or ready
};

struct sched {
    // constant after create
    const struct conf *conf;
    struct zygote *zygote;
    struct slot *slots;
    int slot_count;
    pthread_t clock;   // refuses what waits too long
    bool ticks;        // it was started
    int64_t bring_max; // bytes for one work
    int64_t held_max;  // for all of an origin, but one may always be brought

    // protected by lock
    pthread_mutex_t lock;
    pthread_cond_t more; // there is something to do, perhaps
    pthread_cond_t tick; // the scheduler stops, or the pressure has changed
    struct queue media, probes;
    struct feed feeds[CONF_ORIGINS];
    int running;                      // works of the media queue that have a worker
    int probing;                      // works of the probe queue that have one
    int probing_at[CONF_ORIGINS];     // of each origin
    int64_t next_due[CLIENT_BUCKETS]; // of each client: behind what it has asked for
    struct poison poison;
    struct forecast forecast;
    int64_t opening_us; // that the first pictures of who begins to watch keep a worker busy, about
    struct pressure pressure;
    bool pressure_told; // in the log: as it was then
    bool stopping;
    char trouble[256]; // why the last worker could not be started; "" if it could
};

// ---- sched_queue.c; the lock is held

struct queue *sched_queue_of(struct sched *s, const struct work *w);

typedef bool filter(const void *arg, const struct work *w);

// Of those that may, and of equal turns, the one that came first; NULL: there is none.
// (Who is due first has the first turn.)
struct work *sched_first_turn(const struct queue *q, filter *may, const void *arg);

// The one of the media queue that this worker takes now; NULL: there is none, or but what an idle
// one takes, which can go on where it ended.
struct work *sched_next_media(const struct sched *s, const struct slot *slot);

// Of those that are not being brought, and of equal turns, the one that came last.
struct work *sched_last_turn(const struct queue *q);

// Sets the turn of w, which is new.
void sched_take_turn(struct sched *s, struct work *w);

void sched_become_ready(struct sched *s, struct work *w);

// Starts to bring what may be brought of an origin.
void sched_feed(struct sched *s, int origin);

void sched_enqueue(struct sched *s, struct work *w);

// Puts w back, which had a worker.
void sched_requeue(struct sched *s, struct work *w);

// Takes w off, for a worker or for good.
void sched_unqueue(struct sched *s, struct work *w);

// Unqueues work that will not run: its client gets the turn back.
void sched_withdraw(struct sched *s, struct work *w);

// Withdraws what nobody has in hand; false: somebody has.  What is brought looks at its
// token itself.
bool sched_take_off(struct sched *s, struct work *w);

// Finds room for w, whose turn is set: 0 and perhaps *out, or -E_BUSY.
int sched_make_room(struct sched *s, const struct work *w, struct work **out);

// ---- sched_admit.c; the lock is held

// Whether w, whose turn is set, would have a worker in time, from now_us on: 0 or -E_BUSY.  Sets
// what it costs and, if it is refused, how long it would wait.
int sched_admit(struct sched *s, struct work *w, int64_t now_us);

// How long a viewer's work that came now and said nothing of itself would wait for a worker.
int64_t sched_wait_of_newcomer(const struct sched *s, int64_t now_us);

// ---- sched_bring.c

// A task, of a work's own.  Blocks.
void sched_bring(struct task *t);

// About how many bytes that reads: what lies between the samples comes along, as far
// as one read reaches.
int64_t sched_bytes_to_bring(const struct sched *s, const struct job *job);

// ---- sched_team.c

// The first of the team; NULL: there is none (any more).  sched.lock is held, or it is the driver
// who asks.
struct work *team_first(const struct team *t);

// Those of the queue that may run together with the one work of the slot's team join it.  The lock
// is held.
void sched_gather(struct sched *s, struct slot *slot);

// Whether others may share a run with this work.
bool sched_shares(const struct work *w);

// Whether w, which is new or ready, has joined a run: it is off the queue then, and the run's
// driver calls done.  The lock is held.
bool sched_join(struct sched *s, struct work *w);

// The driver's: puts that work of its team into the queue again, where somebody wants it still.
void sched_give_back(struct slot *slot, int rung);

// The driver's: takes a work out of its team and calls done.
void sched_end(struct slot *slot, int rung, int err, const char *detail);

// Sees to it that the run ends where nobody wants any of it.  The lock is held.
void sched_stop_unwanted(struct slot *slot);

// ---- sched_run.c

// Runs what the slot's team makes on its worker, for at most limit_ms milliseconds each: reads the
// source and appends to the objects what is not there yet; calls begins of each work before its
// first byte, and ends those that are over before the others.  Adds to their origin_us, sets the
// team's stats.  Blocks.  0, or as worker_run says, and
//   -E_INTERNAL        it did not repeat what was put out before;
//   -E_ORIGIN_TIMEOUT  instead of -E_TIMEOUT, when the origin had most of the time.
// One line for people in detail.  The driver's thread.
int sched_run(struct slot *slot, int64_t limit_ms, char *detail, size_t cap);

// ---- sched_drive.c

// Bytes that a worker of this slot may have.
int64_t sched_worker_memory(const struct slot *slot);

// A driver's thread: arg is its slot.
void *sched_drive(void *arg);

// ---- sched_late.c

// A thread that refuses what waits too long, and sees the pressure end: arg is the scheduler.
void *sched_tick(void *arg);

// ---- sched_press.c

// To be called with the lock held where who comes would wait for wait_us.
void sched_press(struct sched *s, int64_t wait_us, int64_t now_us);

#endif
