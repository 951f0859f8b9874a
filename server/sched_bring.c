// SPDX-License-Identifier: BSD-2-Clause

#include "server/sched_parts.h"

#include "base/err.h"
#include "codec/plan.h"

// Workers that nothing is ready for.
static int spare(const struct sched *s)
{
    return s->conf->workers_count - s->running - s->media.ready;
}

// Work whose bytes are here, or the first of them while there are workers to spare:
// then one may wait for the rest, but not the last one.  False: neither, or nobody
// wants it any more; sched_cancel leaves it to us to see that.
static bool end_bringing(struct sched *s, struct work *w, bool all)
{
    lock(&s->lock);
    const bool wanted = !s->stopping && !cancel_is_set(w->cancel);
    const bool ready = wanted && (all || spare(s) > 1);
    if (ready) {
        s->feeds[w->origin].bringing--;
        if (!sched_join(s, w))
            sched_become_ready(s, w);
        sched_feed(s, w->origin);
    }
    unlock(&s->lock);
    return ready;
}

static void fail_bringing(struct sched *s, struct work *w, int err)
{
    lock(&s->lock);
    if (w->late)
        err = -E_ORIGIN_TIMEOUT;
    s->feeds[w->origin].bringing--;
    sched_withdraw(s, w);
    pthread_cond_broadcast(&s->more); // for sched_destroy
    unlock(&s->lock);
    w->done(w, err, err_sentence(err));
}

// Reads what the worker will read, in its order; that is one read of the origin for
// each stretch that is missing.  On one of w->threads.
void sched_bring(struct task *t)
{
    struct work *const w = container_of(t, struct work, task);
    struct sched *const s = w->sched;
    const int64_t start = clock_us();
    int64_t offset, n, brought = 0;
    plan_job_range(w->job, &offset, &n);
    if (n > 0)
        source_want(w->source, offset, n < s->bring_max ? n : s->bring_max);
    for (int i = 0; i < w->job->sample_count && brought < s->bring_max; i++) {
        const struct sample *const p = &w->job->samples[i];
        const int err = source_bring(w->source, p->offset, p->size, w->cancel);
        w->bring_us = clock_us() - start;
        if (err < 0) {
            fail_bringing(s, w, err);
            return;
        }
        brought += p->size;
        // What the first read brought is not all used up by then.
        if (brought >= s->conf->origin_read_max / 2 && end_bringing(s, w, false))
            return; // it may be gone
    }
    if (!end_bringing(s, w, true))
        fail_bringing(s, w, cancel_is_set(w->cancel) ? -E_CANCELLED : -E_STOPPING);
}

// About how many bytes that reads: what lies between the samples comes along, as far
// as one read reaches.
int64_t sched_bytes_to_bring(const struct sched *s, const struct job *job)
{
    int64_t offset, span, sum = 0;
    plan_job_range(job, &offset, &span);
    for (int i = 0; i < job->sample_count; i++)
        sum += job->samples[i].size;
    const int64_t around = sum + s->conf->origin_read_max;
    const int64_t n = span == 0 ? sum : around < span ? around : span;
    return n < s->bring_max ? n : s->bring_max;
}
