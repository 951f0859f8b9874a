// SPDX-License-Identifier: BSD-2-Clause
//
// measured - how many bytes the segments have that were seen: what AVERAGE-BANDWIDTH is
// made of once there are any (RFC 8216bis 4.4.6.2.1: the average bit rate of the segments).
//
// A table of fixed size: who finds no place takes that of a recipe that was left alone for long,
// of which the guess of the plan is told again.  Thread-safe; never blocks, never fails.

#ifndef SERVER_MEASURED_H
#define SERVER_MEASURED_H

#include <stddef.h>

#include "base/hash.h"
#include "codec/plan.h"

#define MEASURED_SEGMENTS 448 // of a recipe, from the first: half an hour of four seconds

struct measured;

struct measured *measured_create(void);
void measured_destroy(struct measured *t); // NULL is fine

// Segment n of the rendition of that recipe has so many bytes; said again it changes nothing.
void measured_add(struct measured *t, const struct key *recipe, int n, size_t bytes);

// Sets the average of each rendition of p: over its whole duration, the segments that were
// seen as they are, the others as the plan guesses.  At most its bandwidth.
void measured_tell(struct measured *t, struct plan *p);

#endif
