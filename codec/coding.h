// SPDX-License-Identifier: BSD-2-Clause
//
// coding - the codings in which a source's own video can be a rendition, as one: what its
// headers say, and what becomes of its samples.  Pure; the bytes may be anything.

#ifndef CODEC_CODING_H
#define CODEC_CODING_H

#include "codec/av1_copy.h"
#include "codec/avc.h"
#include "codec/hevc.h"
#include "codec/job.h"

// The headers of a track, into which they point.
struct coding {
    enum video_codec codec;
    union {
        struct avc_sets avc;
        struct hevc_units hevc;
        struct av1_header av1;
    };
};

// True when there are headers, of H.264, HEVC or AV1.
bool coding_read(struct coding *out, const struct video_track *v);

// Whether new headers in the midst of the samples are against the rules of the container: there
// they would stand in a sample description of their own.
bool coding_is_kept(const struct media *m);

// Why not every player of that coding shows such pictures; NULL: they do.
const char *coding_obstacle(const struct coding *c);

// As CODECS has it (RFC 6381).  The headers are those that coding_obstacle takes.
void coding_name(const struct coding *c, char *out, size_t cap);

// The body of avcC, hvcC or av1C.  0, -E_CORRUPT or the buffer's error.
int coding_config(struct buf *out, const struct video_track *v);

// Most bytes that the pictures of a sample of n have in the copy.
size_t coding_room(const struct coding *c, size_t n);

// Appends the pictures of a sample, and nothing that their maker noted beside them but how
// bright they are.  Never more than coding_room.  -E_CORRUPT: it holds anything but one picture
// under these headers, or in more pieces than it should take; or the buffer's error.
int coding_copy_sample(struct buf *out, const struct coding *c, const uint8_t *p, size_t n,
                       enum start *start);

// What begins a sample of which only the first n of size bytes are known.
enum sight coding_look(const struct coding *c, const uint8_t *p, size_t n, size_t size);

#endif
