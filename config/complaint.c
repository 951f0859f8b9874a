// SPDX-License-Identifier: BSD-2-Clause

#include "config/complaint.h"

#include <stdio.h>

#include "base/err.h"
#include "config/place.h"

int complain(const struct from *from, const char *fmt, ...)
{
    char what[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);

    struct place at;
    if (from->file) {
        place_find(&at, from->text, from->len, from->name);
        snprintf(from->to->why, from->to->cap, "%s:%d:%d: %s%s%s", from->file, at.line, at.column,
                 from->name, *from->name ? ": " : "", what);
    } else {
        snprintf(from->to->why, from->to->cap, "%s: %s", from->name, what);
    }
    return -E_CONFIG;
}

struct from inside(const struct from *from, const char *name)
{
    struct from f = *from;
    f.name = name;
    return f;
}
