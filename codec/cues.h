// SPDX-License-Identifier: BSD-2-Clause
//
// cues - subtitles of all kinds as WebVTT (https://www.w3.org/TR/webvtt1/).  Pure.
//
// What is read is hostile.  What is written is well-formed whatever was read: UTF-8, no
// empty line within a cue, no "-->" but in the line of its times, no markup but what the
// format has.  Bold, italic and underline are kept, and that a line stands at the top;
// fonts, colours, places and drawings are not.

#ifndef CODEC_CUES_H
#define CODEC_CUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/media.h"

#define CUES_SAMPLE_MAX (64 * 1024) // bytes of one sample

// A WebVTT file that is being written.
struct cues {
    struct buf out;
    int count;
    int left_out; // cues for which there was no room
    // private
    struct buf cue;       // the one that is being written
    unsigned style, open; // of what comes next, and of what stands there
    bool begun, broken;   // something stands in the cue; and a line has ended behind it
};

// Begins with the header, which says that times count from where the media does (RFC 8216,
// 3.5).  What has no room within max bytes is left out.
void cues_init(struct cues *c, size_t max);
void cues_finish(struct cues *c);

// Adds what one sample of a track says, shown from start to end in milliseconds, of which
// all before 0 is cut off.  A sample that makes no sense adds nothing.
void cues_add(struct cues *c, enum text_format format, const void *bytes, size_t n, int64_t start,
              int64_t end);

// Adds the cues of a file, SubRip or WebVTT (only these two formats), that are shown at some
// time in [from, to), which the file, like all its times, has later by shift.
void cues_add_file(struct cues *c, enum text_format format, const void *bytes, size_t n,
                   int64_t from, int64_t to, int64_t shift);

// Whether n bytes are what cues_init begins with, and then lines of text.
bool cues_check(const uint8_t *bytes, size_t n);

// ---- for cues_file.c

// One cue is begun, written and ended; one of which nothing can be seen is dropped.
void cues_begin(struct cues *c, int64_t start, int64_t end, const void *settings, size_t n);
void cues_put_subrip(struct cues *c, const void *text, size_t n);
void cues_put_webvtt(struct cues *c, const void *text, size_t n);
void cues_end(struct cues *c);

// " line:0" where SubRip or ASS wants the text at the top, else "".
const char *cues_place(const void *text, size_t n);

#endif
