// SPDX-License-Identifier: BSD-2-Clause

#include "base/zip.h"

#include <zlib.h>

#include "base/err.h"

int gzip_pack(const struct buf *in, struct buf *out)
{
    // 15 window bits, and 16 more for a gzip wrapper (which gets no time stamp).
    z_stream z = { 0 };
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -E_NO_MEMORY;
    const uLong bound = deflateBound(&z, in->len);
    const size_t before = out->len;
    uint8_t *const to = buf_extend(out, bound);
    if (to) {
        z.next_in = in->data;
        z.avail_in = (uInt)in->len;
        z.next_out = to;
        z.avail_out = (uInt)bound;
        const int rc = deflate(&z, Z_FINISH);
        assert(rc == Z_STREAM_END);
        out->len = before + z.total_out;
    }
    deflateEnd(&z);
    return buf_error(out);
}

const char *gzip_version(void)
{
    return zlibVersion();
}

int zlib_expand(const uint8_t *in, size_t n, size_t most, struct buf *out)
{
    const size_t before = out->len;
    uint8_t *const to = buf_extend(out, most);
    uLongf got = most;
    if (!to)
        return buf_error(out);
    const int rc = uncompress(to, &got, in, n);
    out->len = before + (rc == Z_OK ? got : 0);
    return rc == Z_OK ? 0 : rc == Z_MEM_ERROR ? -E_NO_MEMORY : -E_CORRUPT;
}
