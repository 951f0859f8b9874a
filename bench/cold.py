#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""One cold video segment: ours against the ffmpeg program making the same segment.

The same source, the same 4 seconds, the same encoder settings (read from
`tidemill probe`); rounds are interleaved, so the ratio of each round compares
like with like.  Prints the median of the per-round ratios, with their spread.

usage: bench/cold.py [ROUNDS] [FILE]
"""
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
import clips  # noqa: E402
from edge import BUILD, Edge, Playlist  # noqa: E402

SEGMENT = 4.0


def settings(path, rung):
    out = subprocess.run([os.path.join(BUILD, "tidemill"), "probe", path], capture_output=True, text=True,
                         check=True).stdout
    m = re.search(rf"{rung} +(\d+)x(\d+), crf (\d+), at most (\d+) kb/s", out)
    return m.groups()


def cpu_of(pids):
    """CPU seconds of these processes so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def ours(edge, url):
    pids = [edge.process.pid, *edge.worker_pids()]
    cpu, start = cpu_of(pids), time.monotonic()
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", edge.port)
    c.request("GET", url)
    r = c.getresponse()
    first = None
    size = 0
    while chunk := r.read1(65536):
        first = first or time.monotonic() - start
        size += len(chunk)
    wall = time.monotonic() - start
    c.close()
    return wall, cpu_of(pids) - cpu, first, size


def theirs(path, k, want):
    w, h, crf, rate = want
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".mp4") as out:
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-ss", str(k * SEGMENT), "-i", path, "-t", str(SEGMENT), "-an",
             "-vf", f"scale={w}:{h}:flags=bicubic", "-c:v", "libx264", "-preset", "veryfast", "-crf", crf,
             "-maxrate", rate + "k", "-bufsize", rate + "k", "-profile:v", "high", "-g", "60", "-keyint_min", "60",
             "-sc_threshold", "0", "-flags", "+cgop", "-movflags", "frag_keyframe+empty_moov", out.name], check=True)
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return wall, cpu, os.path.getsize(out.name)


def line(name, values):
    print(f"{name:<34} {statistics.median(values):.3f}  ({min(values):.3f} .. {max(values):.3f})")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    folder = tempfile.mkdtemp()
    path = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.join(folder, clips.make(folder, "hd.mp4"))
    name, rung = os.path.basename(path), "720p"
    want = settings(path, rung)
    rows = []
    for i in range(rounds):
        # A new cache each round: the segment is cold, the index and source are not.
        edge = Edge(os.path.dirname(path), tempfile.mkdtemp())
        playlist = Playlist(edge, name)
        url = next(f for n, f, _ in playlist.renditions() if n == rung)
        edge.ok(url + "init.mp4")
        edge.ok(url + "0.m4s")
        order = [lambda: ours(edge, url + "1.m4s"), lambda: theirs(path, 1, want)]
        if i % 2:
            b, a = order[1](), order[0]()
        else:
            a, b = order[0](), order[1]()
        rows.append((a, b))
        edge.stop()
    print(f"{name}, {rung} {want[0]}x{want[1]} crf {want[2]} maxrate {want[3]}k, segment 1, {rounds} rounds")
    line("ours, wall s", [a[0] for a, _ in rows])
    line("ours, first byte s", [a[2] for a, _ in rows])
    line("ffmpeg, wall s", [b[0] for _, b in rows])
    line("ours, CPU s", [a[1] for a, _ in rows])
    line("ffmpeg, CPU s", [b[1] for _, b in rows])
    line("wall, ours / ffmpeg", [a[0] / b[0] for a, b in rows])
    line("CPU, ours / ffmpeg", [a[1] / b[1] for a, b in rows])
    line("first byte / ffmpeg's last", [a[2] / b[0] for a, b in rows])
    line("bytes, ours / ffmpeg", [a[3] / b[2] for a, b in rows])


main()
