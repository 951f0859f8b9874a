// SPDX-License-Identifier: BSD-2-Clause

#include "codec/level.h"

#include <stdbool.h>

#include "base/base.h"

#define REFERENCES 4 // what B pyramids take

static const struct level {
    int idc;
    int64_t blocks_per_second; // MaxMBPS
    int64_t blocks;            // MaxFS
    int64_t buffered;          // MaxDpbMbs
    int64_t rate, buffer;      // MaxBR, MaxCPB in units of 1000 bits
} levels[] = {
    { 10, 1485, 99, 396, 64, 175 },
    { 11, 3000, 396, 900, 192, 500 },
    { 12, 6000, 396, 2376, 384, 1000 },
    { 13, 11880, 396, 2376, 768, 2000 },
    { 20, 11880, 396, 2376, 2000, 2000 },
    { 21, 19800, 792, 4752, 4000, 4000 },
    { 22, 20250, 1620, 8100, 4000, 4000 },
    { 30, 40500, 1620, 8100, 10000, 10000 },
    { 31, 108000, 3600, 18000, 14000, 14000 },
    { 32, 216000, 5120, 20480, 20000, 20000 },
    { 40, 245760, 8192, 32768, 20000, 25000 },
    { 41, 245760, 8192, 32768, 50000, 62500 },
    { 42, 522240, 8704, 34816, 50000, 62500 },
    { 50, 589824, 22080, 110400, 135000, 135000 },
    { 51, 983040, 36864, 184320, 240000, 240000 },
    { 52, 2073600, 36864, 184320, 240000, 240000 },
    { 60, 4177920, 139264, 696320, 240000, 240000 },
    { 61, 8355840, 139264, 696320, 480000, 480000 },
    { 62, 16711680, 139264, 696320, 800000, 800000 },
};

static bool fits(const struct level *l, int64_t w, int64_t h, struct rational fps, int64_t maxrate,
                 int64_t bufsize)
{
    const int64_t blocks = w * h;
    // A side is at most sqrt(8 x MaxFS); High may have 1.25 times the rates.
    return blocks <= l->blocks && w * w <= 8 * l->blocks && h * h <= 8 * l->blocks &&
           REFERENCES * blocks <= l->buffered &&
           muldiv_ceil(blocks, fps.num, fps.den) <= l->blocks_per_second &&
           maxrate <= 1250 * l->rate && bufsize <= 1250 * l->buffer;
}

int level_h264(int width, int height, struct rational fps, int64_t maxrate, int64_t bufsize)
{
    const int64_t w = (width + 15) / 16, h = (height + 15) / 16;
    size_t i = 0;
    while (i < countof(levels) - 1 && !fits(&levels[i], w, h, fps, maxrate, bufsize))
        i++;
    return levels[i].idc;
}
