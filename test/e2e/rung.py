# SPDX-License-Identifier: BSD-2-Clause
"""A video rung as `tidemill probe` tells it, and as options of the ffmpeg program."""
import os
import re
import subprocess

from edge import BUILD


def jit(fps):
    """What our own preset tells x264 beside veryfast (codec/av/encode.c)."""
    return "partitions=p8x8,i8x8:me=dia:aq-mode=2" + (":bframes=1" if fps <= 40 else "")


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

    def encoder(self, threads=1, preset="veryfast", crf=None, params=""):
        """The encoder's settings but for where its IDR pictures are.  threads: None for as many as it likes; preset: of
        x264, or our own; params: what x264 is told beside it."""
        if preset == "jit":
            preset, params = "veryfast", jit(self.fps)
        return ["-c:v", "libx264", *([] if threads is None else ["-threads", str(threads)]), "-preset", preset,
                "-profile:v", "high", "-level:v", str(self.level), "-crf", str(self.crf if crf is None else crf),
                "-maxrate", str(self.rate), "-bufsize", str(self.rate),
                "-rc_init_occupancy", str(self.rate * 68 // 100),
                "-x264-params", ":".join(filter(None, ["stitchable=1:cpu-independent=1", params])),
                "-flags", "+cgop", "-fps_mode", "passthrough"]

    def start(self, k, begin=0):
        """Where segment k of a file whose video begins at begin is looked for, in seconds."""
        return max(begin + (k * self.frames - 0.5) / self.fps, 0)

    def keys(self):
        """An IDR picture where a part begins, and nowhere else."""
        return ["-g", "20001", "-keyint_min", "20001", "-forced-idr", "1", "-force_key_frames",
                f"expr:not(mod(n,{self.part}))"]

    def segment(self, path, k, begin=0, **encoder):
        """ffmpeg making segment k of such a file, in fragments of half a second."""
        return ["ffmpeg", "-v", "error", "-nostdin", "-ss", f"{self.start(k, begin):.6f}", "-i", path,
                "-frames:v", str(self.frames), "-an", "-sn", "-vf", self.scaler(), *self.encoder(**encoder),
                *self.keys(), "-movflags", "empty_moov+default_base_moof", "-frag_duration", "500000", "-f", "mp4",
                "pipe:1"]


def first_pictures(body, n=8):
    """The first n slices, each a picture: of the first fragment's mdat."""
    at = body.index(b"mdat") + 4
    end = at - 8 + int.from_bytes(body[at - 8:at - 4], "big")
    out = []
    while at < end and len(out) < n:
        size = int.from_bytes(body[at:at + 4], "big")
        if body[at + 4] & 31 in (1, 5):
            out.append(body[at + 4:at + 4 + size])
        at += 4 + size
    return out
