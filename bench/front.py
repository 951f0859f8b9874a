#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The front of x264's settings, and of swscale's: what they cost at the quality of ffmpeg's veryfast, crf 23.

Four seconds of each clip are decoded and scaled once.  Each candidate encodes these pictures with one thread, at three
CRFs, with an IDR picture wherever a part of ours begins, and without a maxrate: where a rate binds, no CRF mends a
setting that needs more bits.  Between the three lies the CRF at which the mean SSIM (of all planes) is veryfast's at 23.
What is told is CPU and bytes there beside veryfast's: the geometric mean of all clips, the least and the most.

CPU: of the ffmpeg process, less that of one that reads the same pictures and codes none.  Candidates take turns; it is
the least of the rounds, because what a neighbour on the machine adds to it is never negative.

usage: CLIPS=FOLDER bench/front.py [ROUNDS [CANDIDATE...]]
"""
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile

from measure import NATURAL, natural
from rung import Rung
from similar import FFMPEG, Pictures

PEER, CRFS, MIDDLE = "veryfast", (21, 23, 25), 1
ONE_BY_ONE = ["subme=1", "me=dia", "trellis=1", "aq-mode=2", "bframes=1", "rc-lookahead=5", "partitions=p8x8,i8x8"]
CANDIDATES = [*(f"veryfast {change}" for change in ONE_BY_ONE), "jit", "superfast"]
SCALERS = ["bicubic", "bilinear", "area", "fast_bilinear"]


def run(args):
    """CPU seconds of ffmpeg."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*FFMPEG, *args], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def at(x, xs, ys):
    """On the line through the two points that x lies between, or beyond."""
    points = sorted(zip(xs, ys))
    i = 0 if x <= points[1][0] else len(points) - 2
    (x0, y0), (x1, y1) = points[i:i + 2]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x1 != x0 else y0


def uncapped(settings):
    for rate in ("-maxrate", "-bufsize", "-rc_init_occupancy"):
        i = settings.index(rate)
        settings = settings[:i] + settings[i + 2:]
    return settings


class Curve:
    """What a candidate, a preset and perhaps parameters, needs of a clip, by CRF."""

    def __init__(self, pictures, candidate, folder):
        self.pictures, self.candidate, self.out = pictures, candidate, os.path.join(folder, "coded.h264")
        self.cpu, self.bytes, self.luma, self.all = [math.inf] * len(CRFS), [], [], []

    def encode(self, crf):
        preset, _, params = self.candidate.partition(" ")
        rung = self.pictures.rung
        return run([*self.pictures.read(), *uncapped(rung.encoder(1, preset, crf, params)), *rung.keys(),
                    "-f", "h264", self.out])

    def round(self, idle):
        for i, crf in enumerate(CRFS):
            self.cpu[i] = min(self.cpu[i], self.encode(crf) - idle)
            if i == len(self.bytes):
                self.bytes.append(os.path.getsize(self.out))
                luma, every = self.pictures.similarity(self.out)
                self.luma.append(luma)
                self.all.append(every)

    def where(self, similarities, target):
        """CRF, CPU and bytes where these similarities reach the target."""
        crf = at(target, similarities, CRFS)
        return crf, at(crf, CRFS, self.cpu), math.exp(at(crf, CRFS, [math.log(b) for b in self.bytes]))


def spread(values, digits):
    mean = math.exp(statistics.mean(map(math.log, values)))
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def differ(values):
    return f"{min(values):+.4f} to {max(values):+.4f}"


def table(curves):
    print("| settings | CPU | bytes | bytes, by the luma's SSIM | CRF | at CRF 23: CPU | bytes | SSIM |\n|---|" + "---|" * 7)
    for candidate, own in curves.items():
        pairs = list(zip(own, curves[PEER]))
        rows = [c.where(c.all, p.all[MIDDLE]) for c, p in pairs]
        by_luma = [c.where(c.luma, p.luma[MIDDLE])[2] / p.bytes[MIDDLE] for c, p in pairs]
        cells = [spread([r[1] / p.cpu[MIDDLE] for r, (_, p) in zip(rows, pairs)], 2),
                 spread([r[2] / p.bytes[MIDDLE] for r, (_, p) in zip(rows, pairs)], 3), spread(by_luma, 3),
                 f"{statistics.mean(r[0] for r in rows):.1f}",
                 spread([c.cpu[MIDDLE] / p.cpu[MIDDLE] for c, p in pairs], 2),
                 spread([c.bytes[MIDDLE] / p.bytes[MIDDLE] for c, p in pairs], 3),
                 differ([c.all[MIDDLE] - p.all[MIDDLE] for c, p in pairs])]
        print(f"| {candidate} | {' | '.join(cells)} |", flush=True)


# ---- scalers

def filters(rung, flags):
    return rung.scaler().replace("bicubic", flags)


def scalers(rounds):
    """Of one large source: CPU beside bicubic's, decoding not counted, and likeness to lanczos."""
    source = natural("bbb-1080p25-40s.mp4")
    print("\n| scaler | 720p: CPU | SSIM to lanczos | 240p: CPU | SSIM to lanczos |\n|---|---|---|---|---|")
    cells = {flags: [] for flags in SCALERS}
    for rung in (Rung(source, name) for name in ("720p", "240p")):
        read = ["-threads", "1", "-ss", "12", "-i", source, "-frames:v", "100", "-an"]
        cpu = {flags: math.inf for flags in ["null", *SCALERS]}
        for _ in range(2 * rounds):
            for flags in cpu:
                chain = "null" if flags == "null" else filters(rung, flags)
                cpu[flags] = min(cpu[flags], run([*read, "-vf", chain, "-f", "null", "-"]))
        for flags in SCALERS:
            pair = f"split[a][b];[a]{filters(rung, flags)}[c];[b]{filters(rung, 'lanczos')}[d];[c][d]ssim"
            text = subprocess.run(["ffmpeg", "-nostdin", *read, "-lavfi", pair, "-f", "null", "-"], capture_output=True,
                                  text=True, check=True).stderr
            cells[flags] += [f"{(cpu[flags] - cpu['null']) / (cpu['bicubic'] - cpu['null']):.2f}",
                             re.search(r"All:([\d.]+)", text)[1]]
    for flags, row in cells.items():
        print(f"| {flags} | {' | '.join(row)} |")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    candidates = sys.argv[2:] or CANDIDATES
    with tempfile.TemporaryDirectory(prefix="tidemill-front-") as folder:
        clips = [Pictures(natural(name), Rung(natural(name), rung), k, os.path.join(folder, f"{i}.yuv"))
                 for i, (name, rung, k) in enumerate(NATURAL) if natural(name)]
        curves = {c: [Curve(p, c, folder) for p in clips] for c in [PEER, *candidates]}
        for _ in range(rounds):
            for i, pictures in enumerate(clips):
                idle = min(run([*pictures.read(), "-f", "null", "-"]) for _ in range(2))
                for own in curves.values():
                    own[i].round(idle)
        table(curves)
    scalers(rounds)


main()
