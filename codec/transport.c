// SPDX-License-Identifier: BSD-2-Clause

#include "codec/transport.h"

#include <string.h>

#define TS_PACKET 188
#define SYNC 0x47
#define SNIFFED 3    // sync bytes that make a transport stream
#define PES_HEADER 9 // with the length of the rest in its last byte
#define SEARCH 1024  // bytes looked at for a sync byte at a time

// ---- the first bytes

static bool syncs(const uint8_t *bytes, size_t n, size_t at, size_t packet)
{
    for (int i = 0; i < SNIFFED; i++, at += packet)
        if (at >= n || bytes[at] != SYNC)
            return false;
    return true;
}

bool transport_sniff(const uint8_t *bytes, size_t n, struct carriage *out)
{
    static const int packets[] = { 188, 192, 204 };
    for (size_t i = 0; i < countof(packets); i++)
        for (int phase = 0; phase < packets[i]; phase++)
            if (syncs(bytes, n, (size_t)phase, (size_t)packets[i])) {
                *out =
                    (struct carriage){ .kind = CARRIAGE_TS, .packet = packets[i], .phase = phase };
                return true;
            }
    return false;
}

// ---- packets

static const uint8_t *look(const struct transport *t, int64_t offset)
{
    return offset >= 0 ? window_look(t->window, offset, TS_PACKET) : NULL;
}

static int pid_of(const uint8_t *p)
{
    return (p[1] & 0x1f) << 8 | p[2];
}

// Where the payload of a transport packet begins; TS_PACKET: it has none.
static int payload_start(const uint8_t *p)
{
    if (!(p[3] & 0x10))
        return TS_PACKET;
    const int from = p[3] & 0x20 ? 5 + p[4] : 4;
    return from < TS_PACKET ? from : TS_PACKET;
}

// The length of the PES header that a payload begins with; 0 when it is cut off so early
// that nobody knows.
static int pes_header(const uint8_t *p, int n)
{
    return n < PES_HEADER || p[0] || p[1] || p[2] != 1 ? 0 : PES_HEADER + p[8];
}

static bool is_discontinuous(const uint8_t *p)
{
    return p[3] & 0x20 && p[4] > 0 && p[5] & 0x80;
}

// Packets with payload are counted, modulo 16; who goes on with another count on purpose says so.
// One marked as damaged, or scrambled, is none that anybody could use.
static void count(struct transport *t, const uint8_t *p)
{
    const int counter = p[3] & 0xf, due = (t->counter + (p[3] & 0x10 ? 1 : 0)) & 0xf;
    if (t->counter >= 0 && counter != due && !is_discontinuous(p))
        t->torn = true;
    if (p[1] & 0x80 || p[3] & 0xc0)
        t->torn = true;
    t->counter = counter;
}

// Takes the payload of the packet at t->packet, when it is one of our PID.
static void enter(struct transport *t, const uint8_t *p)
{
    t->left = 0;
    if (pid_of(p) != t->carriage->pid)
        return;
    count(t, p);
    int from = payload_start(p);
    if (p[1] & 0x40)
        t->skip = pes_header(p + from, TS_PACKET - from);
    const int skip = t->skip < TS_PACKET - from ? t->skip : TS_PACKET - from;
    t->skip -= skip;
    from += skip;
    t->at = t->packet + from;
    t->left = TS_PACKET - from;
}

// The next sync byte from offset on that another one follows; the size of the source where there is
// none, or it cannot be read: behind that is nothing for good.
static int64_t resync(struct transport *t, int64_t offset)
{
    const int packet = t->carriage->packet;
    const int64_t size = t->window->io->size;
    for (; offset + TS_PACKET <= size; offset += SEARCH) {
        const int64_t left = size - offset, want = SEARCH + packet;
        const int64_t n = left < want ? left : want;
        const uint8_t *p = window_look(t->window, offset, n);
        if (!p)
            return size;
        for (int64_t i = 0; i < SEARCH && i + TS_PACKET <= n; i++)
            if (p[i] == SYNC && (i + packet >= n || p[i + packet] == SYNC))
                return offset + i;
    }
    return size;
}

void transport_start(struct transport *t, struct window *w, const struct carriage *c)
{
    *t = (struct transport){
        .window = w, .carriage = c, .packet = c->phase - c->packet, .counter = -1
    };
}

bool transport_more(struct transport *t)
{
    while (t->left == 0) {
        t->packet += t->carriage->packet;
        const uint8_t *p = look(t, t->packet);
        if (p && p[0] != SYNC) {
            t->packet = resync(t, t->packet);
            p = look(t, t->packet);
        }
        if (!p)
            return false;
        enter(t, p);
    }
    return true;
}

// Whether byte `offset` can be one of the payload of a packet of ours at `packet`.
static bool holds(const struct transport *t, int64_t packet, int64_t offset)
{
    const uint8_t *p = look(t, packet);
    return p && p[0] == SYNC && pid_of(p) == t->carriage->pid &&
           offset >= packet + payload_start(p) && offset < packet + TS_PACKET;
}

// As a rule packets are where they are counted from the first one.  Behind a place where
// bytes are missing they are not, and are sought.
static int64_t packet_of(const struct transport *t, int64_t offset)
{
    const struct carriage *c = t->carriage;
    if (offset >= c->phase) {
        const int64_t regular = offset - (offset - c->phase) % c->packet;
        if (holds(t, regular, offset))
            return regular;
    }
    for (int64_t packet = offset - 4; packet > offset - TS_PACKET && packet >= 0; packet--) {
        const uint8_t *next = window_look(t->window, packet + c->packet, 1);
        if ((!next || *next == SYNC) && holds(t, packet, offset))
            return packet;
    }
    return -1;
}

bool transport_seek(struct transport *t, int64_t offset)
{
    t->packet = packet_of(t, offset);
    t->left = 0;
    t->skip = 0;
    t->counter = -1;
    const uint8_t *p = look(t, t->packet);
    if (!p)
        return false;
    count(t, p);
    t->at = offset;
    t->left = t->packet + TS_PACKET - offset;
    return true;
}
