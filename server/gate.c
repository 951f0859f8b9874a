// SPDX-License-Identifier: BSD-2-Clause
//
// libmicrohttpd 0.9.75 takes what peers may read differently: bare line feeds,
// folded lines, repeated and contradicting lengths, NUL in the middle.  Names and
// values that it reports still lie in the header as it came, cut in place by
// zeros, and what was between them can be seen there.

#include "server/gate.h"

#include <string.h>
#include <strings.h>

#include "server/http.h"

static enum gate_field field_of(const char *name)
{
    static const char *const names[GATE_COUNT] = {
        [GATE_HOST] = "Host",
        [GATE_CONTENT_LENGTH] = "Content-Length",
        [GATE_TRANSFER_ENCODING] = "Transfer-Encoding",
        [GATE_RANGE] = "Range",
        [GATE_IF_RANGE] = "If-Range",
        [GATE_IF_NONE_MATCH] = "If-None-Match",
        [GATE_IF_MATCH] = "If-Match",
        [GATE_ORIGIN] = "Origin",
        [GATE_ACCEPT_ENCODING] = "Accept-Encoding",
        [GATE_CMCD_REQUEST] = "CMCD-Request",
        [GATE_CMCD_SESSION] = "CMCD-Session",
        [GATE_CMCD_STATUS] = "CMCD-Status",
    };
    int i = 0;
    while (i < GATE_COUNT && strcasecmp(name, names[i]) != 0)
        i++;
    return (enum gate_field)i;
}

static bool is_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f ||
            strchr("\"(),/:;<=>?@[\\]{}", s[i]))
            return false;
    return n > 0;
}

static bool is_text(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
            return false;
    return true;
}

// Line ends are zeroed in place.  One zero only was a bare LF, which peers may not
// take for the end of a line.
static bool is_line_end(const char *s)
{
    return s[0] == '\0' && s[1] == '\0';
}

// Whether the value follows its name in one line.  libmicrohttpd appends a folded
// line to the field's name, moved elsewhere: "Transfer-Encoding:", "chunked" on
// the next line, and it is a field of another name.
static bool is_one_line(const char *name, size_t n, const char *value, size_t value_n)
{
    const char *p = name + n + 1;
    if (value < p)
        return false;
    while (p < value && (*p == ' ' || *p == '\t'))
        p++;
    return p == value && is_line_end(value + value_n);
}

bool gate_take_lines(struct gate_fields *f, const char *header, size_t n, const char *target_end,
                     const char *version)
{
    if (version != target_end + 1)
        f->wrong = "the request target has a zero byte";
    else if (n < 4 || !is_line_end(header + n - 4) || !is_line_end(header + n - 2) ||
             !is_line_end(version + strlen(version)))
        f->wrong = "a line does not end with CRLF";
    return !f->wrong;
}

bool gate_take_field(struct gate_fields *f, const char *name, size_t n, const char *value,
                     size_t value_n)
{
    if (!is_token(name, n))
        f->wrong = "a field name is malformed";
    else if (!is_one_line(name, n, value, value_n))
        f->wrong = "a field is folded, or its line does not end with CRLF";
    else if (!is_text(value, value_n))
        f->wrong = "a field value has control bytes";
    if (f->wrong)
        return false;
    const enum gate_field i = field_of(name);
    if (i == GATE_COUNT)
        return true;
    if (f->value[i] && i < GATE_ACCEPT_ENCODING)
        f->wrong = "a field that must not repeat does";
    f->value[i] = value;
    return true;
}

char *gate_origin_form(char *target)
{
    char *p;
    if (strncasecmp(target, "http://", 7) == 0)
        p = target + 7;
    else if (strncasecmp(target, "https://", 8) == 0)
        p = target + 8;
    else
        return target;
    p += strcspn(p, "/?");
    if (*p != '/')
        *--p = '/';
    return p;
}

static bool is_visible(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || *s == 0x7f)
            return false;
    return true;
}

// A number without sign or leading zeros, of at most max.
static bool is_length(const char *s, size_t max)
{
    size_t n = 0;
    if (*s < '1' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9' && n <= max; s++)
        n = 10 * n + (size_t)(*s - '0');
    return *s == '\0' && n <= max;
}

const char *gate_check(const struct gate_fields *f, const struct http_exchange *x, size_t body_max)
{
    if (f->wrong)
        return f->wrong;
    if (!f->value[GATE_HOST] && !x->request.http10)
        return "the Host field is missing";
    if (f->value[GATE_TRANSFER_ENCODING])
        return "a request body is not accepted";
    const char *const length = f->value[GATE_CONTENT_LENGTH];
    if (x->request.method == METHOD_POST) {
        if (!length || !is_length(length, body_max))
            return "the length of the request body is missing or too large";
    } else if (length && strcmp(length, "0") != 0) {
        return "a request body is not accepted";
    }
    if (x->path[0] != '/' || !is_visible(x->path) || !is_visible(x->query))
        return "the request target is malformed";
    return NULL;
}

enum method gate_method(const char *name)
{
    if (strcmp(name, "GET") == 0)
        return METHOD_GET;
    if (strcmp(name, "HEAD") == 0)
        return METHOD_HEAD;
    if (strcmp(name, "POST") == 0)
        return METHOD_POST;
    return strcmp(name, "OPTIONS") == 0 ? METHOD_OPTIONS : METHOD_OTHER;
}
