# SPDX-License-Identifier: BSD-2-Clause
"""HLS with MPEG-TS: the bytes by the standard's rules, and against the fMP4 of the same pictures and sounds."""
import os
import subprocess

import pytest

import exact
import ts
from edge import Playlist
from muxed import check_variant, fetch, rates
from test_exact import UNDO, numbers_of


LONG = ["base.mp4", "rot90.mp4", "60.mp4", "23976.mkv", "opengop.mp4", "hevc.mp4", "vp9.webm", "rot270.mp4", "uneven.mp4", "third.mp4",
        "fourplus.mp4", "hd.mp4"]
SHORT = ["2997.mp4", "noaudio.mp4", "one.mp4"]


@pytest.mark.parametrize("name", SHORT + [pytest.param(n, marks=pytest.mark.long) for n in LONG])
def test_generated(name, start, clip, media_dir, tmp_path):
    """In random order first, then from another server in the playlist's and before any fMP4: the same bytes."""
    clip(name)
    edge, other = start(media_dir), start(media_dir)
    muxed = fetch(edge, name)
    _, renditions = exact.fetch(edge, name)
    assert [m.segments for m in muxed] == [m.segments for m in fetch(other, name, order=lambda names: None)]
    assert sorted(m.name for m in muxed) == sorted(r.name for r in renditions if r.video and not r.copied)
    for m in muxed:
        check_variant(m, renditions)
        path = m.whole(os.path.join(str(tmp_path), m.name + ".ts"))
        w, h = map(int, m.attrs["RESOLUTION"].split("x"))
        undo = UNDO.get(name, "null")
        if "transpose" in undo:
            w, h = h, w
        video = next(r for r in renditions if r.name == m.name)
        assert exact.read_barcodes(path, w, h, undo) == numbers_of(name, video, os.path.join(media_dir, name))


def test_costs_no_second_encode(start, clip, media_dir):
    """Both kinds of HLS have one encode of each segment, whichever comes first."""
    edge, name = start(media_dir), clip("short.mp4")
    fetch(edge, name)
    count = {k: v for k, v in edge.metrics().items() if k.startswith(("encodes", "inits"))}
    assert count["encodes_video_total"] > 0 and edge.metrics()["muxes_total"] > 0
    exact.fetch(edge, name)
    assert {k: v for k, v in edge.metrics().items() if k in count} == count


def test_sound_alone(sound, start):
    edge = start(sound)
    [m] = fetch(edge, "sound.mp4")
    _, [audio] = exact.fetch(edge, "sound.mp4")
    check_variant(m, [audio])
    assert "RESOLUTION" not in m.attrs and m.attrs["CODECS"] == "mp4a.40.2"


def test_noise_stays_below_bandwidth(start, clip, media_dir):
    """Also of many small frames, where the packets themselves weigh most."""
    edge = start(media_dir, config={"ladder": [{"short_side": 180, "maxrate": 700000, "crf": 23},
                                               {"short_side": 90, "maxrate": 100000, "crf": 30}]})
    name = clip("snow.mp4")
    plain = {n: int(attrs["BANDWIDTH"]) for n, _, attrs in Playlist(edge, name).renditions() if "BANDWIDTH" in attrs}
    for m in fetch(edge, name):
        promised = int(m.attrs["BANDWIDTH"])
        assert max(rates(m)) <= promised, m.name
        assert plain[m.name] < promised < 1.05 * plain[m.name] + 100000, (m.name, plain, promised)
    assert edge.metrics()["bandwidth_exceeded_total"] == 0


@pytest.mark.parametrize("name", ["short.mp4", pytest.param("2997.mkv", marks=pytest.mark.long)])
def test_ffmpeg_has_no_complaint(name, start, clip, media_dir):
    """Every variant through the master playlist, decoded and counted, at the highest level of strictness."""
    edge = start(media_dir)
    url = f"{edge.url}/{clip(name)}/master-ts.m3u8"
    out = subprocess.run(["ffprobe", "-v", "warning", "-err_detect", "explode", "-count_frames", "-select_streams",
                          "v", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", url],
                         capture_output=True, text=True)
    _, renditions = exact.fetch(edge, name)
    counts = {exact.frame_count(r) for r in renditions if r.video}
    assert out.returncode == 0 and not out.stderr, out.stderr
    assert set(map(int, out.stdout.split())) == counts
    out = subprocess.run(["ffmpeg", "-v", "warning", "-err_detect", "explode", "-i", url, "-map", "0", "-f", "null",
                          "-"], capture_output=True, text=True)
    assert out.returncode == 0 and not out.stderr, out.stderr


def variant(edge, name):
    p = Playlist(edge, name, "master-ts.m3u8")
    return p.renditions()[0][1]


def test_contract(start, clip, media_dir):
    edge, name = start(media_dir), clip("brief.mp4")
    folder = variant(edge, name)
    head = edge.request("HEAD", folder + "0.ts")
    assert head.status == 200 and head.header("content-type") == "video/mp2t"
    assert edge.request("HEAD", folder + "1.ts").status == 404
    tag = head.header("etag")
    assert edge.get(folder + "0.ts", {"If-None-Match": tag}).status == 304
    m = edge.metrics()
    assert m["encodes_video_total"] == m["encodes_audio_total"] == m["inits_total"] == 0
    part = edge.get(folder + "0.ts", {"Range": "bytes=188-375"})  # of a cold one
    whole = edge.get(folder + "0.ts")
    assert part.status == 206 and part.body == whole.body[188:376] and len(whole.body) % 188 == 0
    assert part.header("content-range") == f"bytes 188-375/{len(whole.body)}"
    assert whole.header("etag") == tag and "immutable" in whole.header("cache-control")
    assert whole.header("cache-status") == "tidemill; hit; detail=memory"
    assert edge.get(folder + "0.ts", {"Range": f"bytes={len(whole.body)}-"}).status == 416
    text = edge.get(folder + "index.m3u8", {"Accept-Encoding": "gzip"})
    assert text.header("content-encoding") == "gzip" and "immutable" in text.header("cache-control")


def test_each_recipe_has_its_own_leaves(start, clip, media_dir):
    edge, name = start(media_dir), clip("brief.mp4")
    muxed, mp4 = variant(edge, name), Playlist(edge, name).renditions()[0][1]
    for path in (muxed + "0.m4s", muxed + "init.mp4", mp4 + "0.ts", muxed + "1.ts", muxed + "9.ts",
                 muxed.replace("180p", "181p") + "0.ts", muxed.replace("180p", "audio-0") + "index.m3u8"):
        assert edge.get(path).status == 404, path
    assert "0.ts" in edge.ok(muxed + "index.m3u8").decode() and "0.m4s" in edge.ok(mp4 + "index.m3u8").decode()


def test_nothing_in_h264(start, clip, media_dir):
    rungs = [{"short_side": 90, "maxrate": 100000, "crf": 30, "codec": "hevc"}]
    answer = start(media_dir, config={"ladder": rungs}).get(f"/{clip('brief.mp4')}/master-ts.m3u8")
    assert answer.status == 404 and "H.264" in answer.json["detail"]


def test_every_field(start, clip, media_dir):
    """Rungs of an interlaced source have pictures at two rates; each is in MPEG-TS at its own."""
    edge, name = start(media_dir, config={"media": {"every_field": 300}}), clip("tff.mp4")
    _, renditions = exact.fetch(edge, name)
    muxed = fetch(edge, name)
    assert {m.attrs["FRAME-RATE"] for m in muxed} == {"50.000", "25.000"}
    for m in muxed:
        check_variant(m, renditions)


def test_of_a_clip(start, clip, media_dir):
    """Times begin at 0 in a clip of an asset, as in its fMP4."""
    edge, name = start(media_dir), clip("tiny.mp4") + ";t=2,9"
    _, renditions = exact.fetch(edge, name)
    for m in fetch(edge, name):
        check_variant(m, renditions)


def test_outlives_its_ladder(start, clip, media_dir):
    """A player in mid-film goes on after a restart with another ladder, and gets the same bytes."""
    name = clip("tiny.mp4")
    before = start(media_dir)
    folder = variant(before, name)
    text, first = before.ok(folder + "index.m3u8"), before.ok(folder + "0.ts")
    assert before.stop() == 0
    ladder = {"ladder": [{"short_side": 90, "maxrate": 100000, "crf": 30}]}
    after = start(media_dir, config=ladder, cache=before.cache)
    assert variant(after, name) != folder
    assert after.ok(folder + "index.m3u8") == text
    assert after.ok(folder + "0.ts") == first and after.metrics()["muxes_total"] == 0
    second = after.ok(folder + "1.ts")
    assert after.metrics()["muxes_total"] == 1
    assert second == start(media_dir).ok(folder + "1.ts")


def test_begins_before_its_end(start, clip, media_dir):
    """A cold segment comes while it is made: the answer's head says so, and what it was made of is there before."""
    edge, name = start(media_dir), clip("hd.mp4")
    answer = edge.get(variant(edge, name) + "1.ts")
    assert answer.header("transfer-encoding") == "chunked"
    assert float(answer.header("server-timing").split("encode;dur=")[1]) > 0
    ts.Reader().read(answer.body)
