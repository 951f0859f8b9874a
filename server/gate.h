// SPDX-License-Identifier: BSD-2-Clause
//
// gate - turns away requests that are malformed, or that somebody between the
// client and us may read differently than we do (request smuggling).  Pure.

#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/reply.h"

struct http_exchange;

// The fields that matter to us; from GATE_ACCEPT_ENCODING on they may repeat, and the last counts.
enum gate_field {
    GATE_HOST,
    GATE_CONTENT_LENGTH,
    GATE_TRANSFER_ENCODING,
    GATE_RANGE,
    GATE_IF_RANGE,
    GATE_IF_NONE_MATCH,
    GATE_IF_MATCH,
    GATE_ORIGIN,
    GATE_ACCEPT_ENCODING,
    GATE_CMCD_REQUEST,
    GATE_CMCD_SESSION,
    GATE_CMCD_STATUS,
    GATE_COUNT,
};

// Zeroed, then filled by the two functions below.  The values are borrowed.
struct gate_fields {
    const char *value[GATE_COUNT]; // NULL where absent
    const char *wrong;             // NULL, or what is
};

// The n bytes of the header, its lines cut by zeros in place of CR and LF; in its
// first, the zero that was taken for the target's end, and the version.  False
// when something is wrong.
bool gate_take_lines(struct gate_fields *f, const char *header, size_t n, const char *target_end,
                     const char *version);

// One field, in that same header.  False when something is wrong.
bool gate_take_field(struct gate_fields *f, const char *name, size_t n, const char *value,
                     size_t value_n);

enum method gate_method(const char *name);

// "http://host/path" asks for what "/path" does (RFC 9112 3.2.2).  Points into
// target, which may be changed.
char *gate_origin_form(char *target);

// What is wrong with the request, or NULL.  A body means nothing but with POST, which has one
// of at most body_max bytes whose length is told, and peers may disagree with us where it ends:
// whoever sends another is not heard on.
const char *gate_check(const struct gate_fields *f, const struct http_exchange *x, size_t body_max);

#endif
