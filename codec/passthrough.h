// SPDX-License-Identifier: BSD-2-Clause
//
// passthrough - whether the source's own pictures can be a rendition as they are, and
// where its segments, and with them those of all others, are cut then.  Pure.
//
// They can when any player of H.264 shows them as they are (High profile or below, 4:2:0, 8
// bits, progressive, upright, square pixels, no HDR), when each is presented, and when
// there are closed IDR pictures often enough to cut at (codec/segment.h).

#ifndef CODEC_PASSTHROUGH_H
#define CODEC_PASSTHROUGH_H

#include "codec/plan.h"

struct conf;

// Cuts p's table, which is a regular one, by the source and appends the rendition `source`
// to p; or says in p->dropped why not.  Nothing without conf->media_passthrough.  m has video.
void passthrough_make(struct plan *p, const struct conf *conf, const struct media *m);

#endif
