// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/cmcd.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum group { OBJECT, REQUEST, SESSION, STATUS };

static const char *const header_names[CMCD_HEADER_COUNT] = { "CMCD-Object: ", "CMCD-Request: ",
                                                             "CMCD-Session: ", "CMCD-Status: " };

// Keys are collected with their groups, in the order of their names, as the document asks.
struct pairs {
    struct {
        enum group group;
        char text[300];
    } all[16];
    int count;
    bool overflow;
};

static void add(struct pairs *p, enum group group, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void add(struct pairs *p, enum group group, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const size_t cap = sizeof p->all[0].text;
    const int n = vsnprintf(p->all[p->count].text, cap, fmt, args);
    va_end(args);
    p->overflow |= n < 0 || (size_t)n >= cap;
    p->all[p->count++].group = group;
}

static int64_t round_to(int64_t value, int64_t step)
{
    return (value + step / 2) / step * step;
}

static void collect(const struct cmcd *c, struct pairs *p)
{
    p->count = 0;
    p->overflow = false;
    if (c->buffer >= 0)
        add(p, REQUEST, "bl=%lld", (long long)round_to(c->buffer, 100));
    if (c->bitrate > 0)
        add(p, OBJECT, "br=%lld", (long long)c->bitrate);
    if (c->starved)
        add(p, STATUS, "bs");
    add(p, SESSION, "cid=\"%s\"", c->content);
    if (c->duration > 0)
        add(p, OBJECT, "d=%lld", (long long)c->duration);
    if (c->deadline >= 0)
        add(p, REQUEST, "dl=%lld", (long long)round_to(c->deadline, 100));
    if (c->measured > 0)
        add(p, REQUEST, "mtp=%lld", (long long)round_to(c->measured, 100));
    if (c->next)
        add(p, REQUEST, "nor=\"%s\"", c->next);
    add(p, OBJECT, "ot=%s", c->type);
    add(p, SESSION, "sf=h");
    add(p, SESSION, "sid=\"%s\"", c->session);
    add(p, SESSION, "st=v");
    if (c->startup)
        add(p, REQUEST, "su");
}

// Appends src, percent-encoded if asked.
static bool append(char *out, size_t cap, size_t *len, const char *src, bool encode)
{
    for (; *src; src++) {
        const bool plain = !encode || isalnum((unsigned char)*src) || strchr("-._~", *src);
        const int n =
            snprintf(out + *len, cap - *len, plain ? "%c" : "%%%02X", (unsigned char)*src);
        if (n < 0 || *len + (size_t)n >= cap)
            return false;
        *len += (size_t)n;
    }
    return true;
}

bool cmcd_query(const struct cmcd *c, char *out, size_t cap)
{
    struct pairs p;
    size_t len = 0;
    collect(c, &p);
    bool fits = !p.overflow && append(out, cap, &len, "CMCD=", false);
    for (int i = 0; i < p.count; i++)
        fits = fits && (i == 0 || append(out, cap, &len, ",", true)) &&
               append(out, cap, &len, p.all[i].text, true);
    return fits;
}

static bool put_header(char *out, const struct pairs *p, enum group group)
{
    size_t len = 0;
    bool fits = true;
    out[0] = '\0';
    for (int i = 0; i < p->count; i++)
        if (p->all[i].group == group)
            fits = fits &&
                   append(out, CMCD_HEADER_MAX, &len, len ? "," : header_names[group], false) &&
                   append(out, CMCD_HEADER_MAX, &len, p->all[i].text, false);
    return fits;
}

bool cmcd_headers(const struct cmcd *c, char out[CMCD_HEADER_COUNT][CMCD_HEADER_MAX])
{
    struct pairs p;
    collect(c, &p);
    bool fits = !p.overflow;
    for (int g = 0; g < CMCD_HEADER_COUNT; g++)
        fits &= put_header(out[g], &p, (enum group)g);
    return fits;
}
