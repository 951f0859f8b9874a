// SPDX-License-Identifier: BSD-2-Clause

#include "codec/opus.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

#define HEAD_SIZE 19

// The one has its numbers in little endian, the other in big.
int opus_config(struct buf *out, const uint8_t *extradata, size_t n)
{
    if (n != HEAD_SIZE || memcmp(extradata, "OpusHead\1", 9) != 0)
        return -E_CORRUPT;
    const uint8_t *const rate = extradata + 12, *const gain = extradata + 16;
    const uint8_t channels = extradata[9], family = extradata[18];
    if (channels < 1 || channels > 2 || family != 0)
        return -E_CORRUPT;
    put_u8(out, 0); // version
    put_u8(out, channels);
    put_be16(out, 0); // to be skipped
    for (int i = 3; i >= 0; i--)
        put_u8(out, rate[i]);
    put_u8(out, gain[1]);
    put_u8(out, gain[0]);
    put_u8(out, family);
    return buf_error(out);
}
