// SPDX-License-Identifier: BSD-2-Clause

#include "cache/keymap.h"

#include "base/base.h"

#define FIRST_SIZE 64

// Where the pointer to the key's node is, or the NULL where it would be.
static struct keymap_node **place(const struct keymap *m, const struct key *key)
{
    uint64_t hash;
    memcpy(&hash, key->b, sizeof hash);
    struct keymap_node **p = &m->slots[hash & (m->size - 1)];
    while (*p && !key_equal(&(*p)->key, key))
        p = &(*p)->next;
    return p;
}

static void insert(struct keymap *m, struct keymap_node *n)
{
    struct keymap_node **p = place(m, &n->key);
    assert(!*p);
    n->next = NULL;
    *p = n;
    m->count++;
}

static void grow(struct keymap *m)
{
    const struct keymap old = *m;
    m->size = 2 * old.size;
    m->count = 0;
    m->slots = xcalloc(m->size, sizeof *m->slots);
    for (size_t i = 0; i < old.size; i++)
        for (struct keymap_node *n = old.slots[i], *next; n; n = next) {
            next = n->next;
            insert(m, n);
        }
    free(old.slots);
}

void keymap_init(struct keymap *m)
{
    *m = (struct keymap){ xcalloc(FIRST_SIZE, sizeof *m->slots), FIRST_SIZE, 0 };
}

void keymap_finish(struct keymap *m, void (*bury)(struct keymap_node *n))
{
    for (size_t i = 0; i < m->size; i++)
        for (struct keymap_node *n = m->slots[i], *next; n; n = next) {
            next = n->next;
            bury(n);
        }
    free(m->slots);
    *m = (struct keymap){ 0 };
}

struct keymap_node *keymap_find(const struct keymap *m, const struct key *key)
{
    return *place(m, key);
}

void keymap_add(struct keymap *m, struct keymap_node *n)
{
    if (m->count == m->size)
        grow(m);
    insert(m, n);
}

void keymap_remove(struct keymap *m, struct keymap_node *n)
{
    struct keymap_node **p = place(m, &n->key);
    assert(*p == n);
    *p = n->next;
    m->count--;
}
