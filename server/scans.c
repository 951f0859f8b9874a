// SPDX-License-Identifier: BSD-2-Clause

#include "server/scans.h"

#include <stdbool.h>

#include "base/base.h"
#include "cache/object.h"
#include "cache/store.h"

struct scans {
    struct store *store;
    pthread_mutex_t lock;
    // protected by lock
    struct object *list[SCANS_MAX]; // NULL: free
    bool stopped;
};

struct scans *scans_create(struct store *store)
{
    struct scans *const s = xcalloc(1, sizeof *s);
    s->store = store;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void scans_destroy(struct scans *s)
{
    if (!s)
        return;
    scans_stop(s);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void scans_keep(struct scans *s, struct object *o)
{
    int at = 0;
    lock(&s->lock);
    while (at < SCANS_MAX && s->list[at])
        at++;
    if (at < SCANS_MAX && !s->stopped && object_try_join(o))
        s->list[at] = object_ref(o);
    unlock(&s->lock);
}

// Takes one out of the list; NULL when it is not there.  o NULL: any.
static struct object *take(struct scans *s, const struct object *o)
{
    struct object *found = NULL;
    lock(&s->lock);
    for (int i = 0; i < SCANS_MAX && !found; i++) {
        if (!s->list[i] || (o && s->list[i] != o))
            continue;
        found = s->list[i];
        s->list[i] = NULL;
    }
    unlock(&s->lock);
    return found;
}

void scans_drop(struct scans *s, const struct object *o)
{
    struct object *found = take(s, o);
    if (found)
        store_close(s->store, &found);
}

void scans_stop(struct scans *s)
{
    lock(&s->lock);
    s->stopped = true;
    unlock(&s->lock);
    for (struct object *o; (o = take(s, NULL));)
        store_close(s->store, &o);
}
