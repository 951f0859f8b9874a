# SPDX-License-Identifier: BSD-2-Clause
"""More is asked for than the workers make: entry playlists name less, and what they name plays at any time."""
import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess

import pytest

import dash
import exact
from edge import BUILD, Playlist, without_averages
from peers import until

LADDER = [{"short_side": s, "maxrate": r, "crf": 25} for s, r in ((360, 800000), (240, 450000), (180, 250000))]
ALL = ["180p", "240p", "360p"]
HLS = ("master.m3u8", "master-ts.m3u8")
ENTRIES = (*HLS, "manifest.mpd")
FASTER = {"short_side": 240, "preset": "superfast"}


def settings(pressed, passthrough=False, **more):
    return {"ladder": LADDER, "workers": {"count": 1}, "media": {"passthrough": passthrough}, "http": {"entry_age": "1m"},
            "pressure": {"wait": "5ms", "ease": "200ms", **pressed}, **more}


def rungs(text):
    return sorted(set(re.findall(r"[0-9a-f]{32}/(\d+p(?:-[a-z]+)?|source)[/\"]", text)))


@contextlib.contextmanager
def pressure(edge, folder, leaf="0.m4s"):
    """The worker stands still; two viewers wait for what is known to take a while."""
    edge.ok(folder + leaf)
    pids, viewers = edge.worker_pids(), []
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for n in (1, 2):
            viewers.append(socket.create_connection(("127.0.0.1", edge.port)))
            path = folder + leaf.replace("0", str(n))
            viewers[-1].sendall(f"GET {path}?CMCD=sid%3D%22{n}%22 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        edge.wait_metric("pressure", lambda on: on == 1)
        yield
    finally:
        for v in viewers:
            v.close()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def folders(edge, name, entry="master.m3u8"):
    return {r: folder for r, folder, _ in Playlist(edge, name, entry).renditions()}


def said(edge, what):
    return sum(what in line for line in edge.lines)


@pytest.mark.parametrize("pressed,passthrough,least", [
    ({"short_side": 240}, False, ["180p", "240p"]),
    ({"short_side": 240}, True, ["180p", "240p", "source"]),
    ({"short_side": 1}, False, ["180p"]),
    (FASTER, False, ["180p-fast", "240p-fast"]),
    ({"preset": "superfast"}, True, ["180p-fast", "240p-fast", "360p-fast", "source"]),
    ({}, False, ALL),
])
def test_less_is_named(pressed, passthrough, least, start, clip, media_dir):
    """In every entry playlist, packed or not, by a tag of its own; and all of it again when it is over."""
    name = clip("base.mp4")
    edge = start(media_dir, config=settings(pressed, passthrough))
    ease = {e: edge.get(f"/{name}/{e}") for e in ENTRIES}
    offered = rungs(ease["master.m3u8"].text)
    assert offered == ALL + ["source"] * passthrough
    with pressure(edge, folders(edge, name)["240p"]):
        assert edge.get("/status", port=edge.admin_port).json["pressure"]["on"] is True
        for e in ENTRIES:
            want = [r for r in least if r != "source" or e != "master-ts.m3u8"]
            a = edge.get(f"/{name}/{e}")
            assert rungs(a.text) == want, a.text
            assert a.header("cache-control") == ease[e].header("cache-control")
            assert a.header("vary") == ease[e].header("vary")
            assert (a.header("etag") == ease[e].header("etag")) == (not pressed)
            packed = edge.get(f"/{name}/{e}", {"Accept-Encoding": "gzip"})
            assert without_averages(gzip.decompress(packed.body).decode()) == without_averages(a.text)
            assert edge.get(f"/{name}/{e}", {"If-None-Match": a.header("etag")}).status == 304
            assert (edge.get(f"/{name}/{e}", {"If-None-Match": ease[e].header("etag")}).status == 304) == (not pressed)
        assert (edge.metrics()["entries_pressed_total"] > 0) == bool(pressed)
    edge.wait_metric("pressure", lambda on: on == 0)
    for e in ENTRIES:
        assert without_averages(edge.get(f"/{name}/{e}").text) == without_averages(ease[e].text)
    until(lambda: said(edge, "the pressure is over"), "the line of the log")
    assert said(edge, "under pressure: who comes") == 1 and said(edge, "the pressure is over") == 1


def test_by_default_nothing_is_left_out(start, clip, media_dir):
    """Not even a recipe is another."""
    name = clip("base.mp4")
    usual = start(media_dir, config={"ladder": LADDER, "workers": {"count": 1}, "media": {"passthrough": False}})
    edge = start(media_dir, config=settings(FASTER))
    assert Playlist(edge, name).master == Playlist(usual, name).master


def test_probe_says_when(clip, media_dir, tmp_path):
    config = tmp_path / "tidemill.json"
    config.write_text(json.dumps(settings(FASTER)))
    out = subprocess.run([os.path.join(BUILD, "tidemill"), "-c", config, "probe", os.path.join(media_dir, clip("base.mp4"))],
                         capture_output=True, text=True, check=True).stdout
    said_of = re.findall(r"^  (\d+p\S*) .*\n {14}(.*)", out, re.M)
    assert said_of == [("360p", "not under pressure"), ("240p", "not under pressure"), ("240p-fast", "only under pressure"),
                       ("180p", "not under pressure"), ("180p-fast", "only under pressure")]


@pytest.mark.parametrize("entry,leaf", [("master.m3u8", "0.m4s"), ("master-ts.m3u8", "0.ts")])
@pytest.mark.parametrize("encryption", [None, {"method": "aes-128", "secret": "a secret of the test"}])
def test_bytes_do_not_depend_on_it(encryption, entry, leaf, start, clip, media_dir):
    """What was named under pressure is there afterwards, and on a server that was never under any."""
    name = clip("base.mp4")
    config = settings(FASTER, **({"encryption": encryption} if encryption else {}))
    edge, calm = start(media_dir, config=config), start(media_dir, config=config)
    usual = folders(edge, name, entry)
    with pressure(edge, usual["240p"], leaf):
        under = folders(edge, name, entry)
        playlist = edge.ok(under["240p-fast"] + "index.m3u8")
    first = edge.ok(under["240p-fast"] + leaf)
    edge.wait_metric("pressure", lambda on: on == 0)
    calm.ok(f"/{name}/{entry}")
    assert set(under) >= {"180p-fast", "240p-fast"} and not set(under) & set(ALL)
    assert calm.metrics()["entries_pressed_total"] == 0
    for e in (edge, calm):
        assert e.ok(under["240p-fast"] + "index.m3u8") == playlist
        assert e.ok(under["240p-fast"] + leaf) == first
        assert e.ok(usual["240p"] + leaf) != first
    assert first != edge.ok(usual["240p"] + leaf)


def test_what_is_named_plays(start, clip, media_dir, tmp_path):
    """All of it, by HLS and by DASH."""
    name = clip("base.mp4")
    edge = start(media_dir, config=settings({**FASTER, "ease": "1h"}))
    with pressure(edge, folders(edge, name)["240p"]):
        pass
    playlist, renditions = exact.fetch(edge, name, at_once=2)
    videos = exact.check_renditions(renditions, tmp_path)
    dash.check(edge, name, renditions + exact.fetch_tricks(playlist))
    assert [r.name for r in videos] == ["240p-fast", "180p-fast"]
    assert edge.metrics()["pressure"] == 1 and edge.metrics()["bandwidth_exceeded_total"] == 0
    for r in videos:
        assert exact.barcodes(r, tmp_path) == list(range(13 * 25))
