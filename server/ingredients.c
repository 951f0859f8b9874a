// SPDX-License-Identifier: BSD-2-Clause

#include "server/ingredients.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/buf.h"
#include "cache/object.h"
#include "cache/store.h"
#include "server/ahead.h"
#include "server/edge.h"
#include "server/making.h"

struct ingredients *ingredients_open(struct edge *e, const struct route *routes, int count,
                                     struct asker who)
{
    assert(count > 0 && count <= INGREDIENTS_MAX);
    struct ingredients *const i = xcalloc(1, sizeof *i);
    i->made = -1;
    for (; i->count < count; i->count++) {
        const struct key key = making_key(e, &routes[i->count], WANT_BODY, "");
        struct object **const o = &i->list[i->count];
        const enum store_verdict verdict = store_open(e->store, &key, clock_ms(), o);
        i->made = verdict != STORE_HIT ? i->count : i->made;
        if (verdict == STORE_MAKE)
            making_start_for_other(e, &routes[i->count], who, *o);
        else if (verdict == STORE_JOIN)
            making_hurry(e, *o, who.wanted);
        if (wanted_by_viewer(who.wanted) && route_is_media(&routes[i->count]))
            ahead_note(e->ahead, &routes[i->count], who.client, verdict != STORE_HIT, NULL,
                       clock_us());
    }
    return i;
}

void ingredients_close(struct edge *e, struct ingredients **ip)
{
    struct ingredients *const i = *ip;
    *ip = NULL;
    for (int k = 0; i && k < i->count; k++)
        making_leave(e, &i->list[k]);
    free(i);
}

int ingredients_next(const struct ingredients *i)
{
    int k = 0;
    while (k < i->count && object_state(i->list[k]) == OBJECT_WHOLE)
        k++;
    return k;
}

bool ingredients_marks(const struct ingredients *i, int64_t marks[OBJECT_MARKS])
{
    if (i->made >= 0)
        object_marks(i->list[i->made], marks);
    return i->made >= 0;
}

bool ingredients_view(const struct ingredients *i, int k, struct buf *spare, const uint8_t **bytes,
                      size_t *n)
{
    const struct object *const o = i->list[k];
    if (object_state(o) == OBJECT_WHOLE) {
        *bytes = object_bytes(o, n);
        return true;
    }
    uint8_t *const copy = buf_extend(spare, object_size(o));
    *n = copy ? object_read(o, 0, copy, spare->len) : 0;
    *bytes = copy;
    return false;
}
