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

// ---- HEVC

static const struct {
    int idc;
    int64_t picture;      // MaxLumaPs
    int64_t per_second;   // MaxLumaSr
    int64_t rate, buffer; // MaxBR, MaxCPB in units of 1000 bits
} hevc_levels[] = {
    { 30, 36864, 552960, 128, 350 },
    { 60, 122880, 3686400, 1500, 1500 },
    { 63, 245760, 7372800, 3000, 3000 },
    { 90, 552960, 16588800, 6000, 6000 },
    { 93, 983040, 33177600, 10000, 10000 },
    { 120, 2228224, 66846720, 12000, 12000 },
    { 123, 2228224, 133693440, 20000, 20000 },
    { 150, 8912896, 267386880, 25000, 25000 },
    { 153, 8912896, 534773760, 40000, 40000 },
    { 156, 8912896, 1069547520, 60000, 60000 },
    { 180, 35651584, 1069547520, 60000, 60000 },
    { 183, 35651584, 2139095040, 120000, 120000 },
    { 186, 35651584, 4278190080, 240000, 240000 },
};

int level_hevc(int width, int height, struct rational fps, int64_t maxrate, int64_t bufsize)
{
    const int64_t w = (width + 7) / 8 * 8, h = (height + 7) / 8 * 8;
    size_t i = 0;
    for (; i < countof(hevc_levels) - 1; i++) {
        const int64_t most = hevc_levels[i].picture;
        if (w * h <= most && w * w <= 8 * most && h * h <= 8 * most &&
            muldiv_ceil(w * h, fps.num, fps.den) <= hevc_levels[i].per_second &&
            maxrate <= 1000 * hevc_levels[i].rate && bufsize <= 1000 * hevc_levels[i].buffer)
            break;
    }
    return hevc_levels[i].idc;
}

// ---- AV1

static const struct {
    int idx;
    int64_t picture;    // MaxPicSize
    int64_t wide, high; // MaxHSize, MaxVSize
    int64_t per_second; // MaxDisplayRate
    int64_t rate;       // MainMbps in units of 100000 bits
} av1_levels[] = {
    { 0, 147456, 2048, 1152, 4423680, 15 },
    { 1, 278784, 2816, 1584, 8363520, 30 },
    { 4, 665856, 4352, 2448, 19975680, 60 },
    { 5, 1065024, 5504, 3096, 31950720, 100 },
    { 8, 2359296, 6144, 3456, 70778880, 120 },
    { 9, 2359296, 6144, 3456, 141557760, 200 },
    { 12, 8912896, 8192, 4352, 267386880, 300 },
    { 13, 8912896, 8192, 4352, 534773760, 400 },
    { 14, 8912896, 8192, 4352, 1069547520, 600 },
    { 16, 35651584, 16384, 8704, 1069547520, 600 },
    { 17, 35651584, 16384, 8704, 2139095040, 1000 },
    { 19, 35651584, 16384, 8704, 4278190080, 1600 },
};

int level_av1(int width, int height, struct rational fps, int64_t maxrate)
{
    const int64_t w = width, h = height;
    size_t i = 0;
    for (; i < countof(av1_levels) - 1; i++)
        if (w * h <= av1_levels[i].picture && w <= av1_levels[i].wide && h <= av1_levels[i].high &&
            muldiv_ceil(w * h, fps.num, fps.den) <= av1_levels[i].per_second &&
            maxrate <= 100000 * av1_levels[i].rate)
            break;
    return av1_levels[i].idx;
}
