// SPDX-License-Identifier: BSD-2-Clause
//
// out - see out.h.  The first fragment goes out together with the styp.

#include "codec/av/out.h"

#include "base/err.h"

#define DATA_MAX (64 * MIB) // of one fragment

static int send(struct out *o)
{
    const int rc = o->io->append(o->io, o->fragment.data, o->fragment.len);
    if (rc < 0)
        return fail_with(o->why, rc, "handing over: %s", err_sentence(rc));
    o->bytes += (int64_t)o->fragment.len;
    return 0;
}

static int64_t duration(const struct out *o)
{
    int64_t sum = 0;
    for (int i = 0; i < o->count; i++)
        sum += o->samples[i].duration;
    return sum;
}

// ---- public

void out_init(struct out *o, struct io *io, int64_t sequence, int64_t time, const struct why *why)
{
    *o = (struct out){ .io = io, .why = why, .sequence = sequence, .time = time };
    buf_init(&o->data, DATA_MAX);
    buf_init(&o->fragment, DATA_MAX + MIB);
    fmp4_styp(&o->fragment);
}

int out_sample(struct out *o, uint32_t length, int32_t offset, bool sync)
{
    if (buf_error(&o->data) < 0)
        return fail_with(o->why, buf_error(&o->data), "a fragment above %lld bytes",
                         (long long)DATA_MAX);
    assert(o->count < OUT_SAMPLES);
    o->samples[o->count++] =
        (struct fmp4_sample){ (uint32_t)(o->data.len - o->counted), length, offset, sync };
    o->counted = o->data.len;
    return 0;
}

int out_cut(struct out *o)
{
    if (!o->count)
        return 0;
    int rc = fmp4_fragment(&o->fragment, &o->track, (uint32_t)o->sequence, (uint64_t)o->time,
                           o->samples, o->count, o->data.data, o->data.len);
    if (rc < 0)
        return fail_with(o->why, rc, "writing a fragment");
    rc = send(o);
    o->sequence++;
    o->time += duration(o);
    o->count = 0;
    o->counted = 0;
    buf_clear(&o->data);
    buf_clear(&o->fragment);
    return rc;
}

void out_finish(struct out *o)
{
    buf_finish(&o->data);
    buf_finish(&o->fragment);
}
