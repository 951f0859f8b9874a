#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ten thousand connections that have asked once and are kept: what they cost, and whom they disturb.

Memory: what the server's process has for itself (Private_Dirty) after they have come,
less before, for each of them.  Kernel memory of the sockets is not in it.

Others' hits: wrk asks for a cached playlist, in turn while they stay and when they
are gone, and each pair of neighbours gives a ratio.  The server on the first CPU,
wrk on the second.

Both ends of a connection are on this machine: where its limit of descriptors does not
allow so many, there are as many as it does.

usage: bench/idle.py [ROUNDS [CONNECTIONS]]
"""
import os
import re
import resource
import socket
import sys
import time

from measure import CPUS, HIT, Server, generated, head, hits, number, rows

SPARE = 500  # descriptors for all else


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def own_memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return 1024 * int(re.search(r"^Private_Dirty: +(\d+)", f.read(), re.M)[1])


def ask_and_stay(port, path, n):
    """n connections, each of which has had one answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    sockets = []
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(request)
        assert s.recv(65536).startswith(b"HTTP/1.1 200 "), "no answer"
        sockets.append(s)
    return sockets


def leave(server, sockets):
    for s in sockets:
        s.close()
    while server.metric("http_connections") > 10:
        time.sleep(0.05)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    n = min(int(sys.argv[2]) if len(sys.argv) > 2 else 10000, raise_limit() - SPARE)
    clip = generated("tiny-noise.mp4")
    config = {"http": {"connections": n + SPARE, "idle_timeout": "1h"}}
    server = Server(os.path.dirname(clip), CPUS[:1], config, HTTP_THREADS=1, LOG_LEVEL="warn")
    try:
        path = f"/{os.path.basename(clip)}/master.m3u8"
        server.get(path)
        leave(server, ask_and_stay(server.port, path, 200))  # what the first few cost is not of each
        before = own_memory(server.pid)
        idle = ask_and_stay(server.port, path, n)
        each = (own_memory(server.pid) - before) / n
        print(f"\n{n} idle connections: {number(each / 1024)} KiB each")
        hits(server, path)
        with_them, without = [], []
        for i in range(rounds):
            if i:
                idle = ask_and_stay(server.port, path, n)
            with_them.append(hits(server, path))
            leave(server, idle)
            without.append(hits(server, path))
        head(f"hits beside {n} idle connections", "with them", "without")
        rows(f"{n} of them", HIT, with_them, without)
    finally:
        server.stop()


main()
