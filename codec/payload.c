// SPDX-License-Identifier: BSD-2-Clause

#include "codec/payload.h"

#include <string.h>

#include "base/err.h"

#define RUN_MAX (256 * KIB) // fetched at once when samples are smaller
#define RUN_GAP (64 * KIB)  // of foreign bytes between two samples in a run

void payload_init(struct payload *p, struct io *io, const struct carriage *c,
                  const struct sample *samples, int count, const struct why *why)
{
    *p =
        (struct payload){ .io = io, .why = why, .carriage = c, .samples = samples, .count = count };
    buf_init(&p->run, PAYLOAD_SAMPLE_MAX + RUN_MAX);
    if (c->kind == CARRIAGE_WHOLE)
        return;
    p->window = xmalloc(sizeof *p->window);
    window_init(p->window, io, INT64_MAX);
    transport_start(&p->transport, p->window, c);
}

void payload_finish(struct payload *p)
{
    buf_finish(&p->run);
    free(p->window);
    p->window = NULL;
}

static int ends_too_early(const struct payload *p)
{
    return fail_with(p->why, -E_CORRUPT, "the source ends too early");
}

// ---- whole samples

static bool in_run(const struct payload *p, const struct sample *s)
{
    return s->offset >= p->run_at && s->offset + s->size <= p->run_at + (int64_t)p->run.len;
}

// Where a run that begins with sample i should end.
static int64_t run_end(const struct payload *p, int i)
{
    const int64_t start = p->samples[i].offset;
    int64_t end = start + p->samples[i].size;
    while (++i < p->count) {
        const struct sample *s = &p->samples[i];
        if (s->offset < start || s->offset > end + RUN_GAP)
            break;
        const int64_t last = s->offset + s->size;
        if (last - start > RUN_MAX || last > p->io->size)
            break;
        if (last > end)
            end = last;
    }
    return end;
}

static int fill_run(struct payload *p, int i)
{
    const struct sample *s = &p->samples[i];
    const int64_t n = run_end(p, i) - s->offset;
    buf_clear(&p->run);
    p->run_at = s->offset;
    uint8_t *to = buf_extend(&p->run, (size_t)n);
    if (!to)
        return fail_with(p->why, buf_error(&p->run), "reading %lld bytes", (long long)n);
    const int64_t got = p->io->read(p->io, p->run_at, to, n);
    if (got < n)
        buf_clear(&p->run);
    if (got < 0)
        return fail_with(p->why, (int)got, "reading the source: %s", err_sentence((int)got));
    return got < n ? ends_too_early(p) : 0;
}

static int look_whole(struct payload *p, int i, const uint8_t **out)
{
    const struct sample *s = &p->samples[i];
    if (s->offset < 0 || s->offset > p->io->size || s->size > p->io->size - s->offset)
        return fail_with(p->why, -E_CORRUPT, "a sample lies outside the source");
    const int rc = in_run(p, s) ? 0 : fill_run(p, i);
    if (rc == 0)
        *out = p->run.data + (s->offset - p->run_at);
    return rc;
}

static int read_whole(struct payload *p, int i, uint8_t *out)
{
    const uint8_t *bytes;
    const int rc = look_whole(p, i, &bytes);
    if (rc == 0)
        memcpy(out, bytes, p->samples[i].size);
    return rc;
}

// ---- samples in pieces

static int window_failed(const struct payload *p)
{
    const int err = p->window->err;
    return err ? fail_with(p->why, err, "reading the source: %s", err_sentence(err))
               : ends_too_early(p);
}

static int read_pieces(struct payload *p, const struct sample *s, uint8_t *out)
{
    int i = carriage_find(p->carriage, s->offset);
    for (int64_t at = s->offset, end = at + s->size, n; at < end; at += n, out += n, i++) {
        if (i < 0 || i >= p->carriage->piece_count)
            return fail_with(p->why, -E_CORRUPT, "a sample lies outside its track");
        const struct piece *piece = &p->carriage->pieces[i];
        const int64_t left = piece->at + piece->size - at;
        n = end - at < left ? end - at : left;
        if (!window_copy(p->window, piece->offset + (at - piece->at), out, n))
            return window_failed(p);
    }
    return 0;
}

// ---- samples of a transport stream

// As a rule a sample begins where the one before it ended; else something between them is of no
// sample.  Recordings that were put together count anew where the next begins, which
// needs nothing of what was before.
static bool go_to(struct transport *t, const struct sample *s)
{
    const bool leans = t->counter >= 0 && !s->sync;
    if (!leans)
        t->counter = -1;
    if (t->at > 0 && t->left == 0 && s->offset > t->at)
        transport_more(t);
    if (t->left > 0 && t->at == s->offset)
        return true;
    const int64_t before = t->packet;
    if (!transport_seek(t, s->offset))
        return false;
    t->torn |= leans && t->packet != before;
    return true;
}

static int read_transport(struct payload *p, const struct sample *s, uint8_t *out)
{
    struct transport *t = &p->transport;
    if (!go_to(t, s))
        return window_failed(p);
    for (int64_t left = s->size, n; left > 0; left -= n, out += n) {
        if (!transport_more(t))
            return window_failed(p);
        n = left < t->left ? left : t->left;
        const uint8_t *bytes = window_look(p->window, t->at, n);
        if (!bytes)
            return window_failed(p);
        memcpy(out, bytes, (size_t)n);
        t->at += n;
        t->left -= n;
    }
    return 0;
}

// ---- the sound of DV

static int read_dif(struct payload *p, const struct sample *s, uint8_t *out)
{
    if (s->size % DIF_BLOCK)
        return fail_with(p->why, -E_CORRUPT, "a sample of half a block");
    for (uint32_t n = 0; n < s->size / DIF_BLOCK; n++, out += DIF_BLOCK) {
        const int64_t at = (int64_t)(n / DIF_SOUND_BLOCKS) * DIF_SEQUENCE + DIF_SOUND_AT +
                           (int64_t)(n % DIF_SOUND_BLOCKS) * DIF_SOUND_STEP;
        if (!window_copy(p->window, s->offset + at, out, DIF_BLOCK))
            return window_failed(p);
    }
    return 0;
}

int payload_look(struct payload *p, int i, const uint8_t **out)
{
    if (p->carriage->kind == CARRIAGE_WHOLE)
        return look_whole(p, i, out);
    buf_clear(&p->run);
    uint8_t *const to = buf_extend(&p->run, p->samples[i].size);
    *out = to;
    return to ? payload_read(p, i, to) : buf_error(&p->run);
}

int payload_read(struct payload *p, int i, uint8_t *out)
{
    const struct sample *s = &p->samples[i];
    assert(s->size <= PAYLOAD_SAMPLE_MAX);
    switch (p->carriage->kind) {
    case CARRIAGE_WHOLE:
        return read_whole(p, i, out);
    case CARRIAGE_PIECES:
        return read_pieces(p, s, out);
    case CARRIAGE_DIF:
        return read_dif(p, s, out);
    default:
        return read_transport(p, s, out);
    }
}
