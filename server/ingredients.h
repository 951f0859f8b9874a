// SPDX-License-Identifier: BSD-2-Clause
//
// ingredients - the objects that another object is made of, such as the segments of
// video and audio that one of MPEG-TS is muxed from.
//
// They are opened like any viewer would: what is there is taken, what somebody makes is
// read along, what is missing is made, each under a deadline of its own.  Who opens them
// is their reader, and when it closes them, work for nobody else is cancelled.

#ifndef SERVER_INGREDIENTS_H
#define SERVER_INGREDIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wanted.h"
#include "cache/object.h"
#include "server/route.h"

#define INGREDIENTS_MAX 4

struct buf;
struct edge;

struct ingredients {
    int count;
    struct object *list[INGREDIENTS_MAX]; // open
    int made;                             // the last that is made for us or beside us, -1: none
};

// Opens the bodies of these routes, all at once, and starts the making of those that are
// missing.  To be closed.  Never blocks.
struct ingredients *ingredients_open(struct edge *e, const struct route *routes, int count,
                                     struct asker who);

// Closes all.  NULL is fine; nulls *i.
void ingredients_close(struct edge *e, struct ingredients **i);

// The number of the first that is not whole (yet, or failed); count for none.
int ingredients_next(const struct ingredients *i);

// True when any is made: marks are those of the last such then, else they stay.
bool ingredients_marks(const struct ingredients *i, int64_t marks[OBJECT_MARKS]);

// What there is of number k: true, and the bytes stand still, when it is whole; else a copy
// of its beginning in spare (inited).
bool ingredients_view(const struct ingredients *i, int k, struct buf *spare, const uint8_t **bytes,
                      size_t *n);

#endif
