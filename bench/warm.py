#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Cached bodies: ours from memory against nginx serving the same bytes from a file.

One HTTP thread of ours against one nginx worker, both kept on the first CPU; wrk on
the second, 64 connections that are kept alive.  nginx comes twice: as Debian ships
it, against ours as it comes (both write their access log to a file), and at its
best for this (no log, open_file_cache, no tcp_nopush, connections that never end),
against ours without access lines.

Loopback flatters who copies and not who uses sendfile: what a network card would do
to the large bodies is not measured here.

usage: bench/warm.py [ROUNDS]
"""
import os
import sys

from measure import CPUS, HIT, Nginx, Server, generated, head, hits, rows, rung_url

# Noise fills whatever rate a rung has: segments of about 100 KB, 1 MB, 4 MB.
LADDER = [{"short_side": 720, "maxrate": 8000000, "crf": 10}, {"short_side": 540, "maxrate": 2000000, "crf": 10},
          {"short_side": 240, "maxrate": 200000, "crf": 10}]
SHIPPED = "sendfile on; tcp_nopush on; gzip on; access_log {folder}/access.log;"
BEST = ("sendfile on; tcp_nopush off; access_log off; open_file_cache max=1000 inactive=1h;"
        "open_file_cache_valid 1h; keepalive_requests 1000000000;")


def compare(name, size, theirs_as, pair, paths, rounds):
    """pair: ours and theirs."""
    for server, path in zip(pair, paths):
        hits(server, path)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(hits(pair[0], paths[0]))
        theirs.append(hits(pair[1], paths[1]))
    rows(f"{name} of {size} bytes, nginx {theirs_as}", HIT, ours, theirs)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    clip = generated("noise.mp4")
    config = {"ladder": LADDER}
    servers = [Server(os.path.dirname(clip), CPUS[:1], config, HTTP_THREADS=1, LOG_LEVEL=level)
               for level in ("info", "warn")]
    paths = {"playlist": ("720p", "index.m3u8"), "small segment": ("240p", "0.m4s"),
             "segment": ("540p", "0.m4s"), "large segment": ("720p", "0.m4s")}
    paths = {name: rung_url(servers[0], clip, rung) + file for name, (rung, file) in paths.items()}
    bodies = {name.replace(" ", "-"): servers[0].get(path) for name, path in paths.items()}
    for path in paths.values():
        servers[1].get(path)
    peers = [Nginx(bodies, SHIPPED), Nginx(bodies, BEST)]
    head("cached body")
    try:
        for name, path in paths.items():
            file = name.replace(" ", "-")
            for theirs_as, *pair in zip(("as shipped", "at its best"), servers, peers):
                compare(name, len(bodies[file]), theirs_as, pair, (path, "/" + file), rounds)
    finally:
        for server in servers + peers:
            server.stop()


main()
