// SPDX-License-Identifier: BSD-2-Clause
//
// index - our own parsers of MP4/MOV and Matroska/WebM: sample tables with
// presentation times, which libavformat does not give.  They read through
// struct io only what they need and treat every byte as hostile.  No libav here.

#ifndef CODEC_AV_INDEX_H
#define CODEC_AV_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/io.h"
#include "codec/job.h"
#include "codec/media.h"

// One track as it stands in the container, before T0 is known.
struct index_track {
    bool video, audio;
    int number;        // position among all tracks of the file, from 0: libavformat's stream index
    int64_t timescale; // ticks per second
    struct sample
        *samples; // decode order; pts in ticks on the presentation timeline (edit list applied)
    int sample_count;
    int64_t end; // presentation end in ticks (edit list applied); INT64_MAX: open
    int64_t
        codec_delay; // ticks of decoded audio to drop at the start (Matroska CodecDelay), else 0
    struct strip strip;
    char language[4];
    bool enabled; // default / enabled flag
    bool refused; // edit list beyond what we follow, encryption, ... (why says it)
    char why[120];
};

struct index {
    enum container container;
    struct index_track *tracks;
    int track_count;
};

// By the first bytes (needs up to 64): the container, or CONTAINER_NONE.
enum container index_sniff(const uint8_t *head, size_t n);

// 0; -E_CORRUPT, -E_UNSUPPORTED, -E_LIMITS (job_limits) with one line in detail; or what io
// returned.
int index_read_mp4(struct io *io, const struct job_limits *limits, struct index *out, char *detail,
                   size_t cap);
int index_read_matroska(struct io *io, const struct job_limits *limits, struct index *out,
                        char *detail, size_t cap);

void index_finish(struct index *x);

#endif
