# SPDX-License-Identifier: BSD-2-Clause
"""What players that are programs make of a clip: every picture once and in order, every sound, no complaint."""
import pytest

import programs
from edge import Playlist, quote

ONE = {"ladder": [{"short_side": 180, "maxrate": 400000, "crf": 23}]}
FRAMES, PACKETS = 325, 610
SHORT = [
    ("ffmpeg", "mp4"),
    ("mpv", "master.m3u8"),
    ("gstreamer", "master-ts.m3u8"),
    ("vlc", "manifest.mpd"),
]
LONG = [(p, e) for p in ("ffmpeg", "mpv", "gstreamer", "vlc")
        for e in ("master.m3u8", "master-ts.m3u8", "manifest.mpd", "mp4") if (p, e) not in SHORT]
# Of DASH, ffmpeg's reader opens each segment as a file of its own.  Of such a one it finds out in
# passing how much later than decoded the pictures are shown, and gives those before earlier times:
# times that were there already, which are dropped.
DROPS = {("ffmpeg", "manifest.mpd"), ("mpv", "manifest.mpd")}


def url_of(edge, name, entry):
    p = Playlist(edge, name)
    if entry == "mp4":
        return edge.url + p.renditions()[0][1].rstrip("/") + ".mp4"
    return f"{edge.url}/{quote(name)}/{entry}"


@pytest.mark.parametrize("program, entry", SHORT + [pytest.param(*c, marks=pytest.mark.long) for c in LONG])
def test_program(program, entry, start, clip, media_dir, tmp_path):
    """Of one rung: some lose a picture where they change to another."""
    edge = start(media_dir, config=ONE, env={"TIDEMILL_MEDIA_PASSTHROUGH": "false"})
    check(edge, clip("base.mp4"), program, entry, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("program, entry", [(p, e) for p in ("ffmpeg", "mpv", "gstreamer")
                                            for e in ("master.m3u8", "master-ts.m3u8", "manifest.mpd")])
def test_ladder(program, entry, start, clip, media_dir, tmp_path):
    """With the source's own video and all rungs to choose from."""
    check(start(media_dir), clip("base.mp4"), program, entry, tmp_path)


def check(edge, name, program, entry, tmp):
    played = getattr(programs, program)(url_of(edge, name, entry), tmp, entry != "mp4")
    if (program, entry) in DROPS:
        assert played.pictures == sorted(set(played.pictures)) and len(played.pictures) > FRAMES - 10
        assert played.pictures[0] == 0 and played.pictures[-1] == FRAMES - 1
    else:
        assert played.pictures == [*range(FRAMES)], edge.log_tail()
        assert played.complaints == ""
    assert played.samples in (None, 0 if entry == "mp4" else 1024 * PACKETS)
