// SPDX-License-Identifier: BSD-2-Clause
//
// text - questions about strings that more than one file here asks.

#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <stdbool.h>
#include <string.h>

// names ends with NULL.
static inline bool text_is_one_of(const char *s, const char *const *names)
{
    while (*names && strcmp(s, *names) != 0)
        names++;
    return *names;
}

// No blanks and no control bytes.
static inline bool text_is_printable(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return false;
    }
    return true;
}

#endif
