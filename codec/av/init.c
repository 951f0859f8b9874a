// SPDX-License-Identifier: BSD-2-Clause
//
// init - the init segment: opens the encoder, takes its headers and closes it
// again.  Nothing is read, and nothing is encoded but, of AV1, one grey picture.

#include "base/err.h"
#include "codec/av/av.h"
#include "codec/av/encode.h"

#define INIT_MAX 65536

static int write_init(AVCodecContext *encoder, const struct job *job, struct io *io,
                      const struct why *why)
{
    struct fmp4_track track;
    struct buf config, out;
    buf_init(&out, INIT_MAX);
    int rc = encode_track(encoder, job, job->video, &track, &config, why);
    if (rc < 0)
        goto done;
    rc = fmp4_init(&out, &track);
    if (rc < 0)
        fail_with(why, rc, "writing the init segment");
    else
        rc = io->append(io, out.data, out.len);
done:
    buf_finish(&config);
    buf_finish(&out);
    return rc;
}

int av_init_segment(const struct job *job, struct io *io, char *detail, size_t cap)
{
    const struct why why = { detail, cap };
    AVCodecContext *encoder = NULL;
    int rc = job->video ? encode_open_video(&encoder, &job->v, &why)
                        : encode_open_audio(&encoder, &job->a, job->a.quality, &why);
    if (rc == 0)
        rc = write_init(encoder, job, io, &why);
    encode_close(&encoder);
    return rc;
}
