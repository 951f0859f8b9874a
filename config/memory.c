// SPDX-License-Identifier: BSD-2-Clause

#include "config/memory.h"

#include <stdio.h>

#include "base/base.h"
#include "config/complaint.h"
#include "config/conf.h"
#include "config/quantity.h"

#define SERVER (32 * MIB)         // the programs, their threads and tables
#define DRIVER (3 * MIB)          // messages to and from one worker
#define WORKER_LEAST (64 * MIB)   // nothing can be encoded with less
#define WORKER_ENOUGH (448 * MIB) // 1080p of 10 bits: rather fewer workers than less
#define WORKER_MOST (1536 * MIB)  // a source picture of 36 megapixels
#define OBJECT_MOST (64 * MIB)
#define OBJECT_LEAST (1 * MIB)
#define CONNECTIONS_MOST 8192
#define CONNECTIONS_LEAST 64
#define COUNT_MOST 1024
#define PROBES_MOST 4
#define WORKERS_WEIGHT 18

// Parts that are one setting each.
static const struct part {
    const char *path;
    size_t offset;
    int weight;
    int64_t least; // with less, nothing works
} parts[] = {
    { "cache.memory", offsetof(struct conf, cache_memory), 4, MIB },
    { "cache.in_use", offsetof(struct conf, cache_in_use), 2, 8 * MIB },
    { "cache.source_blocks", offsetof(struct conf, cache_source_blocks), 1, MIB },
    { "cache.indexes", offsetof(struct conf, cache_indexes), 1, 2 * MIB },
};

static int64_t *field_of(const struct conf *c, const struct part *p)
{
    return (int64_t *)((char *)c + p->offset);
}

static int64_t whole_mib(int64_t v)
{
    return v / MIB * MIB;
}

// ---- shares

int64_t memory_spare(const struct conf *c)
{
    return c->memory / 16;
}

int64_t memory_server(const struct conf *c)
{
    return SERVER + c->http_connections * MEMORY_CONNECTION + MEMORY_LOOKUPS * c->cache_object +
           (c->workers_count + c->workers_probes) * (c->origin_read_max + DRIVER);
}

int64_t memory_of_prober(const struct conf *c)
{
    return c->workers_memory / 2;
}

int64_t memory_workers(const struct conf *c)
{
    return c->workers_count * c->workers_memory + c->workers_probes * memory_of_prober(c);
}

int64_t memory_total(const struct conf *c)
{
    int64_t sum = memory_spare(c) + memory_server(c) + memory_workers(c);
    for (size_t i = 0; i < countof(parts); i++)
        sum += *field_of(c, &parts[i]);
    return sum;
}

// ---- what is 0

static int weight_of_all(void)
{
    int sum = WORKERS_WEIGHT;
    for (size_t i = 0; i < countof(parts); i++)
        sum += parts[i].weight;
    return sum;
}

// Half workers in the share that workers have of all memory, each with enough.
static int64_t halves_that_fit(const struct conf *c)
{
    const int64_t each = c->workers_memory ? c->workers_memory : WORKER_ENOUGH;
    return c->memory / weight_of_all() * WORKERS_WEIGHT * 2 / each;
}

static void fill_counts(struct conf *c, int cores)
{
    const int64_t halves = halves_that_fit(c);
    if (c->workers_probes == 0)
        c->workers_probes = (int)clamp64(halves / 4, 1, PROBES_MOST);
    if (c->workers_count == 0)
        c->workers_count =
            (int)clamp64((halves - c->workers_probes) / 2, 1, clamp64(cores, 1, COUNT_MOST));
}

static void fill_server(struct conf *c, int cores)
{
    if (c->http_connections == 0)
        c->http_connections =
            (int)clamp64(c->memory / (512 * KIB), CONNECTIONS_LEAST, CONNECTIONS_MOST);
    if (c->cache_object == 0)
        c->cache_object = clamp64(whole_mib(c->memory / 128), OBJECT_LEAST, OBJECT_MOST);
    fill_counts(c, cores);
}

static int weight_of_unset(const struct conf *c)
{
    int sum = c->workers_memory ? 0 : WORKERS_WEIGHT;
    for (size_t i = 0; i < countof(parts); i++)
        sum += *field_of(c, &parts[i]) ? 0 : parts[i].weight;
    return sum;
}

// What workers have is rounded down once more, to whole MiB each, so the sum holds.
static void fill_parts(struct conf *c)
{
    const int weight = weight_of_unset(c);
    const int64_t left = max64(c->memory - memory_total(c), 0);
    for (size_t i = 0; i < countof(parts); i++) {
        int64_t *const field = field_of(c, &parts[i]);
        if (*field == 0)
            *field = max64(whole_mib(left / weight * parts[i].weight), parts[i].least);
    }
    if (c->workers_memory == 0)
        c->workers_memory = clamp64(whole_mib(left / weight * WORKERS_WEIGHT * 2 /
                                              (2 * c->workers_count + c->workers_probes)),
                                    WORKER_LEAST, WORKER_MOST);
}

// ---- telling

static long long mib(int64_t bytes)
{
    return (bytes + MIB - 1) / MIB;
}

char *memory_describe(const struct conf *c, char *out, size_t cap)
{
    int n = snprintf(out, cap, "workers %lldMiB (%d of %lldMiB, for probes %d of %lldMiB)",
                     mib(memory_workers(c)), c->workers_count, mib(c->workers_memory),
                     c->workers_probes, mib(memory_of_prober(c)));
    for (size_t i = 0; i < countof(parts) && n < (int)cap; i++)
        n += snprintf(out + n, cap - (size_t)n, ", %s %lldMiB", parts[i].path,
                      mib(*field_of(c, &parts[i])));
    if (n < (int)cap)
        snprintf(out + n, cap - (size_t)n, ", the server itself %lldMiB, spare %lldMiB",
                 mib(memory_server(c)), mib(memory_spare(c)));
    return out;
}

int memory_share_out(struct conf *c, int cores, int64_t machine, const struct complaint *to)
{
    const struct from from = { .to = to, .name = "memory" };
    char size[QUANTITY_TEXT], all[600];
    if (c->memory == 0)
        c->memory = whole_mib(machine);
    fill_server(c, cores);
    fill_parts(c);
    if (memory_total(c) <= c->memory)
        return 0;
    return complain(&from,
                    "%s is too little, %lldMiB are needed: %s; lower one of these or raise it",
                    quantity_print(QUANTITY_SIZE, c->memory, size), mib(memory_total(c)),
                    memory_describe(c, all, sizeof all));
}
