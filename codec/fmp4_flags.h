// SPDX-License-Identifier: BSD-2-Clause
//
// fmp4_flags - the numbers and names that our writer and reader of fragmented MP4 share.

#ifndef CODEC_FMP4_FLAGS_H
#define CODEC_FMP4_FLAGS_H

#include "codec/fmp4.h"

#define TRACK_ID 1

// The boxes of a video coding: the sample entry, and the decoder configuration in it.
struct fmp4_boxes {
    const char *entry, *config;
};
extern const struct fmp4_boxes fmp4_boxes[FMP4_CODINGS];

#define TFHD_DEFAULT_DURATION 0x000008u
#define TFHD_DEFAULT_FLAGS 0x000020u
#define TFHD_BASE_IS_MOOF 0x020000u

#define TRUN_DATA_OFFSET 0x000001u
#define TRUN_FIRST_FLAGS 0x000004u
#define TRUN_DURATION 0x000100u
#define TRUN_SIZE 0x000200u
#define TRUN_FLAGS 0x000400u
#define TRUN_OFFSET 0x000800u

// sample_flags: depends_on 2 = on no other; depends_on 1 = on others, and no sync sample.
#define SAMPLE_SYNC 0x02000000u
#define SAMPLE_OTHER 0x01010000u
#define SAMPLE_NON_SYNC_BIT 0x00010000u

#endif
