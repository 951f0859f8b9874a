// SPDX-License-Identifier: BSD-2-Clause
//
// vc1 - what kind of picture a sample of VC-1 or WMV 3 is, by the first bits of it (SMPTE 421M:
// 6.1, 7.1.1 and Annex J).  libavformat looks only at what stands behind start codes, which
// ASF and MP4 leave out, and not at WMV 3.  Pure.

#ifndef CODEC_AV_VC1_H
#define CODEC_AV_VC1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/media.h"

// What the headers of a track say about those of its pictures.
struct vc1 {
    bool known; // nothing is, unless it is set
    bool advanced;
    bool interlaced;           // advanced: pictures may be fields
    bool interpolated, ranged; // others: bits that come first
    bool has_b;
};

enum vc1_type {
    VC1_P,
    VC1_I, // in a pair of fields the first
    VC1_B, // nothing leans on it
};

// From the n bytes of headers of a track of this kind.
struct vc1 vc1_headers(enum codec_id codec, const uint8_t *headers, size_t n);

#define VC1_HEAD 96 // bytes of a sample that tell its type, about

// The type of a sample, of which the first n bytes are known.
enum vc1_type vc1_look(const struct vc1 *v, const uint8_t *p, size_t n);

#endif
