// SPDX-License-Identifier: BSD-2-Clause
//
// verify - whether bytes are what was ordered.  A worker's answer is hostile until then,
// and so is what a lower tier holds: its checksum guards against accidents, not against
// its writer.  Pure.

#ifndef SERVER_VERIFY_H
#define SERVER_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plan;
struct rendition;
struct route;

// An index of a source of so many bytes.
bool verify_index(const uint8_t *bytes, size_t n, int64_t source_size);

// A body of this route, of which only the route is known.
bool verify_stored(const struct route *r, const uint8_t *bytes, size_t n);

// Segment k of r, a rendition in p: begins with a sync sample, and at its time, and has
// its number of samples, or of source, its length.  Sheet k: a JPEG of its size.
bool verify_segment(const struct plan *p, const struct rendition *r, int k, const uint8_t *bytes,
                    size_t n);

// Whether a segment of n bytes and us microseconds is within a BANDWIDTH (RFC 8216 4.3.4.2).
bool verify_bandwidth(int64_t bandwidth, int64_t us, size_t n);

#endif
