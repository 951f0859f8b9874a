// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as an MP4 and as a Matroska file: our parsers take or refuse them, and
// every sample of a table lies within the file.

#include <string.h>

#include "base/base.h"
#include "codec/av/index.h"
#include "test/fuzz/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct index *x, int64_t size)
{
    for (int t = 0; t < x->track_count; t++) {
        const struct index_track *const track = &x->tracks[t];
        for (int i = 0; i < track->sample_count; i++) {
            const struct sample *const s = &track->samples[i];
            assert(s->offset >= 0 && s->size > 0 && s->size <= size - s->offset);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct job_limits limits = {
        .pixels = 1 << 25, .streams = 8, .probe_bytes = 1 << 24, .duration_ms = 1000000000
    };
    struct memory m = { .io = { .size = (int64_t)size, .read = read_memory, .cancelled = never },
                        .data = data };
    char detail[200];
    struct index x = { 0 };
    if (index_read_mp4(&m.io, &limits, &x, detail, sizeof detail) == 0) {
        for (int t = 0; t < x.track_count; t++)
            index_present(&x.tracks[t]);
        check(&x, m.io.size);
    }
    index_finish(&x);
    x = (struct index){ 0 };
    if (index_read_matroska(&m.io, &limits, &x, detail, sizeof detail) == 0)
        check(&x, m.io.size);
    index_finish(&x);
    return 0;
}
