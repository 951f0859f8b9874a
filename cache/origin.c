// SPDX-License-Identifier: BSD-2-Clause
//
// origin - what the kinds of origin share: which paths can be one, when two
// versions are the same.  Pure.

#include "cache/origin.h"

#include <stdlib.h>
#include <string.h>

bool origin_version_equal(const struct origin_version *a, const struct origin_version *b)
{
    return a->size == b->size && a->weak == b->weak && strcmp(a->validator, b->validator) == 0;
}

void origin_entries_free(struct origin_entry *entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i].path);
    free(entries);
}

// The length of the UTF-8 character at p, or 0.  Stops at the terminator.
static size_t utf8_length(const uint8_t *p)
{
    // What the second byte may be excludes overlong forms, surrogates and
    // what lies beyond U+10FFFF.
    static const struct {
        uint8_t first, last, low, high;
        size_t length;
    } forms[] = {
        { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (p[0] < forms[i].first || p[0] > forms[i].last)
            continue;
        if (p[1] < forms[i].low || p[1] > forms[i].high)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

// Neither control bytes nor backslashes can come in a URL of ours.
static bool text_ok(const char *path)
{
    for (const uint8_t *p = (const uint8_t *)path; *p;) {
        const size_t n = utf8_length(p);
        if (n == 0 || *p < 0x20 || *p == 0x7f || *p == '\\')
            return false;
        p += n;
    }
    return true;
}

static bool segment_ok(const char *s, size_t n)
{
    return n > 0 && !(n == 1 && s[0] == '.') && !(n == 2 && s[0] == '.' && s[1] == '.');
}

bool origin_path_ok(const char *path)
{
    if (strlen(path) >= ORIGIN_PATH_MAX || !text_ok(path))
        return false;
    for (const char *s = path;; s++) {
        const size_t n = strcspn(s, "/");
        if (!segment_ok(s, n))
            return false;
        s += n;
        if (!*s)
            return true;
    }
}
