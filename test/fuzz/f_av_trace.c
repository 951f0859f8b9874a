// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a source: what is found in it of packets, cut out of it somewhere, can be read
// again and is the same, in pieces and in transport packets.

#include <string.h>

#include "base/base.h"
#include "codec/av/sniff.h"
#include "codec/av/trace.h"
#include "codec/payload.h"
#include "test/fuzz/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(struct io *io, const struct trace *t, const struct sample *s,
                       const uint8_t *packet)
{
    static const struct why silent = { NULL, 0 };
    struct payload p;
    uint8_t *bytes = xmalloc(s->size);
    payload_init(&p, io, &t->carriage, s, 1, &silent);
    assert(payload_read(&p, 0, bytes) == 0);
    assert(memcmp(bytes, packet, s->size) == 0);
    payload_finish(&p);
    free(bytes);
}

// The first byte is the PID, the second and third say where packets are cut out.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8)
        return 0;
    struct memory m = { .io = { .size = (int64_t)size, .read = read_memory, .cancelled = never },
                        .data = data };
    struct carriage how;
    sniff(data, size, &how);
    how.pid = data[0];
    struct trace t;
    trace_init(&t, &m.io, &how, 1 << 24);
    const size_t step = 1 + data[1], most = 1 + data[2];
    for (size_t at = 3, i = 0; at < size && i < 64; at += step, i++) {
        struct sample s = { .size = (uint32_t)(most < size - at ? most : size - at) };
        if (trace_packet(&t, data + at, (int)s.size, (int64_t)(i % 3 ? at : 0), &s.offset) > 0)
            read_again(&m.io, &t, &s, data + at);
    }
    trace_finish(&t);
    return 0;
}
