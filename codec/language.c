// SPDX-License-Identifier: BSD-2-Clause

#include "codec/language.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

static const struct language {
    const char *alpha2, *terminological, *bibliographic, *name;
} languages[] = {
#define X(alpha2, terminological, bibliographic, name)                                             \
    { alpha2, terminological, bibliographic, name },
#include "codec/language.def"
#undef X
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Copies [text, text + n) in small letters with '-' between its parts; false where it holds
// something else, or a part that is empty or too long.
static bool take(const char *text, size_t n, char out[LANGUAGE_TAG])
{
    size_t part = 0;
    if (n >= LANGUAGE_TAG)
        return false;
    for (size_t i = 0; i < n; i++) {
        const bool border = text[i] == '-' || text[i] == '_';
        if (border ? part == 0 : part == 8 || !(is_letter(text[i]) || is_digit(text[i])))
            return false;
        part = border ? 0 : part + 1;
        out[i] = border ? '-' : lower(text[i]);
    }
    out[n] = '\0';
    return part > 0;
}

// RFC 5646, 2.1.1: regions in capitals and scripts with one, but not behind a single letter.
static void set_case(char *tag)
{
    for (char *p = strchr(tag, '-'); p; p = strchr(p, '-')) {
        const size_t n = strcspn(++p, "-");
        if (n == 1)
            return;
        if (n == 2)
            p[1] = upper(p[1]);
        if (n == 2 || n == 4)
            p[0] = upper(p[0]);
    }
}

static const char *short_code(const char *code)
{
    for (size_t i = 0; i < countof(languages); i++)
        if (strcmp(code, languages[i].terminological) == 0 ||
            strcmp(code, languages[i].bibliographic) == 0)
            return languages[i].alpha2;
    return NULL;
}

void language_parse(const void *text, size_t n, char out[LANGUAGE_TAG])
{
    const bool taken = take(text, n, out);
    const size_t code = taken ? strcspn(out, "-") : 0;
    bool named = code == 2 || code == 3;
    for (size_t i = 0; i < code; i++)
        named = named && is_letter(out[i]);
    // Codes for more than one language, for none, and for one that has no code.
    if (!named || strcmp(out, "mul") == 0 || strcmp(out, "zxx") == 0 || strcmp(out, "mis") == 0) {
        memcpy(out, "und", 4);
        return;
    }
    char three[4] = "";
    memcpy(three, out, code);
    const char *const two = code == 3 ? short_code(three) : NULL;
    if (two) {
        memmove(out + 2, out + 3, strlen(out + 3) + 1);
        memcpy(out, two, 2);
    }
    set_case(out);
}

bool language_is_tag(const char tag[LANGUAGE_TAG])
{
    char again[LANGUAGE_TAG];
    const size_t n = strnlen(tag, LANGUAGE_TAG);
    if (n == LANGUAGE_TAG)
        return false;
    language_parse(tag, n, again);
    return strcmp(tag, again) == 0;
}

bool language_is_known(const char *tag)
{
    return strncmp(tag, "und", 3) != 0;
}

void language_name(const char *tag, char out[LANGUAGE_NAME])
{
    const size_t code = strcspn(tag, "-");
    const char *name = NULL;
    for (size_t i = 0; i < countof(languages) && code == 2; i++)
        if (strncmp(tag, languages[i].alpha2, 2) == 0)
            name = languages[i].name;
    if (name && tag[code])
        snprintf(out, LANGUAGE_NAME, "%s (%s)", name, tag + code + 1);
    else
        copy_string(out, LANGUAGE_NAME, name ? name : tag);
}
