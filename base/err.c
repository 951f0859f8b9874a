// SPDX-License-Identifier: BSD-2-Clause

#include "base/err.h"

#include <stdlib.h>

static const struct row {
    const char *name;
    int status;
    const char *sentence;
} rows[E_COUNT] = {
    [E_OK] = { "ok", 200, "all is well" },
#define X(n, st, s) [n] = { #n, st, s },
#include "base/err.def"
#undef X
};

static const struct row *row_of(int code)
{
    const int n = code < 0 ? -code : code;
    return &rows[n >= 0 && n < E_COUNT ? n : E_INTERNAL];
}

const char *err_name(int code)
{
    return row_of(code)->name;
}

const char *err_sentence(int code)
{
    return row_of(code)->sentence;
}

int err_status(int code)
{
    return row_of(code)->status;
}
