# SPDX-License-Identifier: BSD-2-Clause
"""poster.jpg: the frame that is on screen at a whole second."""
import concurrent.futures
import os
import subprocess

import pytest

import sheets
from test_exact import UNDO
from test_storyboard import played

SHORT = ["2997.mp4", "rot90.mp4"]
LONG = ["base.mp4", "23976.mkv", "60.mp4", "gop12.mp4", "opengop.mp4", "hevcopen.mkv", "sar.mp4", "one.mp4", "cut.mp4",
        "holes.mkv", "hd.mp4"]


def size(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", path],
                                 capture_output=True, text=True, check=True).stdout.strip()
    return tuple(map(int, out.split(",")))


class Poster:
    def __init__(self, edge, url, tmp_path):
        self.answer = edge.get(url)
        assert self.answer.status == 200, (url, self.answer, edge.log_tail())
        self.path = os.path.join(str(tmp_path), "poster.jpg")
        with open(self.path, "wb") as f:
            f.write(self.answer.body)
        self.size = size(self.path)

    def number(self, undo="null"):
        return sheets.number(self.path, (0, 0, *self.size), undo)


@pytest.mark.parametrize("name", [*SHORT, *(pytest.param(n, marks=pytest.mark.long) for n in LONG)])
def test_it_is_the_frame_on_screen(name, start, clip, media_dir, tmp_path):
    clip(name)
    edge = start(media_dir)
    numbers, rate = played(edge, name, media_dir)
    seconds = -(-len(numbers) // rate)  # whole ones that begin before the end
    for t in {0, 1, seconds // 2, seconds - 1}:
        want = numbers[min(int(t * rate), len(numbers) - 1)]
        assert Poster(edge, f"/{name}/poster.jpg?t={t}", tmp_path).number(UNDO.get(name, "null")) == want, t


# (query, second of a clip of 13 seconds)
TIMES = [("", 1), ("?t=3", 3), ("?t=3.4", 3), ("?t=3.5", 4), ("?t=3.49999", 3), ("?t=0", 0), ("?t=00007", 7), ("?t=12.7", 12),
         ("?t=99", 12), ("?t=99999999999999999999", 12), ("?token=a&t=5&CMCD=b", 5), ("?tt=5", 1), ("?t=5&t=6", 5)]


def test_times(start, clip, media_dir, tmp_path):
    edge = start(media_dir)
    name = clip("base.mp4")
    for query, second in TIMES:
        assert Poster(edge, f"/{name}/poster.jpg{query}", tmp_path).number() == 25 * second, query
    assert edge.metrics()["encodes_sheets_total"] == len({second for _, second in TIMES})
    for query in "?t=", "?t=x", "?t=-1", "?t=1e3", "?t=.5", "?t=1.x", "?t=%31", "?t=5;6", "?a&t=":
        answer = edge.get(f"/{name}/poster.jpg{query}")
        assert answer.status == 400 and answer.header("content-type") == "application/problem+json", query


def test_size(start, clip, media_dir, tmp_path):
    edge = start(media_dir)
    assert Poster(edge, f"/{clip('hd.mp4')}/poster.jpg", tmp_path).size == (1280, 720)
    assert Poster(edge, f"/{clip('rot90.mp4')}/poster.jpg", tmp_path).size == (360, 640)


def test_contract(start, clip, media_dir):
    edge = start(media_dir, config={"http": {"entry_age": "1s"}})
    path = f"/{clip('short.mp4')}/poster.jpg?t=1"
    head = edge.request("HEAD", path)
    assert head.status == 200 and head.header("content-type") == "image/jpeg" and head.header("etag") is None
    assert edge.metrics()["encodes_sheets_total"] == 0
    first = edge.get(path)
    assert first.header("content-type") == "image/jpeg" and first.body[:2] == b"\xff\xd8"
    assert "max-age=1," in first.header("cache-control") and "immutable" not in first.header("cache-control")
    assert int(first.header("content-length")) == len(first.body)
    assert edge.get(path, {"If-None-Match": first.header("etag")}).status == 304
    part = edge.get(path, {"Range": "bytes=-10"})
    assert part.status == 206 and part.body == first.body[-10:]
    # What it is a copy of is kept on disk.
    edge.wait_metric("cache_disk_objects", lambda n: n > 0)
    assert edge.stop() == 0
    after = start(media_dir, cache=edge.cache)
    again = after.get(path)
    assert again.body == first.body and again.header("etag") == first.header("etag")
    assert after.metrics()["encodes_sheets_total"] == 0


def test_what_has_none(sound, start):
    edge = start(sound)
    answer = edge.get("/sound.mp4/poster.jpg")
    assert answer.status == 404 and answer.json["detail"] == "the asset has no pictures"
    assert edge.request("HEAD", "/sound.mp4/poster.jpg").status == 404
    assert edge.get("/nothing.mp4/poster.jpg").status == 404
    (sound / "text.mp4").write_text("no video at all\n" * 100)
    for entry in "poster.jpg", "storyboard.vtt":
        assert edge.get(f"/text.mp4/{entry}").status == 415


def test_many_at_once_are_one(start, clip, media_dir):
    edge = start(media_dir)
    path = f"/{clip('gop12.mp4')}/poster.jpg?t=9"
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        bodies = set(pool.map(lambda i: edge.ok(path + f"&token={i}"), range(12)))
    assert len(bodies) == 1 and edge.metrics()["encodes_sheets_total"] == 1
