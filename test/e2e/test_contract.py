# SPDX-License-Identifier: BSD-2-Clause
"""What clients and CDNs are promised: the HTTP contract and the URLs, clause by clause."""
import gzip
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

import boxes
from edge import BUILD, Edge, Playlist, quote
from peers import Raw, Shelf, until

pytestmark = pytest.mark.usefixtures("encoded_only")

OPEN = {  # on every answer
    "access-control-allow-origin": "*",
    "timing-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}
IMMUTABLE = "public, max-age=31536000, immutable"
NO_RECIPE = "0" * 32


@pytest.fixture(scope="module")
def shelf(media_dir, clip, tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("shelf"), os.path.join(media_dir, clip("tiny.mp4")))


@pytest.fixture(scope="module")
def edge(shelf, tmp_path_factory):
    e = Edge(shelf.folder, tmp_path_factory.mktemp("contract") / "cache")
    yield e
    e.stop()


def folder_of(edge, asset, kind="video"):
    """The folder of its (first) video or audio rendition; only its playlists are made."""
    return [f for n, f, _ in Playlist(edge, asset).renditions() if (n == "audio-0") == (kind == "audio")][0]


@pytest.fixture(scope="module")
def warm(edge, shelf):
    """(path, body) of a segment that is in memory."""
    path = folder_of(edge, shelf.take()) + "0.m4s"
    return path, edge.ok(path)


@pytest.fixture
def cold(edge, shelf):
    """The path of a segment that nobody has asked for; its bytes are those of warm."""
    return folder_of(edge, shelf.take()) + "0.m4s"


def encodes(edge):
    m = edge.metrics()
    return m["encodes_video_total"] + m["encodes_audio_total"]


def check_open(answer):
    for name, value in OPEN.items():
        assert answer.header(name) == value, (name, answer.headers)
    exposed = {n.strip() for n in answer.header("access-control-expose-headers").split(",")}
    assert {"Content-Length", "Content-Range", "ETag", "Server-Timing", "Cache-Status", "X-Request-Id"} <= exposed


def times_of(answer):
    """Server-Timing as numbers, {} without one."""
    return {k: float(v) for k, v in re.findall(r"(\w+);dur=([0-9.]+)", answer.header("server-timing", ""))}


def check_problem(answer, status, code, made=False):
    """made: it came from a making of this request's, which says how long it took."""
    assert answer.status == status, answer
    assert set(times_of(answer)) == {"queue", "origin", "encode"} or not made and not times_of(answer), answer.headers
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    check_open(answer)
    p = answer.json
    assert p["status"] == status and p["code"] == code and p["type"] == "urn:tidemill:" + code
    assert p["title"] and p.get("request_id") == answer.header("x-request-id")
    assert (answer.header("retry-after") is not None) == (status in (502, 504))
    assert "etag" not in answer.headers
    return p


# ---- entry points

def test_entry_point(edge, shelf):
    a = edge.get(f"/{shelf.take()}/master.m3u8")
    assert a.status == 200 and a.body.startswith(b"#EXTM3U\n")
    assert a.header("content-type") == "application/vnd.apple.mpegurl"
    assert a.header("cache-control") == "public, max-age=10, stale-while-revalidate=60"
    assert a.header("vary") == "Accept-Encoding"
    assert a.header("content-length") == str(len(a.body))
    assert re.fullmatch(r'"[^"]+"', a.header("etag"))
    check_open(a)
    # URIs are relative: a proxy may serve us below any path.
    uris = [l for l in a.text.splitlines() if l and l[0] != "#"] + re.findall('URI="([^"]*)"', a.text)
    assert uris and all(re.fullmatch(r"[0-9a-f]{32}/[a-z0-9-]+/index\.m3u8", u) for u in uris)


def test_entry_point_costs_a_probe_only(start, clip, media_dir):
    edge = start(media_dir)
    edge.ok(f"/{clip('tiny.mp4')}/master.m3u8")
    m = edge.metrics()
    assert m["probes_total"] == 1 and m["inits_total"] + m["encodes_video_total"] + m["encodes_audio_total"] == 0


def test_entry_point_not_modified(edge, shelf):
    path = f"/{shelf.take()}/master.m3u8"
    first = edge.get(path)
    a = edge.get(path, {"If-None-Match": first.header("etag")})
    assert a.status == 304 and a.body == b""
    for name in ("etag", "cache-control", "vary"):
        assert a.header(name) == first.header(name)
    check_open(a)


@pytest.mark.parametrize("accept, packed", [
    ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False),
    ("identity", False), ("br", False), ("", False), ("gzip;q=0, *", False),
])
def test_gzip_of_playlists(edge, shelf, accept, packed):
    asset = shelf.take()  # of which no segment is made: that would change its AVERAGE-BANDWIDTH
    for path in (f"/{asset}/master.m3u8", folder_of(edge, asset) + "index.m3u8"):
        plain = edge.get(path)
        a = edge.get(path, {"Accept-Encoding": accept})
        assert a.status == 200 and a.header("vary") == "Accept-Encoding"
        assert (a.header("content-encoding") == "gzip") == packed
        assert (a.header("etag") != plain.header("etag")) == packed
        assert (gzip.decompress(a.body) if packed else a.body) == plain.body
        assert a.header("content-length") == str(len(a.body))
        tag = {"If-None-Match": a.header("etag")}
        assert edge.get(path, {"Accept-Encoding": accept, **tag}).status == 304
        # A tag is about one coding: of the other one, it says nothing.
        assert edge.get(path, tag).status == (200 if packed else 304)


def test_media_is_not_packed(edge, warm):
    a = edge.get(warm[0], {"Accept-Encoding": "gzip"})
    assert a.body == warm[1] and "content-encoding" not in a.headers and "vary" not in a.headers


# ---- below a recipe

@pytest.mark.parametrize("kind, leaf, content_type", [
    ("video", "index.m3u8", "application/vnd.apple.mpegurl"),
    ("video", "init.mp4", "video/mp4"), ("video", "1.m4s", "video/mp4"),
    ("audio", "init.mp4", "audio/mp4"), ("audio", "1.m4s", "audio/mp4"),
])
def test_immutable(edge, warm, kind, leaf, content_type):
    path = folder_of(edge, warm[0].split("/")[1], kind) + leaf
    made, hit = edge.get(path), edge.get(path)
    for a in (made, hit):
        assert a.status == 200 and a.body == made.body
        assert a.header("content-type") == content_type
        assert a.header("cache-control") == IMMUTABLE
        assert re.fullmatch(r'"[0-9a-f]{32}"', a.header("etag"))
        assert a.header("accept-ranges") == "bytes"
        check_open(a)
    assert hit.header("content-length") == str(len(hit.body))


def test_a_hit_has_constant_fields_only(edge, warm):
    seen = [edge.get(warm[0]).headers for _ in range(3)]
    for h in seen:
        h.pop("date")
        assert h["cache-status"] == "tidemill; hit; detail=memory"
        assert "server-timing" not in h and "x-request-id" not in h
    assert seen[0] == seen[1] == seen[2]


def test_what_was_made_says_so(edge, cold):
    ids = set()
    for path, fields in ((cold, {}), (cold.replace("0.m4s", "1.m4s"), {"Range": "bytes=0-"})):
        a = edge.get(path, fields)
        assert a.header("cache-status") == "tidemill; fwd=miss"
        times = times_of(a)
        assert set(times) == {"queue", "origin", "encode"} and times["encode"] > 0
        ids.add(a.header("x-request-id"))
    assert len(ids) == 2 and None not in ids


def test_cache_status_of_the_disk(start, clip, media_dir, tmp_path):
    first = start(media_dir, cache=tmp_path / "c")
    path = folder_of(first, clip("tiny.mp4")) + "0.m4s"
    body, tag = first.ok(path), first.get(path).header("etag")
    first.stop()
    second = start(media_dir, cache=tmp_path / "c")
    a = second.get(path)
    assert a.body == body and a.header("etag") == tag
    assert a.header("cache-status") == "tidemill; hit; detail=disk"
    m = second.metrics()
    # A hit is found by its URL alone.
    assert m["probes_total"] + encodes(second) == 0 and m["cache_hits_disk_total"] == 1


def test_never_made_head_and_not_modified(edge, cold, warm):
    before, cancelled = encodes(edge), edge.metrics()["jobs_cancelled_total"]
    head = edge.request("HEAD", cold)
    assert head.status == 200 and head.body == b"" and head.header("content-type") == "video/mp4"
    assert "content-length" not in head.headers and "transfer-encoding" not in head.headers
    tag = head.header("etag")
    for method in ("GET", "HEAD"):
        for condition in (tag, "W/" + tag, f'"x", {tag}'):
            a = edge.request(method, cold, {"If-None-Match": condition})
            assert a.status == 304 and a.body == b"" and a.header("etag") == tag, (condition, a)
            assert a.header("cache-control") == IMMUTABLE
    assert encodes(edge) == before
    made = edge.get(cold, {"If-None-Match": '"another"'})
    assert made.status == 200 and made.header("etag") == tag and made.body == warm[1]
    assert edge.metrics()["jobs_cancelled_total"] == cancelled, "work was begun for nothing"
    head = edge.request("HEAD", cold)
    assert head.header("content-length") == str(len(made.body)) and head.header("etag") == tag


def leaves_of(edge, shelf):
    """(path, tag, request fields, is it in memory) of each kind of answer, made and not."""
    out = []
    for made in (True, False):
        folder = folder_of(edge, shelf.take())
        for leaf in ("0.m4s", "init.mp4", "index.m3u8"):
            # The name is the tag, so HEAD tells the tag; of a segment, without making it.
            tag = (edge.get if made else lambda p: edge.request("HEAD", p))(folder + leaf).header("etag")
            out.append((folder + leaf, tag, [], made or leaf != "0.m4s"))
    entry, packed = f"/{shelf.take()}/master.m3u8", {"Accept-Encoding": "gzip"}
    out.append((entry, edge.get(entry, packed).header("etag"), ["Accept-Encoding: gzip"], True))
    return out


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_revalidation_keeps_the_connection(edge, shelf, warm, version):
    """A CDN asks again and again on one connection, and loses none by it."""
    leaves = leaves_of(edge, shelf)
    alive = ["Connection: keep-alive"] if version == "1.0" else []
    before, opened = encodes(edge), edge.metrics()["origin_requests_total"]
    with Raw(edge) as c:
        for turn in range(3):
            for path, tag, fields, in_memory in leaves:
                for method, condition, want in (("GET", [f"If-None-Match: {tag}"], 304), ("HEAD", [], 200),
                                                ("HEAD", [f"If-None-Match: {tag}"], 304)):
                    c.get(path, *fields, *alive, *condition, method=method, version=version)
                    status, head = c.head()
                    assert status == want and head["etag"] == tag, (path, method, head)
                    assert head.get("connection", "") == ("Keep-Alive" if alive else ""), (path, method, head)
                    assert "transfer-encoding" not in head and ("content-length" in head) == in_memory, (path, head)
                    if in_memory:
                        a = edge.get(path, {"Accept-Encoding": "gzip"} if fields else None)
                        assert head["content-length"] == a.header("content-length")
            c.get(warm[0], *alive, version=version)
            status, head = c.head()
            assert status == 200 and c.input.read(int(head["content-length"])) == warm[1], turn
        assert encodes(edge) == before and edge.metrics()["origin_requests_total"] == opened


def test_revalidation_of_what_nobody_has(start, clip, media_dir, tmp_path):
    """After a restart on an empty cache: playlist and init too are told by their names alone."""
    name = clip("tiny.mp4")
    first = start(media_dir)
    folder = folder_of(first, name)
    tags = {leaf: first.get(folder + leaf).header("etag") for leaf in ("index.m3u8", "init.mp4", "0.m4s")}
    second = start(media_dir, cache=tmp_path / "empty")
    with Raw(second) as c:
        for _ in range(20):
            for leaf, tag in tags.items():
                c.get(folder + leaf, f"If-None-Match: {tag}")
                status, head = c.head()
                assert status == 304 and head["etag"] == tag
                assert not {"connection", "content-length", "transfer-encoding"} & set(head), head
        assert second.metrics()["probes_total"] + encodes(second) == 0
        c.get(f"/{quote(name)}/master.m3u8")
        status, head = c.head()
        assert status == 200 and c.input.read(int(head["content-length"])).startswith(b"#EXTM3U")


def test_star_means_what_is_there(edge, warm):
    assert edge.get(warm[0], {"If-None-Match": "*"}).status == 304
    assert edge.get(warm[0].replace("0.m4s", "7.m4s"), {"If-None-Match": "*"}).status == 404


def test_head_of_what_cannot_be_made(edge, cold):
    asset = cold.split("/")[1]
    for path in ("/none.mp4/master.m3u8", cold.replace("0.m4s", "4.m4s"), f"/{asset}/{NO_RECIPE}/180p/0.m4s"):
        a = edge.request("HEAD", path)
        assert a.status == 404 and a.body == b"" and a.header("cache-control") == "no-store"


# ---- ranges

def ranges(n):
    return [
        ("bytes=0-0", 206, (0, 0)),
        ("bytes=0-", 206, (0, n - 1)),
        ("bytes=100-199", 206, (100, 199)),
        (f"bytes=100-{n + 1000}", 206, (100, n - 1)),
        (f"bytes={n - 1}-{n - 1}", 206, (n - 1, n - 1)),
        ("bytes=-100", 206, (n - 100, n - 1)),
        (f"bytes=-{n + 1000}", 206, (0, n - 1)),
        ("bytes= 5-9 ", 206, (5, 9)),
        ("BYTES=5-9", 206, (5, 9)),
        (f"bytes=5-{2**64}", 206, (5, n - 1)),
        (f"bytes={n}-", 416, None),
        (f"bytes={2**64}-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9-5", 200, None),
        ("bytes=", 200, None),
        ("bytes=a-b", 200, None),
        ("bytes=-", 200, None),
        ("pages=0-1", 200, None),
        ("bytes=0-1,5-9", 200, None),
        ("bytes=0-1,", 206, (0, 1)),
        ("bytes=0-,0-,0-,0-", 200, None),
    ]


def check_range(a, body, status, span):
    assert a.status == status, a
    if status == 416:
        assert a.header("content-range") == f"bytes */{len(body)}"
        check_problem(a, 416, "E_RANGE")
    elif status == 206:
        first, last = span
        assert a.header("content-range") == f"bytes {first}-{last}/{len(body)}"
        assert a.body == body[first:last + 1]
        assert a.header("content-length") == str(len(a.body))
        assert a.header("cache-control") == IMMUTABLE and a.header("content-type") == "video/mp4"
    else:
        assert a.body == body and "content-range" not in a.headers


def test_range_of_what_is_there(edge, warm):
    path, body = warm
    for field, status, span in ranges(len(body)):
        check_range(edge.get(path, {"Range": field}), body, status, span)


@pytest.mark.parametrize("i", [1, 2, 5, 6, 10, 15, 18])
def test_range_of_what_is_made_first(edge, cold, warm, i):
    """One range waits for the whole, with a length; what is no such range is streamed."""
    field, status, span = ranges(len(warm[1]))[i]
    a = edge.get(cold, {"Range": field})
    check_range(a, warm[1], status, span)
    assert (a.header("transfer-encoding") == "chunked") == (status == 200)


def test_range_of_text(edge, warm):
    path = warm[0].replace("0.m4s", "index.m3u8")
    text = edge.ok(path)
    a = edge.get(path, {"Range": "bytes=7-20"})
    assert a.status == 206 and a.body == text[7:21]


def test_head_has_no_range(edge, warm):
    a = edge.request("HEAD", warm[0], {"Range": "bytes=0-9"})
    assert a.status == 200 and a.header("content-length") == str(len(warm[1]))


def test_if_range(edge, warm, cold):
    tag = edge.request("HEAD", warm[0]).header("etag")
    for value, status in ((tag, 206), ('"another"', 200), ("W/" + tag, 200), (tag[:-1], 200),
                          ("Mon, 23 Nov 2026 00:00:00 GMT", 200)):
        a = edge.get(warm[0], {"Range": "bytes=10-19", "If-Range": value})
        check_range(a, warm[1], status, (10, 19))
    tag = edge.request("HEAD", cold).header("etag")
    a = edge.get(cold, {"Range": "bytes=10-19", "If-Range": tag})
    check_range(a, warm[1], 206, (10, 19))


def test_if_match(edge, warm):
    tag = edge.request("HEAD", warm[0]).header("etag")
    for value, status in ((tag, 200), ("*", 200), (f'"x", {tag}', 200), ('"x"', 412), ("W/" + tag, 412)):
        assert edge.get(warm[0], {"If-Match": value}).status == status, value


# ---- methods

def test_options(edge, warm):
    for path in (warm[0], "/" + warm[0].split("/")[1] + "/master.m3u8"):
        a = edge.request("OPTIONS", path, {"Origin": "https://a.example", "Access-Control-Request-Method": "GET",
                                           "Access-Control-Request-Headers": "range"})
        assert a.status == 204 and a.body == b""
        assert a.header("allow") == a.header("access-control-allow-methods") == "GET, HEAD, OPTIONS"
        assert "Range" in a.header("access-control-allow-headers")
        assert int(a.header("access-control-max-age")) > 0
        check_open(a)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PURGE", "TRACE", "get", "GETS"])
def test_other_methods(edge, warm, method):
    a = edge.request(method, warm[0])
    check_problem(a, 405, "E_METHOD")
    assert a.header("allow") == "GET, HEAD, OPTIONS"


# ---- what is not there, and what is wrong

def test_unknown_is_told_at_once(edge, shelf):
    asset = shelf.take()
    folder = folder_of(edge, asset)
    other = folder_of(edge, shelf.take())
    _, name, recipe = folder.split("/")[1], folder.split("/")[3], folder.split("/")[2]
    before = edge.metrics()
    for path in ("/none.mp4/master.m3u8", "/none/none.mp4/master.m3u8", f"/none.mp4/{recipe}/{name}/0.m4s",
                 f"/{asset}/{NO_RECIPE}/{name}/0.m4s", f"/{asset}/{NO_RECIPE}/{name}/index.m3u8",
                 f"/{asset}/{NO_RECIPE}/{name}/init.mp4", f"/{asset}/{recipe}/1080p/0.m4s",
                 f"/{asset}/{recipe}/audio-0/0.m4s", f"/{asset}/{recipe}/audio-7/0.m4s",
                 f"/{asset}/{other.split('/')[2]}/{name}/0.m4s",  # of another asset
                 folder + "4.m4s", folder + "999999.m4s", folder + "1000000.m4s", folder + "-1.m4s",
                 folder + "01.m4s", folder + "0.mp4", folder + "1e1.m4s", folder + "99999999999999999999.m4s",
                 folder + "0.m4s/", folder.rstrip("/"), f"/{asset}", f"/{asset}/", f"/{asset}/master.m3u8/",
                 f"/{asset}/{recipe}/master.m3u8", f"/{asset}/{recipe.upper()}/{name}/0.m4s",
                 f"/{asset}/{recipe[:-1]}/{name}/0.m4s", "/master.m3u8", "/-/none.js", "/favicon.ico"):
        check_problem(edge.get(path), 404, "E_NOT_FOUND")
    after = edge.metrics()
    for name in ("encodes_video_total", "encodes_audio_total", "inits_total", "probes_total", "workers_started_total"):
        assert after[name] == before[name], name


@pytest.mark.parametrize("name, content, status", [
    ("text.mp4", b"this is no video\n" * 100, 415),
    ("empty.mp4", b"", 415),
    ("playlist.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415),
    ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", 415),
    ("sdp.mp4", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 1 RTP/AVP 96\n", 415),
    ("cut.mp4", None, 422),
    ("picture.webp", b"RIFF\x24\0\0\0WEBPVP8 ", 415),
    ("sound.wav", b"RIFF\x24\0\0\0WAVEfmt ", 422),
])
def test_bad_sources(edge, shelf, name, content, status):
    path = os.path.join(shelf.folder, name)
    with open(path, "wb") as f, open(shelf.clip, "rb") as whole:
        f.write(whole.read(5000) if content is None else content)
    a = edge.get(f"/{name}/master.m3u8")
    p = check_problem(a, status, {415: "E_UNSUPPORTED", 422: "E_CORRUPT"}[status], made=True)
    assert p["detail"] and shelf.folder not in a.text, "a path of ours is told"
    check_problem(edge.get(f"/{name}/play/x/master.m3u8"), 404, "E_NOT_FOUND")


def test_video_of_an_unknown_kind(start, tmp_path):
    """Refused by name in a container that is scanned, too, and not served as its sound alone."""
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=0.2:s=64x64", "-f", "lavfi", "-i", "sine=d=0.2",
                    "-c:v", "asv2", "-c:a", "pcm_s16le", tmp_path / "asus.avi"], check=True)
    a = start(tmp_path).get("/asus.avi/master.m3u8")
    assert "asv2" in check_problem(a, 415, "E_UNSUPPORTED", made=True)["detail"]


def test_what_is_left_out_is_logged(start, tmp_path):
    """However many pictures come before (here 125, each a key frame): sound of a kind that is not read."""
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=s=64x64:r=25:d=5", "-f", "lavfi", "-i",
                    "anoisesrc=r=48000:d=5", "-c:v", "mjpeg", "-c:a", "adpcm_yamaha", tmp_path / "camera.avi"], check=True)
    edge = start(tmp_path)
    edge.ok("/camera.avi/master.m3u8")
    edge.stop()
    assert any("the sound is left out" in line for line in edge.lines)


def test_beyond_a_limit(start, clip, media_dir):
    edge = start(media_dir, env={"TIDEMILL_MEDIA_DURATION": "5s"})
    check_problem(edge.get(f"/{clip('tiny.mp4')}/master.m3u8"), 422, "E_LIMITS", made=True)


# ---- while it is being made

def test_cold_segment_is_streamed(start, clip, media_dir):
    """Chunk after chunk; who comes later reads along; HTTP/1.0 and Range wait for the whole."""
    edge = start(media_dir)
    path = folder_of(edge, clip("hd.mp4")) + "0.m4s"
    with Raw(edge) as first, Raw(edge) as second, Raw(edge) as old:
        first.get(path)
        status, head = first.head()
        assert status == 200 and head["transfer-encoding"] == "chunked" and "content-length" not in head
        assert head["cache-status"] == "tidemill; fwd=miss"
        chunks = [first.chunk()]
        assert edge.metrics()["jobs_running"] == 1, "the first chunk came after the last was made"
        assert chunks[0][4:8] == b"styp"
        second.get(path)
        status, joined = second.head()
        assert status == 200 and joined["cache-status"] == "tidemill; fwd=miss; collapsed"
        assert edge.metrics()["jobs_running"] == 1
        old.send(f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        chunks += iter(first.chunk, b"")
        assert b"".join(iter(second.chunk, b"")) == b"".join(chunks)
        status, head = old.head()
        body = old.rest() if head.get("connection") == "close" else old.input.read(int(head["content-length"]))
        assert status == 200 and "transfer-encoding" not in head
        assert int(head["content-length"]) == len(body) and body == b"".join(chunks)
        # The connection goes on after the last chunk.
        first.get(path)
        status, head = first.head()
        assert status == 200 and head["content-length"] == str(len(body))
        assert first.input.read(len(body)) == body
    # About half a second each, and sent as they come.
    fragments = boxes.parse_segment(b"".join(chunks))
    assert len(fragments) >= 6 and len(chunks) >= 4
    assert encodes(edge) == 1


def test_http_10_gets_a_length(edge, cold, warm):
    with Raw(edge) as c:
        c.send(f"GET {cold} HTTP/1.0\r\n\r\n")
        status, head = c.head()
        assert status == 200 and head["content-length"] == str(len(warm[1])) and "transfer-encoding" not in head
        assert c.rest() == warm[1]


def test_many_requests_on_a_connection(edge, warm, cold):
    """Kept alive over all kinds of answers, and requests sent ahead are answered in order."""
    asset = warm[0].split("/")[1]
    with Raw(edge) as c:
        c.get(warm[0], "Range: bytes=0-3")
        c.get(warm[0], method="HEAD")
        c.get("/none.mp4/master.m3u8")
        c.get(cold)
        c.get(f"/{asset}/master.m3u8", method="OPTIONS")
        c.get(warm[0])
        for status, n in ((206, 4), (200, 0), (404, None)):
            got, head = c.head()
            assert got == status
            c.input.read(int(head["content-length"]) if n is None else n)
        assert c.head()[0] == 200 and b"".join(iter(c.chunk, b"")) == warm[1]
        assert c.head()[0] == 204
        assert c.head()[0] == 200 and c.input.read(len(warm[1])) == warm[1]


# ---- what never splits the cache

@pytest.mark.parametrize("query", ["?", "?token=abc", "?CMCD=bl%3D1000%2Cbr%3D5000", "?_HLS_skip=YES", "?a=1&a=2&%00",
                                   "?x=../../y", "?%ff"])
def test_queries_do_not_split_the_cache(edge, warm, query):
    asset = warm[0].split("/")[1]
    for path in (f"/{asset}/master.m3u8", warm[0].replace("0.m4s", "index.m3u8"), warm[0]):
        plain = edge.get(path)
        before = edge.metrics()
        a = edge.get(path + query)
        assert a.status == 200 and a.body == plain.body and a.header("etag") == plain.header("etag")
        assert a.header("cache-status") == "tidemill; hit; detail=memory"
        assert edge.metrics()["cache_misses_total"] == before["cache_misses_total"]


def test_headers_do_not_change_bodies(edge, warm):
    for fields in ({"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"},
                   {"User-Agent": "x" * 3000}, {"Cookie": "a=" + "b" * 3500}, {"Accept": "text/html"},
                   {"X-Original-URL": "/other", "X-Rewrite-URL": "/other"}, {"Origin": "https://evil.example"},
                   {"CMCD-Request": "bl=1000", "CMCD-Session": 'sid="x"'}):
        for path in (warm[0], f"/{warm[0].split('/')[1]}/master.m3u8"):
            a = edge.get(path, fields)
            assert a.status == 200 and b"evil" not in a.body and "evil" not in str(a.headers), fields
            assert a.header("cache-status") == "tidemill; hit; detail=memory"


def test_the_log_tells_no_query(edge, warm):
    edge.get(warm[0] + "?token=SECRET7")
    edge.get(warm[0] + "?x=y%0d%0aforged")
    path = warm[0].replace("0.m4s", "2.m4s")
    edge.get(path)
    until(lambda: any(path in line for line in edge.lines), "the access line")
    assert "SECRET7" not in edge.log_tail(1000) and "forged" not in edge.log_tail(1000)


# ---- a recipe survives

def ladder(crf):
    return {"ladder": [{"short_side": 180, "maxrate": 400000, "crf": crf}]}


def test_recipe_survives_a_changed_ladder(start, clip, media_dir, tmp_path):
    """A player in mid-film goes on after a deploy with other settings."""
    name = clip("tiny.mp4")
    before = start(media_dir, cache=tmp_path / "a", config=ladder(23))
    folder = folder_of(before, name)
    seen = {leaf: before.ok(folder + leaf) for leaf in ("index.m3u8", "0.m4s")}
    before.stop()
    golden = start(media_dir, cache=tmp_path / "b", config=ladder(23))
    assert folder_of(golden, name) == folder

    after = start(media_dir, cache=tmp_path / "a", config=ladder(35))
    fresh = folder_of(after, name)
    assert fresh != folder
    made = after.metrics()["encodes_video_total"]
    assert after.ok(folder + "0.m4s") == seen["0.m4s"] and after.metrics()["encodes_video_total"] == made
    assert after.ok(folder + "index.m3u8") == seen["index.m3u8"]
    for leaf in ("init.mp4", "1.m4s", "3.m4s"):  # never made before
        body = after.ok(folder + leaf)
        assert body == golden.ok(folder + leaf), leaf
        assert leaf == "init.mp4" or body != after.ok(fresh + leaf), "made by the new settings"
    check_problem(after.get(folder + "4.m4s"), 404, "E_NOT_FOUND")
    # Who has no record of it knows no such recipe.
    stranger = start(media_dir, cache=tmp_path / "c", config=ladder(35))
    check_problem(stranger.get(folder + "1.m4s"), 404, "E_NOT_FOUND")


def test_recipe_belongs_to_one_asset(edge, shelf):
    """The record of one asset's recipe opens no other asset."""
    one, two = folder_of(edge, shelf.take()), folder_of(edge, shelf.take())
    mixed = "/".join(["", two.split("/")[1], one.split("/")[2], one.split("/")[3], ""])
    for leaf in ("index.m3u8", "init.mp4", "0.m4s"):
        check_problem(edge.get(mixed + leaf), 404, "E_NOT_FOUND")


# ---- attacks, as bytes

BAD_TARGETS = [
    "/../secret.mp4/master.m3u8", "/..%2fsecret.mp4/master.m3u8", "/%2e%2e/secret.mp4/master.m3u8",
    "/%2E%2E/secret.mp4/master.m3u8", "/.%2e/secret.mp4/master.m3u8", "/a/../secret.mp4/master.m3u8",
    "/a/./secret.mp4/master.m3u8", "/%2e/1.mp4/master.m3u8", "//1.mp4/master.m3u8", "/1.mp4//master.m3u8",
    "/1.mp4%2fmaster.m3u8", "/1.mp4%2Fmaster.m3u8", "/..%5csecret.mp4/master.m3u8", "/..\\secret.mp4/master.m3u8",
    "/1.mp4%00.jpg/master.m3u8", "/1.mp4/master.m3u8%00", "/1.mp4%0a/master.m3u8", "/1.mp4%0d%0aX:y/master.m3u8",
    "/1.mp4%7f/master.m3u8", "/%/master.m3u8", "/%2/master.m3u8", "/%zz/master.m3u8", "/1.mp4/master.m3u8%",
    "/%c0%ae%c0%ae/secret.mp4/master.m3u8", "/%ff/master.m3u8", "/%ed%a0%80/master.m3u8",
    "/%f4%90%80%80/master.m3u8", "/" + "a" * 2100 + "/master.m3u8", "1.mp4/master.m3u8", "*",
]
# Well formed, but nothing behind it: encoded twice, hidden, outside by a link, not a file.
NOTHING_THERE = [
    "/%252e%252e/secret.mp4/master.m3u8", "/..%252fsecret.mp4/master.m3u8", "/.hidden.mp4/master.m3u8",
    "/.ssh/1.mp4/master.m3u8", "/link.mp4/master.m3u8", "/away/secret.mp4/master.m3u8", "/proc/self/exe/master.m3u8",
    "/sub/master.m3u8", "/pipe.mp4/master.m3u8", "/%e2%80%a6/secret.mp4/master.m3u8", "/...%20/1.mp4/master.m3u8",
    "/etc/passwd/master.m3u8", "/~root/master.m3u8", "/" + "/".join(["a"] * 900) + "/master.m3u8",
]


@pytest.fixture(scope="module")
def fort(shelf, tmp_path_factory):
    """A server whose folder has ways out of it, if they were followed."""
    top = tmp_path_factory.mktemp("fort")
    inside = top / "inside"
    (inside / "sub").mkdir(parents=True)
    shutil.copy(shelf.clip, top / "secret.mp4")
    shutil.copy(shelf.clip, inside / "1.mp4")
    shutil.copy(shelf.clip, inside / ".hidden.mp4")
    os.symlink(top / "secret.mp4", inside / "link.mp4")
    os.symlink(top, inside / "away")
    os.mkfifo(inside / "pipe.mp4")
    e = Edge(inside, top / "cache")
    yield e
    e.stop()


@pytest.mark.parametrize("target", BAD_TARGETS, ids=lambda t: t[:40])
def test_malformed_targets(fort, target):
    with Raw(fort) as c:
        c.get(target)
        status, head = c.head()
        assert status in (400, 414), (status, head)
        assert head.get("cache-control") == "no-store" or status == 414
        assert b"secret" not in c.input.read(int(head["content-length"]))


@pytest.mark.parametrize("target", NOTHING_THERE, ids=lambda t: t[:40])
def test_nothing_outside_is_there(fort, target):
    with Raw(fort) as c:
        c.get(target)
        assert c.head()[0] == 404
    assert fort.ok("/1.mp4/master.m3u8") and fort.metrics()["probes_total"] == 1


def test_listing_shows_nothing_hidden(fort):
    page = fort.ok("/").decode()
    assert "1.mp4" in page
    for name in ("hidden", "link.mp4", "secret", "away", "pipe"):
        assert name not in page, name


EVIL = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = [
    "GET {p} HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 31\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nContent-Length: +31\r\n\r\n" + EVIL,
    "HEAD {p} HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n" + EVIL,
    "OPTIONS {p} HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n" + EVIL,
    "POST {p} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\nX: y\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nX: y\n\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nX\0Y: a\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n" + EVIL,
    "GET {p}\0 HTTP/1.1\r\nHost: x\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nX Y: 1\r\n\r\n" + EVIL,
    "GET {p} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n" + EVIL,
    "GET {p} HTTP/2.0\r\nHost: x\r\n\r\n" + EVIL,
    "GET {p} x HTTP/1.1\r\nHost: x\r\n\r\n" + EVIL,
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EVIL,
]


@pytest.mark.parametrize("request_bytes", SMUGGLED)
def test_smuggling(edge, warm, request_bytes):
    """Turned away, and nothing behind it is taken for a request."""
    with Raw(edge) as c:
        c.send(request_bytes.replace("{p}", warm[0]))
        c.socket.shutdown(socket.SHUT_WR)
        answer = c.rest()
    # libmicrohttpd gives some of its own refusals two headers.
    answers = set(re.findall(rb"HTTP/1\.1 (\d{3}) ", answer))
    assert len(answers) <= 1 and answers <= {b"400", b"405", b"505"}, answer[:200]


def test_server_is_well_after_all_that(edge, warm):
    assert edge.process.poll() is None and edge.ok(warm[0]) == warm[1]
    assert edge.get("/livez", port=edge.admin_port).status == 200


# ---- where it listens

def test_unix_socket(start, clip, media_dir, tmp_path):
    path = str(tmp_path / "s")
    edge = start(media_dir, "-l", "unix:" + path)
    with Raw(address=path, family=socket.AF_UNIX) as c:
        c.get(f"/{clip('tiny.mp4')}/master.m3u8")
        status, head = c.head()
        assert status == 200 and c.input.read(int(head["content-length"])).startswith(b"#EXTM3U")
    assert edge.stop() == 0 and not os.path.exists(path), "the socket's file was left behind"


def test_unix_socket_of_a_dead_server(start, media_dir, tmp_path):
    path = str(tmp_path / "s")
    start(media_dir, "-l", "unix:" + path).kill()
    assert os.path.exists(path)
    start(media_dir, "-l", "unix:" + path)
    Raw(address=path, family=socket.AF_UNIX).socket.close()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def test_ipv6(start, clip, media_dir):
    if not has_ipv6():
        pytest.skip("there is no IPv6 here")
    edge = start(media_dir, "-l", "[::1]:0")
    with Raw(address=("::1", edge.port), family=socket.AF_INET6) as c:
        c.get(f"/{clip('tiny.mp4')}/master.m3u8")
        assert c.head()[0] == 200
    until(lambda: any(" ::1 GET " in line for line in edge.lines), "the access line")


# ---- the other listener

def test_admin(edge, warm):
    port = edge.admin_port
    a = edge.get("/metrics", port=port)
    assert a.status == 200 and a.header("content-type").startswith("text/plain; version=0.0.4")
    names = re.findall(r"^# TYPE (tidemill_\w+) (counter|gauge)$", a.text, re.M)
    assert len(names) > 40
    for name, kind in names:
        assert re.search(rf"^# HELP {name} \S", a.text, re.M), name
        assert len(re.findall(rf"^{name} -?\d+$", a.text, re.M)) == 1, name
        assert name.endswith("_total") == (kind == "counter"), name
    assert edge.get("/livez", port=port).status == 200
    assert edge.get("/readyz", port=port).status == 200
    status = edge.get("/status", port=port)
    assert status.header("content-type") == "application/json" and status.json["workers"] > 1
    assert edge.request("HEAD", "/status", port=port).status == 200
    for a in (a, status):
        assert a.header("cache-control") == "no-store"
    assert edge.request("POST", "/status", port=port).status == 405
    assert edge.get("/", port=port).status == 404
    assert edge.get(warm[0], port=port).status == 404, "viewers are served on the admin's port"
    for path in ("/metrics", "/status", "/livez", "/readyz"):
        assert edge.get(path).status == 404, "the admin's pages are served to viewers"


def test_no_admin(start, media_dir):
    edge = start(media_dir, env={"TIDEMILL_ADMIN": ""})
    assert edge.admin_port is None and edge.get("/").status == 200


def test_pages_only_without_a_file(start, clip, media_dir):
    name = clip("tiny.mp4")
    plain, configured = start(media_dir), start(media_dir, config=ladder(23))
    for path in ("/", f"/{quote(name)}/play", "/-/style.css"):
        assert plain.get(path).status == 200, path
        assert configured.get(path).status == 404, path


# ---- the command line

def run(*args, env=None):
    p = subprocess.run([os.path.join(BUILD, "tidemill"), *map(str, args)], capture_output=True, text=True, timeout=60,
                       env={**os.environ, **(env or {})})
    return p.returncode, p.stdout, p.stderr


@pytest.mark.parametrize("name, says", [
    ("brief.mp4", "segments      1 of 75 frames (parts of 50), target duration 3 s"),
    ("tiny.mp4", "segments      4 of 100 frames, the last of 25 (parts of 50), target duration 4 s"),
    ("four.mp4", "segments      1 of 100 frames (parts of 50), target duration 4 s"),
    ("one.mp4", "segments      1 of 1 frames (parts of 1), target duration 1 s"),
])
def test_probe(clip, media_dir, name, says):
    status, out, err = run("probe", os.path.join(media_dir, clip(name)))
    assert status == 0, err
    assert says in out.splitlines(), out


@pytest.mark.parametrize("text, where, says", [
    ('{"listen": "127.0.0.1:0", "lisen": 1}', "1:27", r"lisen: .*listen"),
    ('{\n  "cache": {\n    "memory": "64 parsecs"\n  }\n}', "3:5", r"cache\.memory: "),
    ('{\n  "cache": {"memory": 5}\n}', "2:13", r"cache\.memory: .*\"64MiB\""),
    ('{"media": {"segment": "4MiB"}}', "1:12", r"media\.segment: .*\"30s\""),
    ('{"workers": {"count": "two"}}', "1:14", r"workers\.count: .*whole number"),
    ('{"workers": {"count": -1}}', "1:14", r"workers\.count: .*0 .*1024"),
    ('{"ui": "yes"}', "1:2", r"ui: .*true or false"),
    ('{"a.b": 1}', "1:2", "a.b: "),
    ('{"listen": "x:1",\n "listen": "y:1"}', "2:2", "listen: .*twice"),
    ('{"ladder": []}', "1:2", "ladder: "),
    ('{"ladder": [{"short_side": 181, "maxrate": 400000, "crf": 23}]}', "1:13", r"ladder\[0\].*odd"),
    ('{"ladder": [{"short_side": 180, "crf": 23}]}', "1:13", r"ladder\[0\].*maxrate"),
    ('{"origins": [{"prefix": "/", "base": "/no/such/folder"}]}', "1:30", r"origins\[0\]\.base: .*/no/such/folder"),
    ('{"origins": [{"prefix": "/", "base": "ftp://x/"}]}', "1:30", r"origins\[0\]\.base: "),
    ('{"origins": [{"prefix": "x", "base": "http://x/"}]}', "1:15", r"origins\[0\]\.prefix: "),
    ('{"cache": {"memory": "64MiB"}', "1:", "not JSON"),
    ("[]", "1:1", "an object"),
    ("", "1:1", "not JSON"),
])
def test_bad_files(tmp_path, text, where, says):
    path = tmp_path / "t.json"
    path.write_text(text)
    for flag in ("-t", "-T"):
        status, out, err = run(flag, "-c", path, tmp_path)
        assert status == 78 and out == "", (status, out, err)
        assert re.match(rf"tidemill: {re.escape(str(path))}:{where}.*{says}", err), err
        assert err.count("\n") == 1


def test_good_file(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"cache": {"memory": "64MiB"}, "redis": {"url": "redis://:SECRET7@h/1"}}))
    assert run("-t", "-c", path, tmp_path)[0] == 0
    status, out, _ = run("-T", "-c", path, tmp_path, env={"TIDEMILL_HTTP_THREADS": "3"})
    seen = json.loads(out)
    assert status == 0 and seen["cache"]["memory"] == "64MiB" and seen["http"]["threads"] == 3
    assert "SECRET7" not in out
    # What is printed can be read again.
    del seen["redis"]
    path.write_text(json.dumps(seen))
    assert run("-t", "-c", path)[0] == 0


@pytest.mark.parametrize("args, status", [
    (["-x"], 2), (["--nonsense"], 2), (["-c"], 2), (["one", "two"], 2), (["probe"], 2), (["probe", "a", "b"], 2),
    (["-h"], 0), (["--help-config"], 0), (["-V"], 0), (["-t", "/"], 0),
    ([], 78), (["/no/such/folder"], 78), (["-t", "-c", "/no/such/file", "/"], 78), (["ftp://x/"], 78),
    (["probe", "/no/such/file"], 1), (["-l", "127.0.0.1:99999", "-d", "{cache}", "/"], 78),
    (["-l", "nonsense", "-d", "{cache}", "/"], 78), (["-d", "/proc/nothing", "-l", "127.0.0.1:0", "/"], 1),
])
def test_exit_codes(tmp_path, args, status):
    got, out, err = run(*[a.replace("{cache}", str(tmp_path)) for a in args])
    assert got == status, (out, err)
    assert not status or (err.startswith("tidemill: ") and err.count("\n") == 1), err


def test_wrong_environment(tmp_path):
    status, _, err = run("-t", tmp_path, env={"TIDEMILL_CACHE_MEMROY": "1GiB"})
    assert status == 78 and "TIDEMILL_CACHE_MEMORY" in err
    status, _, err = run("-t", tmp_path, env={"TIDEMILL_CACHE_MEMORY": "1 GB"})
    assert status == 78 and err.startswith("tidemill: TIDEMILL_CACHE_MEMORY: ")


def test_address_in_use(edge, tmp_path):
    status, _, err = run("-l", f"127.0.0.1:{edge.port}", "-d", tmp_path, tmp_path)
    assert status == 1 and "in use" in err


def test_average_bandwidth(shelf, tmp_path):
    """A guess at first; what the segments have, as soon as all were made, or come from the disk."""
    config = {"http": {"entry_age": "0s"}}
    asset = shelf.take()

    def averages(e):
        p = Playlist(e, asset)
        (_, folder, attrs), (_, audio, _) = p.renditions()[0], p.renditions()[-1]
        return int(attrs["AVERAGE-BANDWIDTH"]), int(attrs["BANDWIDTH"]), (folder, audio)

    def measure(e, folders):
        total = 0
        for folder in folders:
            _, durations, names = Playlist(e, asset).media(folder)
            bits = 8 * sum(len(e.ok(folder + n)) for n in names)
            total += bits / sum(map(float, durations))
        return total

    for run in range(2):
        e = Edge(shelf.folder, tmp_path / "cache", config=config)
        try:
            guess, bound, folders = averages(e)
            true = measure(e, folders)
            told = averages(e)[0]
            assert abs(told - true) < 3 and told <= bound and abs(guess - true) > 100, (run, guess, told, true)
            assert encodes(e) == 0 or run == 0
        finally:
            e.stop()
