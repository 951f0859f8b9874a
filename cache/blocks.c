// SPDX-License-Identifier: BSD-2-Clause

#include "cache/blocks.h"

#include <stdatomic.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/stat.h"

#define PASSING_SHARE 16 // of the budget that passing blocks have in any case: one part in so many,
#define PASSING_LEAST 32 // and so many blocks

struct block {
    struct list lru;     // in blocks.lru or .passing
    struct list sibling; // in block_file.blocks
    struct block *next;  // in its bucket
    struct block_file *file;
    int64_t number;
    atomic_int refs; // the cache, and readers that copy
    bool passing;
    size_t size;
    uint8_t bytes[]; // [size]
};

// Locked.  Where the block is, or NULL where it would be.
static struct block **slot_of(const struct blocks *c, const struct block_file *f, int64_t number)
{
    const uint64_t hash = (uintptr_t)f / 64 * 0x9e3779b97f4a7c15u + (uint64_t)number;
    struct block **slot = &c->buckets[hash % c->bucket_count];
    while (*slot && ((*slot)->file != f || (*slot)->number != number))
        slot = &(*slot)->next;
    return slot;
}

struct block *blocks_find(const struct blocks *c, const struct block_file *f, int64_t number)
{
    return *slot_of(c, f, number);
}

// Locked.  Puts b, which is on no list, first of those of its kind.
static void enlist(struct blocks *c, struct block *b, enum block_use use)
{
    b->passing = use == BLOCK_PASSES;
    c->passing_held += b->passing ? (int64_t)b->size : 0;
    list_push_front(b->passing ? &c->passing : &c->lru, &b->lru);
}

// Locked.
static void delist(struct blocks *c, struct block *b)
{
    list_remove(&b->lru);
    c->passing_held -= b->passing ? (int64_t)b->size : 0;
}

void blocks_use(struct blocks *c, struct block *b, enum block_use use)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    if (use == BLOCK_PASSES)
        return;
    delist(c, b);
    enlist(c, b, BLOCK_STAYS);
}

int64_t block_copy(const struct blocks *c, const struct block *b, int64_t at, void *out, int64_t n)
{
    const int64_t skip = at - b->number * c->block_size;
    assert(skip >= 0 && skip < (int64_t)b->size);
    const int64_t take = min64(n, (int64_t)b->size - skip);
    if (out)
        memcpy(out, b->bytes + skip, (size_t)take);
    return take;
}

void block_leave(struct block *b)
{
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}

void blocks_cut(const struct blocks *c, int64_t number, const struct buf *bytes,
                struct block_file *f, struct list *made)
{
    const int64_t size = c->block_size, n = (int64_t)bytes->len;
    for (int64_t at = 0; at < n; at += size, number++) {
        const int64_t take = min64(size, n - at);
        if (take < size && number * size + take != f->size)
            return;
        struct block *b = malloc(sizeof *b + (size_t)take);
        if (!b)
            return; // it is only a cache
        *b = (struct block){ .file = f, .number = number, .size = (size_t)take };
        atomic_init(&b->refs, 1);
        memcpy(b->bytes, bytes->data + at, (size_t)take);
        list_init(&b->sibling);
        list_push_back(made, &b->lru);
    }
}

// Locked.
static void drop(struct blocks *c, struct block *b, struct list *gone)
{
    struct block **slot = slot_of(c, b->file, b->number);
    assert(*slot == b);
    *slot = b->next;
    list_remove(&b->sibling);
    delist(c, b);
    list_push_back(gone, &b->lru);
    c->held -= (int64_t)b->size;
    stat_add(STAT_source_block_bytes, -(int64_t)b->size);
}

// Locked.  The one that leaves next.
static struct block *victim(const struct blocks *c)
{
    const int64_t share = max64(c->budget / PASSING_SHARE, PASSING_LEAST * c->block_size);
    const bool passing = c->passing_held > share || list_empty(&c->lru);
    return container_of(passing ? c->passing.prev : c->lru.prev, struct block, lru);
}

void blocks_keep(struct blocks *c, struct list *made, enum block_use use, struct list *gone)
{
    for (struct list *l; (l = list_pop(made));) {
        struct block *b = container_of(l, struct block, lru);
        struct block **slot = slot_of(c, b->file, b->number);
        if (*slot) {
            list_push_back(gone, &b->lru);
            continue;
        }
        *slot = b;
        list_push_back(&b->file->blocks, &b->sibling);
        enlist(c, b, use);
        c->held += (int64_t)b->size;
        stat_add(STAT_source_block_bytes, (int64_t)b->size);
    }
    while (c->held > c->budget)
        drop(c, victim(c), gone);
}

void blocks_drop(struct blocks *c, struct block_file *f, struct list *gone)
{
    while (!list_empty(&f->blocks))
        drop(c, container_of(f->blocks.next, struct block, sibling), gone);
}

void blocks_free(struct list *gone)
{
    for (struct list *l; (l = list_pop(gone));)
        block_leave(container_of(l, struct block, lru));
}

void blocks_init(struct blocks *c, int64_t budget, int64_t block_size)
{
    *c = (struct blocks){ .budget = budget, .block_size = block_size };
    c->bucket_count = (size_t)min64(budget / block_size + 64, MIB);
    c->buckets = xcalloc(c->bucket_count, sizeof *c->buckets);
    list_init(&c->lru);
    list_init(&c->passing);
}

void blocks_finish(struct blocks *c)
{
    assert(c->held == 0 && c->passing_held == 0);
    free(c->buckets);
}
