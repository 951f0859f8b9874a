// SPDX-License-Identifier: BSD-2-Clause
//
// texts - the renditions of subtitles: WebVTT on the segment table of the pictures.
//
// Longer segments would be fewer, and lawful (RFC 8216, 6.2.4).  But the texts of a film
// lie between its pictures: to make an hour of subtitles is to read an hour of film.
//
// A segment holds each subtitle that is shown some time in it, whole and with its own times
// (RFC 8216, 3.5); who has got one already, drops it.

#ifndef CODEC_TEXTS_H
#define CODEC_TEXTS_H

#include "codec/plan.h"

#define TEXTS_LABEL (LANGUAGE_NAME + MEDIA_TITLE + 16)

// Appends the renditions of the index's subtitles to p: name, t, track and tags.
void texts_add(struct plan *p, const struct media *m);

// Gives r, which is not in p yet, its name and codecs: for its language the first, or the second.
void texts_name(const struct plan *p, struct rendition *r);

// The order for segment k of r: what of a track is shown in it; of a file, all but what it is
// read from.  -E_LIMITS.
int texts_fill(struct job *job, const struct plan *p, const struct rendition *r,
               const struct media *m, int k);

#endif
