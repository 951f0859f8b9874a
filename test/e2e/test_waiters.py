# SPDX-License-Identifier: BSD-2-Clause
"""A thousand who wait for one segment that is being made."""
import os
import re
import resource
import selectors
import socket

import pytest

from edge import Playlist
from peers import Origin, Shelf

pytestmark = pytest.mark.usefixtures("encoded_only")

WAITERS = 1000
CONFIG = {"ladder": [{"short_side": 180, "maxrate": 800000, "crf": 25}], "http": {"connections": 2 * WAITERS},
          "media": {"segment": "1s"}, "origin": {"timeout": "60s"}}


@pytest.fixture(scope="module", autouse=True)
def enough_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def length_of(raw):
    """Of the whole answer; None while that is not known: it may come in chunks, or whole to who was woken late."""
    header, found, _ = raw.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", header)
    if found and length:
        return len(header) + 4 + int(length[1])
    return len(raw) if raw.endswith(b"\r\n0\r\n\r\n") else None


def taken_apart(raw):
    """(header, body)"""
    header, rest = raw.split(b"\r\n\r\n", 1)
    if b"\r\nContent-Length: " in header:
        return header, rest
    body = b""
    while True:
        size, rest = rest.split(b"\r\n", 1)
        n = int(size, 16)
        body, rest = body + rest[:n], rest[n + 2:]
        if n == 0:
            assert rest == b""
            return header, body


def read_all(sockets):
    """What each receives, whoever is served first."""
    with selectors.DefaultSelector() as events:
        got = {}
        for s in sockets:
            s.setblocking(False)
            got[s] = bytearray()
            events.register(s, selectors.EVENT_READ)
        while events.get_map():
            ready = events.select(30)
            assert ready, f"{len(events.get_map())} wait in vain"
            for key, _ in ready:
                s = key.fileobj
                piece = s.recv(1 << 20)
                assert piece, f"cut after {len(got[s])} bytes"
                got[s] += piece
                if len(got[s]) == length_of(got[s]):
                    events.unregister(s)
    return list(got.values())


def test_a_thousand_waiters(start, clip, media_dir, tmp_path):
    """They are all there before the origin gives what it is made of; it is made once, and all get the same.

    It is the last segment: the source's beginning comes along when it is probed.
    """
    shelf = Shelf(tmp_path / "shelf", os.path.join(media_dir, clip("tiny-noise.mp4")))
    origin = Origin(shelf.folder)
    try:
        edge = start(origin.url, config=CONFIG)
        asset = shelf.take()
        path = next(f for n, f, _ in Playlist(edge, asset).renditions() if n == "180p") + "3.m4s"
        origin.fault("hold", n=0, count=0, path="/" + asset, method="GET")
        joins = edge.metrics()["cache_joins_total"]
        sockets = []
        for _ in range(WAITERS):
            s = socket.create_connection(("127.0.0.1", edge.port))
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            sockets.append(s)
        edge.wait_metric("cache_joins_total", lambda n: n == joins + WAITERS - 1)
        assert edge.metrics()["encodes_video_total"] == 0
        origin.clear()
        answers = [taken_apart(bytes(raw)) for raw in read_all(sockets)]
        for s in sockets:
            s.close()
    finally:
        origin.stop()
    assert all(h.startswith(b"HTTP/1.1 200 OK\r\n") for h, _ in answers)
    assert {body for _, body in answers} == {edge.ok(path)}
    assert sum(b"Cache-Status: tidemill; fwd=miss; collapsed\r\n" in h for h, _ in answers) == WAITERS - 1
    assert edge.metrics()["encodes_video_total"] == 1
