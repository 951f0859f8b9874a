// SPDX-License-Identifier: BSD-2-Clause

#include "server/copier.h"

#include "base/base.h"
#include "base/err.h"
#include "cache/object.h"
#include "cache/source.h"
#include "codec/copy.h"
#include "codec/sound_copy.h"
#include "server/making.h"

#define QUICK_US 20000 // so long readers may wait for all of it instead

struct run {
    struct io io;
    const struct copier *c;
    int64_t offset, n; // of the source, that the segment needs
    int64_t started_us, origin_us;
    int64_t asked, asked_us; // bytes that were not here, and how long they took
};

bool copier_is_quick(int64_t asked, int64_t asked_us, int64_t left)
{
    return asked > 0 && muldiv_ceil(left, asked_us, asked) <= QUICK_US;
}

// Readers hear of what there is when the rest will take a while.  Of a segment whose bytes are
// here, or soon, they hear once it is whole: that is sooner than what it would cost to send it
// in pieces, and they get its length.
static int64_t read_source(struct io *io, int64_t offset, void *out, int64_t n)
{
    struct run *const r = container_of(io, struct run, io);
    const bool here = source_has(r->c->source, offset, n);
    if (!here && !copier_is_quick(r->asked, r->asked_us, r->offset + r->n - offset))
        object_publish(r->c->object);
    const int64_t before = clock_us();
    const int64_t got = source_read(r->c->source, offset, out, n, r->c->cancel);
    const int64_t took = clock_us() - before;
    r->origin_us += took;
    if (!here && got > 0) {
        r->asked += got;
        r->asked_us += took;
    }
    return got;
}

// Tells the readers what it took: their answers begin with that.
static void begin(const struct run *r)
{
    int64_t *const marks = r->c->marks;
    marks[MARK_ORIGIN_US] += r->origin_us;
    marks[MARK_WORK_US] = clock_us() - r->started_us - r->origin_us;
    object_set_marks(r->c->object, marks);
}

static int append(struct io *io, const void *bytes, size_t n)
{
    const struct run *const r = container_of(io, struct run, io);
    size_t made;
    object_made(r->c->object, &made);
    if (made == 0)
        begin(r);
    return object_stage(r->c->object, bytes, n);
}

static bool cancelled(struct io *io)
{
    return cancel_is_set(container_of(io, struct run, io)->c->cancel);
}

static int run_sound(struct run *r)
{
    const struct copier *const c = r->c;
    const int64_t most = sound_copy_bytes(c->plan, c->rendition, c->media, c->k);
    if (object_expect(c->object, (size_t)most) < 0)
        return -E_BUSY;
    sound_copy_range(c->plan, c->rendition, c->media, c->k, &r->offset, &r->n);
    source_want(c->source, r->offset, r->n);
    return sound_copy_segment(c->plan, c->rendition, c->media, c->k, &r->io);
}

static int run_video(struct run *r)
{
    const struct copier *const c = r->c;
    struct copy_span span;
    const int err = copy_span(c->plan, c->media, c->k, &span);
    if (err < 0)
        return err;
    if (object_expect(c->object, (size_t)copy_bytes(c->plan, c->media, c->k, &span)) < 0)
        return -E_BUSY;
    copy_range(c->media, &span, &r->offset, &r->n);
    source_want(c->source, r->offset, r->n);
    return copy_segment(c->plan, c->rendition, c->media, c->k, &r->io);
}

int copier_run(const struct copier *c)
{
    struct run r = { .io = { c->media->size, read_source, append, cancelled },
                     .c = c,
                     .started_us = clock_us() };
    return c->rendition->kind == RENDITION_AUDIO ? run_sound(&r) : run_video(&r);
}
