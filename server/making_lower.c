// SPDX-License-Identifier: BSD-2-Clause
//
// Asks the nearest tiers first; what they hold is checked like a worker's answer.

#include "server/making_steps.h"

#include <string.h>

#include "base/log.h"
#include "base/stat.h"
#include "cache/source.h"
#include "cache/tier.h"
#include "server/verify.h"

static bool acceptable(const struct making *m, const struct buf *body)
{
    return m->probe ? verify_index(body->data, body->len, source_version(m->source)->size)
                    : verify_stored(&m->route, body->data, body->len);
}

static bool ask_tier(struct making *m, struct tier *t, const struct key *key, struct buf *body)
{
    if (t->get(t, key, body) < 0)
        return false;
    if (acceptable(m, body))
        return true;
    stat_add(STAT_cache_corrupt_total, 1);
    log_warn("make", "%s: what %s holds cannot be used and is removed", m->route.asset, t->name);
    t->drop(t, key);
    return false;
}

// The tier that had the body, or FROM_NOWHERE.
static enum reply_source ask_tiers(struct making *m, const struct key *key, struct buf *body)
{
    for (int i = 0; i < m->edge->tier_count; i++) {
        if (!ask_tier(m, m->edge->tiers[i], key, body))
            continue;
        const bool disk = strcmp(m->edge->tiers[i]->name, "disk") == 0;
        stat_add(disk ? STAT_cache_hits_disk_total : STAT_cache_hits_redis_total, 1);
        return disk ? FROM_DISK : FROM_REDIS;
    }
    stat_add(STAT_cache_misses_total, 1);
    return FROM_NOWHERE;
}

static void take_body(struct making *m, const struct buf *body, enum reply_source from)
{
    making_mark(m, from);
    const int err = object_append(m->object, body->data, body->len);
    if (err == 0 && from == FROM_REDIS)
        making_done_made(m); // a nearer tier wants it too
    else
        making_done(m, err, NULL);
}

bool making_asks_tiers(const struct making *m)
{
    return m->edge->tier_count > 0 && (making_is_for_tiers(m) || m->want == WANT_CHECK);
}

enum step_end making_step_lower(struct making *m)
{
    const bool check = m->want == WANT_CHECK;
    if (!making_asks_tiers(m))
        return STEP_NEXT;
    struct buf body;
    buf_init(&body, (size_t)m->edge->conf->cache_object);
    const struct key real = making_key(m->edge, &m->route, WANT_BODY, "");
    const enum reply_source from = ask_tiers(m, check ? &real : object_key(m->object), &body);
    if (from != FROM_NOWHERE && check)
        making_done_checked(m);
    else if (from != FROM_NOWHERE)
        take_body(m, &body, from);
    buf_finish(&body);
    return from != FROM_NOWHERE ? STEP_DONE : STEP_NEXT;
}
