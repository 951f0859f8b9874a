# SPDX-License-Identifier: BSD-2-Clause
"""HDR sources: tone-mapped for everybody, and in an HDR rung, where one is configured, as they are."""
import os
import struct
import subprocess

import pytest

import boxes
import exact
from edge import Playlist

SDR = {"short_side": 240, "maxrate": 400000, "crf": 23}
LADDERS = {"hevc": [{"short_side": 360, "maxrate": 2000000, "crf": 24, "codec": "hevc", "hdr": True}, SDR],
           "av1": [{"short_side": 360, "maxrate": 2000000, "crf": 30, "codec": "av1", "hdr": True}, SDR]}
RUNGS = {"hevc": ("360p-hdr", "hvc1.2.4.L"), "av1": ("360p-av1-hdr", "av01.0.")}


def ask(path, what):
    return subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=" + what, "-of",
                           "csv=p=0", path], capture_output=True, text=True, check=True).stdout.strip().rstrip(",")


PQ = ("phone-av1-hdr10-portrait.mp4", "PQ", "smpte2084", 16, ["source"])
HLG = ("iphone-hevc10-hlg-dovi-rot90-elst.mp4", "HLG", "arib-std-b67", 18, [])


@pytest.mark.parametrize("codec, name, video_range, transfer, code, copied", [
    ("hevc", *PQ), ("av1", *PQ),
    pytest.param("hevc", *HLG, marks=pytest.mark.long), pytest.param("av1", *HLG, marks=pytest.mark.long)])
def test_the_range_is_kept(codec, name, video_range, transfer, code, copied, start, real_clips, tmp_path):
    edge = start(real_clips, config={"ladder": LADDERS[codec]})
    playlist, renditions = exact.fetch(edge, name)
    videos = {r.name: r for r in renditions if r.video}
    rung, string = RUNGS[codec]
    assert set(videos) == {rung, "240p", *copied}
    for r in copied:
        assert videos[r].attrs["VIDEO-RANGE"] == video_range
        path = videos[r].whole(str(tmp_path / "copy.mp4"))
        assert ask(path, "pix_fmt,color_space,color_transfer,color_primaries") == f"yuv420p10le,bt2020nc,{transfer},bt2020"
    assert playlist.renditions()[0][0] == "240p", "who knows no HDR begins with SDR"
    hdr, sdr = videos[rung], videos["240p"]
    assert (hdr.attrs["VIDEO-RANGE"], sdr.attrs["VIDEO-RANGE"]) == (video_range, "SDR")
    assert exact.check_chain(hdr) == exact.check_chain(sdr)
    exact.check_promises(hdr)
    assert boxes.codec_string(hdr.init).startswith(string)
    if codec == "av1":
        assert hdr.attrs["CODECS"].split(",")[0] == boxes.codec_string(hdr.init) + f".0.110.09.{code}.09.0"
    path = hdr.whole(str(tmp_path / "hdr.mp4"))
    assert ask(path, "pix_fmt,color_space,color_transfer,color_primaries") == f"yuv420p10le,bt2020nc,{transfer},bt2020"
    assert ask(sdr.whole(str(tmp_path / "sdr.mp4")), "pix_fmt,color_transfer") == "yuv420p,bt709"
    # Its values are the source's: nothing was mapped.
    out = subprocess.run(
        ["ffmpeg", "-v", "info", "-i", path, "-i", os.path.join(real_clips, name), "-lavfi",
         f"[0:v]settb=1/1000,setpts=N[a];[1:v]fps={hdr.attrs['FRAME-RATE']},scale={hdr.init.width}:{hdr.init.height},"
         "format=yuv420p10le,settb=1/1000,setpts=N[b];[a][b]ssim", "-f", "null", "-"],
        capture_output=True, text=True, check=True).stderr
    assert float(out.split("All:")[1].split()[0]) > 0.95, out
    sets = [s for s in edge.ok(f"/{name}/manifest.mpd").decode().split("<AdaptationSet") if string in s]
    assert len(sets) == 1 and "TransferCharacteristics" in sets[0]


def test_mastering_is_told(start, tmp_path):
    """Of HDR rungs alone, in the units of the boxes: on what it was made, and how light it gets."""
    (tmp_path / "hdr").mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=2", "-pix_fmt",
                    "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                    "log-level=none:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:"
                    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)",
                    "-tag:v", "hvc1", tmp_path / "hdr" / "a.mp4"], check=True)
    edge = start(tmp_path / "hdr", config={"ladder": LADDERS["hevc"] + LADDERS["av1"][:1]})
    inits = {name: edge.ok(folder + "init.mp4") for name, folder, _ in Playlist(edge, "a.mp4").renditions()}
    display = struct.pack(">8H2I", 13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 50)
    boxes_ = b"\0\0\0\x20mdcv" + display + b"\0\0\0\x0cclli" + struct.pack(">2H", 1000, 400)
    assert {name for name, init in inits.items() if boxes_ in init} == {"360p-hdr", "360p-av1-hdr"} < set(inits)
    assert [n for n, init in inits.items() if b"mdcv" in init or b"clli" in init] == ["360p-hdr", "360p-av1-hdr"]


def test_an_sdr_source_has_none(start, clip, media_dir):
    playlist, _ = exact.fetch(start(media_dir, config={"ladder": LADDERS["hevc"][:1]}), clip("short.mp4"), only=[])
    assert [uri.split("/")[1] for _, uri in playlist.variants] == ["source", "360p-hevc"]
    assert "VIDEO-RANGE" not in playlist.master
