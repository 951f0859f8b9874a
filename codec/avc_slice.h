// SPDX-License-Identifier: BSD-2-Clause
//
// avc_slice - where in a slice of H.264 its header ends.  Pure.
// Rules: Rec. ITU-T H.264 7.3.2.2 (PPS), 7.3.3 (slice header).  The bytes may be anything.

#ifndef CODEC_AVC_SLICE_H
#define CODEC_AVC_SLICE_H

#include "codec/avc.h"

struct avc_picture_set {
    uint32_t id, sps;
    bool cabac, order_in_frame, weighted, deblocking, redundant;
    uint32_t weighted_bi;
    uint32_t refs[2]; // pictures in a list by default
};

struct avc_slices {
    struct avc_format sps[AVC_SPS_MAX];
    struct avc_picture_set pps[AVC_PPS_MAX];
    int sps_count, pps_count;
};

// -E_CORRUPT; -E_UNSUPPORTED for slice groups, which only the Baseline profile has, and not
// where it is constrained, as all that we know of is.
int avc_slices_read(struct avc_slices *out, const struct avc_sets *sets);

// How many of the n bytes of a NAL unit, which is a slice, are its header: up to the first
// byte that has none of its bits.  Bytes against start codes count.  -E_CORRUPT.
int avc_slice_header(const struct avc_slices *s, const uint8_t *p, size_t n, size_t *bytes);

#endif
