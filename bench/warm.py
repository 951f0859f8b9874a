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
import re
import subprocess
import sys
import tempfile

from measure import CPUS, WRK_FIGURES, Server, await_port, children, cpu, free_ports, generated, head, pinned, row, rung_url, wrk

# Noise fills whatever rate a rung has: segments of about 100 KB, 1 MB, 4 MB.
LADDER = [{"short_side": 720, "maxrate": 8000000, "crf": 10}, {"short_side": 540, "maxrate": 2000000, "crf": 10},
          {"short_side": 240, "maxrate": 200000, "crf": 10}]
SHIPPED = "sendfile on; tcp_nopush on; gzip on; access_log {folder}/access.log;"
BEST = ("sendfile on; tcp_nopush off; access_log off; open_file_cache max=1000 inactive=1h;"
        "open_file_cache_valid 1h; keepalive_requests 1000000000;")
CONFIG = """worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
{user}
events {{ worker_connections 768; }}
http {{
    include /etc/nginx/mime.types; default_type application/octet-stream; types_hash_max_size 2048;
    client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
    uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
    {how}
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


class Nginx:
    def __init__(self, bodies, how):
        self.folder = tempfile.TemporaryDirectory(prefix="tidemill-bench-")
        os.chmod(self.folder.name, 0o755)
        for name, body in bodies.items():
            with open(os.path.join(self.folder.name, name), "wb") as f:
                f.write(body)
        self.port, = free_ports(1)
        path = os.path.join(self.folder.name, "conf")
        with open(path, "w") as f:
            f.write(CONFIG.format(folder=self.folder.name, port=self.port, how=how.format(folder=self.folder.name),
                                  user="user www-data;" if os.getuid() == 0 else ""))
        self.process = subprocess.Popen(pinned(CPUS[:1], ["/usr/sbin/nginx", "-c", path]),
                                        stderr=subprocess.DEVNULL)
        await_port(self.port, self.process)

    def cpu(self):
        return sum(map(cpu, [self.process.pid, *children(self.process.pid)]))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def compare(name, size, theirs_as, pair, paths, rounds):
    """pair: ours and theirs."""
    for server, path in zip(pair, paths):
        wrk(server, path)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(wrk(pair[0], paths[0]))
        theirs.append(wrk(pair[1], paths[1]))
    for i, (figure, unit, scale) in enumerate(WRK_FIGURES):
        row(f"{name} of {size} bytes, nginx {theirs_as}: {figure}", [r[i] for r in ours], [r[i] for r in theirs],
            unit, scale)


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
