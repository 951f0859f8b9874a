// SPDX-License-Identifier: BSD-2-Clause
//
// demux - libavformat over struct io, locked up: it gets the one demuxer that
// our own look at the first bytes chose, and can open nothing else, whatever
// the file says.  Used at probe time only, for what describes the streams.

#ifndef CODEC_AV_DEMUX_H
#define CODEC_AV_DEMUX_H

#include <libavformat/avformat.h>

#include "codec/av/fail.h"
#include "codec/io.h"
#include "codec/job.h"

struct demux {
    AVFormatContext *ctx; // streams as the headers describe them; nothing was decoded
    // private
    AVIOContext *pb;
    struct io *io;
    int64_t pos;
    int err; // what io returned
};

// d is to be closed in either case; it must not move while it is open.  parse: packets come cut
// into pictures and frames of sound; else as they stand in the file.
int demux_open(struct demux *d, struct io *io, enum container container, bool parse,
               const struct job_limits *limits, const struct why *why);

// The next packet as it stands in the file: 1; 0 at the end; or a negative enum err.
int demux_next(struct demux *d, AVPacket *packet, const struct why *why);

// The palette that a packet of the stream had so far, of AVPALETTE_SIZE bytes; NULL: none.
const uint8_t *demux_palette(const AVStream *st);

void demux_close(struct demux *d);

#endif
