// SPDX-License-Identifier: BSD-2-Clause
//
// place - where in a JSON text a key or an array element stands.  jansson tells
// positions of syntax errors only; a wrong value deserves one too.
//
// The scanner takes text that jansson has accepted up to some point.  On other
// text it finds too little, but stays within bounds.

#ifndef CONFIG_PLACE_H
#define CONFIG_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define PLACE_DEPTH 8
#define PLACE_PATH 256

struct place {
    int line, column;      // from 1; columns count characters
    char path[PLACE_PATH]; // "cache.memory", "origins[1].base"
};

// The first place of this path; false, and line 1, column 1, when it is not there.
bool place_find(struct place *out, const char *text, size_t len, const char *path);

// The last key that begins before this byte; false when there is none.
bool place_before(struct place *out, const char *text, size_t len, size_t offset);

#endif
