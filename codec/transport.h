// SPDX-License-Identifier: BSD-2-Clause
//
// transport - follows one PID of a transport stream (ISO/IEC 13818-1 2.4.3) and gives
// the payload of its PES packets, freed of all headers.  Packets of 188 bytes, or of 192
// (a time stamp before each, as cameras and discs have it), or of 204 (a checksum behind).
// Where bytes are missing it goes on at the next two sync bytes that are a packet apart.
// Whether any are missing, their counters tell.

#ifndef CODEC_TRANSPORT_H
#define CODEC_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/carriage.h"
#include "codec/window.h"

struct transport {
    // borrowed
    struct window *window;
    const struct carriage *carriage;

    int64_t packet;   // offset of the sync byte of the packet that we stand in
    int64_t at, left; // its payload that was not taken yet: offset in the source, bytes
    int skip;         // bytes of a PES header that goes on in the next packet
    int counter;      // of the packet of our PID that came last; -1: none did
    bool torn;        // since the start some packet of it was missing, or marked as damaged
};

// Whether the bytes are those of a transport stream, and if so its packets (kind, packet and
// phase are set).
bool transport_sniff(const uint8_t *bytes, size_t n, struct carriage *out);

// Stands before the first packet.
void transport_start(struct transport *t, struct window *w, const struct carriage *c);

// Stands at the payload byte at offset: false when there is none, or the window failed.  Nothing
// is known of what was passed over; what comes from there on is looked at.
bool transport_seek(struct transport *t, int64_t offset);

// Moves to the next payload when none is left; false at the end, or when the window failed.
bool transport_more(struct transport *t);

#endif
