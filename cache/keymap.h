// SPDX-License-Identifier: BSD-2-Clause
//
// keymap - a hash table on struct key with the nodes embedded in what it finds.
//
// A key is a piece of a SHA-256, so its first bytes are the hash.  The table
// doubles when there are as many nodes as slots and never shrinks.  Not
// thread-safe; the owner of the nodes bounds their number.

#ifndef CACHE_KEYMAP_H
#define CACHE_KEYMAP_H

#include <stddef.h>

#include "base/hash.h"

struct keymap_node {
    struct keymap_node *next; // private
    struct key key;           // set before add, constant until removed
};

struct keymap {
    struct keymap_node **slots; // private; size is a power of two
    size_t size;
    size_t count;
};

void keymap_init(struct keymap *m);

// Takes all nodes out, handing each to bury, and frees the table.
void keymap_finish(struct keymap *m, void (*bury)(struct keymap_node *n));

struct keymap_node *keymap_find(const struct keymap *m, const struct key *key); // or NULL
void keymap_add(struct keymap *m, struct keymap_node *n);    // its key is not in m
void keymap_remove(struct keymap *m, struct keymap_node *n); // it is

#endif
