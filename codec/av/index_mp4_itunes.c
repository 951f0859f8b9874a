// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4_itunes - where the sound of a track begins and ends, as iTunes notes it: among the
// tags, as text, and in no edit list.

#include "codec/av/index_mp4.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static bool is_named(struct reader item, const char *name)
{
    struct reader r;
    if (!box_find(item, TYPE('n', 'a', 'm', 'e'), &r))
        return false;
    box_version(&r, NULL);
    const size_t n = strlen(name);
    return reader_left(&r) == n && memcmp(r.p, name, n) == 0;
}

// The text of a tag of iTunes' own.
static bool find_tag(struct reader ilst, const char *name, char *out, size_t cap)
{
    uint32_t type;
    struct reader item, r;
    while (box_next(&ilst, &type, &item)) {
        if (type != TYPE('-', '-', '-', '-') || !is_named(item, name) ||
            !box_find(item, TYPE('d', 'a', 't', 'a'), &r))
            continue;
        get_bytes(&r, 8); // its kind and language
        const size_t left = reader_left(&r), n = left < cap - 1 ? left : cap - 1;
        memcpy(out, r.p, n);
        out[n] = 0;
        return !r.bad;
    }
    return false;
}

static bool find_tags(struct reader moov, struct reader *ilst)
{
    struct reader udta, meta;
    if (!box_find(moov, TYPE('u', 'd', 't', 'a'), &udta) ||
        !box_find(udta, TYPE('m', 'e', 't', 'a'), &meta))
        return false;
    box_version(&meta, NULL);
    return box_find(meta, TYPE('i', 'l', 's', 't'), ilst);
}

bool mp4_parse_itunes(struct reader moov, struct index_part *heard)
{
    char text[64]; // four numbers: 0, samples before the sound, behind it, and of it
    struct reader ilst;
    if (!find_tags(moov, &ilst) || !find_tag(ilst, "iTunSMPB", text, sizeof text))
        return false;
    uint64_t v[4];
    char *at = text;
    for (size_t i = 0; i < countof(v); i++)
        v[i] = strtoull(at, &at, 16);
    if (v[1] >= INT32_MAX || v[3] == 0 || v[3] >= (uint64_t)INDEX_TIME_MAX)
        return false;
    *heard = (struct index_part){ .from = (int64_t)v[1], .to = (int64_t)(v[1] + v[3]) };
    return true;
}
