// SPDX-License-Identifier: BSD-2-Clause
//
// av - the worker's side of codec/: everything that includes libav*.  Linked
// into the worker's program, the tests and the benches, never into the server.

#ifndef CODEC_AV_AV_H
#define CODEC_AV_AV_H

#include <stddef.h>

#include "codec/io.h"
#include "codec/job.h"

#define DETAIL_MAX 200

// Once per process: checks that every decoder and encoder we name is there and
// works, makes libav log through us.  0, or -E_CONFIG and one line in detail.
int av_setup(char *detail, size_t cap);

// Stands for what reaches the bytes besides the order: the versions of the libraries,
// the header bytes they write for fixed settings, a number of our own; and what this machine's
// CPU can do: "own 3 lavc ... cpu CLASS headers HASH".  Static text, valid after av_setup.
const char *av_signature(void);

// How many bytes of memory the process has, from which follows what it keeps from job to job.
void av_allow(int64_t memory);

// Runs one job to its end on the calling thread (and codec threads of its own).
// 0, or a negative enum err and one line for people in detail.  What was
// appended before a failure is void.
int av_run(const struct job *job, struct io *io, struct job_stats *stats, char *detail, size_t cap);

// The parts of av_run, one file each.
int av_probe(const struct job *job, struct io *io, char *detail, size_t cap);        // probe.c
int av_init_segment(const struct job *job, struct io *io, char *detail, size_t cap); // init.c
int av_video(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap);
int av_text(const struct job *job, struct io *io, char *detail, size_t cap); // text.c
int av_audio(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap);
int av_sheet(const struct job *job, struct io *io, struct job_stats *stats, char *detail,
             size_t cap);

#endif
