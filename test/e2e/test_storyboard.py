# SPDX-License-Identifier: BSD-2-Clause
"""The storyboard: tile k is the picture that is on screen at cue k's time."""
import math
import os
import types
from fractions import Fraction

import pytest

import exact
import sheets
from edge import Playlist
from test_exact import UNDO, numbers_of
from test_trick import CASES


def played(edge, name, media_dir):
    """The numbers of all frames of a rung that is encoded, and their rate: a copy has the times of the source."""
    attrs = next(attrs for rung, _, attrs in Playlist(edge, name).renditions() if rung != "source")
    rate = Fraction(attrs["FRAME-RATE"]).limit_denominator(1001)
    for exactly in (24000, 30000, 60000):
        if abs(rate - Fraction(exactly, 1001)) < Fraction(1, 1000):
            rate = Fraction(exactly, 1001)
    r = types.SimpleNamespace(attrs={"FRAME-RATE": str(rate)})
    return numbers_of(name, r, os.path.join(media_dir, name)), rate


@pytest.mark.parametrize("name,every", CASES)
def test_each_tile_is_the_picture_of_its_time(name, every, start, clip, media_dir, tmp_path):
    clip(name)
    edge = start(media_dir)
    numbers, rate = played(edge, name, media_dir)
    board = sheets.Storyboard(edge, name, tmp_path, order=list.reverse)
    begins = [begin for begin, _, _, _ in board.cues]
    ms = [Fraction(math.ceil(1000 * n / rate), 1000) for n in [*range(0, len(numbers), every), len(numbers)]]
    assert begins == ms[:-1] and [end for _, end, _, _ in board.cues] == ms[1:]
    # On screen then is the frame in whose time that lies.
    assert [math.floor(t * rate) for t in begins] == list(range(0, len(numbers), every))
    assert board.numbers(UNDO.get(name, "null")) == numbers[::every]


def test_interlaced(start, clip, media_dir, tmp_path):
    """The first field of the frame of its time, stamped with every second number."""
    board = sheets.Storyboard(start(media_dir), clip("tff.mp4"), tmp_path)
    assert board.numbers() == list(range(0, 300, 50))


def test_any_order_gives_the_same_bytes(start, clip, media_dir, tmp_path):
    name = clip("gop12.mp4")
    one, other = start(media_dir), start(media_dir)
    forward, backward = sheets.Storyboard(one, name, tmp_path), sheets.Storyboard(other, name, tmp_path, list.reverse)
    assert len(forward.sheets) == 2
    assert forward.text == backward.text and forward.sheets == backward.sheets


def check_colours(edge, name, tmp_path, tiles):
    """Those of the trick rendition, by the tags of both: the mean of each of 8 x 8 fields."""
    board = sheets.Storyboard(edge, name, tmp_path)
    r = exact.Rendition(Playlist(edge, name), *Playlist(edge, name).tricks()[0])
    for k in tiles:
        path = os.path.join(str(tmp_path), f"{k}.mp4")
        with open(path, "wb") as f:
            f.write(r.init_bytes + r.segments[k])
        _, _, sheet, area = board.cues[k]
        small = "format=gbrp,scale=8:8:flags=area"
        film = sheets.pixels(path, (0, 0, r.init.width, r.init.height), small, "rgb24")
        tile = sheets.pixels(board.paths[sheet], area, small, "rgb24")
        off = [abs(a - b) for a, b in zip(film, tile)]
        assert len(off) == 192 and max(off) <= 10 and sum(off) / 192 < 1.5, (k, max(off), sum(off) / 192)


@pytest.mark.parametrize("name", ["base.mp4", pytest.param("hd.mp4", marks=pytest.mark.long),
                                  pytest.param("mjpeg.mov", marks=pytest.mark.long)])
def test_colours_are_those_of_the_film(name, start, clip, media_dir, tmp_path):
    check_colours(start(media_dir), clip(name), tmp_path, (0, 3))


@pytest.mark.long
@pytest.mark.parametrize("name", ["iphone-hevc10-hlg-dovi-rot90-elst.mp4", "phone-av1-hdr10-portrait.mp4",
                                  "android-2160p60-portrait-rot90.mp4", "bbb-800x640-sar64_45-bpyramid.mp4"])
def test_of_phones(name, start, real_clips, tmp_path):
    """HDR, turned pictures, full range, pixels that are no squares."""
    check_colours(start(real_clips), name, tmp_path, (0,))


def test_contract(start, clip, media_dir):
    edge = start(media_dir)
    name = clip("short.mp4")
    vtt = edge.get(f"/{name}/storyboard.vtt")
    assert vtt.header("content-type").startswith("text/vtt") and "immutable" not in vtt.header("cache-control")
    [sheet] = {s for _, _, s, _ in sheets.parse(vtt.text)}
    path = f"/{name}/{sheet}"
    head = edge.request("HEAD", path)
    assert head.status == 200 and head.header("content-type") == "image/jpeg" and head.header("etag")
    assert edge.get(path, {"If-None-Match": head.header("etag")}).status == 304
    assert edge.metrics()["encodes_sheets_total"] == 0
    whole = edge.get(path)
    assert whole.header("etag") == head.header("etag") and "immutable" in whole.header("cache-control")
    part = edge.get(path, {"Range": "bytes=100-199"})
    assert part.status == 206 and part.body == whole.body[100:200]
    assert edge.metrics()["encodes_sheets_total"] == 1
    # What is not there: another sheet, and what sheets have not.
    folder = path.rsplit("/", 1)[0] + "/"
    [(_, trick, _)] = Playlist(edge, name).tricks()
    for missing in folder + "1.jpg", folder + "0.m4s", folder + "init.mp4", trick + "0.jpg":
        answer = edge.get(missing)
        assert answer.status == 404 and answer.header("content-type") == "application/problem+json", missing


def test_a_sheet_survives_a_restart_with_another_ladder(start, clip, media_dir):
    name = clip("short.mp4")
    before = start(media_dir)
    [sheet] = {s for _, _, s, _ in sheets.parse(before.ok(f"/{name}/storyboard.vtt").decode())}
    body = before.ok(f"/{name}/{sheet}")
    assert before.stop() == 0
    after = start(media_dir, cache=before.cache, config={"media": {"segment": "6s"}})
    assert after.ok(f"/{name}/{sheet}") == body
    assert after.metrics()["encodes_sheets_total"] == 0
    assert sheet not in after.ok(f"/{name}/storyboard.vtt").decode()


def test_noise_keeps_the_promise(start, clip, media_dir, tmp_path):
    """It is coded more coarsely."""
    edge = start(media_dir)
    board = sheets.Storyboard(edge, clip("snow.mp4"), tmp_path)
    p = Playlist(edge, "snow.mp4")
    [line] = [l for l in p.master.splitlines() if l.startswith("#EXT-X-IMAGE-STREAM-INF:")]
    bandwidth = int(line.split("BANDWIDTH=")[1].split(",")[0])
    [sheet] = board.sheets.values()
    assert bandwidth / 2 < 8 * len(sheet) / 7 <= bandwidth
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


def test_sound_has_none(sound, start):
    answer = start(sound).get("/sound.mp4/storyboard.vtt")
    assert answer.status == 404 and answer.json["detail"] == "the asset has no pictures"
