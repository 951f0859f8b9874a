// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/trace.h"

#include <string.h>

#include "base/err.h"

#define NEEDLE 16  // bytes that tell one place from another
#define AHEAD MIB  // how far behind where it should be a packet is sought
#define NEAR 2048  // and how far as a rule: less than a packet of any container
#define LOOK 16384 // bytes searched at a time
#define PAYLOAD_MAX (96 * MIB)

// Payload of one transport packet.
struct trace_run {
    int64_t at;     // in the elementary stream
    int64_t offset; // in the source
    int64_t packet; // offset of its packet
};

void trace_init(struct trace *t, struct io *io, const struct carriage *how, int64_t ceiling)
{
    *t = (struct trace){ .back = -1, .window = xmalloc(sizeof *t->window), .carriage = *how };
    window_init(t->window, io, ceiling);
    buf_init(&t->payload, PAYLOAD_MAX);
    if (how->kind == CARRIAGE_TS)
        transport_start(&t->transport, t->window, &t->carriage);
    else
        t->carriage.kind = CARRIAGE_PIECES;
}

void trace_finish(struct trace *t)
{
    carriage_finish(&t->carriage);
    buf_finish(&t->payload);
    free(t->runs);
    free(t->window);
    *t = (struct trace){ 0 };
}

// ---- pieces

static bool add_piece(struct trace *t, int64_t offset, int64_t size)
{
    struct carriage *c = &t->carriage;
    struct piece *last = c->piece_count ? &c->pieces[c->piece_count - 1] : NULL;
    if (last && last->offset + last->size == offset) {
        last->size += size;
    } else {
        if (c->piece_count == CARRIAGE_PIECES_MAX)
            return false;
        if (c->piece_count == t->piece_cap) {
            t->piece_cap = t->piece_cap ? t->piece_cap + t->piece_cap / 2 : 512;
            c->pieces = xrealloc(c->pieces, (size_t)t->piece_cap * sizeof *c->pieces);
        }
        c->pieces[c->piece_count++] = (struct piece){ t->stream, offset, size };
    }
    t->stream += size;
    t->at = offset + size;
    return true;
}

// The first place in [from, to) of the source where the n <= NEEDLE bytes stand; -1: none.
static int64_t search(struct trace *t, int64_t from, int64_t to, const uint8_t *bytes, int n)
{
    const int64_t size = min64(to, t->window->io->size);
    for (; from + n <= size; from += LOOK) {
        const int64_t want = min64(LOOK + n - 1, size - from);
        const uint8_t *p = window_look(t->window, from, want);
        const uint8_t *found = p ? memmem(p, (size_t)want, bytes, (size_t)n) : NULL;
        if (!p)
            return -1;
        if (found)
            return from + (found - p);
    }
    return -1;
}

// How many of the n bytes stand at offset of the source.
static int64_t common(struct trace *t, int64_t offset, const uint8_t *bytes, int64_t n)
{
    int64_t same = 0;
    while (same < n && offset + same < t->window->io->size) {
        const int64_t want = min64(min64(n - same, LOOK), t->window->io->size - offset - same);
        const uint8_t *p = window_look(t->window, offset + same, want);
        int64_t i = 0;
        while (p && i < want && p[i] == bytes[same + i])
            i++;
        same += i;
        if (i < want)
            break;
    }
    return same;
}

// What is known before a packet, to go back to.
struct mark {
    int64_t at, stream, last; // last: size of the last piece
    int pieces;
};

static struct mark set_mark(const struct trace *t)
{
    const struct carriage *c = &t->carriage;
    return (struct mark){ t->at, t->stream, c->piece_count ? c->pieces[c->piece_count - 1].size : 0,
                          c->piece_count };
}

static void go_back(struct trace *t, const struct mark *m)
{
    t->at = m->at;
    t->stream = m->stream;
    t->carriage.piece_count = m->pieces;
    if (m->pieces)
        t->carriage.pieces[m->pieces - 1].size = m->last;
}

// How a packet is sought.  Its first piece may be brief: all that had room at the end of some
// packet of the container.  Then few bytes tell its place.
struct attempt {
    int needle;          // bytes that tell the place of the first piece
    int64_t reach, next; // how far ahead the first piece may be, and each of the others
};

// Piece after piece, each as long as the bytes agree.  Headers that happen to agree for a
// while do no harm: the bytes are the same.
static int trace_pieces(struct trace *t, const uint8_t *packet, int n, int64_t hint,
                        const struct attempt *how)
{
    const struct mark before = set_mark(t);
    int pieces = 0;
    for (int64_t done = 0, same; done < n; done += same, pieces++) {
        const int64_t left = n - done, from = hint > t->at ? hint : t->at;
        const int64_t reach = pieces == 0 ? how->reach : how->next;
        const int needle = (int)min64(left, pieces == 0 ? how->needle : NEEDLE);
        const int64_t at =
            search(t, needle < NEEDLE ? from : t->at, from + left + reach, packet + done, needle);
        same = at < 0 ? 0 : common(t, at, packet + done, left);
        if (same == 0 || !add_piece(t, at, same)) {
            go_back(t, &before); // nothing of it counts
            return t->window->err;
        }
    }
    t->split |= pieces > 1;
    return 1;
}

static int trace_briefly(struct trace *t, const uint8_t *packet, int n, int64_t hint, int64_t next)
{
    int rc = 0;
    for (int needle = NEEDLE - 1; rc == 0 && needle > 0; needle--)
        rc = trace_pieces(t, packet, n, hint, &(struct attempt){ needle, NEAR, next });
    return rc;
}

// What is near goes first: farther on there may be the same bytes, of a later packet.
static int try_all(struct trace *t, const uint8_t *packet, int n, int64_t hint)
{
    int rc = trace_pieces(t, packet, n, hint, &(struct attempt){ NEEDLE, NEAR, 8 * NEAR });
    if (rc == 0)
        rc = trace_briefly(t, packet, n, hint, 8 * NEAR);
    if (rc == 0)
        rc = trace_pieces(t, packet, n, hint, &(struct attempt){ NEEDLE, AHEAD, AHEAD });
    return rc == 0 ? trace_briefly(t, packet, n, hint, AHEAD) : rc;
}

static void keep_tail(struct trace *t, const uint8_t *packet, int n)
{
    const int new = n < TRACE_OVERLAP ? n : TRACE_OVERLAP, old = TRACE_OVERLAP - new;
    memmove(t->tail, t->tail + new, (size_t)old);
    memcpy(t->tail + old, packet + n - new, (size_t) new);
}

// Behind the packet before, or overlapping with it.
static int trace_stream(struct trace *t, const uint8_t *packet, int n, int64_t hint,
                        int64_t *offset)
{
    int rc = 0;
    for (int over = 0; rc == 0 && over <= TRACE_OVERLAP && over < n && over <= t->stream; over++) {
        if (memcmp(packet, t->tail + TRACE_OVERLAP - over, (size_t)over) != 0)
            continue;
        *offset = t->stream - over;
        rc = try_all(t, packet + over, n - over, hint);
        t->split |= rc > 0 && over > 0; // it may begin in a piece of its own
    }
    if (rc > 0)
        keep_tail(t, packet, n);
    return rc;
}

// ---- packets in one run each

// The first place in [from, to) where all n bytes stand; -1: none.
static int64_t search_whole(struct trace *t, int64_t from, int64_t to, const uint8_t *packet, int n)
{
    while ((from = search(t, from, to, packet, n < NEEDLE ? n : NEEDLE)) >= 0 &&
           common(t, from, packet, n) < n)
        from++;
    return from;
}

// Bytes that happen to be the same elsewhere do no harm.  Two packets never touch, though,
// where they come in order: so each is a piece of its own.
static int trace_whole(struct trace *t, const uint8_t *packet, int n, int64_t *offset)
{
    const int64_t farthest = t->at, first = t->back ? t->at - t->back : t->at + 1;
    const int64_t at = search_whole(t, first > 0 ? first : 0, farthest + AHEAD, packet, n);
    *offset = t->stream;
    if (at < 0 || !add_piece(t, at, n))
        return t->window->err;
    t->at = farthest > at + n ? farthest : at + n;
    return 1;
}

// ---- a transport stream

// Appends the payload of one packet more; false at the end.
static bool gather(struct trace *t)
{
    struct transport *const s = &t->transport;
    const uint8_t *p = transport_more(s) ? window_look(t->window, s->at, s->left) : NULL;
    if (!p)
        return false;
    if (t->run_count == t->run_cap) {
        t->run_cap = t->run_cap ? t->run_cap * 2 : 512;
        t->runs = xrealloc(t->runs, (size_t)t->run_cap * sizeof *t->runs);
    }
    t->runs[t->run_count++] =
        (struct trace_run){ t->payload_at + (int64_t)t->payload.len, s->at, s->packet };
    const int err = buf_append(&t->payload, p, (size_t)s->left);
    s->left = 0;
    return err == 0;
}

// Forgets the first n bytes of payload.
static void drop(struct trace *t, size_t n)
{
    memmove(t->payload.data, t->payload.data + n, t->payload.len - n);
    t->payload.len -= n;
    t->payload_at += (int64_t)n;
    int first = 0;
    while (first + 1 < t->run_count && t->runs[first + 1].at <= t->payload_at)
        first++;
    t->run_count -= first;
    memmove(t->runs, t->runs + first, (size_t)t->run_count * sizeof *t->runs);
}

// Whether whoever seeks this place will stand in the packet that it was found in.
static bool can_be_sought(struct trace *t, const struct trace_run *run, int64_t offset)
{
    const struct carriage *c = &t->carriage;
    if ((run->packet - c->phase) % c->packet == 0)
        return true;
    struct transport s;
    transport_start(&s, t->window, c);
    return transport_seek(&s, offset) && s.packet == run->packet;
}

// The place in the source of byte i of the payload; -1 when nobody could seek it.
static int64_t place_of(struct trace *t, size_t i)
{
    const int64_t at = t->payload_at + (int64_t)i;
    int r = 0;
    while (r + 1 < t->run_count && t->runs[r + 1].at <= at)
        r++;
    const int64_t offset = t->runs[r].offset + (at - t->runs[r].at);
    return can_be_sought(t, &t->runs[r], offset) ? offset : -1;
}

static int trace_transport(struct trace *t, const uint8_t *packet, int n, int64_t *offset)
{
    size_t at = 0;
    for (;;) { // at: where the search goes on
        while (t->payload.len < at + (size_t)n)
            if (!gather(t))
                return t->window->err ? t->window->err : buf_error(&t->payload);
        const uint8_t *found = memmem(t->payload.data + at, t->payload.len - at, packet, (size_t)n);
        if (found) {
            at = (size_t)(found - t->payload.data);
            break;
        }
        at = t->payload.len - (size_t)n + 1;
        if (at > AHEAD)
            return 0;
    }
    *offset = place_of(t, at);
    const size_t end = at + (size_t)n;
    drop(t, end > TRACE_OVERLAP ? end - TRACE_OVERLAP : 0);
    return *offset >= 0;
}

int trace_packet(struct trace *t, const uint8_t *packet, int n, int64_t hint, int64_t *offset)
{
    if (t->carriage.kind == CARRIAGE_TS)
        return trace_transport(t, packet, n, offset);
    return t->back < 0 ? trace_stream(t, packet, n, hint, offset)
                       : trace_whole(t, packet, n, offset);
}
