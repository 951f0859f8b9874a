// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/fragments.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"

#define BOX_HEAD 8

static bool is_type(const uint8_t *type, const char *name)
{
    return memcmp(type, name, 4) == 0;
}

// The first box of the name among those in r: its body, which may be empty.
static struct reader find(struct reader r, const char *name)
{
    while (reader_left(&r) >= BOX_HEAD) {
        const uint32_t size = get_be32(&r);
        const uint8_t *const type = get_bytes(&r, 4);
        if (size < BOX_HEAD || size - BOX_HEAD > reader_left(&r))
            break;
        const uint8_t *const body = get_bytes(&r, size - BOX_HEAD);
        if (is_type(type, name))
            return reader_of(body, size - BOX_HEAD);
    }
    return reader_of(NULL, 0);
}

static struct reader find_path(struct reader r, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        r = find(r, names[i]);
    return r;
}

uint32_t fragments_timescale(const uint8_t *init, size_t n)
{
    static const char *const path[] = { "moov", "trak", "mdia", "mdhd" };
    struct reader mdhd = find_path(reader_of(init, n), path, countof(path));
    const bool is_long = get_be32(&mdhd) >> 24 == 1;
    get_bytes(&mdhd, is_long ? 16 : 8);
    return get_be32(&mdhd);
}

void fragments_init(struct fragments *f, uint32_t timescale)
{
    *f = (struct fragments){ .timescale = timescale, .until = -1 };
    f->box = xmalloc(FRAGMENTS_MOOF_MAX);
}

void fragments_finish(struct fragments *f)
{
    free(f->box);
    f->box = NULL;
}

static void take_moof(struct fragments *f)
{
    static const char *const path[] = { "moof", "traf", "tfdt" };
    struct reader tfdt = find_path(reader_of(f->box, f->have), path, countof(path));
    const bool is_long = get_be32(&tfdt) >> 24 == 1;
    const uint64_t time = is_long ? get_be64(&tfdt) : get_be32(&tfdt);
    f->bad = tfdt.bad || time > INT64_MAX / 1000000;
    if (!f->bad)
        f->until = (int64_t)(time * 1000000 / f->timescale);
}

// How many bytes are wanted in box: the head, then of a moof the rest.
static size_t wanted(const struct fragments *f)
{
    struct reader r = reader_of(f->box, f->have);
    return f->have < BOX_HEAD ? BOX_HEAD : get_be32(&r);
}

// A head is whole: a moof is collected, all else is passed over.
static void take_head(struct fragments *f)
{
    struct reader r = reader_of(f->box, BOX_HEAD);
    const uint32_t size = get_be32(&r);
    const bool is_moof = is_type(f->box + 4, "moof");
    f->bad = size < BOX_HEAD || (is_moof && (size == BOX_HEAD || size > FRAGMENTS_MOOF_MAX));
    if (f->bad || is_moof)
        return;
    f->skip = size - BOX_HEAD;
    f->have = 0;
}

static void take(struct fragments *f)
{
    if (f->have == BOX_HEAD)
        take_head(f);
    if (f->have > BOX_HEAD && f->have == wanted(f)) {
        take_moof(f);
        f->have = 0;
    }
}

void fragments_feed(struct fragments *f, const uint8_t *bytes, size_t n)
{
    while (n > 0 && !f->bad) {
        size_t step = (size_t)min64((int64_t)f->skip, (int64_t)n);
        if (step > 0) {
            f->skip -= step;
        } else {
            step = (size_t)min64((int64_t)(wanted(f) - f->have), (int64_t)n);
            memcpy(f->box + f->have, bytes, step);
            f->have += step;
            take(f);
        }
        bytes += step;
        n -= step;
    }
}
