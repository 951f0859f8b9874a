# SPDX-License-Identifier: BSD-2-Clause
"""Clips as phones, cameras and editors made them: every rung, out of order, from a cold server."""
import os
import subprocess
from fractions import Fraction

import pytest

import exact

# name: (frames a second, frames); of the iPhone's, whose rate varies, those of the nearest usual rate
CLIPS = {
    "bear-161x121-vp9-odd.webm": ("30000/1001", 30),
    "bbb-800x640-sar64_45-bpyramid.mp4": ("30", 120),
    "cctv-cars-432p12.5-30s.mp4": ("25/2", 377),
    "bbb-480p24-30s-aac51.mp4": ("24", 720),
    "sintel-480p25-26s.mp4": ("25", 652),
    "snowboard-400p30-29s.mp4": ("30", 869),
    "frame-counter-1920x1280p25-10s.mp4": ("25", 250),
    "bbb-720p24-vp8-vorbis-30s.webm": ("24", 720),
    "phone-av1-hdr10-portrait.mp4": ("30000/1001", 127),
    "iphone-hevc10-hlg-dovi-rot90-elst.mp4": ("30000/1001", 76),
    "android-2160p60-portrait-rot90.mp4": ("60", 18),
    "bbb-480p24-msmpeg4v2-mp3.mkv": ("24", 100),
    "city-240p60-fragmented-15s.mp4": ("60", 932),
    "nasa-multitrack-2v-2a-2s.mp4": ("25", 325),
    "bbb-1080p24-hevc-aac51.ts": ("24", 120),
    "bbb-1080p25-h264-aac-40s.ts": ("25", 1008),
    "bbb-360p25-h264-aac-10s.flv": ("25", 250),
    "camera-320x240-mjpeg-pcm.avi": ("15", 41),
    "popcorn-300x180-theora-vorbis-64s.ogv": ("24", 1549),
}
SHORT = {"bear-161x121-vp9-odd.webm", "bbb-800x640-sar64_45-bpyramid.mp4", "camera-320x240-mjpeg-pcm.avi",
         "bbb-360p25-h264-aac-10s.flv"}
PORTRAIT = {"phone-av1-hdr10-portrait.mp4", "iphone-hevc10-hlg-dovi-rot90-elst.mp4",
            "android-2160p60-portrait-rot90.mp4"}


def similarity(first, second, n, size, turn="null"):
    """SSIM of pictures n, the second turned on top of what its container says."""
    w, h = size
    graph = (f"[0:v]select=eq(n\\,{n}),setpts=0,format=gray[a];"
             f"[1:v]select=eq(n\\,{n}),{turn},scale={w}:{h},setpts=0,format=gray[b];[a][b]ssim")
    out = subprocess.run(["ffmpeg", "-hide_banner", "-i", first, "-i", second, "-lavfi", graph, "-f", "null", "-"],
                         capture_output=True, text=True, check=True).stderr
    return float(out.split("All:")[1].split()[0])


def check_upright(r, source, tmp_path):
    """ffmpeg turns the source as its display matrix says; so must we, and not upside down."""
    ours = r.whole(str(tmp_path / "upright.mp4"))
    n, size = exact.frame_count(r) // 2, (r.init.width, r.init.height)  # many a clip begins black
    right = similarity(ours, source, n, size)
    for wrong in ("hflip,vflip", "hflip", "vflip"):
        assert right > similarity(ours, source, n, size, wrong), wrong


def check_times(r, source):
    """The right number of frames; that they are evenly spaced exact.check_chain has seen."""
    rate, frames = CLIPS[os.path.basename(source)]
    if r.copied:
        assert exact.frame_count(r) == len(exact.presented(source))
        return
    ours = Fraction(r.init.timescale, r.fragments[0][0].samples[0].duration)
    assert ours == Fraction(rate)
    assert exact.frame_count(r) == frames == exact.frames_on_grid(source, ours)


@pytest.mark.parametrize("name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.long) for n in CLIPS])
def test_real(name, start, real_clips, tmp_path):
    edge = start(real_clips)
    _, renditions = exact.fetch(edge, name)
    videos = [r for r in renditions if r.video]
    ends = {r.name: exact.check_chain(r) for r in renditions}
    exact.check_cuts(videos)
    for r in renditions:
        exact.check_playlist(r, ends[r.name])
        exact.check_promises(r, next((a for a in renditions if r.video and not a.video), None))
        for k in range(len(r.segments)):
            exact.decode_alone(r, k, tmp_path)
    for r in videos:
        check_times(r, os.path.join(real_clips, name))
        assert (r.init.height > r.init.width) == (name in PORTRAIT)
    check_upright(videos[-1], os.path.join(real_clips, name), tmp_path)
