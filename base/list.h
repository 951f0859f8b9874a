// SPDX-License-Identifier: BSD-2-Clause
//
// list - an intrusive doubly linked ring.  The head is a struct list too; an
// element on no list points at itself, so list_remove is safe to repeat.

#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_add_before(struct list *at, struct list *l)
{
    l->next = at;
    l->prev = at->prev;
    at->prev->next = l;
    at->prev = l;
}

static inline void list_push_back(struct list *head, struct list *l)
{
    list_add_before(head, l);
}

static inline void list_push_front(struct list *head, struct list *l)
{
    list_add_before(head->next, l);
}

static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

// The first element, taken off; NULL when empty.
static inline struct list *list_pop(struct list *head)
{
    if (list_empty(head))
        return 0;
    struct list *l = head->next;
    list_remove(l);
    return l;
}

// Moves all elements of from (left empty) to the end of to.
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
