// SPDX-License-Identifier: BSD-2-Clause

#include "codec/carriage.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"

void carriage_finish(struct carriage *c)
{
    free(c->pieces);
    *c = (struct carriage){ 0 };
}

static bool packet_ok(int n)
{
    return n == 188 || n == 192 || n == 204;
}

bool carriage_ok(const struct carriage *c)
{
    if (!in_range(c->kind, 0, CARRIAGE_KINDS - 1))
        return false;
    if (c->kind == CARRIAGE_TS && !(in_range(c->pid, 0, 0x1fff) && packet_ok(c->packet) &&
                                    in_range(c->phase, 0, c->packet - 1)))
        return false;
    return c->kind == CARRIAGE_PIECES ? in_range(c->piece_count, 1, CARRIAGE_PIECES_MAX)
                                      : c->piece_count == 0 && !c->pieces;
}

// ---- the packed form

void carriage_pack(const struct carriage *c, struct buf *out)
{
    put_v(out, c->kind);
    if (c->kind == CARRIAGE_TS) {
        put_v(out, (uint64_t)c->pid);
        put_v(out, (uint64_t)c->packet);
        put_v(out, (uint64_t)c->phase);
    } else if (c->kind == CARRIAGE_PIECES) {
        put_v(out, (uint64_t)c->piece_count);
    }
}

static int get_int(struct reader *r)
{
    const uint64_t v = get_v(r);
    if (v > INT32_MAX)
        r->bad = true;
    return r->bad ? 0 : (int)v;
}

void carriage_unpack(struct reader *r, struct carriage *c)
{
    *c = (struct carriage){ .kind = (enum carriage_kind)get_int(r) };
    if (c->kind == CARRIAGE_TS) {
        c->pid = get_int(r);
        c->packet = get_int(r);
        c->phase = get_int(r);
    } else if (c->kind == CARRIAGE_PIECES) {
        c->piece_count = get_int(r);
    }
    if (!carriage_ok(c))
        r->bad = true;
}

// First where the first one stands, then for each its size and how far behind the
// end of the one before it begins.
void carriage_pack_pieces(const struct carriage *c, struct buf *out)
{
    int64_t end = 0;
    if (c->piece_count > 0)
        put_v(out, (uint64_t)c->pieces[0].at);
    for (int i = 0; i < c->piece_count; i++) {
        put_v(out, (uint64_t)c->pieces[i].size);
        put_v(out, (uint64_t)(c->pieces[i].offset - end));
        end = c->pieces[i].offset + c->pieces[i].size;
    }
}

static void get_piece(struct reader *r, struct piece *p, const struct piece *before,
                      int64_t source_size)
{
    const int64_t end = before->offset + before->size;
    const uint64_t size = get_v(r), gap = get_v(r);
    p->at = before->at + before->size;
    if (gap > (uint64_t)(source_size - end) || size > (uint64_t)(source_size - end) - gap ||
        size == 0 || p->at > INT64_MAX / 2) {
        r->bad = true;
        return;
    }
    p->offset = end + (int64_t)gap;
    p->size = (int64_t)size;
}

int carriage_unpack_pieces(struct reader *r, struct carriage *c, int64_t source_size)
{
    const int n = c->piece_count;
    if (n == 0 || r->bad)
        return 0;
    if ((size_t)n > reader_left(r) / 2) {
        r->bad = true;
        return 0;
    }
    c->pieces = malloc((size_t)n * sizeof *c->pieces);
    if (!c->pieces)
        return -E_NO_MEMORY;
    const uint64_t first = get_v(r);
    struct piece before = { .at = first <= INT64_MAX / 2 ? (int64_t)first : INT64_MAX };
    for (int i = 0; i < n && !r->bad; i++) {
        get_piece(r, &c->pieces[i], &before, source_size);
        before = c->pieces[i];
    }
    return 0;
}

// ---- questions

int64_t carriage_begin(const struct carriage *c)
{
    return c->kind == CARRIAGE_PIECES ? c->pieces[0].at : 0;
}

int64_t carriage_size(const struct carriage *c, int64_t source_size)
{
    if (c->kind != CARRIAGE_PIECES)
        return source_size;
    const struct piece *last = &c->pieces[c->piece_count - 1];
    return last->at + last->size;
}

int carriage_find(const struct carriage *c, int64_t at)
{
    int low = 0, high = c->piece_count;
    while (low < high) {
        const int mid = low + (high - low) / 2;
        if (c->pieces[mid].at <= at)
            low = mid + 1;
        else
            high = mid;
    }
    const struct piece *p = low ? &c->pieces[low - 1] : NULL;
    return p && at < p->at + p->size ? low - 1 : -1;
}

struct carriage carriage_slice(const struct carriage *c, int64_t from, int64_t to)
{
    struct carriage s = *c;
    s.pieces = NULL;
    s.piece_count = 0;
    if (c->kind != CARRIAGE_PIECES)
        return s;
    const int first = carriage_find(c, from), last = carriage_find(c, to - 1);
    assert(first >= 0 && last >= first);
    s.piece_count = last - first + 1;
    s.pieces = xmalloc((size_t)s.piece_count * sizeof *s.pieces);
    memcpy(s.pieces, c->pieces + first, (size_t)s.piece_count * sizeof *s.pieces);
    return s;
}

void carriage_span(const struct carriage *c, int64_t *from, int64_t *to)
{
    if (c->kind == CARRIAGE_DIF &&
        *from < *to) // *to is a frame's begin and the bytes of its blocks
        *to += DIF_FRAME_MAX - DIF_FRAME_MAX / DIF_SEQUENCE * DIF_SOUND_BLOCKS * DIF_BLOCK;
    if (c->kind != CARRIAGE_PIECES || *from >= *to)
        return;
    const struct piece *first = &c->pieces[carriage_find(c, *from)];
    const struct piece *last = &c->pieces[carriage_find(c, *to - 1)];
    *from = first->offset + (*from - first->at);
    *to = last->offset + (*to - last->at);
}
