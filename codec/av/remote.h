// SPDX-License-Identifier: BSD-2-Clause
//
// remote - the worker's end of the wire: takes jobs from a socket and puts the
// socket behind struct io.  No libav here.

#ifndef CODEC_AV_REMOTE_H
#define CODEC_AV_REMOTE_H

#include <stddef.h>

#include "codec/io.h"
#include "codec/job.h"

// What makes a job: av_run, or a test's.
typedef int remote_run(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
                       size_t cap);

// Says hello and serves jobs, one after another on the calling thread, until the
// peer closes (0) or breaks the protocol (a negative enum err).  Meanwhile lines of
// the log go to the peer: the first WIRE_LINES_MAX of each job.  Once per process.
int remote_serve(int fd, const char *signature, remote_run *run);

#endif
