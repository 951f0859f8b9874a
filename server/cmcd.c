// SPDX-License-Identifier: BSD-2-Clause

#include "server/cmcd.h"

#include <string.h>

#include "base/base.h"
#include "base/hash.h"
#include "server/route.h"

#define VALUE_MAX 2048 // of a query; a longer one says nothing

struct cmcd cmcd_nothing(void)
{
    return (struct cmcd){ .buffer = -1, .deadline = -1 };
}

// ---- the list: key, key=value, ...

// Behind the string that begins at p, with a quote.
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        p += *p == '\\' && p[1];
    return *p ? p + 1 : p;
}

// Behind a value: at the comma, or at the end.
static const char *skip_value(const char *p)
{
    int depth = 0;
    while (*p && (*p != ',' || depth > 0)) {
        depth += *p == '(' ? 1 : *p == ')' && depth > 0 ? -1 : 0;
        p = *p == '"' ? skip_string(p) : p + 1;
    }
    return p;
}

// A whole number of ms, not above CMCD_TIME_MAX; -1 for anything else.
static int64_t time_of(const char *p)
{
    int64_t n = 0;
    if (*p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (*p - '0') < CMCD_TIME_MAX ? n * 10 + (*p - '0') : CMCD_TIME_MAX;
    return n;
}

// The string that begins at p, without its quotes; "" when it does not fit.
static void take_string(char out[CMCD_NEXT_MAX], const char *p)
{
    size_t n = 0;
    for (p++; *p && *p != '"' && n < CMCD_NEXT_MAX; p++) {
        p += *p == '\\' && p[1];
        out[n++] = *p;
    }
    out[n < CMCD_NEXT_MAX && *p == '"' ? n : 0] = '\0';
}

// value: NULL for a key alone, which is true.  Of a list in parentheses, as version 2 has them,
// the first item counts.
static void take_pair(struct cmcd *c, const char *key, size_t n, const char *value)
{
    if (value && *value == '(')
        value++;
    const bool yes = !value || strncmp(value, "?0", 2) != 0;
    if (n != 2 && n != 3)
        return;
    if (n == 3) {
        if (memcmp(key, "nor", 3) == 0 && value && *value == '"')
            take_string(c->next, value);
        else if (memcmp(key, "sid", 3) == 0 && value)
            c->session = text_hash(value, (size_t)(skip_value(value) - value));
    } else if (memcmp(key, "bl", 2) == 0 && value) {
        c->buffer = time_of(value);
    } else if (memcmp(key, "dl", 2) == 0 && value) {
        c->deadline = time_of(value);
    } else if (memcmp(key, "su", 2) == 0) {
        c->startup = yes;
    } else if (memcmp(key, "bs", 2) == 0) {
        c->starved = yes;
    }
}

void cmcd_header(struct cmcd *c, const char *value)
{
    for (const char *p = value; p && *p;) {
        p += strspn(p, ", \t");
        const size_t n = strcspn(p, "=, \t");
        const char *const at = p[n] == '=' ? p + n + 1 : NULL;
        take_pair(c, p, n, at);
        p = skip_value(at ? at : p + n);
    }
}

// ---- the query

// Decodes a field of a query up to its end; false when it does not fit or is malformed.
static bool decode(char out[VALUE_MAX], const char *p)
{
    size_t n = 0;
    for (; *p && *p != '&'; n++) {
        const int byte = *p == '%' ? route_escape(p) : (unsigned char)*p;
        if (n == VALUE_MAX - 1 || byte <= 0)
            return false;
        p += *p == '%' ? 3 : 1;
        out[n] = (char)byte;
    }
    out[n] = '\0';
    return true;
}

void cmcd_query(struct cmcd *c, const char *query)
{
    char value[VALUE_MAX];
    while (*query && strncmp(query, "CMCD=", 5) != 0) {
        query += strcspn(query, "&");
        query += *query == '&';
    }
    if (*query && decode(value, query + 5))
        cmcd_header(c, value);
}

// ---- what follows

int64_t cmcd_due_us(const struct cmcd *c, int64_t now_us)
{
    const int64_t ms = c->deadline >= 0 ? c->deadline : c->buffer;
    if (c->startup || c->starved)
        return now_us;
    return now_us + (ms >= 0 ? ms * 1000 : CMCD_PATIENCE_US);
}

// Its place in the folder that a path names: behind the last slash before end.
static size_t folder(const char *path, size_t end)
{
    while (end > 0 && path[end - 1] != '/')
        end--;
    return end;
}

bool cmcd_next(const struct cmcd *c, const char *path, char *out, size_t cap)
{
    const char *next = c->next;
    size_t at = folder(path, strlen(path));
    if (!*next || *next == '/' || strpbrk(next, ":?#\\"))
        return false;
    for (; strncmp(next, "../", 3) == 0; next += 3) {
        if (at < 2)
            return false;
        at = folder(path, at - 1);
    }
    const size_t n = strlen(next);
    if (at + n >= cap)
        return false;
    memcpy(out, path, at);
    memcpy(out + at, next, n + 1);
    return true;
}
