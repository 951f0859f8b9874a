# SPDX-License-Identifier: BSD-2-Clause
"""Every rung of every kind of source, fetched out of order from a cold server."""
import math
import os
import subprocess
from fractions import Fraction

import pytest

import clips
import exact

SHORT = ["base.mp4", "2997.mp4", "opengop.mp4", "moovlast.mp4", "base.mkv", "rot90.mp4", "sar.mp4", "noaudio.mp4",
         "vp9.webm", "mpeg2.mkv", "mpeg4.mp4", "base.ts", "mpeg4.avi", "wmv2.asf"]
ALL = [n for n in clips.RECIPES if n not in ("noise.mp4", "short.mp4")]

# A clip turned by its display matrix (rotate=90: counter-clockwise) was stamped before that.
UNDO = {"rot90.mp4": "transpose=1", "rot180.mp4": "hflip,vflip", "rot270.mp4": "transpose=2"}


# Clips whose pictures are not one for each frame of the grid.
UNEVEN = {"holes.mkv", "uneven.mp4", "cut.mp4", "120.mp4"}


def numbers_of(name, r, path):
    """The barcodes that a rendition of the clip has to show."""
    recipe = clips.RECIPES[name]
    if name not in UNEVEN:
        return list(range(math.ceil(recipe["seconds"] * Fraction(recipe["fps"]) - Fraction(1, 10**6))))
    stamped = exact.read_barcodes(path, recipe["w"], recipe["h"])
    return [stamped[i] for i in exact.shown_on_grid(exact.presented(path), Fraction(r.attrs["FRAME-RATE"]))]


def own_numbers(name, _, path):
    """Those that the clip itself shows."""
    return exact.read_barcodes(path, clips.RECIPES[name]["w"], clips.RECIPES[name]["h"])


def check_asset(edge, name, tmp_path, at_once=1):
    playlist, renditions = exact.fetch(edge, name, at_once=at_once)
    videos = [r for r in renditions if r.video]
    audios = [r for r in renditions if not r.video]
    assert videos
    ends = {r.name: exact.check_chain(r) for r in renditions}
    end = next(ends[r.name] for r in videos if not r.copied)
    assert max(abs(ends[r.name] - end) for r in videos) <= Fraction(1, 2 * min(r.init.timescale for r in videos))
    exact.check_cuts(videos)
    for r in audios:
        assert 0 <= ends[r.name] - end < 1024 / 32000
    for r in renditions:
        exact.check_playlist(r, ends[r.name])
        exact.check_promises(r, audios)
        for k in range(len(r.segments)):
            exact.decode_alone(r, k, tmp_path)
    return videos, audios


@pytest.mark.parametrize("name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.long) for n in ALL])
def test_generated(name, start, clip, media_dir, tmp_path):
    clip(name)
    videos, _ = check_asset(start(media_dir), name, tmp_path)
    for r in videos:
        want = (own_numbers if r.copied else numbers_of)(name, r, os.path.join(media_dir, name))
        assert exact.barcodes(r, tmp_path, UNDO.get(name, "null")) == want, r.name


def test_noise_stays_below_bandwidth(start, clip, media_dir):
    """Where the maxrate binds all the time: the encoder takes it whole, and the playlist says enough."""
    maxrate = 700000
    edge = start(media_dir, config={"ladder": [{"short_side": 180, "maxrate": maxrate, "crf": 23}]})
    _, [video, sound] = exact.fetch(edge, clip("snow.mp4"))
    exact.check_promises(video, [sound])
    assert min(exact.rates(video)) >= 0.95 * maxrate
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


@pytest.mark.parametrize("woven", [False, True])
def test_pictures_change_in_mid_stream(woven, start, tmp_path):
    """Of another size and kind from the middle of a segment on: the rungs keep theirs, and show each picture."""
    folder = tmp_path / "clips"
    folder.mkdir()
    flags = "-flags +ildct+ilme -x264-params tff=1" if woven else ""
    with open(tmp_path / "both.ts", "wb") as whole:
        for w, h, kind, first in (640, 352, "yuv420p", 0), (320, 176, "yuv422p", 64):
            whole.write(subprocess.run(
                f"ffmpeg -v error -f lavfi -i testsrc2=size={w}x{h}:rate=25 -frames:v 64 -pix_fmt yuv420p -f rawvideo - | "
                f"'{exact.BARCODE}' stamp {w} {h} {first} | ffmpeg -v error -f rawvideo -s {w}x{h} -pix_fmt yuv420p -r 25 "
                f"-i - -pix_fmt {kind} -c:v libx264 -preset veryfast -g 16 -bf 0 {flags} "
                f"-output_ts_offset {first / 25} -f mpegts -",
                shell=True, capture_output=True, check=True).stdout)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "both.ts", "-c", "copy", folder / "both.mkv"], check=True)
    edge = start(folder, config={"media": {"every_field": 0, "passthrough": False}})  # a copy has one size
    videos, _ = check_asset(edge, "both.mkv", tmp_path)
    for r in videos:
        assert exact.barcodes(r, tmp_path) == list(range(128)), r.name
