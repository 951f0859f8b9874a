# SPDX-License-Identifier: BSD-2-Clause
"""Which picture of a source each picture of a rendition is, by what is to be seen.  For sources without barcodes.

Pictures are arrays of W x H levels of luma, whatever shape they have on a screen.
"""
import subprocess

import numpy

W, H = 128, 72
NEAR = 3     # neighbours to each side that it could be taken for
APART = 3    # levels, root mean square: pictures that differ by less are not told apart, for what coding does to them
BLUR = 2.5   # times what coding has done at least: nor are these.  (720p at 0.6 Mb/s starves the last pictures before an
             # IDR picture, with any preset: they keep the look of those before)


def pictures(path, filters="null"):
    """All that a file presents, cropped to the pixel and turned as it says, in order.  (With threads it is a matter of
    chance what becomes of damage.)"""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-max_error_rate", "1", "-threads", "1", "-flags", "unaligned", "-i",
                          path, "-map", "0:v:0", "-vf", f"{filters},scale={W}:{H}:flags=area,format=gray", "-vsync",
                          "passthrough", "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    return numpy.frombuffer(raw, "u1").reshape(-1, W * H)


def toned(ours, right):
    """Ours with the levels of the source, which may be of another range: by one curve for all of them."""
    some = numpy.s_[::max(len(ours) // 60, 1), ::7]
    ours, levels = ours.astype("f4"), ours[some].ravel().astype(float)
    if not levels.any():
        return ours  # black
    return numpy.polyval(numpy.polyfit(levels, right[some].ravel().astype(float), 3), ours)


def apart(a, b):
    return float(numpy.sqrt(numpy.mean((a - b) ** 2)))


def check(ours, source, want):
    """Ours are the pictures of the source at the places wanted: none is nearer to another one about it, where the two
    differ by more than coding makes of them.  Returns how many there were that could be told from some other."""
    assert len(ours) == len(want)
    ours, source, told = toned(ours, source[want]), source.astype("f4"), 0
    for n, i in enumerate(want):
        around = range(max(i - NEAR, 0), min(i + NEAR + 1, len(source)))
        off = {j: apart(ours[n], source[j]) for j in around}
        enough = max(APART, BLUR * min(off.values()))
        others = [j for j in around if apart(source[i], source[j]) >= enough]
        assert all(off[i] < off[j] for j in others), (n, i, off)
        told += bool(others)
    return told


def check_upright(ours, source, want):
    """As its source is turned, and not upside down or in a mirror: of a picture in the middle, as many a clip begins black."""
    n = len(want) // 2
    right = source[want[n]].reshape(H, W)
    turns = [right, right[::-1], right[:, ::-1], right[::-1, ::-1]]
    alike = [numpy.corrcoef(ours[n], t.ravel())[0, 1] for t in turns]
    assert max(alike) == alike[0], alike
