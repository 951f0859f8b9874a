// SPDX-License-Identifier: BSD-2-Clause
//
// memory - a fuzzer's input as a source.

#ifndef TEST_FUZZ_MEMORY_H
#define TEST_FUZZ_MEMORY_H

#include <string.h>

#include "base/base.h"
#include "codec/io.h"

struct memory {
    struct io io;
    const uint8_t *data;
};

static inline int64_t read_memory(struct io *io, int64_t offset, void *out, int64_t n)
{
    assert(offset >= 0 && n >= 0);
    const int64_t left = offset < io->size ? io->size - offset : 0;
    const int64_t take = n < left ? n : left;
    if (take)
        memcpy(out, container_of(io, struct memory, io)->data + offset, (size_t)take);
    return take;
}

static inline bool never(struct io *io)
{
    (void)io;
    return false;
}

#endif
