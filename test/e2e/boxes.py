# SPDX-License-Identifier: BSD-2-Clause
"""A strict reader of fragmented MP4: every byte belongs to a box we expect, or it raises."""
import struct
from dataclasses import dataclass, field


class Broken(AssertionError):
    pass


def need(condition, what):
    if not condition:
        raise Broken(what)


def boxes(data, start=0, end=None):
    """(type, payload start, payload end) of each box in data[start:end]."""
    end = len(data) if end is None else end
    out = []
    while start < end:
        need(end - start >= 8, "a box header is cut")
        size, kind = struct.unpack_from(">I4s", data, start)
        need(8 <= size <= end - start, f"box {kind} of size {size} does not fit")
        out.append((kind.decode("latin1"), start + 8, start + size))
        start += size
    return out


def child(data, box, *path):
    for name in path:
        found = [b for b in boxes(data, box[1], box[2]) if b[0] == name]
        need(len(found) == 1, f"{len(found)} boxes {name} in {box[0]}")
        box = found[0]
    return box


@dataclass
class Init:
    timescale: int = 0
    kind: str = ""          # vide, soun
    entry: str = ""         # avc1, hvc1, av01, mp4a, Opus
    width: int = 0
    height: int = 0
    config: bytes = b""     # avcC, hvcC, av1C, esds or dOps body
    sample_rate: int = 0
    channels: int = 0


CONFIGS = {"avc1": "avcC", "hvc1": "hvcC", "av01": "av1C", "mp4a": "esds", "Opus": "dOps"}


def parse_init(data):
    top = boxes(data)
    need([b[0] for b in top] == ["ftyp", "moov"], f"init is {[b[0] for b in top]}")
    moov = top[1]
    need(not any(b[0] in ("udta", "meta") for b in boxes(data, moov[1], moov[2])), "moov has metadata")
    trak = child(data, moov, "trak")
    need("edts" not in [b[0] for b in boxes(data, trak[1], trak[2])], "an edit list")
    mdia = child(data, trak, "mdia")
    mdhd, hdlr = child(data, mdia, "mdhd"), child(data, mdia, "hdlr")
    out = Init()
    version = data[mdhd[1]]
    out.timescale = struct.unpack_from(">I", data, mdhd[1] + (20 if version else 12))[0]
    out.kind = data[hdlr[1] + 8:hdlr[1] + 12].decode()
    stsd = child(data, mdia, "minf", "stbl", "stsd")
    entries = boxes(data, stsd[1] + 8, stsd[2])
    need(len(entries) == 1, "one sample entry")
    entry = entries[0]
    out.entry = entry[0]
    if out.kind == "vide":
        out.width, out.height = struct.unpack_from(">HH", data, entry[1] + 24)
        inner = boxes(data, entry[1] + 78, entry[2])
    else:
        out.channels = struct.unpack_from(">H", data, entry[1] + 16)[0]
        out.sample_rate = struct.unpack_from(">I", data, entry[1] + 24)[0] >> 16
        inner = boxes(data, entry[1] + 28, entry[2])
    out.config = next(data[b[1]:b[2]] for b in inner if b[0] == CONFIGS[out.entry])
    child(data, moov, "mvex", "trex")
    return out


@dataclass
class Sample:
    size: int
    duration: int
    offset: int
    sync: bool
    data: bytes


@dataclass
class Fragment:
    sequence: int
    time: int
    samples: list = field(default_factory=list)

    @property
    def duration(self):
        return sum(s.duration for s in self.samples)


def parse_trun(data, box, defaults):
    flags = struct.unpack_from(">I", data, box[1])[0]
    version, flags = flags >> 24, flags & 0xffffff
    count, = struct.unpack_from(">I", data, box[1] + 4)
    at = box[1] + 8
    need(flags & 1, "trun without a data offset")
    data_offset, = struct.unpack_from(">i", data, at)
    at += 4
    first_flags = None
    if flags & 4:
        first_flags, = struct.unpack_from(">I", data, at)
        at += 4
    samples = []
    for i in range(count):
        duration, size, sample_flags, offset = *defaults, 0
        if flags & 0x100:
            duration, = struct.unpack_from(">I", data, at)
            at += 4
        if flags & 0x200:
            size, = struct.unpack_from(">I", data, at)
            at += 4
        if flags & 0x400:
            sample_flags, = struct.unpack_from(">I", data, at)
            at += 4
        if i == 0 and first_flags is not None:
            sample_flags = first_flags
        if flags & 0x800:
            offset, = struct.unpack_from(">i" if version else ">I", data, at)
            at += 4
        samples.append(Sample(size, duration, offset, not sample_flags & 0x10000, b""))
    need(at == box[2], "trun has bytes left")
    return data_offset, samples


def parse_moof(data, box):
    sequence, = struct.unpack_from(">I", data, child(data, box, "mfhd")[1] + 4)
    traf = child(data, box, "traf")
    tfhd, tfdt, trun = (child(data, traf, n) for n in ("tfhd", "tfdt", "trun"))
    flags = struct.unpack_from(">I", data, tfhd[1])[0] & 0xffffff
    need(flags & 0x20000, "not default-base-is-moof")
    need(not flags & 3, "tfhd has a base offset or a description index")
    at, defaults = tfhd[1] + 8, [0, 0, 0]
    for i, bit in enumerate((8, 0x10, 0x20)):
        if flags & bit:
            defaults[i], = struct.unpack_from(">I", data, at)
            at += 4
    version = data[tfdt[1]]
    time, = struct.unpack_from(">Q" if version else ">I", data, tfdt[1] + 4)
    data_offset, samples = parse_trun(data, trun, defaults)
    return Fragment(sequence, time, samples), data_offset


def parse_segment(data):
    top = boxes(data)
    need(top[0][0] == "styp", "no styp")
    kinds = [b[0] for b in top[1:]]
    need(kinds and kinds == ["moof", "mdat"] * (len(kinds) // 2), f"segment is {kinds}")
    out = []
    for moof, mdat in zip(top[1::2], top[2::2]):
        fragment, offset = parse_moof(data, moof)
        at = moof[1] - 8 + offset
        need(at == mdat[1], "data offset does not point at mdat")
        for s in fragment.samples:
            need(s.size > 0 and s.duration > 0, "an empty sample")
            s.data = data[at:at + s.size]
            at += s.size
        need(at == mdat[2], "mdat is not filled exactly")
        out.append(fragment)
    for a, b in zip(out, out[1:]):
        need(b.time == a.time + a.duration, "tfdt does not chain inside the segment")
        need(b.sequence > a.sequence, "sequence numbers do not rise")
    return out


def nal_types(sample, entry="avc1"):
    """Types of the length-prefixed NAL units of a sample."""
    out, at = [], 0
    while at < len(sample):
        need(len(sample) - at >= 5, "a NAL unit is cut")
        n, = struct.unpack_from(">I", sample, at)
        need(0 < n <= len(sample) - at - 4, "a NAL unit does not fit")
        out.append(sample[at + 4] & 31 if entry == "avc1" else sample[at + 4] >> 1 & 63)
        at += 4 + n
    return out


def obus(sample):
    """(type, bytes) of each OBU of an av01 sample."""
    out, at = [], 0
    while at < len(sample):
        need(sample[at] & 2 and not sample[at] & 4, "an OBU without a size, or of a layer")
        size, shift, begin, at = 0, 0, at, at + 1
        while True:
            size |= (sample[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not sample[at - 1] & 128:
                break
        at += size
        need(at <= len(sample), "an OBU does not fit")
        out.append((sample[begin] >> 3 & 15, sample[begin:at]))
    return out


def obu_types(sample):
    return [kind for kind, _ in obus(sample)]


def begins_anew(sample, entry):
    """Whether decoding may start at a sample: an IDR picture, or CRA, or behind a sequence header; and it is well formed."""
    if entry == "av01":
        types = obu_types(sample)
        need(2 not in types, "a temporal delimiter")
        return 1 in types
    types = nal_types(sample, entry)
    sets, idr = ({7, 8}, {5}) if entry == "avc1" else ({32, 33, 34}, {19, 20, 21})
    need(not sets & set(types), "parameter sets in a sample")
    return bool(idr & set(types))


def codec_string(init):
    """What CODECS has to say of a video track (RFC 6381, ISO/IEC 14496-15 annex E, the AV1 binding)."""
    c = init.config
    if init.entry == "avc1":
        return f"avc1.{c[1:4].hex().upper()}"
    if init.entry == "hvc1":
        compatible = int(f"{int.from_bytes(c[2:6], 'big'):032b}"[::-1], 2)
        constraints = c[6:12].rstrip(b"\0")
        return (f"hvc1.{c[1] & 31}.{compatible:X}.{'H' if c[1] & 32 else 'L'}{c[12]}"
                + "".join(f".{b:X}" for b in constraints))
    return f"av01.{c[1] >> 5}.{c[1] & 31:02d}{'H' if c[2] & 128 else 'M'}.{10 if c[2] & 64 else 8:02d}"


def read_samples(path):
    """(coding, decoder configuration, samples) of the first track of an MP4."""
    with open(path, "rb") as f:
        data = f.read()
    [moov] = [b for b in boxes(data) if b[0] == "moov"]
    trak = [b for b in boxes(data, moov[1], moov[2]) if b[0] == "trak"][0]
    stbl = child(data, trak, "mdia", "minf", "stbl")
    table = {b[0]: data[b[1]:b[2]] for b in boxes(data, stbl[1], stbl[2])}
    entry = table["stsd"][8:]
    coding = entry[4:8].decode()
    [config] = [entry[b[1]:b[2]] for b in boxes(entry, 86) if b[0] == CONFIGS[coding]]
    fixed, count = struct.unpack_from(">II", table["stsz"], 4)
    sizes = [fixed] * count if fixed else struct.unpack_from(f">{count}I", table["stsz"], 12)
    chunks = struct.unpack_from(">%dI" % struct.unpack_from(">I", table["stco"], 4), table["stco"], 8)
    runs = [struct.unpack_from(">II", table["stsc"], 8 + 12 * i)
            for i in range(struct.unpack_from(">I", table["stsc"], 4)[0])]
    samples = []
    for c, at in enumerate(chunks):
        for _ in range([n for first, n in runs if first <= c + 1][-1]):
            samples.append(data[at:at + sizes[len(samples)]])
            at += sizes[len(samples) - 1]
    return coding, config, samples
