// SPDX-License-Identifier: BSD-2-Clause

#include "bench/viewers/playlist.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define SECONDS_MAX 1e6 // of one segment

// The next line of *text without its end; NULL behind the last.
static char *next_line(char **text)
{
    char *line = strsep(text, "\n");
    if (line)
        line[strcspn(line, "\r")] = '\0';
    return line;
}

// What stands behind the tag, or NULL when the line is none of it.
static const char *tag(const char *line, const char *name)
{
    const size_t n = strlen(name);
    return strncmp(line, name, n) == 0 ? line + n : NULL;
}

// Copies the value of an attribute without its quotes; false when it is not there.
static bool attribute(const char *list, const char *name, char *value, size_t cap)
{
    const size_t n = strlen(name);
    for (const char *at = list; *at;) {
        const bool is_it = strncmp(at, name, n) == 0 && at[n] == '=';
        const char *const equals = strchr(at, '=');
        if (!equals)
            return false;
        const bool quoted = equals[1] == '"';
        const char *const from = equals + 1 + quoted;
        const size_t size = strcspn(from, quoted ? "\"" : ",");
        if (is_it) {
            snprintf(value, cap, "%.*s", (int)min64((int64_t)size, (int64_t)cap - 1), from);
            return true;
        }
        at = from + size + (quoted && from[size]);
        at += *at == ',';
    }
    return false;
}

static void read_variant(struct variant *v, const char *attributes)
{
    char value[64];
    *v = (struct variant){ 0 };
    if (attribute(attributes, "BANDWIDTH", value, sizeof value))
        v->bandwidth = strtoll(value, NULL, 10);
    int width;
    if (attribute(attributes, "RESOLUTION", value, sizeof value) &&
        sscanf(value, "%dx%d", &width, &v->height) == 2 && width < v->height)
        v->height = width; // portrait: a rung is named by its short side
    if (!attribute(attributes, "AUDIO", v->audio, sizeof v->audio))
        v->audio[0] = '\0';
}

struct sound {
    char group[64];
    char *uri; // NULL: it is in the variants
    bool is_default;
};

static void read_sound(struct sound *s, const char *attributes)
{
    char value[1024];
    *s = (struct sound){ 0 };
    attribute(attributes, "GROUP-ID", s->group, sizeof s->group);
    if (attribute(attributes, "URI", value, sizeof value))
        s->uri = xstrdup(value);
    s->is_default = attribute(attributes, "DEFAULT", value, sizeof value) && !strcmp(value, "YES");
}

// The default of the group, else its first.
static const struct sound *sound_of(const struct sound *all, int count, const char *group)
{
    const struct sound *found = NULL;
    for (int i = 0; i < count && *group; i++) {
        if (strcmp(all[i].group, group) == 0 &&
            (!found || (all[i].is_default && !found->is_default)))
            found = &all[i];
    }
    return found;
}

static void join_sounds(struct master *m, const struct sound *all, int count)
{
    for (int i = 0; i < m->count; i++) {
        const struct sound *const s = sound_of(all, count, m->variants[i].audio);
        m->audio[i] = s && s->uri ? xstrdup(s->uri) : NULL;
    }
}

int master_read(struct master *m, char *text)
{
    struct sound sounds[PLAYLIST_VARIANTS];
    int sound_count = 0;
    const char *line, *rest;
    *m = (struct master){ 0 };
    if (!(line = next_line(&text)) || strcmp(line, "#EXTM3U") != 0)
        return -1;
    while ((line = next_line(&text)) && m->count < PLAYLIST_VARIANTS) {
        if ((rest = tag(line, "#EXT-X-MEDIA:")) && strstr(rest, "TYPE=AUDIO")) {
            if (sound_count < PLAYLIST_VARIANTS)
                read_sound(&sounds[sound_count++], rest);
        } else if ((rest = tag(line, "#EXT-X-STREAM-INF:"))) {
            const char *const uri = next_line(&text);
            read_variant(&m->variants[m->count], rest);
            if (uri && *uri && *uri != '#')
                m->variants[m->count++].uri = xstrdup(uri);
        }
    }
    join_sounds(m, sounds, sound_count);
    for (int i = 0; i < sound_count; i++)
        free(sounds[i].uri);
    return m->count > 0 ? 0 : -1;
}

void master_finish(struct master *m)
{
    for (int i = 0; i < m->count; i++) {
        free(m->variants[i].uri);
        free(m->audio[i]);
    }
    *m = (struct master){ 0 };
}

static int64_t microseconds(const char *seconds)
{
    const double s = strtod(seconds, NULL);
    return s > 0 && s < SECONDS_MAX ? llround(s * 1e6) : 0;
}

static void add_segment(struct media_list *l, size_t *cap, const char *uri, int64_t duration)
{
    l->segments = xgrow(l->segments, l->count, cap, sizeof *l->segments);
    const int64_t begin = l->count ? l->segments[l->count - 1].end : 0;
    l->segments[l->count++] =
        (struct media_segment){ .uri = xstrdup(uri), .begin = begin, .end = begin + duration };
}

int media_list_read(struct media_list *l, char *text)
{
    size_t cap = 0;
    int64_t duration = 0;
    char value[1024];
    const char *line, *rest;
    *l = (struct media_list){ 0 };
    if (!(line = next_line(&text)) || strcmp(line, "#EXTM3U") != 0)
        return -1;
    while ((line = next_line(&text))) {
        if ((rest = tag(line, "#EXTINF:")))
            duration = microseconds(rest);
        else if ((rest = tag(line, "#EXT-X-TARGETDURATION:")))
            l->target = microseconds(rest);
        else if ((rest = tag(line, "#EXT-X-MAP:")) && !l->map)
            l->map = attribute(rest, "URI", value, sizeof value) ? xstrdup(value) : NULL;
        else if (tag(line, "#EXT-X-ENDLIST"))
            l->ended = true;
        else if (*line && *line != '#' && duration > 0)
            add_segment(l, &cap, line, duration);
    }
    if (l->count > 0)
        return 0;
    media_list_finish(l);
    return -1;
}

void media_list_finish(struct media_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->segments[i].uri);
    free(l->segments);
    free(l->map);
    *l = (struct media_list){ 0 };
}

// Whether the URI is of the rendition, or the height is.
static bool is_rung(const struct variant *v, const char *rung)
{
    const char *const end = strrchr(v->uri, '/');
    const size_t n = strlen(rung);
    char height[16];
    snprintf(height, sizeof height, "%dp", v->height);
    return strcmp(height, rung) == 0 ||
           (end && (size_t)(end - v->uri) >= n && strncmp(end - n, rung, n) == 0 &&
            (end - n == v->uri || end[-(ptrdiff_t)n - 1] == '/'));
}

int master_choose(const struct master *m, const char *rung, int64_t bandwidth)
{
    int best = -1, poorest = 0;
    for (int i = 0; i < m->count; i++) {
        const int64_t rate = m->variants[i].bandwidth;
        if (*rung && is_rung(&m->variants[i], rung))
            return i;
        if (rate < m->variants[poorest].bandwidth)
            poorest = i;
        if (rate <= bandwidth && (best < 0 || rate > m->variants[best].bandwidth))
            best = i;
    }
    return best >= 0 ? best : poorest;
}

size_t media_list_at(const struct media_list *l, int64_t time)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (l->segments[middle].end > time)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
