// SPDX-License-Identifier: BSD-2-Clause

#include "server/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"
#include "cache/origin.h"
#include "server/edge.h"

#define FILE_MAX_BYTES (4 * 1024 * 1024)
#define LIST_PAGE 100

enum file { FILE_STYLE, FILE_PLAYER, FILE_HLS, FILE_COUNT };

// What we serve below /-/, and where it may lie in the web folder.
static const struct {
    const char *name, *type;
    const char *at[2];
    bool optional;
} files[FILE_COUNT] = {
    [FILE_STYLE] = { "style.css", "text/css; charset=utf-8", { "style.css" }, false },
    [FILE_PLAYER] = { "player.js", "text/javascript; charset=utf-8", { "player.js" }, false },
    [FILE_HLS] = { "hls.min.js",
                   "text/javascript; charset=utf-8",
                   { "hls.min.js", "node_modules/hls.js/dist/hls.min.js" },
                   true },
};

struct pages {
    struct buf content[FILE_COUNT];
};

// ---- loading

static bool read_file(const char *folder, const char *name, struct buf *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    buf_clear(out);
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    uint8_t piece[16384];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_append(out, piece, n);
    fclose(f);
    return buf_error(out) == 0 && out->len > 0;
}

static bool load_one(struct pages *p, const char *folder, enum file i)
{
    for (size_t k = 0; k < countof(files[i].at) && files[i].at[k]; k++) {
        if (read_file(folder, files[i].at[k], &p->content[i]))
            return true;
    }
    buf_clear(&p->content[i]);
    return files[i].optional;
}

static bool load_all(struct pages *p, const char *folder)
{
    for (int i = 0; i < FILE_COUNT; i++) {
        if (!load_one(p, folder, (enum file)i))
            return false;
    }
    return true;
}

// The folder that the program lies in.
static bool own_folder(char *out, size_t cap)
{
    const ssize_t n = readlink("/proc/self/exe", out, cap - 1);
    if (n <= 0)
        return false;
    out[n] = '\0';
    *strrchr(out, '/') = '\0';
    return true;
}

struct pages *pages_load(char *why, size_t cap)
{
    struct pages *p = xcalloc(1, sizeof *p);
    for (int i = 0; i < FILE_COUNT; i++)
        buf_init(&p->content[i], FILE_MAX_BYTES);

    const char *const given = getenv("TIDEMILL_WEB");
    if (given && load_all(p, given))
        return p;
    char own[3000], folder[4000];
    static const char *const places[] = { "../web", "../share/tidemill/web" };
    for (size_t i = 0; !given && i < countof(places) && own_folder(own, sizeof own); i++) {
        snprintf(folder, sizeof folder, "%s/%s", own, places[i]);
        if (load_all(p, folder))
            return p;
    }
    snprintf(why, cap, "the web folder with style.css and player.js is not there (TIDEMILL_WEB)");
    pages_destroy(p);
    return NULL;
}

void pages_destroy(struct pages *p)
{
    if (!p)
        return;
    for (int i = 0; i < FILE_COUNT; i++)
        buf_finish(&p->content[i]);
    free(p);
}

bool pages_have_hls(const struct pages *p)
{
    return p->content[FILE_HLS].len > 0;
}

// ---- text

static void put_html(struct buf *out, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        case '\'':
            buf_puts(out, "&#39;");
            break;
        default:
            buf_append(out, s, 1);
        }
    }
}

// Percent-encodes all but what may stand in a path.
static void put_url(struct buf *out, const char *s, bool keep_slash)
{
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || strchr("-._~", c);
        if (plain || (c == '/' && keep_slash))
            buf_append(out, s, 1);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static void put_size(struct buf *out, int64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double v = (double)bytes;
    size_t u = 0;
    for (; v >= 1024 && u + 1 < countof(units); u++)
        v /= 1024;
    buf_printf(out, u && v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void put_head(struct buf *out, const char *title)
{
    buf_puts(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<link rel=\"icon\" href=\"data:,\">\n"
                  "<link rel=\"stylesheet\" href=\"/-/style.css\"><title>");
    put_html(out, title);
    buf_puts(out, "</title></head>\n");
}

// ---- the list

void page_after(const char *query, char *out, size_t cap)
{
    out[0] = '\0';
    if (strncmp(query, "after=", 6) != 0)
        return;
    size_t n = 0;
    for (const char *p = query + 6; *p && *p != '&' && n + 1 < cap;) {
        const int c = route_escape(p);
        out[n++] = c < 0 ? *p : (char)c;
        p += c < 0 ? 1 : 3;
    }
    out[n] = '\0';
}

static void put_entry(struct buf *out, const char *prefix, const struct origin_entry *e)
{
    buf_puts(out, "<li><a href=\"");
    put_url(out, prefix, true);
    put_url(out, e->path, true);
    buf_puts(out, "/play\"><span class=\"name\">");
    put_html(out, prefix + 1);
    put_html(out, e->path);
    buf_puts(out, "</span><span class=\"size\">");
    put_size(out, e->size);
    buf_puts(out, "</span></a></li>\n");
}

// A page of the listing on its way.
struct listing {
    struct buf *out;
    int left;                  // entries that fit
    bool more;                 // there was one that did not
    bool folders;              // an origin could be listed
    char last[PAGE_AFTER_MAX]; // the "after" of the next page
};

static void put_origin(struct edge *e, int i, const char *after, struct listing *l)
{
    struct origin *const o = e->origins[i];
    struct origin_entry *entries = NULL;
    int count = 0;
    if (!o->list || o->list(o, after, l->left + 1, &entries, &count) < 0)
        return;
    const int n = count < l->left ? count : l->left;
    for (int k = 0; k < n; k++)
        put_entry(l->out, e->conf->origins[i].prefix, &entries[k]);
    if (n > 0)
        snprintf(l->last, sizeof l->last, "%d:%s", i, entries[n - 1].path);
    l->left -= n;
    l->more = count > n;
    l->folders = true;
    origin_entries_free(entries, count);
}

// "2:clips/b.mp4" names where a page ends: the origin's number and the path.
static int split_after(const char *after, const char **path)
{
    char *end;
    const long i = strtol(after, &end, 10);
    *path = *end == ':' ? end + 1 : "";
    return i >= 0 && i < CONF_ORIGINS ? (int)i : 0;
}

static void put_none(struct buf *out, bool folders)
{
    buf_puts(out, "<p class=\"none\">");
    if (folders)
        buf_puts(out,
                 "No videos here. Files with a usual ending, such as .mp4, .mov, .mkv, .webm or "
                 ".ts, are listed as soon as they are there.");
    else
        buf_puts(out, "A web server cannot be listed. To watch a video of it, put its path and "
                      "<code>/play</code> behind this address: "
                      "<code>/path/to/video.mp4/play</code>");
    buf_puts(out, "</p>\n");
}

static void put_turning(const struct listing *l, bool first, struct buf *out)
{
    if (first && !l->more)
        return;
    buf_puts(out, "<nav>");
    if (!first)
        buf_puts(out, "<a href=\"/\">First page</a>");
    if (l->more) {
        buf_puts(out, "<a href=\"/?after=");
        put_url(out, l->last, false);
        buf_puts(out, "\">Next page</a>");
    }
    buf_puts(out, "</nav>\n");
}

int page_list(struct edge *e, const char *after, struct buf *out)
{
    const char *path;
    const int from = split_after(after, &path);
    struct listing l = { .out = out, .left = LIST_PAGE };

    put_head(out, "Tidemill");
    buf_puts(out, "<body><main class=\"list\"><header><h1>Tidemill</h1>"
                  "<p>Every segment is made when somebody asks for it.</p></header>\n<ul>");
    for (int i = from; i < e->conf->origin_count && !l.more; i++)
        put_origin(e, i, i == from ? path : "", &l);
    buf_puts(out, "</ul>\n");
    if (l.left == LIST_PAGE)
        put_none(out, l.folders);
    put_turning(&l, !*after, out);
    buf_puts(out, "</main></body></html>\n");
    return buf_error(out);
}

// ---- the player

static void print_player(const struct pages *p, const char *asset, struct buf *out)
{
    put_head(out, asset);
    buf_puts(out, "<body><main class=\"player\"><header><a href=\"/\">Tidemill</a><h1>");
    put_html(out, asset);
    buf_puts(
        out,
        "</h1></header>\n"
        "<div id=\"stage\"><video id=\"video\" controls muted playsinline></video></div>\n"
        "<div id=\"strip\" hidden><div id=\"tile\" hidden></div><input id=\"bar\" type=\"range\" "
        "min=\"0\" step=\"any\" value=\"0\" aria-label=\"Time\"></div>\n"
        "<p id=\"problem\" role=\"alert\" hidden></p>\n"
        "<section id=\"about\" hidden><h2>Renditions</h2>"
        "<div id=\"rungs\" class=\"rungs\"></div>\n"
        "<p class=\"note\">For any other player: <a id=\"entry\" href=\"master.m3u8\">"
        "master.m3u8</a> (HLS) or <a id=\"manifest\" href=\"manifest.mpd\">manifest.mpd</a> "
        "(DASH)</p></section>\n"
        "<section id=\"loads\" hidden><h2>Where segments came from</h2>"
        "<div class=\"wide\"><table><thead><tr><th>Segment</th><th>From</th><th>Size</th>"
        "<th>First byte</th><th>Whole</th></tr></thead><tbody id=\"log\"></tbody></table>"
        "</div>\n"
        "<p class=\"note\"><b class=\"miss\">Made now</b>: encoded because you asked. "
        "<b class=\"miss\">Joined</b>: somebody else had just asked. "
        "<b class=\"hit\">Memory, disk, Redis</b>: kept by the server. "
        "<b class=\"hit\">Browser</b>: kept by your browser.</p></section></main>\n");
    if (pages_have_hls(p))
        buf_puts(out, "<script src=\"/-/hls.min.js\"></script>\n");
    buf_puts(out, "<script src=\"/-/player.js\"></script></body></html>\n");
}

void page_protect(struct reply *reply)
{
    reply_header(reply, "Content-Security-Policy",
                 "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
                 "worker-src blob:; frame-ancestors 'self'");
}

enum http_verdict page_answer(const struct pages *p, const struct route *r, struct http_exchange *x,
                              struct reply *reply)
{
    const char *type = "text/html; charset=utf-8";
    if (r->kind == ROUTE_PLAY) {
        print_player(p, r->asset, &reply->text);
    } else {
        int i = 0;
        while (i < FILE_COUNT && strcmp(r->rendition, files[i].name) != 0)
            i++;
        if (i == FILE_COUNT || p->content[i].len == 0) {
            reply_problem(reply, &x->request, -E_NOT_FOUND, NULL, NULL);
            return HTTP_REPLY;
        }
        type = files[i].type;
        buf_append(&reply->text, p->content[i].data, p->content[i].len);
    }
    reply->status = 200;
    reply->body = BODY_TEXT;
    reply->head = x->request.method == METHOD_HEAD;
    reply_header(reply, "Content-Type", "%s", type);
    reply_header(reply, "Cache-Control", "no-cache");
    reply_header(reply, "X-Content-Type-Options", "nosniff");
    page_protect(reply);
    return HTTP_REPLY;
}
