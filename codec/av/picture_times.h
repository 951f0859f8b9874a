// SPDX-License-Identifier: BSD-2-Clause
//
// picture_times - when each picture is shown, where a container does not say: AVI and raw
// streams tell times of decoding at best, and others not of each picture.  The order comes
// from the pictures themselves.  Pure.

#ifndef CODEC_AV_PICTURE_TIMES_H
#define CODEC_AV_PICTURE_TIMES_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/media.h"

// What is known of a sample's picture beside what stands in the sample.
struct picture {
    int64_t dts;   // INDEX_NO_PTS: untold
    int32_t order; // among the pictures since the last one that restarts (picture order count)
    bool restarts; // order begins anew: an IDR picture
    bool b;        // is shown before the reference picture that was decoded before it
};

enum picture_order {
    ORDER_DECODED, // shown as decoded
    ORDER_COUNTED, // by picture order counts (H.264, HEVC)
    ORDER_TYPES,   // by their types (MPEG-1, -2, -4, VC-1)
};

// Sets the pts of all samples whose pts is INDEX_NO_PTS.  frame: ticks of a picture where nothing
// else tells.  Times that are known stay; others lie evenly between them in the order of
// showing; where no pts is known at all, the n-th picture shown has the n-th time of
// decoding.  So it has where what is told as pts can be nothing but times of decoding.
// 0 or -E_NO_MEMORY.
int picture_times(struct sample *samples, const struct picture *pictures, int count,
                  enum picture_order order, int64_t frame);

#endif
