# SPDX-License-Identifier: BSD-2-Clause
"""Encryption: decrypted, the bytes are those that a server without it gives, and no other way leads to them."""
import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import uuid

import pytest

import aes
import browser
import exact
from edge import Edge, Playlist, attributes
from peers import Origin, free_port, until
from test_players import play

SECRET = "a secret of the test, and long"


def settings(method, secret=SECRET, **more):
    return {"encryption": {"method": method, "secret": secret, **more}}


def derived(what, asset, secret=SECRET):
    return hmac.new(secret.encode(), f"{what} 1\n{asset}".encode(), hashlib.sha256).digest()[:16]


def jwk(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


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


@pytest.fixture
def subtitled(clip, media_dir, tmp_path):
    """A folder with a source that has subtitles, and others beside it."""
    folder = tmp_path / "subtitled"
    folder.mkdir()
    text = folder / "cat.mkv.de.srt"
    text.write_text("1\n00:00:00,500 --> 00:00:02,000\nein Satz\n\n2\n00:00:06,000 --> 00:00:12,000\nlang\n")
    subprocess.run(["ffmpeg", "-v", "error", "-i", pathlib.Path(media_dir) / clip("tiny.mp4"), "-i", text, "-c", "copy",
                    "-c:s", "srt", "-metadata:s:s:0", "language=eng", folder / "cat.mkv"], check=True)
    return folder


@pytest.mark.parametrize("method", ["aes-128", "cbcs"])
def test_subtitles(method, subtitled, start):
    """Whole segments are encrypted, whatever they hold; samples are of audio and video alone."""
    edge, clear = start(subtitled, config=settings(method)), start(subtitled)

    def texts(e):
        lines = e.ok("/cat.mkv/master.m3u8").decode().splitlines()
        found = [attributes(line)["URI"] for line in lines if line.startswith("#EXT-X-MEDIA:TYPE=SUBTITLES")]
        return {uri.split("/")[1]: f"/cat.mkv/{uri.rsplit('/', 1)[0]}/" for uri in found}

    plain, hidden = texts(clear), texts(edge)
    assert hidden.keys() == plain.keys() == {"subs-en", "subs-de"}
    for r, folder in hidden.items():
        assert (folder != plain[r]) == (method == "aes-128")
        for k in reversed(range(4)):
            body, want = edge.ok(f"{folder}{k}.vtt"), clear.ok(f"{plain[r]}{k}.vtt")
            if method == "aes-128":
                body = aes.decrypt(derived("key", "cat.mkv"), k.to_bytes(16, "big"), body, padding=True)
                for leaf in f"{k}.vtt", "index.m3u8":
                    assert edge.get(plain[r] + leaf).status == 404
            assert body == want
        if method == "aes-128":
            assert key_line(edge, folder) == {"METHOD": "AES-128", "URI": "key"}
            assert edge.ok(folder + "key") == derived("key", "cat.mkv")


def test_ffmpeg_reads_aes_128(start, clip, media_dir):
    """Every picture once, through the playlist of a rendition; with another key there is nothing to see."""
    name = clip("base.mp4")
    edge = start(media_dir, config=settings("aes-128"))
    p = Playlist(edge, name)
    for r, folder, attrs in p.renditions():
        if "RESOLUTION" in attrs:
            w, h = map(int, attrs["RESOLUTION"].split("x"))
            assert exact.read_barcodes(f"{edge.url}{folder}index.m3u8", w, h) == list(range(325)), r


# ---- cbcs

COMMON = bytes.fromhex("1077efecc0b24d02ace33c1e52e2fb4b")
WAY = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"moof", b"traf"]


def walk(data):
    """(type, payload) of boxes one after another."""
    at, out = 0, []
    while at < len(data):
        n = int.from_bytes(data[at:at + 4], "big")
        assert 8 <= n <= len(data) - at
        out.append((data[at + 4:at + 8], data[at + 8:at + n]))
        at += n
    return out


def box(kind, payload):
    return (len(payload) + 8).to_bytes(4, "big") + kind + payload


def find(data, *path):
    for kind in path:
        [data] = [p for k, p in walk(data) if k == kind]
        data = data[8:] if kind == b"stsd" else data
    return data


def undo_init(data):
    """The clear init segment, and its tenc."""
    out, tenc = b"", None
    for kind, payload in walk(data):
        if kind in WAY:
            head = 8 if kind == b"stsd" else 0
            inner, found = undo_init(payload[head:])
            payload, tenc = payload[:head] + inner, found or tenc
        elif kind in (b"encv", b"enca"):
            at = payload.rindex(b"sinf") - 4
            sinf = find(payload[at:], b"sinf")
            assert [k for k, _ in walk(sinf)] == [b"frma", b"schm", b"schi"]
            assert find(sinf, b"schm") == b"\0\0\0\0cbcs\0\1\0\0"
            kind, payload, tenc = find(sinf, b"frma"), payload[:at], find(sinf, b"schi", b"tenc")
        elif kind == b"pssh":
            continue
        out += box(kind, payload)
    return out, tenc


def undo_pattern(key, iv, data):
    """One block in ten; the chain goes from one to the next."""
    out = bytearray(data)
    at = range(0, len(data) - 15, 160)
    plain = aes.decrypt(key, iv, b"".join(data[i:i + 16] for i in at))
    for k, i in enumerate(at):
        out[i:i + 16] = plain[16 * k:16 * k + 16]
    return bytes(out)


def undo_sample(key, iv, data, layout):
    if layout is None:
        whole = len(data) // 16 * 16
        return aes.decrypt(key, iv, data[:whole]) + data[whole:]
    out, at = b"", 0
    for clear, hidden in layout:
        out += data[at:at + clear] + undo_pattern(key, iv, data[at + clear:at + clear + hidden])
        at += clear + hidden
    assert at == len(data)
    return out


def undo_moof(data, video):
    """The clear moof, sizes of samples, their layouts."""
    traf = find(data, b"moof", b"traf")
    boxes_ = dict(walk(traf))
    trun = boxes_[b"trun"]
    flags, count = int.from_bytes(trun[1:4], "big"), int.from_bytes(trun[4:8], "big")
    first = 12 + 4 * bool(flags & 4)
    row = [f for f in (0x100, 0x200, 0x400, 0x800) if flags & f]
    rows = [trun[first + 4 * len(row) * i:] for i in range(count)]
    sizes = [int.from_bytes(r[4 * row.index(0x200):][:4], "big") for r in rows]
    more = sum(8 + len(boxes_[k]) for k in (b"saiz", b"saio", b"senc") if k in boxes_)
    trun = trun[:8] + (int.from_bytes(trun[8:12], "big") - more).to_bytes(4, "big") + trun[12:]
    clear = box(b"tfhd", boxes_[b"tfhd"]) + box(b"tfdt", boxes_[b"tfdt"]) + box(b"trun", trun)
    moof = box(b"moof", box(b"mfhd", find(data, b"moof", b"mfhd")) + box(b"traf", clear))
    if not video:
        assert more == 0
        return moof, sizes, [None] * count
    senc, saiz, saio = boxes_[b"senc"], boxes_[b"saiz"], boxes_[b"saio"]
    assert senc[:8] == b"\0\0\0\2" + count.to_bytes(4, "big") and saio[:8] == b"\0\0\0\0\0\0\0\1"
    assert data[int.from_bytes(saio[8:12], "big"):].startswith(senc[8:])
    layouts, at = [], 8
    for size in saiz[9:]:
        n = int.from_bytes(senc[at:at + 2], "big")
        assert size == 2 + 6 * n
        entries = [senc[at + 2 + 6 * i:at + 8 + 6 * i] for i in range(n)]
        layouts.append([(int.from_bytes(e[:2], "big"), int.from_bytes(e[2:], "big")) for e in entries])
        at += size
    assert at == len(senc) and len(layouts) == count
    return moof, sizes, layouts


def undo_segment(key, iv, data, video):
    """The clear segment, and the layouts of all samples."""
    out, all_layouts, layouts = b"", [], None
    for kind, payload in walk(data):
        whole = box(kind, payload)
        if kind == b"moof":
            whole, sizes, layouts = undo_moof(whole, video)
            all_layouts += layouts
        elif kind == b"mdat":
            at, plain = 0, b""
            for size, layout in zip(sizes, layouts):
                plain += undo_sample(key, iv, payload[at:at + size], layout)
                at += size
            assert at == len(payload)
            whole = box(kind, plain)
        out += whole
    return out, all_layouts


def rung(codec, height=180):
    return {"short_side": height, "maxrate": 300000, "crf": 35, "codec": codec}


OTHERS = {"ladder": [rung("hevc"), rung("av1"), {"codec": "opus", "bitrate": 96000}]}  # codecs


@pytest.mark.parametrize("name, ladder", [
    ("short.mp4", {}),
    ("short.mp4", OTHERS),
    ("hevc.mp4", {}),  # and the source itself
    pytest.param("av1.mkv", {}, marks=pytest.mark.long),
    pytest.param("2997.mkv", {}, marks=pytest.mark.long),
    pytest.param("2997.mkv", {"ladder": [rung("hevc", 360), rung("av1", 360)]}, marks=pytest.mark.long),
])
def test_cbcs(name, ladder, start, clip, media_dir):
    """Undone by the standard's rules, each byte is that of a server without encryption."""
    clip(name)
    edge, clear = start(media_dir, config={**settings("cbcs"), **ladder}), start(media_dir, config=ladder)
    plain, p = folders(clear, name), Playlist(edge, name)
    key, iv, key_id = (derived(w, name) for w in ("key", "iv", "key id"))
    promised = {r: int(attrs["BANDWIDTH"]) for r, _, attrs in p.renditions() if "BANDWIDTH" in attrs}
    hidden = folders(edge, name)
    assert hidden.keys() == plain.keys() and len(hidden) > 3
    for r, folder in hidden.items():
        video = not r.startswith("audio")
        assert edge.ok(folder + "key") == key
        assert key_line(edge, folder) == {"METHOD": "SAMPLE-AES", "URI": "key", "KEYFORMAT": "identity",
                                          "IV": "0x" + iv.hex()}
        init = edge.ok(folder + "init.mp4")
        assert find(init, b"moov", b"pssh") == b"\1\0\0\0" + COMMON + b"\0\0\0\1" + key_id + bytes(4)
        back, tenc = undo_init(init)
        assert back == clear.ok(plain[r] + "init.mp4")
        assert tenc == b"\1\0\0\0\0" + (b"\x19" if video else b"\0") + b"\1\0" + key_id + b"\x10" + iv
        _, durations, names = p.media(folder)
        for k, n in enumerate(names):
            body, want = edge.ok(folder + n), clear.ok(plain[r] + n)
            back, layouts = undo_segment(key, iv, body, video)
            assert back == want and body != want
            assert 8 * len(body) / float(durations[k]) <= promised.get(r, float("inf"))
        whole = edge.ok(folder[:-1] + ".mp4")
        assert whole == init + b"".join(edge.ok(folder + n) for n in names)
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


@pytest.mark.parametrize("right", [True, False])
def test_ffmpeg_reads_cbcs(right, start, clip, media_dir, tmp_path):
    """Pictures in their order; with another key there is nothing to see.  (ffmpeg 5.1 takes no more than one fragment
    of such a file, so it gets the first of each segment.)"""
    name = clip("base.mp4")
    edge = start(media_dir, config=settings("cbcs"))
    [(folder, attrs)] = [f[1:] for f in Playlist(edge, name).renditions() if f[0] == "240p"]
    key = derived("key", name, SECRET if right else "another secret, as long").hex()
    w, h = map(int, attrs["RESOLUTION"].split("x"))
    for k in range(3):
        path = tmp_path / f"{k}.mp4"
        fragment = [box(kind, payload) for kind, payload in walk(edge.ok(f"{folder}{k}.m4s"))[:3]]
        path.write_bytes(edge.ok(folder + "init.mp4") + b"".join(fragment))
        out = subprocess.run(f"ffmpeg -v quiet -decryption_key {key} -i {path} -vsync passthrough -f rawvideo "
                             f"-pix_fmt gray - | '{exact.BARCODE}' read {w} {h}", shell=True, capture_output=True,
                             text=True).stdout.split()
        seen = [int(n) for n in out if n != "?"]
        if right:  # in coding order the fragment ends between two pictures
            assert len(seen) == len(out) == 13 and seen == sorted(set(seen)), (k, out)
            assert seen[:8] == list(range(100 * k, 100 * k + 8)) and seen[-1] < 100 * k + 18, (k, out)
        else:
            assert seen[:8] != list(range(100 * k, 100 * k + 8)), (k, out)


def ask_license(edge, name, kids, **fields):
    body = json.dumps({"kids": [jwk(k) for k in kids], "type": "temporary"}).encode()
    return edge.request("POST", f"/{name}/license", fields, body=body)


def test_license(start, clip, media_dir):
    """The key of an asset, to those who name its id; nothing else."""
    name, other = clip("short.mp4"), clip("tiny.mp4")
    edge = start(media_dir, config=settings("cbcs"))
    kid, key = derived("key id", name), derived("key", name)
    for kids in [kid], [bytes(16), kid]:
        a = ask_license(edge, name, kids, Origin="https://page.example")
        assert a.json == {"keys": [{"kty": "oct", "kid": jwk(kid), "k": jwk(key)}], "type": "temporary"}
        assert a.status == 200 and a.header("content-type") == "application/json"
        assert a.header("cache-control") == "no-store" and a.header("access-control-allow-origin") == "*"
        assert not a.header("etag")
    assert ask_license(edge, other, [kid]).status == 404
    assert ask_license(edge, "none.mp4", [derived("key id", "none.mp4")]).status == 404
    assert edge.request("POST", f"/{name}/license", body=b"{").status == 400
    for method in "GET", "HEAD", "PUT":
        assert edge.request(method, f"/{name}/license").status == 405
    a = edge.request("OPTIONS", f"/{name}/license", {"Origin": "https://page.example",
                                                    "Access-Control-Request-Method": "POST"})
    assert a.header("access-control-allow-methods") == a.header("allow") == "POST, OPTIONS"
    assert "dashif:Laurl" not in edge.ok(f"/{name}/manifest.mpd").decode()
    # Not where keys are another server's business, or there are none.
    for config in settings("cbcs", key_url="https://keys.example/"), settings("aes-128"):
        assert ask_license(start(media_dir, config=config), name, [kid]).status == 404


AV1 = {"ladder": [rung("av1", 240)], "media": {"passthrough": False}}


@pytest.mark.parametrize("player, entry, told, more", [
    ("shaka", "master.m3u8", None, {}),
    ("dashjs", "manifest.mpd", "where", {}),
    pytest.param("dash", "manifest.mpd", "where", AV1, marks=pytest.mark.long),
    pytest.param("dash", "manifest.mpd", "where", {}, marks=pytest.mark.long),
    pytest.param("dash", "manifest.mpd", "keys", {}, marks=pytest.mark.long),
    pytest.param("shaka", "master.m3u8", "keys", {}, marks=pytest.mark.long),
], ids=["hls", "dash.js", "shaka av1", "shaka", "shaka told", "hls told"])
def test_players_of_cbcs(player, entry, told, more, start, clip, media_dir):
    """By ClearKey: the playlist says where the key is, the MPD where licenses are, or the page tells the player keys."""
    name = clip("base.mp4")
    address = f"127.0.0.1:{free_port()}"  # the MPD names it
    where = {"license_url": f"http://{address}/{{asset}}/license"} if told == "where" else {}
    edge = start(media_dir, "-l", address, config={**settings("cbcs", **where), **more})
    keys = {derived("key id", name).hex(): derived("key", name).hex()} if told == "keys" else None
    assert check_seen(edge, player, f"/{name}/{entry}", keys)["scheme"] == "MediaKeys"


@pytest.mark.long
def test_wrong_key_shows_nothing(start, clip, media_dir):
    name = clip("base.mp4")
    edge = start(media_dir, config=settings("cbcs"))
    keys = {derived("key id", name).hex(): "00" * 16}
    r = browser.run("keys.mjs", dict(player="dash", url=f"{edge.url}/{name}/manifest.mpd", keys=keys, times=[]))
    assert not r.get("ended") or r["frames"] == 0 or r["errors"], r


# ---- players of AES-128

@pytest.mark.parametrize("player", ["hls", pytest.param("shaka", marks=pytest.mark.long)])
def test_players_of_aes_128(player, start, clip, media_dir):
    edge = start(media_dir, config=settings("aes-128"))
    check_seen(edge, player, f"/{clip('base.mp4')}/master.m3u8", None)


def check_seen(edge, player, path, keys):
    """Seeks show the right pictures, and it plays to its end."""
    times = [0.5, 7.9, 3.3, 12.9]
    r = browser.run("keys.mjs", dict(player=player, url=edge.url + path, keys=keys, times=times))
    assert r.get("seeks") == [int(25 * t) for t in times], (r, edge.log_tail())
    assert r["ended"] and r["frames"] >= 325 and r["errors"] == [] and "pageErrors" not in r, r
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
    # A player in mid-film goes on where ladder and method have changed.
    ladder = {"ladder": [{"short_side": 90, "maxrate": 100000, "crf": 30}]}
    after = start(media_dir, config={**settings("cbcs"), **ladder}, cache=first.cache)
    assert folder not in folders(after, name).values()
    assert after.ok(folder + "key") == key and after.ok(folder + "0.m4s") == body
    assert after.stop() == 0
    other = start(media_dir, config=settings("aes-128", "another secret, as long"), cache=first.cache)
    assert not set(folders(other, name).values()) & set(hidden.values())
    for leaf in ("key", "index.m3u8", "0.m4s"):
        assert other.get(folder + leaf).status == 404
    for e in first, again, after, other:
        assert not any("secret" in line for line in e.lines)


def test_key_url(start, clip, media_dir):
    """Of a key server's URL only the id is ours to fill in; the key is not to be had here."""
    name = clip("short.mp4")
    edge = start(media_dir, config=settings("aes-128", key_url="https://keys.example/k?id={key_id}"))
    folder = next(iter(folders(edge, name).values()))
    assert key_line(edge, folder)["URI"] == f"https://keys.example/k?id={derived('key id', name).hex()}"
    assert edge.get(folder + "key").status == 404



# ---- a key server

@pytest.fixture
def keys(tmp_path):
    """A key server: files of a folder, and faults; put(path, answer)."""
    folder = tmp_path / "keys"
    folder.mkdir()
    server = Origin(folder)

    def put(path, answer):
        (folder / path).write_bytes(answer)

    server.put = put
    yield server
    server.stop()


def asking(server, method, **more):
    return {"encryption": {"method": method, "key_server": server.url + "{asset}", **more}}


KEY, KID, IV = bytes(range(16)), bytes(range(16, 32)), bytes(range(200, 216))


def files_below(folder):
    return [p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file()]


@pytest.mark.parametrize("method, answer", [
    ("aes-128", KEY),
    ("cbcs", json.dumps({"key": jwk(KEY), "kid": jwk(KID), "iv": jwk(IV)}).encode()),
], ids=["bytes", "json"])
def test_key_server(method, answer, keys, start, clip, media_dir):
    """The key is asked for once, is used, and lies nowhere."""
    name = clip("short.mp4")
    keys.put(name, answer)
    edge = start(media_dir, config=asking(keys, method, key_server_token="a-token,-no-less"))
    clear = start(media_dir)
    plain, p = folders(clear, name), Playlist(edge, name)
    for r, folder in folders(edge, name).items():
        assert edge.ok(folder + "key") == KEY
        body, want = edge.ok(folder + "0.m4s"), clear.ok(plain[r] + "0.m4s")
        if method == "aes-128":
            assert aes.decrypt(KEY, bytes(16), body, padding=True) == want
        else:
            assert undo_segment(KEY, IV, body, not r.startswith("audio"))[0] == want
            assert undo_init(edge.ok(folder + "init.mp4"))[1].endswith(KID + b"\x10" + IV)
    if method == "cbcs":
        assert str(uuid.UUID(bytes=KID)) in edge.ok(f"/{name}/manifest.mpd").decode()
    assert edge.get(f"/{name};t=0,2/master.m3u8").status == 200  # a clip has its source's
    [asked] = keys.log()
    assert asked["path"] == "/" + name and asked["authorization"] == "Bearer a-token,-no-less"
    assert edge.metrics()["key_requests_total"] == 1
    assert edge.stop() == 0
    assert not any(KEY in data or KEY.hex().encode() in data for data in files_below(edge.cache))
    for line in edge.lines:
        assert not any(secret in line for secret in (KEY.hex(), jwk(KEY), "a-token")), line


def test_key_server_fails(keys, start, clip, media_dir):
    """A clear answer, nothing that is not encrypted, and a pause; then all is well."""
    name = clip("short.mp4")
    edge = start(media_dir, config={**asking(keys, "aes-128", key_timeout="300ms"),
                                     "cache": {"negative": "0s"}})
    entry = f"/{name}/master.m3u8"

    def answer():
        a = edge.get(entry)
        return a.status, a.json["code"] if a.status != 200 else ""

    assert answer() == (404, "E_NOT_FOUND")
    keys.put(name, b"too short")
    until(lambda: answer() == (502, "E_KEY_SERVER"), "it is asked again")
    keys.put(name, KEY)
    keys.fault("mute", count=0)
    until(lambda: answer() == (504, "E_KEY_SERVER_SLOW"), "it does not answer")
    keys.clear()
    until(lambda: answer() == (200, ""), "it is well again")
    folder = next(iter(folders(edge, name).values()))
    edge.ok(folder + "0.m4s")
    # What is there needs no key server; what is not there is not given without.
    keys.stop()
    assert edge.ok(folder + "key") == KEY


def test_another_key_is_another_url(keys, start, clip, media_dir):
    name = clip("short.mp4")
    keys.put(name, KEY)
    first = start(media_dir, config=asking(keys, "cbcs"))
    before = folders(first, name)
    bodies = {f: first.ok(f + "0.m4s") for f in before.values()}
    assert first.stop() == 0
    again = start(media_dir, config=asking(keys, "cbcs"), cache=first.cache)
    assert all(again.ok(f + "0.m4s") == body for f, body in bodies.items())  # by their records
    assert again.stop() == 0
    keys.put(name, IV)  # the same key id
    after = start(media_dir, config=asking(keys, "cbcs"), cache=first.cache)
    assert not set(folders(after, name).values()) & set(before.values())
    for folder in before.values():
        for leaf in ("key", "index.m3u8", "init.mp4", "0.m4s"):
            assert after.get(folder + leaf).status == 404


def test_each_asset_has_its_key(start, clip, media_dir):
    edge = start(media_dir, config=settings("aes-128"))
    keys = [edge.ok(next(iter(folders(edge, n).values())) + "key")
            for n in (clip("short.mp4"), clip("tiny.mp4"), clip("short.mp4") + ";t=0,2")]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("method, entry", [("aes-128", "manifest.mpd"), ("cbcs", "master-ts.m3u8")])
def test_no_rule_no_entry(method, entry, start, clip, media_dir):
    assert start(media_dir, config=settings(method)).get(f"/{clip('short.mp4')}/{entry}").status == 404


def test_secret_is_needed(media_dir, tmp_path):
    with pytest.raises(RuntimeError, match="encryption.secret: missing"):
        Edge(media_dir, tmp_path / "cache", config={"encryption": {"method": "aes-128"}})
