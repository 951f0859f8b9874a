# SPDX-License-Identifier: BSD-2-Clause
"""HDR sources: tone-mapped for everybody, and in an HDR rung, where one is configured, as they are."""
import os
import subprocess

import pytest

import boxes
import exact

LADDER = [{"short_side": 360, "maxrate": 2000000, "crf": 24, "codec": "hevc", "hdr": True},
          {"short_side": 240, "maxrate": 400000, "crf": 23}]


def ask(path, what):
    return subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=" + what, "-of",
                           "csv=p=0", path], capture_output=True, text=True, check=True).stdout.strip().rstrip(",")


@pytest.mark.parametrize("name, video_range, transfer, copied", [
    ("phone-av1-hdr10-portrait.mp4", "PQ", "smpte2084", ["source"]),
    pytest.param("iphone-hevc10-hlg-dovi-rot90-elst.mp4", "HLG", "arib-std-b67", [], marks=pytest.mark.long)])
def test_the_range_is_kept(name, video_range, transfer, copied, start, real_clips, tmp_path):
    edge = start(real_clips, config={"ladder": LADDER})
    playlist, renditions = exact.fetch(edge, name)
    videos = {r.name: r for r in renditions if r.video}
    assert set(videos) == {"360p-hdr", "240p", *copied}
    for r in copied:
        assert videos[r].attrs["VIDEO-RANGE"] == video_range
        path = videos[r].whole(str(tmp_path / "copy.mp4"))
        assert ask(path, "pix_fmt,color_space,color_transfer,color_primaries") == f"yuv420p10le,bt2020nc,{transfer},bt2020"
    assert playlist.renditions()[0][0] == "240p", "who knows no HDR begins with SDR"
    hdr, sdr = videos["360p-hdr"], videos["240p"]
    assert (hdr.attrs["VIDEO-RANGE"], sdr.attrs["VIDEO-RANGE"]) == (video_range, "SDR")
    assert exact.check_chain(hdr) == exact.check_chain(sdr)
    exact.check_promises(hdr)
    assert boxes.codec_string(hdr.init).startswith("hvc1.2.4.L")
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
    sets = [s for s in edge.ok(f"/{name}/manifest.mpd").decode().split("<AdaptationSet") if "hvc1" in s]
    assert len(sets) == 1 and "TransferCharacteristics" in sets[0]


def test_an_sdr_source_has_none(start, clip, media_dir):
    playlist, _ = exact.fetch(start(media_dir, config={"ladder": LADDER[:1]}), clip("short.mp4"), only=[])
    assert [uri.split("/")[1] for _, uri in playlist.variants] == ["source", "360p-hevc"]
    assert "VIDEO-RANGE" not in playlist.master
