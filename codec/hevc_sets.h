// SPDX-License-Identifier: BSD-2-Clause
//
// hevc_sets - what slice headers of HEVC depend on, of the parameter sets in a decoder
// configuration.  Pure.
// Rules: Rec. ITU-T H.265 7.3.2.2 (SPS), 7.3.2.3 (PPS), 7.3.7 (sets of reference pictures),
// 7.4.8; ISO/IEC 14496-15 8.3 (hvcC).  The bytes may be anything.

#ifndef CODEC_HEVC_SETS_H
#define CODEC_HEVC_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/bits.h"

#define HEVC_SETS_MAX 8  // of one type; we have few
#define HEVC_REFS_MAX 16 // pictures that one set names
#define HEVC_SHORT_MAX 65
#define HEVC_LONG_MAX 32

// Reference pictures by their distance in presentation: those before come first.
struct hevc_refs {
    int before, count; // of all
    int32_t delta[HEVC_REFS_MAX];
    bool used[HEVC_REFS_MAX]; // by this picture, not only by later ones
};

struct hevc_sps {
    uint32_t id, chroma; // 0: none, as where planes are coded apart
    bool separate_planes, sao, long_term, temporal_vectors;
    int order_bits, address_bits;
    struct hevc_refs refs[HEVC_SHORT_MAX]; // the last one is for what a slice brings along
    int refs_count;
    bool long_used[HEVC_LONG_MAX];
    int long_count;
};

struct hevc_pps {
    uint32_t id, sps;
    bool dependent, output, cabac_init, weighted, weighted_bi, tiles, rows, chroma_offsets;
    bool filter_across, filter_override, filter_off, reorders, extended;
    int extra_bits;
    uint32_t refs[2]; // pictures in a list by default
};

struct hevc_sets {
    struct hevc_sps sps[HEVC_SETS_MAX];
    struct hevc_pps pps[HEVC_SETS_MAX];
    int sps_count, pps_count;
    int length_size; // 1, 2 or 4: bytes of the length in front of a NAL unit
};

// hvcC in.  -E_CORRUPT; -E_UNSUPPORTED for more sets, or a profile beyond Main 10, whose
// headers have more.
int hevc_sets_read(struct hevc_sets *out, const uint8_t *config, size_t n);

// Reads set i, of those of s, of reference pictures; of a slice when i is s->refs_count.  False:
// it makes no sense.
bool hevc_refs_read(struct bits *b, struct hevc_sps *s, int i);

// How many bits tell n things apart.
int hevc_bits_for(uint32_t n);

#endif
