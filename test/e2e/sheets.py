# SPDX-License-Identifier: BSD-2-Clause
"""What storyboard.vtt says, and what is on the sheets that it names."""
import os
import re
import subprocess
from fractions import Fraction

from exact import BARCODE

CUE = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d\.\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d\.\d{3})\n"
                 r"([0-9a-f]{32}/storyboard/\d+\.jpg)#xywh=(\d+),(\d+),(\d+),(\d+)")


def seconds(h, m, s):
    return 3600 * int(h) + 60 * int(m) + Fraction(s)


def parse(text):
    """(begin, end, sheet, (x, y, width, height)) of each cue; nothing else may be there."""
    head, *blocks = text.rstrip("\n").split("\n\n")
    assert head == "WEBVTT" and text.endswith("\n")
    out = []
    for block in blocks:
        m = CUE.fullmatch(block)
        assert m, block
        out.append((seconds(*m.group(1, 2, 3)), seconds(*m.group(4, 5, 6)), m[7], tuple(map(int, m.group(8, 9, 10, 11)))))
    return out


def pixels(path, area, filters="null", pix_fmt="gray"):
    x, y, w, h = area
    return subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vf", f"crop={w}:{h}:{x}:{y},{filters}", "-f", "rawvideo",
                           "-pix_fmt", pix_fmt, "-"], capture_output=True, check=True).stdout


def number(path, area, undo="null"):
    """The barcode in that area of a picture, None where there is none to read."""
    w, h = area[2:] if "transpose" not in undo else (area[3], area[2])
    text = subprocess.run([BARCODE, "read", str(w), str(h)], input=pixels(path, area, undo), capture_output=True,
                          check=True).stdout.decode().strip()
    return None if text == "?" else int(text)


class Storyboard:
    """One with all its sheets, fetched in the order given."""

    def __init__(self, edge, asset, folder, order=lambda names: None):
        self.text = edge.ok(f"/{asset}/storyboard.vtt").decode()
        self.cues = parse(self.text)
        self.names = list(dict.fromkeys(sheet for _, _, sheet, _ in self.cues))
        wanted = list(self.names)
        order(wanted)
        self.sheets = {n: edge.ok(f"/{asset}/{n}") for n in wanted}
        self.paths = {}
        for n, body in self.sheets.items():
            self.paths[n] = os.path.join(str(folder), n.replace("/", "-"))
            with open(self.paths[n], "wb") as f:
                f.write(body)

    def numbers(self, undo="null"):
        return [number(self.paths[sheet], area, undo) for _, _, sheet, area in self.cues]
