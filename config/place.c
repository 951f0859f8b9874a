// SPDX-License-Identifier: BSD-2-Clause

#include "config/place.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

struct level {
    bool array;
    bool wants; // a key, or an element, comes next
    int index;
    size_t base; // length of the path to this object or array
};

struct scanner {
    const char *p, *end;
    struct place at; // the position of p, the path last found
    struct level levels[PLACE_DEPTH];
    int depth; // of the innermost level; 0 is around the whole text
};

static struct scanner scanner_of(const char *text, size_t len)
{
    return (struct scanner){ .p = text, .end = text + len, .at = { .line = 1, .column = 1 } };
}

static void step(struct scanner *s)
{
    const char c = *s->p++;
    if (c == '\n') {
        s->at.line++;
        s->at.column = 1;
    } else if ((c & 0xc0) != 0x80) { // not inside a UTF-8 character
        s->at.column++;
    }
}

// Steps over a string with its quotes; name is what stood between them.
static size_t step_string(struct scanner *s, const char **name)
{
    step(s);
    *name = s->p;
    while (s->p < s->end && *s->p != '"') {
        if (*s->p == '\\' && s->p + 1 < s->end)
            step(s);
        step(s);
    }
    const size_t n = (size_t)(s->p - *name);
    if (s->p < s->end)
        step(s);
    return n;
}

static void set_path(struct scanner *s, const struct level *l, const char *name, size_t n)
{
    char *const tail = s->at.path + l->base;
    const size_t room = sizeof s->at.path - l->base;
    if (l->array)
        snprintf(tail, room, "[%d]", l->index);
    else
        snprintf(tail, room, "%s%.*s", l->base ? "." : "", (int)(n < PLACE_PATH ? n : PLACE_PATH),
                 name);
}

static bool enter(struct scanner *s, bool array)
{
    if (s->depth + 1 == PLACE_DEPTH)
        return false;
    s->levels[++s->depth] =
        (struct level){ .array = array, .wants = true, .base = strlen(s->at.path) };
    return true;
}

static bool leave(struct scanner *s)
{
    if (s->depth == 0)
        return false;
    s->at.path[s->levels[s->depth--].base] = '\0';
    return true;
}

static bool found(const struct scanner *s, struct place *out, int line, int column)
{
    *out = s->at;
    out->line = line;
    out->column = column;
    return true;
}

// The next key or array element; false at the end.
static bool next(struct scanner *s, struct place *out)
{
    while (s->p < s->end) {
        struct level *const l = &s->levels[s->depth];
        const int line = s->at.line, column = s->at.column;
        const char c = *s->p;
        const char *name;
        if (strchr(" \t\r\n", c)) {
            step(s);
        } else if (l->array && l->wants && c != ']') {
            l->wants = false;
            set_path(s, l, NULL, 0);
            return found(s, out, line, column);
        } else if (c == '"') {
            const size_t n = step_string(s, &name);
            if (s->depth && l->wants) {
                l->wants = false;
                set_path(s, l, name, n);
                return found(s, out, line, column);
            }
        } else {
            if (((c == '{' || c == '[') && !enter(s, c == '[')) ||
                ((c == '}' || c == ']') && !leave(s)))
                return false;
            if (c == ',') {
                l->wants = true;
                l->index++;
            }
            step(s);
        }
    }
    return false;
}

bool place_find(struct place *out, const char *text, size_t len, const char *path)
{
    struct scanner s = scanner_of(text, len);
    while (next(&s, out)) {
        if (strcmp(out->path, path) == 0)
            return true;
    }
    *out = (struct place){ .line = 1, .column = 1 };
    return false;
}

bool place_before(struct place *out, const char *text, size_t len, size_t offset)
{
    struct scanner s = scanner_of(text, offset < len ? offset : len);
    struct place p;
    bool any = false;
    while (next(&s, &p)) {
        *out = p;
        any = true;
    }
    return any;
}
