// SPDX-License-Identifier: BSD-2-Clause

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"
#include "cache/envelope.h"
#include "cache/tier.h"
#include "config/conf.h"
#include "test/unit/counters.h"

// A file of this body takes one block.
enum { BODY = 200, BLOCK = 4096 };

static char top[] = "/tmp/t_tier_disk.XXXXXX";
static char folder[sizeof top + 16];

static struct conf conf_with(int64_t budget)
{
    return (struct conf){ .cache_dir = folder, .cache_disk = budget };
}

static struct tier *created(int64_t budget)
{
    const struct conf conf = conf_with(budget);
    char why[300] = "";
    struct tier *t = tier_disk_create(&conf, why, sizeof why);
    if (!t)
        fail_msg("%s", why);
    return t;
}

static struct key name(int i)
{
    return key_of(&i, sizeof i);
}

static void body_of(int i, uint8_t *body)
{
    for (int at = 0; at < BODY; at++)
        body[at] = (uint8_t)(at * 3 + i);
}

static void put(struct tier *t, int i)
{
    const struct key k = name(i);
    uint8_t body[BODY];
    body_of(i, body);
    t->put(t, &k, body, BODY);
}

// What get says; a body must be the right one.
static int get(struct tier *t, int i)
{
    const struct key k = name(i);
    uint8_t body[BODY];
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_puts(&out, "what was in there before");
    const int err = t->get(t, &k, &out);
    if (err == 0) {
        body_of(i, body);
        assert_int_equal(out.len, BODY);
        assert_memory_equal(out.data, body, BODY);
    } else {
        assert_int_equal(out.len, 0);
    }
    buf_finish(&out);
    return err;
}

static char *file_of(int i)
{
    char hex[KEY_HEX];
    const struct key k = name(i);
    key_hex(&k, hex);
    return xasprintf("%s/objects/%.2s/%s", folder, hex, hex);
}

static bool exists(const char *format, ...)
{
    char path[300];
    struct stat st;
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return lstat(path, &st) == 0;
}

static void write_to(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

// How a counter changes over a piece of code.
static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    snprintf(folder, sizeof folder, "%s/a/b", top);
    mark_counters();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char path[sizeof top + 16];
    snprintf(path, sizeof path, "%s/a", top);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void objects_come_back_also_after_a_restart(void **state)
{
    (void)state;
    struct tier *t = created(1 << 20);
    assert_string_equal(t->name, "disk");
    assert_int_equal(get(t, 1), -E_NOT_FOUND);
    for (int i = 0; i < 50; i++)
        put(t, i);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++)
            assert_int_equal(get(t, i), 0);
        assert_int_equal(get(t, 50), -E_NOT_FOUND);
        assert_int_equal(since(STAT_cache_disk_objects), 50);
        assert_int_equal(since(STAT_cache_disk_bytes), 50 * BLOCK);
        t->destroy(t);
        assert_int_equal(since(STAT_cache_disk_objects), 0);
        assert_int_equal(since(STAT_cache_disk_bytes), 0);
        t = created(1 << 20);
    }
    const struct key k = name(7);
    t->drop(t, &k);
    t->drop(t, &k);
    assert_int_equal(get(t, 7), -E_NOT_FOUND);
    assert_int_equal(get(t, 8), 0);
    t->destroy(t);
    t = created(1 << 20);
    assert_int_equal(get(t, 7), -E_NOT_FOUND);
    t->destroy(t);
    assert_int_equal(since(STAT_cache_corrupt_total), 0);
    assert_int_equal(since(STAT_cache_write_errors_total), 0);
}

static void sizes_of_all_kinds(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, BLOCK - ENVELOPE_SIZE, BLOCK - ENVELOPE_SIZE + 1,
                                    300000 };
    struct tier *t = created(1 << 20);
    uint8_t *body = xcalloc(1, 300000);
    for (size_t i = 0; i < countof(sizes); i++) {
        const struct key k = name((int)i);
        struct buf out;
        body[0] = (uint8_t)i;
        t->put(t, &k, body, sizes[i]);
        buf_init(&out, sizes[i]);
        assert_int_equal(t->get(t, &k, &out), 0);
        assert_int_equal(out.len, sizes[i]);
        assert_true(sizes[i] == 0 || memcmp(out.data, body, sizes[i]) == 0);
        buf_finish(&out);
        // Not taken, but not damaged either, by who has less room.
        if (sizes[i]) {
            buf_init(&out, sizes[i] - 1);
            assert_int_equal(t->get(t, &k, &out), -E_LIMITS);
            buf_finish(&out);
        }
    }
    assert_int_equal(since(STAT_cache_disk_objects), countof(sizes));
    assert_int_equal(since(STAT_cache_disk_bytes), (1 + 1 + 1 + 2 + 74) * BLOCK);
    free(body);
    t->destroy(t);
}

static void the_budget_evicts_the_coldest(void **state)
{
    (void)state;
    struct tier *t = created(3 * BLOCK + 100);
    for (int i = 0; i < 3; i++)
        put(t, i);
    assert_int_equal(get(t, 0), 0);
    put(t, 0);
    put(t, 3);
    assert_int_equal(get(t, 1), -E_NOT_FOUND);
    char *gone = file_of(1);
    assert_false(exists("%s", gone));
    free(gone);
    assert_int_equal(get(t, 0), 0);
    assert_int_equal(since(STAT_cache_evictions_disk_total), 1);
    assert_int_equal(since(STAT_cache_disk_objects), 3);
    t->destroy(t);

    // By mtime after a restart, and within a smaller budget.
    static const int kept[] = { 0, 2, 3 };
    for (int newest = 0; newest < 3; newest++) {
        t = created(3 * BLOCK);
        for (int i = 0; i < 3; i++) {
            put(t, kept[i]);
            char *file = file_of(kept[i]);
            const struct timespec at[2] = { { 1000 + (i == newest), 0 },
                                            { 1000 + (i == newest), 0 } };
            assert_int_equal(utimensat(AT_FDCWD, file, at, 0), 0);
            free(file);
        }
        t->destroy(t);
        t = created(BLOCK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(get(t, kept[i]), i == newest ? 0 : -E_NOT_FOUND);
        t->destroy(t);
    }
    t = created(BLOCK);
    put(t, 0);

    // What is larger than all of it is not kept, and pushes nothing out.
    const struct key k = name(9);
    uint8_t large[BLOCK] = { 0 };
    t->put(t, &k, large, sizeof large);
    assert_int_equal(get(t, 9), -E_NOT_FOUND);
    assert_int_equal(get(t, 0), 0);
    t->destroy(t);
    assert_int_equal(since(STAT_cache_write_errors_total), 0);
}

static void a_use_is_noted_in_the_file_now_and_then(void **state)
{
    (void)state;
    const time_t now = time(NULL);
    const time_t ages[] = { 10, 7200 };
    struct tier *t = created(1 << 20);
    for (int i = 0; i < 2; i++) {
        put(t, i);
        char *file = file_of(i);
        const struct timespec at[2] = { { now - ages[i], 0 }, { now - ages[i], 0 } };
        assert_int_equal(utimensat(AT_FDCWD, file, at, 0), 0);
        assert_int_equal(get(t, i), 0);
        struct stat st;
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mtime < now, i == 0);
        free(file);
    }
    t->destroy(t);
}

// ---- damage

static void flip(const char *file, int bit)
{
    uint8_t byte;
    const int fd = open(file, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, bit / 8), 1);
    byte ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, bit / 8), 1);
    close(fd);
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct tier *t = created(1 << 20);
    char *file = file_of(1);
    const int bits = 8 * (ENVELOPE_SIZE + BODY);
    for (int bit = 0; bit < bits; bit++) {
        put(t, 1);
        flip(file, bit);
        assert_int_equal(get(t, 1), -E_NOT_FOUND);
        assert_false(exists("%s", file));
    }
    assert_int_equal(since(STAT_cache_corrupt_total), bits);
    assert_int_equal(since(STAT_cache_disk_objects), 0);
    assert_int_equal(since(STAT_cache_disk_bytes), 0);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    free(file);
    t->destroy(t);
}

// What a cut of the power may leave: any prefix, or all with a hole, or more.
static void every_torn_file_is_noticed(void **state)
{
    (void)state;
    char *file = file_of(1);
    for (int n = 0; n <= ENVELOPE_SIZE + BODY + 1; n++) {
        struct tier *t = created(1 << 20);
        put(t, 1);
        assert_int_equal(truncate(file, n), 0);
        if (n % 2) {
            t->destroy(t);
            t = created(1 << 20);
        }
        const bool whole = n == ENVELOPE_SIZE + BODY;
        assert_int_equal(get(t, 1), whole ? 0 : -E_NOT_FOUND);
        assert_int_equal(exists("%s", file), whole);
        const struct key k = name(1);
        t->drop(t, &k);
        t->destroy(t);
    }
    assert_int_equal(since(STAT_cache_corrupt_total), ENVELOPE_SIZE + BODY + 1);
    free(file);
}

static void a_file_under_another_name_is_noticed(void **state)
{
    (void)state;
    struct tier *t = created(1 << 20);
    char *one = file_of(1), *two = file_of(2);
    put(t, 1);
    put(t, 2);
    assert_int_equal(rename(one, two), 0);
    assert_int_equal(get(t, 2), -E_NOT_FOUND);
    assert_int_equal(since(STAT_cache_corrupt_total), 1);
    // And one that is gone is only gone.
    assert_int_equal(get(t, 1), -E_NOT_FOUND);
    assert_int_equal(since(STAT_cache_corrupt_total), 1);
    assert_int_equal(since(STAT_cache_disk_objects), 0);
    free(one);
    free(two);
    t->destroy(t);
}

// Valid bytes behind a link, or a FIFO that would block: none is read.
static void only_files_are_read(void **state)
{
    (void)state;
    enum { LINK, FIFO, FOLDER, LINKED_SHARD, LINKED_OBJECTS, KINDS };
    for (int kind = 0; kind < KINDS; kind++) {
        struct tier *t = created(1 << 20);
        char *file = file_of(1), *shard = file_of(1), *other = xasprintf("%s/other", top);
        char *objects = xasprintf("%s/objects", folder);
        *strrchr(shard, '/') = '\0';
        put(t, 1);
        char *const from[KINDS] = { file, file, file, shard, objects };
        assert_int_equal(rename(from[kind], other), 0);
        if (kind == FIFO)
            assert_int_equal(mkfifo(file, 0600), 0);
        else if (kind == FOLDER)
            assert_int_equal(mkdir(file, 0700), 0);
        else
            assert_int_equal(symlink(other, from[kind]), 0);
        mark_counters();
        assert_int_equal(get(t, 1), -E_NOT_FOUND);
        assert_int_equal(since(STAT_cache_corrupt_total), 1);
        // Nor is written through a link.
        put(t, 1);
        const bool mended = kind == LINK || kind == FIFO;
        assert_int_equal(get(t, 1), mended ? 0 : -E_NOT_FOUND);
        assert_int_equal(since(STAT_cache_write_errors_total), !mended);
        t->destroy(t);
        nftw(other, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        teardown(NULL);
        free(file);
        free(shard);
        free(other);
        free(objects);
    }
}

// ---- failing writes

static void a_failed_write_leaves_nothing_and_passes(void **state)
{
    (void)state;
    struct rlimit was;
    uint8_t large[8 * BLOCK] = { 0 };
    const struct key k = name(1);
    struct tier *t = created(1 << 20);
    put(t, 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    const struct rlimit tight = { 2 * BLOCK, was.rlim_max };
    setrlimit(RLIMIT_FSIZE, &tight);
    t->put(t, &k, large, sizeof large);
    t->put(t, &k, large, sizeof large);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(since(STAT_cache_write_errors_total), 2);
    assert_int_equal(since(STAT_cache_disk_bytes), BLOCK);
    char hex[KEY_HEX];
    for (int i = 0; i < 4; i++)
        assert_false(exists("%s/tmp/%s.%d", folder, key_hex(&k, hex), i));
    assert_int_equal(get(t, 1), -E_NOT_FOUND);
    assert_int_equal(get(t, 0), 0);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    t->destroy(t);
}

static void what_fails_gives_its_room_back(void **state)
{
    (void)state;
    struct tier *t = created(2 * BLOCK);
    char *tmp = xasprintf("%s/tmp", folder);
    assert_int_equal(rmdir(tmp), 0);
    write_to(tmp, "in the way");
    for (int i = 0; i < 5; i++)
        put(t, i);
    assert_int_equal(since(STAT_cache_write_errors_total), 5);
    assert_int_equal(unlink(tmp), 0);
    for (int i = 0; i < 2; i++)
        put(t, i);
    for (int i = 0; i < 2; i++)
        assert_int_equal(get(t, i), 0);
    free(tmp);
    t->destroy(t);
}

static void free_space_is_left_to_others(void **state)
{
    (void)state;
    struct tier *t = created(1 << 20);
    for (int i = 0; i < 3; i++)
        put(t, i);
    t->destroy(t);
    struct conf conf = conf_with(1 << 20);
    conf.cache_disk_free = INT64_MAX / 2;
    char why[300];
    t = tier_disk_create(&conf, why, sizeof why);
    assert_non_null(t);
    assert_int_equal(get(t, 1), 0);
    put(t, 4);
    assert_int_equal(get(t, 4), -E_NOT_FOUND);
    assert_int_equal(get(t, 1), -E_NOT_FOUND); // ours went first
    assert_int_equal(since(STAT_cache_evictions_disk_total), 3);
    assert_int_equal(since(STAT_cache_write_errors_total), 1);
    t->destroy(t);
}

static void an_emptied_folder_is_no_harm(void **state)
{
    (void)state;
    struct tier *t = created(1 << 20);
    char *objects = xasprintf("%s/objects", folder), *tmp = xasprintf("%s/tmp", folder);
    put(t, 1);
    nftw(objects, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    nftw(tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(get(t, 1), -E_NOT_FOUND);
    put(t, 1);
    assert_int_equal(get(t, 1), 0);
    assert_int_equal(since(STAT_cache_corrupt_total), 0);
    free(objects);
    free(tmp);
    t->destroy(t);
}

// ---- start

static void a_second_server_is_refused(void **state)
{
    (void)state;
    const struct conf conf = conf_with(1 << 20);
    char why[300], want[300];
    struct tier *t = created(1 << 20);
    put(t, 1);
    assert_null(tier_disk_create(&conf, why, sizeof why));
    snprintf(want, sizeof want, "cache folder %s is in use by another server", folder);
    assert_string_equal(why, want);
    assert_int_equal(get(t, 1), 0);
    t->destroy(t);
    t = created(1 << 20);
    t->destroy(t);
}

static void a_folder_that_cannot_be_is_refused(void **state)
{
    (void)state;
    const struct conf conf = conf_with(1 << 20);
    char parent[sizeof top + 8], why[300], want[300];
    snprintf(parent, sizeof parent, "%s/a", top);
    write_to(parent, "a file");
    assert_null(tier_disk_create(&conf, why, sizeof why));
    snprintf(want, sizeof want, "cache folder %s cannot be used: Not a directory", folder);
    assert_string_equal(why, want);
}

// Ours are the 32 hex digits in the folder of their first two, and no more.
static void what_is_not_ours_is_left_alone(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool stays, stays_in_sweep;
    } t[] = {
        { "README", true, true },
        { "tmp/README", true, true },
        { "tmp/0123456789abcdef0123456789abcdef", true, true },
        { "tmp/0123456789abcdef0123456789abcdef.1x", true, true },
        { "tmp/0123456789abcdef0123456789abcdef.", true, true },
        { "tmp/0123456789abcdef0123456789abcdef.12", false, false },
        { "objects/README", true, true },
        { "objects/01/README", true, true },
        { "objects/01/0123456789ABCDEF0123456789abcdef", true, true },
        { "objects/01/0123456789abcdef0123456789abcdef0", true, true },
        { "objects/01/1123456789abcdef0123456789abcdef", true, true },
        { "objects/01/0123456789abcdef0123456789abcdef", true, false },
        { "objects/01/0123456789abcdef000000000000000f", false, false }, // too short
    };
    for (int sweep = 0; sweep < 2; sweep++) {
        struct tier *tier = created(1 << 20);
        put(tier, 1);
        tier->destroy(tier);
        char path[300];
        snprintf(path, sizeof path, "%s/objects/01", folder);
        mkdir(path, 0700);
        for (size_t i = 0; i < countof(t); i++) {
            snprintf(path, sizeof path, "%s/%s", folder, t[i].path);
            const bool is_short = i == countof(t) - 1;
            write_to(path,
                     is_short ? "short"
                              : "sixty-four bytes or so, for it could have been an object by size");
        }
        snprintf(path, sizeof path, "%s/format", folder);
        if (sweep)
            write_to(path, "tidemill cache 7\n");
        mark_counters();
        tier = created(1 << 20);
        for (size_t i = 0; i < countof(t); i++)
            assert_int_equal(exists("%s/%s", folder, t[i].path),
                             sweep ? t[i].stays_in_sweep : t[i].stays);
        assert_int_equal(since(STAT_cache_corrupt_total), sweep ? 0 : 1);
        assert_int_equal(get(tier, 1), sweep ? -E_NOT_FOUND : 0);
        put(tier, 1);
        tier->destroy(tier);
        // The format is ours now.
        tier = created(1 << 20);
        assert_int_equal(get(tier, 1), 0);
        tier->destroy(tier);
        teardown(NULL);
    }
}

// ---- threads

enum { THREADS = 4, KEYS = 12, ROUNDS = 400 };

static void *visit(void *arg)
{
    struct tier *t = arg;
    unsigned seed = (unsigned)(uintptr_t)pthread_self();
    for (int n = 0; n < ROUNDS; n++) {
        const int i = rand_r(&seed) % KEYS;
        const struct key k = name(i);
        const int what = rand_r(&seed) % 8;
        if (what == 0)
            t->drop(t, &k);
        else if (what < 4)
            put(t, i);
        else
            get(t, i); // checks the body itself
    }
    return NULL;
}

static void threads_agree(void **state)
{
    (void)state;
    struct tier *t = created(8 * BLOCK);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start("visitor", visit, t);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(since(STAT_cache_corrupt_total), 0);
    assert_true(since(STAT_cache_disk_objects) <= 8);
    int found = 0;
    for (int i = 0; i < KEYS; i++) {
        char *file = file_of(i);
        const bool there = exists("%s", file);
        assert_int_equal(get(t, i), there ? 0 : -E_NOT_FOUND);
        found += there;
        free(file);
    }
    assert_int_equal(since(STAT_cache_disk_objects), found);
    // Nothing of the budget was lost to what came and went.
    for (int i = 100; i < 108; i++)
        put(t, i);
    for (int i = 100; i < 108; i++)
        assert_int_equal(get(t, i), 0);
    t->destroy(t);
}

int main(void)
{
    if (!mkdtemp(top))
        return 1;
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(objects_come_back_also_after_a_restart),
        T(sizes_of_all_kinds),
        T(the_budget_evicts_the_coldest),
        T(a_use_is_noted_in_the_file_now_and_then),
        T(every_flipped_bit_is_noticed),
        T(every_torn_file_is_noticed),
        T(a_file_under_another_name_is_noticed),
        T(only_files_are_read),
        T(a_failed_write_leaves_nothing_and_passes),
        T(what_fails_gives_its_room_back),
        T(free_space_is_left_to_others),
        T(an_emptied_folder_is_no_harm),
        T(a_second_server_is_refused),
        T(a_folder_that_cannot_be_is_refused),
        T(what_is_not_ours_is_left_alone),
        T(threads_agree),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(top);
    return failed;
}
