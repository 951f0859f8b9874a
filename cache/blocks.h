// SPDX-License-Identifier: BSD-2-Clause
//
// blocks - the bounded cache of blocks of files: which bytes stay where there is no room for all.
// One lock guards it, its owner's; "locked" says that the caller holds it.  What is taken out
// under the lock is put on a list called gone, to be freed outside.
//
// The blocks used longest ago leave first.  Those that somebody only passed over (a scan, which
// reads each once) leave before all others, but for a few, so that who passes finds what
// was read ahead for it.

#ifndef CACHE_BLOCKS_H
#define CACHE_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct block;
struct buf;

struct blocks {
    // constant
    int64_t budget, block_size;

    // private
    size_t bucket_count;
    struct block **buckets;
    struct list lru;     // of what stays, the last used first
    struct list passing; // the last read first
    int64_t held;        // bytes of both
    int64_t passing_held;
};

enum block_use { BLOCK_STAYS, BLOCK_PASSES };

// What blocks are of: a member of the file, which must not move while it has some.
struct block_file {
    struct list blocks; // private
    int64_t size;       // constant: of the file
};

void blocks_init(struct blocks *c, int64_t budget, int64_t block_size);
void blocks_finish(struct blocks *c); // none may be left

static inline void block_file_init(struct block_file *f, int64_t size)
{
    list_init(&f->blocks);
    f->size = size;
}

// Locked.
static inline bool block_file_is_empty(const struct block_file *f)
{
    return list_empty(&f->blocks);
}

// Locked.  NULL: it is not here.  Valid while the lock is held.
struct block *blocks_find(const struct blocks *c, const struct block_file *f, int64_t number);

// Locked.  Of one that was found: its bytes are there until block_leave.  It stays longer, unless
// it is passed over.
void blocks_use(struct blocks *c, struct block *b, enum block_use use);

// Not locked.  Copies the bytes that stand at `at` of the file, n at most, to out (NULL: only
// counts them); how many.
int64_t block_copy(const struct blocks *c, const struct block *b, int64_t at, void *out, int64_t n);

// Not locked.
void block_leave(struct block *b);

// Not locked.  Cuts bytes, which begin at block number of f, into blocks: whole ones, and the
// file's last one.  They are on the list made, for blocks_keep; fewer where memory is short.
void blocks_cut(const struct blocks *c, int64_t number, const struct buf *bytes,
                struct block_file *f, struct list *made);

// Locked.  Takes those on made in, where they are not here yet, and others out.
void blocks_keep(struct blocks *c, struct list *made, enum block_use use, struct list *gone);

// Locked.  Takes all of f out.
void blocks_drop(struct blocks *c, struct block_file *f, struct list *gone);

// Not locked.
void blocks_free(struct list *gone);

#endif
