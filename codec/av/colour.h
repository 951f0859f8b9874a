// SPDX-License-Identifier: BSD-2-Clause
//
// colour - the colours of a source's pictures and their light, as its container and its first
// picture tell them.

#ifndef CODEC_AV_COLOUR_H
#define CODEC_AV_COLOUR_H

#include <libavformat/avformat.h>

#include "codec/media.h"

// Sets colour, peak_nits and mastering of m's video, which are fixed for all of its pictures
// so that segments are mapped alike.  What the first picture says goes before what st says.
void colour_read(struct media *m, const AVStream *st, const AVFrame *first);

#endif
