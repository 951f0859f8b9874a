// SPDX-License-Identifier: BSD-2-Clause
//
// page - the list of assets, the player page, and the scripts and styles they
// use, which are read from the web folder once at start.

#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include "cache/origin.h"
#include "server/http.h"
#include "server/route.h"

#define PAGE_AFTER_MAX (ORIGIN_PATH_MAX + 16)

struct edge;
struct pages;

// Reads the files from TIDEMILL_WEB, or from ../web or ../share/tidemill/web
// beside the program.  NULL and one line in why when our own files are not
// there; hls.js may be missing: then pages use what the browser can do itself.
struct pages *pages_load(char *why, size_t cap);
void pages_destroy(struct pages *p); // NULL is fine
bool pages_have_hls(const struct pages *p);

// The "after" of a listing's query, decoded, at most PAGE_AFTER_MAX; "" if there is none.
void page_after(const char *query, char *out, size_t cap);

// Appends the listing of all local origins.  Blocks on the folder.  0 or negative enum err.
int page_list(struct edge *e, const char *after, struct buf *out);

// What keeps a page from running scripts that are not ours, whatever a name holds.
void page_protect(struct reply *reply);

// Answers ROUTE_STATIC and ROUTE_PLAY.
enum http_verdict page_answer(const struct pages *p, const struct route *r, struct http_exchange *x,
                              struct reply *reply);

#endif
