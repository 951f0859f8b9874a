// SPDX-License-Identifier: BSD-2-Clause
//
// Life: a making has one reference of its own, given back by end(), which also
// ends the object.  The abandon hook may run beside everything else until the
// object has ended, and end() waits for it; but the hook itself may be what leads
// to end(), so it holds a reference while it runs.
//
// Parking: `parked` says where, under making.lock.  A step sets it before it
// registers itself and touches the making no more once registered; the hook sets
// the cancel token first and looks at `parked` then, so that one of the two
// always sees the other.  Lock order: making.lock, then store, object, sched, tasks.
//
// The deadline is over the waiting, not over the work: until a worker has it, a
// making that is late ends like one that is abandoned, wherever it waits, but for its
// readers, who hear of it.  It has a reference too, until it is removed or has passed.

#include "server/making.h"

#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/object.h"
#include "cache/source.h"
#include "cache/spill.h"
#include "cache/store.h"
#include "cache/tier.h"
#include "codec/clip.h"
#include "codec/copy.h"
#include "codec/dash.h"
#include "codec/hls.h"
#include "codec/stills.h"
#include "codec/ts.h"
#include "server/assets.h"
#include "server/copier.h"
#include "server/deadlines.h"
#include "server/edge.h"
#include "server/encrypting.h"
#include "server/gzip.h"
#include "server/muxing.h"
#include "server/page.h"
#include "server/records.h"
#include "server/sched.h"
#include "server/sidecars.h"
#include "server/tasks.h"
#include "server/verify.h"

#define PART_MEMORY (320 * MIB) // of 1080p, with its share of the decoder's pictures
#define BACK_MAX 64             // sync samples we go back when decoding does not get clean

enum step_end {
    STEP_NEXT, // go on with the next step
    STEP_PARK, // somebody will put the making back on a queue; it must not be touched
    STEP_DONE, // end() was called; it is gone
};

enum parked { PARKED_NOT, PARKED_QUEUE, PARKED_OBJECT, PARKED_WORK };

struct making;

// Which threads a step runs on, by what it may have to wait for.
enum where { ON_LOOKUP, ON_OPEN, ON_PLAN };

struct step {
    enum step_end (*run)(struct making *m);
    enum where where;
    const char *waits_for; // its turn, and then what
};

struct making {
    struct task task; // on a queue of task threads
    struct deadline deadline;
    atomic_int refs;
    atomic_bool late; // cancelled by its deadline

    // constant after start
    struct edge *edge;
    struct route route;
    enum want want;
    char after[PAGE_AFTER_MAX];
    uint32_t client;
    bool probe; // makes an index, not the route's answer
    const struct step *steps;
    int origin;                        // its number, -1 for none
    char source_path[ROUTE_ASSET_MAX]; // the asset's without a clip's suffix
    const char *path;                  // at the origin; points into that
    struct object *object;             // being made; our reference
    struct cancel cancel;

    // of the thread that runs it now
    int at; // the step
    struct source *source;
    struct key version;   // of the source
    struct key view;      // of the asset: the source's, or that of a clip of it
    struct object *index; // open while we wait for it
    struct asset *asset;
    struct job job;
    struct work work;
    const struct plan *plan;           // asset's, or old
    struct plan *old;                  // of a recipe that the settings would not make any more,
                                       // or asset's with what lies beside the source
    struct source *file;               // of subtitles
    const struct rendition *rendition; // in plan
    struct ts_rendition ts;            // of MPEG-TS: rendition is its lead
    int64_t ts_bandwidth;              // that it promises, if the present settings made it
    struct encrypted encrypted;        // what it is a view of; of the method NONE: of nothing
    struct encryption encryption;      // of the asset, then
    struct ingredients *ingredients;
    int back;
    int64_t locate_us; // spent on finding the source
    int64_t marks[4];

    pthread_mutex_t lock;
    enum parked parked;       // protected by lock
    struct tasks *queue;      // where it is parked, or was; likewise
    struct object *waits_for; // where it is parked, or was; likewise
    struct object_waiter waiter;
};

// How many there are, in the whole process.
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t count_zero = PTHREAD_COND_INITIALIZER;
static int count;

static bool count_up(int max)
{
    lock(&count_lock);
    const bool ok = count < max;
    count += ok;
    unlock(&count_lock);
    return ok;
}

static void count_down(void)
{
    lock(&count_lock);
    if (--count == 0)
        pthread_cond_broadcast(&count_zero);
    unlock(&count_lock);
}

static struct tasks *threads_for(const struct making *m, enum where where)
{
    if (cancel_is_set(&m->cancel)) // it only has to end, and waits for nobody there
        return m->edge->plan;
    if (where == ON_LOOKUP)
        return m->edge->lookup;
    return where == ON_OPEN && m->origin >= 0 ? m->edge->open[m->origin] : m->edge->plan;
}

static void enqueue(struct making *m)
{
    lock(&m->lock);
    m->parked = PARKED_QUEUE;
    m->queue = threads_for(m, m->steps[m->at].where);
    tasks_add(m->queue, &m->task);
    unlock(&m->lock);
}

// ---- the end

static void making_unref(struct making *m)
{
    if (atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&m->lock);
    object_unref(&m->object);
    free(m);
    count_down();
}

// Failures that asking again soon will not mend.
static bool is_lasting(int code)
{
    switch (code < 0 ? -code : code) {
    case E_NOT_FOUND:
    case E_UNSUPPORTED:
    case E_CORRUPT:
    case E_LIMITS:
    case E_POISONED:
        return true;
    default:
        return false;
    }
}

static int64_t expiry(const struct making *m)
{
    if (m->probe || (route_is_immutable(&m->route) && m->want != WANT_CHECK))
        return STORE_FOREVER;
    return clock_ms() + (m->route.kind == ROUTE_ROOT ? 1000 : m->edge->conf->http_entry_age);
}

// Not what is encrypted: the lower tiers have what it is made of.
static bool is_for_tiers(const struct making *m)
{
    return expiry(m) == STORE_FOREVER && (m->probe || !encrypting_covers(m->edge, &m->route));
}

static void end(struct making *m, int code, const char *detail)
{
    struct edge *const e = m->edge;
    char late[100];
    if (deadlines_remove(e->deadlines, &m->deadline))
        making_unref(m); // not the last one
    if (code == -E_CANCELLED && atomic_load(&m->late)) {
        snprintf(late, sizeof late, "waited %lld ms, for %s at last",
                 (long long)e->conf->http_answer_wait, m->steps[m->at].waits_for);
        code = -E_TIMEOUT;
        detail = late;
        stat_add(STAT_jobs_refused_total, 1);
    }
    if (code == 0) {
        store_commit(e->store, m->object, expiry(m));
    } else {
        const int64_t now = clock_ms();
        const int64_t forget = is_lasting(code) ? now + e->conf->cache_negative : now;
        if (code == -E_CANCELLED)
            stat_add(STAT_jobs_cancelled_total, 1);
        object_set_marks(m->object, m->marks);
        store_fail(e->store, m->object, code, detail, forget);
    }
    if (m->index)
        store_close(e->store, &m->index);
    ingredients_close(e, &m->ingredients);
    asset_unref(e->assets, &m->asset);
    source_close(&m->source);
    source_close(&m->file);
    job_finish(&m->job);
    if (m->old)
        plan_finish(m->old);
    free(m->old);
    making_unref(m);
}

static enum step_end done(struct making *m, int code, const char *detail)
{
    end(m, code, detail);
    return STEP_DONE;
}

static void mark(struct making *m, enum reply_source source)
{
    m->marks[MARK_SOURCE] = source;
    object_set_marks(m->object, m->marks);
}

// The body could be made, or is there.
static void end_checked(struct making *m)
{
    mark(m, FROM_NOWHERE);
    end(m, 0, NULL);
}

// Ends well, and offers the bytes to the lower tiers.
static void end_made(struct making *m)
{
    struct object *o = object_ref(m->object);
    struct spill *const spill = is_for_tiers(m) ? m->edge->spill : NULL;
    end(m, 0, NULL);
    if (spill)
        spill_offer(spill, o);
    object_unref(&o);
}

// ---- the lower tiers

static bool acceptable(const struct making *m, const struct buf *body)
{
    return m->probe ? verify_index(body->data, body->len, source_version(m->source)->size)
                    : verify_stored(&m->route, body->data, body->len);
}

static bool ask_tier(struct making *m, struct tier *t, const struct key *key, struct buf *body)
{
    if (t->get(t, key, body) < 0)
        return false;
    if (acceptable(m, body))
        return true;
    stat_add(STAT_cache_corrupt_total, 1);
    log_warn("make", "%s: what %s holds cannot be used and is removed", m->route.asset, t->name);
    t->drop(t, key);
    return false;
}

// The tier that had the body, or FROM_NOWHERE.
static enum reply_source ask_tiers(struct making *m, const struct key *key, struct buf *body)
{
    for (int i = 0; i < m->edge->tier_count; i++) {
        if (!ask_tier(m, m->edge->tiers[i], key, body))
            continue;
        const bool disk = strcmp(m->edge->tiers[i]->name, "disk") == 0;
        stat_add(disk ? STAT_cache_hits_disk_total : STAT_cache_hits_redis_total, 1);
        return disk ? FROM_DISK : FROM_REDIS;
    }
    stat_add(STAT_cache_misses_total, 1);
    return FROM_NOWHERE;
}

static void take_body(struct making *m, const struct buf *body, enum reply_source from)
{
    mark(m, from);
    const int err = object_append(m->object, body->data, body->len);
    if (err == 0 && from == FROM_REDIS)
        end_made(m); // a nearer tier wants it too
    else
        end(m, err, NULL);
}

static enum step_end step_lower(struct making *m)
{
    const bool check = m->want == WANT_CHECK;
    if (m->edge->tier_count == 0 || (!is_for_tiers(m) && !check))
        return STEP_NEXT;
    struct buf body;
    buf_init(&body, (size_t)m->edge->conf->cache_object);
    const struct key real = making_key(m->edge, &m->route, WANT_BODY, "");
    const enum reply_source from = ask_tiers(m, check ? &real : object_key(m->object), &body);
    if (from != FROM_NOWHERE && check)
        end_checked(m);
    else if (from != FROM_NOWHERE)
        take_body(m, &body, from);
    buf_finish(&body);
    return from != FROM_NOWHERE ? STEP_DONE : STEP_NEXT;
}

// ---- the source and its index

static struct key version_key(const struct making *m)
{
    const struct origin_version *const v = source_version(m->source);
    return key_of_text("asset 1\n%s\n%s\n%" PRId64 "\n", m->source_path, v->validator, v->size);
}

static struct key view_key(const struct making *m)
{
    char hex[KEY_HEX];
    if (m->route.clip.to == 0)
        return m->version;
    return key_of_text("clip 1\n%s\n%" PRId64 " %" PRId64 "\n", key_hex(&m->version, hex),
                       m->route.clip.from, m->route.clip.to);
}

static enum step_end step_locate(struct making *m)
{
    if (m->origin < 0)
        return done(m, -E_NOT_FOUND, "no origin is configured for this path");
    struct edge *const e = m->edge;
    const int64_t before = clock_us();
    const int err =
        source_open(e->sources, e->origins[m->origin], m->path, clock_ms(), &m->cancel, &m->source);
    m->marks[MARK_ORIGIN_US] = m->locate_us = clock_us() - before;
    if (err < 0)
        return done(m, err, NULL);
    m->version = version_key(m);
    m->view = view_key(m);
    return STEP_NEXT;
}

static struct key index_key(const struct key *version)
{
    char hex[KEY_HEX];
    return key_of_text("index 1\n%s\n", key_hex(version, hex));
}

static void start_probe(const struct making *parent, struct object *o);

// Parks until o changes; false when it has more bytes already, or has ended.
static bool park_on(struct making *m, struct object *o, size_t have)
{
    lock(&m->lock);
    m->waits_for = o;
    const bool parked = !cancel_is_set(&m->cancel) && object_wait(o, &m->waiter, have);
    if (parked)
        m->parked = PARKED_OBJECT;
    unlock(&m->lock);
    return parked;
}

static int take_index(struct making *m)
{
    size_t n;
    const uint8_t *const bytes = object_bytes(m->index, &n);
    struct media *media = NULL;
    struct plan plan;
    int err = 0;
    // Many wait for one index: who comes first unpacks it.
    m->asset = assets_find(m->edge->assets, &m->view);
    if (m->asset)
        return 0;
    err = media_unpack(bytes, n, &media);
    if (err == 0 && m->route.clip.to > 0)
        err = clip_media(media, &m->route.clip);
    if (err == 0)
        err = plan_make(&plan, m->edge->conf, media, m->route.asset,
                        source_version(m->source)->validator, m->edge->headers);
    if (err == 0)
        return assets_add(m->edge->assets, &m->view, media, &plan, &m->asset);
    media_destroy(media);
    return err;
}

// What it waited for did, and so does it.
static enum step_end other_failed(struct making *m, const struct object *o)
{
    object_marks(o, m->marks);
    m->marks[MARK_ORIGIN_US] += m->locate_us;
    return done(m, -object_error(o), object_error_detail(o));
}

static enum step_end step_index(struct making *m)
{
    struct edge *const e = m->edge;
    if (!m->index) {
        m->asset = assets_find(e->assets, &m->view);
        if (m->asset)
            return STEP_NEXT;
        const struct key key = index_key(&m->version);
        if (store_open(e->store, &key, clock_ms(), &m->index) == STORE_MAKE)
            start_probe(m, m->index);
    }
    while (object_state(m->index) == OBJECT_MAKING) {
        if (cancel_is_set(&m->cancel))
            return done(m, -E_CANCELLED, NULL);
        if (park_on(m, m->index, object_size(m->index)))
            return STEP_PARK;
    }
    if (object_state(m->index) == OBJECT_FAILED)
        return other_failed(m, m->index);
    const int err = take_index(m);
    store_close(e->store, &m->index);
    if (err == -E_BUSY || err == -E_LIMITS)
        return done(m, err, "there is no room for the source's index (cache.indexes)");
    if (err == -E_NOT_FOUND)
        return done(m, err, "nothing of the source lies in this clip");
    return err < 0 ? done(m, err, "the index cannot be used") : STEP_NEXT;
}

static void object_changed(struct object_waiter *w)
{
    struct making *const m = container_of(w, struct making, waiter);
    enqueue(m);
}

// ---- text

static enum step_end finish_text(struct making *m, struct buf *text)
{
    struct buf packed;
    buf_init(&packed, text->max);
    int err = buf_error(text);
    if (err == 0 && m->want == WANT_GZIP)
        err = gzip_pack(text, &packed);
    const struct buf *const body = m->want == WANT_GZIP ? &packed : text;
    mark(m, FROM_MAKE);
    if (err == 0)
        err = object_append(m->object, body->data, body->len);
    buf_finish(&packed);
    buf_finish(text);
    if (err < 0)
        return done(m, err, NULL);
    end_made(m);
    return STEP_DONE;
}

// shown: what players see of the asset's plan.
static void print_master_ts(struct making *m, const struct plan *shown, struct buf *text)
{
    struct ts_rendition list[PLAN_RENDITIONS];
    const int n = ts_plan(&m->asset->plan, list);
    if (m->edge->encrypts)
        encryption_show_ts(&m->encryption, list, n);
    hls_master_ts(text, shown, list, n);
}

static void print_entry(struct making *m, const struct plan *shown, struct buf *text)
{
    if (m->route.kind == ROUTE_STORYBOARD)
        stills_webvtt(text, shown, plan_find(shown, "storyboard"));
    else if (m->route.kind == ROUTE_MANIFEST)
        dash_manifest(text, shown, m->edge->encrypts ? &m->encryption : NULL);
    else if (m->route.format == FORMAT_TS)
        print_master_ts(m, shown, text);
    else
        hls_master(text, shown);
}

static void print_media(const struct making *m, struct buf *text)
{
    const struct encryption *const by =
        m->encrypted.method == ENCRYPTION_NONE ? NULL : &m->encryption;
    if (ts_lead(&m->ts)->name[0])
        hls_media_ts(text, m->plan, m->rendition, by);
    else
        hls_media(text, m->plan, m->rendition, by);
}

// Turns the plan, all of whose records are kept, into what players see of it.  NULL, or why
// they see nothing.
static const char *show(struct making *m, struct plan *shown)
{
    if (m->route.kind == ROUTE_STORYBOARD && !plan_find(shown, "storyboard"))
        return "the asset has no pictures";
    const bool ts = m->route.kind == ROUTE_MASTER && m->route.format == FORMAT_TS;
    if (ts && records_keep_ts(m->edge, shown) == 0)
        return "the asset has no rendition in H.264, or AAC alone";
    if (!m->edge->encrypts || m->route.kind == ROUTE_STORYBOARD)
        return NULL;
    m->encryption = encryption_of(m->edge->conf, m->route.asset);
    records_keep_encrypted(m->edge, &m->encryption, shown);
    if (m->encryption.method == ENCRYPTION_CBCS && ts)
        return "MPEG-TS is not to be had with the encryption cbcs";
    if (m->encryption.method == ENCRYPTION_AES_128 && m->route.kind == ROUTE_MANIFEST)
        return "DASH is not to be had with the encryption aes-128";
    return encryption_show(&m->encryption, shown) < 0
               ? "the asset has nothing that can be encrypted so"
               : NULL;
}

static enum step_end print_playlist(struct making *m)
{
    struct buf text;
    buf_init(&text, (size_t)m->edge->conf->cache_object);
    print_media(m, &text);
    return finish_text(m, &text);
}

static enum step_end print_entry_point(struct making *m)
{
    struct buf text;
    struct plan *const shown = xmalloc(sizeof *shown);
    *shown = m->old ? *m->old : m->asset->plan;
    records_keep(m->edge, shown, m->route.asset, source_version(m->source)->validator);
    const char *const nothing = show(m, shown);
    if (!nothing) {
        buf_init(&text, (size_t)m->edge->conf->cache_object);
        print_entry(m, shown, &text);
    }
    free(shown);
    return nothing ? done(m, -E_NOT_FOUND, nothing) : finish_text(m, &text);
}

// The key is a secret: it is kept where it was derived, and only as long as an entry point.
static enum step_end give_key(struct making *m)
{
    if (m->encrypted.method == ENCRYPTION_NONE || *m->edge->conf->encryption_key_url)
        return done(m, -E_NOT_FOUND, "its key is not to be had here");
    mark(m, FROM_MAKE);
    const struct key *const key = &m->encryption.key;
    const int err = object_append(m->object, key->b, sizeof key->b);
    end(m, err, NULL);
    return STEP_DONE;
}

static enum step_end step_list(struct making *m)
{
    struct buf text;
    buf_init(&text, (size_t)m->edge->conf->cache_object);
    const int err = page_list(m->edge, m->after, &text);
    if (err == 0)
        return finish_text(m, &text);
    buf_finish(&text);
    return done(m, err, NULL);
}

// ---- media

static bool work_is_right(const struct making *m)
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
static void check_bandwidth(const struct making *m, int64_t bandwidth)
{
    const int64_t us = hls_segment_us(m->plan, m->rendition, m->route.n);
    if (verify_bandwidth(bandwidth, us, object_size(m->object)))
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
}

// What the work took so far; all but its bytes was queueing if it never ran.
static void take_times(struct making *m, const struct work *w)
{
    const int64_t now = clock_us();
    const int64_t started = w->started_us ? w->started_us : now;
    m->marks[MARK_QUEUE_US] = started - w->queued_us - w->bring_us;
    m->marks[MARK_ORIGIN_US] = m->locate_us + w->bring_us + w->origin_us;
    m->marks[MARK_WORK_US] = now - started - w->origin_us;
}

// Tells the readers: their answers begin with that.
static void tell_times(struct work *w)
{
    struct making *const m = container_of(w, struct making, work);
    take_times(m, w);
    object_set_marks(m->object, m->marks);
}

static void work_done(struct work *w, int code, const char *detail)
{
    struct making *const m = container_of(w, struct making, work);
    lock(&m->lock);
    m->parked = PARKED_NOT;
    unlock(&m->lock);

    const bool again = code == -E_SEEK && !m->probe && m->back < BACK_MAX;
    if (again && object_size(m->object) == 0) {
        m->back = m->back ? m->back * 2 : 1;
        job_finish(&m->job);
        enqueue(m); // plans again, from further back
        return;
    }
    if (code == 0 && !work_is_right(m)) {
        code = -E_WORKER;
        detail = "the worker's answer does not hold what was ordered";
    }
    if (code == -E_SEEK) {
        code = -E_CORRUPT;
        detail = "the source cannot be decoded cleanly there, from however far back";
    }
    if (code < 0) {
        if (code != -E_CANCELLED) {
            log_warn("make", "%s: %s (%s)", m->route.asset, err_sentence(code), detail);
            stat_add(STAT_jobs_failed_total, 1);
        }
        take_times(m, w);
        end(m, code, detail);
        return;
    }
    tell_times(w); // for those who waited for the whole
    count_work(m);
    if (m->route.kind == ROUTE_SEGMENT && !m->probe)
        check_bandwidth(m, m->rendition->bandwidth);
    end_made(m);
}

// Bytes of a segment, by what its playlist promises.
static size_t expected(const struct making *m)
{
    if (m->probe || m->route.kind != ROUTE_SEGMENT)
        return 0;
    const int64_t us = hls_segment_us(m->plan, m->rendition, m->route.n);
    return (size_t)muldiv_ceil(m->rendition->bandwidth, us, 8000000);
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
        .expected = expected(m),
        .begins = tell_times,
        .done = work_done,
    };
}

static enum step_end submit(struct making *m)
{
    if (m->back == 0)
        describe_work(m);
    mark(m, FROM_MAKE);
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
    return err < 0 ? done(m, err, NULL) : STEP_PARK;
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

static enum step_end step_probe(struct making *m)
{
    job_init(&m->job);
    m->job.kind = JOB_PROBE;
    m->job.limits = limits_of(m->edge->conf);
    m->job.source_size = source_version(m->source)->size;
    return submit(m);
}

// As many encoders as there are idle workers, each of which stands for a core, and
// memory for them.
static int parts_at_once(const struct making *m)
{
    const struct conf *const conf = m->edge->conf;
    const int idle = sched_idle(m->edge->sched);
    const int64_t fit = conf->workers_memory / PART_MEMORY;
    const int most = conf->workers_parts ? conf->workers_parts : fit < idle ? (int)fit : idle;
    return most < 1 ? 1 : most < JOB_PARTS_MAX ? most : JOB_PARTS_MAX;
}

static enum step_end order_media(struct making *m)
{
    const struct asset *const a = m->asset;
    const int err =
        m->route.kind == ROUTE_INIT
            ? plan_init_job(m->plan, m->rendition, a->media, &m->job)
            : plan_segment_job(m->plan, m->rendition, a->media, m->route.n, m->back, &m->job);
    if (err < 0)
        return done(m, err, NULL);
    m->job.limits = limits_of(m->edge->conf);
    m->job.source_size = a->media->size;
    m->job.parts_at_once = parts_at_once(m);
    if (m->want != WANT_CHECK)
        return submit(m);
    end_checked(m);
    return STEP_DONE;
}

// Of a file all is read: it is small, and its cues may stand in any order.
static enum step_end order_file(struct making *m)
{
    const int err =
        plan_segment_job(m->plan, m->rendition, m->asset->media, m->route.n, 0, &m->job);
    if (err < 0)
        return done(m, err, NULL);
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
    end_checked(m);
    return STEP_DONE;
}

// ---- copies: media without a worker

static enum step_end step_copy(struct making *m)
{
    // It waits no more, but for what reads have a limit for.
    if (deadlines_remove(m->edge->deadlines, &m->deadline))
        making_unref(m);
    mark(m, FROM_MAKE);
    int err = copier_run(&(struct copier){ .plan = m->plan,
                                           .rendition = m->rendition,
                                           .media = m->asset->media,
                                           .k = m->route.n,
                                           .source = m->source,
                                           .object = m->object,
                                           .cancel = &m->cancel,
                                           .marks = m->marks });
    if (err == 0 && !work_is_right(m))
        err = -E_INTERNAL;
    if (err < 0) {
        if (err != -E_CANCELLED)
            log_warn("make", "%s source segment %d: %s", m->route.asset, m->route.n,
                     err_sentence(err));
        return done(m, err, err == -E_CORRUPT ? "its samples are not what its index says" : NULL);
    }
    stat_add(STAT_copies_video_total, 1);
    check_bandwidth(m, m->rendition->bandwidth);
    end_made(m);
    return STEP_DONE;
}

static const struct step copy_steps[] = { { step_copy, ON_OPEN, "the source" } };

static enum step_end make_copied_init(struct making *m)
{
    struct buf init;
    buf_init(&init, (size_t)m->edge->conf->cache_object);
    mark(m, FROM_MAKE);
    int err = copy_init(m->plan, m->rendition, m->asset->media, &init);
    if (err == 0)
        err = object_append(m->object, init.data, init.len);
    buf_finish(&init);
    if (err < 0)
        return done(m, err, "the headers of the source cannot be used");
    end_made(m);
    return STEP_DONE;
}

static enum step_end order_copy(struct making *m)
{
    if (m->route.kind == ROUTE_SEGMENT && m->route.n >= m->plan->table.count)
        return done(m, -E_NOT_FOUND, NULL);
    if (m->want == WANT_CHECK) {
        end_checked(m);
        return STEP_DONE;
    }
    if (m->route.kind == ROUTE_INIT)
        return make_copied_init(m);
    m->steps = copy_steps;
    m->at = -1; // the next is the first of these
    return STEP_NEXT;
}

// ---- made of others

// From here on it waits for nothing that has no deadline of its own.
static enum step_end await_ingredients(struct making *m)
{
    if (deadlines_remove(m->edge->deadlines, &m->deadline))
        making_unref(m);
    return STEP_NEXT;
}

// A poster is a copy of a sheet with one picture: that one's name says all there is to say of
// its bytes, so it is kept in all tiers, and made once however often the poster expires.
static enum step_end order_poster(struct making *m)
{
    m->plan = &m->asset->plan;
    m->rendition = plan_find(m->plan, "poster");
    if (!m->rendition)
        return done(m, -E_NOT_FOUND, "the asset has no pictures");
    if (m->want == WANT_CHECK) {
        end_checked(m);
        return STEP_DONE;
    }
    struct route sheet = m->route;
    sheet.kind = ROUTE_SEGMENT;
    sheet.recipe = m->rendition->recipe;
    copy_string(sheet.rendition, sizeof sheet.rendition, m->rendition->name);
    sheet.inside = true;
    sheet.n = stills_poster(&m->plan->table, m->rendition, m->route.n);
    m->ingredients = ingredients_open(m->edge, &sheet, 1, m->client);
    return await_ingredients(m);
}

// Of other segments: as many bytes, or a little more.
static enum step_end order_ingredients(struct making *m)
{
    if (m->route.n >= plan_segments(m->plan, m->rendition))
        return done(m, -E_NOT_FOUND, NULL);
    if (m->want == WANT_CHECK) {
        end_checked(m);
        return STEP_DONE;
    }
    const int err = object_expect(m->object, expected(m));
    if (err < 0)
        return done(m, err, NULL);
    m->ingredients = m->encrypted.method != ENCRYPTION_NONE
                         ? encrypting_open(m->edge, &m->route, &m->encrypted, m->client)
                         : muxing_open(m->edge, &m->route, &m->ts, m->client);
    return await_ingredients(m);
}

// Tells the readers, before the first bytes, how long the last ingredient took.
static void tell_ingredients(struct making *m)
{
    if (ingredients_marks(m->ingredients, m->marks))
        m->marks[MARK_ORIGIN_US] += m->locate_us;
    mark(m, FROM_MAKE);
}

// Puts out what can be muxed or encrypted by now.
static int write_more(struct making *m)
{
    struct buf body;
    buf_init(&body, (size_t)m->edge->conf->cache_object);
    const size_t had = object_size(m->object);
    int err = m->encrypted.method != ENCRYPTION_NONE
                  ? encrypting_write(m->ingredients, &m->route, &m->encryption, &body)
                  : muxing_write(m->ingredients, &m->ts, m->route.n, &body);
    if (err == 0 && body.len > had) {
        if (had == 0)
            tell_ingredients(m);
        err = object_append(m->object, body.data + had, body.len - had);
    }
    buf_finish(&body);
    return err == -E_CORRUPT ? -E_INTERNAL : err;
}

static enum step_end end_muxed(struct making *m)
{
    size_t n;
    const uint8_t *const bytes = object_made(m->object, &n);
    if (!ts_check(bytes, n, m->route.n))
        return done(m, -E_INTERNAL, "what was muxed is no MPEG-TS");
    stat_add(STAT_muxes_total, 1);
    if (m->ts_bandwidth > 0)
        check_bandwidth(m, m->ts_bandwidth);
    end_made(m);
    return STEP_DONE;
}

static enum step_end end_encrypted(struct making *m)
{
    if (m->route.kind == ROUTE_SEGMENT)
        stat_add(STAT_encryptions_total, 1);
    end_made(m);
    return STEP_DONE;
}

static int copy_more(struct making *m)
{
    size_t n;
    if (ingredients_next(m->ingredients) == 0)
        return 0;
    const uint8_t *const bytes = object_bytes(m->ingredients->list[0], &n);
    tell_ingredients(m);
    return object_append(m->object, bytes, n);
}

static int put_more(struct making *m)
{
    return m->route.kind == ROUTE_POSTER ? copy_more(m) : write_more(m);
}

static enum step_end end_of_ingredients(struct making *m)
{
    if (m->encrypted.method != ENCRYPTION_NONE)
        return end_encrypted(m);
    if (m->route.kind != ROUTE_POSTER)
        return end_muxed(m);
    end_made(m);
    return STEP_DONE;
}

// All but the last ingredient must be whole; that one is used as it comes.
static enum step_end step_combine(struct making *m)
{
    const struct ingredients *const i = m->ingredients;
    for (;;) {
        const int next = ingredients_next(i);
        struct object *const o = next < i->count ? i->list[next] : NULL;
        if (o && object_state(o) == OBJECT_FAILED)
            return other_failed(m, o);
        const size_t have = o ? object_size(o) : 0;
        const int err = next >= i->count - 1 ? put_more(m) : 0;
        if (err < 0)
            return done(m, err, "what it is made of cannot be used");
        if (!o)
            return end_of_ingredients(m);
        if (cancel_is_set(&m->cancel))
            return done(m, -E_CANCELLED, NULL);
        if (park_on(m, o, have))
            return STEP_PARK;
    }
}

// ---- what a URL names

// Whether that rendition has what the URL's last part asks for, or it is muxed from that.
static bool has(const struct rendition *r, const struct route *route)
{
    const enum route_format format = r->kind == RENDITION_TEXT ? FORMAT_VTT
                                     : plan_is_sheets(r)       ? FORMAT_JPG
                                                               : FORMAT_M4S;
    if (route->kind == ROUTE_SEGMENT)
        return format == (route->format == FORMAT_TS ? FORMAT_M4S : route->format);
    return route->kind == ROUTE_INIT ? format == FORMAT_M4S : r->kind != RENDITION_POSTER;
}

// The rendition of that name: its recipe has to be right too.
static const struct rendition *named(const struct making *m, const struct plan *p,
                                     const struct key *recipe)
{
    const struct rendition *const r = plan_find(p, m->route.rendition);
    return r && key_equal(&r->recipe, recipe) && has(r, &m->route) ? r : NULL;
}

// A plan of its own, empty.
static struct plan *fresh_plan(struct making *m)
{
    if (m->old)
        plan_finish(m->old);
    else
        m->old = xcalloc(1, sizeof *m->old);
    return m->old;
}

// Sets plan and rendition, by the present settings or by the recipe's record.
static bool resolve(struct making *m, const struct key *recipe)
{
    m->plan = &m->asset->plan;
    m->rendition = named(m, m->plan, recipe);
    if (m->rendition)
        return true;
    m->plan = fresh_plan(m);
    if (records_find(m->edge, recipe, m->route.asset, source_version(m->source)->validator,
                     m->asset->media, m->old) < 0)
        return false;
    m->rendition = named(m, m->plan, recipe);
    return m->rendition != NULL;
}

// As resolve, of the two that it is muxed from, the lead.
static bool resolve_ts(struct making *m, const struct key *recipe)
{
    m->ts_bandwidth = ts_find(&m->asset->plan, recipe, &m->ts);
    if (m->ts_bandwidth == 0 && records_find_ts(m->edge, recipe, &m->ts) < 0)
        return false;
    const struct ts_source *const lead = ts_lead(&m->ts);
    return strcmp(lead->name, m->route.rendition) == 0 && resolve(m, &lead->recipe);
}

// As resolve, of what it is a view of.
static bool resolve_encrypted(struct making *m)
{
    struct encrypted *const v = &m->encrypted;
    if (!encrypting_find(m->edge, &m->route, &m->asset->plan, &m->encryption, v)) {
        *v = (struct encrypted){ 0 };
        return false;
    }
    if (!v->ts)
        return m->route.format != FORMAT_TS && resolve(m, &v->clear);
    const bool leaf = m->route.kind == ROUTE_PLAYLIST || m->route.kind == ROUTE_KEY;
    return (leaf || m->route.format == FORMAT_TS) && resolve_ts(m, &v->clear);
}

static bool resolve_clear(struct making *m)
{
    if (m->route.format == FORMAT_TS)
        return resolve_ts(m, &m->route.recipe);
    return resolve(m, &m->route.recipe) ||
           (m->route.kind == ROUTE_PLAYLIST && resolve_ts(m, &m->route.recipe));
}

// Where encryption is on, nobody outside gets at what is clear, but for pictures and texts.
static bool resolve_any(struct making *m)
{
    if (!m->edge->encrypts || m->route.inside)
        return resolve_clear(m);
    return resolve_encrypted(m) ||
           (resolve(m, &m->route.recipe) && !encryption_covers(m->rendition->kind));
}

static bool is_of_text(const struct route *r)
{
    return !route_is_entry(r) && strncmp(r->rendition, "subs-", 5) == 0;
}

// Adds to the asset's plan what lies beside its source.
static void look_beside(struct making *m)
{
    plan_copy(fresh_plan(m), &m->asset->plan);
    if (m->route.clip.to > 0) // their times are those of the whole source
        return;
    sidecars_add(m->edge, m->origin, m->path, &m->cancel, m->route.asset,
                 source_version(m->source)->validator, m->old);
}

// As resolve; a recipe whose record is lost may be that of what lies beside the source now.
static bool resolve_text(struct making *m)
{
    if (resolve(m, &m->route.recipe))
        return true;
    look_beside(m);
    m->rendition = named(m, m->old, &m->route.recipe);
    return m->rendition != NULL;
}

// Only for entries and subtitles: others have nothing to do with such files.
static enum step_end step_beside(struct making *m)
{
    if (!is_of_text(&m->route)) {
        look_beside(m);
        return STEP_NEXT;
    }
    if (!resolve_text(m))
        return done(m, -E_NOT_FOUND, "the asset has no such subtitles (any more)");
    if (!m->rendition->t.file || m->route.kind != ROUTE_SEGMENT)
        return STEP_NEXT;
    const int err = sidecars_open(m->edge, m->origin, m->path, &m->cancel, m->rendition, &m->file);
    return err < 0 ? done(m, err, "the file of subtitles") : STEP_NEXT;
}

static bool is_combined(const struct making *m)
{
    return m->route.format == FORMAT_TS || m->encrypted.method != ENCRYPTION_NONE;
}

static enum step_end step_produce(struct making *m)
{
    // A second time comes after -E_SEEK: the rendition is known then.
    if (!route_is_entry(&m->route) && !m->rendition && !resolve_any(m))
        return done(m, -E_NOT_FOUND, "the asset has no such rendition (any more)");
    switch (m->route.kind) {
    case ROUTE_MASTER:
    case ROUTE_MANIFEST:
    case ROUTE_STORYBOARD:
        return print_entry_point(m);
    case ROUTE_PLAYLIST:
        return print_playlist(m);
    case ROUTE_POSTER:
        return order_poster(m);
    case ROUTE_KEY:
        return give_key(m);
    default:
        return is_combined(m)                           ? order_ingredients(m)
               : m->file                                ? order_file(m)
               : m->rendition->kind == RENDITION_SOURCE ? order_copy(m)
                                                        : order_media(m);
    }
}

// ---- running

static const struct step route_steps[] = {
    { step_lower, ON_LOOKUP, "the lower tiers" },
    { step_locate, ON_OPEN, "the origin" },
    { step_index, ON_PLAN, "the index" },
    { step_produce, ON_PLAN, "a worker" },
    { step_combine, ON_PLAN, "what it is made of" },
};
static const struct step text_steps[] = {
    { step_lower, ON_LOOKUP, "the lower tiers" }, { step_locate, ON_OPEN, "the origin" },
    { step_index, ON_PLAN, "the index" },         { step_beside, ON_OPEN, "the origin" },
    { step_produce, ON_PLAN, "a worker" },        { step_combine, ON_PLAN, "what it is made of" },
};
static const struct step list_steps[] = { { step_list, ON_PLAN, "the listing" } };
static const struct step probe_steps[] = {
    { step_lower, ON_LOOKUP, "the lower tiers" },
    { step_probe, ON_PLAN, "a worker" },
};

static void run(struct task *t)
{
    struct making *const m = container_of(t, struct making, task);
    lock(&m->lock);
    m->parked = PARKED_NOT;
    unlock(&m->lock);
    for (;;) {
        const enum where where = m->steps[m->at].where;
        if (cancel_is_set(&m->cancel)) {
            end(m, -E_CANCELLED, NULL);
            return;
        }
        if (m->steps[m->at].run(m) != STEP_NEXT)
            return;
        m->at++;
        if (m->steps[m->at].where != where) {
            enqueue(m);
            return;
        }
    }
}

// Its cancel token is set: ends it where it waits.  The caller has a reference.
static void stop(struct making *m)
{
    lock(&m->lock);
    const enum parked parked = m->parked;
    const bool woken = (parked == PARKED_OBJECT && object_unwait(m->waits_for, &m->waiter)) ||
                       (parked == PARKED_QUEUE && tasks_take_back(m->queue, &m->task));
    if (woken)
        m->parked = PARKED_NOT;
    unlock(&m->lock);
    if (woken)
        enqueue(m);
    else if (parked == PARKED_WORK)
        sched_cancel(m->edge->sched, &m->work);
}

// The last reader left, on its thread.
static void abandoned(void *arg)
{
    struct making *const m = arg;
    atomic_fetch_add(&m->refs, 1);
    atomic_store(&m->cancel.set, true);
    stop(m);
    making_unref(m);
}

// Nobody has begun to make it, or else the work goes on.
static void deadline_passed(struct deadline *d)
{
    struct making *const m = container_of(d, struct making, deadline);
    lock(&m->lock);
    const bool submitted = m->parked == PARKED_WORK;
    if (!submitted) {
        atomic_store(&m->late, true);
        atomic_store(&m->cancel.set, true);
    }
    unlock(&m->lock);
    if (submitted)
        sched_refuse(m->edge->sched, &m->work);
    else
        stop(m);
    making_unref(m);
}

static struct making *create(struct edge *e, const struct route *r, struct object *o)
{
    struct making *m = xcalloc(1, sizeof *m);
    m->edge = e;
    m->route = *r;
    route_source(r, m->source_path);
    m->origin = edge_origin(e, m->source_path, &m->path);
    m->object = object_ref(o);
    m->task.run = run;
    m->waiter.wake = object_changed;
    m->deadline.passed = deadline_passed;
    atomic_init(&m->refs, 2); // end's, and the deadline's
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

static void launch(struct making *m)
{
    // The hook may run at once; the making is not on a queue yet, so it only
    // finds its cancel token.
    object_on_abandon(m->object, abandoned, m);
    deadlines_add(m->edge->deadlines, &m->deadline);
    enqueue(m);
}

// True when o was failed, because there is no memory for it.
static bool refuse(struct edge *e, struct object *o)
{
    if (!store_full(e->store))
        return false;
    store_fail(e->store, o, -E_BUSY, "too many objects are being made or read", clock_ms());
    return true;
}

// NULL when o was refused.  Who needs it was let in.
static struct making *create_for_other(struct edge *e, const struct route *r, struct object *o)
{
    if (refuse(e, o))
        return NULL;
    count_up(INT_MAX);
    return create(e, r, o);
}

static void start_probe(const struct making *parent, struct object *o)
{
    struct making *const m = create_for_other(parent->edge, &parent->route, o);
    if (!m)
        return;
    m->probe = true;
    m->steps = probe_steps;
    m->client = parent->client;
    m->source = source_ref(parent->source);
    m->version = parent->version;
    launch(m);
}

struct key making_key(const struct edge *e, const struct route *r, enum want want,
                      const char *after)
{
    char hex[KEY_HEX];
    // What of this machine changes the bytes.
    const bool media = r->kind == ROUTE_INIT || r->kind == ROUTE_SEGMENT;
    const char *const library = media ? e->signature : want == WANT_GZIP ? gzip_version() : "";
    // What viewers may have is another thing where encryption is on.
    const char *const outside = e->encrypts && !r->inside ? "encrypted\n" : "";
    return key_of_text("object 2\n%d %d %d\n%s\n%s\n%s\n%s\n%d\n%s\n%s", (int)r->kind,
                       (int)r->format, (int)want, library, r->asset, key_hex(&r->recipe, hex),
                       r->rendition, r->n, after, outside);
}

static const struct step *steps_of(const struct route *r)
{
    if (r->kind == ROUTE_ROOT)
        return list_steps;
    const bool names_texts =
        (r->kind == ROUTE_MASTER && r->format != FORMAT_TS) || r->kind == ROUTE_MANIFEST;
    return names_texts || is_of_text(r) ? text_steps : route_steps;
}

void making_start(struct edge *e, const struct route *r, enum want want, const char *after,
                  uint32_t client, struct object *o)
{
    if (refuse(e, o))
        return;
    if (!count_up(e->conf->http_makings)) {
        store_fail(e->store, o, -E_BUSY, "too many objects are being made", clock_ms());
        return;
    }
    struct making *m = create(e, r, o);
    m->want = want;
    copy_string(m->after, sizeof m->after, after);
    m->client = client;
    m->steps = steps_of(r);
    launch(m);
}

void making_start_for_other(struct edge *e, const struct route *r, uint32_t client,
                            struct object *o)
{
    struct making *const m = create_for_other(e, r, o);
    if (!m)
        return;
    m->client = client;
    m->steps = route_steps;
    launch(m);
}

void making_wait_all(void)
{
    lock(&count_lock);
    while (count > 0)
        pthread_cond_wait(&count_zero, &count_lock);
    unlock(&count_lock);
}
