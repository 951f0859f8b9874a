# SPDX-License-Identifier: BSD-2-Clause
"""The MPD of several kinds of sources, and how it is served."""
import xml.etree.ElementTree as xml
from fractions import Fraction
from urllib.parse import urljoin

import pytest

import dash
import exact
import sheets
from edge import quote
from dash import NS


@pytest.mark.parametrize("name", ["base.mp4", "2997.mkv", "noaudio.mp4", "one.mp4", "rot90.mp4", "uneven.mp4"])
def test_manifest(name, start, clip, media_dir):
    edge = start(media_dir)
    answer = edge.get(f"/{quote(clip(name))}/manifest.mpd")
    assert answer.status == 200 and answer.header("content-type") == "application/dash+xml"
    playlist, renditions = exact.fetch(edge, name)
    tricks = exact.fetch_tricks(playlist)
    dash.check(edge, name, renditions + tricks)
    for r in renditions + tricks:
        assert edge.get(f"{r.folder}{len(r.segments)}.m4s").status == 404


@pytest.mark.parametrize("name, step", [("base.mp4", Fraction(1)), ("2997.mkv", Fraction(30030, 30000)),
                                        ("one.mp4", Fraction(1))])
def test_thumbnails(name, step, start, clip, media_dir, tmp_path):
    """The storyboard's own sheets: tile k of them, by DASH's rule, is the one that the map names for its time."""
    edge = start(media_dir)
    url = f"/{quote(clip(name))}/manifest.mpd"
    mpd = xml.fromstring(edge.ok(url))
    [images] = [a for a in mpd.iter(NS + "AdaptationSet") if a.get("contentType") == "image"]
    template, r = images.find(NS + "SegmentTemplate"), images.find(NS + "Representation")
    columns, rows = map(int, r.find(NS + "EssentialProperty").get("value").split("x"))
    width, height = int(r.get("width")) // columns, int(r.get("height")) // rows
    duration = Fraction(int(template.get("duration")), int(template.get("timescale")))
    assert duration == step * columns * rows
    board = sheets.Storyboard(edge, name, tmp_path)
    for k, (begin, _, sheet, area) in enumerate(board.cues):
        assert 0 <= begin - k * step < Fraction(1, 1000)
        n, tile = divmod(k, columns * rows)
        assert dash.folder_of(r, url) + f"{n}.jpg" == urljoin(url, sheet)
        assert area == (tile % columns * width, tile // columns * height, width, height)
    total = Fraction(mpd.get("mediaPresentationDuration")[2:-1])
    assert len(board.sheets) == -(-total // duration)
    for body in board.sheets.values():
        assert 8 * len(body) / duration <= int(r.get("bandwidth"))


def test_sound_alone(sound, start):
    edge = start(sound)
    _, renditions = exact.fetch(edge, "sound.mp4")
    assert len(renditions) == 1
    dash.check(edge, "sound.mp4", renditions)


def test_entered_by_the_manifest_alone(start, clip, media_dir):
    """Its URLs are good without master.m3u8 having been asked for, also after a restart with another ladder."""
    name = clip("short.mp4")
    before = start(media_dir)
    mpd = xml.fromstring(before.ok(f"/{name}/manifest.mpd"))
    folder = dash.folder_of(next(mpd.iter(NS + "Representation")), f"/{name}/manifest.mpd")
    body = before.ok(folder + "0.m4s")
    assert before.stop() == 0
    after = start(media_dir, config={"ladder": [{"short_side": 90, "maxrate": 100000, "crf": 30}]}, cache=before.cache)
    assert after.ok(folder + "0.m4s") == body
    assert after.ok(folder + "init.mp4")


def test_compressed(start, clip, media_dir):
    edge = start(media_dir)
    url = f"/{clip('short.mp4')}/manifest.mpd"
    plain, packed = edge.get(url), edge.get(url, {"Accept-Encoding": "gzip"})
    assert packed.header("content-encoding") == "gzip" and packed.header("etag") != plain.header("etag")
    assert "max-age" in plain.header("cache-control") and "immutable" not in plain.header("cache-control")
    assert edge.get(url, {"If-None-Match": plain.header("etag")}).status == 304
