// SPDX-License-Identifier: BSD-2-Clause

#include "server/progressive.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cache/object.h"
#include "cache/store.h"
#include "server/edge.h"
#include "server/making.h"

struct progressive {
    struct edge *edge;
    struct route route; // of any part
    uint32_t client;
    int count;            // parts: the init segment and the segments
    int at;               // the part opened last
    struct object *ahead; // the one behind it, open, so that it is made meanwhile
    size_t *sizes;        // of the parts; counted on when progressive_size said true
};

static const struct route *route_of(struct progressive *p, int part)
{
    p->route.kind = part == 0 ? ROUTE_INIT : ROUTE_SEGMENT;
    p->route.format = FORMAT_M4S;
    p->route.n = part == 0 ? 0 : part - 1;
    return &p->route;
}

// Our own text, though perhaps from a lower tier: counted, and believed in no other way.
static int count_segments(const struct object *playlist)
{
    static const char map[] = "#EXT-X-MAP:", segment[] = "#EXTINF:";
    static const char each[] = "METHOD=AES-128"; // segments that are one only when decrypted
    size_t n;
    const char *const text = (const char *)object_bytes(playlist, &n), *const end = text + n;
    if (!memmem(text, n, map, sizeof map - 1) || memmem(text, n, each, sizeof each - 1))
        return 0;
    int count = 0;
    for (const char *s = text; count < ROUTE_SEGMENT_MAX; count++) {
        s = memmem(s, (size_t)(end - s), segment, sizeof segment - 1);
        if (!s)
            break;
        s += sizeof segment - 1;
    }
    return count;
}

struct progressive *progressive_create(struct edge *e, const struct route *r, uint32_t client,
                                       const struct object *playlist)
{
    const int segments = count_segments(playlist);
    if (segments == 0)
        return NULL;
    struct progressive *const p = xcalloc(1, sizeof *p);
    *p = (struct progressive){ .edge = e, .route = *r, .client = client, .count = segments + 1 };
    return p;
}

static struct object *open_part(struct progressive *p, int part, enum wanted_class class)
{
    struct object *o = NULL;
    const struct route *const r = route_of(p, part);
    const struct key key = making_key(p->edge, r, WANT_BODY, "");
    const struct asker who = { p->client, wanted_at(class, clock_us()) };
    making_open(p->edge, &key, r, WANT_BODY, "", who, &o);
    return o;
}

static void close_ahead(struct progressive *p)
{
    if (p->ahead)
        store_close(p->edge->store, &p->ahead);
}

void progressive_destroy(struct progressive *p)
{
    if (!p)
        return;
    close_ahead(p);
    free(p->sizes);
    free(p);
}

// The bytes of a part that is in memory; false when it is not, or not whole.
static bool part_size(struct progressive *p, int part, size_t *size)
{
    struct object *o = NULL;
    const struct key key = making_key(p->edge, route_of(p, part), WANT_BODY, "");
    if (!store_peek(p->edge->store, &key, clock_ms(), &o))
        return false;
    const bool whole = object_state(o) == OBJECT_WHOLE;
    *size = object_size(o);
    store_close(p->edge->store, &o);
    return whole;
}

bool progressive_size(struct progressive *p, size_t *size)
{
    if (!p->sizes)
        p->sizes = xcalloc((size_t)p->count, sizeof *p->sizes);
    *size = 0;
    for (int i = 0; i < p->count; i++) {
        if (!part_size(p, i, &p->sizes[i]))
            return false;
        *size += p->sizes[i];
    }
    return true;
}

// What has left the memory meanwhile is made again, and has the same size.
struct object *progressive_open(struct progressive *p, size_t offset, size_t *skip)
{
    p->at = 0;
    while (offset > 0 && p->at + 1 < p->count && offset >= p->sizes[p->at])
        offset -= p->sizes[p->at++];
    *skip = offset;
    return open_part(p, p->at, WANTED_VIEWER);
}

// A part that could not be made ahead gets another chance when its turn has come.
struct object *progressive_next(struct progressive *p)
{
    if (p->at + 1 >= p->count)
        return NULL;
    p->at++;
    if (p->ahead && object_state(p->ahead) == OBJECT_FAILED)
        close_ahead(p);
    struct object *const o = p->ahead ? p->ahead : open_part(p, p->at, WANTED_VIEWER);
    making_hurry(p->edge, o, clock_us());
    p->ahead = p->at + 1 < p->count ? open_part(p, p->at + 1, WANTED_AHEAD) : NULL;
    return o;
}
