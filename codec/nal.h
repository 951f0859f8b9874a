// SPDX-License-Identifier: BSD-2-Clause
//
// nal - NAL units of H.264 and HEVC, one after another: behind start codes (Annex B of either),
// or each with its length in front, as MP4 and Matroska hold them.  What has one of the two in
// its headers has it in its samples, too; what we write has lengths.  Pure.

#ifndef CODEC_NAL_H
#define CODEC_NAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "codec/bits.h"
#include "codec/start.h"

// Types that more than one file looks at (Rec. ITU-T H.264 table 7-1, H.265 table 7-1).
enum { AVC_UNIT_IDR = 5, AVC_UNIT_SPS = 7, AVC_UNIT_PPS = 8 };
enum {
    HEVC_UNIT_IDR_W_RADL = 19,
    HEVC_UNIT_IDR_N_LP = 20,
    HEVC_UNIT_VPS = 32,
    HEVC_UNIT_SPS = 33,
    HEVC_UNIT_PPS = 34,
};

struct nal_unit {
    const uint8_t *p; // borrowed
    size_t n;
};

// The unit behind the next start code at or behind *at, which moves behind it.  False: there
// is none.
static inline bool nal_next_coded(const uint8_t *p, size_t n, size_t *at, struct nal_unit *out)
{
    const size_t code = next_start_code(p, n, *at);
    if (code >= n)
        return false;
    const size_t begin = code + 3;
    size_t end = *at = next_start_code(p, n, begin);
    while (end > begin && p[end - 1] == 0) // zeros between NAL units
        end--;
    *out = (struct nal_unit){ p + begin, end - begin };
    return true;
}

#define NAL_CODED 0 // as a size of lengths: there are none, but start codes

// The next unit that is not empty, behind start codes.
static inline bool nal_take_coded(struct reader *r, struct nal_unit *out)
{
    do {
        const size_t left = reader_left(r), code = next_start_code(r->p, left, 0);
        for (size_t i = 0; i < code && !r->bad; i++)
            r->bad = r->p[i] != 0; // nothing but zeros may stand before one
        if (r->bad || code == left)
            return false;
        size_t at = 0;
        nal_next_coded(r->p, left, &at, out);
        r->p += at;
    } while (out->n == 0);
    return true;
}

// Takes the next unit off r, which holds the beginning of a sample; beyond more of its bytes
// follow.  A unit may end there: it is cut then.  False at the end and when it is damaged,
// which turns r bad.
static inline bool nal_next(struct reader *r, size_t beyond, int length_size, struct nal_unit *out)
{
    if (length_size == NAL_CODED)
        return nal_take_coded(r, out);
    if (reader_left(r) == 0 || (beyond && reader_left(r) < (size_t)length_size))
        return false;
    const size_t n = (size_t)get_be(r, length_size), left = reader_left(r);
    if (r->bad || n == 0 || n > left + beyond) {
        r->bad = true;
        return false;
    }
    out->n = n < left ? n : left;
    out->p = get_bytes(r, out->n);
    return out->n > 0;
}

// How much longer the units of a sample may get when lengths take the place of start codes, of
// which some have three bytes.
#define NAL_GROWTH 64

static inline bool nal_is_among(const struct nal_unit *u, const struct nal_unit *list, int count)
{
    for (int i = 0; i < count; i++)
        if (list[i].n == u->n && memcmp(list[i].p, u->p, u->n) == 0)
            return true;
    return false;
}

// What begins a sample of which only the first n of size bytes are known.  see: what one unit of
// it is under the parameter sets of the track: SIGHT_OTHER_SETS, a slice, or SIGHT_UNSEEN.
static inline enum sight nal_look(const uint8_t *p, size_t n, size_t size, int length_size,
                                  enum sight (*see)(const void *sets, const struct nal_unit *u),
                                  const void *sets)
{
    struct reader r = reader_of(p, n);
    struct nal_unit u;
    enum sight first = SIGHT_UNSEEN;
    while (nal_next(&r, size - n, length_size, &u)) {
        const enum sight seen = see(sets, &u);
        const bool whole = reader_left(&r) || n == size; // or it may go on beyond
        if (seen == SIGHT_OTHER_SETS && whole)
            return seen;
        if (first == SIGHT_UNSEEN && seen != SIGHT_OTHER_SETS)
            first = seen;
    }
    // A start code of Annex B is a length, too: of one byte, and then comes nonsense.
    return r.bad ? SIGHT_DAMAGED : first;
}

#endif
