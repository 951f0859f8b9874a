// SPDX-License-Identifier: BSD-2-Clause

#include "codec/av/dif.h"

#include "base/base.h"
#include "codec/carriage.h"

#define AAUX_AT                                                                                    \
    (DIF_SOUND_AT + 3 * DIF_SOUND_STEP + 3) // of the fourth block of sound, behind its ID
#define AAUX_SOURCE 0x50
#define FREQUENCIES 3

bool dif_read(const uint8_t *frame, size_t n, struct dif_sound *out)
{
    static const int rates[FREQUENCIES] = { 48000, 44100, 32000 };
    static const int least[2][FREQUENCIES] = { { 1580, 1452, 1053 }, { 1896, 1742, 1264 } };
    const bool pal = n == DIF_FRAME_MAX;
    if (!pal && n != DIF_FRAME_MAX / 12 * 10)
        return false;
    const uint8_t *const pack = frame + AAUX_AT;
    const int frequency = pack[4] >> 3 & 7, quantization = pack[4] & 7;
    if (pack[0] != AAUX_SOURCE || frequency >= FREQUENCIES || quantization > 1)
        return false;
    *out = (struct dif_sound){ .rate = rates[frequency],
                               .bits = quantization ? 12 : 16,
                               .bytes = (pal ? 12 : 10) * DIF_SOUND_BLOCKS * DIF_BLOCK,
                               .samples = least[pal][frequency] + (pack[1] & 0x3f) };
    return true;
}
