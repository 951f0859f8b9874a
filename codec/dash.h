// SPDX-License-Identifier: BSD-2-Clause
//
// dash - prints the MPD of a plan: MPEG-DASH (ISO/IEC 23009-1) on the very segments that
// HLS names.  Pure.

#ifndef CODEC_DASH_H
#define CODEC_DASH_H

#include "base/buf.h"
#include "codec/encryption.h"
#include "codec/plan.h"

// manifest.mpd of /{asset}/: URLs are "{recipe}/{rendition}/init.mp4" and "{n}.m4s"
// beside it.  One Period, an AdaptationSet for video and one for audio, one each for trick play
// and the storyboard's sheets ("{n}.jpg"); times in the tracks' own timescales, so that each S
// is the tfdt and the duration of its segment.
// e: of video and audio (ISO/IEC 23009-1, 5.8.4.1; 23001-7, 11), NULL for none; license: where
// players of ClearKey ask for keys, NULL: it is not said.
// 0 or the buffer's error.
int dash_manifest(struct buf *out, const struct plan *p, const struct encryption *e,
                  const char *license);

#endif
