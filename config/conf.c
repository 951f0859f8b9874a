// SPDX-License-Identifier: BSD-2-Clause
//
// Every value takes the same way in, whether it is a default, from the file,
// the environment or the command line: text (or a JSON scalar) to a checked
// field, and a complaint knows where the value came from.  What only this
// machine can say (a 0 or an empty default) is resolved at the end.

#include "config/conf_parts.h"

#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"
#include "config/machine.h"
#include "config/memory.h"
#include "config/param.h"
#include "config/quantity.h"
#include "config/ramp.h"

#define VARIABLE "TIDEMILL_"

static const struct conf_rung default_ladder[] = {
    { 1080, 5000000, 23, CONF_H264, false, CONF_SOFTWARE },
    { 720, 2800000, 23, CONF_H264, false, CONF_SOFTWARE },
    { 540, 1600000, 23, CONF_H264, false, CONF_SOFTWARE },
    { 360, 800000, 23, CONF_H264, false, CONF_SOFTWARE },
    { 240, 400000, 23, CONF_H264, false, CONF_SOFTWARE },
};

// ---- the environment and the command line

static int read_variable(struct conf *c, const char *name, const char *value,
                         const struct complaint *to)
{
    const struct from from = { .to = to, .name = name };
    for (size_t i = 0; i < param_count; i++) {
        char ours[PARAM_NAME];
        param_variable(params[i].path, ours);
        if (strcmp(name, ours) == 0)
            return param_set_text(c, &params[i], value, &from);
    }
    // Names of others may begin like ours (a container platform's service variables
    // do), so an unknown one is wrong only when it looks like a slip.
    char near[PARAM_NAME];
    if (param_nearest_variable(name, near))
        return complain(&from, "unknown variable; did you mean %s?", near);
    return 0;
}

static int read_environment(struct conf *c, char *const environment[], const struct complaint *to)
{
    for (; environment && *environment; environment++) {
        const char *const value = strchr(*environment, '=');
        if (!value || strncmp(*environment, VARIABLE, strlen(VARIABLE)) != 0)
            continue;
        char *const name = strndup(*environment, (size_t)(value - *environment));
        const int rc = read_variable(c, name, value + 1, to);
        free(name);
        if (rc)
            return rc;
    }
    return 0;
}

static void forget_origins(struct conf *c)
{
    for (int i = 0; i < c->origin_count; i++) {
        free(c->origins[i].prefix);
        free(c->origins[i].base);
        free(c->origins[i].aws_sigv4);
        free(c->origins[i].key_id);
        free(c->origins[i].secret);
        free(c->origins[i].session_token);
        for (int k = 0; k < c->origins[i].subtitle_count; k++)
            free(c->origins[i].subtitles[k]);
    }
    memset(c->origins, 0, sizeof c->origins);
    c->origin_count = 0;
}

static int read_flags(struct conf *c, const struct conf_flags *flags, const struct complaint *to)
{
    int rc = 0;
    struct from from = { .to = to, .name = "-l" };
    if (flags->listen)
        rc = param_set_text(c, param_of("listen"), flags->listen, &from);
    from.name = "-d";
    if (!rc && flags->cache_dir)
        rc = param_set_text(c, param_of("cache.dir"), flags->cache_dir, &from);
    if (rc || !flags->origin)
        return rc;
    forget_origins(c);
    c->origin_count = 1;
    c->origins[0].prefix = xstrdup("/");
    from.name = "ORIGIN";
    return conf_set_base(&c->origins[0], flags->origin, &from);
}

// ---- what only this machine can say

static const char *variable(char *const environment[], const char *name)
{
    const size_t n = strlen(name);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return *environment + n + 1;
    }
    return NULL;
}

static char *user_cache(char *const environment[])
{
    const char *const xdg = variable(environment, "XDG_CACHE_HOME");
    if (xdg && *xdg == '/') // the XDG specification: others are to be ignored
        return xasprintf("%s/tidemill", xdg);
    const char *const home = variable(environment, "HOME");
    return home && *home == '/' ? xasprintf("%s/.cache/tidemill", home) : NULL;
}

static char *absolute(const char *path)
{
    char *const here = *path == '/' ? NULL : getcwd(NULL, 0);
    char *const whole = here ? xasprintf("%s/%s", here, path) : xstrdup(path);
    free(here);
    return whole;
}

static int resolve_folder(struct conf *c, char *const environment[], const struct complaint *to)
{
    const struct from from = { .to = to, .name = "cache.dir" };
    char *const folder = *c->cache_dir ? absolute(c->cache_dir) : user_cache(environment);
    if (!folder && c->cache_disk_enabled)
        return complain(&from, "neither XDG_CACHE_HOME nor HOME is set; name a folder with -d");
    if (folder) {
        free(c->cache_dir);
        c->cache_dir = folder;
    }
    return 0;
}

static int check_encryption(const struct conf *c, const struct complaint *to)
{
    const struct from from = { .to = to, .name = "encryption.secret" };
    if (strcmp(c->encryption_method, "none") == 0 || *c->encryption_secret ||
        *c->encryption_key_server)
        return 0;
    return complain(&from, "missing; encryption.method \"%s\" needs one, or encryption.key_server",
                    c->encryption_method);
}

static int check_keys(const struct conf *c, const struct complaint *to)
{
    const struct from from = { .to = to, .name = "origin.key_id" };
    for (int i = 0; i < c->origin_count; i++) {
        const struct conf_origin *const o = &c->origins[i];
        const struct conf_keys keys = conf_origin_keys(c, o);
        if (o->aws_sigv4 && (!*keys.key_id || !*keys.secret))
            return complain(&from,
                            "missing, or origin.secret is; the origin of prefix \"%s\" has "
                            "aws_sigv4, which needs both",
                            o->prefix);
    }
    return 0;
}

static int check_devices(const struct conf *c, const struct complaint *to)
{
    const struct from from = { .to = to, .name = "workers.devices" };
    for (int i = 0; i < c->rung_count; i++)
        if (c->rungs[i].encoder && !c->workers_devices)
            return complain(&from,
                            "false; the encoder \"%s\" of the ladder needs true, which gives "
                            "workers wider limits (codecs.md)",
                            conf_encoder_name(c->rungs[i].encoder));
    return 0;
}

static int resolve_ramp(struct conf *c, const struct complaint *to)
{
    const struct from from = { .to = to, .name = "media.ramp" };
    char text[QUANTITY_TEXT];
    c->ramp_count = ramp_parse(c->media_ramp, c->ramp);
    assert(c->ramp_count >= 0 && "it was checked when it was set");
    if (c->ramp_count == 0 || c->ramp[c->ramp_count - 1] < c->media_segment)
        return 0;
    return complain(&from, "\"%s\" does not stay below media.segment, which is %s", c->media_ramp,
                    quantity_print(QUANTITY_TIME, c->media_segment, text));
}

static int resolve(struct conf *c, char *const environment[], const struct complaint *to)
{
    const int cores = machine_cores("");
    if (c->http_threads == 0)
        c->http_threads = (int)clamp64(cores / 2, 2, param_of("http.threads")->max);
    int rc = check_encryption(c, to);
    if (rc == 0)
        rc = check_keys(c, to);
    if (rc == 0)
        rc = check_devices(c, to);
    if (rc == 0)
        rc = resolve_ramp(c, to);
    if (rc == 0)
        rc = memory_share_out(c, cores, machine_memory(""), to);
    return rc < 0 ? rc : resolve_folder(c, environment, to);
}

// ---- whole

static void set_defaults(struct conf *c, bool has_file)
{
    char why[256] = "";
    const struct complaint to = { why, sizeof why };
    for (size_t i = 0; i < param_count; i++) {
        const struct from from = { .to = &to, .name = params[i].path };
        const int rc = param_set_text(c, &params[i], params[i].def, &from);
        assert(rc == 0 && "a default of param.def is wrong");
    }
    memcpy(c->rungs, default_ladder, sizeof default_ladder);
    c->rung_count = countof(default_ladder);
    c->ui = !has_file;
}

int conf_load(struct conf **out, const struct conf_flags *flags, char *const environment[],
              char *why, size_t cap)
{
    *out = NULL;
    const struct complaint to = { why, cap };
    struct conf *const c = xcalloc(1, sizeof *c);
    set_defaults(c, flags->file);
    int rc = flags->file ? conf_read_file(c, flags->file, &to) : 0;
    if (!rc)
        rc = read_environment(c, environment, &to);
    if (!rc)
        rc = read_flags(c, flags, &to);
    if (!rc && c->origin_count == 0) {
        const struct from from = { .to = &to, .name = "ORIGIN" };
        rc = complain(&from, "nothing to serve; name a folder or an http(s):// URL, as in "
                             "\"tidemill ~/Videos\", or set \"origins\" in the file of -c");
    }
    if (!rc)
        rc = resolve(c, environment, &to);
    if (rc) {
        conf_destroy(c);
        return rc;
    }
    *out = c;
    return 0;
}

void conf_destroy(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < param_count; i++) {
        if (param_is_text(&params[i]))
            free(*(char **)param_field(c, &params[i]));
    }
    forget_origins(c);
    free(c);
}
