// SPDX-License-Identifier: BSD-2-Clause

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "base/tasks.h"
#include "cache/origin.h"
#include "cache/source.h"
#include "cache/transfer.h"
#include "config/conf.h"
#include "test/unit/origin_server.h"

#define BLOCK 4096
#define BLOCKS 64
#define SIZE (BLOCKS * BLOCK - 100) // the last block is short

static const struct conf settings = {
    .cache_source_blocks = 1 << 20,
    .cache_negative = 3000,
    .origin_fresh = 10000,
    .origin_block = BLOCK,
    .origin_first_read = 2 * BLOCK,
    .origin_read_max = 16 * BLOCK,
};

// Whether reading takes a while, so that the origin has threads for it.
static bool far;
static struct tasks *threads;

// An origin in memory that counts, fails and makes its callers wait on demand.
struct fake {
    struct origin origin;
    pthread_mutex_t lock; // protects the rest
    pthread_cond_t change;
    int64_t size;
    int version;
    bool weak;
    bool gate;   // reads wait
    int waiting; // at the gate
    int fail;    // what the next calls return, times times
    int times;
    int64_t limit; // of the bytes that a read brings before it waits
    int64_t cut;   // the next read fails behind so many; -1: it does not
    int reads, stats;
    int cancelled;
    int64_t bytes, most; // of all reads, of one
};

static uint8_t byte_at(int version, int64_t offset)
{
    return (uint8_t)(offset * 31 + offset / 251 + version * 101);
}

static void describe(const struct fake *f, struct origin_version *v)
{
    *v = (struct origin_version){ .size = f->size, .weak = f->weak };
    snprintf(v->validator, sizeof v->validator, "v%d", f->version);
}

// With the lock held.
static int wait_while(struct fake *f, const bool *shut, const struct cancel *cancel)
{
    f->waiting++;
    pthread_cond_broadcast(&f->change);
    while (*shut && !cancel_is_set(cancel))
        cond_wait_until(&f->change, &f->lock, clock_ms() + 10);
    f->waiting--;
    f->cancelled += cancel_is_set(cancel);
    pthread_cond_broadcast(&f->change);
    return cancel_is_set(cancel) ? -E_CANCELLED : 0;
}

// With the lock held.
static int pass_gate(struct fake *f, const struct cancel *cancel)
{
    const int rc = wait_while(f, &f->gate, cancel);
    if (rc < 0 || f->times == 0)
        return rc;
    f->times--;
    return f->fail;
}

// With the lock held.  Before byte number at of a read.
static int pass_limit(struct fake *f, int64_t at, const struct cancel *cancel)
{
    if (at == f->cut) {
        f->cut = -1;
        return -E_ORIGIN;
    }
    for (bool shut = true; at >= f->limit;) {
        f->waiting++;
        pthread_cond_broadcast(&f->change);
        cond_wait_until(&f->change, &f->lock, clock_ms() + 10);
        f->waiting--;
        if (cancel_is_set(cancel))
            return wait_while(f, &shut, cancel);
    }
    return 0;
}

static int fake_read(struct origin *o, const char *path, const struct origin_version *want,
                     int64_t offset, int64_t n, struct buf *out, struct origin_version *got,
                     struct origin_progress *progress, const struct cancel *cancel)
{
    struct fake *f = (struct fake *)o;
    (void)path;
    buf_clear(out);
    lock(&f->lock);
    f->reads++;
    int rc = pass_gate(f, cancel);
    describe(f, got);
    if (want)
        assert_true(offset + n <= want->size);
    f->most = n > f->most ? n : f->most;
    const int version = f->version;
    for (int64_t i = 0; rc == 0 && i < n && offset + i < f->size; i++) {
        if (far && i > 0 && (i % 1000 == 0 || i == f->limit))
            progress->came(progress, got, i);
        rc = pass_limit(f, i, cancel);
        const uint8_t byte = byte_at(version, offset + i);
        if (rc == 0)
            assert_int_equal(buf_append(out, &byte, 1), 0);
        f->bytes += rc == 0;
    }
    unlock(&f->lock);
    if (rc < 0)
        buf_clear(out);
    // Like an origin that ignores If-Match: source has to look itself.
    return rc;
}

static int fake_stat(struct origin *o, const char *path, struct origin_version *got,
                     const struct cancel *cancel)
{
    struct fake *f = (struct fake *)o;
    (void)path;
    lock(&f->lock);
    f->stats++;
    const int rc = pass_gate(f, cancel);
    describe(f, got);
    unlock(&f->lock);
    return rc;
}

static void fake_init(struct fake *f)
{
    *f = (struct fake){ .origin = { .read = fake_read, .stat = fake_stat },
                        .size = SIZE,
                        .limit = INT64_MAX,
                        .cut = -1 };
    f->origin.threads = far ? threads : NULL;
    pthread_mutex_init(&f->lock, NULL);
    cond_init(&f->change);
}

static void shut_gate(struct fake *f)
{
    lock(&f->lock);
    f->gate = true;
    unlock(&f->lock);
}

static void open_gate(struct fake *f)
{
    lock(&f->lock);
    f->gate = false;
    pthread_cond_broadcast(&f->change);
    unlock(&f->lock);
}

// How many bytes a read brings before it waits.
static void set_limit(struct fake *f, int64_t limit)
{
    lock(&f->lock);
    f->limit = limit;
    pthread_cond_broadcast(&f->change);
    unlock(&f->lock);
}

static void await_waiting(struct fake *f, int count)
{
    lock(&f->lock);
    while (f->waiting < count)
        cond_wait_until(&f->change, &f->lock, clock_ms() + 10);
    unlock(&f->lock);
}

static void check_bytes(const uint8_t *bytes, int version, int64_t offset, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (bytes[i] != byte_at(version, offset + i))
            fail_msg("version %d: wrong byte at %lld", version, (long long)(offset + i));
}

static void check_read(struct source *s, int version, int64_t offset, int64_t n)
{
    const int64_t size = source_version(s)->size;
    const int64_t left = offset < size ? size - offset : 0;
    uint8_t *out = xmalloc((size_t)n + 1);
    out[n] = 0xee;
    assert_int_equal(source_read(s, offset, out, n, NULL), n < left ? n : left);
    check_bytes(out, version, offset, n < left ? n : left);
    assert_int_equal(out[n], 0xee);
    free(out);
}

static struct source *must_open(struct source_cache *c, struct fake *f, const char *path,
                                int64_t now_ms)
{
    struct source *s;
    assert_int_equal(source_open(c, &f->origin, path, now_ms, NULL, &s), 0);
    assert_string_equal(source_path(s), path);
    return s;
}

static void expect(const struct fake *f, int reads, int stats)
{
    assert_int_equal(f->reads, reads);
    assert_int_equal(f->stats, stats);
}

// ---- blocks

static void reads_any_range(void **state)
{
    (void)state;
    static const int64_t budgets[] = { 1 << 20, 8 * BLOCK, BLOCK, 1, 0 };
    static const struct {
        int64_t offset, n;
    } ranges[] = {
        { 0, 1 },          { 0, SIZE },           { 5, SIZE },
        { BLOCK - 1, 2 },  { BLOCK, BLOCK },      { SIZE - 1, 1 },
        { SIZE - 1, 2 },   { SIZE, 1 },           { SIZE + 10, 10 },
        { 3, 20 * BLOCK }, { 40 * BLOCK, BLOCK }, { 0, 0 },
        { INT64_MAX, 1 },  { SIZE - 3, BLOCK },   { 7 * BLOCK + 7, 33 * BLOCK },
    };
    for (size_t b = 0; b < countof(budgets); b++) {
        struct fake f;
        fake_init(&f);
        struct conf conf = settings;
        conf.cache_source_blocks = budgets[b];
        struct source_cache *c = source_cache_create(&conf);
        struct source *s = must_open(c, &f, "a", 0);
        for (size_t i = 0; i < countof(ranges); i++) {
            check_read(s, 0, ranges[i].offset, ranges[i].n);
            assert_in_range(stat_get(STAT_source_block_bytes), 0, budgets[b]);
        }
        uint8_t x[1];
        assert_int_equal(source_read(s, 0, x, INT64_MAX / 2, &(struct cancel){ true }),
                         -E_CANCELLED);
        assert_int_equal(source_read(s, -1, x, 1, NULL), -E_BAD_REQUEST);
        assert_int_equal(source_read(s, 0, x, -1, NULL), -E_BAD_REQUEST);
        assert_true(f.most <= settings.origin_read_max);
        source_close(&s);
        assert_null(s);
        source_close(&s);
        source_cache_destroy(c);
        assert_int_equal(stat_get(STAT_source_block_bytes), 0);
    }
    source_cache_destroy(NULL);
}

static void fetches_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        int64_t offset, n; // in blocks
        int reads;         // that it costs
        int64_t blocks;    // that they bring
    } steps[] = {
        { 0, 2, 0, 0 },    // came with the first read
        { 1, 3, 1, 8 },    // and what follows, in one and some ahead
        { 0, 10, 0, 0 },   // all here
        { 12, 1, 1, 1 },   // elsewhere: no more than that
        { 11, 4, 2, 3 },   // around what is here
        { 20, 40, 3, 40 }, // no larger than read_max
        { 60, 4, 1, 4 },   // not past the end
        { 0, 64, 2, 6 },   //
        { 0, 64, 0, 0 },
    };
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0);
    expect(&f, 1, 0);
    assert_int_equal(f.bytes, 2 * BLOCK);
    for (size_t i = 0; i < countof(steps); i++) {
        const int reads = f.reads;
        const int64_t bytes = f.bytes;
        check_read(s, 0, steps[i].offset * BLOCK, steps[i].n * BLOCK);
        assert_int_equal(f.reads - reads, steps[i].reads);
        assert_int_equal((f.bytes - bytes + BLOCK - 1) / BLOCK, steps[i].blocks);
    }
    assert_int_equal(f.bytes, SIZE);
    assert_int_equal(stat_get(STAT_source_block_bytes), SIZE);
    source_close(&s);
    source_cache_destroy(c);
}

static void says_what_is_here(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0);
    assert_true(source_has(s, 0, 2 * BLOCK)); // by the first read
    assert_false(source_has(s, 0, 2 * BLOCK + 1));
    check_read(s, 0, SIZE - 1, 1);
    assert_true(source_has(s, SIZE - 1, INT64_MAX));
    assert_false(source_has(s, SIZE - BLOCK - 1, BLOCK));
    assert_true(source_has(s, SIZE, 1)); // what cannot be read is not waited for
    assert_true(source_has(s, -1, 1));
    expect(&f, 2, 0); // nothing was asked for
    source_close(&s);
    source_cache_destroy(c);
}

static void fetches_what_is_wanted(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0);
    source_want(s, 10 * BLOCK + 5, 6 * BLOCK); // blocks 10 to 16
    source_want(s, 16 * BLOCK, 3 * BLOCK);     // to 18: met by no read of block 12
    expect(&f, 1, 0);
    check_read(s, 0, 12 * BLOCK, 10);
    expect(&f, 2, 0);
    assert_int_equal(f.bytes, (2 + 7) * BLOCK);
    check_read(s, 0, 10 * BLOCK, 7 * BLOCK);
    expect(&f, 2, 0);
    check_read(s, 0, 16 * BLOCK, BLOCK + 1); // meets the second hint
    expect(&f, 3, 0);
    check_read(s, 0, 16 * BLOCK, 3 * BLOCK);
    expect(&f, 3, 0);

    source_want(s, 20 * BLOCK, INT64_MAX); // more than one read takes, past the end
    check_read(s, 0, 30 * BLOCK, 1);
    expect(&f, 4, 0);
    check_read(s, 0, 30 * BLOCK, 16 * BLOCK);
    expect(&f, 4, 0);
    check_read(s, 0, 20 * BLOCK, 1);
    check_read(s, 0, 60 * BLOCK, 1);
    expect(&f, 6, 0);
    // All but 2 to 9, 19, and 46 and 47, which the last one had no room for.
    assert_int_equal(stat_get(STAT_source_block_bytes), SIZE - 11 * BLOCK);

    // What cannot be wanted, and more hints than are kept.
    source_want(s, -1, 10);
    source_want(s, 0, -1);
    source_want(s, 0, 0);
    source_want(s, SIZE, 1);
    source_want(s, INT64_MAX, INT64_MAX);
    for (int i = 0; i < 1000; i++)
        source_want(s, i % BLOCKS * BLOCK, 1 + i);
    check_read(s, 0, 0, SIZE);
    assert_int_equal(f.bytes, SIZE);
    source_close(&s);
    source_cache_destroy(c);
}

// Who asks next to a folder waits for all that is read with it, which is therefore not much.
static void reads_little_at_once_nearby(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fake f;
        fake_init(&f);
        f.size = 3 * MIB;
        f.origin.threads = i ? tasks_create("far", 1) : NULL;
        struct conf conf = settings;
        conf.origin_read_max = 8 * MIB;
        struct source_cache *c = source_cache_create(&conf);
        struct source *s = must_open(c, &f, "a", 0);
        source_want(s, 0, 3 * MIB);
        check_read(s, 0, MIB / 2, 1);
        source_close(&s);
        source_cache_destroy(c);
        assert_int_equal(f.most, i ? 3 * MIB - 2 * BLOCK : MIB);
        tasks_destroy(f.origin.threads);
    }
}

// A hint is followed once, not again for blocks that were evicted since.
static void forgets_what_was_wanted(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct conf conf = settings;
    conf.cache_source_blocks = 0;
    struct source_cache *c = source_cache_create(&conf);
    struct source *s = must_open(c, &f, "a", 0);
    source_want(s, 10 * BLOCK, 6 * BLOCK);
    for (int i = 0; i < 3; i++)
        check_read(s, 0, 12 * BLOCK, 1);
    assert_int_equal(f.bytes, (2 + 6 + 1 + 1) * BLOCK);
    source_close(&s);
    source_cache_destroy(c);
}

// Nor is what is here a hint for when it will have been evicted.
static void what_is_here_is_not_wanted(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct conf conf = settings;
    conf.cache_source_blocks = 6 * BLOCK;
    struct source_cache *c = source_cache_create(&conf);
    struct source *s = must_open(c, &f, "a", 0);
    check_read(s, 0, 10 * BLOCK, 6 * BLOCK);
    source_want(s, 10 * BLOCK, 6 * BLOCK);
    check_read(s, 0, 30 * BLOCK, 6 * BLOCK);
    assert_int_equal(f.bytes, (2 + 6 + 6) * BLOCK);
    check_read(s, 0, 12 * BLOCK, 1);
    assert_int_equal(f.bytes, (2 + 6 + 6 + 1) * BLOCK);
    source_close(&s);
    source_cache_destroy(c);
}

// Pieces of three blocks, as no reader asks for whole runs.
static void pass_all(struct source *s)
{
    uint8_t out[3 * BLOCK];
    for (int64_t at = 0; at < SIZE; at += (int64_t)sizeof out) {
        const int64_t n = source_pass(s, at, out, sizeof out, NULL);
        assert_true(n > 0);
        check_bytes(out, 0, at, n);
    }
}

// Four times what the cache holds is read once, and what somebody reads stays; what was passed
// over first, too.
static void what_is_passed_leaves_first(void **state)
{
    (void)state;
    static const char *const paths[] = { "b", "c", "d", "e" };
    struct fake f;
    fake_init(&f);
    struct conf conf = settings;
    conf.cache_source_blocks = BLOCKS * BLOCK;
    struct source_cache *c = source_cache_create(&conf);
    struct source *a = must_open(c, &f, "a", 0), *b = must_open(c, &f, paths[0], 0);
    check_read(a, 0, 0, 10 * BLOCK);
    pass_all(b);
    check_read(b, 0, 20 * BLOCK, 10 * BLOCK);
    const int reads = f.reads;
    const int64_t bytes = f.bytes;
    for (size_t i = 1; i < countof(paths); i++) {
        struct source *s = must_open(c, &f, paths[i], 0);
        pass_all(s);
        source_close(&s);
    }
    assert_int_equal(f.bytes - bytes, 3 * SIZE); // nothing twice
    assert_in_range(f.reads - reads, 3 * BLOCKS / 16, 3 * (1 + BLOCKS / 8));
    assert_in_range(stat_get(STAT_source_block_bytes), (BLOCKS - 1) * BLOCK, BLOCKS * BLOCK);
    check_read(a, 0, 0, 10 * BLOCK);
    check_read(b, 0, 20 * BLOCK, 10 * BLOCK);
    assert_int_equal(f.bytes - bytes, 3 * SIZE);
    source_close(&a);
    source_close(&b);
    source_cache_destroy(c);
}

static void brings_what_will_be_read(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0);
    const int64_t hits = stat_get(STAT_source_blocks_hit_total);
    source_want(s, 10 * BLOCK, 20 * BLOCK);
    assert_int_equal(source_bring(s, 10 * BLOCK + 7, 20 * BLOCK - 7, NULL), 0);
    expect(&f, 3, 0); // the opening, and two reads
    assert_int_equal(source_bring(s, SIZE - 1, 100, NULL), 0);
    assert_int_equal(source_bring(s, SIZE, 100, NULL), 0);
    expect(&f, 4, 0);
    assert_int_equal(source_bring(s, 10 * BLOCK, 20 * BLOCK, NULL), 0);
    assert_int_equal(stat_get(STAT_source_blocks_hit_total), hits); // nobody read them
    check_read(s, 0, 10 * BLOCK, 20 * BLOCK);
    check_read(s, 0, SIZE - 1, 100);
    expect(&f, 4, 0);
    f.fail = -E_ORIGIN;
    f.times = 1;
    assert_int_equal(source_bring(s, 40 * BLOCK, 1, NULL), -E_ORIGIN);
    assert_int_equal(source_bring(s, -1, 1, NULL), -E_BAD_REQUEST);
    source_close(&s);
    source_cache_destroy(c);
}

// ---- single flight

struct reader {
    struct source_cache *cache;
    struct fake *fake;
    struct source *source; // opened by the thread when NULL
    struct cancel *cancel;
    int64_t offset, n;
    int64_t result;
};

static void *run_reader(void *arg)
{
    struct reader *r = arg;
    uint8_t *out = xmalloc((size_t)r->n);
    struct source *s = r->source ? source_ref(r->source) : NULL;
    if (!s)
        r->result = source_open(r->cache, &r->fake->origin, "a", 0, r->cancel, &s);
    if (s)
        r->result = source_read(s, r->offset, out, r->n, r->cancel);
    if (r->result > 0)
        check_bytes(out, 0, r->offset, r->result);
    source_close(&s);
    free(out);
    return NULL;
}

static void asks_once_for_many(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct reader r[20];
    pthread_t t[20];
    shut_gate(&f);
    for (int i = 0; i < 20; i++) {
        r[i] = (struct reader){ .cache = c, .fake = &f, .offset = 3 * BLOCK, .n = 8 * BLOCK };
        t[i] = thread_start("reader", run_reader, &r[i]);
    }
    await_waiting(&f, 1);
    open_gate(&f);
    for (int i = 0; i < 20; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(r[i].result, 8 * BLOCK);
    }
    expect(&f, 2, 0);
    assert_int_equal(f.bytes, (2 + 8) * BLOCK);
    source_cache_destroy(c);
}

// Who asked first is cancelled while others wait: they hear nothing of it.
static void a_cancelled_asker_hurts_nobody(void **state)
{
    (void)state;
    for (int opening = 0; opening <= 1; opening++) {
        struct fake f;
        fake_init(&f);
        struct source_cache *c = source_cache_create(&settings);
        struct source *s = opening ? NULL : must_open(c, &f, "a", 0);
        const int before = f.reads;
        struct cancel cancel = { false };
        struct reader r[5];
        pthread_t t[5];
        shut_gate(&f);
        for (int i = 0; i < 5; i++) {
            r[i] = (struct reader){ .cache = c,
                                    .fake = &f,
                                    .source = s,
                                    .cancel = i ? NULL : &cancel,
                                    .offset = opening ? 0 : 5 * BLOCK,
                                    .n = BLOCK };
            t[i] = thread_start("reader", run_reader, &r[i]);
            await_waiting(&f, 1);
        }
        atomic_store(&cancel.set, true);
        pthread_join(t[0], NULL);
        assert_int_equal(r[0].result, -E_CANCELLED);
        open_gate(&f);
        for (int i = 1; i < 5; i++) {
            pthread_join(t[i], NULL);
            assert_int_equal(r[i].result, BLOCK);
        }
        // Those who came when he had gone, if all others did, asked again, together.
        assert_in_range(f.reads - before, 1, 2);
        source_close(&s);
        source_cache_destroy(c);
    }
}

// A waiter can leave while the asker goes on.
static void lets_a_waiter_go(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct cancel cancel = { false };
    struct reader asker = { .cache = c, .fake = &f, .n = BLOCK }, waiter = asker;
    waiter.cancel = &cancel;
    shut_gate(&f);
    pthread_t a = thread_start("asker", run_reader, &asker);
    await_waiting(&f, 1);
    pthread_t w = thread_start("waiter", run_reader, &waiter);
    atomic_store(&cancel.set, true);
    pthread_join(w, NULL);
    assert_int_equal(waiter.result, -E_CANCELLED);
    open_gate(&f);
    pthread_join(a, NULL);
    assert_int_equal(asker.result, BLOCK);
    expect(&f, 1, 0);
    source_cache_destroy(c);
}

static void shares_a_failure_but_forgets_it(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0);
    struct reader r[8];
    pthread_t t[8];
    shut_gate(&f);
    f.fail = -E_ORIGIN;
    f.times = 1;
    int failed = 0;
    for (int i = 0; i < 8; i++) {
        r[i] = (struct reader){ .source = s, .offset = 5 * BLOCK, .n = BLOCK };
        t[i] = thread_start("reader", run_reader, &r[i]);
    }
    await_waiting(&f, 1);
    open_gate(&f);
    for (int i = 0; i < 8; i++) {
        pthread_join(t[i], NULL);
        assert_true(r[i].result == -E_ORIGIN || r[i].result == BLOCK);
        failed += r[i].result < 0;
    }
    // Those who came late asked again, together.
    assert_in_range(failed, 1, 8);
    check_read(s, 0, 5 * BLOCK, BLOCK);
    expect(&f, 3, 0);
    source_close(&s);
    source_cache_destroy(c);
}

// ---- bytes that come

static void gives_bytes_while_they_come(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    set_limit(&f, BLOCK + 5);
    struct source *s = must_open(c, &f, "a", 0); // the version came with the first byte
    check_read(s, 0, 0, BLOCK + 5);
    assert_true(source_has(s, 0, BLOCK));
    assert_false(source_has(s, 0, BLOCK + 1)); // not all of that block
    set_limit(&f, INT64_MAX);
    check_read(s, 0, 0, 2 * BLOCK);

    set_limit(&f, 3 * BLOCK);
    source_want(s, 10 * BLOCK, 10 * BLOCK);
    check_read(s, 0, 10 * BLOCK, BLOCK);
    check_read(s, 0, 12 * BLOCK, BLOCK); // somebody else, perhaps
    struct reader later = { .source = s, .offset = 12 * BLOCK + 1, .n = 3 * BLOCK };
    pthread_t t = thread_start("later", run_reader, &later);
    await_waiting(&f, 1);
    set_limit(&f, INT64_MAX);
    pthread_join(t, NULL);
    assert_int_equal(later.result, 3 * BLOCK);
    check_read(s, 0, 10 * BLOCK, 10 * BLOCK); // what was wanted comes with nobody waiting
    expect(&f, 2, 0);
    source_close(&s);
    source_cache_destroy(c);
}

// It is on its way before somebody waits for it; but one read is, however much is wanted.
static void hurries_for_what_is_wanted(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    set_limit(&f, 1);
    struct source *s = must_open(c, &f, "a", 0);
    for (int i = 10; i < 60; i += 5)
        source_want(s, i * BLOCK, 5 * BLOCK);
    await_waiting(&f, 2); // the opening's read, and another
    expect(&f, 2, 0);
    set_limit(&f, INT64_MAX);
    check_read(s, 0, 0, 2 * BLOCK);
    check_read(s, 0, 10 * BLOCK, 5 * BLOCK);
    expect(&f, 2, 0);
    check_read(s, 0, 15 * BLOCK, 5 * BLOCK); // is still a hint
    expect(&f, 3, 0);
    source_close(&s);
    source_cache_destroy(c);
}

static void await_cancelled(struct fake *f, int count)
{
    lock(&f->lock);
    while (f->cancelled < count)
        cond_wait_until(&f->change, &f->lock, clock_ms() + 10);
    unlock(&f->lock);
}

// The last one of those who wait for it is cancelled: what comes then is for nobody.
static void cuts_what_nobody_waits_for(void **state)
{
    (void)state;
    for (int opening = 0; opening <= 1; opening++) {
        struct fake f;
        fake_init(&f);
        struct source_cache *c = source_cache_create(&settings);
        struct source *s = opening ? NULL : must_open(c, &f, "a", 0);
        struct cancel cancel = { false };
        struct reader r[2];
        pthread_t t[2];
        set_limit(&f, opening ? 0 : BLOCK);
        for (int i = 0; i < 2; i++) {
            r[i] = (struct reader){ .cache = c, .fake = &f, .source = s, .cancel = &cancel };
            r[i].offset = (5 + i) * BLOCK;
            r[i].n = 3 * BLOCK;
            t[i] = thread_start("reader", run_reader, &r[i]);
        }
        await_waiting(&f, 1);
        atomic_store(&cancel.set, true);
        for (int i = 0; i < 2; i++) {
            pthread_join(t[i], NULL);
            assert_int_equal(r[i].result, -E_CANCELLED);
        }
        await_cancelled(&f, 1);
        set_limit(&f, INT64_MAX);
        if (!s)
            s = must_open(c, &f, "a", 0); // asks anew
        check_read(s, 0, 5 * BLOCK, 3 * BLOCK);
        source_close(&s);
        source_cache_destroy(c);
    }
}

// The same when the bytes he waited for come in that moment.
static void cuts_what_came_too_late(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0);
    check_read(s, 0, 0, 2 * BLOCK);
    set_limit(&f, BLOCK);
    struct cancel cancel = { false };
    struct reader r = { .source = s, .cancel = &cancel, .offset = 2 * BLOCK, .n = 3 * BLOCK };
    pthread_t t = thread_start("reader", run_reader, &r);
    await_waiting(&f, 1);
    atomic_store(&cancel.set, true);
    set_limit(&f, 4 * BLOCK); // of eight, as he is likely to go on
    pthread_join(t, NULL);
    assert_int_equal(r.result, -E_CANCELLED);
    await_cancelled(&f, 1);
    source_close(&s);
    source_cache_destroy(c);
}

// A read that breaks off fails who waits for what did not come, and nobody else.
static void a_cut_fails_who_waits_behind_it(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0);
    check_read(s, 0, 0, 2 * BLOCK);
    lock(&f.lock);
    f.limit = 2 * BLOCK + 10;
    f.cut = 2 * BLOCK + 20;
    unlock(&f.lock);
    struct reader behind = { .source = s, .offset = 10 * BLOCK, .n = 3 * BLOCK };
    pthread_t t = thread_start("behind", run_reader, &behind);
    await_waiting(&f, 1);
    check_read(s, 0, 10 * BLOCK, BLOCK);
    check_read(s, 0, 12 * BLOCK, 10);
    set_limit(&f, INT64_MAX);
    pthread_join(t, NULL);
    assert_int_equal(behind.result, -E_ORIGIN);
    expect(&f, 2, 0);
    check_read(s, 0, 10 * BLOCK, 2 * BLOCK); // what came whole is kept
    expect(&f, 2, 0);
    check_read(s, 0, 12 * BLOCK, BLOCK);
    expect(&f, 3, 0);
    source_close(&s);
    source_cache_destroy(c);
}

static void ends_with_reads_under_way(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    set_limit(&f, 1);
    struct source *s = must_open(c, &f, "a", 0);
    check_read(s, 0, 30 * BLOCK, 1);
    source_close(&s);
    source_cache_destroy(c);
    assert_int_equal(f.cancelled, 2);
    assert_int_equal(stat_get(STAT_source_block_bytes), 0);
}

// ---- versions

static void trusts_a_version_for_a_while(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 1000), *t;
    t = must_open(c, &f, "a", 10999);
    assert_ptr_equal(s, t);
    source_close(&t);
    expect(&f, 1, 0);
    t = must_open(c, &f, "a", 11000); // asked again, and it is the same
    assert_ptr_equal(s, t);
    source_close(&t);
    expect(&f, 1, 1);
    check_read(s, 0, 0, 2 * BLOCK);
    expect(&f, 1, 1);
    source_close(&s);

    s = must_open(c, &f, "a", 20000); // nobody held it, and it is still here
    check_read(s, 0, 0, 2 * BLOCK);
    expect(&f, 1, 1);

    f.version = 1; // it is another now: old readers keep what is here
    t = must_open(c, &f, "a", 21000);
    assert_ptr_not_equal(s, t);
    expect(&f, 1, 2);
    check_read(s, 0, 0, 2 * BLOCK);
    check_read(t, 1, 0, 2 * BLOCK);
    expect(&f, 2, 2);
    uint8_t x;
    const int64_t changed = stat_get(STAT_source_changed_total);
    assert_int_equal(source_read(s, 50 * BLOCK, &x, 1, NULL), -E_CHANGED);
    assert_int_equal(stat_get(STAT_source_changed_total) - changed, 1);
    source_close(&s);
    s = must_open(c, &f, "a", 21001); // the new one was not forgotten with the old
    assert_ptr_equal(s, t);
    source_close(&s);
    source_close(&t);
    source_cache_destroy(c);
}

static void reads_again_without_blocks(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct conf conf = settings;
    conf.cache_source_blocks = 0;
    struct source_cache *c = source_cache_create(&conf);
    struct source *s = must_open(c, &f, "a", 0), *t = must_open(c, &f, "a", 10000);
    assert_ptr_equal(s, t);
    expect(&f, 2, 0);
    source_close(&s);
    source_close(&t);
    source_cache_destroy(c);
}

static void buries_what_changed(void **state)
{
    (void)state;
    for (int weak = 0; weak <= 1; weak++) {
        struct fake f;
        fake_init(&f);
        f.weak = weak;
        struct source_cache *c = source_cache_create(&settings);
        struct source *s = must_open(c, &f, "a", 0), *t;
        const int64_t changed = stat_get(STAT_source_changed_total);
        f.version = 1; // the same size
        uint8_t x[BLOCK];
        assert_int_equal(source_read(s, 5 * BLOCK, x, BLOCK, NULL), -E_CHANGED);
        assert_int_equal(source_read(s, 6 * BLOCK, x, BLOCK, NULL), -E_CHANGED);
        assert_int_equal(source_read(s, 0, x, BLOCK, NULL), -E_CHANGED); // though it was here
        assert_int_equal(stat_get(STAT_source_changed_total) - changed, 1);
        assert_int_equal(stat_get(STAT_source_block_bytes), 0);
        expect(&f, 2, 0);
        t = must_open(c, &f, "a", 1);
        assert_string_equal(source_version(t)->validator, "v1");
        check_read(t, 1, 0, SIZE);
        source_close(&s);
        source_close(&t);
        source_cache_destroy(c);
    }
}

static void remembers_what_is_not_there(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    struct source_cache *c = source_cache_create(&settings);
    struct source *s;
    f.fail = -E_NOT_FOUND;
    f.times = 1;
    assert_int_equal(source_open(c, &f.origin, "a", 0, NULL, &s), -E_NOT_FOUND);
    assert_null(s);
    assert_int_equal(source_open(c, &f.origin, "a", 2999, NULL, &s), -E_NOT_FOUND);
    expect(&f, 1, 0);
    s = must_open(c, &f, "a", 3000);
    expect(&f, 2, 0);

    // It goes away under a reader: what was remembered is asked for again.
    uint8_t x;
    f.times = 2;
    assert_int_equal(source_read(s, 9 * BLOCK, &x, 1, NULL), -E_NOT_FOUND);
    source_close(&s);
    assert_int_equal(source_open(c, &f.origin, "a", 3001, NULL, &s), -E_NOT_FOUND);
    expect(&f, 4, 0);

    // Other failures are not remembered.
    static const int codes[] = { -E_ORIGIN, -E_ORIGIN_TIMEOUT, -E_CHANGED, -E_CANCELLED };
    for (size_t i = 0; i < countof(codes); i++) {
        f.fail = codes[i];
        f.times = 1;
        assert_int_equal(source_open(c, &f.origin, "b", 0, NULL, &s), codes[i]);
    }
    s = must_open(c, &f, "b", 0);
    expect(&f, 9, 0);
    source_close(&s);
    assert_int_equal(source_open(c, &f.origin, "../b", 0, NULL, &s), -E_BAD_REQUEST);
    expect(&f, 9, 0);
    source_cache_destroy(c);
}

// A flood of unknown paths neither grows for ever nor drives out what is known.
static void bounds_what_it_remembers(void **state)
{
    (void)state;
    struct fake f;
    fake_init(&f);
    f.size = 10;
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "known", 0);
    source_close(&s);
    char path[32];
    f.fail = -E_NOT_FOUND;
    f.times = 5000;
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof path, "absent%d", i);
        assert_int_equal(source_open(c, &f.origin, path, 0, NULL, &s), -E_NOT_FOUND);
    }
    expect(&f, 5001, 0);
    assert_int_equal(source_open(c, &f.origin, "absent4999", 0, NULL, &s), -E_NOT_FOUND);
    expect(&f, 5001, 0);
    s = must_open(c, &f, "absent0", 0); // forgotten, and there by now
    source_close(&s);
    s = must_open(c, &f, "known", 0);
    source_close(&s);
    expect(&f, 5002, 0);
    for (int i = 0; i < 10500; i++) {
        snprintf(path, sizeof path, "clip%d", i);
        s = must_open(c, &f, path, 0);
        source_close(&s);
    }
    assert_in_range(stat_get(STAT_source_block_bytes), 9000 * 10, 10000 * 10);
    const int reads = f.reads;
    s = must_open(c, &f, "clip10499", 0);
    source_close(&s);
    assert_int_equal(f.reads, reads);
    s = must_open(c, &f, "known", 0);
    source_close(&s);
    assert_int_equal(f.reads, reads + 1);
    source_cache_destroy(c);
    assert_int_equal(stat_get(STAT_source_block_bytes), 0);
}

static void tells_origins_apart(void **state)
{
    (void)state;
    struct fake f, g;
    fake_init(&f);
    fake_init(&g);
    g.version = 1;
    struct source_cache *c = source_cache_create(&settings);
    struct source *s = must_open(c, &f, "a", 0), *t = must_open(c, &g, "a", 0);
    check_read(s, 0, 0, SIZE);
    check_read(t, 1, 0, SIZE);
    source_close(&s);
    source_close(&t);
    g.size = 0;
    t = must_open(c, &g, "empty", 0);
    check_read(t, 1, 0, 10);
    source_close(&t);
    source_cache_destroy(c);
}

// ---- all at once

struct walker {
    struct source_cache *cache;
    struct fake *fakes; // [2]
    atomic_int *clock;
    unsigned seed;
    int reads, changes, cancels;
};

static void walk(struct walker *w)
{
    struct fake *f = &w->fakes[rand_r(&w->seed) % 2];
    struct cancel cancel = { rand_r(&w->seed) % 50 == 0 };
    struct source *s;
    const int64_t now = atomic_fetch_add(w->clock, 1);
    int rc = source_open(w->cache, &f->origin, "a", now, &cancel, &s);
    for (int i = 0; rc == 0 && i < 5; i++) {
        const int version = atoi(source_version(s)->validator + 1);
        const int64_t offset = rand_r(&w->seed) % SIZE;
        uint8_t out[6 * BLOCK];
        if (rand_r(&w->seed) % 3 == 0)
            source_want(s, offset, rand_r(&w->seed) % (20 * BLOCK));
        const int64_t n = source_read(s, offset, out, rand_r(&w->seed) % (6 * BLOCK), &cancel);
        if (n >= 0)
            check_bytes(out, version, offset, n);
        rc = n < 0 ? (int)n : 0;
        w->reads++;
    }
    assert_true(rc == 0 || rc == -E_CHANGED || rc == -E_CANCELLED);
    w->changes += rc == -E_CHANGED;
    w->cancels += rc == -E_CANCELLED;
    source_close(&s);
    if (rand_r(&w->seed) % 40 == 0) {
        lock(&f->lock);
        f->version++;
        unlock(&f->lock);
    }
}

static void *run_walker(void *arg)
{
    struct walker *w = arg;
    for (int i = 0; i < 300; i++)
        walk(w);
    return NULL;
}

static void never_mixes_versions(void **state)
{
    (void)state;
    struct fake f[2];
    fake_init(&f[0]);
    fake_init(&f[1]);
    struct conf conf = settings;
    conf.cache_source_blocks = 40 * BLOCK;
    conf.origin_fresh = 20;
    struct source_cache *c = source_cache_create(&conf);
    atomic_int clock = 0;
    struct walker w[6];
    pthread_t t[6];
    for (unsigned i = 0; i < 6; i++) {
        w[i] = (struct walker){ .cache = c, .fakes = f, .clock = &clock, .seed = i };
        t[i] = thread_start("walker", run_walker, &w[i]);
    }
    struct walker all = { 0 };
    for (int i = 0; i < 6; i++) {
        pthread_join(t[i], NULL);
        all.reads += w[i].reads;
        all.changes += w[i].changes;
        all.cancels += w[i].cancels;
    }
    assert_in_range(stat_get(STAT_source_block_bytes), 0, 40 * BLOCK);
    assert_true(all.reads > 1000 && all.changes > 0 && all.cancels > 0);
    source_cache_destroy(c);
    assert_int_equal(stat_get(STAT_source_block_bytes), 0);
}

// ---- over HTTP

struct viewer {
    struct source_cache *cache;
    struct origin *origin;
    const uint8_t *content;
};

static void *run_viewer(void *arg)
{
    struct viewer *v = arg;
    struct source *s;
    uint8_t *out = xmalloc(1000000);
    assert_int_equal(source_open(v->cache, v->origin, "clip.mp4", 0, NULL, &s), 0);
    source_want(s, 200000, 300000);
    assert_int_equal(source_read(s, 200000, out, 50000, NULL), 50000);
    assert_memory_equal(out, v->content + 200000, 50000);
    assert_int_equal(source_read(s, 250000, out, 250000, NULL), 250000);
    assert_memory_equal(out, v->content + 250000, 250000);
    assert_int_equal(source_read(s, 990000, out, 50000, NULL), 10000);
    assert_memory_equal(out, v->content + 990000, 10000);
    source_close(&s);
    free(out);
    return NULL;
}

static struct origin_server_totals cost_of(const struct origin_server *server,
                                           const uint8_t *content, int viewers)
{
    char why[256];
    struct conf conf = settings;
    conf.origin_block = 32 * KIB;
    conf.origin_first_read = 64 * KIB;
    conf.origin_read_max = 8 * MIB;
    conf.cache_source_blocks = 64 * MIB;
    conf.origin_timeout = conf.origin_connect_timeout = 10000;
    conf.origin_connections = 16;
    origin_server_order(server, NULL);
    struct origin *o = origin_http_create(&conf, server->base, NULL, why, sizeof why);
    struct source_cache *c = source_cache_create(&conf);
    struct viewer v = { c, o, content };
    pthread_t t[20];
    for (int i = 0; i < viewers; i++)
        t[i] = thread_start("viewer", run_viewer, &v);
    for (int i = 0; i < viewers; i++)
        pthread_join(t[i], NULL);
    source_cache_destroy(c);
    o->destroy(o);
    return origin_server_totals(server);
}

static void costs_the_origin_one_viewer(void **state)
{
    (void)state;
    assert_int_equal(transfer_global_init(), 0);
    struct origin_server server;
    origin_server_start(&server);
    uint8_t *content = xmalloc(1000000);
    for (int i = 0; i < 1000000; i++)
        content[i] = byte_at(7, i);
    origin_server_put(&server, "clip.mp4", content, 1000000);
    const struct origin_server_totals one = cost_of(&server, content, 1);
    const struct origin_server_totals many = cost_of(&server, content, 20);
    assert_int_equal(one.requests, 3);
    // The head; blocks 6 to 15, for 200000 to 500000; the last, which is short.
    assert_int_equal(one.bytes, 2 * 32 * KIB + 10 * 32 * KIB + 1000000 % (32 * KIB));
    assert_int_equal(many.requests, one.requests);
    assert_int_equal(many.bytes, one.bytes);
    origin_server_stop(&server);
    free(content);
}

static int come_near(void **state)
{
    (void)state;
    far = false;
    return 0;
}

static int go_far(void **state)
{
    (void)state;
    far = true;
    threads = tasks_create("source", 8);
    return 0;
}

static int come_back(void **state)
{
    (void)state;
    tasks_destroy(threads);
    return 0;
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest near_tests[] = {
        cmocka_unit_test(reads_any_range),
        cmocka_unit_test(fetches_what_is_missing),
        cmocka_unit_test(says_what_is_here),
        cmocka_unit_test(fetches_what_is_wanted),
        cmocka_unit_test(reads_little_at_once_nearby),
        cmocka_unit_test(forgets_what_was_wanted),
        cmocka_unit_test(what_is_here_is_not_wanted),
        cmocka_unit_test(what_is_passed_leaves_first),
        cmocka_unit_test(brings_what_will_be_read),
        cmocka_unit_test(asks_once_for_many),
        cmocka_unit_test(lets_a_waiter_go),
        cmocka_unit_test(shares_a_failure_but_forgets_it),
        cmocka_unit_test(trusts_a_version_for_a_while),
        cmocka_unit_test(reads_again_without_blocks),
        cmocka_unit_test(buries_what_changed),
        cmocka_unit_test(remembers_what_is_not_there),
        cmocka_unit_test(bounds_what_it_remembers),
        cmocka_unit_test(tells_origins_apart),
        cmocka_unit_test(never_mixes_versions),
    };
    const struct CMUnitTest far_tests[] = {
        cmocka_unit_test(reads_any_range),
        cmocka_unit_test(asks_once_for_many),
        cmocka_unit_test(a_cancelled_asker_hurts_nobody),
        cmocka_unit_test(lets_a_waiter_go),
        cmocka_unit_test(gives_bytes_while_they_come),
        cmocka_unit_test(hurries_for_what_is_wanted),
        cmocka_unit_test(cuts_what_nobody_waits_for),
        cmocka_unit_test(cuts_what_came_too_late),
        cmocka_unit_test(a_cut_fails_who_waits_behind_it),
        cmocka_unit_test(ends_with_reads_under_way),
        cmocka_unit_test(tells_origins_apart),
        cmocka_unit_test(never_mixes_versions),
        cmocka_unit_test(costs_the_origin_one_viewer),
    };
    return cmocka_run_group_tests_name("near", near_tests, come_near, NULL) +
           cmocka_run_group_tests_name("far", far_tests, go_far, come_back);
}
