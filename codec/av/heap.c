// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/heap.h"

#include <limits.h>
#include <malloc.h>

void heap_settle(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, INT_MAX);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

void heap_give_back(void)
{
    malloc_trim(0);
}
