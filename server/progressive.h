// SPDX-License-Identifier: BSD-2-Clause
//
// progressive - a whole rendition as one fragmented MP4: its init segment and its
// segments one after another, each an object of its own that is made when its turn comes.
// So a film is sent without ever being held, and what a player of segments has asked for
// before is not made again.
//
// How many segments there are, the rendition's media playlist says.  How many bytes they
// have is known only when all of them are in memory.  HTTP threads; never blocks.

#ifndef SERVER_PROGRESSIVE_H
#define SERVER_PROGRESSIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge;
struct object;
struct progressive;
struct route;

// r: of the rendition; playlist: its media playlist, whole.  NULL when those segments
// make no MP4.
struct progressive *progressive_create(struct edge *e, const struct route *r, uint32_t client,
                                       const struct object *playlist);
void progressive_destroy(struct progressive *p); // NULL is fine

// Whether the size of all of it is known now; *size is that.
bool progressive_size(struct progressive *p, size_t *size);

// Opens the object that holds byte offset, and starts its making if need be; offset is 0, or
// lies within what progressive_size said. *skip: so many of its bytes come before.  To be closed.
struct object *progressive_open(struct progressive *p, size_t offset, size_t *skip);

// The same for the object behind the one opened last; NULL: there is none.
struct object *progressive_next(struct progressive *p);

#endif
