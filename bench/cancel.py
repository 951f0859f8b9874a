#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The last client leaves: how long until its encode stops.

A client asks for a cold segment of a large source and hangs up at a random moment
while the workers are at it.  Then the workers' CPU clocks are read every half
millisecond: the encode has stopped when they ran for the last time.  Nothing of the
abandoned segment is cached, so one segment serves all rounds.

The bound is 200 ms: a worker that goes on for workers.cancel (160 ms) is killed.

usage: bench/cancel.py [ROUNDS]
"""
import os
import random
import socket
import statistics
import sys
import time

from measure import Server, cpu, generated, number, remuxed, rung_url

BOUND = 0.2
WATCHED = 0.6  # seconds without CPU time after which nothing more is to come
STEP = 0.0005
PATIENCE = 30


class Clocks:
    """CPU clocks of a server's workers.  One that has died has stopped, and another may take its place."""

    def __init__(self, server):
        self.server, self.seen = server, {}

    def busy(self, pids=None):
        for pid in self.server.workers():
            try:
                self.seen[pid] = cpu(pid)
            except OSError:
                pass
        return sum(used for pid, used in self.seen.items() if pids is None or pid in pids)

    def died(self):
        return len(set(self.seen) - set(self.server.workers()))


def leave(server, workers, url, delay):
    """Seconds from close() until the workers ran for the last time."""
    idle, before = workers.busy(), dict(workers.seen)
    s = socket.create_connection(("127.0.0.1", server.port))
    s.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    late = time.monotonic() + PATIENCE
    while workers.busy() < idle + delay:  # so far into the work, whatever else the machine does
        assert time.monotonic() < late, "the work does not take so much CPU time"
        time.sleep(STEP)
    s.close()
    closed = last = time.monotonic()
    at_it = {pid for pid, used in workers.seen.items() if used > before.get(pid, 0)}  # others tidy up after ten seconds
    was = workers.busy(at_it)
    while (now := time.monotonic()) < last + WATCHED:
        if (used := workers.busy(at_it)) != was:
            was, last = used, now
        time.sleep(STEP)
    return last - closed


def measure(path, rung, k, rounds):
    server = Server(os.path.dirname(path))
    try:
        url = rung_url(server, path, rung)
        server.get(url + "init.mp4")
        before = server.metric("jobs_cancelled_total")
        chance, workers = random.Random(1), Clocks(server)
        times = sorted(leave(server, workers, f"{url}{k}.m4s", chance.uniform(0.005, 0.8)) for _ in range(rounds))
        cancelled = server.metric("jobs_cancelled_total") - before
        killed = workers.died()
        made = server.metric("encodes_video_total")
    finally:
        server.stop()
    late = sum(t > BOUND for t in times)
    figures = [times[0], statistics.median(times), times[(rounds * 95 - 1) // 100], times[-1]]
    print(f"| {os.path.basename(path)} {rung} | {rounds} | {' | '.join(number(t * 1000) for t in figures)} | "
          f"{late} | {killed} |", flush=True)
    if made or cancelled != rounds:
        print(f"{path}: {cancelled} of {rounds} cancelled, {made} made", file=sys.stderr)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    print("\n| from the last client's leaving to the end of the encode, ms | rounds | least | median | 95 % | most | "
          f"over {BOUND * 1000:.0f} | killed |\n|---|---|---|---|---|---|---|---|")
    measure(generated("hd.mp4"), "1080p", 1, rounds)
    if big := remuxed("bbb-1080p25-h264-aac-40s.ts", "bbb-1080p25-40s.mp4"):
        measure(big, "720p", 5, rounds)


main()
