// SPDX-License-Identifier: BSD-2-Clause
//
// recent - an io that remembers what was read through it lately: a demuxer goes through a
// source, and whoever looks for its packets comes a little behind.  One thread.

#ifndef CODEC_AV_RECENT_H
#define CODEC_AV_RECENT_H

#include "base/base.h"
#include "codec/io.h"

#define RECENT_BLOCK (256 * KIB)
#define RECENT_BLOCKS 64

struct recent {
    struct io io;  // of the source, for reading alone
    struct io *to; // borrowed
    uint8_t *bytes;
    int64_t number[RECENT_BLOCKS]; // of the block there, -1 for none
};

void recent_init(struct recent *r, struct io *to);
void recent_finish(struct recent *r);

#endif
