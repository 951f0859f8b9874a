#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A cold video segment: the whole job against its stages, each run alone by the ffmpeg program.

Decoding the segment's pictures; scaling them, raw; encoding the scaled ones, raw, with one encoder thread and the settings
of cold.py.  Of each the CPU of a run that does all but that is taken off: of one that makes one tiny picture, or
that reads the same raw ones.  So programs are started and raw pictures read for nothing.

And how much of two cores one segment keeps busy: its wall time on all of them, of its CPU.

usage: bench/stages.py [ROUNDS]
"""
import os
import subprocess
import sys
import tempfile

from cold import one_round
from measure import CPUS, generated, head, natural, number, row, spread, timed
from rung import Rung
from similar import FFMPEG, first_frame, raw_input

TO_NOWHERE = ["-f", "null", "-"]


def source_pictures(path):
    """Width, height and layout of the pixels."""
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height,pix_fmt",
                          "-of", "csv=p=0", path], capture_output=True, text=True, check=True).stdout
    width, height, layout = out.strip().split(",")[:3]
    return f"{width}x{height}", layout


class Stages:
    """Of segment k of a file: pairs of commands, one that does its work and one that does not."""

    def __init__(self, path, rung, k, folder):
        size, layout = source_pictures(path)
        decode = [*FFMPEG, "-ss", f"{rung.start(k, first_frame(path)):.6f}", "-i", path, "-frames:v", str(rung.frames), "-an",
                  "-sn"]
        large, small = (os.path.join(folder, name) for name in ("large", "small"))
        subprocess.run([*decode, "-fps_mode", "passthrough", "-f", "rawvideo", large], check=True)
        read = [*FFMPEG, *raw_input(large, size, rung.fps, layout)]
        subprocess.run([*read, "-vf", rung.scaler(), "-f", "rawvideo", small], check=True)
        read_small = [*FFMPEG, *raw_input(small, f"{rung.width}x{rung.height}", rung.fps)]
        nothing = [*FFMPEG, "-f", "lavfi", "-i", "nullsrc=size=16x16", "-frames:v", "1"]
        self.pairs = [(decode, nothing), ([*read, "-vf", rung.scaler()], read),
                      ([*read_small, *rung.encoder(), *rung.keys()], read_small)]

    def cpu(self):
        """Of each."""
        return [timed([*work, *TO_NOWHERE])[1] - timed([*idle, *TO_NOWHERE])[1] for work, idle in self.pairs]


def measure(path, name, k, rounds):
    rung = Rung(path, name)
    title = f"{os.path.basename(path)} {name} {rung.width}x{rung.height}"
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        stages = Stages(path, rung, k, folder)
        ours, theirs = zip(*((one_round(path, name, k, [], MEDIA_PRESET="veryfast")[1], stages.cpu())
                             for _ in range(rounds)))
    row(f"{title}: CPU, decoding, scaling and encoding alone", [o[1] for o in ours], [sum(t) for t in theirs], "s")
    for i, what in enumerate(("decoding", "scaling", "encoding")):
        print(f"| {title}: {what} alone | | | {spread([t[i] for t in theirs], number)} s |", flush=True)
    print(f"| {title}: wall time x {len(CPUS)} cores / CPU | "
          f"**{spread([o[0] * len(CPUS) / o[1] for o in ours], number)}** | | |", flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    head("cold video segment, whole and in stages")
    measure(generated("hd.mp4"), "720p", 1, rounds)
    for name, rung, k in (("bbb-1080p25-40s.mp4", "720p", 5), ("sintel-480p25-26s.mp4", "360p", 3)):
        if path := natural(name):
            measure(path, rung, k, rounds)


main()
