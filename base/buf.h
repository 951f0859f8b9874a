// SPDX-License-Identifier: BSD-2-Clause
//
// buf - growable bytes with a ceiling.
//
// Errors are sticky: the first append past the ceiling (or past the memory)
// marks the buffer failed, frees what it held, and every later append fails
// too; so a writer may append many times and ask once at the end.

#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct buf {
    uint8_t *data; // NULL while empty
    size_t len;
    size_t cap; // private
    size_t max; // the ceiling given to buf_init
    bool failed;
};

// A zeroed struct buf has the ceiling 0: always init.
void buf_init(struct buf *b, size_t max);

// Frees the bytes; the buffer may be used again, with the same ceiling.
void buf_finish(struct buf *b);

// Forgets the bytes, keeps the memory, forgives a failure.
void buf_clear(struct buf *b);

// Each returns 0, or -E_LIMITS past the ceiling, -E_NO_MEMORY.
int buf_append(struct buf *b, const void *bytes, size_t n);
int buf_fill(struct buf *b, uint8_t byte, size_t n);
int buf_puts(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

// Room for n bytes in all: up to there they do not move.  0, or as the appending ones.
int buf_reserve(struct buf *b, size_t n);

// Room for n more bytes at the end, counted in len at once; NULL on failure.
// The pointer is valid until the next call.
uint8_t *buf_extend(struct buf *b, size_t n);

// The bytes, to be freed by the caller; the buffer is empty afterwards.
uint8_t *buf_steal(struct buf *b, size_t *len);

// 0 or the sticky error.
int buf_error(const struct buf *b);

#endif
