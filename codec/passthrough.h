// SPDX-License-Identifier: BSD-2-Clause
//
// passthrough - whether the source's own pictures can be a rendition as they are, and
// where its segments, and with them those of all others, are cut then.  Pure.
//
// They can when any player of their codec shows them as they are (H.264 of the High profile or
// below and 8 bits without HDR, HEVC Main or Main 10, AV1 Main; 4:2:0, progressive, upright,
// square pixels), when each is presented, and when there are sync samples often enough that
// nothing leans across, to cut at (codec/segment.h).

#ifndef CODEC_PASSTHROUGH_H
#define CODEC_PASSTHROUGH_H

#include "codec/plan.h"

struct conf;

// Cuts p's table, which is a regular one, by the source and appends the rendition `source`
// to p; or says in p->dropped why not.  Nothing without conf->media_passthrough.  m has video.
void passthrough_make(struct plan *p, const struct conf *conf, const struct media *m);

#endif
