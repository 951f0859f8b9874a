// SPDX-License-Identifier: BSD-2-Clause
//
// sidecars - files of subtitles beside a source at its origin: "cat.mp4.en.vtt" or
// "cat.mp4.pt-BR.srt" beside "cat.mp4".
//
// A folder is looked through.  An HTTP origin cannot be, so it is asked for the languages
// that its configuration names, and for none by default: each would be two requests.

#ifndef SERVER_SIDECARS_H
#define SERVER_SIDECARS_H

#include "codec/plan.h"

struct cancel;
struct edge;
struct source;

// Adds to p a rendition for each file beside path at that origin, two formats of one
// language counting once, WebVTT first.  What cannot be had is left out, and logged unless
// it is just not there.  asset and version as for plan_make.  Blocks on the origin.
void sidecars_add(struct edge *e, int origin, const char *path, const struct cancel *cancel,
                  const char *asset, const char *version, struct plan *p);

// Opens the file behind r at the version that r is of.  0; -E_NOT_FOUND when that is no
// more; or as source_open.  Blocks.
int sidecars_open(struct edge *e, int origin, const char *path, const struct cancel *cancel,
                  const struct rendition *r, struct source **out);

#endif
