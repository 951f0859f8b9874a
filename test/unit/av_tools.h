// SPDX-License-Identifier: BSD-2-Clause
//
// av_tools - what the tests of the worker's side share: a source in memory that
// is nothing but coded packets one after another, and a reader of what came out.

#ifndef TEST_AV_TOOLS_H
#define TEST_AV_TOOLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libavcodec/avcodec.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "codec/io.h"
#include "codec/job.h"
#include "codec/media.h"

// ---- leaks that are not ours

// libx265 loses a little memory of its own, and libavcodec's door to it 8 bytes for each picture
// that nobody takes from it, as nobody does of those behind a part.  That can be told from others
// by whole stacks only.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265\nleak:encode_beyond";
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

// ---- an order

// What most tests encode with, an initializer of struct video_settings.
#define PLAIN_VIDEO(width_, height_, num, den)                                                     \
    {                                                                                              \
        .width = (width_), .height = (height_), .fps = { (num), (den) }, .crf = 23,                \
        .maxrate = 1000000, .bufsize = 1000000, .vbv_init_permille = 700, .level = 30,             \
        .preset = "veryfast", .colour = { 1, 1, 1, false },                                        \
    }

// ---- a source

struct clip {
    struct buf bytes;
    struct sample *samples;
    int count;
    uint8_t *extradata;
    int extradata_size;
};

static inline void clip_init(struct clip *c)
{
    *c = (struct clip){ 0 };
    buf_init(&c->bytes, 256 * 1024 * 1024);
}

static inline void clip_add(struct clip *c, const AVPacket *p, int64_t pts, uint32_t duration)
{
    c->samples = xrealloc(c->samples, sizeof *c->samples * (size_t)(c->count + 1));
    c->samples[c->count++] = (struct sample){ .offset = (int64_t)c->bytes.len,
                                              .pts = pts,
                                              .size = (uint32_t)p->size,
                                              .duration = duration,
                                              .sync = p->flags & AV_PKT_FLAG_KEY };
    assert_int_equal(buf_append(&c->bytes, p->data, (size_t)p->size), 0);
}

static inline void clip_headers(struct clip *c, const AVCodecContext *encoder)
{
    c->extradata_size = encoder->extradata_size;
    c->extradata = xmalloc((size_t)c->extradata_size + 1);
    if (c->extradata_size)
        memcpy(c->extradata, encoder->extradata, (size_t)c->extradata_size);
}

static inline void clip_finish(struct clip *c)
{
    buf_finish(&c->bytes);
    free(c->samples);
    free(c->extradata);
}

// ---- both seams in memory

struct memory {
    struct io io;
    const struct buf *source;
    struct buf out;
    int patience; // times until cancelled says true; < 0: never
    int reads;
    int64_t wanted, wanted_n;
};

static inline int64_t memory_read(struct io *io, int64_t offset, void *to, int64_t n)
{
    struct memory *m = container_of(io, struct memory, io);
    const int64_t size = (int64_t)m->source->len;
    m->reads++;
    if (offset >= size)
        return 0;
    if (n > size - offset)
        n = size - offset;
    memcpy(to, m->source->data + offset, (size_t)n);
    return n;
}

static inline int memory_append(struct io *io, const void *bytes, size_t n)
{
    return buf_append(&container_of(io, struct memory, io)->out, bytes, n);
}

static inline bool memory_cancelled(struct io *io)
{
    struct memory *m = container_of(io, struct memory, io);
    return m->patience >= 0 && m->patience-- == 0;
}

static inline void memory_want(struct io *io, int64_t offset, int64_t n)
{
    struct memory *m = container_of(io, struct memory, io);
    m->wanted = offset;
    m->wanted_n = n;
}

static inline void memory_init(struct memory *m, const struct buf *source)
{
    *m = (struct memory){ .source = source, .patience = -1 };
    m->io = (struct io){ (int64_t)source->len, memory_read, memory_append,
                         memory_cancelled,     memory_want, NULL };
    buf_init(&m->out, 256 * 1024 * 1024);
}

// ---- what came out

struct coded {
    const uint8_t *data; // borrowed from the segment
    uint32_t size;
    int64_t dts, pts;
    bool sync;
    int fragment;
};

struct coded_list {
    struct coded *v;
    int count;
    int fragments;
    uint32_t sequence; // of the first fragment
};

// What stands in the tfhd for all samples that do not say otherwise.
struct defaults {
    uint32_t duration, flags;
};

static inline struct defaults read_tfhd(struct reader r)
{
    struct defaults d = { 0 };
    const uint32_t flags = get_be32(&r) & 0xffffff;
    get_be32(&r); // track
    assert_false(flags & 0x13);
    if (flags & 0x8)
        d.duration = get_be32(&r);
    if (flags & 0x20)
        d.flags = get_be32(&r);
    assert_false(r.bad);
    return d;
}

static inline void read_trun(struct reader r, struct coded_list *l, const uint8_t *data,
                             int64_t time, const struct defaults *d)
{
    const uint32_t flags = get_be32(&r) & 0xffffff;
    const uint32_t count = get_be32(&r);
    if (flags & 1)
        get_be32(&r);
    const uint32_t first_flags = flags & 4 ? get_be32(&r) : d->flags;
    l->v = xrealloc(l->v, sizeof *l->v * ((size_t)l->count + count));
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t duration = flags & 0x100 ? get_be32(&r) : d->duration;
        const uint32_t size = get_be32(&r);
        uint32_t sample_flags = flags & 0x400 ? get_be32(&r) : d->flags;
        const int32_t offset = flags & 0x800 ? (int32_t)get_be32(&r) : 0;
        if (i == 0 && flags & 4)
            sample_flags = first_flags;
        l->v[l->count++] = (struct coded){
            data, size, time, time + offset, !(sample_flags & 0x10000), l->fragments
        };
        data += size;
        time += duration;
    }
    assert_true(flags & 0x200);
    assert_false(r.bad);
}

// The payload of the first box of that type, which must be there.
static inline struct reader find_box(struct reader r, const char *type)
{
    while (reader_left(&r) >= 8) {
        const uint32_t size = get_be32(&r);
        const uint8_t *name = get_bytes(&r, 4);
        assert_true(size >= 8 && size - 8 <= reader_left(&r));
        const uint8_t *p = get_bytes(&r, size - 8);
        if (memcmp(name, type, 4) == 0)
            return reader_of(p, size - 8);
    }
    fail_msg("there is no box %s", type);
    return r;
}

static inline void read_moof(struct reader moof, const uint8_t *data, struct coded_list *l)
{
    const struct reader traf = find_box(moof, "traf");
    struct reader mfhd = find_box(moof, "mfhd"), tfdt = find_box(traf, "tfdt");
    get_be32(&mfhd);
    if (!l->fragments)
        l->sequence = get_be32(&mfhd);
    const int version = get_u8(&tfdt);
    get_be(&tfdt, 3);
    const int64_t time = (int64_t)get_be(&tfdt, version ? 8 : 4);
    const struct defaults d = read_tfhd(find_box(traf, "tfhd"));
    read_trun(find_box(traf, "trun"), l, data, time, &d);
    l->fragments++;
}

// All samples of a segment; l->v goes back with free().
static inline void read_segment(const struct buf *b, struct coded_list *l)
{
    struct reader r = reader_of(b->data, b->len);
    *l = (struct coded_list){ 0 };
    while (reader_left(&r) >= 8) {
        const uint32_t size = get_be32(&r);
        const uint8_t *name = get_bytes(&r, 4);
        assert_true(size >= 8);
        const uint8_t *p = get_bytes(&r, size - 8);
        assert_non_null(p);
        if (memcmp(name, "moof", 4) == 0)
            read_moof(reader_of(p, size - 8), r.p + 8, l); // the mdat follows at once
    }
}

#endif
