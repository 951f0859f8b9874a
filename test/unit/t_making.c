// SPDX-License-Identifier: BSD-2-Clause
//
// The way of a request through the whole server but for HTTP and libav: a real edge
// over a folder, asked through its handler, with workers that are puppets.  What a
// puppet does stands in the first two bytes of the source: the first says how it
// answers a probe, the second what it makes of a segment.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <poll.h>

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/object.h"
#include "cache/origin.h"
#include "cache/tier.h"
#include "codec/avc.h"
#include "codec/fmp4.h"
#include "codec/record.h"
#include "codec/sound.h"
#include "server/deadlines.h"
#include "server/edge.h"
#include "server/making.h"
#include "server/page.h"
#include "server/request.h"
#include "test/unit/counters.h"
#include "test/unit/fake_worker.h"
#include "test/unit/media_tools.h"

// ---- the puppet

static void append(const struct buf *b)
{
    say_some(0, b->data, b->len);
    say_done((int64_t)b->len);
}

static struct media *index_of_all(void)
{
    struct media *const m = make_media(60, 1200); // 28.8 s, at 25 frames per second
    if (media_finish(m) < 0)
        abort();
    return m;
}

static void probe(int64_t source_size, bool right)
{
    struct media *const m = index_of_all();
    struct buf b;
    buf_init(&b, 1 << 20);
    m->size = right ? source_size : m->size + 1;
    media_pack(m, &b);
    append(&b);
}

static void segment(const struct job *j, int more)
{
    const bool video = j->kind == JOB_VIDEO;
    int64_t frames = j->frames;
    for (int i = 0; video && i < j->part_count; i++)
        frames += j->part_frames[i];
    frames += more;
    const uint32_t tick = video ? (uint32_t)j->v.fps.den : (uint32_t)sound_frame(&j->a);
    struct fmp4_track t = { .video = video };
    t.timescale = (uint32_t)(video ? j->v.fps.num : j->a.sample_rate);
    struct fmp4_sample *const samples = xcalloc((size_t)frames, sizeof *samples);
    struct buf b, data;
    buf_init(&b, 1 << 20);
    buf_init(&data, 1 << 20);
    for (int64_t i = 0; i < frames; i++) {
        buf_append(&data, "\0\0\0\1e", 5); // a NAL unit, and as good as any sound
        samples[i] = (struct fmp4_sample){ 5, tick, 0, i == 0 };
    }
    fmp4_styp(&b);
    fmp4_fragment(&b, &t, (uint32_t)j->sequence, (uint64_t)(j->first * tick), samples, (int)frames,
                  data.data, data.len);
    append(&b);
}

static void init(const struct job *j)
{
    static const uint8_t annex_b[] = { 0,    0,    0, 1, 0x67, 0x64, 0,    0x0a, 0xac, 0xd9,
                                       0x44, 0x26, 0, 0, 0,    1,    0x68, 0xeb, 0xe3, 0xcb };
    struct fmp4_track t = { .video = j->video };
    struct buf config, b;
    buf_init(&config, 1000);
    buf_init(&b, 10000);
    if (j->video)
        avc_config(&config, annex_b, sizeof annex_b);
    else
        buf_append(&config, "\x12\x10", 2);
    t.timescale = (uint32_t)(j->video ? j->v.fps.num : j->a.sample_rate);
    t.sample_rate = j->a.sample_rate;
    t.channels = 2;
    t.config = config.data;
    t.config_size = config.len;
    fmp4_init(&b, &t);
    append(&b);
}

static void until_cancelled(struct wire_message *m)
{
    hear(m, WIRE_CANCEL);
    say_fail(E_CANCELLED, "");
}

static void drip_until_cancelled(struct wire_message *m)
{
    struct pollfd heard = { .fd = 3, .events = POLLIN };
    while (poll(&heard, 1, 1) == 0)
        say_some(0, "x", 1);
    until_cancelled(m);
}

static void act(struct wire_message *m, const struct job *j)
{
    char what[2] = "io";
    if (j->source_size >= 2) {
        ask(1, 0, 2);
        do
            hear_any(m);
        while (m->type == WIRE_CANCEL);
        if (m->payload.len != 10) {
            say_fail(E_CANCELLED, "");
            return;
        }
        memcpy(what, m->payload.data + 8, 2);
    }
    const char c = what[j->kind != JOB_PROBE];
    if (j->kind == JOB_INIT) {
        init(j);
        return;
    }
    switch (c) {
    case 'i':
    case 'w':
        probe(j->source_size, c == 'i');
        break;
    case 'g':
        say_some(0, "rubbish", 7);
        say_done(7);
        break;
    case 'u':
        say_fail(E_UNSUPPORTED, "it is a drawing");
        break;
    case 'c':
        crash();
        break;
    case 'h': // for ever
        until_cancelled(m);
        break;
    case 'b': // begins, for ever
        say_some(0, "begun", 5);
        until_cancelled(m);
        break;
    case 'v': // the video goes on, for ever
        if (j->kind == JOB_AUDIO)
            segment(j, 0);
        else
            drip_until_cancelled(m);
        break;
    case 'd': // goes on, for ever
        drip_until_cancelled(m);
        break;
    case 'o':
    case 'x':
        segment(j, c == 'x');
        break;
    case 's': // starts earlier, and earlier, as far as the first picture
    case 'k':
        if (c == 'k' && j->sample_count > 0 && j->samples[0].pts == 0)
            segment(j, 0);
        else
            say_fail(E_SEEK, "");
        break;
    default:
        abort();
    }
}

// ---- the server

static char root[40];
static struct conf *conf;
static struct edge *edge;

static char *path_of(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

// A source in the folder that is as long as the index says.
static void put_source(const char *name, const char *what)
{
    struct media *const m = index_of_all();
    char folder[300];
    snprintf(folder, sizeof folder, "videos/%s", name);
    FILE *const f = fopen(path_of(folder), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(what, 1, 2, f), 2);
    assert_int_equal(ftruncate(fileno(f), m->size), 0);
    fclose(f);
    media_destroy(m);
}

static void load_settings(const char *const *settings)
{
    char why[300] = "";
    static char cache[300], folder[300];
    strcpy(cache, path_of("cache"));
    strcpy(folder, path_of("videos"));
    const char *variables[16] = { "TIDEMILL_UI=false", "TIDEMILL_WORKERS_COUNT=1" };
    for (int n = 2; settings && *settings;)
        variables[n++] = *settings++;
    const struct conf_flags flags = { .cache_dir = cache, .origin = folder };
    const int rc = conf_load(&conf, &flags, (char *const *)(uintptr_t)variables, why, sizeof why);
    assert_int_equal(rc, 0);
}

static void open_edge(void)
{
    char why[300] = "";
    edge = edge_create(conf, why, sizeof why);
    if (!edge)
        fail_msg("%s", why);
}

static void close_edge(void)
{
    edge_destroy(edge);
    edge = NULL;
}

static int setup_with(const char *const *settings)
{
    strcpy(root, "/tmp/t_making.XXXXXX");
    if (!mkdtemp(root) || mkdir(path_of("videos"), 0700) < 0)
        return -1;
    put_source("a.mp4", "io");
    load_settings(settings);
    open_edge();
    mark_counters();
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(NULL);
}

static int setup_without_disk(void **state)
{
    (void)state;
    return setup_with((const char *const[]){ "TIDEMILL_CACHE_DISK_ENABLED=false", NULL });
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    edge_destroy(edge);
    edge = NULL;
    conf_destroy(conf);
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void wait_for_stat(enum stat_id s, int64_t n)
{
    const int64_t end = clock_ms() + 60000;
    while (since(s) != n) {
        assert_true(clock_ms() < end);
        poll(NULL, 0, 1);
    }
}

// ---- a viewer

struct viewer {
    struct http_exchange x;
    struct reply reply;
    struct object_waiter waiter;
    sem_t woken;
    char path[4096];
    struct object *waits_for;
    size_t have;
    bool parked, answered;
};

static void wake(struct object_waiter *w)
{
    sem_post(&container_of(w, struct viewer, waiter)->woken);
}

static struct http_handler handler(void)
{
    return request_handler(edge);
}

// Steps once; when it has to wait, leaves a waiter if there is none to leave.
static void step(struct viewer *v)
{
    const struct http_handler h = handler();
    v->parked = false;
    while (!v->answered && !v->parked) {
        const enum http_verdict verdict = h.step(h.arg, &v->x, &v->reply, &v->waits_for, &v->have);
        v->answered = verdict != HTTP_WAIT;
        if (verdict == HTTP_PREPARED)
            h.describe(h.arg, &v->x, &v->reply);
        if (!v->answered)
            v->parked = object_wait(v->waits_for, &v->waiter, v->have);
    }
}

static void begin(struct viewer *v, enum method method, const char *path)
{
    *v = (struct viewer){ .waiter.wake = wake };
    sem_init(&v->woken, 0, 0);
    copy_string(v->path, sizeof v->path, path);
    v->x = (struct http_exchange){ .path = v->path, .query = "", .client = "192.0.2.1" };
    v->x.request.method = method;
    reply_init(&v->reply);
}

static void answer(struct viewer *v)
{
    for (step(v); v->parked; step(v))
        sem_wait(&v->woken);
}

static void get(struct viewer *v, const char *path)
{
    begin(v, METHOD_GET, path);
    answer(v);
}

static void leave(struct viewer *v)
{
    const struct http_handler h = handler();
    if (v->parked && !object_unwait(v->waits_for, &v->waiter))
        sem_wait(&v->woken);
    const struct http_outcome outcome = { .status = v->reply.status, .client_gone = v->parked };
    h.done(h.arg, &v->x, &outcome);
    reply_finish(&v->reply);
    sem_destroy(&v->woken);
}

static const char *header(const struct viewer *v, const char *name)
{
    for (int i = 0; i < v->reply.header_count; i++)
        if (strcmp(v->reply.headers[i].name, name) == 0)
            return v->reply.headers[i].value;
    return "";
}

// Its whole body, terminated; "" for none.
static char *body_of(struct viewer *v)
{
    char *out = NULL;
    if (v->reply.body == BODY_TEXT)
        return strndup((char *)v->reply.text.data, v->reply.text.len);
    if (v->reply.body == BODY_NONE)
        return xstrdup("");
    assert_int_equal(object_wait_end(v->x.object, clock_ms() + 60000), OBJECT_WHOLE);
    const size_t n = object_size(v->x.object);
    out = xcalloc(1, n + 1);
    object_read(v->x.object, 0, out, n);
    return out;
}

static char *fetch(const char *path, const char *cache_status)
{
    struct viewer v;
    get(&v, path);
    assert_int_equal(v.reply.status, 200);
    char *const body = body_of(&v);
    if (cache_status)
        assert_string_equal(header(&v, "Cache-Status"), cache_status);
    leave(&v);
    return body;
}

static char last_timing[200]; // Server-Timing of the last problem

static void expect_problem(const char *path, int code, const char *detail)
{
    struct viewer v;
    get(&v, path);
    assert_int_equal(v.reply.status, err_status(code));
    buf_append(&v.reply.text, "", 1);
    assert_non_null(strstr((char *)v.reply.text.data, err_name(code)));
    assert_non_null(strstr((char *)v.reply.text.data, detail));
    copy_string(last_timing, sizeof last_timing, header(&v, "Server-Timing"));
    leave(&v);
}

// "/a.mp4/RECIPE/RENDITION/LEAF" of the first video in that master playlist.
static char *below_entry(const char *asset, const char *entry, const char *leaf)
{
    static char path[400];
    char master[100];
    snprintf(master, sizeof master, "/%s/%s", asset, entry);
    char *const text = fetch(master, NULL);
    const char *const line = strstr(strstr(text, "#EXT-X-STREAM-INF"), "\n") + 1;
    snprintf(path, sizeof path, "/%s/%.*s%s", asset, (int)(strstr(line, "index.m3u8") - line), line,
             leaf);
    free(text);
    return path;
}

static char *below(const char *asset, const char *leaf)
{
    return below_entry(asset, "master.m3u8", leaf);
}

static char *below_ts(const char *asset, const char *leaf)
{
    return below_entry(asset, "master-ts.m3u8", leaf);
}

// Of the audio.
static char *below_audio(const char *asset, const char *leaf)
{
    static char path[400];
    char master[100];
    snprintf(master, sizeof master, "/%s/master.m3u8", asset);
    char *const text = fetch(master, NULL);
    const char *const uri = strstr(strstr(text, "TYPE=AUDIO"), "URI=\"") + 5;
    snprintf(path, sizeof path, "/%s/%.*s%s", asset, (int)(strstr(uri, "index.m3u8") - uri), uri,
             leaf);
    free(text);
    return path;
}

// ---- made once, found again

#define MISS "tidemill; fwd=miss"

static void from_master_to_segment(void **state)
{
    (void)state;
    free(fetch("/a.mp4/master.m3u8", MISS));
    free(fetch("/a.mp4/master.m3u8", "tidemill; hit; detail=memory"));
    char *const playlist = fetch(below("a.mp4", "index.m3u8"), MISS);
    assert_non_null(strstr(playlist, "#EXT-X-ENDLIST"));
    free(fetch(below("a.mp4", "init.mp4"), MISS));
    free(fetch(below("a.mp4", "0.m4s"), NULL));
    free(fetch(below("a.mp4", "0.m4s"), "tidemill; hit; detail=memory"));
    assert_int_equal(since(STAT_probes_total), 1);
    assert_int_equal(since(STAT_encodes_video_total), 1);
    assert_int_equal(since(STAT_bandwidth_exceeded_total), 0);
    expect_problem(below("a.mp4", "999.m4s"), E_NOT_FOUND, "");
    expect_problem("/b.mp4/master.m3u8", E_NOT_FOUND, "");
    free(playlist);
}

static void found_on_disk_by_the_next_server(void **state)
{
    (void)state;
    char segment_path[300];
    strcpy(segment_path, below("a.mp4", "1.m4s"));
    free(fetch(segment_path, NULL));
    free(fetch(below("a.mp4", "index.m3u8"), NULL));
    close_edge();
    open_edge();
    mark_counters();
    free(fetch(segment_path, "tidemill; hit; detail=disk"));
    free(fetch(below("a.mp4", "index.m3u8"), "tidemill; hit; detail=disk"));
    assert_int_equal(since(STAT_probes_total), 0);
    assert_int_equal(since(STAT_encodes_video_total), 0);
    // By its URL alone: the source is not looked at.
    close_edge();
    open_edge();
    assert_int_equal(unlink(path_of("videos/a.mp4")), 0);
    struct viewer v;
    begin(&v, METHOD_HEAD, segment_path);
    answer(&v);
    assert_int_equal(v.reply.status, 200);
    leave(&v);
    free(fetch(segment_path, "tidemill; hit; detail=disk"));
}

static void two_at_once(void **state)
{
    (void)state;
    put_source("b.mp4", "ib");
    char path[300];
    strcpy(path, below("b.mp4", "0.m4s"));
    struct viewer v[2];
    for (int i = 0; i < 2; i++) {
        get(&v[i], path); // answered when the first bytes are there
        assert_int_equal(v[i].reply.status, 200);
        assert_int_equal(v[i].reply.body, BODY_STREAM);
        assert_string_equal(header(&v[i], "Cache-Status"),
                            i ? "tidemill; fwd=miss; collapsed" : MISS);
        assert_non_null(strstr(header(&v[i], "Server-Timing"), "encode;dur="));
    }
    // One leaves: the other keeps it going.
    leave(&v[0]);
    assert_int_equal(object_state(v[1].x.object), OBJECT_MAKING);
    leave(&v[1]);
    making_wait_all();
    assert_int_equal(since(STAT_jobs_cancelled_total), 1);
    assert_int_equal(since(STAT_encodes_video_total), 0);
}

// ---- HEAD and conditions

static void head(void **state)
{
    (void)state;
    char path[300];
    strcpy(path, below("a.mp4", "2.m4s"));
    struct viewer h, g;
    begin(&h, METHOD_HEAD, path);
    answer(&h);
    assert_int_equal(h.reply.status, 200);
    assert_int_equal(since(STAT_encodes_video_total), 0);
    assert_string_equal(header(&h, "Cache-Status"), "");
    get(&g, path);
    free(body_of(&g));
    assert_string_equal(header(&h, "ETag"), header(&g, "ETag"));
    leave(&h);
    begin(&h, METHOD_HEAD, path);
    answer(&h);
    assert_int_equal(h.reply.length, object_size(g.x.object));
    leave(&h);
    leave(&g);
    begin(&h, METHOD_HEAD, below("a.mp4", "999.m4s"));
    answer(&h);
    assert_int_equal(h.reply.status, 404);
    leave(&h);
    // Of text it says what GET says, the coding too.
    begin(&h, METHOD_HEAD, below("a.mp4", "index.m3u8"));
    h.x.accepts_gzip = true;
    answer(&h);
    assert_string_equal(header(&h, "Content-Encoding"), "gzip");
    assert_true(h.reply.length > 0);
    leave(&h);
}

static int status_if_none_match(const char *path, const char *tags)
{
    struct viewer v;
    begin(&v, METHOD_GET, path);
    v.x.request.if_none_match = tags;
    answer(&v);
    const int status = v.reply.status;
    if (status == 200)
        free(body_of(&v));
    leave(&v);
    return status;
}

static void conditions(void **state)
{
    (void)state;
    char path[300], tag[100];
    strcpy(path, below("a.mp4", "3.m4s"));
    struct viewer v;
    begin(&v, METHOD_HEAD, path);
    answer(&v);
    strcpy(tag, header(&v, "ETag"));
    leave(&v);
    // The tag is the name: to know it costs nothing.
    assert_int_equal(status_if_none_match(path, tag), 304);
    assert_int_equal(since(STAT_encodes_video_total), 0);
    // A star asks for what is there.
    assert_int_equal(status_if_none_match(below("a.mp4", "999.m4s"), "*"), 404);
    assert_int_equal(status_if_none_match("/b.mp4/master.m3u8", "*"), 404);
    assert_int_equal(status_if_none_match("/b.mp4/master.m3u8", " * "), 404);
    assert_int_equal(status_if_none_match(path, "*"), 304);
    assert_int_equal(status_if_none_match(path, "\"no\""), 200);
    assert_int_equal(status_if_none_match("/a.mp4/master.m3u8", "*"), 304);
    assert_int_equal(status_if_none_match("/a.mp4/master.m3u8", "\"\""), 200);
}

// ---- what workers say is checked

// A worker was asked, and how long it took is told.
static void assert_took_work(const char *timing)
{
    double queue, origin, work;
    assert_int_equal(
        sscanf(timing, "queue;dur=%lf, origin;dur=%lf, encode;dur=%lf", &queue, &origin, &work), 3);
    assert_true(queue >= 0 && origin >= 0 && work >= 0 && queue + origin + work > 0);
}

static void failures(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int code;
        const char *detail;
    } probes[] = {
        { "u.", E_UNSUPPORTED, "it is a drawing" },
        { "w.", E_WORKER, "does not hold what was ordered" },
        { "g.", E_WORKER, "does not hold what was ordered" },
        { "c.", E_POISONED, "two workers" },
    }, segments[] = {
        { "ix", E_WORKER, "does not hold what was ordered" },
        { "ig", E_WORKER, "does not hold what was ordered" },
        { "iu", E_UNSUPPORTED, "it is a drawing" },
        { "is", E_CORRUPT, "decoded cleanly" },
        { "ic", E_POISONED, "two workers" },
    };
    for (size_t i = 0; i < countof(probes); i++) {
        char name[20], path[60];
        snprintf(name, sizeof name, "p%zu.mp4", i);
        snprintf(path, sizeof path, "/%s/master.m3u8", name);
        put_source(name, probes[i].what);
        expect_problem(path, probes[i].code, probes[i].detail);
        assert_took_work(last_timing);
    }
    for (size_t i = 0; i < countof(segments); i++) {
        char name[20], path[300];
        snprintf(name, sizeof name, "s%zu.mp4", i);
        put_source(name, segments[i].what);
        strcpy(path, below(name, "0.m4s"));
        struct viewer v;
        begin(&v, METHOD_GET, path);
        v.x.request.http10 = true; // waits for the whole
        answer(&v);
        assert_int_equal(v.reply.status, err_status(segments[i].code));
        buf_append(&v.reply.text, "", 1);
        assert_non_null(strstr((char *)v.reply.text.data, segments[i].detail));
        assert_took_work(header(&v, "Server-Timing"));
        leave(&v);
    }
    assert_int_equal(since(STAT_encodes_video_total), 0);
    expect_problem("/x/../master.m3u8", E_BAD_REQUEST, "");
    assert_string_equal(last_timing, "");
    expect_problem("/", E_NOT_FOUND, ""); // no pages here
    assert_string_equal(last_timing, "");
    expect_problem("/none.mp4/master.m3u8", E_NOT_FOUND, "");
    assert_non_null(strstr(last_timing, "origin;dur="));
}

static void decoding_starts_earlier(void **state)
{
    (void)state;
    put_source("k.mp4", "ik");
    free(fetch(below("k.mp4", "3.m4s"), NULL)); // 25 groups of pictures back
    assert_int_equal(since(STAT_encodes_video_total), 1);
}

// What asking again will not mend is asked once; what it may, again.
static void failures_are_remembered(void **state)
{
    (void)state;
    put_source("u.mp4", "u.");
    put_source("g.mp4", "g.");
    for (int i = 0; i < 3; i++) {
        expect_problem("/u.mp4/master.m3u8", E_UNSUPPORTED, "it is a drawing");
        assert_true((i == 0) == (last_timing[0] != '\0'));
    }
    assert_int_equal(since(STAT_jobs_failed_total), 1);
    for (int i = 0; i < 3; i++)
        expect_problem("/g.mp4/master.m3u8", E_WORKER, "");
    assert_int_equal(since(STAT_jobs_failed_total), 4);
}

// ---- what tiers hold is checked

static struct key key_of_path(const char *path, enum want want)
{
    struct route r;
    assert_int_equal(route_parse(&r, path), 0);
    return making_key(edge, &r, want, "");
}

static void rubbish_in_a_tier(void **state)
{
    (void)state;
    char path[300];
    strcpy(path, below("a.mp4", "4.m4s"));
    const struct key key = key_of_path(path, WANT_BODY);
    struct tier *const disk = edge->tiers[0];
    disk->put(disk, &key, "a well-sealed lie", 17);
    mark_counters();
    free(fetch(path, NULL));
    assert_int_equal(since(STAT_cache_corrupt_total), 1);
    assert_int_equal(since(STAT_encodes_video_total), 1);
    // What was made stands in its place.
    close_edge();
    open_edge();
    free(fetch(path, "tidemill; hit; detail=disk"));
}

// ---- recipes of yesterday

static void a_recipe_outlives_its_settings(void **state)
{
    (void)state;
    char old[300], new[300];
    strcpy(old, below("a.mp4", "5.m4s"));
    close_edge();
    conf->rungs[0].crf++;
    conf->rungs[1].crf++;
    conf->media_segment = 6000;
    open_edge();
    strcpy(new, below("a.mp4", "5.m4s"));
    assert_string_not_equal(old, new);
    mark_counters();
    free(fetch(old, NULL));
    assert_int_equal(since(STAT_encodes_video_total), 1);
    // A recipe that nobody ever made, and one of another asset.
    old[8] = old[8] == '0' ? '1' : '0';
    expect_problem(old, E_NOT_FOUND, "no such rendition");
    put_source("b.mp4", "io");
    memcpy(new, "/b", 2);
    expect_problem(new, E_NOT_FOUND, "no such rendition");
}

// Somebody who may write to a tier puts a record there that is well but for another
// index.  (Its hash is the recipe, which the same somebody then asks for.)
static void a_record_made_up(void **state)
{
    (void)state;
    struct media *m = index_of_all();
    struct plan p;
    struct buf b;
    char validator[ORIGIN_VALIDATOR_MAX], hex[KEY_HEX], path[300];
    struct origin_version v;
    assert_int_equal(edge->origins[0]->stat(edge->origins[0], "a.mp4", &v, NULL), 0);
    strcpy(validator, v.validator);
    assert_int_equal(plan_make(&p, conf, m, "a.mp4", validator, edge->headers), 0);
    media_destroy(m);
    struct tier *const disk = edge->tiers[0];
    for (int i = 0; i < 2; i++) {
        // First one that fits, to see that the way is right.
        p.table.frames += i;
        p.renditions[0].v.crf = 7;
        buf_init(&b, RECORD_MAX);
        assert_int_equal(record_pack(&p, &p.renditions[0], "a.mp4", validator, edge->headers, &b),
                         0);
        const struct key recipe = key_of(b.data, b.len);
        const struct key key = key_of_text("record 1\n%s\n", key_hex(&recipe, hex));
        disk->put(disk, &key, b.data, b.len);
        buf_finish(&b);
        snprintf(path, sizeof path, "/a.mp4/%s/%s/0.m4s", hex, p.renditions[0].name);
        if (i == 0)
            free(fetch(path, NULL));
        else
            expect_problem(path, E_NOT_FOUND, "no such rendition");
    }
}

// ---- leaving

// Parked on an index that is being made: the probe goes too.
static void leaving_while_probing(void **state)
{
    (void)state;
    put_source("h.mp4", "h.");
    struct viewer v[3];
    for (int i = 0; i < 3; i++) {
        begin(&v[i], METHOD_GET, "/h.mp4/master.m3u8");
        v[i].x.accepts_gzip = i == 2; // another object of the same index
        step(&v[i]);
        assert_true(v[i].parked);
    }
    wait_for_stat(STAT_jobs_running, 1);
    leave(&v[0]);
    leave(&v[2]);
    assert_int_equal(since(STAT_jobs_running), 1);
    leave(&v[1]);
    making_wait_all();
    assert_int_equal(since(STAT_jobs_cancelled_total), 3); // two texts and the index
    wait_for_stat(STAT_jobs_running, 0);
    assert_int_equal(since(STAT_workers_crashed_total), 0);
}

static void leaving_while_queued(void **state)
{
    (void)state;
    put_source("h.mp4", "ih");
    struct viewer v[4];
    for (int i = 0; i < 4; i++) {
        char leaf[20];
        snprintf(leaf, sizeof leaf, "%d.m4s", i);
        begin(&v[i], METHOD_GET, below("h.mp4", leaf));
        step(&v[i]);
        assert_true(v[i].parked);
    }
    wait_for_stat(STAT_jobs_running, 1); // there is one worker
    wait_for_stat(STAT_jobs_queued, 3);
    for (int i = 3; i >= 0; i--) {
        leave(&v[i]);
        wait_for_stat(STAT_jobs_queued, i > 1 ? i - 1 : 0);
    }
    making_wait_all();
    assert_int_equal(since(STAT_jobs_cancelled_total), 4);
}

// As many as may be, and one more.
static void too_many(void **state)
{
    (void)state;
    enum { MANY = 99 }; // and the index that they wait for
    close_edge();
    conf->http_makings = MANY + 1;
    open_edge();
    put_source("h.mp4", "h.");
    struct viewer *const v = xcalloc(MANY, sizeof *v);
    for (int i = 0; i < MANY; i++) {
        char path[100];
        snprintf(path, sizeof path, "/h.mp4/%032x/720p/%d.m4s", 1, i);
        begin(&v[i], METHOD_GET, path);
        step(&v[i]);
        assert_true(v[i].parked);
    }
    wait_for_stat(STAT_jobs_running, 1); // the index's
    expect_problem("/h.mp4/master.m3u8", E_BUSY, "too many objects");
    for (int i = 0; i < MANY; i++)
        leave(&v[i]);
    making_wait_all();
    free(v);
    free(fetch("/a.mp4/master.m3u8", MISS));
}

// ---- a dead origin

// One that takes connections and says nothing.
static int dead_origin(char *url, size_t cap)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(url, cap, "http://127.0.0.1:%d/", ntohs(a.sin_port));
    return fd;
}

// Viewers of as many sources of an origin that accepts and says nothing.
struct dead {
    int fd;
    int count;
    struct viewer *v;
};

static void add_dead_origin(struct dead *d)
{
    char url[60];
    d->fd = dead_origin(url, sizeof url);
    close_edge();
    conf->origins[1] = conf->origins[0];
    conf->origins[0] =
        (struct conf_origin){ .prefix = xstrdup("/dead/"), .base = xstrdup(url), .http = true };
    conf->origin_count = 2;
    conf->origin_timeout = 600000;
    open_edge();
}

static void view_dead(struct dead *d, int count)
{
    d->count = count;
    d->v = xcalloc((size_t)count, sizeof *d->v);
    for (int i = 0; i < count; i++) {
        char path[100];
        snprintf(path, sizeof path, "/dead/%d.mp4/master.m3u8", i);
        begin(&d->v[i], METHOD_GET, path);
        step(&d->v[i]);
    }
}

static void dead_finish(struct dead *d)
{
    making_wait_all();
    free(d->v);
    close(d->fd);
}

static void a_dead_origin_keeps_nobody_else_waiting(void **state)
{
    (void)state;
    enum { WAITING = 100 };
    struct dead d;
    add_dead_origin(&d);
    view_dead(&d, WAITING);
    free(fetch("/a.mp4/master.m3u8", MISS));
    free(fetch(below("a.mp4", "0.m4s"), NULL));
    // Who leaves is gone at once, though no thread has come to it.
    leave(&d.v[WAITING - 1]);
    wait_for_stat(STAT_jobs_cancelled_total, 1);
    for (int i = 0; i < WAITING - 1; i++) {
        assert_true(d.v[i].parked);
        assert_int_equal(object_state(d.v[i].x.object), OBJECT_MAKING);
        leave(&d.v[i]);
    }
    dead_finish(&d);
}

// ---- deadlines

static void expect_late(struct viewer *v, const char *waited_for)
{
    while (v->parked) {
        sem_wait(&v->woken);
        step(v);
    }
    assert_int_equal(v->reply.status, 504);
    assert_string_not_equal(header(v, "Retry-After"), "");
    buf_append(&v->reply.text, "", 1);
    assert_non_null(strstr((char *)v->reply.text.data, waited_for));
    leave(v);
}

// More of them than there are threads that wait for the origin, which says nothing.
static void all_of_a_dead_origin_have_one_limit(void **state)
{
    (void)state;
    struct dead d;
    conf->http_answer_wait = 100;
    add_dead_origin(&d);
    view_dead(&d, 100);
    for (int i = 0; i < d.count; i++)
        expect_late(&d.v[i], "the origin");
    assert_int_equal(since(STAT_jobs_cancelled_total), 0);
    dead_finish(&d);
}

// Each where it waits: for an index, with its probe on a worker; for a worker.
static void who_is_late_is_told(void **state)
{
    (void)state;
    put_source("h.mp4", "id");
    put_source("p.mp4", "h.");
    char paths[3][300];
    for (int i = 0; i < 3; i++) {
        char leaf[20];
        snprintf(leaf, sizeof leaf, "%d.m4s", i);
        strcpy(paths[i], below("h.mp4", leaf));
    }
    struct viewer probing, first, behind;
    begin(&first, METHOD_GET, paths[0]);
    step(&first);
    wait_for_stat(STAT_jobs_running, 1);
    begin(&behind, METHOD_GET, paths[1]);
    step(&behind);
    wait_for_stat(STAT_jobs_ready, 1); // else it is its bytes that it waits for
    begin(&probing, METHOD_GET, "/p.mp4/master.m3u8");
    step(&probing);
    wait_for_stat(STAT_jobs_running, 2);
    deadlines_pass(edge->deadlines, clock_ms() + conf->http_answer_wait);
    expect_late(&behind, "for a worker");
    expect_late(&probing, "the index");
    // The probe goes with who asked for it; what has a worker goes on.
    wait_for_stat(STAT_jobs_running, 1);
    const size_t had = object_size(first.x.object);
    while (object_size(first.x.object) < had + 10) {
        assert_int_equal(object_state(first.x.object), OBJECT_MAKING);
        poll(NULL, 0, 1);
    }
    if (first.parked)
        sem_wait(&first.woken);
    first.parked = false;
    leave(&first);
    making_wait_all();
}

// ---- made of others

static void made_of_what_is_there(void **state)
{
    (void)state;
    char path[300], mp4[300];
    strcpy(path, below_ts("a.mp4", "1.ts"));
    strcpy(mp4, below("a.mp4", "1.m4s"));
    assert_string_not_equal(path, mp4);
    char *const playlist = fetch(below_ts("a.mp4", "index.m3u8"), MISS);
    assert_non_null(strstr(playlist, "\n1.ts\n"));
    free(playlist);
    free(fetch(path, MISS));
    assert_int_equal(since(STAT_muxes_total), 1);
    assert_int_equal(since(STAT_encodes_video_total), 1);
    assert_int_equal(since(STAT_encodes_audio_total), 1);
    assert_int_equal(since(STAT_inits_total), 2);
    free(fetch(mp4, "tidemill; hit; detail=memory"));
    free(fetch(path, "tidemill; hit; detail=memory"));
    free(fetch(below_ts("a.mp4", "2.ts"), MISS)); // only what is missing
    assert_int_equal(since(STAT_encodes_video_total), 2);
    assert_int_equal(since(STAT_inits_total), 2);
    assert_int_equal(since(STAT_bandwidth_exceeded_total), 0);
    expect_problem(below_ts("a.mp4", "999.ts"), E_NOT_FOUND, "");
    expect_problem(below_ts("a.mp4", "1.m4s"), E_NOT_FOUND, "no such rendition");
    expect_problem(below_ts("a.mp4", "init.mp4"), E_NOT_FOUND, "no such rendition");
    expect_problem(below("a.mp4", "1.ts"), E_NOT_FOUND, "no such rendition");
    // The next server has it on its disk, and what it cannot use it makes again.
    close_edge();
    open_edge();
    free(fetch(path, "tidemill; hit; detail=disk"));
    strcpy(path, below_ts("a.mp4", "3.ts"));
    const struct key key = key_of_path(path, WANT_BODY);
    edge->tiers[0]->put(edge->tiers[0], &key, "a well-sealed lie", 17);
    mark_counters();
    free(fetch(path, MISS));
    assert_int_equal(since(STAT_cache_corrupt_total), 1);
    assert_int_equal(since(STAT_muxes_total), 1);
}

static void head_of_what_others_make(void **state)
{
    (void)state;
    struct viewer h;
    begin(&h, METHOD_HEAD, below_ts("a.mp4", "1.ts"));
    answer(&h);
    assert_int_equal(h.reply.status, 200);
    leave(&h);
    begin(&h, METHOD_HEAD, below_ts("a.mp4", "999.ts"));
    answer(&h);
    assert_int_equal(h.reply.status, 404);
    leave(&h);
    assert_int_equal(since(STAT_inits_total), 0);
    assert_int_equal(since(STAT_encodes_audio_total), 0);
    assert_int_equal(since(STAT_muxes_total), 0);
}

static void what_it_is_made_of_fails(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int code;
        const char *detail;
    } cases[] = {
        { "iu", E_UNSUPPORTED, "it is a drawing" },
        { "ig", E_WORKER, "does not hold what was ordered" },
        { "ic", E_POISONED, "two workers" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char name[20], path[300];
        snprintf(name, sizeof name, "t%zu.mp4", i);
        put_source(name, cases[i].what);
        strcpy(path, below_ts(name, "0.ts"));
        expect_problem(path, cases[i].code, cases[i].detail);
        assert_took_work(last_timing);
    }
    making_wait_all();
    assert_int_equal(since(STAT_muxes_total), 0);
}

// All that it is made of goes with the last who wants it, and nothing that others want.
static void leaving_what_others_make(void **state)
{
    (void)state;
    put_source("h.mp4", "ih");
    char path[300], mp4[300];
    strcpy(path, below_ts("h.mp4", "0.ts"));
    strcpy(mp4, below("h.mp4", "0.m4s"));
    struct viewer ts, video;
    begin(&ts, METHOD_GET, path);
    step(&ts);
    assert_true(ts.parked);
    wait_for_stat(STAT_jobs_running, 1); // there is one worker
    begin(&video, METHOD_GET, mp4);
    step(&video);
    assert_true(video.parked);
    leave(&ts);
    wait_for_stat(STAT_jobs_queued, 0); // the audio is
    wait_for_stat(STAT_jobs_running, 1);
    assert_int_equal(object_state(video.x.object), OBJECT_MAKING);
    leave(&video);
    making_wait_all();
    assert_true(since(STAT_jobs_cancelled_total) >= 3); // perhaps a header, too
    wait_for_stat(STAT_jobs_running, 0);
    assert_int_equal(since(STAT_workers_crashed_total), 0);
    assert_int_equal(since(STAT_muxes_total), 0);
}

// It is late when what it is made of is, and that is not when it has a worker.
static void late_is_what_it_is_made_of(void **state)
{
    (void)state;
    put_source("d.mp4", "id");
    put_source("v.mp4", "iv");
    char path[300], blocker[300];
    strcpy(blocker, below("d.mp4", "0.m4s"));
    strcpy(path, below_ts("v.mp4", "0.ts"));
    struct viewer first, behind;
    begin(&first, METHOD_GET, blocker);
    step(&first);
    wait_for_stat(STAT_jobs_running, 1);
    begin(&behind, METHOD_GET, path);
    step(&behind);
    wait_for_stat(STAT_jobs_queued, 4); // two headers and two segments
    deadlines_pass(edge->deadlines, clock_ms() + conf->http_answer_wait);
    expect_late(&behind, "for a worker");
    leave(&first);
    making_wait_all();

    free(fetch(below("v.mp4", "init.mp4"), NULL));
    free(fetch(below_audio("v.mp4", "init.mp4"), NULL));
    free(fetch(below_audio("v.mp4", "0.m4s"), NULL));
    begin(&behind, METHOD_GET, path);
    step(&behind);
    wait_for_stat(STAT_jobs_running, 1);
    deadlines_pass(edge->deadlines, clock_ms() + conf->http_answer_wait);
    assert_true(behind.parked);
    assert_int_equal(object_state(behind.x.object), OBJECT_MAKING);
    assert_int_equal(since(STAT_jobs_running), 1);
    leave(&behind);
    making_wait_all();
}

static void another_recipe_of_others(void **state)
{
    (void)state;
    char old[300];
    strcpy(old, below_ts("a.mp4", "5.ts"));
    close_edge();
    conf->rungs[0].crf++;
    conf->rungs[1].crf++;
    conf->media_segment = 6000;
    open_edge();
    assert_string_not_equal(old, below_ts("a.mp4", "5.ts"));
    free(fetch(old, MISS));
    assert_int_equal(since(STAT_muxes_total), 1);
    old[8] = old[8] == '0' ? '1' : '0';
    expect_problem(old, E_NOT_FOUND, "no such rendition");
}

// ---- names

static void no_two_names_share_a_key(void **state)
{
    (void)state;
    static struct route r[12];
    static char a[ROUTE_ASSET_MAX], b[ROUTE_ASSET_MAX];
    memset(a, 'x', sizeof a - 1);
    memcpy(b, a, sizeof b);
    b[sizeof b - 2] = 'y';
    static char after[PAGE_AFTER_MAX], after2[PAGE_AFTER_MAX];
    memset(after, 'x', sizeof after - 1);
    memcpy(after2, after, sizeof after2);
    after2[sizeof after2 - 2] = 'y';

    const struct route base = { .kind = ROUTE_SEGMENT, .rendition = "720p" };
    for (size_t i = 0; i < countof(r); i++)
        r[i] = base;
    memcpy(r[1].asset, a, sizeof a);
    memcpy(r[2].asset, b, sizeof b);
    r[3].kind = ROUTE_INIT;
    r[4].kind = ROUTE_PLAYLIST;
    r[5].n = 1;
    r[6].n = ROUTE_SEGMENT_MAX - 1;
    r[7].recipe.b[15] = 1;
    memset(r[8].rendition, 'r', sizeof r[8].rendition - 1);
    memset(r[9].rendition, 'r', sizeof r[9].rendition - 1);
    r[9].rendition[sizeof r[9].rendition - 2] = 's';
    strcpy(r[10].asset, "a\n");
    strcpy(r[11].asset, "a");
    struct key keys[countof(r) + 4];
    size_t n = 0;
    for (; n < countof(r); n++)
        keys[n] = making_key(edge, &r[n], WANT_BODY, "");
    keys[n++] = making_key(edge, &r[0], WANT_GZIP, "");
    keys[n++] = making_key(edge, &r[0], WANT_CHECK, "");
    keys[n++] = making_key(edge, &r[0], WANT_BODY, after);
    keys[n++] = making_key(edge, &r[0], WANT_BODY, after2);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(key_equal(&keys[i], &keys[k]));
}

// Builds are in the names of what workers make, the CPU in those of segments whose recipe is
// marked, and in no other.
static void machines_in_names(void **state)
{
    (void)state;
    static const struct {
        enum route_kind kind;
        bool marked, of_builds, of_cpu;
    } rows[] = {
        { ROUTE_SEGMENT, false, true, false },   { ROUTE_SEGMENT, true, true, true },
        { ROUTE_INIT, false, true, false },      { ROUTE_INIT, true, true, false },
        { ROUTE_PLAYLIST, false, false, false }, { ROUTE_PLAYLIST, true, false, false },
        { ROUTE_MASTER, false, false, false },
    };
    assert_string_equal(edge->cpu, "one");
    assert_string_equal(edge->builds, "fake 1.0 headers 1");
    assert_string_equal(edge->headers, "headers 1");
    char two[] = "two";
    for (size_t i = 0; i < countof(rows); i++) {
        struct edge builds = { .builds = two, .cpu = edge->cpu };
        struct edge cpu = { .builds = edge->builds, .cpu = two };
        struct route r = { .kind = rows[i].kind, .asset = "a", .rendition = "r" };
        r.recipe.b[15] = rows[i].marked;
        const struct key here = making_key(edge, &r, WANT_BODY, "");
        const struct key there = making_key(&builds, &r, WANT_BODY, "");
        assert_int_equal(!key_equal(&here, &there), rows[i].of_builds);
        const struct key elsewhere = making_key(&cpu, &r, WANT_BODY, "");
        assert_int_equal(!key_equal(&here, &elsewhere), rows[i].of_cpu);
    }
}

// ---- everything at once

enum { VISITORS = 6, ROUNDS = 60 };
static char folder_of_a[300], muxed_of_a[300];

static void *visit(void *arg)
{
    static const char *const leaves[] = { "index.m3u8", "init.mp4", "0.m4s", "1.m4s",
                                          "2.m4s",      "3.m4s",    "9.m4s" };
    static const char *const texts[] = { "/a.mp4/master.m3u8", "/b.mp4/master.m3u8",
                                         "/u.mp4/master.m3u8" };
    unsigned seed = *(const unsigned *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct viewer v;
        char path[400];
        const int k = rand_r(&seed) % 13;
        if (k >= 10)
            snprintf(path, sizeof path, "%s%d.ts", muxed_of_a, k - 10);
        else if (k < 7)
            snprintf(path, sizeof path, "%s%s", folder_of_a, leaves[k]);
        else
            strcpy(path, texts[k - 7]);
        begin(&v, rand_r(&seed) % 4 ? METHOD_GET : METHOD_HEAD, path);
        v.x.accepts_gzip = rand_r(&seed) % 2;
        snprintf(v.x.client, sizeof v.x.client, "192.0.2.%u", seed % 3);
        if (rand_r(&seed) % 2) {
            step(&v); // and away
        } else {
            answer(&v);
            assert_true(v.reply.status == 200 || v.reply.status == 404 || v.reply.status == 415);
        }
        leave(&v);
    }
    return NULL;
}

static void all_at_once(void **state)
{
    (void)state;
    put_source("u.mp4", "u.");
    close_edge();
    // Next to nothing is kept, so that all is made again and again.
    conf->cache_memory = 3000;
    conf->http_entry_age = 0;
    conf->origin_fresh = 0;
    conf->cache_negative = 0;
    conf->workers_jobs = 7;
    conf->workers_patience = 0;
    open_edge();
    strcpy(folder_of_a, below("a.mp4", ""));
    strcpy(muxed_of_a, below_ts("a.mp4", ""));
    pthread_t threads[VISITORS];
    unsigned seeds[VISITORS];
    for (unsigned i = 0; i < VISITORS; i++) {
        seeds[i] = i;
        threads[i] = thread_start("visitor", visit, &seeds[i]);
    }
    for (int i = 0; i < VISITORS; i++)
        pthread_join(threads[i], NULL);
    making_wait_all();
    assert_int_equal(stat_get(STAT_jobs_running), 0);
    assert_int_equal(stat_get(STAT_jobs_queued), 0);
    assert_int_equal(since(STAT_workers_crashed_total), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define N(f) cmocka_unit_test_setup_teardown(f, setup_without_disk, teardown)

int main(int argc, char **argv)
{
    (void)argc;
    fake_worker_main(argv, act);
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        T(from_master_to_segment),
        T(found_on_disk_by_the_next_server),
        N(two_at_once),
        N(head),
        T(conditions),
        T(failures),
        T(decoding_starts_earlier),
        T(failures_are_remembered),
        T(rubbish_in_a_tier),
        T(a_recipe_outlives_its_settings),
        T(a_record_made_up),
        T(leaving_while_probing),
        T(leaving_while_queued),
        N(too_many),
        T(a_dead_origin_keeps_nobody_else_waiting),
        T(all_of_a_dead_origin_have_one_limit),
        T(who_is_late_is_told),
        T(made_of_what_is_there),
        T(head_of_what_others_make),
        T(what_it_is_made_of_fails),
        N(leaving_what_others_make),
        N(late_is_what_it_is_made_of),
        T(another_recipe_of_others),
        N(no_two_names_share_a_key),
        N(machines_in_names),
        N(all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
