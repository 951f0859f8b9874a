// SPDX-License-Identifier: BSD-2-Clause
//
// Names of files are whatever somebody liked to write: nothing of a page may depend
// on their being harmless.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/err.h"
#include "cache/origin.h"
#include "server/edge.h"
#include "server/page.h"

// ---- folders of empty files

static char root[] = "/tmp/t_page.XXXXXX";

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/t_page.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char *const path = xasprintf("%s/%s/%s", root, folder, name);
    FILE *const f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static void make_folder(const char *name)
{
    char *const path = xasprintf("%s/%s", root, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

// ---- a listing over them

struct site {
    struct conf conf;
    struct edge edge;
};

static void open_site(struct site *s, const char *const folders[], const char *const prefixes[])
{
    char why[200];
    *s = (struct site){ .edge.conf = &s->conf };
    for (int i = 0; folders[i]; i++) {
        s->conf.origins[i].prefix = (char *)(uintptr_t)prefixes[i];
        s->conf.origin_count++;
        char *const path = xasprintf("%s/%s", root, folders[i]);
        s->edge.origins[i] = origin_file_create(&s->conf, path, why, sizeof why);
        assert_non_null(s->edge.origins[i]);
        free(path);
    }
}

static void close_site(struct site *s)
{
    for (int i = 0; i < s->conf.origin_count; i++)
        s->edge.origins[i]->destroy(s->edge.origins[i]);
}

static char *listed(struct site *s, const char *after)
{
    struct buf b;
    size_t n;
    buf_init(&b, 1 << 20);
    assert_int_equal(page_list(&s->edge, after, &b), 0);
    buf_append(&b, "", 1);
    return (char *)buf_steal(&b, &n);
}

// The asset behind the next link to a player at *at, which moves behind it; false
// when there is none.  A link is harmless: a path of ours, with nothing but what needs
// no escaping in HTML either.
static bool next_asset(const char **at, struct route *r)
{
    const char *const begin = strstr(*at, "<li><a href=\"");
    if (!begin)
        return false;
    char path[8192];
    const char *const link = begin + 13;
    const size_t n = strspn(link, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "/._~%-");
    assert_true(link[0] == '/' && link[1] != '/' && link[n] == '"' && n < sizeof path);
    memcpy(path, link, n);
    path[n] = '\0';
    assert_int_equal(route_parse(r, path), 0);
    assert_int_equal(r->kind, ROUTE_PLAY);
    *at = link + n;
    return true;
}

// The "after" of the next page, as a browser would send it; false when there is none.
static bool next_page(const char *text, char *after)
{
    const char *const link = strstr(text, "href=\"/?after=");
    if (!link)
        return false;
    char query[8192];
    const char *const begin = link + 8;
    const size_t n = strcspn(begin, "\"");
    assert_true(n < sizeof query);
    memcpy(query, begin, n);
    query[n] = '\0';
    page_after(query, after, PAGE_AFTER_MAX);
    return true;
}

static void hostile_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "\"onmouseover=alert(1) x=\".mp4",
        "#?&%2f%00;=+.mp4",
        "&lt;b&gt;.mp4",
        "'><svg onload=alert(1)>.mp4",
        "<script>alert(1)<\xe2\x80\xa8.mp4",
        "javascript:alert(1).mp4",
        "\xd0\xb6\xe2\x82\xac\xf0\x9f\x98\x80.mp4",
    };
    make_folder("a");
    for (size_t i = 0; i < countof(names); i++)
        write_file("a", names[i], "");
    struct site s;
    open_site(&s, (const char *const[]){ "a", NULL }, (const char *const[]){ "/" });
    char *const text = listed(&s, "");
    const char *at = text;
    struct route r;
    for (size_t i = 0; i < countof(names); i++) {
        assert_true(next_asset(&at, &r));
        assert_string_equal(r.asset, names[i]);
    }
    assert_false(next_asset(&at, &r));
    assert_null(strstr(text, "<script>alert"));
    assert_null(strstr(text, "<svg"));
    assert_null(strstr(text, "\"onmouse"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(1)&lt;"));
    assert_non_null(strstr(text, "&amp;lt;b&amp;gt;.mp4"));
    assert_non_null(strstr(text, "&quot;onmouseover=alert(1) x=&quot;.mp4"));
    assert_non_null(strstr(text, "&#39;&gt;&lt;svg onload"));
    free(text);
    close_site(&s);
}

// Follows the links from page to page: every asset once, in order; returns how many
// pages there were.
static int walk(struct site *s, int assets)
{
    char after[PAGE_AFTER_MAX] = "", last[ROUTE_ASSET_MAX] = "";
    struct route r;
    int pages = 0, seen = 0;
    for (bool more = true; more; pages++) {
        char *const text = listed(s, after);
        int here = 0;
        for (const char *at = text; next_asset(&at, &r); here++) {
            const bool other = strncmp(r.asset, "b/", 2) == 0 && strncmp(last, "b/", 2) != 0;
            assert_true(other || strcmp(r.asset, last) > 0);
            strcpy(last, r.asset);
        }
        seen += here;
        more = next_page(text, after);
        free(text);
        assert_true(here > 0 || assets == 0);
    }
    assert_int_equal(seen, assets);
    return pages;
}

static void fill(const char *folder, const char *format, int n)
{
    make_folder(folder);
    for (int i = 0; i < n; i++) {
        char name[300];
        snprintf(name, sizeof name, "%03d%s.mp4", i, format);
        write_file(folder, name, "");
    }
}

static void paging(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int assets, pages;
    } cases[] = {
        { "none", "none2", 0, 1 },    { "one", "none", 1, 1 },      { "hundred", "none", 100, 1 },
        { "more", "none", 101, 2 },   { "hundred", "one", 101, 2 }, { "none", "more", 101, 2 },
        { "one", "hundred", 101, 2 }, { "many", "more", 351, 4 },
    };
    fill("none", "", 0);
    fill("none2", "", 0);
    fill("one", "", 1);
    fill("hundred", "", 100);
    fill("more", " & \"more\"", 101);
    fill("many", "", 250);
    for (size_t i = 0; i < countof(cases); i++) {
        struct site s;
        open_site(&s, (const char *const[]){ cases[i].a, cases[i].b, NULL },
                  (const char *const[]){ "/", "/b/" });
        assert_int_equal(walk(&s, cases[i].assets), cases[i].pages);
        close_site(&s);
    }
}

// A page may end with a name of any length.
static void paging_over_long_names(void **state)
{
    (void)state;
    char path[1500] = "long", name[201];
    make_folder("long");
    memset(name, 'x', 200);
    name[200] = '\0';
    for (int i = 0; i < 6; i++) {
        strcat(path, "/");
        strcat(path, name);
        make_folder(path);
    }
    for (int i = 0; i < 150; i++) {
        char leaf[300];
        snprintf(leaf, sizeof leaf, "%.240s%03d.mp4", name, i);
        write_file(path, leaf, "");
    }
    struct site s;
    open_site(&s, (const char *const[]){ "long", NULL }, (const char *const[]){ "/" });
    assert_int_equal(walk(&s, 150), 2);
    close_site(&s);
}

static void what_after_means(void **state)
{
    (void)state;
    static const struct {
        const char *query, *after;
    } cases[] = {
        { "", "" },
        { "token=1", "" },
        { "after=", "" },
        { "after=0:a.mp4", "0:a.mp4" },
        { "after=0%3Aa%2fb%20%C3%a4.mp4&x=1", "0:a/b \xc3\xa4.mp4" },
        { "after=%26%3D%25", "&=%" },
        { "after=%", "%" },
        { "after=%4", "%4" },
        { "after=%zz%+1%-1% 1%0x", "%zz%+1%-1% 1%0x" },
        { "after=a%00b", "a" },
    };
    char after[PAGE_AFTER_MAX], small[5];
    for (size_t i = 0; i < countof(cases); i++) {
        page_after(cases[i].query, after, sizeof after);
        assert_string_equal(after, cases[i].after);
    }
    page_after("after=0%3Aabcdef", small, sizeof small);
    assert_string_equal(small, "0:ab");
}

// What nobody's page said.
static void any_after(void **state)
{
    (void)state;
    static const char *const afters[] = { "9:x", "-1:x",       "99999999999999999999:x",
                                          "x",   ":",          "0:../",
                                          "1",   "0:\xff\xfe", "31:" };
    fill("one", "", 1);
    struct site s;
    open_site(&s, (const char *const[]){ "one", NULL }, (const char *const[]){ "/" });
    for (size_t i = 0; i < countof(afters); i++)
        free(listed(&s, afters[i]));
    close_site(&s);
}

// ---- the player, and what it needs

static const char *header(const struct reply *r, const char *name)
{
    for (int i = 0; i < r->header_count; i++)
        if (strcmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return "";
}

static struct pages *load(void)
{
    char why[200];
    make_folder("web");
    write_file("web", "style.css", "body {}");
    write_file("web", "player.js", "'use strict';");
    char *const web = xasprintf("%s/web", root);
    setenv("TIDEMILL_WEB", web, 1);
    free(web);
    struct pages *const p = pages_load(why, sizeof why);
    assert_non_null(p);
    return p;
}

static void answer(const struct pages *p, struct reply *reply, enum method method,
                   enum route_kind kind, const char *asset, const char *file)
{
    struct http_exchange x = { .path = "/", .query = "", .request.method = method };
    struct route r = { .kind = kind };
    copy_string(r.asset, sizeof r.asset, asset);
    copy_string(r.rendition, sizeof r.rendition, file);
    reply_init(reply);
    assert_int_equal(page_answer(p, &r, &x, reply), HTTP_REPLY);
    buf_append(&reply->text, "", 1);
}

static void player(void **state)
{
    (void)state;
    struct pages *p = load();
    struct reply r;
    answer(p, &r, METHOD_GET, ROUTE_PLAY, "</title></h1><script>alert(1)</script>\"'&.mp4", "");
    const char *const text = (const char *)r.text.data;
    assert_int_equal(r.status, 200);
    assert_string_equal(header(&r, "Content-Type"), "text/html; charset=utf-8");
    assert_non_null(strstr(header(&r, "Content-Security-Policy"), "default-src 'self'"));
    assert_null(strstr(header(&r, "Content-Security-Policy"), "unsafe"));
    assert_null(strstr(text, "<script>"));
    assert_non_null(strstr(text, "&lt;/title&gt;&lt;/h1&gt;&lt;script&gt;"));
    assert_non_null(strstr(text, "src=\"/-/player.js\""));
    assert_null(strstr(text, "hls.min.js")); // it is not installed
    reply_finish(&r);
    answer(p, &r, METHOD_HEAD, ROUTE_PLAY, "a.mp4", "");
    assert_true(r.head);
    reply_finish(&r);
    pages_destroy(p);
    pages_destroy(NULL);
}

static void files(void **state)
{
    (void)state;
    struct pages *p = load();
    static const struct {
        const char *file, *type;
        int status;
    } cases[] = {
        { "style.css", "text/css; charset=utf-8", 200 },
        { "player.js", "text/javascript; charset=utf-8", 200 },
        { "hls.min.js", "application/problem+json", 404 },
        { "../page.c", "application/problem+json", 404 },
        { "", "application/problem+json", 404 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct reply r;
        answer(p, &r, METHOD_GET, ROUTE_STATIC, "", cases[i].file);
        assert_int_equal(r.status, cases[i].status);
        assert_string_equal(header(&r, "Content-Type"), cases[i].type);
        assert_string_equal(header(&r, "X-Content-Type-Options"), "nosniff");
        reply_finish(&r);
    }
    pages_destroy(p);

    // With hls.js where npm puts it.
    make_folder("web/node_modules");
    make_folder("web/node_modules/hls.js");
    make_folder("web/node_modules/hls.js/dist");
    write_file("web/node_modules/hls.js/dist", "hls.min.js", "Hls");
    char why[200] = "";
    p = pages_load(why, sizeof why);
    assert_true(p && pages_have_hls(p));
    struct reply r;
    answer(p, &r, METHOD_GET, ROUTE_PLAY, "a.mp4", "");
    assert_non_null(strstr((char *)r.text.data, "src=\"/-/hls.min.js\""));
    reply_finish(&r);
    pages_destroy(p);

    // Ours must be there, and not empty.
    write_file("web", "player.js", "");
    assert_null(pages_load(why, sizeof why));
    assert_non_null(strstr(why, "player.js"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(hostile_names), T(paging), T(paging_over_long_names), T(what_after_means), T(any_after),
        T(player),        T(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
