// SPDX-License-Identifier: BSD-2-Clause
//
// fail - how the worker's files say why something failed: an enum err for
// programs and one line for people.  Codes of libav are translated here.

#ifndef CODEC_AV_FAIL_H
#define CODEC_AV_FAIL_H

#include <stddef.h>

#include "base/base.h"

// Where the line goes; borrowed from whoever called av_run.
struct why {
    char *line;
    size_t cap; // may be 0: nobody wants to know
};

// Writes the line, returns code.
int fail_with(const struct why *why, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

// The same for a libav error while doing something ("opening libx264"): the code
// becomes -E_NO_MEMORY or otherwise.
int fail_libav(const struct why *why, int otherwise, int averror, const char *doing);

#endif
