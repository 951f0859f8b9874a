// SPDX-License-Identifier: BSD-2-Clause
//
// fail - how files that read a source say why something failed: an enum err for programs
// and one line for people.

#ifndef CODEC_FAIL_H
#define CODEC_FAIL_H

#include <stddef.h>

#include "base/base.h"

// Where the line goes; borrowed from whoever asked for the work.
struct why {
    char *line;
    size_t cap; // may be 0: nobody wants to know
};

// Writes the line, returns code.
int fail_with(const struct why *why, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
