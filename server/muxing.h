// SPDX-License-Identifier: BSD-2-Clause
//
// muxing - a segment of MPEG-TS from the objects that its pictures and sounds are in.

#ifndef SERVER_MUXING_H
#define SERVER_MUXING_H

#include <stdint.h>

#include "base/wanted.h"
#include "codec/ts_plan.h"
#include "server/ingredients.h"

struct buf;

// Opens what segment r->n of t is muxed from, in r's asset: the init segments, the audio,
// and last the video, which may be muxed while it is made.
struct ingredients *muxing_open(struct edge *e, const struct route *r, const struct ts_rendition *t,
                                struct asker who);

// Appends what can be written of segment k of t when all ingredients but the last are
// whole.  0 or what ts_segment says.
int muxing_write(const struct ingredients *i, const struct ts_rendition *t, int k, struct buf *out);

#endif
