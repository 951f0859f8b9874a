// SPDX-License-Identifier: BSD-2-Clause
//
// index_mp4_entries - which headers a sample is decoded by, where a track has several sample
// entries (films put together of what two cameras took).  The first entry's are those that
// libavformat tells, also for a track that uses none but another one.

#include "codec/av/index_mp4.h"

#include <string.h>

#define VISUAL_ENTRY 78 // bytes before the boxes of a VisualSampleEntry

static bool entry_at(const struct trak *k, uint32_t n, uint32_t *type, struct reader *body)
{
    struct reader r = k->stsd;
    bool found = n > 0;
    for (uint32_t i = 0; found && i < n; i++)
        found = box_next(&r, type, body);
    return found;
}

static bool alike(struct reader a, struct reader b)
{
    const size_t n = reader_left(&a);
    return n == reader_left(&b) && memcmp(a.p, b.p, n) == 0;
}

// The headers of kinds that libavcodec takes new ones of in mid-stream.
static bool find_config(uint32_t type, struct reader body, struct reader *config)
{
    get_bytes(&body, VISUAL_ENTRY);
    switch (type) {
    case TYPE('a', 'v', 'c', '1'):
    case TYPE('a', 'v', 'c', '3'):
        return box_find(body, TYPE('a', 'v', 'c', 'C'), config);
    case TYPE('h', 'v', 'c', '1'):
    case TYPE('h', 'e', 'v', '1'):
        return box_find(body, TYPE('h', 'v', 'c', 'C'), config);
    default:
        return false;
    }
}

// The number of these among t's; 0: there is no room for them.
static uint8_t number_of(struct index_track *t, const struct reader *config)
{
    const size_t n = reader_left(config);
    for (int i = 0; i < t->more_headers_count; i++)
        if ((size_t)t->more_headers[i].size == n &&
            memcmp(t->more_headers[i].bytes, config->p, n) == 0)
            return (uint8_t)(i + 1);
    if (t->more_headers_count == MEDIA_HEADERS || n == 0 || n > MEDIA_EXTRADATA_MAX)
        return 0;
    struct headers *const h = &t->more_headers[t->more_headers_count++];
    h->bytes = memcpy(xmalloc(n), config->p, n);
    h->size = (int)n;
    return (uint8_t)t->more_headers_count;
}

bool mp4_headers(const struct trak *k, struct index_track *t, uint32_t entry, uint8_t *headers)
{
    uint32_t type;
    struct reader body, first, config;
    *headers = 0;
    if (entry <= 1 || t->text)
        return true;
    if (entry_at(k, entry, &type, &body) && type == k->entry && entry_at(k, 1, &type, &first)) {
        if (alike(body, first))
            return true;
        if (find_config(type, body, &config))
            *headers = number_of(t, &config);
    }
    if (*headers == 0)
        index_refuse(t, "several sample descriptions");
    return *headers > 0;
}
