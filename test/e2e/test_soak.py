# SPDX-License-Identifier: BSD-2-Clause
"""Thousands of segments of all kinds: the server is then as large as it was, and holds as many descriptors."""
import concurrent.futures
import os
import random

import numpy
import pytest

from edge import Playlist
from peers import Shelf

SEGMENTS, EVERY, WARM = 9000, 100, 4000  # until then malloc's pools fill up


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))  # KiB


def leaves(edge, asset):
    """All that an asset has to be asked for, in fMP4 and in MPEG-TS, sound and stills."""
    plain, ts = Playlist(edge, asset), Playlist(edge, asset, "master-ts.m3u8")
    return [folder + leaf for p in (plain, ts) for _, folder, _ in p.renditions() + p.tricks()
            for leaf in p.media(folder)[2]]


@pytest.mark.long
def test_memory_is_flat(start, clip, media_dir, tmp_path):
    """Most of them have to be made anew, as there is little room to keep them in."""
    (tmp_path / "shelf").mkdir()
    shelf = Shelf(tmp_path / "shelf", os.path.join(media_dir, clip("tiny.mp4")))
    edge = start(shelf.folder, config={"cache": {"memory": "8MiB", "disk_enabled": False}})
    paths = [path for _ in range(20) for path in leaves(edge, shelf.take())]
    choices, sizes, handles = random.Random(42).choices(paths, k=SEGMENTS), [], []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for at in range(0, SEGMENTS, EVERY):
            assert all(pool.map(edge.ok, choices[at:at + EVERY]))
            sizes.append(resident(edge.process.pid))
            handles.append(len(os.listdir(f"/proc/{edge.process.pid}/fd")))
    m = edge.metrics()
    made = sum(m[k] for k in ("encodes_video_total", "encodes_audio_total", "copies_video_total", "muxes_total"))
    slope = numpy.polyfit(range(0, SEGMENTS - WARM, EVERY), sizes[WARM // EVERY:], 1)[0] * 1000  # KiB for a thousand
    print(f"{made} made, {sizes[WARM // EVERY]} to {sizes[-1]} KiB, {slope:.0f} KiB for a thousand, {handles[-1]} descriptors")
    assert made > SEGMENTS / 2
    assert slope < 1024, sizes
    assert max(handles[WARM // EVERY:]) - min(handles[WARM // EVERY:]) <= 4 + 2, handles  # those of four clients come and go
    assert m["workers_crashed_total"] == m["workers_lost_total"] == 0
