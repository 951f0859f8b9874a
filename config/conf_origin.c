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
