// SPDX-License-Identifier: BSD-2-Clause

#include "config/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

// Ascending; the first is the unit of the stored value.
static const struct unit {
    const char *name;
    int64_t factor;
} units[][6] = {
    [QUANTITY_SIZE] = { { "B", 1 },
                        { "KiB", KIB },
                        { "MiB", MIB },
                        { "GiB", GIB },
                        { "TiB", 1024 * GIB } },
    [QUANTITY_TIME] = { { "ms", 1 },
                        { "s", 1000 },
                        { "m", 60 * 1000 },
                        { "h", 3600 * 1000 },
                        { "d", 86400 * 1000 } },
};

static int64_t factor_of(enum quantity q, const char *name)
{
    for (const struct unit *u = units[q]; u->name; u++) {
        if (strcmp(u->name, name) == 0)
            return u->factor;
    }
    return 0;
}

bool quantity_parse(enum quantity q, const char *text, int64_t *out)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0)
        return false;
    int64_t number = 0;
    bool fits = true;
    for (size_t i = 0; i < digits; i++) {
        fits = fits && !__builtin_mul_overflow(number, 10, &number) &&
               !__builtin_add_overflow(number, text[i] - '0', &number);
    }
    const bool is_zero = fits && number == 0 && !text[digits];
    const int64_t factor = is_zero ? 1 : factor_of(q, text + digits);
    if (factor == 0)
        return false;
    if (!fits || __builtin_mul_overflow(number, factor, out))
        *out = INT64_MAX;
    return true;
}

char *quantity_print(enum quantity q, int64_t value, char out[QUANTITY_TEXT])
{
    assert(value >= 0);
    const struct unit *best = units[q];
    for (const struct unit *u = best; u->name; u++) {
        if (value % u->factor == 0)
            best = u;
    }
    const char *const name = value ? best->name : "";
    snprintf(out, QUANTITY_TEXT, "%" PRId64 "%s", value / best->factor, name);
    return out;
}

const char *quantity_units(enum quantity q)
{
    return q == QUANTITY_SIZE ? "B, KiB, MiB, GiB or TiB, such as \"64MiB\""
                              : "ms, s, m, h or d, such as \"30s\"";
}
