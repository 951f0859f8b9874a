// SPDX-License-Identifier: BSD-2-Clause
//
// video - decodes the samples of a job and shows each picked picture, converted, as often as
// it is wanted: the way of all pictures, to whatever they are coded as.

#ifndef CODEC_AV_VIDEO_H
#define CODEC_AV_VIDEO_H

#include <libavutil/frame.h>

#include "codec/av/fail.h"
#include "codec/io.h"
#include "codec/job.h"

// Takes what is shown, in order.
struct sink {
    const struct video_settings *v; // borrowed: the size and colours that it wants
    bool gone;                      // it wants no more
    // 0 or a negative enum err, which ends the showing.  The picture is the caller's; its time says
    // nothing.
    int (*take)(struct sink *s, AVFrame *picture);
};

// Who see the same pictures, each in his own size and colours.
struct audience {
    struct sink *sinks[JOB_RUNGS_MAX];
    int count;
    // Adds who has come meanwhile; room: he is shown everything from the first picture on, else he
    // is to be turned away.  NULL: nobody will come.
    void (*admit)(struct audience *a, bool room);
};

// Shows the picks of the job, on the calling thread and the decoder's own.  0 or a negative
// enum err and why filled in: what a sink or io said, -E_CANCELLED, -E_SEEK when decoding has to
// begin earlier.  Adds to stats what was read, decoded and concealed.
int video_show(const struct job *job, struct io *io, struct audience *audience,
               struct job_stats *stats, const struct why *why);

#endif
