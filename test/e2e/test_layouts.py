# SPDX-License-Identifier: BSD-2-Clause
"""What stays clear in encrypted video: of slices their headers, of AV1 all but the data of tiles; not a byte more and
not one less, by ffmpeg's reading of the same files (trace_headers)."""
import os
import re
import struct
import subprocess

import pytest

from boxes import read_samples
from edge import BUILD

TOOL = os.path.join(BUILD, "test", "layouts")
PICTURE = "testsrc2=size=322x180:rate=25,fade=out:0:25"
X265 = "-c:v libx265 -tag:v hvc1 -x265-params log-level=error:"
SVT, AOM = "-c:v libsvtav1 -preset ", "-c:v libaom-av1 -cpu-used "
CODINGS = ["avc1", "hvc1", "av01"]


def rarely(*case):
    return pytest.param(*case, marks=pytest.mark.long)


def read_headers(path):
    """(title, {field: value}, bits) of each header of a packet, as ffmpeg reads them."""
    text = subprocess.run(f"ffmpeg -v trace -i {path} -map 0:v:0 -c copy -bsf:v trace_headers -f null -",
                          shell=True, capture_output=True, text=True, check=True).stderr
    out, parts = [], ("Frame Header", "Tile Group", "Sequence Header", "Metadata")
    for line in re.findall(r"\[trace_headers @ \w+\] (.*)", text[text.index("] Packet: "):]):
        field = re.match(r"(\d+) +(\S+) +([01]+) = (-?\d+)", line)
        if field and field[2] != "cabac_alignment_one_bit":
            out[-1][1][field[2]] = int(field[4])
            out[-1][2] = int(field[1]) + len(field[3])
        elif not re.match(r"\d+ |Packet|Frame \d", line) and line not in parts:
            out.append([line, {}, 0])
    return out


def raw(unit, n):
    """How many bytes hold the first n of a NAL unit without those against start codes."""
    at = zeros = 0
    while n > 0:
        if zeros >= 2 and unit[at] == 3:
            zeros = 0
        else:
            zeros, n = zeros + 1 if unit[at] == 0 else 0, n - 1
        at += 1
    return at


def is_slice(coding, unit):
    if coding == "avc1":
        return unit[0] & 31 in (1, 5)
    return unit[0] >> 1 & 63 < 10 or 16 <= unit[0] >> 1 & 63 < 22


def slices(coding, config, sample, headers):
    """(start, size) of what is behind the headers of slices."""
    n, at = (config[4 if coding == "avc1" else 21] & 3) + 1, 0
    while at < len(sample):
        size = int.from_bytes(sample[at:at + n], "big")
        unit = sample[at + n:at + n + size]
        at += n + size
        if is_slice(coding, unit):
            head = raw(unit, -(-next(headers)[2] // 8))
            yield at - size + head, size - head


def number(data, at):
    """LEB128, and where it ends."""
    value = shift = 0
    while True:
        value, shift, at = value | (data[at] & 127) << shift, shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def tiles(sample, headers):
    """(start, size) of the whole blocks of tiles; of frames with their tiles in one OBU."""
    at = 0
    while at < len(sample):
        kind, begin = sample[at] >> 3 & 15, at
        size, at = number(sample, at + 1 + (sample[at] >> 2 & 1))
        end, at = at + size, at + size
        if kind not in (3, 6):
            continue
        _, fields, bits = next(headers)
        tile, count = begin + -(-bits // 8), 1
        if "tile_size_bytes_minus1" in fields:
            count = 1 << (fields["tile_cols_log2"] + fields["tile_rows_log2"])
        for i in range(count if kind == 6 else 0):
            n = end - tile
            if i < count - 1:
                wide = fields["tile_size_bytes_minus1"] + 1
                n, tile = int.from_bytes(sample[tile:tile + wide], "little") + 1, tile + wide
            yield tile, n // 16 * 16
            tile += n


def fold(ranges, size):
    """As senc has them."""
    out, end = [], 0
    for at, n in [r for r in ranges if r[1]] + [(size, 0)]:
        clear = at - end
        while clear > 65535:
            out, clear = out + [65535, 0], clear - 65535
        out += [clear, n] if clear or n else []
        end = at + n
    return out


CASES = [
    ("-c:v libx264 -bf 3 -refs 5 -x264-params weightp=2:slices=4", 4),
    (X265 + "bframes=4:weightb=1:ref=5:slices=4", 3),
    (AOM + "8 -tiles 2x2 -t 0.5", 4),
    rarely("-c:v libx264 -bf 3 -x264-params interlaced=1:slices=3", 3),
    rarely("-c:v libx264 -coder 0 -bf 0", 1),
    rarely("-c:v libx264 -bf 3 -x264-params slices=50", 11),
    rarely(X265 + "no-wpp=1:bframes=8:b-adapt=2:ref=6:open-gop=1:keyint=20:rd=3", 1),
    rarely(X265 + "slices=8:ctu=16:aq-mode=3:cbqpoffs=3:temporal-layers=1:deblock=-2,3", 8),
    rarely("-pix_fmt yuv420p10le " + X265 + "scaling-list=default:no-sao=1:no-deblock=1:intra-refresh=1:tskip=1", 1),
    rarely(X265 + "ctu=64:max-merge=5:constrained-intra=1:slices=2:weightp=1", 2),
    rarely(SVT + "10 -g 20", 1),
    rarely(SVT + "6 -crf 1", 1),
    rarely(SVT + "10 -svtav1-params film-grain=8", 1),
    rarely(SVT + "10 -svtav1-params superres-mode=1:superres-denom=12", 1),
    rarely(SVT + "10 -svtav1-params scm=1:enable-qm=1", 1),
    rarely("-pix_fmt yuv420p10le " + SVT + "8 -svtav1-params pred-struct=1", 1),
    rarely(AOM + "6 -usage good -aom-params enable-global-motion=1:aq-mode=1:film-grain-test=5", 1),
    rarely(AOM + "8 -usage realtime -aom-params aq-mode=3:error-resilient=1", 1),
    rarely(AOM + "6 -crf 0 -aom-params lossless=1", 1),
    rarely("-pix_fmt gray " + AOM + "8", 1),
    rarely("-pix_fmt yuv444p " + AOM + "8 -aom-params enable-qm=1:deltaq-mode=1:delta-lf-mode=1", 1),
    rarely("-c:v librav1e -speed 10", 1),
]


def check(path, least):
    """The layouts of all samples; one of them hides so many pieces at least."""
    coding, config, samples = read_samples(path)
    headers = iter([h for h in read_headers(path) if h[0].startswith("Slice") or h[1].get("obu_type") in (3, 6)])
    want = [fold(tiles(s, headers) if coding == "av01" else slices(coding, config, s, headers), len(s))
            for s in samples]
    assert next(headers, None) is None
    pieces = [bytes([CODINGS.index(coding)])]
    for p in [config, *samples]:
        pieces += [struct.pack(">I", len(p)), p]
    out = subprocess.run([TOOL], input=b"".join(pieces), capture_output=True, check=True).stdout.decode()
    assert [[int(n) for n in line.split()] for line in out.splitlines()] == want
    assert max(sum(n > 0 for n in layout[1::2]) for layout in want) >= least


@pytest.mark.parametrize("options, least", CASES)
def test_headers_stay_clear(options, least, tmp_path):
    path = tmp_path / "clip.mp4"
    subprocess.run(f"ffmpeg -v error -f lavfi -i {PICTURE} -t 1 {options} {path}", shell=True, check=True,
                   capture_output=True)
    check(path, least)


@pytest.mark.long
@pytest.mark.parametrize("name", ["iphone-hevc10-hlg-dovi-rot90-elst.mp4", "phone-av1-hdr10-portrait.mp4",
                                  "android-2160p60-portrait-rot90.mp4", "snowboard-400p30-29s.mp4"])
def test_headers_of_real_clips(name, real_clips, tmp_path):
    path = tmp_path / "clip.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(real_clips, name), "-map", "0:v:0", "-c", "copy",
                    path], check=True)
    check(path, 1)
