#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Cached bodies: ours from memory against nginx and h2o serving the same bytes from a file.

One HTTP thread of ours against one nginx worker, both kept on the first CPU; wrk on
the second, 64 connections that are kept alive.  nginx comes twice: as Debian ships
it, against ours as it comes (both write their access log to a file), and at its
best for this (no log, open_file_cache, no tcp_nopush, connections that never end),
against ours without access lines.  So does h2o, with one thread and no log.

Then two HTTP threads against two workers of nginx at its best, on both CPUs, which
they share with wrk.

Loopback flatters who copies and not who uses sendfile: what a network card would do
to the large bodies is not measured here.

usage: bench/warm.py [ROUNDS]
"""
import os
import sys

from measure import CPUS, H2o, HIT, Nginx, Server, generated, head, hits, rows, rung_url

# Noise fills whatever rate a rung has: segments of about 100 KB, 1 MB, 4 MB.
LADDER = [{"short_side": 720, "maxrate": 8000000, "crf": 10}, {"short_side": 540, "maxrate": 2000000, "crf": 10},
          {"short_side": 240, "maxrate": 200000, "crf": 10}]
SHIPPED = "sendfile on; tcp_nopush on; gzip on; access_log {folder}/access.log;"
BEST = ("sendfile on; tcp_nopush off; access_log off; open_file_cache max=1000 inactive=1h;"
        "open_file_cache_valid 1h; keepalive_requests 1000000000;")


def compare(title, pair, paths, rounds, cpus=None):
    """pair: ours and theirs; cpus: of wrk."""
    for server, path in zip(pair, paths):
        hits(server, path, cpus)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(hits(pair[0], paths[0], cpus))
        theirs.append(hits(pair[1], paths[1], cpus))
    rows(title, HIT, ours, theirs)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    clip = generated("noise.mp4")
    both = CPUS[:2]

    def ours(level, cpus):
        return Server(os.path.dirname(clip), cpus, {"ladder": LADDER}, HTTP_THREADS=len(cpus), LOG_LEVEL=level)

    shipped, quiet, two = servers = [ours("info", both[:1]), ours("warn", both[:1]), ours("warn", both)]
    paths = {"playlist": ("720p", "index.m3u8"), "small segment": ("240p", "0.m4s"),
             "segment": ("540p", "0.m4s"), "large segment": ("720p", "0.m4s")}
    paths = {name: rung_url(shipped, clip, rung) + file for name, (rung, file) in paths.items()}
    bodies = {name.replace(" ", "-"): shipped.get(path) for name, path in paths.items()}
    for server in (quiet, two):
        for path in paths.values():
            server.get(path)
    peers = [Nginx(bodies, SHIPPED), Nginx(bodies, BEST), H2o(bodies), Nginx(bodies, BEST, cpus=both)]
    head("cached body")
    try:
        for name, path in paths.items():
            file = name.replace(" ", "-")
            title, pair_paths = f"{name} of {len(bodies[file])} bytes", (path, "/" + file)
            compare(f"{title}, nginx as shipped", (shipped, peers[0]), pair_paths, rounds)
            compare(f"{title}, nginx at its best", (quiet, peers[1]), pair_paths, rounds)
            compare(f"{title}, h2o", (quiet, peers[2]), pair_paths, rounds)
            if name in ("playlist", "segment"):
                compare(f"{title}, two threads, nginx at its best", (two, peers[3]), pair_paths, rounds, both)
    finally:
        for server in servers + peers:
            server.stop()


main()
