// SPDX-License-Identifier: BSD-2-Clause
//
// assets - the unpacked indexes and plans of the assets in use, so that making a
// segment does not unpack an index again.  Bounded by bytes, least recently
// used first out, but for those in use: when these leave no room, nothing is added.

#ifndef SERVER_ASSETS_H
#define SERVER_ASSETS_H

#include <stdint.h>

#include "base/hash.h"
#include "codec/media.h"
#include "codec/plan.h"

// One version of one asset.  Immutable; counted references.
struct asset {
    struct key version; // of asset and source version together
    struct media *media;
    struct plan plan;
    // private
    int refs;
    struct asset *newer, *older, *chain;
    size_t memory;
};

struct assets;

struct assets *assets_create(size_t budget);
void assets_destroy(struct assets *t); // NULL is fine; all references given back

// A reference, or NULL.
struct asset *assets_find(struct assets *t, const struct key *version);

// Takes media and what plan owns, in any case.  0 and a reference in *out (to what is there
// already, if it is); -E_LIMITS when it would not even fit alone, -E_BUSY when it does not now.
int assets_add(struct assets *t, const struct key *version, struct media *media,
               const struct plan *plan, struct asset **out);

void asset_unref(struct assets *t, struct asset **a); // NULL is fine; nulls *a

#endif
