# SPDX-License-Identifier: BSD-2-Clause
"""A whole rendition as one MP4: the bytes of its init segment and its segments, one after another."""
import socket
import subprocess

import pytest

import exact
from edge import Playlist


def whole_of(edge, name, rendition):
    """The URL of a rendition's MP4, and what it has to hold."""
    playlist = Playlist(edge, name)
    _, folder, _ = next(r for r in playlist.renditions() if r[0] == rendition)
    return folder.rstrip("/") + ".mp4", folder


def parts(edge, folder, names):
    return [edge.ok(folder + n) for n in ["init.mp4", *names]]


@pytest.mark.parametrize("rendition", ["360p", "audio-0"])
def test_cold(rendition, start, clip, media_dir, tmp_path):
    """Nothing is there: it is made as it is sent, and is what the segments are."""
    edge = start(media_dir)
    url, folder = whole_of(edge, clip("base.mp4"), rendition)
    body = edge.get(url)
    assert body.status == 200
    assert body.header("Content-Type") == ("audio/mp4" if rendition == "audio-0" else "video/mp4")
    assert "content-length" not in body.headers and body.header("Transfer-Encoding") == "chunked"
    _, [r] = exact.fetch(edge, "base.mp4", only={rendition})
    assert body.body == r.init_bytes + b"".join(r.segments)
    path = tmp_path / "whole.mp4"
    path.write_bytes(body.body)
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, text=True)
    assert out.returncode == 0 and not out.stderr
    made = "encodes_audio_total" if rendition == "audio-0" else "encodes_video_total"
    assert edge.metrics()[made] == len(r.segments), "each segment was made once"


def test_known_size(start, clip, media_dir):
    """All segments are in memory: it has a length and ranges, from any place and across borders."""
    edge = start(media_dir)
    url, folder = whole_of(edge, clip("base.mp4"), "360p")
    head = edge.request("HEAD", url)
    assert head.status == 200 and "content-length" not in head.headers
    assert edge.metrics()["encodes_video_total"] == 0, "HEAD costs no encode"
    whole = edge.get(url).body
    head = edge.request("HEAD", url)
    assert int(head.header("Content-Length")) == len(whole)
    again = edge.get(url)
    assert int(again.header("Content-Length")) == len(whole) and again.body == whole
    assert again.header("ETag") == head.header("ETag")
    _, [r] = exact.fetch(edge, "base.mp4", only={"360p"})
    border = len(r.init_bytes) + len(r.segments[0])
    for first, last in [(0, 0), (0, 99), (border - 10, border + 10), (border, border), (5, len(whole) - 1),
                        (len(r.init_bytes) - 1, border + len(r.segments[1]) + 7)]:
        got = edge.get(url, headers={"Range": f"bytes={first}-{last}"})
        assert got.status == 206 and got.body == whole[first:last + 1], (first, last)
        assert got.header("Content-Range") == f"bytes {first}-{last}/{len(whole)}"
    assert edge.get(url, headers={"Range": "bytes=-7"}).body == whole[-7:]
    assert edge.get(url, headers={"Range": f"bytes={len(whole)}-"}).status == 416
    assert edge.get(url, headers={"If-None-Match": again.header("ETag")}).status == 304


def test_what_there_is_not(start, clip, media_dir):
    edge = start(media_dir)
    url, folder = whole_of(edge, clip("base.mp4"), "360p")
    assert edge.get(url.replace("360p.mp4", "9999p.mp4")).status == 404
    recipe = url.split("/")[-2]
    assert edge.get(url.replace(recipe, "0" * len(recipe))).status == 404


def test_client_leaves(start, clip, media_dir):
    """What nobody reads any more is not made on."""
    edge = start(media_dir)
    url, folder = whole_of(edge, clip("gop12.mp4"), "360p")
    segments = len(Playlist(edge, "gop12.mp4").media(folder)[1])
    with socket.create_connection(("127.0.0.1", edge.port)) as s:
        s.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert s.recv(2000)
    edge.wait_metric("http_clients_gone_total", lambda n: n == 1)
    edge.wait_metric("jobs_running", lambda n: n == 0)
    assert edge.metrics()["encodes_video_total"] < segments


def test_old_client(start, clip, media_dir):
    """A body cut short would look whole to HTTP/1.0: it waits until the length is known."""
    edge = start(media_dir)
    url, _ = whole_of(edge, clip("base.mp4"), "360p")

    def ask():
        with socket.create_connection(("127.0.0.1", edge.port)) as s:
            s.sendall(f"GET {url} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            return b"".join(iter(lambda: s.recv(65536), b""))
    assert b" 505 " in ask().split(b"\r\n")[0]
    whole = edge.ok(url)
    head, body = ask().split(b"\r\n\r\n", 1)
    assert b" 200 " in head.split(b"\r\n")[0] and body == whole
