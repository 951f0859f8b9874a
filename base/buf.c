// SPDX-License-Identifier: BSD-2-Clause

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){ .max = max };
}

void buf_finish(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

static bool fail(struct buf *b)
{
    buf_finish(b);
    b->failed = true;
    return false;
}

static bool reserve(struct buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (more > b->max - b->len)
        return fail(b);
    const size_t need = b->len + more;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap < b->max / 2 ? cap * 2 : b->max;
    uint8_t *p = realloc(b->data, cap);
    if (!p)
        return fail(b);
    b->data = p;
    b->cap = cap;
    return true;
}

int buf_error(const struct buf *b)
{
    return b->failed ? -E_LIMITS : 0;
}

int buf_reserve(struct buf *b, size_t n)
{
    if (n > b->len)
        reserve(b, n - b->len);
    return buf_error(b);
}

uint8_t *buf_extend(struct buf *b, size_t n)
{
    if (!reserve(b, n))
        return NULL;
    uint8_t *p = b->data ? b->data + b->len : NULL;
    b->len += n;
    return p;
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0)
        return buf_error(b);
    uint8_t *p = buf_extend(b, n);
    if (p)
        memcpy(p, bytes, n);
    return buf_error(b);
}

int buf_fill(struct buf *b, uint8_t byte, size_t n)
{
    if (n == 0)
        return buf_error(b);
    uint8_t *p = buf_extend(b, n);
    if (p)
        memset(p, byte, n);
    return buf_error(b);
}

int buf_puts(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[512];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_append(b, small, (size_t)n);
    } else if (reserve(b, (size_t)n + 1)) {
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return buf_error(b);
}

uint8_t *buf_steal(struct buf *b, size_t *len)
{
    uint8_t *p = b->data;
    *len = b->len;
    buf_init(b, b->max);
    return p;
}
