# SPDX-License-Identifier: BSD-2-Clause
"""Sources behind HTTP: the same bytes as from a folder, few requests, and an origin that misbehaves."""
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import subprocess

import pytest

import boxes
from edge import Edge, Playlist, quote
from peers import Origin, Raw, Shelf, fetch, until

pytestmark = pytest.mark.usefixtures("encoded_only")

EAGER = {  # an origin fails soon and is asked again at once, and often
    "TIDEMILL_ORIGIN_FIRST_READ": "32KiB",
    "TIDEMILL_ORIGIN_TIMEOUT": "1s",
    "TIDEMILL_ORIGIN_FRESH": "0s",
    "TIDEMILL_HTTP_ENTRY_AGE": "0s",
    "TIDEMILL_CACHE_NEGATIVE": "0s",
}


def bytes_of(edge, asset):
    """{rendition: [init, segments...]}, which must not depend on where the asset lies."""
    p = Playlist(edge, asset)
    return {name: [edge.ok(f + leaf) for leaf in ("init.mp4", *p.media(f)[2])] for name, f, _ in p.renditions()}


def paths_of(edge, asset):
    """{rendition: its folder}; makes playlists only."""
    return {name: f for name, f, _ in Playlist(edge, asset).renditions()}


@pytest.fixture(scope="module")
def golden(media_dir, clip, tmp_path_factory):
    """golden(name): the bytes of a clip, as made from a folder by an undisturbed server."""
    e = Edge(media_dir, tmp_path_factory.mktemp("golden") / "cache")
    seen = {}

    def of(name):
        if name not in seen:
            seen[name] = bytes_of(e, clip(name))
        return seen[name]

    yield of
    e.stop()


@pytest.fixture(scope="module")
def shelf(media_dir, clip, tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("origin"), os.path.join(media_dir, clip("tiny.mp4")))


@pytest.fixture(scope="module")
def edge(origin, tmp_path_factory):
    e = Edge(origin.url, tmp_path_factory.mktemp("edge") / "cache", env=EAGER)
    e.made = []  # (asset, number) of segments that came after a fault
    yield e
    e.stop()


@pytest.fixture(autouse=True)
def no_faults_left(origin):
    yield
    origin.clear()


# ---- a good origin

@pytest.mark.parametrize("name", ["tiny.mp4", "tiny-last.mp4", "tiny.mkv"])
def test_same_bytes_as_from_a_folder(start, clip, media_dir, golden, name):
    o = Origin(media_dir)
    try:
        edge = start(o.url)
        assert bytes_of(edge, clip(name)) == golden(name)
        assert edge.metrics()["origin_errors_total"] == 0
    finally:
        o.stop()


@pytest.mark.parametrize("name", [
    "a b.mp4", "100%.mp4", "%41.mp4", "what?.mp4", "a?b=c&d.mp4", "no#1.mp4", "a+b.mp4", "été/日本.mp4", "a;b=c,d.mp4",
    "x@y:z!$&'()*.mp4", '"<>`{|}~^[].mp4', "e\u0301.mp4", "😀.mp4", "deep/er/and deeper/1.mp4", "master.m3u8", "play",
])
def test_keys(edge, origin, shelf, golden, name):
    name = shelf.take("keys/" + name)
    folder = paths_of(edge, name)["180p"]
    assert edge.ok(folder + "3.m4s") == golden("tiny.mp4")["180p"][4]
    assert origin.log(name), "the origin saw another name"


BUCKET = {"prefix": "/", "aws_sigv4": "aws:amz:eu-west-1:s3"}
KEY = {"TIDEMILL_ORIGIN_KEY_ID": "AKIDEXAMPLE", "TIDEMILL_ORIGIN_SECRET": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


@contextlib.contextmanager
def bucket(folder, token=""):
    """An origin that takes signed requests only."""
    o = Origin(folder, "--sigv4", f"AKIDEXAMPLE:{KEY['TIDEMILL_ORIGIN_SECRET']}:eu-west-1{token and ':' + token}")
    yield o
    o.stop()


@pytest.mark.parametrize("token, names", [
    ("", ["a b=c&d+e,f@g.mp4", "100%41~é/日本'(1)!*.mp4"]),
    ("FwoGZXIvYXdzEXAMPLE/+==", ["plain.mp4"]),
])
def test_signed(start, shelf, golden, token, names):
    """Each request, as S3 checks it: HEAD and ranges, one version, names that are written in more than one way."""
    names = [shelf.take("signed/" + n) for n in names]
    with bucket(shelf.folder, token) as o:
        env = {**KEY, **({"TIDEMILL_ORIGIN_SESSION_TOKEN": token} if token else {}), "TIDEMILL_ORIGIN_FRESH": "0s"}
        edge = start(None, config={"origins": [{**BUCKET, "base": o.url}]}, env=env)
        folders = [paths_of(edge, name)["180p"] for name in names]
        assert edge.ok(folders[0] + "3.m4s") == golden("tiny.mp4")["180p"][4]
        log = o.log()
    assert {e["method"] for e in log} == {"HEAD", "GET"} and any(e["if_match"] for e in log)
    assert [e for e in log if e["unsigned"] or e["status"] >= 300] == []


def test_signed_with_another_key(start, shelf):
    """Of a prefix that has a key of its own: it is no source, and the log says what may be wrong, and no secret."""
    with bucket(shelf.folder) as o:
        keys = {"key_id": "AKIDEXAMPLE", "secret": "not-this-secret-but-another"}
        edge = start(None, config={"origins": [{**BUCKET, **keys, "base": o.url}]}, env=KEY)
        assert edge.get("/" + shelf.take() + "/master.m3u8").status == 404
        assert [e["unsigned"] for e in o.log()] == ["signature"]
    log = edge.log_tail(1000)
    assert "origin.key_id may not read it" in log and "not-this-secret" not in log and KEY["TIDEMILL_ORIGIN_SECRET"] not in log


def test_no_redirect_is_signed_for(start, shelf):
    """Where a bucket sends one on to, another signature were due; and nobody else is to see this one."""
    with bucket(shelf.folder) as o, bucket(shelf.folder) as other:
        edge = start(None, config={"origins": [{**BUCKET, "base": o.url}]}, env={**KEY, "TIDEMILL_ORIGIN_RETRIES": "0"})
        name = shelf.take()
        o.fault("redirect", value=other.url + name)
        assert edge.get("/" + name + "/master.m3u8").status == 502
        assert other.log() == []


@pytest.fixture(scope="module")
def long_clip(media_dir, clip):
    """long(n): a faststart clip of n times 13 s, so that its moov is as large as wanted."""
    def make(times):
        path = os.path.join(media_dir, f"long{times}.mp4")
        if not os.path.exists(path):
            source = os.path.join(media_dir, clip("base.mp4"))
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", str(times - 1), "-i", source, "-c", "copy",
                            "-movflags", "+faststart", path + ".part.mp4"], check=True)
            os.replace(path + ".part.mp4", path)
        return path
    return make


def sizes(path):
    """(bytes before the media data, bytes from there to the end of the first 4 s of GOPs)"""
    with open(path, "rb") as f:
        head = f.read(1 << 20)
    at = 0
    while head[at + 4:at + 8] != b"mdat":
        at += int.from_bytes(head[at:at + 4], "big")
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pos,size",
                          "-of", "json", "-read_intervals", "%+8", path], capture_output=True, check=True).stdout
    packets = json.loads(out)["packets"][:100]  # two GOPs of 50
    return at, max(int(p["pos"]) + int(p["size"]) for p in packets) - at


@pytest.mark.parametrize("times", [1, 20, 26])
def test_cost_of_a_first_segment(start, origin, shelf, long_clip, times):
    """Two requests on one connection, and little more than the moov and the GOPs that are needed."""
    path = long_clip(times)
    moov, gops = sizes(path)
    assert moov < 256 * 1024
    name = Shelf(shelf.folder, path).take(f"cost{times}.mp4")
    edge = start(origin.url)
    origin.log()
    folder = paths_of(edge, name)["360p"]
    edge.ok(folder + "index.m3u8")
    edge.ok(folder + "init.mp4")
    edge.ok(folder + "0.m4s")
    log = origin.log()
    spent = sum(e["bytes"] for e in log)
    what = (moov, gops, spent, [(e["range"], e["bytes"]) for e in log])
    assert len(log) <= 2 and all(e["path"] == "/" + name for e in log), what
    assert spent <= moov + gops + max((moov + gops) // 20, 256 * 1024), what
    m = edge.metrics()
    assert m["origin_requests_total"] == len(log) and m["origin_bytes_total"] == spent
    assert m["origin_connections_total"] == 1


def test_cost_of_a_later_segment(start, origin, shelf, media_dir, clip):
    """Copied: one request, whose bytes leave as they come.  Encoded: at most one more, mostly none."""
    path = os.path.join(media_dir, clip("hd.mp4"))
    name = Shelf(shelf.folder, path).take("later.mp4")
    edge = start(origin.url, env={"TIDEMILL_MEDIA_PASSTHROUGH": "true"})
    folders = paths_of(edge, name)
    origin.log()
    size = len(edge.ok(folders["source"] + "1.m4s"))
    log = origin.log()
    assert len(log) <= 1 and size > 1 << 20, [(e["range"], e["bytes"]) for e in log]
    edge.ok(folders["240p"] + "1.m4s")
    assert len(origin.log()) <= 1
    edge.ok(folders["240p"] + "2.m4s")
    assert len(origin.log()) <= 1


def view(edge, name):
    """What a player does first."""
    folder = paths_of(edge, name)["180p"]
    return [edge.ok(folder + leaf) for leaf in ("index.m3u8", "init.mp4", "0.m4s", "1.m4s")]


def test_twenty_viewers_cost_as_much_as_one(start, origin, shelf):
    def cost(viewers):
        name = shelf.take()
        edge = start(origin.url)
        origin.log()
        with concurrent.futures.ThreadPoolExecutor(viewers) as pool:
            seen = list(pool.map(lambda _: view(edge, name), range(viewers)))
        assert all(s == seen[0] for s in seen)
        log = origin.log(name)
        assert edge.metrics()["origin_requests_total"] == len(log)
        return sorted((e["method"], e["range"], e["bytes"]) for e in log)

    assert cost(20) == cost(1)


def test_no_byte_is_read_twice(start, origin, shelf, media_dir, clip):
    """Viewers of all renditions at once, whose needs overlap."""
    name = Shelf(shelf.folder, os.path.join(media_dir, clip("base.mp4"))).take("once.mp4")
    edge = start(origin.url, env={"TIDEMILL_WORKERS_COUNT": "6"})
    origin.fault("delay", ms=150, count=0)  # so that their reads overlap
    origin.log()
    folders = list(paths_of(edge, name).values())
    wanted = [f + leaf for f in folders for leaf in ("0.m4s", "1.m4s")] * 3
    with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        list(pool.map(edge.ok, wanted))
    spans = sorted(tuple(map(int, e["range"][6:].split("-"))) for e in origin.log(name))
    assert all(a[1] < b[0] for a, b in zip(spans, spans[1:])), spans


def test_connections_are_kept(start, origin, shelf):
    edge = start(origin.url, env={"TIDEMILL_ORIGIN_CONNECTIONS": "2"})
    names = [shelf.take() for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: view(edge, n), names))
    m = edge.metrics()
    assert m["origin_requests_total"] >= 12 and m["origin_connections_total"] <= 2


# ---- an origin that misbehaves

def problem(answer, status):
    assert answer.status == status, answer
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    assert (answer.header("retry-after") is not None) == (status in (502, 504))
    if status in (502, 504):  # never remembered: it was tried for this very request
        assert re.fullmatch(r"queue;dur=[0-9.]+, origin;dur=[0-9.]+, encode;dur=[0-9.]+", answer.header("server-timing"))


# fault, its parameters, what a first read makes of it and what a later one; 200 is right bytes.
FAULTS = [
    ("truncate", dict(n=1000, count=1), 200, 200),
    ("truncate", dict(n=1000, count=0), 502, 502),
    ("reset", dict(n=1000, count=1), 200, 200),
    ("reset", dict(n=0, count=0), 502, 502),
    ("stall", dict(n=1000, count=1), 504, 504),
    ("stall", dict(n=0, count=0), 504, 504),
    ("mute", dict(count=0), 504, 504),
    ("drip", dict(n=1, ms=100, count=0), 504, 504),
    ("norange", dict(count=0), 200, 200),
    ("nolength", dict(count=0), 502, 502),
    ("badstart", dict(count=0), 502, 502),
    ("badtotal", dict(count=1), 502, 502),
    ("badrange", dict(value="bytes nonsense", count=0), 502, 502),
    ("badrange", dict(value="bytes 0-99999999999999999999/99999999999999999999", count=0), 502, 502),
    ("short", dict(count=0), 502, 502),
    ("etag", dict(count=1), 502, 502),
    ("weak", dict(count=0), 200, 502),
    ("noetag", dict(count=0), 200, 502),
    ("novalidator", dict(count=0), 200, 502),
    ("ignorematch", dict(count=0), 200, 200),
    ("status", dict(n=503, count=2), 200, 200),
    ("status", dict(n=500, count=0), 502, 502),
    ("status", dict(n=429, count=1), 200, 200),
    ("status", dict(n=401, count=1), 502, 502),
    ("status", dict(n=404, count=1), 404, 404),
    ("status", dict(n=403, count=1), 404, 404),
    ("status", dict(n=410, count=1), 404, 404),
    ("status", dict(n=204, count=1), 502, 502),
    ("status", dict(n=416, count=1), 502, 502),
    ("gzip", dict(count=0), 502, 502),
    ("redirect", dict(count=1), 200, 200),
    ("redirect", dict(count=0), 502, 502),
    ("redirect", dict(value="file:///etc/passwd", count=0), 502, 502),
    ("redirect", dict(value="http://169.254.169.254/latest", count=0), 502, 502),
    ("close", dict(count=0), 200, 200),
    ("delay", dict(ms=50, count=0), 200, 200),
]
IDS = [f"{n}-{'-'.join(map(str, q.values()))}".replace("/", "_") for n, q, _, _ in FAULTS]


@pytest.mark.parametrize("name, query, status", [f[:3] for f in FAULTS], ids=IDS)
def test_fault_at_the_first_read(edge, origin, shelf, golden, name, query, status):
    """Asked for the entry point of an asset that was never seen, then for a segment."""
    asset = shelf.take()
    origin.fault(name, path="/" + asset, **query)
    a = edge.get(f"/{asset}/master.m3u8")
    if status == 200:
        folder = paths_of(edge, asset)["180p"]
        assert edge.ok(folder + "2.m4s") == golden("tiny.mp4")["180p"][3]
        origin.clear()
    else:
        problem(a, status)
        origin.clear()
    folder = paths_of(edge, asset)["180p"]
    assert edge.ok(folder + "3.m4s") == golden("tiny.mp4")["180p"][4], "the asset did not recover"
    edge.made.append((asset, 3))


@pytest.mark.parametrize("name, query, status", [(*f[:2], f[3]) for f in FAULTS], ids=IDS)
def test_fault_at_a_later_read(edge, origin, shelf, golden, name, query, status):
    """The asset is known; the bytes of a segment that is far inside are not there."""
    asset = shelf.take()
    folder = paths_of(edge, asset)["180p"]
    origin.fault(name, path="/" + asset, method="GET", **query)
    status_got, head, body, whole = fetch(edge, folder + "2.m4s")
    want = golden("tiny.mp4")["180p"][3]
    if status == 200:
        assert (status_got, whole) == (200, True) and body == want
    else:
        assert status_got == status and head["cache-control"] == "no-store", (status_got, body[:300])
        assert head["content-type"] == "application/problem+json"
        assert ("retry-after" in head) == (status in (502, 504))
    origin.clear()
    until(lambda: edge.get(f"/{asset}/master.m3u8").status == 200, "the asset recovers")
    folder = paths_of(edge, asset)["180p"]  # a validator that changed has made it another version
    assert edge.ok(folder + "2.m4s") == want, "the asset did not recover"
    assert edge.ok(folder + "2.m4s") == want
    edge.made.append((asset, 2))


def test_nothing_bad_was_cached(edge, origin, golden, start):
    """After all those faults, a new server on the same folder finds right bytes only."""
    edge.process.terminate()
    edge.process.wait()
    again = start(origin.url, cache=edge.cache)
    for asset, k in edge.made:
        folder = paths_of(again, asset)["180p"]
        assert again.ok(folder + f"{k}.m4s") == golden("tiny.mp4")["180p"][k + 1], asset
    m = again.metrics()
    assert m["cache_corrupt_total"] == 0 and m["encodes_video_total"] == 0
    assert m["cache_hits_disk_total"] >= len(edge.made)


def test_missing_is_remembered(start, origin):
    edge = start(origin.url)
    origin.log()
    for _ in range(5):
        problem(edge.get("/none.mp4/master.m3u8"), 404)
    assert len(origin.log()) == 1


def test_origin_is_not_there(start, shelf):
    o = Origin(shelf.folder)
    edge = start(o.url, env=EAGER)
    asset = shelf.take()
    folder = paths_of(edge, asset)["180p"]
    body = edge.ok(folder + "0.m4s")
    o.stop()
    problem(edge.get(f"/{shelf.take()}/master.m3u8"), 502)
    problem(edge.get(folder + "2.m4s"), 502)
    assert edge.ok(folder + "0.m4s") == body, "what is cached needs no origin"


def test_a_stalled_origin_keeps_no_worker(start, origin, shelf, media_dir, clip, golden):
    """More segments of it are wanted than there are workers; a folder's are made meanwhile."""
    edge = start(None, config={
        "origins": [{"prefix": "/far/", "base": origin.url}, {"prefix": "/near/", "base": str(media_dir)}],
        "origin": {"timeout": "10m", "first_read": "32KiB"}, "workers": {"count": 2}})
    far = paths_of(edge, "far/" + shelf.take())["180p"]
    near = paths_of(edge, "near/" + clip("tiny.mp4"))["180p"]
    origin.fault("mute", count=0)
    with contextlib.ExitStack() as clients:
        waiting = [clients.enter_context(Raw(edge)) for _ in range(3)]
        for k, c in enumerate(waiting):
            c.get(far + f"{k + 1}.m4s")
        edge.wait_metric("jobs_queued", lambda n: n == 3)
        assert edge.ok(near + "2.m4s") == golden("tiny.mp4")["180p"][3]
        m = edge.metrics()
        assert m["jobs_queued"] == 3 and m["jobs_running"] == 0
    edge.wait_metric("jobs_queued", lambda n: n == 0)


def test_a_scan_tells_how_far_it_is(start, origin, shelf, media_dir, clip):
    """A container without an index is read to its end first: /status says how much of it has come."""
    name = clip("base.ts")
    size = os.path.getsize(os.path.join(media_dir, name))
    shutil.copy(os.path.join(media_dir, name), os.path.join(shelf.folder, "scan.ts"))
    edge = start(origin.url)
    origin.fault("drip", n=32768, ms=50, count=0)
    with Raw(edge) as client:
        client.get("/scan.ts/master.m3u8")

        def told():
            probes = json.loads(edge.get("/status", port=edge.admin_port).body)["probes"]
            return probes if probes and probes[0]["read"] > 0 else None
        [probe] = until(told, "a probe that has read something")
        assert b" 200 " in client.input.readline()
    assert probe["source"] == "scan.ts" and probe["size"] == size and 0 < probe["read"] <= size
    assert edge.get("/scan.ts/master.m3u8").status == 200
    assert json.loads(edge.get("/status", port=edge.admin_port).body)["probes"] == []


def test_retries_have_a_budget(start, origin, shelf):
    """A broken origin sees little more than one request for each of ours."""
    edge = start(origin.url, env=EAGER)
    origin.fault("status", n=503, count=0)
    origin.log()
    asked = 60
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: edge.get(f"/storm{i}.mp4/master.m3u8"), range(asked)))
    for a in answers:
        problem(a, 502)
    assert asked <= len(origin.log()) <= asked + asked // 5 + 8


# ---- a source that changes

@pytest.fixture
def changing(start, clip, media_dir, tmp_path):
    """(server, origin or None, put): put(name) makes that clip the content of x.mp4."""
    folder = tmp_path / "changing"
    folder.mkdir()
    count = 0

    def put(name):
        nonlocal count
        count += 1
        shutil.copy(os.path.join(media_dir, clip(name)), folder / ".next")
        os.utime(folder / ".next", (1700000000 + count,) * 2)
        os.replace(folder / ".next", folder / "x.mp4")

    put("tiny.mp4")
    o = Origin(folder)
    yield lambda http, **env: (start(o.url if http else folder, env={**EAGER, **env}), o, put)
    o.stop()


@pytest.mark.parametrize("fresh", ["0s", "10m"])
@pytest.mark.parametrize("kind", ["folder", "etag", "ignorematch", "weak", "noetag"])
def test_source_changes(changing, golden, kind, fresh):
    """A new recipe; what was made of the old one stays, and nothing is made of both."""
    edge, origin, put = changing(kind != "folder", TIDEMILL_ORIGIN_FRESH=fresh)
    if kind in ("ignorematch", "weak", "noetag"):
        origin.fault(kind, count=0)
    old = paths_of(edge, "x.mp4")["180p"]
    want_old, want_new = golden("tiny.mp4")["180p"], golden("tiny-other.mp4")["180p"]
    assert edge.ok(old + "0.m4s") == want_old[1]
    put("tiny-other.mp4")
    # Never made, and its bytes are gone.  A trusted version is found out by the first read.
    for leaf, status in (("3.m4s", 404 if fresh == "0s" else 502), ("2.m4s", 404), ("1.m4s", 404)):
        problem(edge.get(old + leaf), status)
    new = paths_of(edge, "x.mp4")["180p"]
    assert new != old
    for k in range(4):
        assert edge.ok(new + f"{k}.m4s") == want_new[k + 1]
    assert edge.ok(old + "0.m4s") == want_old[1]
    if fresh != "0s":
        return
    put("tiny.mp4")
    assert edge.ok(paths_of(edge, "x.mp4")["180p"] + "3.m4s") == want_old[4]


@pytest.mark.parametrize("kind", ["folder", "etag"])
def test_source_changes_under_load(changing, golden, kind):
    """It changes again and again while it is read: each answer is of one version, or an error."""
    edge, _, put = changing(kind != "folder")
    both = [golden(n)["180p"] for n in ("tiny.mp4", "tiny-other.mp4")]
    recipes = {}
    good = 0

    def one(k):
        master = edge.get("/x.mp4/master.m3u8")
        if master.status != 200:
            assert master.status in (404, 502)
            return None
        recipe = [l for l in master.text.splitlines() if "/180p/" in l][0].split("/")[0]
        status, _, body, whole = fetch(edge, f"/x.mp4/{recipe}/180p/{k}.m4s")
        assert status in (200, 404, 502), status
        return (recipe, k, body) if status == 200 and whole else None

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for i in range(5):
            for seen in pool.map(one, [i % 4, (i + 1) % 4, (i + 2) % 4, (i + 3) % 4] * 2):
                if seen is None:
                    continue
                recipe, k, body = seen
                good += 1
                version = recipes.setdefault(recipe, {v for v in (0, 1)})
                version &= {v for v in (0, 1) if both[v][k + 1] == body}
                assert version, "bytes of another version, or mixed ones"
                if good % 3 == 0:
                    put(("tiny.mp4", "tiny-other.mp4")[i % 2])
    assert good > 6 and len(recipes) > 1


def test_file_that_is_rewritten_in_place(start, clip, media_dir, tmp_path, golden):
    """Copied over, byte by byte, while it is served."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(os.path.join(media_dir, clip("tiny.mp4")), folder / "x.mp4")
    edge = start(folder, env=EAGER)
    old = paths_of(edge, "x.mp4")["180p"]
    with open(os.path.join(media_dir, clip("tiny-other.mp4")), "rb") as f:
        other = f.read()
    with open(folder / "x.mp4", "r+b") as f:
        f.write(other[:len(other) // 2])
        f.flush()
        a = edge.get(old + "3.m4s")
        assert a.status in (404, 422, 502), a
        f.write(other[len(other) // 2:])
        f.truncate()
    new = paths_of(edge, "x.mp4")["180p"]
    assert new != old
    assert edge.ok(new + "3.m4s") == golden("tiny-other.mp4")["180p"][4]
