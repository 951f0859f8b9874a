// SPDX-License-Identifier: BSD-2-Clause
//
// A path is decoded and checked as a whole first, then matched from its end: the
// last segment says what is wanted, the two before it name the recipe and the
// rendition, and all that is left is the asset.  So a malformed path is always
// -E_BAD_REQUEST, whatever its end looks like.

#include "server/route.h"

#include <string.h>

#include "base/base.h"
#include "base/err.h"
#include "base/utf8.h"

#define PATH_MAX_BYTES 2048

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int route_escape(const char *p)
{
    const int high = *p == '%' ? hex_digit(p[1]) : -1;
    const int low = high < 0 ? -1 : hex_digit(p[2]);
    return low < 0 ? -1 : high << 4 | low;
}

// The byte at *path, which moves behind it; -1 for what no path may hold.
static int decode_byte(const char **path)
{
    const bool escaped = **path == '%';
    const int c = escaped ? route_escape(*path) : (unsigned char)**path;
    *path += escaped ? 3 : 1;
    const bool never = c < 0x20 || c == 0x7f || c == '\\' || (escaped && c == '/');
    return never ? -1 : c;
}

static bool is_utf8(const char *s)
{
    size_t n = strlen(s);
    while (n) {
        const size_t len = utf8_sequence(s, n);
        if (len == 0)
            return false;
        s += len;
        n -= len;
    }
    return true;
}

// Decodes path into out, which has room for all of it.
static bool decode(char *out, const char *path)
{
    char *const begin = out;
    while (*path) {
        const int c = decode_byte(&path);
        if (c < 0)
            return false;
        *out++ = (char)c;
    }
    *out = '\0';
    return is_utf8(begin);
}

static bool is_dots(const char *segment, size_t n)
{
    return (n == 1 && segment[0] == '.') || (n == 2 && segment[0] == '.' && segment[1] == '.');
}

// Checks every segment of the decoded path; *hidden when one begins with '.'.
static bool check_segments(const char *path, bool *hidden)
{
    *hidden = false;
    for (path++;;) {
        const size_t n = strcspn(path, "/");
        const bool last = path[n] == '\0';
        if ((n == 0 && !last) || is_dots(path, n))
            return false;
        if (path[0] == '.')
            *hidden = true;
        if (last)
            return true;
        path += n + 1;
    }
}

// Cuts the last segment off path, which begins with '/' or is empty; NULL when
// it is empty.
static char *cut(char *path)
{
    char *const slash = strrchr(path, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return slash + 1;
}

static bool is_name(const char *s, const char *punctuation)
{
    if (!s || !*s)
        return false;
    for (; *s; s++) {
        const bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
        if (!letter && !(*s >= '0' && *s <= '9') && !strchr(punctuation, *s))
            return false;
    }
    return true;
}

// "17.m4s" -> 17 and the format, or -1.
static int segment_number(const char *leaf, enum route_format *format)
{
    static const char *const ends[FORMAT_COUNT] = {
        [FORMAT_M4S] = ".m4s",
        [FORMAT_VTT] = ".vtt",
        [FORMAT_JPG] = ".jpg",
        [FORMAT_TS] = ".ts",
    };
    int n = 0;
    const char *p = leaf;
    for (; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (*p - '0');
        if (n >= ROUTE_SEGMENT_MAX || (leaf[0] == '0' && p > leaf))
            return -1;
    }
    for (*format = 0; p > leaf && *format < FORMAT_COUNT; (*format)++)
        if (strcmp(p, ends[*format]) == 0)
            return n;
    return -1;
}

// "720p.mp4" -> "720p"; false when it ends otherwise.
static bool cut_mp4(char *leaf)
{
    const size_t n = strlen(leaf);
    if (n < 5 || strcmp(leaf + n - 4, ".mp4") != 0)
        return false;
    leaf[n - 4] = '\0';
    return true;
}

static bool match_leaf(struct route *r, const char *leaf)
{
    static const struct {
        const char *leaf;
        enum route_kind kind;
        enum route_format format;
    } leaves[] = {
        { "play", ROUTE_PLAY, FORMAT_M4S },
        { "master.m3u8", ROUTE_MASTER, FORMAT_M4S },
        { "master-ts.m3u8", ROUTE_MASTER, FORMAT_TS },
        { "manifest.mpd", ROUTE_MANIFEST, FORMAT_M4S },
        { "storyboard.vtt", ROUTE_STORYBOARD, FORMAT_M4S },
        { "poster.jpg", ROUTE_POSTER, FORMAT_JPG },
        { "index.m3u8", ROUTE_PLAYLIST, FORMAT_M4S },
        { "init.mp4", ROUTE_INIT, FORMAT_M4S },
        { "key", ROUTE_KEY, FORMAT_M4S },
        { "license", ROUTE_LICENSE, FORMAT_M4S },
    };
    for (size_t i = 0; i < countof(leaves); i++)
        if (strcmp(leaf, leaves[i].leaf) == 0) {
            r->kind = leaves[i].kind;
            r->format = leaves[i].format;
            return true;
        }
    r->kind = ROUTE_SEGMENT;
    r->n = segment_number(leaf, &r->format);
    return r->n >= 0;
}

static bool match_recipe(struct route *r, const char *rendition, char *path)
{
    if (!is_name(rendition, "-") || !copy_string(r->rendition, sizeof r->rendition, rendition))
        return false;
    const char *const recipe = cut(path);
    return recipe && key_parse(&r->recipe, recipe, strlen(recipe));
}

// "cat.mp4;t=1,2": a name that merely looks so is that of a source.
static bool set_asset(struct route *r, char *name)
{
    char *const suffix = strrchr(name, ';');
    char printed[CLIP_SUFFIX] = "";
    if (suffix && suffix > name && strncmp(suffix, ";t=", 3) == 0 &&
        clip_parse(&r->clip, suffix + 3)) {
        clip_print(&r->clip, printed);
        *suffix = '\0';
    }
    const size_t n = strlen(name);
    return copy_string(r->asset, sizeof r->asset, name) &&
           copy_string(r->asset + n, sizeof r->asset - n, printed);
}

static bool match(struct route *r, char *path)
{
    char *const leaf = cut(path);
    if (*path == '\0' && *leaf == '\0') {
        r->kind = ROUTE_ROOT;
        return true;
    }
    if (strcmp(path, "/-") == 0) {
        r->kind = ROUTE_STATIC;
        return is_name(leaf, "-_.") && copy_string(r->rendition, sizeof r->rendition, leaf);
    }
    if (strncmp(path, "/-/", 3) == 0)
        return false;
    if (match_leaf(r, leaf)) {
        const bool below = route_is_immutable(r) || r->kind == ROUTE_KEY;
        if (below && !match_recipe(r, cut(path), path))
            return false;
    } else {
        r->kind = ROUTE_PROGRESSIVE;
        r->format = FORMAT_M4S;
        r->n = 0;
        if (!cut_mp4(leaf) || !match_recipe(r, leaf, path))
            return false;
    }
    return *path && set_asset(r, path + 1);
}

int route_parse(struct route *r, const char *path)
{
    char decoded[PATH_MAX_BYTES + 1];
    bool hidden;
    memset(r, 0, sizeof *r);
    if (path[0] != '/' || strlen(path) > PATH_MAX_BYTES)
        return -E_BAD_REQUEST;
    if (!decode(decoded, path) || !check_segments(decoded, &hidden))
        return -E_BAD_REQUEST;
    return hidden || !match(r, decoded) ? -E_NOT_FOUND : 0;
}

void route_source(const struct route *r, char out[ROUTE_ASSET_MAX])
{
    const char *const suffix = r->clip.to > 0 ? strrchr(r->asset, ';') : NULL;
    const size_t n = suffix ? (size_t)(suffix - r->asset) : strlen(r->asset);
    memcpy(out, r->asset, n);
    out[n] = '\0';
}

// The whole number at *p, ROUTE_SEGMENT_MAX - 1 for all above; moves p behind it.
static int whole_number(const char **p)
{
    int n = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        n = n * 10 + (**p - '0') < ROUTE_SEGMENT_MAX ? n * 10 + (**p - '0') : ROUTE_SEGMENT_MAX - 1;
    return n;
}

// "12.5", up to the end or '&', -> 13; -1 when it is no number.
static int whole_second(const char *p)
{
    const char *const begin = p;
    int n = whole_number(&p);
    const bool whole = p > begin;
    if (whole && *p == '.') {
        n += p[1] >= '5' && p[1] <= '9' && n < ROUTE_SEGMENT_MAX - 1;
        p++;
        whole_number(&p);
    }
    return whole && (*p == '\0' || *p == '&') ? n : -1;
}

int route_query(struct route *r, const char *query)
{
    if (r->kind != ROUTE_POSTER)
        return 0;
    r->n = ROUTE_ANY_SECOND;
    while (*query && strncmp(query, "t=", 2) != 0) {
        query += strcspn(query, "&");
        query += *query == '&';
    }
    if (!*query)
        return 0;
    r->n = whole_second(query + 2);
    return r->n < 0 ? -E_BAD_REQUEST : 0;
}

bool route_is_entry(const struct route *r)
{
    return r->kind == ROUTE_MASTER || r->kind == ROUTE_MANIFEST || r->kind == ROUTE_STORYBOARD ||
           r->kind == ROUTE_POSTER;
}

bool route_names_rungs(const struct route *r)
{
    return r->kind == ROUTE_MASTER || r->kind == ROUTE_MANIFEST;
}

bool route_is_media(const struct route *r)
{
    return r->kind == ROUTE_SEGMENT && r->format == FORMAT_M4S;
}

bool route_names_subtitles(const struct route *r)
{
    return !route_is_entry(r) && strncmp(r->rendition, "subs-", 5) == 0;
}

bool route_is_immutable(const struct route *r)
{
    return r->kind == ROUTE_PLAYLIST || r->kind == ROUTE_INIT || r->kind == ROUTE_SEGMENT ||
           r->kind == ROUTE_PROGRESSIVE;
}

static const char *type_of_file(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        { ".js", "text/javascript; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".svg", "image/svg+xml" },
        { ".png", "image/png" },
        { ".ico", "image/x-icon" },
        { ".html", "text/html; charset=utf-8" },
    };
    const char *const dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < countof(types); i++)
        if (strcmp(dot, types[i].end) == 0)
            return types[i].type;
    return "application/octet-stream";
}

const char *route_content_type(const struct route *r)
{
    switch (r->kind) {
    case ROUTE_ROOT:
    case ROUTE_PLAY:
        return "text/html; charset=utf-8";
    case ROUTE_STATIC:
        return type_of_file(r->rendition);
    case ROUTE_MASTER:
    case ROUTE_PLAYLIST:
        return "application/vnd.apple.mpegurl";
    case ROUTE_MANIFEST:
        return "application/dash+xml";
    case ROUTE_STORYBOARD:
        return "text/vtt; charset=utf-8";
    case ROUTE_POSTER:
        return "image/jpeg";
    case ROUTE_KEY:
        break;
    case ROUTE_LICENSE:
        return "application/json";
    case ROUTE_INIT:
    case ROUTE_SEGMENT:
    case ROUTE_PROGRESSIVE:
        if (r->format == FORMAT_VTT)
            return "text/vtt; charset=utf-8";
        if (r->format == FORMAT_JPG)
            return "image/jpeg";
        if (r->format == FORMAT_TS)
            return "video/mp2t";
        return strncmp(r->rendition, "audio", 5) == 0 ? "audio/mp4" : "video/mp4";
    }
    return "application/octet-stream";
}

bool route_is_text(const struct route *r)
{
    if (r->kind == ROUTE_INIT || r->kind == ROUTE_SEGMENT || r->kind == ROUTE_PROGRESSIVE)
        return false;
    const char *const type = route_content_type(r);
    return strncmp(type, "text/", 5) == 0 || strstr(type, "mpegurl") || strstr(type, "xml");
}
