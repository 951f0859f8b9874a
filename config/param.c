// SPDX-License-Identifier: BSD-2-Clause

#include "config/param.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/base.h"
#include "config/ramp.h"
#include "config/text.h"

#define VARIABLE "TIDEMILL_"

const struct param params[] = {
#define PARAM(type, path, field, def, min, max, doc)                                               \
    { TYPE_##type, path, offsetof(struct conf, field), def, min, max, doc },
#include "config/param.def"
#undef PARAM
};

const size_t param_count = countof(params);

static const struct type_words {
    const char *name, *wants;
} types[] = {
    [TYPE_BOOL] = { "bool", "true or false" },
    [TYPE_INT] = { "int", "a whole number" },
    [TYPE_SIZE] = { "size", "a size such as \"64MiB\"" },
    [TYPE_TIME] = { "time", "a time such as \"30s\"" },
    [TYPE_STRING] = { "string", "a string" },
    [TYPE_SECRET] = { "secret", "a string" },
};

const char *param_type_name(const struct param *p)
{
    return types[p->type].name;
}

const char *param_type_wants(const struct param *p)
{
    return types[p->type].wants;
}

const struct param *param_of(const char *path)
{
    for (size_t i = 0; i < param_count; i++) {
        if (strcmp(params[i].path, path) == 0)
            return &params[i];
    }
    return NULL;
}

// ---- names

static int min3(int a, int b, int c)
{
    const int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

// Levenshtein's distance; long names are far from everything.
static int distance(const char *a, const char *b)
{
    const size_t n = strlen(b);
    if (n > PARAM_NAME || strlen(a) > PARAM_NAME)
        return INT_MAX;
    int row[PARAM_NAME + 1];
    for (size_t j = 0; j <= n; j++)
        row[j] = (int)j;
    for (; *a; a++) {
        int corner = row[0]++;
        for (size_t j = 1; j <= n; j++) {
            const int above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, corner + (*a != b[j - 1]));
            corner = above;
        }
    }
    return row[n];
}

static const char *last_word(const char *path)
{
    const char *const dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static void keep_nearer(const char **best, int *least, const char *candidate, const char *path)
{
    const int whole = distance(path, candidate);
    // Right name, wrong object.
    const int d = whole > 1 && strcmp(last_word(path), last_word(candidate)) == 0 ? 1 : whole;
    if (d < *least) {
        *least = d;
        *best = candidate;
    }
}

const char *param_nearest(const char *path)
{
    const char *best = NULL;
    int least = 4;
    for (size_t i = 0; i < param_count; i++)
        keep_nearer(&best, &least, params[i].path, path);
    keep_nearer(&best, &least, "origins", path);
    keep_nearer(&best, &least, "ladder", path);
    return best;
}

void param_variable(const char *path, char out[PARAM_NAME])
{
    const int n = snprintf(out, PARAM_NAME, VARIABLE "%s", path);
    assert(n < PARAM_NAME);
    for (char *p = out; *p; p++)
        *p = *p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
}

const char *param_nearest_variable(const char *name, char out[PARAM_NAME])
{
    const int far = (int)(strlen(name) - strlen(VARIABLE)) / 5;
    for (size_t i = 0; i < param_count; i++) {
        param_variable(params[i].path, out);
        if (distance(name, out) <= (far < 3 ? far : 3))
            return out;
    }
    return NULL;
}

// ---- what a string must be

static bool is_port(const char *s)
{
    const size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 5 && !s[n] && atoi(s) <= 65535;
}

static bool is_address(const char *s)
{
    if (strncmp(s, "unix:", 5) == 0)
        return s[5] != '\0';
    const bool six = *s == '[';
    const size_t n =
        six ? strspn(s + 1, "0123456789abcdefABCDEF:.") + 1
            : strspn(s, "0123456789.-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (six && s[n] == ']' && n > 2)
        return s[n + 1] == ':' && is_port(s + n + 2);
    return !six && n > 0 && s[n] == ':' && is_port(s + n + 1);
}

static bool is_address_or_empty(const char *s)
{
    return !*s || is_address(s);
}

static bool is_level(const char *s)
{
    static const char *const names[] = { "error", "warn", "info", "debug", NULL };
    return text_is_one_of(s, names);
}

static bool is_preset(const char *s)
{
    static const char *const names[] = { "jit",    "ultrafast", "superfast", "veryfast",
                                         "faster", "fast",      "medium",    "slow",
                                         "slower", "veryslow",  NULL };
    return text_is_one_of(s, names);
}

static bool is_preset_or_empty(const char *s)
{
    return !*s || is_preset(s);
}

static bool is_redis(const char *s)
{
    return !*s || (strncmp(s, "redis://", 8) == 0 && s[8] && s[8] != '/' && text_is_printable(s));
}

static bool is_method(const char *s)
{
    static const char *const names[] = { "none", "aes-128", "cbcs", NULL };
    return text_is_one_of(s, names);
}

static bool is_web(const char *s)
{
    const bool web = strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0;
    return !*s || (web && text_is_printable(s) && !strpbrk(s, "\"<>\\ '"));
}

// What may stand between the quotes of a playlist and of an MPD.
static bool is_key_url(const char *s)
{
    return is_web(s) && !strchr(s, '&');
}

static bool is_ramp(const char *s)
{
    int64_t ms[CONF_RAMP];
    return ramp_parse(s, ms) >= 0;
}

static const struct form {
    size_t offset;
    bool (*is_good)(const char *s);
    const char *wants;
} forms[] = {
    { offsetof(struct conf, listen), is_address, "ADDR:PORT, [ADDR6]:PORT or unix:PATH" },
    { offsetof(struct conf, admin), is_address_or_empty,
      "ADDR:PORT, [ADDR6]:PORT, unix:PATH or nothing" },
    { offsetof(struct conf, log_level), is_level, "error, warn, info or debug" },
    { offsetof(struct conf, media_preset), is_preset,
      "jit, ultrafast, superfast, veryfast, faster, fast, medium, slow, slower or veryslow" },
    { offsetof(struct conf, pressure_preset), is_preset_or_empty,
      "jit, ultrafast, superfast, veryfast, faster, fast, medium, slow, slower, veryslow or "
      "nothing" },
    { offsetof(struct conf, media_ramp), is_ramp, RAMP_FORM },
    { offsetof(struct conf, redis_url), is_redis, "redis://HOST:PORT/DB or nothing" },
    { offsetof(struct conf, encryption_method), is_method, "none, aes-128 or cbcs" },
    { offsetof(struct conf, encryption_key_url), is_key_url,
      "an http:// or https:// URL without quotes, blanks and &, or nothing" },
    { offsetof(struct conf, encryption_license_url), is_key_url,
      "an http:// or https:// URL without quotes, blanks and &, or nothing" },
    { offsetof(struct conf, encryption_key_server), is_web,
      "an http:// or https:// URL without quotes and blanks, or nothing" },
    { offsetof(struct conf, encryption_key_server_token), text_is_printable,
      "ASCII without blanks" },
};

static const struct form *form_of(const struct param *p)
{
    for (size_t i = 0; i < countof(forms); i++) {
        if (forms[i].offset == p->offset)
            return &forms[i];
    }
    return NULL;
}

// ---- one value

char *param_print_number(const struct param *p, int64_t v, char out[QUANTITY_TEXT])
{
    if (p->type != TYPE_INT)
        return quantity_print(p->type == TYPE_SIZE ? QUANTITY_SIZE : QUANTITY_TIME, v, out);
    snprintf(out, QUANTITY_TEXT, "%" PRId64, v);
    return out;
}

int param_set_number(struct conf *c, const struct param *p, int64_t v, const struct from *from)
{
    const bool automatic = v == 0 && strcmp(p->def, "0") == 0;
    if (!automatic && (v < p->min || v > p->max)) {
        char min[QUANTITY_TEXT], max[QUANTITY_TEXT];
        return complain(from, "out of range; it goes from %s to %s",
                        param_print_number(p, p->min, min), param_print_number(p, p->max, max));
    }
    if (p->type == TYPE_INT)
        *(int *)param_field(c, p) = (int)v;
    else
        *(int64_t *)param_field(c, p) = v;
    return 0;
}

static int set_string(struct conf *c, const struct param *p, const char *s, const struct from *from)
{
    const int64_t n = (int64_t)strlen(s);
    const bool none = p->type == TYPE_SECRET && n == 0;
    if (!none && (n < p->min || n > p->max))
        return complain(from, "too %s; it has %" PRId64 " to %" PRId64 " bytes",
                        n < p->min ? "short" : "long", p->min, p->max);
    const struct form *const form = form_of(p);
    if (form && !form->is_good(s))
        return complain(from, "\"%s\" is wrong; write %s", p->type == TYPE_SECRET ? "***" : s,
                        form->wants);
    char **const to = param_field(c, p);
    free(*to);
    *to = xstrdup(s);
    return 0;
}

static int set_quantity(struct conf *c, const struct param *p, const char *s,
                        const struct from *from)
{
    const enum quantity q = p->type == TYPE_SIZE ? QUANTITY_SIZE : QUANTITY_TIME;
    int64_t v;
    if (!quantity_parse(q, s, &v))
        return complain(from, "\"%.40s\" is not a %s; write a whole number and %s", s,
                        param_type_name(p), quantity_units(q));
    return param_set_number(c, p, v, from);
}

static int set_int(struct conf *c, const struct param *p, const char *s, const struct from *from)
{
    const size_t digits = strspn(s, "0123456789");
    if (digits == 0 || s[digits])
        return complain(from, "\"%.40s\" is not a whole number", s);
    const long long v = strtoll(s, NULL, 10); // saturates
    return param_set_number(c, p, v, from);
}

static int set_bool(struct conf *c, const struct param *p, const char *s, const struct from *from)
{
    const bool is_true = strcmp(s, "true") == 0;
    if (!is_true && strcmp(s, "false") != 0)
        return complain(from, "\"%.40s\" is wrong; write true or false", s);
    *(bool *)param_field(c, p) = is_true;
    return 0;
}

int param_set_text(struct conf *c, const struct param *p, const char *s, const struct from *from)
{
    switch (p->type) {
    case TYPE_BOOL:
        return set_bool(c, p, s, from);
    case TYPE_INT:
        return set_int(c, p, s, from);
    case TYPE_STRING:
    case TYPE_SECRET:
        return set_string(c, p, s, from);
    default:
        return set_quantity(c, p, s, from);
    }
}
