// SPDX-License-Identifier: BSD-2-Clause
//
// keeper - reads objects in the making, so that they go on when whoever asked for them has left:
// the indexes that long scans make (who comes back finds more than he left, and a playlist that
// grows gets its end), and what is nearly made (the next one who asks has it).
//
// What limits them is the scheduler: workers.scan_time, and that one prober is left to others.
// Thread-safe; never blocks.

#ifndef SERVER_KEEPER_H
#define SERVER_KEEPER_H

#define KEEPER_MAX 64 // at a time; more go when their readers go

struct object;
struct keeper;
struct store;

struct keeper *keeper_create(struct store *store);
void keeper_destroy(struct keeper *s); // NULL is fine; stops reading

// Reads o, which is being made and which the caller reads, until keeper_drop.
void keeper_keep(struct keeper *s, struct object *o);

// Stops reading o, if it does: it has ended.
void keeper_drop(struct keeper *s, const struct object *o);

// Stops reading all, and reads nothing more.
void keeper_stop(struct keeper *s);

#endif
