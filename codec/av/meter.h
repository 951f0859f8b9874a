// SPDX-License-Identifier: BSD-2-Clause
//
// meter - an io that reads another one up to a ceiling of bytes.  One thread.

#ifndef CODEC_AV_METER_H
#define CODEC_AV_METER_H

#include "codec/io.h"

struct meter {
    struct io io; // of the source, for reading alone
    // private
    struct io *to; // borrowed
    int64_t left;
};

// From then on reads of m->io past so many bytes in total are -E_LIMITS.  m must not move.
void meter_init(struct meter *m, struct io *to, int64_t bytes);

#endif
