// SPDX-License-Identifier: BSD-2-Clause

#include "server/records.h"

#include "base/base.h"
#include "base/err.h"
#include "cache/object.h"
#include "cache/spill.h"
#include "cache/store.h"
#include "cache/tier.h"
#include "codec/record.h"
#include "server/edge.h"

static struct key record_key(const struct key *recipe)
{
    char hex[KEY_HEX];
    return key_of_text("record 1\n%s\n", key_hex(recipe, hex));
}

// Puts a whole body under a key that may be there already.
static void keep(struct edge *e, const struct key *key, const struct buf *body)
{
    struct object *o = NULL;
    if (store_open(e->store, key, clock_ms(), &o) == STORE_MAKE) {
        const int err = object_append(o, body->data, body->len);
        if (err < 0)
            store_fail(e->store, o, err, NULL, 0);
        else
            store_commit(e->store, o, STORE_FOREVER);
        if (err == 0 && e->spill)
            spill_offer(e->spill, o);
    }
    store_close(e->store, &o);
}

void records_keep(struct edge *e, const struct plan *p, const char *asset, const char *version)
{
    struct buf body;
    buf_init(&body, RECORD_MAX);
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        buf_clear(&body);
        if (record_pack(p, r, asset, version, e->headers, &body) == 0) {
            const struct key key = record_key(&r->recipe);
            keep(e, &key, &body);
        }
    }
    buf_finish(&body);
}

int records_keep_ts(struct edge *e, const struct plan *p)
{
    struct ts_rendition list[PLAN_RENDITIONS];
    const int count = ts_plan(p, list);
    struct buf body;
    buf_init(&body, RECORD_MAX);
    for (int i = 0; i < count; i++) {
        const struct key key = record_key(&list[i].recipe);
        buf_clear(&body);
        if (ts_record_pack(&list[i], &body) == 0)
            keep(e, &key, &body);
    }
    buf_finish(&body);
    return count;
}

static void keep_view(struct edge *e, const struct encrypted *v, struct buf *body)
{
    const struct key key = record_key(&v->recipe);
    buf_clear(body);
    if (encrypted_pack(v, body) == 0)
        keep(e, &key, body);
}

void records_keep_encrypted(struct edge *e, const struct encryption *by, const struct plan *p)
{
    struct encrypted list[ENCRYPTED_MAX];
    const int count = encryption_views(by, p, list);
    struct buf body;
    buf_init(&body, RECORD_MAX);
    for (int i = 0; i < count; i++)
        keep_view(e, &list[i], &body);
    buf_finish(&body);
}

static int find_bytes(struct edge *e, const struct key *key, struct buf *out)
{
    struct object *o = NULL;
    if (store_peek(e->store, key, clock_ms(), &o)) {
        size_t n = 0;
        const uint8_t *const bytes = object_state(o) == OBJECT_WHOLE ? object_bytes(o, &n) : NULL;
        const int err = bytes ? buf_append(out, bytes, n) : -E_NOT_FOUND;
        store_close(e->store, &o);
        return err;
    }
    for (int i = 0; i < e->tier_count; i++) {
        if (e->tiers[i]->get(e->tiers[i], key, out) == 0)
            return 0;
    }
    return -E_NOT_FOUND;
}

int records_find(struct edge *e, const struct key *recipe, const char *asset, const char *version,
                 const struct media *m, struct plan *out)
{
    const struct key key = record_key(recipe);
    struct buf body;
    buf_init(&body, RECORD_MAX);
    int err = find_bytes(e, &key, &body);
    if (err == 0)
        err = record_unpack(body.data, body.len, recipe, asset, version, out);
    buf_finish(&body);
    if (err == 0 && plan_fit(out, m))
        return 0;
    if (err == 0)
        plan_finish(out);
    return -E_NOT_FOUND;
}

int records_find_ts(struct edge *e, const struct key *recipe, struct ts_rendition *out)
{
    const struct key key = record_key(recipe);
    struct buf body;
    buf_init(&body, RECORD_MAX);
    int err = find_bytes(e, &key, &body);
    if (err == 0)
        err = ts_record_unpack(body.data, body.len, recipe, out);
    buf_finish(&body);
    return err < 0 ? -E_NOT_FOUND : 0;
}

int records_find_encrypted(struct edge *e, const struct key *recipe, struct encrypted *out)
{
    const struct key key = record_key(recipe);
    struct buf body;
    buf_init(&body, RECORD_MAX);
    int err = find_bytes(e, &key, &body);
    if (err == 0)
        err = encrypted_unpack(body.data, body.len, recipe, out);
    buf_finish(&body);
    return err < 0 ? -E_NOT_FOUND : 0;
}
