// SPDX-License-Identifier: BSD-2-Clause
//
// origin - where sources live: a local folder or an HTTP(S) base URL.
//
// An origin answers ranged reads, each tied to a version of the source: what a
// read returns is from that version, or the read fails with -E_CHANGED.

#ifndef CACHE_ORIGIN_H
#define CACHE_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "cache/cancel.h"

struct buf;
struct conf;
struct conf_origin;
struct tasks;

#define ORIGIN_PATH_MAX 2048
#define ORIGIN_VALIDATOR_MAX 256
#define ORIGIN_BESIDE 32 // files beside a source that count
#define ORIGIN_SUFFIX 48 // bytes of what their names add to its, the end included

// What tells one content of a path from another: a strong ETag, else
// Last-Modified and length (a local file: mtime in ns, length and inode).
struct origin_version {
    int64_t size;                         // bytes of the whole source
    char validator[ORIGIN_VALIDATOR_MAX]; // canonical text; "" only before the first read
    bool weak;                            // no strong ETag: cannot be sent as If-Match/If-Range
};

bool origin_version_equal(const struct origin_version *a, const struct origin_version *b);

// One name of a listing.
struct origin_entry {
    char *path; // relative to the origin, '/' between folders
    int64_t size;
    int64_t mtime_ms;
};

// Who hears of a read while its bytes come.
struct origin_progress {
    // The first have bytes are in out, and they are of version got: that is known before the
    // first of them.  On any thread, which may not block long.
    void (*came)(struct origin_progress *p, const struct origin_version *got, int64_t have);
};

struct origin {
    // Threads for reads that others wait for, as each takes a while; NULL: a read is soon over,
    // and who wants its bytes reads himself.
    struct tasks *threads;
    // Reads up to n bytes at offset into out (cleared first).  A read past the
    // end is shorter, at or past it empty.  want: NULL for any version, else
    // the one it must be.  got: what it was.  progress: NULL, or it hears of the bytes, unless
    // all come at once; out has room for n then, and what came stays in its place also when
    // the read fails in the end.  Blocks; any thread.
    // -E_NOT_FOUND, -E_CHANGED, -E_ORIGIN, -E_ORIGIN_TIMEOUT, -E_CANCELLED,
    // -E_BAD_REQUEST (a path that cannot be one).
    int (*read)(struct origin *o, const char *path, const struct origin_version *want,
                int64_t offset, int64_t n, struct buf *out, struct origin_version *got,
                struct origin_progress *progress, const struct cancel *cancel);
    // Only the version.  Same errors.
    int (*stat)(struct origin *o, const char *path, struct origin_version *got,
                const struct cancel *cancel);
    // At most max assets in name order after the name `after` ("" for the start); NULL
    // where it cannot be listed (HTTP).  Entries are freed by origin_entries_free.
    int (*list)(struct origin *o, const char *after, int max, struct origin_entry **out,
                int *count);
    // What the names of files of subtitles beside path add to its own (".en.vtt", ".de.srt"),
    // sorted; how many.  NULL where it cannot be listed.  Blocks.
    int (*beside)(struct origin *o, const char *path, char out[ORIGIN_BESIDE][ORIGIN_SUFFIX]);
    void (*destroy)(struct origin *o);
};

// path is percent-decoded UTF-8, checked by the route: no empty, "." or ".."
// segments, no control bytes, no leading slash.  Origins check it again with this.
bool origin_path_ok(const char *path);

// NULL and one line in why when the folder cannot be opened.
struct origin *origin_file_create(const struct conf *conf, const char *folder, char *why,
                                  size_t cap);

// What requests are signed with.
struct origin_keys {
    const char *aws_sigv4; // "aws:amz:REGION:SERVICE"
    const char *key_id, *secret;
    const char *session_token; // "" for none
};

// What keys points at is borrowed until it is destroyed; NULL: requests are not signed.  Who signs
// follows no redirects, as a signature is for one host.
struct origin *origin_http_create(const struct conf *conf, const char *base,
                                  const struct origin_keys *keys, char *why, size_t cap);

void origin_entries_free(struct origin_entry *entries, int count);

#endif
