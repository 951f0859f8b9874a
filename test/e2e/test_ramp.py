# SPDX-License-Identifier: BSD-2-Clause
"""Shorter first segments (media.ramp): all that holds for others holds for them."""
import os
from fractions import Fraction

import pytest

import dash
import exact
import muxed
from edge import Playlist
from test_exact import numbers_of

RAMP = "1s,2s"
OWN = {"passthrough": False, "ramp": RAMP}  # cut as it wants


@pytest.mark.parametrize("name, want", [("base.mp4", [1, 2, 4, 4, 2]), pytest.param("2997.mkv", [1, 2, 4, 4, 2], marks=pytest.mark.long), ("short.mp4", [1, 2])])
def test_exact(name, want, start, clip, media_dir, tmp_path):
    """Out of order from a cold server: fMP4, DASH and MPEG-TS, each source picture once."""
    clip(name)
    edge = start(media_dir, config={"media": OWN})
    playlist, renditions = exact.fetch(edge, name)
    videos = exact.check_renditions(renditions, tmp_path, ramp=len(want[1:3]))
    for r in videos:
        assert [round(Fraction(d)) for d in r.durations] == want
        assert exact.barcodes(r, tmp_path) == numbers_of(name, r, os.path.join(media_dir, name)), r.name
    dash.check(edge, name, renditions + exact.fetch_tricks(playlist))
    for m in muxed.fetch(edge, name):
        muxed.check_variant(m, renditions)
    whole = edge.ok(videos[0].folder.rstrip("/") + ".mp4")
    assert whole == videos[0].init_bytes + b"".join(videos[0].segments)
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


def test_clip(start, clip, media_dir, tmp_path):
    """A clip of an asset begins with a ramp of its own."""
    asset = clip("base.mp4") + ";t=3,9.5"
    edge = start(media_dir, config={"media": OWN})
    videos = exact.check_renditions(exact.fetch(edge, asset)[1], tmp_path, ramp=2)
    for r in videos:
        assert [round(Fraction(d), 1) for d in r.durations] == [1, 2, Fraction(7, 2)]
        assert exact.barcodes(r, tmp_path) == list(range(75, 238)), r.name


@pytest.mark.parametrize("name, want", [("base.mp4", [2, 2, 4, 4, 1]), pytest.param("gop10.mp4", [10, 10, 4], marks=pytest.mark.long)])
def test_at_sync_samples(name, want, start, clip, media_dir, tmp_path):
    """Where the source itself is a rendition: the nearest of them that there are; where none is near, all is as it was."""
    edge, plain = (start(media_dir, env=env) for env in ({"TIDEMILL_MEDIA_RAMP": RAMP}, {}))
    playlist, renditions = exact.fetch(edge, clip(name))
    videos = exact.check_renditions(renditions, tmp_path)
    assert any(r.copied for r in videos)
    assert [round(Fraction(d)) for d in videos[0].durations] == want
    same = {folder for _, folder, _ in Playlist(plain, name).renditions()} == {r.folder for r in renditions}
    assert same == (name == "gop10.mp4")


def test_urls(start, clip, media_dir):
    """A changed ramp is another recipe; who has the old one plays on."""
    name = clip("base.mp4")
    before = start(media_dir, config={"media": {"passthrough": False}})
    _, [old] = exact.fetch(before, name, only={"360p"})
    assert before.stop() == 0
    after = start(media_dir, config={"media": OWN}, cache=before.cache)
    _, [new] = exact.fetch(after, name, only={"360p"})
    assert new.folder != old.folder and len(new.segments) == len(old.segments) + 1
    assert [after.ok(old.folder + n) for n in old.names] == old.segments
    assert after.stop() == 0
    again = start(media_dir, config={"media": {"passthrough": False}}, cache=before.cache)  # from its record, made anew
    assert [again.ok(new.folder + n) for n in new.names] == new.segments


@pytest.mark.parametrize("ramp", ["1s", RAMP])
def test_noise_stays_below_bandwidth(ramp, start, clip, media_dir):
    """Where the maxrate binds all the time: the first second takes it too, and costs no BANDWIDTH but for boxes."""
    maxrate = 700000

    def of(media):
        edge = start(media_dir, config={"ladder": [{"short_side": 180, "maxrate": maxrate, "crf": 23}],
                                        "media": {"passthrough": False, **media}})
        _, [video, sound] = exact.fetch(edge, clip("snow.mp4"))
        exact.check_promises(video, [sound])
        assert edge.metrics()["bandwidth_exceeded_total"] == 0
        return video, int(video.attrs["BANDWIDTH"])

    video, bandwidth = of({"ramp": ramp})
    rates = [float(rate) for rate in exact.rates(video)]
    print(ramp, [round(rate / maxrate, 3) for rate in rates], bandwidth)
    assert min(rates) >= 0.95 * maxrate
    assert bandwidth <= of({})[1] + 2 * 9600  # of sound and pictures
