# SPDX-License-Identifier: BSD-2-Clause
"""Encryption: decrypted, the bytes are those that a server without it gives, and no other way leads to them."""
import hashlib
import hmac

import pytest

import aes
import browser
import exact
from edge import Edge, Playlist, attributes
from test_players import play

SECRET = "a secret of the test, and long"


def settings(method, secret=SECRET, **more):
    return {"encryption": {"method": method, "secret": secret, **more}}


def derived(what, asset, secret=SECRET):
    return hmac.new(secret.encode(), f"{what} 1\n{asset}".encode(), hashlib.sha256).digest()[:16]


def folders(edge, name, entry="master.m3u8"):
    p = Playlist(edge, name, entry)
    return {r: folder for r, folder, _ in p.renditions() + p.tricks()}


def key_line(edge, folder):
    [line] = [l for l in edge.ok(folder + "index.m3u8").decode().splitlines() if l.startswith("#EXT-X-KEY:")]
    return attributes(line)


@pytest.mark.parametrize("entry", ["master.m3u8", "master-ts.m3u8"])
def test_aes_128(entry, start, clip, media_dir):
    """Each segment by its own: the key from its URL, the number for the vector."""
    name = clip("short.mp4")
    edge, clear = start(media_dir, config=settings("aes-128")), start(media_dir)
    plain = folders(clear, name, entry)
    playlist = Playlist(edge, name, entry)
    hidden = folders(edge, name, entry)
    promised = {r: int(attrs["BANDWIDTH"]) for r, _, attrs in playlist.renditions() if "BANDWIDTH" in attrs}
    assert hidden.keys() == plain.keys()
    for r, folder in hidden.items():
        assert folder != plain[r]
        key = edge.get(folder + "key")
        assert key.body == derived("key", name) and key.header("cache-control") == "no-store"
        assert key.header("content-type") == "application/octet-stream" and not key.header("etag")
        assert key.header("access-control-allow-origin") == "*"
        assert key_line(edge, folder) == {"METHOD": "AES-128", "URI": "key"}
        _, durations, names = playlist.media(folder)
        for k, segment in enumerate(names):
            body, want = edge.ok(folder + segment), clear.ok(plain[r] + segment)
            assert aes.decrypt(key.body, k.to_bytes(16, "big"), body, padding=True) == want
            assert 8 * len(body) / float(durations[k]) <= promised.get(r, float("inf"))
        if entry == "master.m3u8":
            assert edge.ok(folder + "init.mp4") == clear.ok(plain[r] + "init.mp4")
            assert edge.get(folder[:-1] + ".mp4").status == 404  # they do not make one file
    m = edge.metrics()
    assert m["encryptions_total"] > 0 and m["bandwidth_exceeded_total"] == 0


def test_ffmpeg_reads_aes_128(start, clip, media_dir):
    """Every picture once, through the playlist of a rendition; with another key there is nothing to see."""
    name = clip("base.mp4")
    edge = start(media_dir, config=settings("aes-128"))
    p = Playlist(edge, name)
    for r, folder, attrs in p.renditions():
        if "RESOLUTION" in attrs:
            w, h = map(int, attrs["RESOLUTION"].split("x"))
            assert exact.read_barcodes(f"{edge.url}{folder}index.m3u8", w, h) == list(range(325)), r


@pytest.mark.parametrize("player", ["hls", pytest.param("shaka", marks=pytest.mark.long)])
def test_players_of_aes_128(player, start, clip, media_dir):
    edge = start(media_dir, config=settings("aes-128"))
    check_seen(edge, player, f"/{clip('base.mp4')}/master.m3u8", None)


def check_seen(edge, player, path, keys):
    """Seeks show the right pictures, and it plays to its end."""
    times = [0.5, 7.9, 3.3, 12.9]
    r = browser.run("keys.mjs", dict(player=player, url=edge.url + path, keys=keys, times=times))
    assert r.get("seeks") == [int(25 * t) for t in times], (r, edge.log_tail())
    assert r["ended"] and r["errors"] == [] and "pageErrors" not in r, r
    return r


@pytest.mark.long
def test_hls_js_switches_in_aes_128(start, clip, media_dir):
    """Every picture, cold and warm seeks, and all rungs in turn."""
    config = settings("aes-128")
    play(start(media_dir, config=config), start(media_dir, config=config), "hls", clip("base.mp4"), 25, 325, 0)


def test_nothing_clear_is_to_be_had(start, clip, media_dir):
    """Not by the URLs of a server that has the same secret-less settings, although the objects are there."""
    name = clip("short.mp4")
    clear = start(media_dir)
    plain = folders(clear, name)
    ts = folders(clear, name, "master-ts.m3u8")
    for folder in plain.values():
        clear.ok(folder + "index.m3u8")
        clear.ok(folder + "init.mp4")
        clear.ok(folder + "0.m4s")
        assert clear.get(folder + "key").status == 404
    assert clear.stop() == 0
    edge = start(media_dir, config=settings("aes-128"), cache=clear.cache)
    for r, folder in folders(edge, name).items():
        edge.ok(folder + "0.m4s")
    for folder in plain.values():
        for leaf in ("index.m3u8", "init.mp4", "0.m4s", "0.ts", "key"):
            assert edge.get(folder + leaf).status == 404, leaf
            assert edge.request("HEAD", folder + leaf).status == 404, leaf
        assert edge.get(folder[:-1] + ".mp4").status == 404
    for folder in ts.values():
        assert edge.get(folder + "0.ts").status == 404 and edge.get(folder + "index.m3u8").status == 404
    assert edge.metrics()["encodes_video_total"] == 0  # all of it from the clear one's cache
    assert edge.get(f"/{name}/poster.jpg").status == 200
    assert edge.get(f"/{name}/storyboard.vtt").status == 200


def test_outlives_restarts_not_secrets(start, clip, media_dir):
    name = clip("short.mp4")
    first = start(media_dir, config=settings("aes-128"))
    hidden = folders(first, name)
    folder = next(f for r, f in hidden.items() if r != "source")  # of the ladder
    key, body = first.ok(folder + "key"), first.ok(folder + "0.m4s")
    assert first.stop() == 0
    again = start(media_dir, config=settings("aes-128"), cache=first.cache)
    assert folders(again, name) == hidden
    assert again.ok(folder + "key") == key and again.ok(folder + "0.m4s") == body
    assert again.stop() == 0
    # A player in mid-film goes on where the ladder has changed.
    ladder = {"ladder": [{"short_side": 90, "maxrate": 100000, "crf": 30}]}
    after = start(media_dir, config={**settings("aes-128"), **ladder}, cache=first.cache)
    assert folder not in folders(after, name).values()
    assert after.ok(folder + "key") == key and after.ok(folder + "0.m4s") == body
    assert after.stop() == 0
    other = start(media_dir, config=settings("aes-128", "another secret, as long"), cache=first.cache)
    assert not set(folders(other, name).values()) & set(hidden.values())
    for leaf in ("key", "index.m3u8", "0.m4s"):
        assert other.get(folder + leaf).status == 404
    for e in first, again, after, other:
        assert not any("secret" in line for line in e.lines)


def test_key_server(start, clip, media_dir):
    """Of a key server's URL only the id is ours to fill in; the key is not to be had here."""
    name = clip("short.mp4")
    edge = start(media_dir, config=settings("aes-128", key_url="https://keys.example/k?id={key_id}"))
    folder = next(iter(folders(edge, name).values()))
    assert key_line(edge, folder)["URI"] == f"https://keys.example/k?id={derived('key id', name).hex()}"
    assert edge.get(folder + "key").status == 404


def test_each_asset_has_its_key(start, clip, media_dir):
    edge = start(media_dir, config=settings("aes-128"))
    keys = [edge.ok(next(iter(folders(edge, n).values())) + "key")
            for n in (clip("short.mp4"), clip("tiny.mp4"), clip("short.mp4") + ";t=0,2")]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("method, entry", [("aes-128", "manifest.mpd")])
def test_no_rule_no_entry(method, entry, start, clip, media_dir):
    assert start(media_dir, config=settings(method)).get(f"/{clip('short.mp4')}/{entry}").status == 404


def test_secret_is_needed(media_dir, tmp_path):
    with pytest.raises(RuntimeError, match="encryption.secret: missing"):
        Edge(media_dir, tmp_path / "cache", config={"encryption": {"method": "aes-128"}})
