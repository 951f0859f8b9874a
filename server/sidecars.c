// SPDX-License-Identifier: BSD-2-Clause

#include "server/sidecars.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/log.h"
#include "cache/source.h"
#include "server/edge.h"

struct search {
    // borrowed
    struct edge *e;
    int origin;
    const char *path;
    const struct cancel *cancel;
    const char *asset, *version;
    struct plan *plan;
};

static struct key key_of_version(const struct origin_version *v)
{
    return key_of_text("sidecar 1\n%s\n%" PRId64 "\n", v->validator, v->size);
}

static int open_beside(struct edge *e, int origin, const char *path, const char *suffix,
                       const struct cancel *cancel, struct source **out)
{
    char *whole = xasprintf("%s%s", path, suffix);
    const int err = source_open(e->sources, e->origins[origin], whole, clock_ms(), cancel, out);
    free(whole);
    return err;
}

// ".pt-BR.srt": the language between the dots, TEXT_NONE when that is none.
static enum text_format parse_suffix(const char *suffix, char language[LANGUAGE_TAG])
{
    const char *const dot = strrchr(suffix, '.');
    if (suffix[0] != '.' || !dot || dot == suffix)
        return TEXT_NONE;
    language_parse(suffix + 1, (size_t)(dot - suffix - 1), language);
    if (!language_is_known(language))
        return TEXT_NONE;
    return strcmp(dot, ".vtt") == 0   ? TEXT_WEBVTT
           : strcmp(dot, ".srt") == 0 ? TEXT_SUBRIP
                                      : TEXT_NONE;
}

static bool has_file_of(const struct plan *p, const char *language)
{
    for (int i = 0; i < p->count; i++) {
        const struct rendition *const r = &p->renditions[i];
        if (r->kind == RENDITION_TEXT && r->t.file && strcmp(r->tags.language, language) == 0)
            return true;
    }
    return false;
}

// Whether it is there.
static void add(const struct search *s, const char *suffix, enum text_format format)
{
    char language[LANGUAGE_TAG];
    struct source *source = NULL;
    if (parse_suffix(suffix, language) != format || has_file_of(s->plan, language))
        return;
    int err = open_beside(s->e, s->origin, s->path, suffix, s->cancel, &source);
    if (err == 0 && source_version(source)->size > JOB_TEXT_MAX)
        err = -E_LIMITS;
    if (err == 0)
        err =
            plan_add_file(s->plan, language, format, suffix, key_of_version(source_version(source)),
                          s->asset, s->version, s->e->headers);
    if (err < 0 && err != -E_NOT_FOUND && err != -E_CANCELLED)
        log_warn("sidecar", "%s%s is left out: %s", s->asset, suffix, err_sentence(err));
    source_close(&source);
}

static void search_folder(const struct search *s)
{
    struct origin *const o = s->e->origins[s->origin];
    char suffixes[ORIGIN_BESIDE][ORIGIN_SUFFIX];
    const int n = o->beside(o, s->path, suffixes);
    for (int i = 0; i < n; i++)
        add(s, suffixes[i], TEXT_WEBVTT);
    for (int i = 0; i < n; i++)
        add(s, suffixes[i], TEXT_SUBRIP);
}

static void ask_for(const struct search *s, const char *language)
{
    char suffix[ORIGIN_SUFFIX];
    snprintf(suffix, sizeof suffix, ".%s.vtt", language);
    add(s, suffix, TEXT_WEBVTT);
    snprintf(suffix, sizeof suffix, ".%s.srt", language);
    add(s, suffix, TEXT_SUBRIP);
}

void sidecars_add(struct edge *e, int origin, const char *path, const struct cancel *cancel,
                  const char *asset, const char *version, struct plan *p)
{
    const struct search s = { e, origin, path, cancel, asset, version, p };
    const struct conf_origin *const conf = &e->conf->origins[origin];
    if (!conf->http)
        search_folder(&s);
    for (int i = 0; i < conf->subtitle_count; i++)
        ask_for(&s, conf->subtitles[i]);
}

int sidecars_open(struct edge *e, int origin, const char *path, const struct cancel *cancel,
                  const struct rendition *r, struct source **out)
{
    const int err = open_beside(e, origin, path, r->file.suffix, cancel, out);
    if (err < 0)
        return err;
    const struct key key = key_of_version(source_version(*out));
    if (key_equal(&key, &r->file.version) && source_version(*out)->size <= JOB_TEXT_MAX)
        return 0;
    source_close(out);
    return -E_NOT_FOUND;
}
