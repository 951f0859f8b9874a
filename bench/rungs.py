#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Three rungs of one segment, wanted at once or one shortly after another: ours, which decodes the source once, against three
runs of ffmpeg, and one run of it with three outputs.

The settings are the same, as in cold.py; ffmpeg has one encoder thread for each, as each of our parts has, and the priority of
our workers.  Every round has a new server and an empty cache.

usage: bench/rungs.py [ROUNDS]
"""
import concurrent.futures
import os
import sys
import time

from measure import Server, generated, head, natural, row, rung_url, timed
from rung import Rung
from similar import first_frame

NAMES = ("720p", "540p", "360p")


def three_outputs(path, rungs, k):
    """One command for all: the options of a segment up to its input, then those of each output."""
    out = []
    for r in rungs:
        cmd = r.segment(path, k, first_frame(path))
        after = cmd.index(path) + 1
        out = [*(out or cmd[:after]), *cmd[after:-1], "-y", "/dev/null"]
    return out


def ours(path, k, apart):
    server = Server(os.path.dirname(path), MEDIA_PRESET="veryfast")
    try:
        urls = [f"{rung_url(server, path, n)}{k}.m4s" for n in NAMES]

        def get(i):
            time.sleep(i * apart)
            return server.get(urls[i])

        cpu, start = server.cpu(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(urls)) as pool:
            list(pool.map(get, range(len(urls))))
        return time.monotonic() - start, server.cpu() - cpu, server.metric("decodes_shared_total")
    finally:
        server.stop()


def compare(path, k, rounds):
    rungs = [Rung(path, n) for n in NAMES]
    commands = [r.segment(path, k, first_frame(path)) for r in rungs]
    timed(*commands)  # what is on disk is in memory now
    at_once, apart, runs, outputs = [], [], [], []
    for _ in range(rounds):
        at_once.append(ours(path, k, 0))
        runs.append(timed(*commands))
        apart.append(ours(path, k, 0.05))
        outputs.append(timed(three_outputs(path, rungs, k)))
    title = f"{os.path.basename(path)} {', '.join(NAMES)}"
    for what, mine in (("at once", at_once), ("50 ms apart", apart)):
        for peer, other in (("three runs", runs), ("three outputs", outputs)):
            for i, clock in enumerate(("wall", "CPU")):
                row(f"{title}, {what}, ffmpeg {peer}: {clock}", [m[i] for m in mine], [o[i] for o in other], "s")
        print(f"| {title}, {what}: rungs that shared another's decode | {sum(m[2] for m in mine) / rounds:.1f} of 2 | | |")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    head("three rungs of one segment")
    compare(generated("hd.mp4"), 1, rounds)
    if big := natural("bbb-1080p25-40s.mp4"):
        compare(big, 5, rounds)


main()
