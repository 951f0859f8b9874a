# SPDX-License-Identifier: BSD-2-Clause
"""Behind caches that people run: Varnish, nginx, and nginx fetching slices, as docs/behind-a-cache.md sets them up."""
import concurrent.futures
import contextlib
import gzip
import itertools
import os
import re

import pytest

from edge import Edge, Playlist
from fronts import SLICE, Nginx, Slices, Varnish
from peers import Raw, Shelf, until

pytestmark = pytest.mark.usefixtures("encoded_only")

FRONTS = [Varnish, Nginx, Slices]
# One HTTP thread, so that access lines are in the order of the answers.  Segments of many slices that are made in no time.
CONFIG = {"ladder": [{"short_side": 180, "maxrate": 2000000, "crf": 20}], "cache": {"negative": "0s"},
          "http": {"threads": 1, "entry_age": "1h"}, "origin": {"timeout": "200ms", "retries": 0, "fresh": "0s"}}
AGED = {**CONFIG, "http": {"threads": 1, "entry_age": "1s"}}  # what Cache-Control can say at least


@pytest.fixture(scope="module")
def shelf(media_dir, clip, tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("front"), os.path.join(media_dir, clip("blink.mp4")))


@pytest.fixture(scope="module")
def edge(origin, tmp_path_factory):
    e = Edge(origin.url, tmp_path_factory.mktemp("edge") / "cache", config=CONFIG)
    yield e
    e.stop()


@pytest.fixture(scope="module", params=FRONTS, ids=lambda f: f.__name__.lower())
def front(request, edge, tmp_path_factory):
    f = request.param(edge, tmp_path_factory.mktemp("front"))
    yield f
    f.stop()


tickets = itertools.count()


def answers(edge):
    """[(path, status)] of all that it gave so far; a request of our own is the last."""
    last = f"/{next(tickets)}.none/master.m3u8"
    edge.get(last)
    until(lambda: any(last in line for line in edge.lines), "the access lines are written")
    found = re.findall(r" access: \S+ GET (\S+) (\d+) ", "".join(edge.lines))
    return [(path, int(status)) for path, status in found if ".none/" not in path]


class Count:
    """What the edge behind the front answers, from now on."""

    def __init__(self, edge):
        self.edge, self.before = edge, len(answers(edge))
        self.encodes = self.made()

    def made(self):
        return self.edge.metrics()["encodes_video_total"]

    def fetched(self):
        return answers(self.edge)[self.before:]

    def encoded(self):
        return self.made() - self.encodes


def video(edge, asset):
    """The folder of its only rung, whose playlist is there."""
    return next(f for n, f, _ in Playlist(edge, asset).renditions() if n == "180p")


@pytest.fixture(scope="module")
def whole(edge, shelf):
    """The bytes of every first segment."""
    return edge.ok(video(edge, shelf.take()) + "0.m4s")


@pytest.fixture
def cold(edge, shelf):
    return video(edge, shelf.take()) + "0.m4s"


def fetches(front, path, body):
    """What one fetch of it is."""
    if isinstance(front, Slices):
        return [(path, 206)] * -(-len(body) // SLICE)
    return [(path, 200)]


def is_hit(answer):
    return answer.header("cache-status").split(", ")[-1].split("; ")[1] == "hit"


def test_one_fetch_of_each_object(front, shelf):
    """Whoever comes second gets it from the front."""
    asset, count = shelf.take(), Count(front.edge)
    for again in range(2):
        p = Playlist(front, asset)
        paths = [f + leaf for _, f, _ in p.renditions() for leaf in ("init.mp4", *p.media(f)[2])]
        seen = [front.get(path) for path in paths]
        for a in seen:
            assert a.status == 200 and is_hit(a) == bool(again), a.headers
            assert a.header("cache-status").startswith("tidemill; "), a.headers
            assert 0 <= int(a.header("age", 0)) < 60
            assert a.header("cache-control") == "public, max-age=31536000, immutable"
    fetched, made = count.fetched(), count.encoded()
    for path, a in zip(paths, seen):
        assert a.body == front.edge.ok(path)
        assert [f for f in fetched if f[0] == path] == fetches(front, path, a.body)
    for path in (f"/{asset}/master.m3u8", *(f + "index.m3u8" for _, f, _ in p.renditions())):
        assert sum(f[0] == path for f in fetched) == 1, fetched
    assert made == 1


def test_many_at_once(front, cold, whole):
    count = Count(front.edge)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert all(a.status == 200 and a.body == whole for a in pool.map(front.get, [cold] * 40))
    assert count.fetched() == fetches(front, cold, whole) and count.encoded() == 1


def ranges(n):
    return [("bytes=0-0", (0, 0)), ("bytes=100-199", (100, 199)), (f"bytes=5-{n // 2}", (5, n // 2)),
            (f"bytes={n // 2}-", (n // 2, n - 1)), ("bytes=-100", (n - 100, n - 1)), (f"bytes=9-{n + 5}", (9, n - 1)),
            (f"bytes={n}-", None)]


def check_range(a, body, span):
    if span is None:
        assert a.status == 416 and a.header("content-range") == f"bytes */{len(body)}", a.headers
    else:
        first, last = span
        assert a.status == 206 and a.header("content-range") == f"bytes {first}-{last}/{len(body)}", a.headers
        assert a.body == body[first:last + 1] and a.header("content-length") == str(len(a.body))


@pytest.mark.parametrize("i", [2, 6])
def test_range_of_what_is_not_there(front, cold, whole, i):
    """While its length is not known, a cache may send all of it."""
    field, span = ranges(len(whole))[i]
    count = Count(front.edge)
    a = front.get(cold, {"Range": field})
    if front.ranges_at_once:
        check_range(a, whole, span)
    else:
        assert a.status == 200 and a.body == whole
    assert front.ok(cold) == whole and count.encoded() == 1


def test_ranges_of_what_is_there(front, cold, whole):
    front.ok(cold)
    count = Count(front.edge)
    for field, span in ranges(len(whole)):
        a = front.get(cold, {"Range": field})
        if front.ranges_of_chunked:
            check_range(a, whole, span)
        else:
            assert a.status == 200 and a.body == whole
    assert all(status == 416 for _, status in count.fetched())


def test_whole_rendition(front, cold):
    """Sent while it is made; and then in ranges, too."""
    url = cold.removesuffix("/0.m4s") + ".mp4"
    body = front.ok(url)
    assert body == front.edge.ok(cold.replace("0.m4s", "init.mp4")) + front.edge.ok(cold)
    for field, span in ranges(len(body)):
        check_range(front.get(url, {"Range": field}), body, span)
    count = Count(front.edge)
    assert front.ok(url) == body and count.fetched() == []


def test_not_modified(front, cold):
    """Of what the front has, it says so itself."""
    asset = cold.split("/")[1]
    for path in (cold, cold.replace("0.m4s", "index.m3u8"), f"/{asset}/master.m3u8"):
        first = front.get(path)
        count = Count(front.edge)
        a = front.get(path, {"If-None-Match": first.header("etag")})
        assert a.status == 304 and a.body == b"" and a.header("etag") == first.header("etag")
        assert a.header("cache-control") == first.header("cache-control")
        assert front.get(path, {"If-None-Match": '"another"'}).status == 200
        assert count.fetched() == []


def test_head(front, cold, whole):
    count = Count(front.edge)
    for _ in range(2):
        a = front.request("HEAD", cold)
        assert a.status == 200 and a.body == b"" and a.header("content-type") == "video/mp4"
    assert front.ok(cold) == whole
    assert count.fetched() == fetches(front, cold, whole)


def test_texts_are_not_mixed(front, shelf):
    """Packed for who can unpack, whoever came first."""
    for order in itertools.permutations(("gzip", "gzip, deflate, br", None)):
        path = f"/{shelf.take()}/master.m3u8"
        plain = front.edge.ok(path)
        for accept in order * 2:
            a = front.get(path, {"Accept-Encoding": accept} if accept else {})
            assert "accept-encoding" in a.header("vary").lower()
            assert (a.header("content-encoding") == "gzip") == bool(accept)
            assert (gzip.decompress(a.body) if accept else a.body) == plain


def test_queries_and_cookies_do_not_split_the_cache(front, cold, whole):
    count = Count(front.edge)
    for query, fields in (("", {}), ("?CMCD=bl%3D1000%2Csid%3D%22a%22", {}), ("?token=t&t=1", {}),
                          ("", {"Cookie": "a=b"}), ("", {"Authorization": "Bearer x"})):
        assert front.ok(cold + query, fields) == whole
    assert count.fetched() == fetches(front, cold, whole)


def test_a_poster_of_each_second(front, shelf):
    """The first t counts, for the front as for the edge."""
    poster = f"/{shelf.take()}/poster.jpg"
    for query, hit in (("t=0&t=3", False), ("t=0", True), ("token=x&t=3", False), ("t=3&at=0", True),
                       ("", False), ("token=t", True)):
        assert is_hit(front.get(f"{poster}?{query}")) == hit, query


@pytest.mark.parametrize("fault, status", [(dict(name="status", n=404), 404), (dict(name="status", n=500), 502),
                                           (dict(name="mute"), 504)])
def test_errors_are_not_kept(front, origin, shelf, fault, status):
    path = f"/{shelf.take()}/master.m3u8"
    origin.fault(**fault, path=path.split("/")[1], count=0)
    try:
        a = front.get(path)
    finally:
        origin.clear()
    assert a.status == status and a.header("cache-control") == "no-store", a
    assert a.json["status"] == status and (a.header("retry-after") is None) == (status == 404)
    assert not is_hit(a)
    assert front.ok(path).startswith(b"#EXTM3U")
    count = Count(front.edge)
    front.ok(path)
    assert count.fetched() == [], "what is there after an error is kept"


def test_old_entry_points_are_asked_for_by_their_tag(start, shelf, tmp_path):
    """The fronts find out that their playlist is still the one, and use it on."""
    edge = start(shelf.folder, config=AGED)
    with contextlib.ExitStack() as running:
        entries = {}
        for kind in FRONTS:
            (tmp_path / kind.__name__).mkdir()
            front = kind(edge, tmp_path / kind.__name__)
            running.callback(front.stop)
            entries[f"/{shelf.take()}/master.m3u8"] = front
        first = {path: front.get(path) for path, front in entries.items()}
        count = Count(edge)

        def all_asked():
            assert all(front.ok(path) == first[path].body for path, front in entries.items())
            return len(set(count.fetched())) == len(FRONTS)

        until(all_asked, "they are asked for again")
        assert set(count.fetched()) == {(path, 304) for path in entries}
        for path, front in entries.items():
            assert front.get(path).header("etag") == first[path].header("etag")


@pytest.mark.long
@pytest.mark.parametrize("kind", [Varnish, Nginx])
def test_sent_while_it_is_made(kind, start, clip, media_dir, tmp_path):
    """Through Varnish also to who comes later."""
    edge = start(media_dir, config={"http": CONFIG["http"]})
    path = max(Playlist(edge, clip("hd.mp4")).renditions(), key=lambda r: int(r[2].get("BANDWIDTH", 0)))[1] + "0.m4s"
    front = kind(edge, tmp_path)
    try:
        with contextlib.ExitStack() as running:
            clients = [running.enter_context(Raw(front)) for _ in range(2 if kind is Varnish else 1)]
            bodies = []
            for c in clients:
                c.get(path)
                assert c.head()[0] == 200
                bodies.append(c.chunk())
                assert edge.metrics()["jobs_running"] == 1, "the first chunk came after the last was made"
            bodies = [body + b"".join(iter(c.chunk, b"")) for body, c in zip(bodies, clients)]
        assert set(bodies) == {edge.ok(path)} and edge.metrics()["encodes_video_total"] == 1
    finally:
        front.stop()
