// SPDX-License-Identifier: BSD-2-Clause
//
// Any bytes as a subtitle of any kind: what is written is WebVTT.

#include <string.h>

#include "base/base.h"
#include "base/utf8.h"
#include "codec/cues.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// One line of times in each block, its text behind it.
static void check(const struct cues *c)
{
    const uint8_t *p = c->out.data;
    size_t left = c->out.len;
    assert(!c->out.failed && cues_check(p, left));
    for (size_t n; left > 0; p += n, left -= n)
        assert((n = utf8_sequence(p, left)) > 0);

    int arrows = 0, ends = 0;
    for (size_t i = 0; i + 2 < c->out.len; i++) {
        arrows += memcmp(c->out.data + i, "-->", 3) == 0;
        ends += memcmp(c->out.data + i, "\n\n", 2) == 0;
        assert(memcmp(c->out.data + i, "\n\n\n", 3) != 0);
    }
    ends += c->out.data[c->out.len - 2] == '\n';
    assert(arrows == c->count && ends == c->count + 1); // the header ends like a cue
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct cues c;
    cues_init(&c, 64 * 1024);
    const int kind = data[0] % (TEXT_FORMATS + 1);
    if (kind < TEXT_FORMATS)
        cues_add(&c, (enum text_format)kind, data + 1, size - 1, -1000, 5000);
    else
        cues_add_file(&c, data[0] & 0x80 ? TEXT_SUBRIP : TEXT_WEBVTT, data + 1, size - 1, 0, 60000,
                      data[0] & 0x40 ? 5000 : 0);
    check(&c);
    cues_finish(&c);
    return 0;
}
