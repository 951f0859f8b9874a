#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to wait: a thousand clients ask for one segment that is being made, and then once more.

The segment is copied, and its origin (test/origin.py) does not answer before all
wait; so the first time they are suspended, and all woken at its end, and the second
time they find it.  Connections are open before, and all is counted that the server
does from the first request to the last byte of an answer: the difference is that of
waiting, the making of one small segment a thousandth part of it.

usage: bench/waiting.py [ROUNDS]
"""
import re
import selectors
import socket
import sys
import tempfile
import time

from measure import CPUS, Playlist, Server, generated, spread

from peers import Origin, Shelf

CLIENTS = 1000


class Crowd:
    """Connections that all ask for the same at once."""

    def __init__(self, port):
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]

    def ask(self, path):
        for s in self.sockets:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def hear(self):
        """Until each has its answer, which all have the same length."""
        left = dict.fromkeys(self.sockets)
        with selectors.DefaultSelector() as ready:
            for s in self.sockets:
                ready.register(s, selectors.EVENT_READ)
            while left:
                for key, _ in ready.select(60):
                    data = key.fileobj.recv(1 << 20)
                    assert data, "the connection ended"
                    if left[key.fileobj] is None:
                        head, data = data.split(b"\r\n\r\n", 1)
                        assert head.startswith(b"HTTP/1.1 200 "), (head, data)
                        left[key.fileobj] = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
                    left[key.fileobj] -= len(data)
                    if left[key.fileobj] == 0:
                        del left[key.fileobj]
                        ready.unregister(key.fileobj)

    def close(self):
        for s in self.sockets:
            s.close()


def until_waiting(server, joins):
    """CPU seconds that it took to ask how many wait, which is done when next to nothing is done any more."""
    asking, waiting = 0, False
    while not waiting:
        before = server.cpu()
        time.sleep(0.05)
        at = server.cpu()
        if at - before < 0.001:
            waiting = server.metric("cache_joins_total") == joins
            asking += server.cpu() - at
    return asking


def run(server, origin, shelf):
    """CPU seconds a request: of those who wait, and of the same once more."""
    asset = shelf.take()
    playlist = Playlist(server, asset)
    folder = next(folder for name, folder, _ in playlist.renditions() if name == "source")
    path = folder + playlist.media(folder)[2][-1]
    crowd = Crowd(server.port)
    crowd.ask(folder + "index.m3u8")
    crowd.hear()
    joins = server.metric("cache_joins_total")
    origin.fault("hold", n=1, count=0)
    before = server.cpu()
    crowd.ask(path)
    asking = until_waiting(server, joins + CLIENTS - 1)
    origin.clear()
    crowd.hear()
    waited = server.cpu() - before - asking
    before = server.cpu()
    crowd.ask(path)
    crowd.hear()
    hit = server.cpu() - before
    crowd.close()
    return waited / CLIENTS, hit / CLIENTS, len(server.get(path))


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        shelf = Shelf(folder, generated("tiny.mp4"))
        origin = Origin(folder)
        server = Server(origin.url, CPUS[:1], HTTP_THREADS=1, LOG_LEVEL="warn", MEDIA_PASSTHROUGH="true",
                        ORIGIN_FIRST_READ="32KiB", CACHE_DISK_ENABLED="false", WORKERS_AHEAD=0)
        try:
            got = [run(server, origin, shelf) for _ in range(rounds + 1)][1:]
            assert server.metric("copies_video_total") == rounds + 1
        finally:
            server.stop()
            origin.stop()
    more = [(w - h) * 1e6 for w, h, _ in got]
    size = got[0][2]
    waited, hit = ([1e6 * g[i] for g in got] for i in (0, 1))
    print(f"\n| server's CPU for one of {CLIENTS} requests at once, us | who waits | who finds it | more |\n|---|---|---|---|")
    print("| segment of {:.0f} kB | ".format(size / 1e3) +
          " | ".join(spread(v, lambda x: f"{x:.1f}") for v in (waited, hit, more)) + " |")


main()
