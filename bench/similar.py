# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of a segment of a source, scaled to a rung, and how like them what was coded of them is."""
import os
import re
import subprocess

FFMPEG = ["ffmpeg", "-v", "error", "-nostdin", "-y"]


def raw_input(path, size, fps, layout="yuv420p"):
    """Raw pictures as an input of ffmpeg."""
    return ["-f", "rawvideo", "-pix_fmt", layout, "-s", size, "-r", f"{fps:.6f}", "-i", path]


class Pictures:
    """Of segment k, in a file."""

    def __init__(self, source, rung, k, path):
        self.rung, self.path = rung, path
        start = rung.start(k, first_frame(source))
        subprocess.run([*FFMPEG, "-ss", f"{start:.6f}", "-i", source, "-frames:v", str(rung.frames), "-an", "-sn",
                        "-vf", rung.scaler(), "-fps_mode", "passthrough", "-f", "rawvideo", path], check=True)
        self.frames = os.path.getsize(path) * 2 // (3 * rung.width * rung.height)

    def read(self):
        """As an input of ffmpeg."""
        return raw_input(self.path, f"{self.rung.width}x{self.rung.height}", self.rung.fps)

    def similarity(self, coded):
        """Mean SSIM of the luma, and of all planes."""
        text = subprocess.run(["ffmpeg", "-nostdin", "-i", coded, *self.read(), "-lavfi",
                               "[0:v]settb=1/1000,setpts=N[a];[1:v]settb=1/1000,setpts=N[b];[a][b]ssim", "-f", "null",
                               "-"], capture_output=True, text=True, check=True).stderr
        m = re.search(r"SSIM Y:([\d.]+).*All:([\d.]+)", text)
        return float(m[1]), float(m[2])


def first_frame(path):
    """When the video begins, as ffmpeg's -ss counts."""
    text = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                           "stream=start_time:format=start_time", "-of", "default=nw=1:nk=1", path],
                          capture_output=True, text=True, check=True).stdout
    video, file = map(float, text.split()[:2])
    return video - file
