// SPDX-License-Identifier: BSD-2-Clause
//
// stills - single pictures at regular steps of an asset, all with the same rule: a picture is
// the one on screen at its time.  Pure.
//
// - trick: one every second, or the whole number of grid frames next to that; a rest under
//   half a step has none of its own.
// - storyboard: the same at 1, 2, 5, 10, 20, 30, 60 ... s, the shortest that makes no more
//   than 720 pictures of the asset; small ones, on sheets of up to 4 x 4 that are filled row
//   by row; of fewer where each takes much decoding, for a sheet is one job.
// - poster: one for each whole second, the frame that is on screen then; large.

#ifndef CODEC_STILLS_H
#define CODEC_STILLS_H

#include "codec/plan.h"

// Append the renditions of a kind to p, whose table is made: their settings, not their
// promises.  m has video.
void stills_add_trick(struct plan *p, const struct conf *conf, const struct media *m);
void stills_add_storyboard(struct plan *p, const struct media *m);
void stills_add_poster(struct plan *p, const struct media *m);

// How many pictures r has, at least 1.
int stills_count(const struct segtab *t, const struct rendition *r);

// Of a poster: the picture for this second, for any (< 0) one that is not too early, for what
// is too late the last.
int stills_poster(const struct segtab *t, const struct rendition *r, int second);

// The grid frame that picture k of r shows; k = count: where the last one ends.
int64_t stills_frame(const struct segtab *t, const struct rendition *r, int k);

// The pictures [first, first + n) that sheet k of r, a rendition of sheets, holds.
void stills_on_sheet(const struct segtab *t, const struct rendition *r, int k, int *first, int *n);

// Bytes of sheet k, at most.
int64_t stills_sheet_bytes(const struct segtab *t, const struct rendition *r, int k);

// storyboard.vtt of /{asset}/ (WebVTT): for each picture of r when it is on screen, and where
// it lies: "{recipe}/{rendition}/{n}.jpg#xywh=x,y,width,height" (W3C Media Fragments 4.2.2).
// 0 or the buffer's error.
int stills_webvtt(struct buf *out, const struct plan *p, const struct rendition *r);

#endif
