# SPDX-License-Identifier: BSD-2-Clause
"""Several tracks of sound: each is what it would be alone, and players choose among them."""
import os
import re
import subprocess

import numpy
import pytest

import browser
import exact
import sounds
from edge import Playlist
from sounds import recipe

# Single files, whose sound test_sound.py finds at its place; and their languages together.
SINGLE = [("48k.mp4", recipe("48k.mp4"), "eng", "en"), ("late.mp4", recipe("late.mp4", at=0.5, seconds=12.5), "ger", "de"),
          ("22k-mono.mp4", recipe("22k-mono.mp4", rate=22050, channels=1), "und", None),
          ("ac3.mp4", recipe("ac3.mp4", codec="ac3 -b:a 640k"), "fre", "fr")]


@pytest.fixture(scope="module")
def sound_dir(media_dir):
    folder = os.path.join(media_dir, "sound")
    os.makedirs(folder, exist_ok=True)
    return folder


def together(sound_dir, out, *options):
    """All of SINGLE's sound beside the pictures of the first."""
    files = [sounds.make(sound_dir, r) for _, r, _, _ in SINGLE]
    inputs = [x for f in files for x in ("-i", f)]
    maps = [x for i in range(len(files)) for x in ("-map", f"{i}:a", f"-metadata:s:a:{i}", f"language={SINGLE[i][2]}")]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, "-map", "0:v", *maps, "-c", "copy", "-movie_timescale",
                    "48000", *options, out], check=True)


def segments(edge, name, rendition):
    playlist = Playlist(edge, name)
    [path] = [f for n, f, _ in playlist.renditions() if n == rendition]
    return [edge.ok(path + leaf) for leaf in ("init.mp4", *playlist.media(path)[2])]


def test_each_is_what_it_is_alone(sound_dir, tmp_path, start):
    """Byte by byte, but for what asset it is: so it is at its place, whatever stands beside it."""
    together(sound_dir, tmp_path / "all.mp4", "-metadata:s:a:1", 'title=Mit "Anführung" & <so>')
    edge, alone = start(tmp_path), start(sound_dir)
    p = Playlist(edge, "all.mp4")
    assert [n for n, _, _ in p.renditions() if n.startswith("audio")] == [f"audio-{i}" for i in range(len(SINGLE))]
    assert [a.get("LANGUAGE") for a in p.audio] == [s[3] for s in SINGLE]
    assert [a["DEFAULT"] for a in p.audio] == ["YES"] + ["NO"] * (len(SINGLE) - 1)
    assert len({a["NAME"] for a in p.audio}) == len(SINGLE)
    for i in reversed(range(len(SINGLE))):
        assert segments(edge, "all.mp4", f"audio-{i}") == segments(alone, SINGLE[i][0], "audio-0"), SINGLE[i][0]


def test_one_of_no_use_is_left_out(sound_dir, tmp_path, start):
    """The others play, and the log says why."""
    together(sound_dir, tmp_path / "all.mkv", "-c:a:1", "wavpack")
    edge = start(tmp_path)
    p = Playlist(edge, "all.mkv")
    assert [a.get("LANGUAGE") for a in p.audio] == ["en", None, "fr"]
    assert any("track 2 is left out" in line for line in edge.lines)


def test_real_clip(start, real_clips):
    name = "nasa-multitrack-2v-2a-2s.mp4"
    edge = start(real_clips)
    p = Playlist(edge, name)
    assert [a["NAME"] for a in p.audio] == ["English", "English 2"]
    one, other = segments(edge, name, "audio-0"), segments(edge, name, "audio-1")
    assert len(one) == len(other) and one[1:] != other[1:]


TONES = [(440, "eng", "en"), (880, "ger", "de")]


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    inputs = [x for hz, _, _ in TONES for x in ("-f", "lavfi", "-i", f"sine=frequency={hz}:sample_rate=48000")]
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", *inputs, "-map", "0",
                    "-map", "1", "-map", "2", "-t", "13", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a",
                    "aac", *(x for i, t in enumerate(TONES) for x in (f"-metadata:s:a:{i}", f"language={t[1]}")),
                    folder / "tones.mp4"], check=True)
    return folder


OPUS = {"ladder": [{"short_side": 180, "maxrate": 400000, "crf": 23}, {"codec": "opus", "bitrate": 96000}]}


def fetched(edge):
    """The renditions of sound that somebody asked for."""
    return {m for line in edge.lines for m in re.findall(r"/(audio-\d[a-z-]*)/", line)}


@pytest.mark.parametrize("player,entry", [("hls", "master.m3u8"), ("dash", "manifest.mpd")])
def test_switched_in_chromium(player, entry, tones, start):
    switch(player, entry, start(tones), ["en", "de", "en", "de"])


@pytest.mark.parametrize("player,entry,without", [
    ("hls", "master.m3u8", "mp4a"), ("dash", "manifest.mpd", "mp4a"),
    pytest.param("hls", "master.m3u8", "opus", marks=pytest.mark.long),
    pytest.param("dash", "manifest.mpd", "opus", marks=pytest.mark.long)])
def test_opus_in_chromium(player, entry, without, tones, start):
    """A browser that knows one of the two codecs plays that."""
    edge = start(tones, config=OPUS)
    switch(player, entry, edge, ["en", "de"], without)
    assert fetched(edge) == ({"audio-0-opus", "audio-1-opus"} if without == "mp4a" else {"audio-0", "audio-1"})


def switch(player, entry, edge, order, without=None):
    """What is heard is the track that was chosen: there, back, and there again while it plays."""
    r = browser.run("sound.mjs", dict(player=player, url=f"{edge.url}/tones.mp4/{entry}", languages=order,
                                      without=without))
    assert "failed" not in r and "pageErrors" not in r and r["errors"] == [], (r, edge.log_tail())
    assert r["tracks"] == [["en", "English"], ["de", "Deutsch"]]
    want = {lang: hz for hz, _, lang in TONES}
    assert [round(hz / 20) * 20 for hz in r["heard"]] == [want[lang] for lang in order], r["heard"]


# ---- 5.1

SURROUND = recipe("six.mp4", channels=6)


def test_surround(sound_dir, tmp_path, start):
    """Beside stereo, in a group of its own, each channel at its place; its variants name it."""
    sounds.make(sound_dir, SURROUND)
    edge = start(sound_dir)
    playlist, [audio] = exact.fetch(edge, "six.mp4", only={"audio-0-surround"})
    groups = {a["GROUP-ID"]: a for a in playlist.audio}
    assert {g: a["CHANNELS"] for g, a in groups.items()} == {"audio": "2", "surround": "6"}
    assert groups["audio"]["NAME"] == groups["surround"]["NAME"]
    heights = {g: [v["RESOLUTION"] for v, _ in playlist.variants if v["AUDIO"] == g] for g in groups}
    assert heights["audio"] == heights["surround"] and playlist.variants[0][0]["AUDIO"] == "audio"
    assert max(exact.rates(audio)) <= int(playlist.variants[-1][0]["BANDWIDTH"])
    exact.check_playlist(audio, exact.check_chain(audio))
    heard = sounds.heard(audio, tmp_path)
    assert heard.shape[0] == 6
    right = [sounds.signal_of(SURROUND, c, 48000) for c in sounds.CHANNELS[6]]
    for channel in (0, 1, 2, 4, 5):  # an encoder keeps of the fourth what a subwoofer can play
        x = sounds.place(numpy.array([right[channel]]), 0, heard.shape[1])[0]
        lags, alike = zip(*sounds.lags(heard[channel], x))
        assert max(map(abs, lags)) <= 1 and min(alike) > 0.5, (channel, lags, alike)


def test_surround_alone_is_the_same(sound_dir, start):
    """Any segment by itself, in any order."""
    sounds.make(sound_dir, SURROUND)
    one, other = start(sound_dir), start(sound_dir)
    forward = segments(one, "six.mp4", "audio-0-surround")
    p = Playlist(other, "six.mp4")
    [path] = [f for n, f, _ in p.renditions() if n == "audio-0-surround"]
    names = p.media(path)[2]
    assert [other.ok(path + leaf) for leaf in reversed(names)] == forward[:0:-1]
