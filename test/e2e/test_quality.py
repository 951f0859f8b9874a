# SPDX-License-Identifier: BSD-2-Clause
"""Segments made of parts look like one encode of the whole file, cost no more, and do not pump at the borders.

Beside each rendition stands one encode of the whole file by the ffmpeg program: the same scaler, the same x264
settings (as `tidemill probe` tells them), an IDR picture wherever a part of ours begins.
"""
import os
import re
import statistics
import subprocess

import pytest

import exact
from edge import BUILD, Playlist

BBB, SINTEL, SNOW = "bbb-480p24-30s-aac51.mp4", "sintel-480p25-26s.mp4", "snowboard-400p30-29s.mp4"
SCALE = "scale={width}:{height}:flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=yuv420p"


def settings(edge, path, rung):
    """What `tidemill probe` says of a file and a rung."""
    config = ["-c", edge.cache + ".json"] if os.path.exists(edge.cache + ".json") else []
    text = subprocess.run([os.path.join(BUILD, "tidemill"), *config, "probe", path], capture_output=True, text=True,
                          check=True).stdout
    m = re.search(rf"{rung} +(\d+)x(\d+), crf (\d+), at most (\d+) kb/s, avc1\.64..(..)", text)
    return dict(width=int(m[1]), height=int(m[2]), crf=m[3], rate=int(m[4]) * 1000, level=int(m[5], 16),
                part=int(re.search(r"\(parts of (\d+)\)", text)[1]))


def encode_whole(path, s, out):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, "-an", "-sn", "-vf", SCALE.format(**s),
                    "-c:v", "libx264", "-threads", "1", "-preset", "veryfast", "-profile:v", "high",
                    "-level:v", str(s["level"]), "-crf", s["crf"], "-maxrate", str(s["rate"]),
                    "-bufsize", str(s["rate"]), "-rc_init_occupancy", str(s["rate"] * 68 // 100),
                    "-x264-params", "stitchable=1:cpu-independent=1", "-g", str(s["part"]),
                    "-keyint_min", str(s["part"]), "-sc_threshold", "0", "-flags", "+cgop",
                    "-fps_mode", "passthrough", out], check=True)
    return out


def similarities(path, source, s):
    """SSIM of each picture against the source scaled to the rung."""
    log = path + ".ssim"
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-i", source, "-lavfi",
                    f"[0:v]settb=1/1000,setpts=N[a];[1:v]{SCALE.format(**s)},settb=1/1000,setpts=N[b];"
                    f"[a][b]ssim=stats_file={log}", "-fps_mode", "passthrough", "-f", "null", "-"], check=True)
    with open(log) as f:
        return [float(re.search(r"All:([\d.]+)", line)[1]) for line in f]


def coded_bytes(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=size", "-of",
                          "csv=p=0", path], capture_output=True, text=True, check=True).stdout
    return sum(int(n) for n in re.findall(r"\d+", out))


class Look:
    """How a file looks beside its source, and what it costs."""

    def __init__(self, path, source, s):
        ssim = similarities(path, source, s)
        self.frames, self.ssim, self.bytes = len(ssim), statistics.mean(ssim), coded_bytes(path)
        borders = range(s["part"], len(ssim), s["part"])
        # From the last picture before each border to the first behind it; and from the last few to the first few.
        self.jump = statistics.mean(abs(ssim[k] - ssim[k - 1]) for k in borders)
        self.step = statistics.mean(abs(statistics.mean(ssim[k:k + 5]) - statistics.mean(ssim[k - 5:k])) for k in borders)

    def __repr__(self):
        return (f"SSIM {self.ssim:.5f}, jump {self.jump:.5f}, step {self.step:.5f}, {self.bytes} bytes, "
                f"{self.frames} frames")


def compare(edge, source, tmp_path):
    """How the top rung looks as we make it, and as one whole encode."""
    name = os.path.basename(source)
    rung = Playlist(edge, name).renditions()[0][0]
    _, [r] = exact.fetch(edge, name, only=[rung])
    s = settings(edge, source, rung)
    ours = Look(r.whole(str(tmp_path / "ours.mp4")), source, s)
    whole = Look(encode_whole(source, s, str(tmp_path / "whole.mp4")), source, s)
    print(f"{name} {rung}: {ours}; whole: {whole}")
    assert ours.frames == whole.frames
    return ours, whole


@pytest.fixture
def folder(name, media_dir, clip, request):
    if name in (BBB, SINTEL, SNOW):
        return request.getfixturevalue("real_clips")
    clip(name)
    return media_dir


def rarely(*case):
    return pytest.param(*case, marks=pytest.mark.long)


@pytest.mark.parametrize("name", ["base.mp4", rarely("2997.mp4"), rarely("60.mp4"), rarely("opengop.mkv"),
                                  rarely("hd.mp4"), rarely(BBB)])
def test_top_rung(name, folder, start, tmp_path):
    ours, whole = compare(start(folder), os.path.join(folder, name), tmp_path)
    assert ours.ssim >= 0.95
    assert ours.ssim >= whole.ssim - 0.002
    assert ours.bytes <= 1.03 * whole.bytes
    assert ours.jump <= 1.5 * whole.jump


@pytest.mark.parametrize("name, maxrate", [(SINTEL, 300000), rarely(SINTEL, 600000), rarely(SNOW, 600000),
                                           rarely(SNOW, 1200000), rarely(BBB, 400000), rarely("noise.mp4", 3000000)])
def test_no_pumping_at_a_binding_rate(name, maxrate, folder, start, tmp_path):
    edge = start(folder, config={"ladder": [{"short_side": 360, "maxrate": maxrate, "crf": 23}]})
    ours, whole = compare(edge, os.path.join(folder, name), tmp_path)
    if name == "noise.mp4":  # whose pictures differ more from one another than at any border
        assert ours.step <= 1.5 * whole.step
    else:
        assert ours.jump <= 1.5 * whole.jump
    assert ours.bytes <= 1.06 * whole.bytes
    assert ours.ssim >= whole.ssim - 0.006
