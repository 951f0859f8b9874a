// SPDX-License-Identifier: BSD-2-Clause
//
// sched_tools - the scheduler over workers that are puppets: each reads its source byte by byte
// and does what the byte says, and the source is a script that can wait for the
// test.  So a test decides what happens, and in which order.

#ifndef TEST_UNIT_SCHED_TOOLS_H
#define TEST_UNIT_SCHED_TOOLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "base/wanted.h"
#include "cache/object.h"
#include "cache/source.h"
#include "config/conf.h"
#include "server/sched.h"
#include "server/worker.h"
#include "server/zygote.h"
#include "test/unit/fake_worker.h"
#include "test/unit/media_tools.h"

#define BLOCK 4096
#define SIZE (64 * BLOCK)
#define SCRIPT_BLOCKS 60 // of the source; what is read behind them is no part of the script
#define PATIENCE_MS 60000

// ---- the script of a source
//   a-z  is appended      D  done                  C  a crash
//   U    unsupported      S  start earlier         H  the worker hangs
//   |    the origin waits until it is let go (or cancelled)
//   ~    the origin takes longer than the job has time
//   E    the origin fails
//   L    done, and a decoder is left behind the first picture
// Of several rungs:
//   0-7  what is appended next is of that one
//   .    it is whole
//   +    waits for one that joins, and takes it
//   -    waits for it, and refuses
//   !    waits for one that is dropped

struct script {
    const char *text;
    int at;
    int passed; // gates that were let go
};

static struct world {
    struct origin origin;
    pthread_mutex_t lock; // protects the rest
    pthread_cond_t change;
    struct script scripts[16];
    int waiting; // at gates
    char order[64];
    int done_count;
} world;

static inline int wait_at_gate(struct script *s, const struct cancel *cancel)
{
    world.waiting++;
    pthread_cond_broadcast(&world.change);
    while (s->passed == 0 && !cancel_is_set(cancel))
        cond_wait_until(&world.change, &world.lock, clock_ms() + 5);
    world.waiting--;
    if (cancel_is_set(cancel))
        return -E_CANCELLED;
    s->passed--;
    return 0;
}

static inline int next_byte(struct script *s, const struct cancel *cancel, char *c)
{
    for (;;) {
        *c = s->text[s->at];
        assert_true(*c);
        s->at++;
        if (*c == '~') {
            const int64_t late = clock_ms() + 80;
            while (clock_ms() < late)
                cond_wait_until(&world.change, &world.lock, late);
        } else if (*c != '|') {
            return *c == 'E' ? -E_ORIGIN : 0;
        } else if (wait_at_gate(s, cancel) < 0) {
            return -E_CANCELLED;
        }
    }
}

static inline void describe(struct origin_version *v)
{
    *v = (struct origin_version){ .size = SIZE };
    strcpy(v->validator, "v");
}

static inline int script_stat(struct origin *o, const char *path, struct origin_version *got,
                              const struct cancel *cancel)
{
    (void)o, (void)path, (void)cancel;
    describe(got);
    return 0;
}

static inline int script_read(struct origin *o, const char *path, const struct origin_version *want,
                              int64_t offset, int64_t n, struct buf *out,
                              struct origin_version *got, struct origin_progress *progress,
                              const struct cancel *cancel)
{
    (void)o, (void)progress;
    char c = 'x';
    int rc = 0;
    buf_clear(out);
    describe(got);
    lock(&world.lock);
    if (want && offset < SCRIPT_BLOCKS * BLOCK) // not the opening
        rc = next_byte(&world.scripts[path[0] - 'a'], cancel, &c);
    unlock(&world.lock);
    return rc < 0 ? rc : buf_fill(out, (uint8_t)c, (size_t)n);
}

// ---- the puppet

// What it was told, and not yet asked for by the script.
struct heard {
    bool cancelled;
    int joins, drops;
};

static inline void hear_order(struct wire_message *m, struct heard *h)
{
    hear_any(m);
    h->joins += m->type == WIRE_JOIN;
    h->drops += m->type == WIRE_DROP;
    h->cancelled |= m->type == WIRE_CANCEL;
}

static inline char read_byte(struct wire_message *m, int i, struct heard *h)
{
    ask(1, (uint64_t)(i % SCRIPT_BLOCKS) * BLOCK, 1);
    do
        hear_order(m, h);
    while (m->type != WIRE_DATA);
    return m->payload.len == 9 ? (char)m->payload.data[8] : '\0';
}

static inline void answer_join(struct wire_message *m, struct heard *h, int rung, bool taken)
{
    const uint8_t answer[2] = { (uint8_t)rung, taken };
    while (h->joins == 0 && !h->cancelled)
        hear_order(m, h);
    h->joins--;
    say(WIRE_JOINED, answer, sizeof answer);
}

static inline void expect_drop(struct wire_message *m, struct heard *h)
{
    while (h->drops == 0 && !h->cancelled)
        hear_order(m, h);
    h->drops--;
}

// leaves: a decoder, which then stays.
static inline void say_all_done(const struct job *j, int64_t bytes, bool leaves)
{
    static struct job_stats s = { .frames_decoded = 5 };
    if (leaves) {
        s.left_count = 1;
        s.left[0] = (struct left_decoder){ j->source, j->picks[0].pts, j->samples[0].offset };
    }
    s.bytes = bytes;
    say_stats(&s);
}

static inline void obey(struct wire_message *m, const struct job *j)
{
    struct heard heard = { 0 };
    int64_t bytes = 0;
    uint8_t rung = 0;
    int rungs = 1 + j->also_count;
    for (int i = 0;; i++) {
        const char c = read_byte(m, i, &heard);
        if (heard.cancelled || c == '\0') {
            say_fail(E_CANCELLED, "");
            return;
        }
        switch (c) {
        case 'D':
        case 'L':
            say_all_done(j, bytes, c == 'L');
            return;
        case 'U':
            say_fail(E_UNSUPPORTED, "no such thing");
            return;
        case 'S':
            say_fail(E_SEEK, "");
            return;
        case 'C':
            crash();
            return;
        case 'H':
            hang();
            return;
        case '+':
        case '-':
            answer_join(m, &heard, rungs++, c == '+');
            break;
        case '!':
            expect_drop(m, &heard);
            break;
        case '.':
            say(WIRE_END, &rung, 1);
            break;
        default:
            if (c >= '0' && c <= '7') {
                rung = (uint8_t)(c - '0');
                break;
            }
            say_some(rung, &c, 1);
            bytes++;
        }
    }
}

// ---- the server's side

static struct conf conf;

static const struct conf usual = {
    .workers_count = 1,
    .workers_probes = 1,
    .workers_queue = 8,
    .workers_queue_wait = 600000,
    .workers_job_time = 600000,
    .workers_probe_time = 600000,
    .workers_memory = 1 << 30,
    .workers_jobs = 500,
    .workers_poison = 600000,
    .workers_cancel = 5000,
    .cache_object = 100000,
    .origin_block = BLOCK,
    .origin_first_read = BLOCK,
    .origin_read_max = 65536, // read-ahead would read the script ahead
    .origin_fresh = 600000,
};

static struct zygote *zygote;
static struct source_cache *sources;
static struct tasks *threads; // that wait for the origin
static struct tasks *reads;   // of the origin
static int64_t wanted;        // what is prepared now; 0 at first
static struct sched *sched;

static inline void open_sched(void)
{
    char why[200] = "";
    reads = tasks_create("reads", 16);
    world =
        (struct world){ .origin = { .threads = reads, .read = script_read, .stat = script_stat } };
    pthread_mutex_init(&world.lock, NULL);
    cond_init(&world.change);
    zygote = zygote_start(&conf, why, sizeof why);
    assert_non_null(zygote);
    sources = source_cache_create(&conf);
    threads = tasks_create("origin", 4);
    sched = sched_create(&conf, zygote, why, sizeof why);
    assert_non_null(sched);
}

static inline void close_sched(void)
{
    sched_destroy(sched);
    tasks_destroy(threads);
    zygote_stop(zygote);
    source_cache_destroy(sources);
    tasks_destroy(reads);
}

static inline int setup(void **state)
{
    (void)state;
    conf = usual;
    wanted = 0;
    return 0;
}

// Blocks are kept, so a script is read once, a byte for a block; block 0 is that of
// the opening, an x.
static inline int setup_cache(void **state)
{
    (void)state;
    conf = usual;
    wanted = 0;
    conf.cache_source_blocks = 1 << 20;
    conf.origin_read_max = BLOCK;
    return 0;
}

struct errand {
    struct work work;
    struct job job;
    struct cancel cancel;
    struct object *object;
    char name;
    int begun, code, done;
    char detail[200];
};

static inline void begins(struct work *w)
{
    struct errand *const t = container_of(w, struct errand, work);
    lock(&world.lock);
    t->begun++;
    pthread_cond_broadcast(&world.change);
    unlock(&world.lock);
}

static inline void note_done(struct work *w, int code, const char *detail)
{
    struct errand *const t = container_of(w, struct errand, work);
    lock(&world.lock);
    t->code = code;
    copy_string(t->detail, sizeof t->detail, detail);
    t->done++;
    world.order[world.done_count++] = t->name;
    pthread_cond_broadcast(&world.change);
    unlock(&world.lock);
}

// name: of the source, which has the script, and of its version.
static inline void prepare(struct errand *t, char name, uint32_t client, const char *script)
{
    const char path[] = { name, '\0' };
    const struct key key = key_of(path, 1);
    *t = (struct errand){ .name = name };
    lock(&world.lock);
    world.scripts[name - 'a'] = (struct script){ .text = script };
    unlock(&world.lock);
    t->job = (struct job){ .kind = JOB_PROBE, .limits = { 1000, 1, 1000, 0, 1000 } };
    t->job.source_size = SIZE;
    t->object = object_create(&key, 100000, NULL);
    object_join(t->object);
    object_want(t->object, wanted);
    t->work = (struct work){
        .job = &t->job,
        .object = t->object,
        .cancel = &t->cancel,
        .threads = threads,
        .version = key,
        .client = client,
        .begins = begins,
        .done = note_done,
    };
    assert_int_equal(source_open(sources, &world.origin, path, clock_ms(), NULL, &t->work.source),
                     0);
}

static inline int submit(struct errand *t, struct work **out)
{
    return sched_submit(sched, &t->work, out);
}

static inline void start(struct errand *t, char name, uint32_t client, const char *script)
{
    struct work *out;
    prepare(t, name, client, script);
    assert_int_equal(submit(t, &out), 0);
    assert_null(out);
}

// An encode that reads that many samples of a block each, from block 1 on.
static inline void prepare_reading(struct errand *t, char name, uint32_t client, const char *script,
                                   int samples)
{
    struct media *const m = make_media(0, 3);
    assert_int_equal(media_finish(m), 0);
    prepare(t, name, client, script);
    t->job.kind = JOB_INIT;
    t->job.media = media_copy_head(m, 0);
    t->job.a = (struct audio_settings){ 48000, 2, 100, AUDIO_AAC };
    t->job.samples = xcalloc((size_t)samples + 1, sizeof *t->job.samples);
    t->job.sample_count = samples;
    for (int i = 0; i < samples; i++)
        t->job.samples[i] = (struct sample){ .offset = (i + 1) * BLOCK, .size = BLOCK };
    media_destroy(m);
}

static inline void start_reading(struct errand *t, char name, uint32_t client, const char *script,
                                 int samples)
{
    struct work *out;
    prepare_reading(t, name, client, script, samples);
    assert_int_equal(submit(t, &out), 0);
    assert_null(out);
}

static inline void start_encode(struct errand *t, char name, uint32_t client, const char *script)
{
    start_reading(t, name, client, script, 0);
}

static inline void wait_until_done(struct errand *t)
{
    lock(&world.lock);
    const int64_t end = clock_ms() + PATIENCE_MS;
    while (!t->done)
        assert_true(cond_wait_until(&world.change, &world.lock, end));
    unlock(&world.lock);
}

static inline void wait_until_gated(int n)
{
    lock(&world.lock);
    const int64_t end = clock_ms() + PATIENCE_MS;
    while (world.waiting != n)
        assert_true(cond_wait_until(&world.change, &world.lock, end));
    unlock(&world.lock);
}

static inline void wait_until_begun(struct errand *t)
{
    lock(&world.lock);
    const int64_t end = clock_ms() + PATIENCE_MS;
    while (!t->begun)
        assert_true(cond_wait_until(&world.change, &world.lock, end));
    unlock(&world.lock);
}

static inline void let_go(const struct errand *t)
{
    lock(&world.lock);
    world.scripts[t->name - 'a'].passed++;
    pthread_cond_broadcast(&world.change);
    unlock(&world.lock);
}

static inline void cancel(struct errand *t)
{
    atomic_store(&t->cancel.set, true);
    sched_cancel(sched, &t->work);
}

static inline void finish(struct errand *t)
{
    assert_int_equal(t->done, 1);
    object_fail(t->object, E_INTERNAL, NULL);
    object_leave(t->object);
    object_unref(&t->object);
    job_finish(&t->job);
    source_close(&t->work.source);
}

static inline void expect_bytes(const struct errand *t, const char *want)
{
    char got[100] = "";
    object_read(t->object, 0, got, sizeof got - 1);
    if (strcmp(got, want) != 0)
        fail_msg("%c: %s, not %s", t->name, got, want);
}

// ---- many threads

#define VISITORS 4
#define ROUNDS 40 // of each

// Lets each of them visit a scheduler, with its number as argument; in the end nothing is left
// there.
static inline void let_all_visit(void *(*visit)(void *))
{
    pthread_t visitors[VISITORS];
    int numbers[VISITORS];
    open_sched();
    for (int i = 0; i < VISITORS; i++) {
        numbers[i] = i;
        visitors[i] = thread_start("visitor", visit, &numbers[i]);
    }
    for (int i = 0; i < VISITORS; i++)
        pthread_join(visitors[i], NULL);
    assert_int_equal(sched_queued(sched), 0);
    assert_int_equal(stat_get(STAT_jobs_running), 0);
    close_sched();
}

#endif
