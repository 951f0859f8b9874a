// SPDX-License-Identifier: BSD-2-Clause
//
// scans - reads the indexes that long scans make, so that they go on when whoever asked for them
// has left: who comes back finds more than he left, and a playlist that grows gets its end.
//
// What limits them is the scheduler: workers.scan_time, and that one prober is left to others.
// Thread-safe; never blocks.

#ifndef SERVER_SCANS_H
#define SERVER_SCANS_H

#define SCANS_MAX 64 // at a time; more go when their readers go

struct object;
struct scans;
struct store;

struct scans *scans_create(struct store *store);
void scans_destroy(struct scans *s); // NULL is fine; stops reading

// Reads o, which is being made and which the caller reads, until scans_drop.
void scans_keep(struct scans *s, struct object *o);

// Stops reading o, if it does: it has ended.
void scans_drop(struct scans *s, const struct object *o);

// Stops reading all, and reads nothing more.
void scans_stop(struct scans *s);

#endif
