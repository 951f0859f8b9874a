// SPDX-License-Identifier: BSD-2-Clause
//
// sched - gives jobs to workers.  One thread drives one worker process.  Those of
// conf->workers_count never probe and those of conf->workers_probes do nothing else:
// a playlist does not wait for encodes, a source that is slow to probe holds up
// neither encodes nor, while there is another worker for probes, other playlists.
//
// A worker is not for waiting: before a piece of work gets one, the bytes that its job
// reads are brought into the source cache, by the threads that wait for its origin.
// An origin that does not answer keeps those busy, never more than three in four of
// them, and no worker.  What is brought and waits for a worker is bounded, for each
// origin, by its share of half the source cache.  Of a job that reads more than
// conf->origin_read_max the rest is left to its worker if there is another one idle.
// (Nobody knows beforehand what a probe reads.)
//
// Who is next: what viewers wait for, then what they will ask for next, then what is
// warmed (base/wanted.h); of these the work that is due first.  When that is, the readers
// of its object say.  But every client gets a fair share: a viewer's work is due no sooner
// than the media of the client's work before it lasts, in time of the clock, at most
// SCHED_LEAD_US later than wanted.  So who fills his buffer waits for who has nothing to
// show, and a client with one job in the queue not for another with a hundred.  Nor is it
// kept out: work that meets a full queue pushes out the one that is due last, unless that
// is its own.  What nobody waits for leaves one worker, if there are several, to viewers.
//
// Work that has waited for conf->workers_queue_wait is refused then, and work that would
// is refused at once, by what jobs like those before it took (server/forecast.h): nobody
// waits for what will not come, and who may try elsewhere does it in time.  So is, where
// conf->workers_patience says so, the work for somebody who begins to watch when it would
// wait longer than that, or when because of it others would have theirs later than they want
// it: too many viewers make some wait at the door, and not all stand still.  (What the same
// client waits for does not count.)  A probe for somebody who begins to watch is refused when
// what follows would be.
//
// Where the wait of who comes passes conf->pressure_wait, the workers are under pressure, until it
// was short for conf->pressure_ease (server/pressure.h): here that changes nothing.
//
// Works that make renditions of the same pictures share one decode: those that are queued when one
// of them gets a worker, and those that come while that still has the first pictures.  Where such
// a run fails, each is run alone.
//
// A job whose worker dies is run again on a fresh worker (once, if the job may be to
// blame); the bytes that were already put out must come again, or the work fails.
// A source that brings two workers down (a crash or the watchdog, never a SIGKILL,
// our own cancel or a slow origin) is refused for conf->workers_poison.

#ifndef SERVER_SCHED_H
#define SERVER_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/tasks.h"
#include "cache/origin.h"
#include "codec/job.h"

struct conf;
struct object;
struct sched;
struct source;
struct zygote;

// One piece of work, embedded by its owner, who keeps everything borrowed here
// alive until done was called.
struct work {
    // filled in by the owner
    const struct job *job;
    struct source *source; // read from
    struct object *object; // appended to; ended by the owner
    struct cancel *cancel; // set by us too, in what waits too long for its bytes
    struct tasks *threads; // which may wait for its origin; not used by probes
    struct key version;    // of the source, for the refusal of poison
    int origin;            // its number in conf->origins
    uint32_t client;       // hash of who asked first
    int64_t span_us;       // of the media that it makes; 0 where it makes none
    bool opens;            // somebody begins to watch with it
    size_t expected;       // bytes of the answer, at most or so; 0 when nobody knows
    // Called before the first byte is appended, from the driver's thread.
    void (*begins)(struct work *w);
    // Called once, from a driver's thread, one of threads, from sched_cancel's caller
    // or by the caller of sched_submit, with no lock held.  code: 0 or a negative enum
    // err.
    void (*done)(struct work *w, int code, const char *detail);

    // filled in by the scheduler, to be read in begins and done
    struct job_stats stats;
    int64_t queued_us, started_us; // monotonic; started_us is 0 if it never ran
    int64_t ends_us;               // likewise, by what jobs like it took; 0: nobody knows
    int64_t cost_us;               // that a worker will be busy with it; 0: nobody knows
    int64_t bring_us;              // of that time, spent waiting for the source
    int64_t origin_us;             // and since it started
    int64_t wait_us;               // that it would wait for a worker, when it was refused for that
    _Atomic int64_t reached;       // offset behind the furthest byte of the source that was read

    // private
    struct list link;
    struct task task;
    struct sched *sched;
    enum work_state { WORK_OUT, WORK_COLD, WORK_BRINGING, WORK_READY } state;
    int64_t bytes;    // that are brought before it runs, about
    bool late;        // while it is brought
    int64_t turn;     // when it is due, with its class: see base/wanted.h
    int64_t share_us; // that its client was charged for it
    bool alone;       // it failed in company: it is run without
    struct slot *slot;
};

#define SCHED_LEAD_US 10000000
#define SCHED_PART_MEMORY (320 * MIB) // of an encoder of 1080p, and its share of what is decoded

// Starts the drivers and their workers.  NULL and one line in why on failure.
struct sched *sched_create(const struct conf *conf, struct zygote *zygote, char *why, size_t cap);

// Fails what is queued, waits for what runs (cancel it first), ends the workers.
// NULL is fine.
void sched_destroy(struct sched *s);

// Queues w.  0, or -E_BUSY when the queue is full, -E_POISONED, -E_STOPPING: then done
// is not called.  -E_BUSY too when it would wait too long; w->wait_us is how long.  *out: NULL, or
// work that had to make room for w, whose done the caller is to call with -E_BUSY once it holds no
// lock.
int sched_submit(struct sched *s, struct work *w, struct work **out);

// To be called after w's cancel token was set: takes w off the queue, or tells its
// worker.  done is called in either case (by now or soon).  Nothing happens to a
// w that is done already; the caller guarantees only that its memory is alive.
void sched_cancel(struct sched *s, struct work *w);

// To be called when o, which may be what some work makes, is wanted sooner: that is due then.
void sched_hurry(struct sched *s, const struct object *o);

// False, and one line in why, while workers cannot be started; that is tried again
// every few seconds, wanted or not.  Any thread.
bool sched_ready(struct sched *s, char *why, size_t cap);

// Refuses w unless it has a worker: done is called, by now or soon, with -E_BUSY, or
// -E_ORIGIN_TIMEOUT when it is its bytes that it waits for.  Likewise nothing happens
// to a w that is done.
void sched_refuse(struct sched *s, struct work *w);

// Refuses what has waited too long at the monotonic time now_us, as the scheduler's own
// thread does with its clock; returns when to look again.
int64_t sched_expire(struct sched *s, int64_t now_us);

// Looks at the pressure at the monotonic time now_us, as that thread does too, and tells the log
// when it has changed; returns when to look again, at most until_us.
int64_t sched_ease(struct sched *s, int64_t now_us, int64_t until_us);

// Whether the workers are under pressure.
bool sched_is_pressed(struct sched *s);

// A probe that runs now.
struct sched_probe {
    char source[256];      // its path, cut off where it is longer
    int64_t reached, size; // how far the source was read; a scan goes through all of it
    int64_t us;            // since it started
};

// For status: at most max of the probes that run; how many.
int sched_probes(struct sched *s, struct sched_probe *out, int max);

// For status.
int sched_workers(struct sched *s);
int sched_queued(struct sched *s);
// Workers that would have nothing to do now, not counting those for probes.
int sched_idle(struct sched *s);
// How long a viewer's work that came now would wait for a worker, about; 0: nobody knows.
int64_t sched_wait_us(struct sched *s);
// Bytes of memory that the workers have for themselves now.  Reads /proc.
int64_t sched_memory(struct sched *s);

#endif
