# SPDX-License-Identifier: BSD-2-Clause
"""Files that are broken with some knowledge of how they are built."""
import random
import struct

BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf")
TABLES = (b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"stss", b"elst", b"mdhd", b"tkhd", b"stsd", b"trun", b"tfhd")
ODD = (0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff)


def boxes(data, at=0, end=None):
    """(offset, size, type) of every box of an MP4."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > end:
            return
        yield at, size, kind
        if kind in BOXES:
            yield from boxes(data, at + 8, at + size)
        at += size


def places(name, data):
    """Where it hurts: offsets of numbers that say how the rest is read."""
    if name.endswith((".mp4", ".mov")):
        out = []
        for at, size, kind in boxes(data):
            out += [at, at + 4]
            if kind in TABLES:
                out += range(at + 8, at + min(size, 80), 4)
        return out
    if name.endswith((".mkv", ".webm")):
        return list(range(0, min(len(data), 600))) + [i for i in range(len(data) - 4) if data[i:i + 4] ==
                                                      b"\x1f\x43\xb6\x75"]
    if name.endswith(".ts"):
        return [i + k for i in range(0, len(data), 188) for k in (0, 1, 3, 4, 5)]
    if name.endswith((".ogv", ".ogg")):
        return [i + k for i in range(len(data) - 27) if data[i:i + 4] == b"OggS" for k in (4, 5, 6, 14, 18, 26, 27)]
    return list(range(0, min(len(data), 2000), 2))


def put(data, at, value, size):
    data[at:at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "big")


def mutate(name, data, seed):
    """One mutant of a file; the same for the same seed."""
    r = random.Random(f"{name} {seed}")
    out, spots = bytearray(data), places(name, data)

    def number():
        at = r.choice(spots)
        put(out, at, r.choice(ODD), r.choice((1, 2, 4)))

    def nudge():
        at = r.choice(spots)
        put(out, at, int.from_bytes(out[at:at + 4], "big") + r.choice((-1000, -8, -1, 1, 3, 256, 1 << 20)), 4)

    def flip():
        for _ in range(r.randint(1, 200)):
            out[r.randrange(len(out))] ^= 1 << r.randrange(8)

    def truncate():
        del out[r.randrange(len(out) // 10, len(out)):]

    def remove():
        at = r.randrange(len(out))
        del out[at:at + r.choice((1, 4, 100, 5000))]

    def repeat():
        at = r.choice(spots)
        out[at:at] = out[at:at + r.choice((8, 188, 1000, 20000))]

    def blank():
        at = r.choice(spots)
        n = r.choice((4, 16, 500))
        out[at:at + n] = bytes(len(out[at:at + n]))

    for _ in range(r.randint(1, 3)):
        r.choice((number, number, nudge, nudge, flip, truncate, remove, repeat, blank))()
    return bytes(out)
