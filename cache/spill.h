// SPDX-License-Identifier: BSD-2-Clause
//
// spill - offers whole objects to the lower tiers, behind the viewer's back.
//
// A bounded queue and conf->disk_threads threads.  Offering never blocks: when
// the disk does not keep up, objects are not kept there, which is counted.

#ifndef CACHE_SPILL_H
#define CACHE_SPILL_H

struct conf;
struct object;
struct spill;
struct tier;

#define SPILL_QUEUE 64

// The tiers are borrowed and outlive the spill; the array is copied.
struct spill *spill_create(const struct conf *conf, struct tier *const *tiers, int n);

// o is whole; a reference of its own is taken.  Any thread.
void spill_offer(struct spill *s, struct object *o);

// Writes what is queued, but begins no object after 2 s.  NULL is fine.
void spill_destroy(struct spill *s);

#endif
