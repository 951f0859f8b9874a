// SPDX-License-Identifier: BSD-2-Clause
//
// Any four inputs of the MPEG-TS multiplexer, cut from the bytes by their first words: it
// takes or refuses them, what it puts out passes the check, and beginnings of it come out of
// beginnings of them.

#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "codec/ts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *take(struct reader *r, size_t *n)
{
    const size_t want = get_be16(r), left = reader_left(r);
    *n = want < left ? want : left;
    return get_bytes(r, *n);
}

static struct ts_input input(struct reader *r)
{
    struct ts_input in = { .whole = true };
    in.init = take(r, &in.init_size);
    in.media = take(r, &in.media_size);
    return in;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    const int which = get_u8(&r) % 3, k = get_u8(&r);
    struct ts_input v = input(&r), a = input(&r);
    const struct ts_input *const video = which != 1 ? &v : NULL, *const audio = which ? &a : NULL;
    struct buf whole, beginning;
    buf_init(&whole, MIB);
    buf_init(&beginning, MIB);
    const int rc = ts_segment(&whole, k, video, audio);
    if (rc == 0)
        assert(ts_check(whole.data, whole.len, k));
    v.whole = a.whole = false;
    if (ts_segment(&beginning, k, video, audio) == 0 && rc == 0 && beginning.len > 0)
        assert(beginning.len <= whole.len &&
               memcmp(beginning.data, whole.data, beginning.len) == 0);
    ts_check(data, size, k);
    buf_finish(&whole);
    buf_finish(&beginning);
    return 0;
}
