// SPDX-License-Identifier: BSD-2-Clause

#include "server/keeper.h"

#include <stdbool.h>

#include "base/base.h"
#include "cache/object.h"
#include "cache/store.h"

struct keeper {
    struct store *store;
    pthread_mutex_t lock;
    // protected by lock
    struct object *list[KEEPER_MAX]; // NULL: free
    bool stopped;
};

struct keeper *keeper_create(struct store *store)
{
    struct keeper *const s = xcalloc(1, sizeof *s);
    s->store = store;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void keeper_destroy(struct keeper *s)
{
    if (!s)
        return;
    keeper_stop(s);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void keeper_keep(struct keeper *s, struct object *o)
{
    int at = 0;
    lock(&s->lock);
    while (at < KEEPER_MAX && s->list[at])
        at++;
    if (at < KEEPER_MAX && !s->stopped && object_try_join(o))
        s->list[at] = object_ref(o);
    unlock(&s->lock);
}

// Takes one out of the list; NULL when it is not there.  o NULL: any.
static struct object *take(struct keeper *s, const struct object *o)
{
    struct object *found = NULL;
    lock(&s->lock);
    for (int i = 0; i < KEEPER_MAX && !found; i++) {
        if (!s->list[i] || (o && s->list[i] != o))
            continue;
        found = s->list[i];
        s->list[i] = NULL;
    }
    unlock(&s->lock);
    return found;
}

void keeper_drop(struct keeper *s, const struct object *o)
{
    struct object *found = take(s, o);
    if (found)
        store_close(s->store, &found);
}

void keeper_stop(struct keeper *s)
{
    lock(&s->lock);
    s->stopped = true;
    unlock(&s->lock);
    for (struct object *o; (o = take(s, NULL));)
        store_close(s->store, &o);
}
