# SPDX-License-Identifier: BSD-2-Clause
"""Sources that are broken: damage stays where it is, and nothing that a file says brings the server down."""
import hashlib
import os
import shutil
import struct
import subprocess

import pytest

import mutants
from edge import Playlist

# A copy of damaged pictures is as damaged as they are.
pytestmark = pytest.mark.usefixtures("encoded_only")


def hashes(edge, asset):
    """{path without recipe: status and hash} of all segments of the largest rung and of the sound."""
    out = {}
    playlist = Playlist(edge, asset)
    names = {playlist.renditions()[0][0], "audio-0"}
    for name, folder, _ in playlist.renditions():
        for leaf in playlist.media(folder)[2] if name in names else ():
            a = edge.get(folder + leaf)
            out[f"{name}/{leaf}"] = a.status, hashlib.sha256(a.body).hexdigest()
    return out


def packet(path, seconds, stream="v"):
    """Offset and size of the first packet of more than 600 bytes presented at or after so many seconds."""
    rows = subprocess.run(["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries",
                           "packet=pts_time,dts_time,pos,size", "-of", "csv=p=0", path],
                          capture_output=True, text=True, check=True).stdout.split()
    base, found = None, None
    for pts, dts, size, pos in (row.split(",")[:4] for row in rows):
        time = dts if pts == "N/A" else pts
        base = float(time) if base is None else base
        if found is None and float(time) - base >= seconds and int(size) > 600:
            found = int(pos), int(size)
    return found


def damaged(folder, tmp_path, name, seconds, stream="v"):
    """A folder with the clip, 300 bytes of one packet of which are others."""
    shutil.copy(os.path.join(folder, name), tmp_path / name)
    at, size = packet(os.path.join(folder, name), seconds, stream)
    with open(tmp_path / name, "r+b") as f:
        f.seek(at + min(60, size // 3))
        f.write(bytes(range(1, 256)) + bytes(45))
    return tmp_path


def real_packet(payload):
    """A packet of RealMedia's first track."""
    return struct.pack(">HHHIBB", 0, 12 + len(payload), 0, 9000, 0, 0) + payload


def test_rest_of_a_lost_picture(start, clip, media_dir, tmp_path):
    """A slice of RealMedia says that its picture goes on beyond the end of the file.  FFmpeg's demuxer gives up, and
    then takes its bytes for pictures, at times of their own; none of them is shown."""
    with open(os.path.join(media_dir, clip("rv20.rm")), "rb") as f:
        whole = f.read()
    slice_of_many = b"\x00\x01" + struct.pack(">HH", 0x3fff, 0xffff) + b"\x40\x00\x09"
    made_up = b"\xc0" + struct.pack(">HHB", 0x4000 + 200, 0x4000 + 16000, 5) + bytes(range(1, 201))
    (tmp_path / "whole.rm").write_bytes(whole)
    (tmp_path / "cut.rm").write_bytes(whole + real_packet(slice_of_many + made_up * 3))
    edge = start(tmp_path)
    assert hashes(edge, "cut.rm") == hashes(edge, "whole.rm")


# clip, where it is damaged, what may differ: the part of 2 s that holds it and no more
CASES = [("base.mp4", 5, {"360p/1.m4s"}), ("base.mkv", 9, {"360p/2.m4s"}), ("base.ts", 5, {"360p/1.m4s"}),
         ("mpeg4.avi", 5, {"360p/1.m4s"}), ("base.flv", 5, {"360p/1.m4s"})]


@pytest.mark.parametrize("name,at,may_differ", [c if c[0] in ("base.mp4", "base.ts") else
                                                pytest.param(*c, marks=pytest.mark.long) for c in CASES])
def test_damage_stays_where_it_is(name, at, may_differ, start, clip, media_dir, tmp_path):
    """All other segments are byte for byte those of the sound file; the answer is the same each time."""
    clip(name)
    sound = hashes(start(media_dir), name)
    folder = tmp_path / "damaged"
    folder.mkdir()
    damaged(media_dir, folder, name, at)
    broken = hashes(start(folder), name)
    assert broken.keys() == sound.keys()
    assert {k for k in sound if sound[k] != broken[k]} == may_differ
    assert hashes(start(folder), name) == broken


def test_a_file_that_ends_early(start, clip, media_dir, tmp_path):
    """What is there is served as ever."""
    clip("base.mp4")  # with its tables first
    whole = hashes(start(media_dir), "base.mp4")
    path = os.path.join(media_dir, "base.mp4")
    at, _ = packet(path, 9)
    with open(path, "rb") as f, open(tmp_path / "base.mp4", "wb") as out:
        out.write(f.read(at))
    cut = hashes(start(tmp_path), "base.mp4")
    assert all(cut[f"{r}/{k}.m4s"] == whole[f"{r}/{k}.m4s"] for r in ("360p", "audio-0") for k in (0, 1))
    assert all(status == 200 for status, _ in cut.values())


SEEDS = ["brief.mp4", "brief.mkv", "brief.ts", "brief.flv", "brief.avi", "brief.ogv", "brief.asf", "brief.mpg",
         "brief.mxf", "brief.h264", "brief-hevc.mkv", "brief-vp8.webm", "brief-vp9.webm", "brief-av1.mkv"]


def answers(edge, asset):
    """What a viewer gets: of the entry, and of the first and last segment of each kind."""
    entry = edge.get(f"/{asset}/master.m3u8", timeout=60)
    out = [entry.status, hashlib.sha256(entry.body).hexdigest() if entry.status == 200 else entry.json["code"]]
    if entry.status != 200:
        return out
    playlist = Playlist(edge, asset)
    for name, folder, _ in playlist.renditions()[-2:]:
        segments = playlist.media(folder)[2]
        for leaf in {segments[0], segments[-1]}:
            a = edge.get(folder + leaf, timeout=60)
            out += [name, leaf, a.status, hashlib.sha256(a.body).hexdigest() if a.status == 200 else a.json["code"]]
    return out


# What archives, editors and screens keep; of large pictures, so the first half second.
KEPT = ["ffv1.mkv", "ffv1-10.mkv", "huffyuv.avi", "ffvhuff.avi", "utvideo.avi", "magicyuv.mkv", "jpeg2000.mxf", "png.mov",
        "cfhd.mov", "qtrle.mov", "palette.mov", "svq1.mov", "cinepak.avi", "rpza.mov", "msvideo1.avi", "flashsv.flv",
        "flashsv2.flv", "tape.avi", "prores.mov", "dnxhr.mov", "mjpeg.avi"]


@pytest.mark.parametrize("seeds, count", [(SEEDS, 2), pytest.param(SEEDS, 24, marks=pytest.mark.long),
                                          pytest.param(KEPT, 8, marks=pytest.mark.long)], ids=["2", "24", "kept"])
def test_mutants(seeds, count, start, clip, media_dir, tmp_path):
    """No crash of the server, no hang, the same answer twice: of each clip so many mutants."""
    folder = tmp_path / "mutants"
    folder.mkdir()
    names = []
    for seed in seeds:
        path = os.path.join(media_dir, clip(seed))
        if seeds is KEPT:
            short = tmp_path / seed
            subprocess.run(["ffmpeg", "-v", "error", "-t", "0.5", "-i", path, "-c", "copy", short], check=True)
            path = short
        with open(path, "rb") as f:
            data = f.read()
        stem, dot, end = seed.partition(".")
        for i in range(count):
            names.append(f"{stem}-{end}-{i}.{end}")
            (folder / names[-1]).write_bytes(mutants.mutate(seed, data, i))
    first, second = start(folder), start(folder)
    seen = {}
    for name in names:
        seen[name] = answers(first, name)
        assert seen[name] == answers(second, name), name
        assert seen[name][0] in (200, 404, 415, 422), (name, seen[name])
    assert sum(s[0] == 200 for s in seen.values()) > len(names) // 5, "most mutants still play a little"
    for edge in (first, second):
        assert edge.process.poll() is None
        assert edge.stop() == 0
