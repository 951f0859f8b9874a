# SPDX-License-Identifier: BSD-2-Clause
"""What an operator wants to be there: made before anybody asks for it, behind whoever does."""
import contextlib
import json
import os
import signal
import socket

import pytest

from edge import Playlist
from peers import until

LADDER = [{"short_side": s, "maxrate": r, "crf": 25} for s, r in ((240, 450000), (180, 250000))]
CONFIG = {"ladder": LADDER, "media": {"passthrough": False}}


def post(edge, body, method="POST", **kw):
    return edge.request(method, "/warm", body=body if isinstance(body, str) else json.dumps(body),
                        **{"port": edge.admin_port, **kw})


def warm(edge, *assets, **more):
    return post(edge, {"assets": list(assets), **more})


def warmed(edge, n=1):
    edge.wait_metric("warm_made_total", lambda made: made == n)
    m = edge.metrics()
    assert m["warm_failed_total"] == m["warm_queued"] == 0
    return m


def folders(edge, name):
    return {r: folder for r, folder, _ in Playlist(edge, name).renditions()}


@contextlib.contextmanager
def standstill(edge):
    """No worker goes on."""
    pids = edge.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def viewer(edge, path):
    """Waits for it."""
    with socket.create_connection(("127.0.0.1", edge.port)) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        yield s


@pytest.mark.parametrize("renditions,there,segments", [
    ([], {"240p", "audio-0"}, 2),
    ("180p", {"180p"}, 2),
    (["180p", "audio-0", "none"], {"180p", "audio-0"}, 2),
    ([], {"240p", "audio-0"}, 100),
])
def test_beginnings_are_there(renditions, there, segments, start, clip, media_dir):
    name = clip("base.mp4")
    edge, other = start(media_dir, config={**CONFIG, "warm": {"segments": segments}}), start(media_dir, config=CONFIG)
    a = warm(edge, name, renditions=renditions)
    assert a.status == 202 and a.text == "ok\n" and a.header("cache-control") == "no-store"
    m = warmed(edge)
    made = min(segments, 4)  # of the 13 s
    assert m["encodes_video_total"] + m["encodes_audio_total"] == made * len(there)
    assert edge.get(f"/{name}/master.m3u8").header("cache-status").startswith("tidemill; hit")
    for r, folder in folders(edge, name).items():
        for leaf in ("index.m3u8", "init.mp4", *(f"{n}.m4s" for n in range(made))) if r in there else ():
            a = edge.get(folder + leaf)
            assert a.header("cache-status") == "tidemill; hit; detail=memory", (r, leaf)
            assert a.body == other.ok(folder + leaf) if leaf.endswith("m4s") else a.body
    assert edge.metrics()["probes_total"] == 1
    assert warm(edge, "/" + name, renditions=renditions).status == 202  # it is there
    m = warmed(edge, 2)
    assert m["encodes_video_total"] + m["encodes_audio_total"] == made * len(there)


def test_others_come_first(start, clip, media_dir):
    """Pushed out of the queue by who watches, it is asked for again.  It is nobody who stands at the door."""
    name = clip("base.mp4")
    edge = start(media_dir, config={**CONFIG, "workers": {"count": 1, "queue": 1}, "warm": {"segments": 1}},
                 env={"TIDEMILL_WORKERS_PATIENCE": "1ms"})
    folder = folders(edge, name)["180p"]
    edge.ok(folder + "init.mp4")
    edge.ok(folder + "index.m3u8")
    edge.ok(folder + "3.m4s")
    with standstill(edge), viewer(edge, folder + "1.m4s") as one:
        edge.wait_metric("jobs_running", lambda n: n == 1)
        assert warm(edge, name, renditions="180p").status == 202
        edge.wait_metric("jobs_queued", lambda n: n == 1)
        assert edge.metrics()["jobs_refused_total"] == 0
        with viewer(edge, folder + "2.m4s") as two:
            edge.wait_metric("jobs_refused_total", lambda n: n >= 1)
            assert edge.metrics()["warm_made_total"] == 0
            for pid in edge.worker_pids():
                os.kill(pid, signal.SIGCONT)
            for s in (one, two):
                assert s.recv(12) == b"HTTP/1.1 200"
            warmed(edge)
    assert edge.get(folder + "0.m4s").header("cache-status") == "tidemill; hit; detail=memory"
    assert edge.metrics()["pressure"] == 0


def test_what_cannot_be_warmed(start, clip, media_dir):
    edge = start(media_dir, config=CONFIG)
    for body, status in (("", 400), ("[]", 400), ("{", 400), ({}, 400), ({"assets": []}, 400), ({"assets": [1]}, 400),
                         ({"assets": ["b.mp4", "%zz"]}, 400), ({"assets": "a/../b.mp4"}, 400), ({"assets": ""}, 400),
                         ({"assets": ".hidden.mp4"}, 404),
                         ({"assets": "b.mp4", "renditions": ""}, 400), ({"assets": "b.mp4", "renditions": "x" * 24}, 400),
                         ({"assets": "b.mp4", "renditions": ["a"] * 9}, 400), ({"assets": "b" * 1024}, 400)):
        assert post(edge, body).status == status, body
    a = edge.get("/warm", port=edge.admin_port)
    assert a.status == 405 and "POST" in a.header("allow")
    assert post(edge, {"assets": clip("base.mp4")}, port=edge.port).status == 405, "viewers may warm"
    a = post(edge, {"assets": "base.mp4"}, headers={"Origin": "http://elsewhere.test"})
    assert a.status == 400 and "Origin" in a.text, "any page may have an operator's browser post"
    assert edge.metrics()["warm_queued"] == edge.metrics()["warm_failed_total"] == 0
    assert warm(edge, "none.mp4").status == 202
    edge.wait_metric("warm_failed_total", lambda n: n == 1)
    until(lambda: any("none.mp4: there is no such thing here" in line for line in edge.lines), "the line of the log")
    assert warm(edge, clip("base.mp4"), clip("short.mp4")).status == 202  # it goes on
    edge.wait_metric("warm_made_total", lambda n: n == 2)


def test_the_queue_is_bounded_and_ends_with_the_server(start, clip, media_dir):
    edge = start(media_dir, config={**CONFIG, "workers": {"count": 1}, "warm": {"queue": 1}})
    name = clip("base.mp4")
    edge.ok(folders(edge, name)["180p"] + "0.m4s")
    with standstill(edge):
        assert warm(edge, name).status == 202
        edge.wait_metric("jobs_running", lambda n: n == 1)
        assert warm(edge, name).status == 202
        a = warm(edge, name)
        assert a.status == 504 and a.json["code"] == "E_BUSY" and a.header("retry-after")
        assert edge.metrics()["warm_queued"] == 1
        assert edge.stop() == 0
