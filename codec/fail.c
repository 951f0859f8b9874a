// SPDX-License-Identifier: BSD-2-Clause

#include "codec/fail.h"

#include <stdarg.h>
#include <stdio.h>

int fail_with(const struct why *why, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (why->cap)
        vsnprintf(why->line, why->cap, fmt, ap);
    va_end(ap);
    return code;
}
