#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many viewers of short videos that nobody has made: from less than the machine can encode to three times that.

A crowd (tidemill-viewers, open loop) swipes through videos that all differ, so nearly every segment is
encoded.  First at rising rates, each with a new server: what is played in a second, as a share of the
most that was (the peak).  Then at three times the rate of the peak for SECONDS.  Meanwhile one client asks
for one cached segment fifty times a second.  What nobody fetched costs workers' time too: of jobs that were
cancelled, and of segments that were begun ahead and never asked for.

usage: bench/crowd.py [SECONDS]
"""
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time

from measure import BUILD, MEDIA, Server, generated, number, rung_url

VIDEOS = 4000
RATES = 0.5, 1, 2, 3, 4  # visits a second
SETTLE = 30              # seconds of each
LADDER = [{"short_side": 360, "maxrate": 700000, "crf": 23}]


def folder_of_videos():
    """As many names of one clip: an asset each."""
    source, folder = generated("base.mp4"), os.path.join(MEDIA, "crowd")
    os.makedirs(folder, exist_ok=True)
    for i in range(VIDEOS):
        path = os.path.join(folder, f"{i}.mp4")
        if not os.path.exists(path):
            os.link(source, path)
    return folder


class Prober(threading.Thread):
    """Asks for one cached segment all the time."""

    def __init__(self, server, path):
        super().__init__(daemon=True)
        self.server, self.path, self.times, self.ends = server, path, [], False
        server.get(path)
        self.start()

    def run(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        while not self.ends:
            begin = time.perf_counter()
            c.request("GET", self.path)
            assert c.getresponse().read()
            self.times.append(time.perf_counter() - begin)
            time.sleep(0.02)
        c.close()

    def p99(self):
        self.ends = True
        self.join()
        return statistics.quantiles(self.times, n=100)[98]


def start(folder):
    server = Server(folder, config={"ladder": LADDER}, LOG_LEVEL="warn")
    return server, rung_url(server, "0.mp4", "360p") + "0.m4s"


def visit(folder, names, rate, seconds):
    """What a crowd felt, the server's p99 of a hit meanwhile, and the share of work for nobody."""
    server, hot = start(folder)
    prober = Prober(server, hot)
    out = subprocess.run([os.path.join(BUILD, "tidemill-viewers"), "--videos", names, "--zipf", "0", "--rate", str(rate),
                          "--seconds", str(seconds), "--limit", str(seconds), "--cmcd", "query", "--quiet", "--json", "-",
                          f"http://127.0.0.1:{server.port}/"], stdout=subprocess.PIPE, check=True)
    felt = json.loads(out.stdout)
    felt["hit_p99"], felt["vain"] = prober.p99(), vain(server)
    felt["goodput"] = felt["played_ms"] / felt["ms"]
    server.stop()
    return felt


def vain(server):
    """The share of the workers' time that nobody had anything of."""
    m = {n: server.metric(n + "_total") for n in ("workers_busy_us", "workers_vain_us", "ahead_begun", "ahead_used", "ahead_void",
                                                  "encodes_video", "encodes_audio")}
    unused = m["ahead_begun"] - m["ahead_used"] - m["ahead_void"]
    made = m["encodes_video"] + m["encodes_audio"]
    return (m["workers_vain_us"] + (m["workers_busy_us"] - m["workers_vain_us"]) * unused / made) / m["workers_busy_us"]


def unloaded(folder):
    server, hot = start(folder)
    prober = Prober(server, hot)
    time.sleep(10)
    p99 = prober.p99()
    server.stop()
    return p99


def row(rate, felt, peak, p99):
    start_up, made = felt["startup"], felt["made_last_byte"]
    print(f"| {rate:g} | {felt['goodput']:.2f} s/s, **{felt['goodput'] / peak:.2f}** | {start_up['p50'] / 1000:.2f} s, "
          f"{start_up['p99'] / 1000:.2f} s | {100 * felt['stalled_ms'] / max(1, felt['played_ms']):.1f} % | "
          f"{felt['visits']}, {felt['impatient'] + felt['failed_visits']} | {felt['refused']} | {made['max'] / 1000:.1f} s | "
          f"{100 * felt['vain']:.0f} % | {felt['hit_p99'] * 1000:.1f} ms, **{number(felt['hit_p99'] / p99)}** |", flush=True)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    folder = folder_of_videos()
    names = os.path.join(MEDIA, "crowd.txt")
    with open(names, "w") as f:
        f.writelines(f"{i}.mp4\n" for i in range(1, VIDEOS))
    p99 = unloaded(folder)
    print(f"\n99th percentile of a hit, no other load: {p99 * 1000:.1f} ms\n")
    print("| visits a second | played, of the peak | first picture: median, 99 % | stalled | visits, gone without | refused |"
          " longest answer | work for nobody | 99 % of hits, to no load |\n|---|---|---|---|---|---|---|---|---|", flush=True)
    seen = {rate: visit(folder, names, rate, SETTLE) for rate in RATES}
    peak = max(f["goodput"] for f in seen.values())
    for rate, felt in seen.items():
        row(rate, felt, peak, p99)
    best = max(seen, key=lambda rate: seen[rate]["goodput"])
    row(3 * best, visit(folder, names, 3 * best, seconds), peak, p99)


main()
