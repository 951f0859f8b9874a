// SPDX-License-Identifier: BSD-2-Clause
//
// records - keeps the records of recipes (codec/record.h) as objects in all
// tiers, so that a player in mid-film survives a changed ladder and a restart.

#ifndef SERVER_RECORDS_H
#define SERVER_RECORDS_H

#include "base/hash.h"
#include "codec/encryption.h"
#include "codec/plan.h"
#include "codec/ts_plan.h"

struct edge;

// Keeps a record of each rendition of p.  Blocks on nothing.
void records_keep(struct edge *e, const struct plan *p, const char *asset, const char *version);

// And of each MPEG-TS rendition; returns how many there are.
int records_keep_ts(struct edge *e, const struct plan *p);

// And of each encrypted one.
void records_keep_encrypted(struct edge *e, const struct encryption *by, const struct plan *p);

// The plan behind a recipe of this asset and version, if it fits the index: 0, and
// plan_finish is due; or -E_NOT_FOUND.  May block on the lower tiers.
int records_find(struct edge *e, const struct key *recipe, const char *asset, const char *version,
                 const struct media *m, struct plan *out);

// The MPEG-TS rendition behind a recipe, likewise.
int records_find_ts(struct edge *e, const struct key *recipe, struct ts_rendition *out);

// The encrypted rendition behind a recipe, likewise.
int records_find_encrypted(struct edge *e, const struct key *recipe, struct encrypted *out);

#endif
