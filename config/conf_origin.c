// SPDX-License-Identifier: BSD-2-Clause

#include "config/conf_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "config/text.h"

bool conf_is_url(const char *s)
{
    return strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0;
}

static bool is_good_url(const char *s)
{
    const char *const host = strstr(s, "//") + 2;
    return *host && *host != '/' && text_is_printable(s) && !strpbrk(s, "?#\\");
}

int conf_set_base(struct conf_origin *o, const char *base, const struct from *from)
{
    if (conf_is_url(base)) {
        if (!is_good_url(base))
            return complain(from, "\"%s\" is wrong; write http://HOST/PATH/", base);
        o->http = true;
        o->base = xasprintf("%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/");
        return 0;
    }
    if (strstr(base, "://"))
        return complain(from, "\"%s\" is wrong; write a folder, or an http:// or https:// URL",
                        base);
    char *const real = realpath(base, NULL);
    struct stat st;
    if (!real || stat(real, &st) < 0) {
        const int rc = complain(from, "\"%s\": %s; write a folder, or an http:// or https:// URL",
                                base, strerror(errno));
        free(real);
        return rc;
    }
    o->base = real;
    if (!S_ISDIR(st.st_mode))
        return complain(from, "\"%s\" is a file; write the folder it lies in", base);
    return 0;
}

int conf_set_prefix(struct conf_origin *o, const char *prefix, const struct from *from)
{
    const size_t n = strlen(prefix);
    if (n == 0 || prefix[0] != '/' || prefix[n - 1] != '/' || !text_is_printable(prefix) ||
        strstr(prefix, "//") || strstr(prefix, "/."))
        return complain(from, "\"%s\" is wrong; write \"/\" or \"/name/\"", prefix);
    if (strncmp(prefix, "/-/", 3) == 0)
        return complain(from, "the server's own files are below /-/; write another prefix");
    o->prefix = xstrdup(prefix);
    return 0;
}

bool conf_is_language(const char *s)
{
    const size_t n = strlen(s);
    return n >= 2 && n <= 35 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

// "eu-west-1".
static size_t span_of_name(const char *s)
{
    const size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n <= 64 ? n : 0;
}

static bool is_sigv4(const char *s)
{
    static const char scheme[] = "aws:amz:";
    if (strncmp(s, scheme, sizeof scheme - 1) != 0)
        return false;
    s += sizeof scheme - 1;
    const size_t region = span_of_name(s);
    if (region == 0 || s[region] != ':')
        return false;
    s += region + 1;
    const size_t service = span_of_name(s);
    return service > 0 && s[service] == '\0';
}

// Whether servers that verify signatures write the path of a URL as it stands here.
static bool is_canonical(const char *url)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~/";
    static const char hex[] = "0123456789ABCDEF";
    const char *s = strstr(url, "//") + 2;
    if (memchr(s, '@', strcspn(s, "/")))
        return false;
    for (s += strcspn(s, "/"); *s; s++)
        if (*s == '%' ? !s[1] || !strchr(hex, s[1]) || !s[2] || !strchr(hex, s[2])
                      : !strchr(plain, *s))
            return false;
    return true;
}

int conf_set_sigv4(struct conf_origin *o, const char *how, const struct from *from)
{
    if (!o->http)
        return complain(from, "a folder takes no signatures; leave this out");
    if (!is_sigv4(how))
        return complain(from, "\"%s\" is wrong; write aws:amz:REGION:s3", how);
    if (!is_canonical(o->base))
        return complain(from, "base has to be without a user, and all but letters, digits and "
                              "-_.~/ in its path written as %%XX");
    o->aws_sigv4 = xstrdup(how);
    return 0;
}

struct conf_keys conf_origin_keys(const struct conf *c, const struct conf_origin *o)
{
    if (o->key_id)
        return (struct conf_keys){ o->key_id, o->secret, o->session_token ? o->session_token : "" };
    return (struct conf_keys){ c->origin_key_id, c->origin_secret, c->origin_session_token };
}
