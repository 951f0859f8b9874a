// SPDX-License-Identifier: BSD-2-Clause
//
// complaint - one line for people about a wrong value: where it came from, what
// is wrong, and what would be right.

#ifndef CONFIG_COMPLAINT_H
#define CONFIG_COMPLAINT_H

#include <stddef.h>

#include "base/base.h"

// The line that the complaint goes to.
struct complaint {
    char *why;
    size_t cap;
};

// Where a value came from.
struct from {
    const struct complaint *to;
    const char *file; // NULL: not from the file
    const char *text; // of the file
    size_t len;
    const char *name; // path, variable or option
};

// "file:line:col: name: what", or "name: what"; returns -E_CONFIG.
int complain(const struct from *from, const char *fmt, ...) PRINTF_LIKE(2, 3);

// The same place in the file, under another name.
struct from inside(const struct from *from, const char *name);

#endif
