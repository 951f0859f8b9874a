// SPDX-License-Identifier: BSD-2-Clause
//
// Least recently used goes first: a ring with the coldest entry in front.

#include "base/base.h"
#include "cache/policy.h"

struct lru {
    struct policy policy;
    struct list ring;
};

static struct list *ring_of(struct policy *p)
{
    return &container_of(p, struct lru, policy)->ring;
}

static void lru_add(struct policy *p, struct policy_entry *e)
{
    list_push_back(ring_of(p), &e->link);
}

static void lru_remove(struct policy *p, struct policy_entry *e)
{
    (void)p;
    list_remove(&e->link);
}

static void lru_touch(struct policy *p, struct policy_entry *e)
{
    lru_remove(p, e);
    lru_add(p, e);
}

static struct policy_entry *lru_victim(struct policy *p)
{
    struct list *ring = ring_of(p);
    return list_empty(ring) ? NULL : container_of(ring->next, struct policy_entry, link);
}

static void lru_destroy(struct policy *p)
{
    assert(list_empty(ring_of(p)));
    free(container_of(p, struct lru, policy));
}

struct policy *policy_lru_create(void)
{
    struct lru *l = xmalloc(sizeof *l);
    l->policy = (struct policy){
        .add = lru_add,
        .touch = lru_touch,
        .remove = lru_remove,
        .victim = lru_victim,
        .destroy = lru_destroy,
    };
    list_init(&l->ring);
    return &l->policy;
}
