// SPDX-License-Identifier: BSD-2-Clause
//
// sched_parts - what the files of the scheduler share.  Only sched*.c and bench/sim
// include this.
//
//   sched.c         life, what others ask for, status
//   sched_queue.c   the queues: whose turn it is, what may be brought
//   sched_admit.c   what would come too late
//   sched_bring.c   bringing the bytes that a job will read
//   sched_drive.c   drivers and their workers
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

#include "cache/source.h"
#include "config/conf.h"
#include "server/forecast.h"
#include "server/poison.h"
#include "server/pressure.h"
#include "server/worker.h"

#define CLIENT_BUCKETS 65536 // clients that fall together share a share

// One driver and its worker.
struct slot {
    struct sched *sched;
    pthread_t thread;
    bool probes; // takes probes, and nothing else
    int jobs;    // run by this worker; driver only

    // protected by sched.lock; the worker itself is run by the driver alone
    struct worker *worker;
    const struct work *work; // that it runs; NULL while it has none
    int64_t since_us;        // of that
    struct key left_of;      // the source version of the decoder that its worker has left
    struct job_stats left;   // where
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
