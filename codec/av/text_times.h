// SPDX-License-Identifier: BSD-2-Clause
//
// text_times - when each subtitle is shown, in milliseconds from T0.

#ifndef CODEC_AV_TEXT_TIMES_H
#define CODEC_AV_TEXT_TIMES_H

#include "codec/av/index.h"
#include "codec/media.h"

// Makes *out of t, which has a text format; T0 stands in ticks, timescale of them a second.
// What is empty, over before T0, or at no sane time is left out.  0 with samples to be
// freed by the caller; -E_NOT_FOUND when nothing is left; -E_NO_MEMORY.
int text_times(struct text_track *out, const struct index_track *t, int64_t t0, int64_t timescale);

#endif
