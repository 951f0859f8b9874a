# SPDX-License-Identifier: BSD-2-Clause
"""Rungs in other codecs than H.264: as exact, as free of history, and as good as their word."""
import os

import pytest

import exact
from edge import Playlist
from test_exact import check_asset

pytestmark = pytest.mark.usefixtures("encoded_only")

HEVC = [{"short_side": 360, "maxrate": 600000, "crf": 28, "codec": "hevc"},
        {"short_side": 180, "maxrate": 200000, "crf": 28, "codec": "hevc"}]
AV1 = [{"short_side": 360, "maxrate": 500000, "crf": 38, "codec": "av1"},
       {"short_side": 180, "maxrate": 180000, "crf": 38, "codec": "av1"}]
LADDERS = {"hevc": HEVC, "av1": AV1}
OPUS = [{"codec": "opus", "bitrate": 96000}]
H264 = [{"short_side": 240, "maxrate": 400000, "crf": 23}]


def rarely(*case):
    return pytest.param(*case, marks=pytest.mark.long)


@pytest.mark.parametrize("codec, name, frames", [("hevc", "base.mp4", 325), rarely("hevc", "2997.mkv", 390),
                                                 ("av1", "base.mp4", 325), rarely("av1", "2997.mkv", 390)])
def test_every_frame_once(codec, name, frames, start, clip, media_dir, tmp_path):
    edge = start(media_dir, config={"ladder": LADDERS[codec] + H264})
    videos = check_asset(edge, clip(name), tmp_path)
    assert {r.name for r in videos} == {"360p-" + codec, "240p", "180p-" + codec}
    for r in videos:
        assert exact.barcodes(r, tmp_path) == list(range(frames)), r.name
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


@pytest.mark.parametrize("codec", list(LADDERS))
def test_same_bytes_in_any_order(codec, start, clip, media_dir):
    config = {"ladder": LADDERS[codec] + OPUS, "workers": {"parts": 2}}
    name = clip("short.mp4")
    _, forwards = exact.fetch(start(media_dir, config=config), name, order=lambda names: None)
    config["workers"]["parts"] = 1
    _, backwards = exact.fetch(start(media_dir, config=config), name, order=lambda names: names.reverse(), at_once=4)
    assert [r.hashes() for r in forwards] == [r.hashes() for r in backwards]
    assert "audio-0-opus" in {r.name for r in forwards}


@pytest.mark.parametrize("ramp", ["", pytest.param("1s,2s", marks=pytest.mark.long)])
@pytest.mark.parametrize("codec", list(LADDERS))
def test_noise_stays_below_bandwidth(codec, ramp, start, clip, media_dir):
    ladder = [{**LADDERS[codec][1], "maxrate": 550000}]  # SVT-AV1 at its coarsest takes 0.6 Mb/s for a second of it
    edge = start(media_dir, config={"ladder": ladder, "media": {"ramp": ramp}})
    _, [video, sound] = exact.fetch(edge, clip("snow.mp4"))
    exact.check_promises(video, [sound])
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


def test_h264_comes_first(start, clip, media_dir):
    """Who knows no other codec begins with something he knows; in DASH each has a set of its own."""
    edge = start(media_dir, config={"ladder": HEVC + H264})
    name = clip("base.mp4")
    assert Playlist(edge, name).renditions()[0][0] == "240p"
    sets = [s for s in edge.ok(f"/{name}/manifest.mpd").decode().split("<AdaptationSet") if "video" in s]
    assert sorted(("hvc1" in s, "avc1" in s) for s in sets if "trickmode" not in s) == [(False, True), (True, False)]


@pytest.mark.parametrize("encoder", ["h264_nvenc", "h264_qsv", "h264_vaapi", "hevc_vaapi"])
def test_an_encoder_that_is_not_there(encoder, start, media_dir):
    """It is tried before anybody is served, as workers are walled in."""
    if os.path.exists("/dev/dri") or os.path.exists("/dev/nvidia0"):
        pytest.skip("this machine has a graphics processor")
    rung = {**H264[0], "codec": encoder.split("_")[0], "encoder": encoder}
    with pytest.raises(RuntimeError, match=f"ladder: the encoder {encoder} does not work on this machine: "):
        start(media_dir, config={"ladder": [rung], "workers": {"devices": True}})


def test_opus_stands_beside_aac(start, clip, media_dir):
    """Who knows no Opus finds every rung with AAC; MPEG-TS, which has no Opus that players know, has nothing else."""
    edge = start(media_dir, config={"ladder": H264 + OPUS})
    name = clip("base.mp4")
    p, [opus] = exact.fetch(edge, name, only={"audio-0-opus"})
    assert [(v["AUDIO"], v["CODECS"].split(",")[1]) for v, _ in p.variants] == [
        ("audio", "mp4a.40.2"), ("opus", "opus")]
    assert [(a["GROUP-ID"], a["DEFAULT"], a["CHANNELS"]) for a in p.audio] == [("audio", "YES", "2"), ("opus", "YES", "2")]
    assert (opus.init.entry, opus.init.sample_rate, opus.init.config[2:4]) == ("Opus", 48000, b"\0\0")
    assert "opus" not in edge.ok(f"/{name}/master-ts.m3u8").decode()
    sets = [s for s in edge.ok(f"/{name}/manifest.mpd").decode().split("<AdaptationSet") if 'codecs="opus"' in s]
    assert len(sets) == 1 and 'timescale="48000"' in sets[0]


@pytest.mark.skipif("SANITIZED" in os.environ, reason="sanitizers want all addresses")
@pytest.mark.parametrize("devices, files, addresses", [(False, "16", False), (True, "256", True)])
def test_walls_of_drivers(devices, files, addresses, start, clip, media_dir):
    """Descriptors and addresses, and nothing else, are there in plenty where drivers of hardware are let in."""
    edge = start(media_dir, config={"ladder": H264, "workers": {"devices": devices}})
    exact.fetch(edge, clip("short.mp4"), only=["240p"])
    with open(f"/proc/{edge.worker_pids()[0]}/limits") as f:
        limits = {line[:26].strip(): line[26:].split()[0] for line in f}
    assert limits["Max open files"] == files and limits["Max file size"] == "0"
    assert (limits["Max address space"] == "unlimited") == addresses and limits["Max data size"] != "unlimited"
