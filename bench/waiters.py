#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A thousand clients that wait for one cold body, against the same who ask for it when it is there.

The origin holds what the body is made of until all of them have asked and joined.
Then it lets go: the first byte at any client, the first at the last one, and the last
byte at the last one.  Afterwards the same clients on the same connections ask again,
which are hits: the bytes of all over the time that they take are what loopback and
these programs can do at all, and their CPU is what an answer costs.  What making costs
the server's process is what it takes with one client who waits alone for another asset.

A body that is sent whole ends one wait.  A segment is sent as it is made: a wait and a
write for each fragment of half a second.

The server on the first CPU, the clients (test/tools/herd.c) on the second.

usage: bench/waiters.py [ROUNDS [CLIENTS]]
"""
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from measure import BUILD, CPUS, Server, cpu, generated, number, pinned, spread

from edge import Playlist
from peers import Origin, Shelf

HITS = 3
# Noise fills whatever rate a rung has.
CONFIG = {"ladder": [{"short_side": 180, "maxrate": 2000000, "crf": 15},
                     {"short_side": 120, "maxrate": 100000, "crf": 30}],
          "http": {"connections": 4096, "entry_age": "1h"}, "origin": {"timeout": "60s"}}
WARM = "warm.mp4"


class Herd:
    def __init__(self, server, clients):
        self.server = server
        cmd = [os.path.join(BUILD, "test", "herd"), str(server.port), str(clients)]
        self.process = subprocess.Popen(pinned(CPUS[1:2], cmd), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        assert self.process.stdout.readline() == "connected\n"

    def ask(self, path, when_asked=lambda: None):
        """What the herd tells, and the CPU microseconds of the server's process."""
        before = cpu(self.server.pid)
        self.process.stdin.write(path + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "asked\n"
        when_asked()
        told = json.loads(self.process.stdout.readline())
        return {**told, "cpu": 1e6 * (cpu(self.server.pid) - before)}

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def ask_twice(origin, server, path, clients):
    """The answers to those who waited, and to the same when they ask again (medians)."""
    joined = server.metric("cache_joins_total") + clients - 1

    def let_go():
        end = time.monotonic() + 30
        while server.metric("cache_joins_total") < joined:
            assert time.monotonic() < end, "they do not join"
            time.sleep(0.1)
        origin.clear()

    origin.fault("hold", n=0, count=0, path="/" + path.split("/")[1], method="GET")
    herd = Herd(server, clients)
    herd.ask(f"/{WARM}/master.m3u8")  # the first request of a connection costs more
    waited = herd.ask(path, let_go)
    hits = [herd.ask(path) for _ in range(HITS)]
    herd.stop()
    return waited, {name: statistics.median(h[name] for h in hits) for name in waited}


def measure(origin, server, shelf, path, clients):
    alone, _ = ask_twice(origin, server, path(shelf.take()), 1)
    waited, hit = ask_twice(origin, server, path(shelf.take()), clients)
    made = (alone["last"] - alone["first"]) / 1000
    took = (waited["last"] - waited["first"]) / 1000
    wait = (waited["cpu"] - alone["cpu"]) / clients
    return {"bytes": waited["bytes"] / clients, "first": (waited["first_last"] - waited["first"]) / 1000,
            "took": took, "alone": made, "hits": hit["last"] / 1000, "ratio": took / max(hit["last"] / 1000, made),
            "wait": wait, "hit": hit["cpu"] / clients, "more": wait - hit["cpu"] / clients}


def head(clients):
    print(f"\n| {clients} who wait for | bytes | first byte, first to last client, ms | first to last byte, ms |"
          " the same with one client | hits | to the slower of these | CPU a wait, us | a hit | more |"
          "\n|---|---|---|---|---|---|---|---|---|---|")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with contextlib.ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="tidemill-bench-"))
        shelf = Shelf(folder, generated("tiny-noise.mp4"))
        origin = Origin(folder)
        running.callback(origin.stop)
        server = Server(origin.url, CPUS[:1], CONFIG, CACHE_DISK_ENABLED="false", LOG_LEVEL="warn", WORKERS_AHEAD=0)
        running.callback(server.stop)
        server.get(f"/{shelf.take(WARM)}/master.m3u8")

        def segment(rung):
            return lambda asset: next(f for n, f, _ in Playlist(server, asset).renditions() if n == rung) + "0.m4s"

        head(clients)
        for name, path in (("a picture", lambda asset: f"/{asset}/poster.jpg"), ("a small segment", segment("120p")),
                           ("a segment", segment("180p"))):
            seen = [measure(origin, server, shelf, path, clients) for _ in range(rounds)]
            cell = {k: spread([s[k] for s in seen], number) for k in seen[0]}
            print(f"| {name} | {seen[0]['bytes']:.0f} | **{cell['first']}** | {cell['took']} | {cell['alone']} |"
                  f" {cell['hits']} | **{cell['ratio']}** | {cell['wait']} | {cell['hit']} | **{cell['more']}** |",
                  flush=True)


main()
