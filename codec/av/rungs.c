// SPDX-License-Identifier: BSD-2-Clause
//
// rungs - makes the video segments of a job: one rendition's, or several of the same pictures,
// which are decoded once.  What each is coded as depends on nothing of the others, and who comes
// late is shown the same pictures: so company never changes the bytes.
//
// An encoder that does not keep the maxrate by itself (SVT-AV1), or of which nobody knows
// (hardware's), is watched, and has no company: its segment is
// kept back until it is whole, and made again more coarsely when it has more bits than the
// same maxrate and buffer would have let pass.

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/rung.h"

#define FRAME_MAX (1LL << 32) // number of a frame; keeps decode times in 63 bits
#define POLL_MS 20
#define COARSEST 63 // CRF of AV1
#define COARSER 6   // a step towards it
#define LEAST 16    // hardware goes down to this part of the maxrate

struct rungs {
    struct audience audience; // of the rungs, in their order, but for those turned away
    struct rung list[JOB_RUNGS_MAX];
    bool ended[JOB_RUNGS_MAX];
    int ended_count;
    // borrowed
    const struct job *job;
    struct io *io;
    const struct why *why;
    struct job_stats *stats;
};

static void add(struct rungs *all, int number, const struct video_settings *v)
{
    const int i = all->audience.count++;
    rung_init(&all->list[i], all->job, number, v, all->io, all->stats, all->why);
    all->audience.sinks[i] = &all->list[i].sink;
}

// Lets join who asks for the same pictures.
static void admit(struct audience *audience, bool room)
{
    struct rungs *const all = container_of(audience, struct rungs, audience);
    struct video_settings v;
    for (int number; (number = all->io->rungs->join(all->io, room, &v)) >= 0;)
        add(all, number, &v);
}

// ---- the end

static int finish_one(struct rungs *all, int i, int wait_ms)
{
    struct rung *const r = &all->list[i];
    const int rc = rung_send(r, wait_ms);
    if (rc < 0 || !rung_is_over(r))
        return rc;
    all->ended[i] = true;
    if (++all->ended_count < all->audience.count && !r->sink.gone)
        all->io->rungs->end(all->io, r->number);
    return 0;
}

// Waits for the first that is not over; sends what others have meanwhile.
static int finish_some(struct rungs *all, bool *over)
{
    int rc = 0;
    *over = true;
    for (int i = 0; i < all->audience.count && rc == 0; i++) {
        if (all->ended[i])
            continue;
        rc = finish_one(all, i, *over ? POLL_MS : 0);
        *over &= all->ended[i];
    }
    return rc;
}

static int finish_all(struct rungs *all)
{
    int rc = 0;
    for (bool over = false; rc == 0 && !over;) {
        rc = finish_some(all, &over);
        if (all->audience.admit)
            admit(&all->audience, false);
    }
    return rc;
}

static int make(struct rungs *all)
{
    memset(all->ended, 0, sizeof all->ended);
    all->ended_count = 0;
    const int rc = video_show(all->job, all->io, &all->audience, all->stats, all->why);
    return rc < 0 ? rc : finish_all(all);
}

// ---- what is watched

// The bits that a VBV of these settings lets pass: codec/plan.h has the rule.
static int64_t bits_allowed(const struct job *job)
{
    const struct video_settings *const v = &job->v;
    int64_t pictures = 0;
    for (int i = 0; i < job->part_count; i++)
        pictures += job->part_frames[i];
    const int64_t ticks = pictures * v->fps.den;
    const int init = v->vbv_init_permille;
    const int spent = ticks < v->fps.num ? init : init > 500 ? init - 500 : 0;
    return muldiv_floor(v->maxrate, ticks, v->fps.num) + v->bufsize * spent / 1000;
}

// False when it is as coarse as can be.
static bool coarsen(struct rung *r)
{
    if (r->v.encoder != ENCODER_SOFTWARE) {
        r->v.maxrate = r->v.maxrate * 7 / 10;
        return r->v.maxrate >= r->job->v.maxrate / LEAST;
    }
    if (r->v.crf == COARSEST)
        return false;
    r->v.crf = r->v.crf + COARSER < COARSEST ? r->v.crf + COARSER : COARSEST;
    return true;
}

// In steps that depend on nothing but what came: any worker ends at the same.
static int make_watched(struct rungs *all)
{
    struct rung *const r = &all->list[0];
    int rc = make(all);
    while (rc == 0 && (int64_t)r->kept.len * 8 > bits_allowed(all->job) && coarsen(r)) {
        rung_restart(r);
        rc = make(all);
    }
    return rc < 0 ? rc : rung_append(r, &r->kept);
}

// ---- the job

static int check_parts(const struct job *job, const struct why *why)
{
    int64_t shown = 0, parts = 0;
    if (job->first < 0 || job->first > FRAME_MAX)
        return fail_with(why, -E_PROTOCOL, "a frame number out of range");
    for (int i = 0; i < job->pick_count; i++)
        shown += job->picks[i].repeat;
    for (int i = 0; i < job->part_count; i++) {
        if (job->part_frames[i] < 1)
            return fail_with(why, -E_PROTOCOL, "an empty part");
        parts += job->part_frames[i];
    }
    if (shown != parts || shown > JOB_FRAMES_MAX)
        return fail_with(why, -E_PROTOCOL, "parts of %lld frames, picks of %lld", (long long)parts,
                         (long long)shown);
    return 0;
}

int av_video(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap)
{
    const struct why why = { detail, cap };
    const bool watched = rate_is_watched(&job->v);
    struct rungs all = { .job = job, .io = io, .why = &why, .stats = stats };
    int rc = check_parts(job, &why);
    if (rc < 0)
        return rc;
    all.audience.admit = io->rungs && !watched ? admit : NULL;
    for (int i = 0; i <= job->also_count; i++)
        add(&all, i, job_rung(job, i));
    rc = watched ? make_watched(&all) : make(&all);
    for (int i = 0; i < all.audience.count; i++)
        rung_finish(&all.list[i]);
    return rc;
}
