# SPDX-License-Identifier: BSD-2-Clause
"""A video rung as `tidemill probe` tells it, and as options of the ffmpeg program."""
import os
import re
import subprocess

from edge import BUILD


class Rung:
    """name: of those of a file; config: a configuration file, if that counts."""

    def __init__(self, path, name, config=None):
        text = subprocess.run([os.path.join(BUILD, "tidemill"), *(["-c", config] if config else []), "probe", path],
                              capture_output=True, text=True, check=True).stdout
        m = re.search(rf"{name} +(\d+)x(\d+), crf (\d+), at most ([\d.]+) kb/s, avc1\.64..(..)", text)
        self.width, self.height, self.crf, self.level = int(m[1]), int(m[2]), int(m[3]), int(m[5], 16)
        self.rate = round(float(m[4]) * 1000)  # bits per second
        grid = re.search(r"grid +(\d+)/(\d+) frames", text)
        self.fps = int(grid[1]) / int(grid[2])
        segments = re.search(r"of (\d+)[ to\d]* frames.* \(parts of (\d+)\)", text)
        self.frames, self.part = int(segments[1]), int(segments[2])  # of a segment and of a part

    def scaler(self):
        """The filters that make a source's pictures this rung's."""
        return (f"scale={self.width}:{self.height}:flags=bicubic+accurate_rnd+full_chroma_int+bitexact,"
                "format=yuv420p")

    def encoder(self, threads=1):
        """The encoder's settings but for where its IDR pictures are.  threads: None for as many as it likes."""
        return ["-c:v", "libx264", *([] if threads is None else ["-threads", str(threads)]), "-preset", "veryfast",
                "-profile:v", "high", "-level:v", str(self.level), "-crf", str(self.crf),
                "-maxrate", str(self.rate), "-bufsize", str(self.rate),
                "-rc_init_occupancy", str(self.rate * 68 // 100),
                "-x264-params", "stitchable=1:cpu-independent=1", "-flags", "+cgop", "-fps_mode", "passthrough"]
