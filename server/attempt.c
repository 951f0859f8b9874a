// SPDX-License-Identifier: BSD-2-Clause

#include "server/attempt.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "cache/object.h"
#include "cache/source.h"
#include "server/sched.h"
#include "server/worker.h"

struct attempt {
    struct work *work;
    size_t put;   // bytes of the answer that came so far
    bool differs; // from what was put out before
};

// The scan of all of a source, or its last samples: segments that want the same come much later.
static bool passes(const struct job *job)
{
    return job->kind == JOB_PROBE && job->limits.first == 0;
}

static int64_t read_source(void *arg, int64_t offset, void *out, int64_t n)
{
    struct work *const w = ((struct attempt *)arg)->work;
    const int64_t before = clock_us();
    const int64_t got = passes(w->job) ? source_pass(w->source, offset, out, n, w->cancel)
                                       : source_read(w->source, offset, out, n, w->cancel);
    w->origin_us += clock_us() - before;
    if (got > 0 && offset + got > w->reached)
        w->reached = offset + got;
    return got;
}

static void want(void *arg, int64_t offset, int64_t n)
{
    source_want(((struct attempt *)arg)->work->source, offset, n);
}

static bool same_again(const struct object *o, size_t at, const uint8_t *bytes, size_t n)
{
    uint8_t was[4096];
    for (size_t done = 0; done < n;) {
        const size_t step = n - done < sizeof was ? n - done : sizeof was;
        if (object_read(o, at + done, was, step) != step || memcmp(was, bytes + done, step) != 0)
            return false;
        done += step;
    }
    return true;
}

static int append(void *arg, const void *bytes, size_t n)
{
    struct attempt *const a = arg;
    struct object *const o = a->work->object;
    const size_t have = object_size(o);
    const size_t old = a->put < have ? (have - a->put < n ? have - a->put : n) : 0;
    a->differs |= !same_again(o, a->put, bytes, old);
    if (a->differs)
        return -E_INTERNAL;
    if (have == 0)
        a->work->begins(a->work);
    a->put += n;
    return n > old ? object_append(o, (const uint8_t *)bytes + old, n - old) : 0;
}

static bool cancelled(void *arg)
{
    return cancel_is_set(((struct attempt *)arg)->work->cancel);
}

int attempt_run(struct worker *worker, struct work *w, int64_t limit_ms, char *detail, size_t cap)
{
    struct attempt a = { .work = w };
    const struct worker_calls calls = {
        .arg = &a, .read = read_source, .append = append, .cancelled = cancelled, .want = want
    };
    const int64_t origin_us = w->origin_us;
    const int err =
        worker_run(worker, w->job, &calls, clock_ms() + limit_ms, &w->stats, detail, cap);
    // An attempt that puts out less than the one before is as wrong as one that differs.
    if (a.differs || (err == 0 && a.put != object_size(w->object))) {
        copy_string(detail, cap, "the second run did not repeat the first");
        return -E_INTERNAL;
    }
    if (err == -E_TIMEOUT && w->origin_us - origin_us > limit_ms * 1000 / 2) {
        copy_string(detail, cap, "most of the job's time went by waiting for the origin");
        return -E_ORIGIN_TIMEOUT;
    }
    return err;
}
