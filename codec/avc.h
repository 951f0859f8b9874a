// SPDX-License-Identifier: BSD-2-Clause
//
// avc - H.264 as MP4 and Matroska hold it: parameter sets in the decoder
// configuration, samples of NAL units with their length in front; and how it gets so from
// Annex B.  Pure.
// Rules: Rec. ITU-T H.264 7.3, ISO/IEC 14496-15 5.3 (avcC).  The bytes may be anything.

#ifndef CODEC_AVC_H
#define CODEC_AVC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/nal.h"
#include "codec/start.h"

#define AVC_SPS_MAX 31
#define AVC_PPS_MAX 255

struct avc_sets {
    struct nal_unit sps[AVC_SPS_MAX], pps[AVC_PPS_MAX];
    int sps_count, pps_count; // both >= 1
    int length_size;          // 1, 2 or 4: bytes of the length in front of a NAL unit
    bool coded;               // but in the samples start codes stand there
};

// What a sequence parameter set says of its pictures.
struct avc_format {
    int profile, compatibility, level; // the bytes that CODECS repeats (RFC 6381)
    int chroma;                        // 1: 4:2:0
    int luma_depth, chroma_depth;      // bits
    bool frames_only;                  // no picture is a field, or holds some
    // What slice headers depend on (7.4.2.1.1).
    uint32_t id;
    bool separate_planes;
    int frame_num_bits;
    uint32_t order_type; // pic_order_cnt_type
    int order_bits;      // of type 0
    bool order_fixed;    // of type 1: delta_pic_order_always_zero_flag
};

// Annex B extradata or avcC.  The sets point into it.  -E_CORRUPT.
int avc_read_sets(struct avc_sets *out, const uint8_t *extradata, size_t n);

// -E_CORRUPT.
int avc_read_format(struct avc_format *out, const struct nal_unit *sps);

// Annex B extradata or avcC in, avcC body out.  -E_CORRUPT.
int avc_config(struct buf *out, const uint8_t *extradata, size_t n);

// How many pictures begin in a packet: two where it holds both fields of one.  extradata: of its
// track, n may be 0.
int avc_pictures(const uint8_t *extradata, size_t n, const uint8_t *p, size_t size);

// Appends the slices of a sample, each with its length, and nothing else: neither parameter
// sets nor what its maker noted beside the pictures (SEI).  *idr: they are of an IDR picture.
// -E_CORRUPT: it holds anything but one picture under the sets given, its slices from the top
// to the bottom, each once; or the buffer's error.
int avc_copy_sample(struct buf *out, const struct avc_sets *sets, const uint8_t *p, size_t n,
                    bool *idr);

// What begins a sample of which only the first n of size bytes are known.
enum sight avc_look(const struct avc_sets *sets, const uint8_t *p, size_t n, size_t size);

#endif
