# SPDX-License-Identifier: BSD-2-Clause
"""Parts of an asset, cut by times: `{asset};t=10.5,25`."""
import os

import pytest

import exact
import sounds
from edge import Playlist

# clip, first picture, one past the last (25 a second, 325 of them)
CLIPS = [("3,9.5", 75, 238), ("0,4", 0, 100), ("3.02,3.1", 76, 78), ("8.0004,100", 200, 325)]


@pytest.mark.parametrize("name,at,first,end", [("base.mp4", *c) for c in CLIPS] + [("opengop.mkv", *CLIPS[0])])
def test_pictures(name, at, first, end, start, clip, media_dir, tmp_path):
    clip(name)
    edge = start(media_dir)
    asset = f"{name};t={at}"
    videos = exact.check_renditions(exact.fetch(edge, asset)[1], tmp_path)
    assert videos
    for r in videos:
        assert exact.barcodes(r, tmp_path, "null") == list(range(first, end)), r.name


def test_sound(start, media_dir, tmp_path):
    """In its place with the pictures, also where it begins in the middle of a packet."""
    folder = os.path.join(media_dir, "sound")
    os.makedirs(folder, exist_ok=True)
    r = sounds.recipe("48k.mp4")
    sounds.make(folder, r)
    edge = start(folder)
    _, [audio] = exact.fetch(edge, "48k.mp4;t=3.21,11", only={"audio-0"})
    heard = sounds.heard(audio, tmp_path)
    begin, end = round(3.24 * 48000), 11 * 48000  # the first picture behind 3.21 s
    right = sounds.truth(r, 48000, 2, 13 * 48000)[:, begin:end]
    right = sounds.place(right, 0, heard.shape[1])
    lags, alike = zip(*sounds.lags(heard[0], right[0]))
    assert max(map(abs, lags)) <= 1 and min(alike) > 0.5, (lags, alike)


def test_one_name(start, clip, media_dir):
    """However it is written, it is one asset; and another than the whole."""
    edge = start(media_dir)
    clip("base.mp4")
    masters = [Playlist(edge, f"base.mp4;t={t}").master for t in ("3,9.5", "03.000,9.50", "2.9996,9.5")]
    assert len(set(masters)) == 1
    assert edge.ok("/base.mp4%3Bt%3D3%2C9.5/master.m3u8").decode() == masters[0]
    assert edge.ok("/base.mp4;t=3,9.5/master.m3u8").decode() == masters[0]
    assert Playlist(edge, "base.mp4").master != masters[0]
    assert edge.metrics()["probes_total"] == 1, "the source is probed once"


@pytest.mark.parametrize("asset,status", [("base.mp4;t=20,30", 404), ("base.mp4;t=5,3", 404), ("base.mp4;t=x", 404),
                                          ("nothing.mp4;t=1,2", 404)])
def test_nothing_there(asset, status, start, clip, media_dir):
    clip("base.mp4")
    edge = start(media_dir)
    assert edge.get(f"/{asset}/master.m3u8").status == status


def test_a_name_that_looks_like_a_clip(start, clip, media_dir, tmp_path):
    """A source may be named so, as long as it is not just so."""
    os.link(os.path.join(media_dir, clip("short.mp4")), tmp_path / "a;t=5.mp4")
    edge = start(tmp_path)
    assert Playlist(edge, "a;t=5.mp4").variants
    assert Playlist(edge, "a;t=5.mp4;t=1,2").variants
