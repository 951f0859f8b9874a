// SPDX-License-Identifier: BSD-2-Clause
//
// json - the strings of small JSON texts that come over the network.  In conf_file.c, which is the
// door to the library.  The text may be anything.

#ifndef CONFIG_JSON_H
#define CONFIG_JSON_H

#include <stddef.h>

// Hands out what the member of this name holds in the n bytes of text, an object: a string, or
// the strings of a list; other values are passed over.  They are gone when it returns.  0, also
// when there is no such member; -E_CORRUPT: the text is no object.
int json_strings(const void *text, size_t n, const char *name,
                 void (*take)(void *arg, const char *s), void *arg);

#endif
