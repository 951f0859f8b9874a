# SPDX-License-Identifier: BSD-2-Clause
"""Interlaced sources: every picture is one moment, and each moment comes once and in order.

That pictures at a border are those of the whole asset, to the bit: test/unit/t_av_deinterlace.c.
"""
import os
import struct
import subprocess

import pytest

import exact
import likeness
from edge import BUILD
from test_exact import check_asset

# Both kinds of rungs from small pictures.
EVERY_FIELD = {"media": {"every_field": 300}}


@pytest.mark.parametrize("name", ["tff.mp4", pytest.param("bff.mkv", marks=pytest.mark.long), "dvd.mkv",
                                  pytest.param("woven.mov", marks=pytest.mark.long),
                                  pytest.param("tape.avi", marks=pytest.mark.long)])
def test_each_moment_once(name, start, clip, media_dir, tmp_path):
    """Rungs of at least 300 lines show every field, the others the first field of every frame."""
    edge = start(media_dir, config=EVERY_FIELD)
    videos = check_asset(edge, clip(name), tmp_path)
    fields = 2 * len(exact.presented(os.path.join(media_dir, name)))
    steps = {r.name: 1 if min(r.init.width, r.init.height) >= 300 else 2 for r in videos}
    assert set(steps.values()) == {1, 2}
    for r in videos:
        numbers, want = exact.barcodes(r, tmp_path), list(range(0, fields, steps[r.name]))
        assert len(numbers) == len(want), r.name
        # A block that changes and changes back from field to field is taken for one that stands still.
        unread = numbers.count(None)
        assert unread <= len(want) // 20, (r.name, unread)
        assert all(n in (None, w) for n, w in zip(numbers, want)), (r.name, numbers)


def test_same_bytes_in_any_order(start, clip, media_dir):
    clip("tff.mp4")
    first = start(media_dir, config=EVERY_FIELD)
    other = start(media_dir, config=EVERY_FIELD)
    _, forwards = exact.fetch(first, "tff.mp4", order=lambda names: None)
    _, backwards = exact.fetch(other, "tff.mp4", order=lambda names: names.reverse(), at_once=4)
    assert [r.hashes() for r in forwards] == [r.hashes() for r in backwards]


def probe(media_dir, name):
    return subprocess.run([os.path.join(BUILD, "tidemill"), "probe", os.path.join(media_dir, name)],
                          capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name, says", [("tff.mp4", "top field first"), ("bff.mkv", "bottom field first"),
                                        ("dvd.mkv", "top field first"), ("tape.avi", "bottom field first"), ("psf.mp4", None),
                                        ("telecine.mkv", "top field first")])
def test_what_is_interlaced(name, says, clip, media_dir):
    """Progressive pictures that are flagged as fields are not; telecined film is."""
    told = [line.split(None, 1)[1] for line in probe(media_dir, clip(name)).splitlines() if "  interlaced" in line]
    assert told == ([says] if says else [])


def camera(real_clips, name):
    """A camera's pictures, each of two coded fields."""
    subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(real_clips, "avchd-1080i50-a7m3-pgs.mts"), "-map",
                    "0:v", "-c", "copy", name], check=True)
    return str(name)


def check_camera(start, name, source, count):
    _, [r] = exact.fetch(start(name.parent), name.name, only=["360p"])
    assert r.attrs["FRAME-RATE"] == "25.000" and exact.frame_count(r) == count
    out = subprocess.run(["ffmpeg", "-v", "info", "-i", r.whole(str(name) + ".mp4"), "-i", source, "-lavfi",
                          "[0:v]settb=1/1000,setpts=N[a];"
                          "[1:v]bwdif=send_frame:tff,scale=640:360,settb=1/1000,setpts=N[b];[a][b]psnr",
                          "-fps_mode", "passthrough", "-f", "null", "-"], capture_output=True, text=True, check=True)
    assert float(out.stderr.split(" y:")[1].split()[0]) > 38, out.stderr


def folder_of(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    return folder


def test_fields_in_packets_of_their_own(start, real_clips, tmp_path):
    """A camera's file, remuxed: 22 packets that are shown hold 11 pictures."""
    name = folder_of(tmp_path) / "camera.mp4"
    check_camera(start, name, camera(real_clips, name), 11)


def chunk(kind, data):
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def avi(frames, width, height, fps):
    """The simplest one there is, of H.264."""
    stream = struct.pack("<4s4sIIIIIIIIIIII", b"vids", b"H264", 0, 0, 0, 1, fps, 0, len(frames), 0, 0, 0, 0, 0)
    form = struct.pack("<IIIHH4sIIIII", 40, width, height, 1, 24, b"H264", 0, 0, 0, 0, 0)
    head = struct.pack("<14I", 10**6 // fps, 0, 0, 0, len(frames), 0, 1, 0, width, height, 0, 0, 0, 0)
    lists = chunk(b"LIST", b"hdrl" + chunk(b"avih", head) + chunk(b"LIST", b"strl" + chunk(b"strh", stream)
                                                                  + chunk(b"strf", form)))
    return chunk(b"RIFF", b"AVI " + lists + chunk(b"LIST", b"movi" + b"".join(chunk(b"00dc", f) for f in frames)))


def test_both_fields_in_a_packet(start, real_clips, tmp_path):
    """As MXF of cameras has them: no packet is taken for half of what the next one has."""
    plain = camera(real_clips, tmp_path / "camera.h264")
    with open(plain, "rb") as f:
        fields = f.read().split(bytes.fromhex("0000000109"))[1:]
    fields = [bytes.fromhex("0000000109") + f for f in fields]
    name = folder_of(tmp_path) / "camera.avi"
    name.write_bytes(avi([a + b for a, b in zip(fields[::2], fields[1::2])], 1920, 1080, 25))
    check_camera(start, name, plain, len(fields) // 2)


@pytest.mark.parametrize("name", ["fields.mkv", "fields.ts"])
def test_hevc_of_fields_is_as_it_is(name, start, tmp_path):
    """HEVC codes fields as pictures of their own: each is shown once, as high as it is coded, and none is deinterlaced."""
    folder = folder_of(tmp_path)
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2", "-c:v", "libx265",
                    "-preset", "ultrafast", "-x265-params", "interlace=tff:log-level=error", folder / name], check=True)
    [r] = exact.fetch(start(folder, config={"media": {"passthrough": False, "every_field": 100}}), name)[1]
    ours = likeness.pictures(r.whole(str(tmp_path / "ours.mp4")))
    assert exact.frame_rate(r) == 25 and (r.init.width, r.init.height) == (320, 180)
    assert likeness.check(ours, likeness.pictures(folder / name), range(50)) == 50
