# SPDX-License-Identifier: BSD-2-Clause
"""Trick play: a picture a second, each by itself, each the one of its time [38]."""
import os

import pytest

import exact
from edge import Playlist
from test_exact import UNDO, numbers_of

# (clip, frames of the grid from a picture to the next)
SHORT = [("base.mp4", 25), ("23976.mp4", 24), ("rot90.mp4", 25), ("one.mp4", 25)]
LONG = [("2997.mkv", 30), ("60.mp4", 60), ("gop12.mp4", 25), ("opengop.mp4", 25), ("hevcopen.mkv", 25),
        ("refresh.mp4", 25), ("rot180.mp4", 25), ("rot270.mp4", 25), ("third.mp4", 25), ("fourplus.mp4", 25),
        ("sar.mp4", 25), ("cut.mp4", 25), ("holes.mkv", 25), ("uneven.mp4", 30)]
CASES = SHORT + [pytest.param(*c, marks=pytest.mark.long) for c in LONG]


def fetch(edge, name, order=None):
    p = Playlist(edge, name)
    [trick] = p.tricks()
    return exact.Rendition(p, *trick, order=order)


def check_shape(r):
    assert "#EXT-X-I-FRAMES-ONLY\n" in r.text and "FRAME-RATE" not in r.attrs
    assert [len(fragments) for fragments in r.fragments] == [1] * len(r.segments)
    assert [len(fragments[0].samples) for fragments in r.fragments] == [1] * len(r.segments)
    assert r.attrs["RESOLUTION"] == f"{r.init.width}x{r.init.height}" and min(r.init.width, r.init.height) <= 360
    assert r.attrs["CODECS"] == f"avc1.{r.init.config[1:4].hex().upper()}"
    assert max(exact.rates(r)) <= int(r.attrs["BANDWIDTH"])


@pytest.mark.parametrize("name,every", CASES)
def test_each_picture_is_the_one_of_its_time(name, every, start, clip, media_dir, tmp_path):
    clip(name)
    edge = start(media_dir)
    r = fetch(edge, name)
    check_shape(r)
    total = exact.check_chain(r)
    exact.check_playlist(r, total)
    exact.check_alone(r, tmp_path)
    p = Playlist(edge, name)
    played = exact.Rendition(p, *p.renditions()[-2 if p.audio else -1])
    assert total == exact.check_chain(played)
    numbers = numbers_of(name, played, os.path.join(media_dir, name))
    count = max(1, (2 * len(numbers) + every) // (2 * every))
    assert exact.barcodes(r, tmp_path, UNDO.get(name, "null")) == numbers[::every][:count]


def test_any_order_gives_the_same_bytes(start, clip, media_dir):
    name = clip("base.mp4")
    one, other = start(media_dir), start(media_dir)
    forward, backward = fetch(one, name, order=list.sort), fetch(other, name, order=list.reverse)
    assert forward.text == backward.text and forward.hashes() == backward.hashes()


def test_the_hardest_pictures_keep_the_promise(start, clip, media_dir):
    r = fetch(start(media_dir), clip("snow.mp4"))
    assert max(exact.rates(r)) <= int(r.attrs["BANDWIDTH"]) < 3 * max(exact.rates(r))


def test_sound_has_none(sound, start):
    edge = start(sound)
    assert "I-FRAME" not in edge.ok("/sound.mp4/master.m3u8").decode()


def test_the_end(start, clip, media_dir):
    edge = start(media_dir)
    p = Playlist(edge, clip("short.mp4"))
    [(name, folder, _)] = p.tricks()
    assert name == "trick"
    assert len(p.media(folder)[2]) == 3
    assert edge.get(folder + "3.m4s").status == 404
