// SPDX-License-Identifier: BSD-2-Clause
//
// recipe - what a recipe is: the hash of a record, and in its last bit a mark, whether the
// bytes of its segments depend on what the machine that makes them can do (docs/codecs.md
// says which do).  The mark tells it to who has nothing but a URL.  Pure.

#ifndef CODEC_RECIPE_H
#define CODEC_RECIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"

static inline bool recipe_is_of_machine(const struct key *recipe)
{
    return recipe->b[sizeof recipe->b - 1] & 1;
}

static inline struct key recipe_of(const void *record, size_t n, bool machine)
{
    struct key k = key_of(record, n);
    k.b[sizeof k.b - 1] = (unsigned char)((k.b[sizeof k.b - 1] & ~1) | machine);
    return k;
}

// Whether it is that of this record, with either mark.
static inline bool recipe_fits(const struct key *recipe, const void *record, size_t n)
{
    const struct key k = recipe_of(record, n, recipe_is_of_machine(recipe));
    return key_equal(&k, recipe);
}

#endif
