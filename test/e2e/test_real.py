# SPDX-License-Identifier: BSD-2-Clause
"""Clips as phones, cameras and editors made them, and what FFmpeg makes of such: every rung, out of order, from a cold
server, in fMP4, in MPEG-TS and in DASH.  docs/real-clips.md is the table of what came out."""
import os
from fractions import Fraction

import pytest

import dash
import exact
import likeness
import made
import muxed

SHORT = {"bear-161x121-vp9-odd.webm", "bbb-800x640-sar64_45-bpyramid.mp4", "camera-320x240-mjpeg-pcm.avi",
         "bbb-360p25-h264-aac-10s.flv"}


class Source:
    """What there is to see in a clip, decoded once for all renditions of it."""

    def __init__(self, path, clip):
        self.clip = clip
        self.times = exact.presented(path)
        if clip.end:
            self.times[-1] = self.times[-1][0], Fraction(clip.end)
        self.pictures = likeness.pictures(path, "bwdif=send_field" if clip.fields else "null")
        assert clip.damaged or len(self.pictures) == (clip.frames if clip.fields else len(self.times))

    def wanted(self, r):
        """Which of them each picture of a rendition has to be."""
        if r.copied:
            return range(len(self.pictures))
        if self.clip.fields:
            return range(0, len(self.pictures), 1 if min(r.init.width, r.init.height) >= 720 else 2)
        assert exact.frame_rate(r) == self.clip.fps
        assert exact.frames_on_grid(self.times, self.clip.fps) == self.clip.frames
        return exact.shown_on_grid(self.times, self.clip.fps)


def check_pictures(r, source, tmp_path):
    """That they are evenly spaced exact.check_chain has seen."""
    want = list(source.wanted(r))
    ours = likeness.pictures(r.whole(str(tmp_path / "pictures.mp4")))
    assert exact.frame_count(r) == len(ours) == len(want), r.name
    if r.copied:
        assert (ours == source.pictures).all()
    likeness.check_upright(ours, source.pictures, want)
    return likeness.check(ours, source.pictures, want)


def check_fmp4(name, path, clip, renditions, tmp_path):
    videos = exact.check_renditions(renditions, tmp_path)
    assert bool(videos) == bool(clip.rate)
    source = Source(path, clip) if videos and not clip.damaged else None
    for r in videos:
        assert (r.init.height > r.init.width) == clip.portrait
        told = check_pictures(r, source, tmp_path) if source else "damaged"
        print(f"{name} {r.name}: {exact.frame_count(r)} frames, {told} told from others")


def check_ts(edge, name, renditions):
    """The same coded pictures and sound: nothing needs to be decoded again."""
    variants = muxed.fetch(edge, name)
    for m in variants:
        muxed.check_variant(m, renditions)
    rungs = [r.name for r in renditions if r.video and not r.copied]
    assert sorted(m.name for m in variants) == sorted(rungs or ["audio-0"])


def check(start, name, folder, tmp_path, clip):
    # (A copy of damage is damaged: its segment ends in mid-air.)
    edge = start(folder, env={"TIDEMILL_MEDIA_PASSTHROUGH": "false"} if clip.damaged else None)
    playlist, renditions = exact.fetch(edge, name)
    check_fmp4(name, os.path.join(folder, name), clip, renditions, tmp_path)
    check_ts(edge, name, renditions)
    dash.check(edge, name, renditions + exact.fetch_tricks(playlist))
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


@pytest.mark.parametrize("name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.long) for n in made.REAL])
def test_real(name, start, real_clips, tmp_path):
    check(start, name, real_clips, tmp_path, made.REAL[name])


@pytest.mark.long
@pytest.mark.parametrize("name", made.MADE)
def test_made(name, start, real_clips, media_dir, tmp_path):
    folder, work = tmp_path / "clips", os.path.join(media_dir, "real")
    folder.mkdir()
    os.makedirs(work, exist_ok=True)
    made.make(name, folder, work, os.path.join(real_clips, made.BBB))
    check(start, name, folder, tmp_path, made.MADE[name])
