// SPDX-License-Identifier: BSD-2-Clause

#include "server/edge.h"

#include <string.h>

#include "base/base.h"
#include "base/tasks.h"
#include "cache/origin.h"
#include "cache/policy.h"
#include "cache/source.h"
#include "cache/spill.h"
#include "cache/store.h"
#include "cache/tier.h"
#include "cache/transfer.h"
#include "codec/encryption.h"
#include "config/memory.h"
#include "server/ahead.h"
#include "server/assets.h"
#include "server/deadlines.h"
#include "server/keeper.h"
#include "server/keyring.h"
#include "server/making.h"
#include "server/measured.h"
#include "server/page.h"
#include "server/sched.h"
#include "server/trial.h"
#include "server/warm.h"
#include "server/worker.h"
#include "server/zygote.h"

#define PLAN_THREADS 4
#define FOLDER_THREADS 4

static bool open_origins(struct edge *e, char *why, size_t cap)
{
    for (int i = 0; i < e->conf->origin_count; i++) {
        const struct conf_origin *const o = &e->conf->origins[i];
        const struct conf_keys k = conf_origin_keys(e->conf, o);
        const struct origin_keys keys = { o->aws_sigv4, k.key_id, k.secret, k.session_token };
        e->origins[i] =
            o->http ? origin_http_create(e->conf, o->base, o->aws_sigv4 ? &keys : NULL, why, cap)
                    : origin_file_create(e->conf, o->base, why, cap);
        if (!e->origins[i])
            return false;
        e->open[i] = tasks_create("open", o->http ? e->conf->origin_connections : FOLDER_THREADS);
    }
    return true;
}

static bool add_tier(struct edge *e, struct tier *t)
{
    if (t)
        e->tiers[e->tier_count++] = t;
    return t != NULL;
}

static bool open_tiers(struct edge *e, char *why, size_t cap)
{
    if (e->conf->cache_disk_enabled && !add_tier(e, tier_disk_create(e->conf, why, cap)))
        return false;
    if (e->conf->redis_url[0] && !add_tier(e, tier_redis_create(e->conf, why, cap)))
        return false;
    if (e->tier_count > 0)
        e->spill = spill_create(e->conf, e->tiers, e->tier_count);
    return true;
}

// What a player relies on are the header bytes, not the versions: those are in
// the names of objects, but not in recipes, so that a fleet may be mixed.
static const char *signature_headers(const char *signature)
{
    const char *const headers = strstr(signature, "headers ");
    return headers ? headers : signature;
}

// What does not depend on the CPU is the same on all machines with these builds.
static void split_signature(struct edge *e)
{
    static const char mark[] = " cpu ";
    const char *const at = strstr(e->signature, mark);
    const size_t n = at ? strcspn(at + sizeof mark - 1, " ") : 0;
    e->cpu = strndup(at ? at + sizeof mark - 1 : "", n);
    e->builds =
        at ? xasprintf("%.*s%s", (int)(at - e->signature), e->signature, at + sizeof mark - 1 + n)
           : xstrdup(e->signature);
}

// ---- what will be asked for next

static struct object *begin_ahead(void *arg, const struct route *r, uint32_t client)
{
    struct edge *const e = arg;
    struct object *o = NULL;
    const struct key key = making_key(e, r, WANT_BODY, "");
    const struct asker who = { client, wanted_at(WANTED_AHEAD, clock_us()) };
    if (store_has(e->store, &key, clock_ms()))
        return NULL;
    making_open(e, &key, r, WANT_BODY, "", who, &o);
    return o;
}

static void leave(void *arg, struct object **o)
{
    making_leave(arg, o);
}

// ---- what an operator wants

static struct object *open_warm(void *arg, const struct route *r)
{
    struct edge *const e = arg;
    struct object *o = NULL;
    const struct key key = making_key(e, r, WANT_BODY, "");
    making_open(e, &key, r, WANT_BODY, "", (struct asker){ 0, wanted_at(WANTED_WARM, clock_us()) },
                &o);
    return o;
}

// ---- life

static bool build(struct edge *e, char *why, size_t cap)
{
    e->zygote = zygote_start(e->conf, why, cap);
    if (!e->zygote)
        return false;
    if (!trial_encoders(e->conf, e->zygote, why, cap))
        return false;
    e->signature = zygote_signature(e->zygote);
    e->headers = signature_headers(e->signature);
    split_signature(e);
    if (e->conf->ui && !(e->pages = pages_load(why, cap)))
        return false;
    transfer_global_init();
    if (!open_tiers(e, why, cap) || !open_origins(e, why, cap))
        return false;
    e->store = store_create(e->conf->cache_memory, e->conf->cache_in_use,
                            (size_t)e->conf->cache_object, policy_lru_create());
    e->sources = source_cache_create(e->conf);
    e->assets = assets_create((size_t)e->conf->cache_indexes);
    e->lookup = tasks_create("lookup", MEMORY_LOOKUPS);
    e->plan = tasks_create("plan", PLAN_THREADS);
    e->keyring = keyring_create(e->conf);
    e->ask = e->keyring ? tasks_create("keys", KEYRING_THREADS) : NULL;
    e->keeper = keeper_create(e->store);
    e->ahead = ahead_create(&(struct ahead_calls){ e, begin_ahead, leave }, e->conf->workers_ahead,
                            4 * e->conf->workers_count);
    e->measured = measured_create();
    e->deadlines = deadlines_create(e->conf->http_answer_wait);
    e->sched = sched_create(e->conf, e->zygote, why, cap);
    if (e->sched)
        e->warm = warm_create(&(struct warm_calls){ e, open_warm, leave }, e->conf->warm_segments,
                              e->conf->warm_queue);
    return e->sched != NULL;
}

struct edge *edge_create(const struct conf *conf, char *why, size_t cap)
{
    struct edge *e = xcalloc(1, sizeof *e);
    e->conf = conf;
    e->encrypts = encryption_method_of(conf) != ENCRYPTION_NONE;
    if (build(e, why, cap))
        return e;
    edge_destroy(e);
    return NULL;
}

void edge_destroy(struct edge *e)
{
    if (!e)
        return;
    // Nobody reads any more, so all makings are on their way to their ends; those
    // run on the very threads that go next.
    if (e->ahead)
        ahead_stop(e->ahead);
    if (e->warm)
        warm_stop(e->warm);
    if (e->keeper)
        keeper_stop(e->keeper);
    making_wait_all();
    ahead_destroy(e->ahead);
    warm_destroy(e->warm);
    keeper_destroy(e->keeper);
    deadlines_destroy(e->deadlines);
    measured_destroy(e->measured);
    sched_destroy(e->sched);
    tasks_destroy(e->lookup);
    tasks_destroy(e->plan);
    tasks_destroy(e->ask);
    keyring_destroy(e->keyring);
    for (int i = 0; i < e->conf->origin_count; i++)
        tasks_destroy(e->open[i]);
    spill_destroy(e->spill);
    assets_destroy(e->assets);
    source_cache_destroy(e->sources);
    store_destroy(e->store);
    for (int i = 0; i < e->conf->origin_count; i++) {
        if (e->origins[i])
            e->origins[i]->destroy(e->origins[i]);
    }
    for (int i = 0; i < e->tier_count; i++)
        e->tiers[i]->destroy(e->tiers[i]);
    pages_destroy(e->pages);
    zygote_stop(e->zygote);
    free(e->builds);
    free(e->cpu);
    free(e);
}

int edge_origin(const struct edge *e, const char *asset, const char **path)
{
    // A prefix begins with '/', an asset does not.
    for (int i = 0; i < e->conf->origin_count; i++) {
        const char *const prefix = e->conf->origins[i].prefix + 1;
        const size_t n = strlen(prefix);
        if (strncmp(asset, prefix, n) == 0 && asset[n]) {
            *path = asset + n;
            return i;
        }
    }
    return -1;
}
