// SPDX-License-Identifier: BSD-2-Clause
//
// encrypting - an object of an encrypted rendition from those of the clear one.

#ifndef SERVER_ENCRYPTING_H
#define SERVER_ENCRYPTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wanted.h"
#include "codec/encryption.h"
#include "server/ingredients.h"

struct buf;

// Whether what a viewer asks for here is made by this file, or is no business of his.
bool encrypting_covers(const struct edge *e, const struct route *r);

// Whether what he asks for is to be had encrypted only, by its name.
bool encrypting_names(const struct edge *e, const struct route *r);

// The encrypted rendition of that recipe: of p by *by; or by its record, whose method *by takes
// over.  False: there is none, or not with the present keys.  May block on the lower tiers.
bool encrypting_find(struct edge *e, const struct route *r, const struct plan *p,
                     struct encryption *by, struct encrypted *out);

// Opens what r, of v, is made of: of the segment last, which may be encrypted while it is made.
struct ingredients *encrypting_open(struct edge *e, const struct route *r,
                                    const struct encrypted *v, struct asker who);

// Appends what can be written of it when all ingredients but the last are whole.  0 or
// -E_CORRUPT, or the buffer's error.
int encrypting_write(const struct ingredients *i, const struct route *r,
                     const struct encryption *by, struct buf *out);

#endif
