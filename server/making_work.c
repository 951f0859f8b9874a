// SPDX-License-Identifier: BSD-2-Clause
//
// Orders for workers, and what becomes of their answers.

#include "server/making_steps.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/source.h"
#include "codec/hls.h"
#include "server/assets.h"
#include "server/verify.h"

#define BACK_MAX 64 // sync samples we go back when decoding does not get clean

bool making_is_right(const struct making *m)
{
    size_t n;
    const uint8_t *const bytes = object_made(m->object, &n);
    if (m->probe)
        return verify_index(bytes, n, source_version(m->source)->size);
    return m->route.kind == ROUTE_SEGMENT
               ? verify_segment(m->plan, m->rendition, m->route.n, bytes, n)
               : n > 0;
}

// Of what its playlist promises.
void making_check_bandwidth(const struct making *m, int64_t bandwidth)
{
    const int64_t us = hls_segment_us(m->plan, m->rendition, m->route.n);
    size_t n;
    object_made(m->object, &n);
    if (verify_bandwidth(bandwidth, us, n))
        return;
    stat_add(STAT_bandwidth_exceeded_total, 1);
    log_warn("plan", "%s %s segment %d: above its BANDWIDTH of %" PRId64, m->route.asset,
             m->rendition->name, m->route.n, bandwidth);
}

static void count_work(const struct making *m)
{
    static const enum stat_id counters[JOB_KINDS] = {
        [JOB_PROBE] = STAT_probes_total,        [JOB_INIT] = STAT_inits_total,
        [JOB_VIDEO] = STAT_encodes_video_total, [JOB_AUDIO] = STAT_encodes_audio_total,
        [JOB_TEXT] = STAT_texts_total,          [JOB_SHEET] = STAT_encodes_sheets_total,
    };
    stat_add(counters[m->job.kind], 1);
    stat_add(STAT_frames_decoded_total, m->work.stats.frames_decoded);
    stat_add(STAT_frames_encoded_total, m->work.stats.frames_encoded);
    stat_add(STAT_first_pictures_us_total, m->work.stats.first_us);
    stat_add(STAT_decoders_resumed_total, m->work.stats.resumed);
}

// What the work took so far; all but its bytes was queueing if it never ran.
static void take_times(struct making *m, const struct work *w)
{
    const int64_t now = clock_us();
    const int64_t started = w->started_us ? w->started_us : now;
    m->marks[MARK_QUEUE_US] = started - w->queued_us - w->bring_us;
    m->marks[MARK_ORIGIN_US] = m->locate_us + w->bring_us + w->origin_us;
    m->marks[MARK_WORK_US] = now - started - w->origin_us;
    m->marks[MARK_ENDS_US] = w->ends_us;
}

// Tells the readers: their answers begin with that.
static void tell_times(struct work *w)
{
    struct making *const m = container_of(w, struct making, work);
    take_times(m, w);
    object_set_marks(m->object, m->marks);
}

// When decoding did not get clean: plans once more, from further back.  False: not so, or in
// vain.
static bool goes_back(struct making *m, int code)
{
    if (code != -E_SEEK || m->probe || m->back >= BACK_MAX || object_size(m->object) > 0)
        return false;
    m->back = m->back ? m->back * 2 : 1;
    job_finish(&m->job);
    making_enqueue(m);
    return true;
}

// What the readers are told of a worker's end.
static int judge(const struct making *m, int code, const char **detail)
{
    if (code == -E_SEEK) {
        *detail = "the source cannot be decoded cleanly there, from however far back";
        return -E_CORRUPT;
    }
    if (code < 0 || making_is_right(m))
        return code;
    *detail = "the worker's answer does not hold what was ordered";
    return -E_WORKER;
}

static void work_failed(struct making *m, int code, const char *detail)
{
    if (code != -E_CANCELLED) {
        log_warn("make", "%s: %s (%s)", m->route.asset, err_sentence(code), detail);
        stat_add(STAT_jobs_failed_total, 1);
    }
    take_times(m, &m->work);
    making_done(m, code, detail);
}

static void work_done(struct work *w, int code, const char *detail)
{
    struct making *const m = container_of(w, struct making, work);
    lock(&m->lock);
    m->parked = PARKED_NOT;
    unlock(&m->lock);
    if (goes_back(m, code))
        return;
    code = judge(m, code, &detail);
    if (code < 0) {
        work_failed(m, code, detail);
        return;
    }
    tell_times(w); // for those who waited for the whole
    count_work(m);
    if (m->route.kind == ROUTE_SEGMENT && !m->probe)
        making_check_bandwidth(m, m->rendition->bandwidth);
    making_done_made(m);
}

// Of the media that is made; 0 where none is.
static int64_t span_us(const struct making *m)
{
    return m->probe || m->route.kind != ROUTE_SEGMENT
               ? 0
               : hls_segment_us(m->plan, m->rendition, m->route.n);
}

size_t making_expected(const struct making *m)
{
    const int64_t us = span_us(m);
    return us > 0 ? (size_t)muldiv_ceil(m->rendition->bandwidth, us, 8000000) : 0;
}

// Whether it is made for somebody who will play the beginning.
static bool enters(const struct making *m)
{
    return !m->all && (m->route.kind == ROUTE_MASTER || m->route.kind == ROUTE_MANIFEST);
}

static bool is_for_viewer(const struct making *m)
{
    return wanted_by_viewer(object_wanted(m->object));
}

// Who enters a video that nobody knows yet may be turned away at once, but not where he may find
// there what no worker has to make.
static bool begins_to_enter(const struct making *m)
{
    return enters(m) && !m->edge->conf->media_passthrough;
}

static bool begins_to_watch(const struct making *m)
{
    const bool played = m->job.kind == JOB_VIDEO || m->job.kind == JOB_AUDIO;
    return m->probe ? begins_to_enter(m)
                    : played && m->route.kind == ROUTE_SEGMENT && m->route.n == 0;
}

// Once: from then on the deadline may look at it at any time.
static void describe_work(struct making *m)
{
    m->work = (struct work){
        .job = &m->job,
        .source = m->source,
        .object = m->object,
        .cancel = &m->cancel,
        .threads = m->edge->open[m->origin],
        .version = m->version,
        .origin = m->origin,
        .client = m->client,
        .span_us = span_us(m),
        .opens = is_for_viewer(m) && begins_to_watch(m),
        .expected = making_expected(m),
        .begins = tell_times,
        .done = work_done,
    };
}

// It would wait too long: its readers hear of it now, and when to come again.
static enum step_end refuse(struct making *m)
{
    char detail[80];
    const int64_t limit_us = m->edge->conf->workers_queue_wait * 1000;
    const int64_t late_us = m->work.opens ? m->work.wait_us : m->work.wait_us - limit_us;
    m->marks[MARK_RETRY_S] = 1 + late_us / 1000000;
    snprintf(detail, sizeof detail, "it would wait %lld ms for a worker",
             (long long)m->work.wait_us / 1000);
    return making_done(m, -E_BUSY, detail);
}

static enum step_end submit(struct making *m)
{
    if (m->back == 0)
        describe_work(m);
    making_mark(m, FROM_MAKE);
    int err = -E_CANCELLED;
    struct work *out = NULL;
    lock(&m->lock);
    if (!cancel_is_set(&m->cancel)) {
        m->parked = PARKED_WORK;
        err = sched_submit(m->edge->sched, &m->work, &out);
        if (err < 0)
            m->parked = PARKED_NOT;
    }
    unlock(&m->lock);
    if (out)
        out->done(out, -E_BUSY, "others, who ask for less, came first");
    if (err == -E_BUSY && m->work.wait_us > 0)
        return refuse(m);
    return err < 0 ? making_done(m, err, NULL) : STEP_PARK;
}

static struct job_limits limits_of(const struct conf *conf)
{
    return (struct job_limits){
        .pixels = conf->media_pixels,
        .streams = conf->media_streams,
        .probe_bytes = conf->workers_probe_bytes,
        .duration_ms = conf->media_duration,
    };
}

static bool is_far(const struct making *m)
{
    return m->edge->conf->origins[m->origin].http;
}

enum step_end making_step_probe(struct making *m)
{
    const struct conf *const conf = m->edge->conf;
    job_init(&m->job);
    m->job.kind = JOB_PROBE;
    m->job.limits = limits_of(conf);
    m->job.limits.first = m->all ? 0 : conf->workers_first;
    m->job.limits.begin_ms = enters(m) && is_far(m) ? conf->media_segment : 0;
    m->job.source_size = source_version(m->source)->size;
    return submit(m);
}

// As many encoders as there are idle workers, each of which stands for a core, and
// memory for them.  What nobody waits for takes one.
static int parts_at_once(const struct making *m)
{
    const struct conf *const conf = m->edge->conf;
    if (!is_for_viewer(m))
        return 1;
    const int idle = sched_idle(m->edge->sched);
    const int64_t fit = conf->workers_memory / SCHED_PART_MEMORY;
    const int most = conf->workers_parts ? conf->workers_parts : fit < idle ? (int)fit : idle;
    return most < 1 ? 1 : most < JOB_PARTS_MAX ? most : JOB_PARTS_MAX;
}

enum step_end making_order_media(struct making *m)
{
    const struct asset *const a = m->asset;
    const int err =
        m->route.kind == ROUTE_INIT
            ? plan_init_job(m->plan, m->rendition, a->media, &m->job)
            : plan_segment_job(m->plan, m->rendition, a->media, m->route.n, m->back, &m->job);
    if (err < 0)
        return making_done(m, err, NULL);
    m->job.limits = limits_of(m->edge->conf);
    m->job.source_size = a->media->size;
    m->job.parts_at_once = parts_at_once(m);
    m->job.source = m->version;
    if (m->want != WANT_CHECK)
        return submit(m);
    return making_done_checked(m);
}

// Of a file all is read: it is small, and its cues may stand in any order.
enum step_end making_order_file(struct making *m)
{
    const int err =
        plan_segment_job(m->plan, m->rendition, m->asset->media, m->route.n, 0, &m->job);
    if (err < 0)
        return making_done(m, err, NULL);
    const int64_t size = source_version(m->file)->size;
    m->job.limits = limits_of(m->edge->conf);
    m->job.source_size = size;
    if (size > 0) {
        m->job.samples = xcalloc(1, sizeof *m->job.samples);
        m->job.samples[m->job.sample_count++] = (struct sample){ .size = (uint32_t)size };
    }
    // It is the file that the worker reads, and that may bring it down.
    source_close(&m->source);
    m->source = source_ref(m->file);
    m->version = m->rendition->file.version;
    if (m->want != WANT_CHECK)
        return submit(m);
    return making_done_checked(m);
}
