#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A rung watched from one end to the other: ours, segment after segment, against ffmpeg making all of it in one run.

Of a clip with a keyframe every ten seconds, so that most segments begin within a GOP.  The settings are the same, as in
cold.py; ffmpeg has one encoder thread, as each of our parts has, and the priority of our workers.

One viewer has one worker: what is compared is CPU.  Many viewers, each with a clip of his own, have as many workers as
there are cores, and so many runs of ffmpeg go on beside each other: media seconds made a second.

usage: bench/sequence.py [ROUNDS]
"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time

from measure import CPUS, MEDIA, Playlist, Server, generated, head, natural, row, rung_url, timed, with_long_gops
from rung import Rung

VIEWERS = 2 * len(CPUS)


def whole(rung, path):
    """ffmpeg making all segments of the rung."""
    return ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-an", "-sn", "-vf", rung.scaler(), *rung.encoder(),
            *rung.keys(), "-movflags", "empty_moov+default_base_moof", "-frag_duration", "500000", "-f", "mp4", "-y", "/dev/null"]


def watch(server, path, name):
    """All segments, one after another."""
    url = rung_url(server, path, name)
    for uri in Playlist(server, os.path.basename(path)).media(url)[2]:
        server.get(url + uri)


def serve(folder, workers):
    return Server(folder, MEDIA_PRESET="veryfast", WORKERS_COUNT=workers, WORKERS_AHEAD=0, WORKERS_PARTS=1,
                  WORKERS_PATIENCE=0, WORKERS_QUEUE_WAIT="10m")


def one_viewer(path, name, rounds):
    rung, mine, other, decoded = Rung(path, name), [], [], 0
    for _ in range(rounds):
        server = serve(os.path.dirname(path), 1)
        try:
            rung_url(server, path, name)  # it is probed
            cpu = server.cpu()
            watch(server, path, name)
            mine.append(server.cpu() - cpu)
            decoded = server.metric("frames_decoded_total") / server.metric("frames_encoded_total")
        finally:
            server.stop()
        other.append(timed(whole(rung, path))[1])
    title = f"{os.path.basename(path)} {name} {rung.width}x{rung.height}"
    row(f"{title}: CPU", mine, other, "s")
    print(f"| {title}: pictures decoded for each that is made | {decoded:.3f} | | |", flush=True)


def many_viewers(path, name, rounds):
    rung, mine, other = Rung(path, name), [], []
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-", dir=MEDIA) as folder:
        copies = [os.path.join(folder, f"{i}.mp4") for i in range(VIEWERS)]
        for c in copies:
            os.link(path, c)
        for _ in range(rounds):
            server = serve(folder, len(CPUS))
            try:
                for c in copies:
                    rung_url(server, c, name)
                with concurrent.futures.ThreadPoolExecutor(VIEWERS) as pool:
                    start = time.monotonic()
                    list(pool.map(lambda c: watch(server, c, name), copies))
                    mine.append(1 / (time.monotonic() - start))
            finally:
                server.stop()
            with concurrent.futures.ThreadPoolExecutor(len(CPUS)) as pool:
                start = time.monotonic()
                list(pool.map(lambda c: timed(whole(rung, c)), copies))
                other.append(1 / (time.monotonic() - start))
    seconds = VIEWERS * float(subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0",
                                              path], capture_output=True, text=True, check=True).stdout)
    title = f"{os.path.basename(path)} {name} {rung.width}x{rung.height}, {VIEWERS} viewers"
    row(f"{title}: media seconds a second", mine, other, "s/s", seconds)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    head("watched from one end to the other")
    clip = with_long_gops(natural("bbb-1080p25-40s.mp4") or generated("hd-60s.mp4"))
    one_viewer(clip, "720p", rounds)
    many_viewers(clip, "720p", rounds)


main()
