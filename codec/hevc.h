// SPDX-License-Identifier: BSD-2-Clause
//
// hevc - HEVC as MP4 holds it under hvc1: parameter sets in the decoder configuration
// alone, samples of NAL units with their length in front; and how it gets so from Annex B.
// Pure.
// Rules: Rec. ITU-T H.265 7.3, 7.4.2.2, ISO/IEC 14496-15 8.3 (hvcC), annex E (CODECS).  The
// bytes may be anything.

#ifndef CODEC_HEVC_H
#define CODEC_HEVC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/nal.h"
#include "codec/start.h"

#define HEVC_UNITS_MAX 8 // of one kind
#define HEVC_PTL_SIZE 12

enum hevc_set { HEVC_VPS, HEVC_SPS, HEVC_PPS, HEVC_SETS };

// Those of the base layer.
struct hevc_units {
    struct nal_unit v[HEVC_SETS][HEVC_UNITS_MAX];
    int count[HEVC_SETS]; // all >= 1
    int length_size;      // 1, 2 or 4: bytes of the length in front of a NAL unit
    bool coded;           // but in the samples start codes stand there
};

// What a sequence parameter set says of its pictures, as hvcC and CODECS repeat it.
struct hevc_format {
    uint8_t ptl[HEVC_PTL_SIZE];        // general profile, tier and level
    int layers;                        // temporal ones, 1 .. 7
    bool nested;                       // of these
    uint32_t chroma;                   // 1: 4:2:0
    uint32_t luma_depth, chroma_depth; // bits above 8
};

// Annex B extradata or hvcC.  The sets point into it.  -E_CORRUPT.
int hevc_read_units(struct hevc_units *out, const uint8_t *extradata, size_t n);

// -E_CORRUPT.
int hevc_read_format(struct hevc_format *out, const struct nal_unit *sps);

static inline int hevc_profile(const struct hevc_format *f)
{
    return f->ptl[0] & 0x1f;
}

// Whether it says that its pictures are fields.
static inline bool hevc_is_interlaced(const struct hevc_format *f)
{
    return (f->ptl[5] & 0xc0) == 0x40;
}

// "hvc1.1.6.L93.90".
void hevc_name(const struct hevc_format *f, char *out, size_t cap);

// Annex B extradata (VPS, SPS, PPS; other units are left out) or hvcC in, hvcC body out.
// -E_CORRUPT: a set is missing or makes no sense; or the buffer's error.
int hevc_config(struct buf *out, const uint8_t *extradata, size_t n);

// Appends the slices of a sample, each with its length, and of what its maker noted beside
// them (SEI) how bright its pictures are.  -E_CORRUPT: it holds anything but
// one picture under the sets given; or the buffer's error.
int hevc_copy_sample(struct buf *out, const struct hevc_units *sets, const uint8_t *p, size_t n,
                     enum start *start);

// What begins a sample of which only the first n of size bytes are known.
enum sight hevc_look(const struct hevc_units *sets, const uint8_t *p, size_t n, size_t size);

#endif
