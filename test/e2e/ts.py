# SPDX-License-Identifier: BSD-2-Clause
"""A strict reader of MPEG transport streams, written from ISO/IEC 13818-1: what it does not expect, it refuses."""
import math
import struct
from dataclasses import dataclass, field
from fractions import Fraction

from boxes import need

PACKET, CLOCK, OFFSET = 188, 90000, 900000
H264, AAC = 0x1b, 0x0f


@dataclass
class Pes:
    pts: int
    dts: int
    random_access: bool
    data: bytearray


@dataclass
class Segment:
    """PES packets of one segment by stream type, and the clock."""
    kinds: dict = field(default_factory=dict)  # pid -> stream type
    pes: dict = field(default_factory=dict)    # stream type -> list of Pes
    clocks: list = field(default_factory=list)

    @property
    def video(self):
        return self.pes.get(H264, [])

    @property
    def audio(self):
        return self.pes.get(AAC, [])


def crc(section):
    c = 0xffffffff
    for byte in section:
        c ^= byte << 24
        for _ in range(8):
            c = (c << 1 ^ (0x04c11db7 if c >> 31 else 0)) & 0xffffffff
    return c


class Reader:
    """Reads segments one after another, as a player would; counters go on over their borders."""

    def __init__(self):
        self.counters = {}
        self.clock = None  # the last PCR

    def read(self, data):
        need(len(data) > 0 and len(data) % PACKET == 0, "no whole number of packets")
        s = Segment()
        self.last, self.heads = {}, {}
        for i in range(0, len(data), PACKET):
            self.packet(s, data[i:i + PACKET], i // PACKET)
        need(not self.heads and all(len(p.data) > 0 for list_ in s.pes.values() for p in list_), "an empty PES packet")
        for p in s.video + s.audio:
            p.data = bytes(p.data)
        return s

    def packet(self, s, p, number):
        need(p[0] == 0x47 and not p[1] & 0x80 and not p[3] & 0xc0, "a packet's head")
        begins, pid, control = p[1] >> 6 & 1, (p[1] & 31) << 8 | p[2], p[3] >> 4 & 3
        self.count(pid, p[3] & 15, control)
        at, random_access = 4, False
        if control & 2:
            random_access = self.adaptation(s, p[5:5 + p[4]])
            at += 1 + p[4]
        if not control & 1:
            return need(at == PACKET, "a packet without payload")
        payload = p[at:]
        need(len(payload) > 0, "a packet counts, and has no payload")
        if number < 2:
            need(begins and payload[0] == 0, "a table begins late")
            return self.table(s, payload[1:], pid, number)
        need(pid in s.kinds, "a packet of no stream")
        if begins:
            need(pid not in self.heads, "a PES packet without its header")
            self.heads[pid] = [random_access, b""]
        if pid in self.heads:  # a brief one may have it in several packets
            random_access, head = self.heads[pid]
            self.heads[pid][1] = payload = head + payload
            if len(payload) < 9 or len(payload) < 9 + payload[8]:
                return None
            del self.heads[pid]
            self.last[pid], payload = self.header(payload, random_access, s.kinds[pid])
            s.pes.setdefault(s.kinds[pid], []).append(self.last[pid])
        self.last[pid].data += payload
        return None

    def count(self, pid, counter, control):
        """A packet with payload counts, another repeats the number."""
        if pid in self.counters:
            need(counter == (self.counters[pid] + (control & 1)) & 15, f"continuity of PID {pid}")
        self.counters[pid] = counter

    def adaptation(self, s, f):
        if not f:
            return False
        need(not f[0] & ~0x50, "unexpected flags")
        if f[0] & 0x10:
            base = int.from_bytes(f[1:7], "big")
            need(base & 0x1ff == 0, "a PCR between ticks")
            clock = base >> 15
            need(self.clock is None or 0 < clock - self.clock <= CLOCK // 10, f"PCR from {self.clock} to {clock}")
            self.clock = clock
            s.clocks.append(clock)
        need(set(f[7 if f[0] & 0x10 else 1:]) <= {0xff}, "stuffing")
        return bool(f[0] & 0x40)

    def table(self, s, section, pid, number):
        n = 3 + ((section[1] & 15) << 8 | section[2])
        need(set(section[n:]) <= {0xff} and crc(section[:n]) == 0, "a table's end")
        body = section[8:n - 4]
        if number == 0:
            need(pid == 0 and section[0] == 0 and len(body) == 4, "PAT")
            self.program = struct.unpack(">HH", body)[1] & 0x1fff
            return
        need(pid == self.program and section[0] == 2, "PMT")
        for i in range(4, len(body), 5):
            kind, stream, info = struct.unpack(">BHH", body[i:i + 5])
            need(info & 0xfff == 0, "descriptors")
            s.kinds[stream & 0x1fff] = kind
        need(struct.unpack(">H", body[:2])[0] & 0x1fff in s.kinds, "the clock is in no stream")

    def header(self, p, random_access, kind):
        need(p[:3] == b"\0\0\1" and p[3] == (0xe0 if kind == H264 else 0xc0), "a PES header")
        need(p[6] == 0x84 and p[7] in (0x80, 0xc0) and p[8] == (10 if p[7] == 0xc0 else 5), "a PES header")
        pts = timestamp(p[9:14], 2 if p[7] == 0x80 else 3)
        dts = timestamp(p[14:19], 1) if p[7] == 0xc0 else pts
        need(p[7] == 0x80 or pts != dts, "DTS beside an equal PTS")
        need(self.clock is not None and self.clock <= dts <= pts, f"PCR {self.clock}, DTS {dts}, PTS {pts}")
        return Pes(pts, dts, random_access, bytearray()), p[9 + p[8]:]


def timestamp(b, mark):
    need(b[0] >> 4 == mark and b[0] & b[2] & b[4] & 1, "a timestamp's marks")
    return (b[0] >> 1 & 7) << 30 | b[1] << 22 | b[2] >> 1 << 15 | b[3] << 7 | b[4] >> 1


def ticks(time, timescale):
    """Rounded, a half up."""
    return OFFSET + math.floor(Fraction(time * CLOCK, timescale) + Fraction(1, 2))


def nal_units(data):
    """Of an access unit whose start codes are all of four bytes."""
    need(data[:4] == b"\0\0\0\1", "no start code")
    return data[4:].split(b"\0\0\0\1")


def adts_frames(data):
    """(channels, raw frame) of each."""
    out, at = [], 0
    while at < len(data):
        need(data[at:at + 2] == b"\xff\xf1" and data[at + 2] >> 6 == 1, "an ADTS header of AAC-LC")
        n = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        need(7 < n <= len(data) - at and data[at + 6] & 3 == 0, "an ADTS frame")
        out.append(((data[at + 2] & 1) << 2 | data[at + 3] >> 6, data[at + 7:at + n]))
        at += n
    return out
