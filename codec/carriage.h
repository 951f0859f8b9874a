// SPDX-License-Identifier: BSD-2-Clause
//
// carriage - how the coded packets of a track lie in its source.  In most containers
// each packet is one run of bytes.  In others it is cut into pieces with headers and
// other tracks between them; then offsets of samples count in the track's elementary
// stream, and a list says where its pieces stand.  A transport stream cuts so finely
// that no list would do: there an offset is the place of a packet's first byte, and the
// rest is found by following its PID.  And the sound of DV lies in blocks between those of
// the pictures.  Pure.

#ifndef CODEC_CARRIAGE_H
#define CODEC_CARRIAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

#define CARRIAGE_PIECES_MAX (16 * 1000 * 1000)
#define CARRIAGE_PACKET_MAX 204

// DV: a frame is sequences, each of blocks, of which the first of sound stands behind six others,
// and the next ones behind 15 blocks of pictures each (IEC 61834-2).
#define DIF_BLOCK 80
#define DIF_SEQUENCE (150 * DIF_BLOCK)
#define DIF_FRAME_MAX (12 * DIF_SEQUENCE)
#define DIF_SOUND_BLOCKS 9 // in a sequence
#define DIF_SOUND_AT (6 * DIF_BLOCK)
#define DIF_SOUND_STEP (16 * DIF_BLOCK)

enum carriage_kind {
    CARRIAGE_WHOLE,  // each packet in one run
    CARRIAGE_PIECES, // by a list
    CARRIAGE_TS,     // the payload of one PID (ISO/IEC 13818-1 2.4.3)
    CARRIAGE_DIF,    // the blocks of sound of a DV frame, whose begin is the offset
    CARRIAGE_KINDS,
};

// Bytes [at, at + size) of the elementary stream stand at offset in the source.
struct piece {
    int64_t at, offset, size;
};

struct carriage {
    enum carriage_kind kind;
    // of a transport stream
    int pid;    // 0 .. 8191
    int packet; // bytes from one sync byte to the next: 188, 192 or 204
    int phase;  // offset of the first sync byte, < packet
    // of pieces
    struct piece *pieces; // without a gap: at rises by size.  NULL in a head alone
    int piece_count;      // also in a head alone
};

void carriage_finish(struct carriage *c); // frees the pieces; may be repeated

// Whether all but the pieces themselves obeys the rules above.
bool carriage_ok(const struct carriage *c);

// All but the pieces.
void carriage_pack(const struct carriage *c, struct buf *out);
void carriage_unpack(struct reader *r, struct carriage *c);

// The pieces; carriage_unpack came before.  A piece outside a source of so many bytes, or
// anything else that breaks the rules, turns r bad.  -E_NO_MEMORY, else 0.
void carriage_pack_pieces(const struct carriage *c, struct buf *out);
int carriage_unpack_pieces(struct reader *r, struct carriage *c, int64_t source_size);

// Bytes [begin, size) that offsets of samples count in: the source's, or those of the
// elementary stream's pieces, which must be there.
int64_t carriage_begin(const struct carriage *c);
int64_t carriage_size(const struct carriage *c, int64_t source_size);

// The piece that holds byte `at` of the elementary stream; -1: none does.
int carriage_find(const struct carriage *c, int64_t at);

// c with just the pieces that hold bytes [from, to); to be finished.
struct carriage carriage_slice(const struct carriage *c, int64_t from, int64_t to);

// Where in the source bytes [*from, *to) lie: the span of their pieces.
void carriage_span(const struct carriage *c, int64_t *from, int64_t *to);

#endif
