// SPDX-License-Identifier: BSD-2-Clause

#include "config/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "config/complaint.h"
#include "config/conf.h"

// The settings that the shares depend on, as param.def has them.
static const struct conf defaults = { .origin_read_max = 8 * MIB };

static int share_out(struct conf *c, int cores, int64_t machine, char *why, size_t cap)
{
    const struct complaint to = { why, cap };
    why[0] = '\0';
    return memory_share_out(c, cores, machine, &to);
}

// All in MiB.
static const struct row {
    int64_t memory;
    int cores;
    int workers, probers, each;
    int kept, in_use, blocks, indexes;
    int server, object, connections;
} rows[] = {
    // a small container: one worker, that can do small pictures
    { 256, 1, 1, 1, 78, 26, 13, 6, 6, 70, 2, 512 },
    { 256, 2, 1, 1, 78, 26, 13, 6, 6, 70, 2, 512 },
    { 256, 64, 1, 1, 78, 26, 13, 6, 6, 70, 2, 512 },
    // 1080p by each of two workers; more cores get no more of them
    { 2048, 1, 1, 1, 802, 267, 133, 66, 66, 182, 16, 4096 },
    { 2048, 2, 2, 1, 478, 265, 132, 66, 66, 193, 16, 4096 },
    { 2048, 64, 2, 1, 478, 265, 132, 66, 66, 193, 16, 4096 },
    // plenty: what workers do not need stays with the system's page cache
    { 24576, 1, 1, 4, 1536, 3472, 1736, 868, 868, 471, 64, 8192 },
    { 24576, 2, 2, 4, 1536, 3470, 1735, 867, 867, 482, 64, 8192 },
    { 24576, 64, 35, 4, 415, 3414, 1707, 853, 853, 845, 64, 8192 },
};

static void the_shares(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const struct row *const r = &rows[i];
        char why[800], got[600], want[600];
        struct conf c = defaults;
        assert_int_equal(share_out(&c, r->cores, r->memory * MIB, why, sizeof why), 0);
        snprintf(got, sizeof got, "%d and %d of %d, %d %d %d %d, %d, %d %d", c.workers_count,
                 c.workers_probes, (int)(c.workers_memory / MIB), (int)(c.cache_memory / MIB),
                 (int)(c.cache_in_use / MIB), (int)(c.cache_source_blocks / MIB),
                 (int)(c.cache_indexes / MIB), (int)(memory_server(&c) / MIB),
                 (int)(c.cache_object / MIB), c.http_connections);
        snprintf(want, sizeof want, "%d and %d of %d, %d %d %d %d, %d, %d %d", r->workers,
                 r->probers, r->each, r->kept, r->in_use, r->blocks, r->indexes, r->server,
                 r->object, r->connections);
        if (strcmp(got, want) != 0)
            fail_msg("%d MiB, %d cores: %s, not %s", (int)r->memory, r->cores, got, want);
        assert_true(c.memory == r->memory * MIB);
        assert_true(memory_total(&c) <= c.memory);
        assert_true(memory_spare(&c) == c.memory / 16);
    }
}

// What is set is left alone, and the rest shares what it leaves.
static void set_by_hand(void **state)
{
    (void)state;
    char why[800];
    struct conf c = defaults;
    c.memory = 2 * GIB;
    c.cache_memory = 1 * GIB;
    c.workers_count = 1;
    assert_int_equal(share_out(&c, 64, 100 * GIB, why, sizeof why), 0);
    assert_true(c.memory == 2 * GIB && c.cache_memory == 1 * GIB);
    assert_int_equal(c.workers_count, 1);
    assert_true(c.workers_memory > 256 * MIB && c.workers_memory < 512 * MIB);
    assert_true(memory_total(&c) <= c.memory);

    c = defaults;
    c.workers_memory = 200 * MIB;
    assert_int_equal(share_out(&c, 4, 2 * GIB, why, sizeof why), 0);
    assert_int_equal(c.workers_count, 4);
    assert_true(c.workers_memory == 200 * MIB);
    assert_true(memory_of_prober(&c) == 100 * MIB);
    assert_int_equal(c.workers_probes, 3);
    assert_true(memory_workers(&c) == 1100 * MIB);

    // What came of it, set by hand, is what it was.
    struct conf again = c;
    assert_int_equal(share_out(&again, 1, GIB, why, sizeof why), 0);
    assert_memory_equal(&again, &c, sizeof c);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        struct conf set;
        int64_t memory;
        const char *why; // how it begins
    } cases[] = {
        { { .http_connections = 0 }, 128, "memory: 128MiB is too little, 186MiB are needed: " },
        { { .cache_memory = 2 * GIB }, 2048, "memory: 2GiB is too little, " },
        { { .cache_in_use = 2 * GIB }, 2048, "memory: 2GiB is too little, " },
        { { .cache_source_blocks = 2 * GIB }, 2048, "memory: 2GiB is too little, " },
        { { .cache_indexes = 2 * GIB }, 2048, "memory: 2GiB is too little, " },
        { { .workers_memory = 2 * GIB }, 2048, "memory: 2GiB is too little, " },
        { { .workers_count = 64 }, 2048, "memory: 2GiB is too little, " },
        { { .http_connections = 200000 }, 2048, "memory: 2GiB is too little, " },
        { { .cache_object = GIB }, 2048, "memory: 2GiB is too little, " },
        { { .memory = 1 * GIB, .cache_memory = 1 * GIB }, 99999, "memory: 1GiB is too little, " },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char why[800];
        struct conf c = cases[i].set;
        c.origin_read_max = defaults.origin_read_max;
        assert_int_equal(share_out(&c, 2, cases[i].memory * MIB, why, sizeof why), -E_CONFIG);
        if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0 ||
            !strstr(why, "; lower one of these or raise it"))
            fail_msg("case %zu: %s", i, why);
    }
}

static void all_are_named(void **state)
{
    (void)state;
    char why[800], text[600];
    struct conf c = defaults;
    assert_int_equal(share_out(&c, 2, 2 * GIB, why, sizeof why), 0);
    assert_string_equal(memory_describe(&c, text, sizeof text),
                        "workers 1195MiB (2 of 478MiB, for probes 1 of 239MiB), "
                        "cache.memory 265MiB, cache.in_use 132MiB, cache.source_blocks 66MiB, "
                        "cache.indexes 66MiB, the server itself 193MiB, spare 128MiB");
    char little[20];
    memory_describe(&c, little, sizeof little); // cut, no more
    assert_int_equal(strlen(little), sizeof little - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shares),
        cmocka_unit_test(set_by_hand),
        cmocka_unit_test(refused),
        cmocka_unit_test(all_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
