// SPDX-License-Identifier: BSD-2-Clause
//
// source - one version of one file at an origin, as random-access bytes, and
// the bounded block cache that all sources share.
//
// A block is fetched once for all who wait for it (single-flight), and they have its bytes while
// they come; neighbouring blocks that are missing are fetched by one ranged read.  When the
// origin says that the file changed, the source is dead: its reads fail with
// -E_CHANGED and the next source_open finds the new version.

#ifndef CACHE_SOURCE_H
#define CACHE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/origin.h"

struct conf;
struct source;
struct source_cache;

struct source_cache *source_cache_create(const struct conf *conf);
void source_cache_destroy(struct source_cache *c); // NULL is fine; all sources closed

// Opens path at its current version: the remembered one while that is younger
// than conf->origin_fresh at now_ms, else the origin is asked (by a first read,
// or a stat when blocks are here).  Blocks until the version is known: the bytes of that read may
// come later.  Errors as origin.read; -E_NOT_FOUND
// is remembered for conf->cache_negative.  The origin is borrowed.
int source_open(struct source_cache *c, struct origin *origin, const char *path, int64_t now_ms,
                const struct cancel *cancel, struct source **out);
struct source *source_ref(struct source *s);
void source_close(struct source **s);

const struct origin_version *source_version(const struct source *s);
const char *source_path(const struct source *s);

// Reads n bytes at offset into out and returns how many: fewer only at the end
// of the file.  Negative: as origin.read, also when some of them came.  Blocks.
int64_t source_read(struct source *s, int64_t offset, void *out, int64_t n,
                    const struct cancel *cancel);

// The same for who goes through the source once, as a scan does: what it brings is the first to
// leave the cache.
int64_t source_pass(struct source *s, int64_t offset, void *out, int64_t n,
                    const struct cancel *cancel);

// Reads them into the cache only, where they stay until others need the room.  0, or
// as source_read.  Blocks.
int source_bring(struct source *s, int64_t offset, int64_t n, const struct cancel *cancel);

// Whether these bytes are here, so that reading them now would not wait.  Never blocks.
bool source_has(struct source *s, int64_t offset, int64_t n);

// Says that [offset, offset + n) will be wanted soon: missing blocks in it are
// fetched together by the next read that meets one of them (in reads of at most
// conf->origin_read_max, next to a folder less); of a far origin the first of these
// begins now, unless others are under way.  Never blocks; a hint.
void source_want(struct source *s, int64_t offset, int64_t n);

#endif
