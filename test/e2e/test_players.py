# SPDX-License-Identifier: BSD-2-Clause
"""Real players in a real browser, against a server that had nothing but the source."""
import subprocess

import pytest

import browser
from edge import Playlist, quote
from test_codecs import LADDERS

# (player, with "-ts" on master-ts.m3u8, clip, frames per second, frames, degrees clockwise that stand the picture upright)
SHORT = [
    ("hls", "base.mp4", 25, 325, 0),
    ("shaka", "rot90.mp4", 25, 325, 90),
    ("dashjs", "base.mp4", 25, 325, 0),
    ("native", "noaudio.mp4", 25, 325, 0),
    ("hls-ts", "base.mp4", 25, 325, 0),
]
LONG = [
    ("hls", "rot90.mp4", 25, 325, 90),
    ("hls", "rot270.mp4", 25, 325, 270),
    ("hls", "noaudio.mp4", 25, 325, 0),
    ("hls", "2997.mp4", 30000 / 1001, 390, 0),
    ("hls", "60.mp4", 60, 540, 0),
    ("hls", "hd.mp4", 30, 360, 0),
    ("hls", "gop12.mp4", 25, 600, 0),
    ("hls", "av1.mkv", 25, 325, 0),  # the source itself, which no rung is coded as
    ("shaka", "base.mp4", 25, 325, 0),
    ("shaka", "23976.mp4", 24000 / 1001, 312, 0),
    ("shaka", "hd.mp4", 30, 360, 0),
    ("shaka", "vp9.webm", 25, 325, 0),
    ("dash", "base.mp4", 25, 325, 0),
    ("dash", "rot90.mp4", 25, 325, 90),
    ("dash", "23976.mp4", 24000 / 1001, 312, 0),
    ("dash", "vp9.webm", 25, 325, 0),
    ("dashjs", "23976.mp4", 24000 / 1001, 312, 0),
    ("native", "base.mp4", 25, 325, 0),
    ("native", "rot90.mp4", 25, 325, 90),
    ("hls-ts", "2997.mp4", 30000 / 1001, 390, 0),
    ("hls-ts", "noaudio.mp4", 25, 325, 0),
    ("hls-ts", "rot90.mp4", 25, 325, 90),
    ("hls-ts", "60.mp4", 60, 540, 0),
    ("shaka-ts", "base.mp4", 25, 325, 0),
]
CASES = SHORT + [pytest.param(*c, marks=pytest.mark.long) for c in LONG]
FIREFOX_SHORT = [("hls", "base.mp4", 25, 325)]
FIREFOX_LONG = [
    ("hls-ts", "base.mp4", 25, 325),
    ("shaka", "base.mp4", 25, 325),
    ("dash", "base.mp4", 25, 325),
    ("dash", "noaudio.mp4", 25, 325),
    ("dashjs", "base.mp4", 25, 325),
]
FIREFOX = FIREFOX_SHORT + [pytest.param(*c, marks=pytest.mark.long) for c in FIREFOX_LONG]
AUDIO_FRAME = 1024 / 44100  # the sound of a clip may end so much later than its picture


@pytest.mark.parametrize("player,name,fps,frames,turn", CASES)
def test_chromium(player, name, fps, frames, turn, start, clip, media_dir):
    clip(name)
    play(start(media_dir), start(media_dir), player, name, fps, frames, turn)


@pytest.mark.parametrize("player,name,fps,frames", FIREFOX)
def test_firefox(player, name, fps, frames, start, clip, media_dir):
    clip(name)
    play(start(media_dir), start(media_dir), player, name, fps, frames, 0, "firefox")


@pytest.mark.parametrize("player", ["hls", *(pytest.param(p, marks=pytest.mark.long)
                                            for p in ("shaka", "dash", "dashjs", "native", "hls-ts"))])
def test_ramp(player, start, clip, media_dir):
    """Segments of 1, 2, then 4 s."""
    config = {"ui": True, "media": {"passthrough": False, "ramp": "1s,2s"}}
    clip("base.mp4")
    play(start(media_dir, config=config), start(media_dir, config=config), player, "base.mp4", 25, 325, 0)


@pytest.mark.long
@pytest.mark.parametrize("player", ["hls", "dash"])
def test_av1_in_chromium(player, start, clip, media_dir):
    """It decodes AV1 by itself, on any machine."""
    # (Beside the source's H.264 Shaka would take one of the two only.)
    config = {"ui": True, "ladder": LADDERS["av1"], "media": {"passthrough": False}}
    clip("base.mp4")
    play(start(media_dir, config=config), start(media_dir, config=config), player, "base.mp4", 25, 325, 0)


def play(edge, cold, player, name, fps, frames, turn, program="chromium"):
    player, _, ts = player.partition("-")
    entry = "manifest.mpd" if player.startswith("dash") else "master-ts.m3u8" if ts else "master.m3u8"
    url, cold_url = (f"{e.url}/{quote(name)}/{entry}" for e in (edge, cold))
    everything = f"{edge.url}/{quote(name)}/{entry if ts else 'master.m3u8'}"
    # Where Chromium decodes large pictures by itself, twice the speed may be too much for it.
    # Behind what hls.js has of MPEG-TS at such rates it looks in vain (docs/players.md).
    shy = round(4 * fps) if ts and fps != int(fps) else 0
    r = browser.run("play.mjs", dict(browser=program, player=player, url=url, cold=cold_url, all=everything, fps=fps,
                                     frames=frames, turn=turn, rate=1 if name == "hd.mp4" else 2, shy=shy))
    duration = frames / fps
    # Of MPEG-TS both players put the first decode time at 0, so all is two frames late.
    late = 2 if ts else 0
    assert cold.stop() == 0
    assert "failed" not in r and "pageErrors" not in r, (r, edge.log_tail())
    for view in r["eager"], r["whole"]:
        assert view["ended"] and view["errors"] == [], (view, edge.log_tail())
        [(begin, end)] = view["ranges"]
        leapt = max(0, view["leapt"] - begin) * fps  # over so many, some of them decoded before
        # (Shaka decodes some of MPEG-TS twice.)
        assert view["frames"] == frames or (player == "shaka" and ts) or leapt and view["frames"] >= frames - leapt, view
        assert abs(begin - late / fps) < 0.002, view
        assert duration - 0.002 <= end - begin <= duration + AUDIO_FRAME, view
        assert duration - 0.002 <= view["duration"] - begin <= duration + AUDIO_FRAME, view
    assert [t for t in r["whole"]["waiting"] if t > 0.5] == []  # the start itself may wait
    # Firefox is content with what is in the buffer up to an eighth of a second later.
    near = fps / 8 if program == "firefox" else 0
    for seeks, more in (r["coldSeeks"], near), (r["seeks"], 0):
        assert len(seeks) == 10 and all(want - late <= got <= want - late + more for want, got in seeks), seeks
    assert r["coldErrors"] == []
    if player != "native":
        check_switches(r["switches"], Playlist(edge, name, entry if ts else "master.m3u8"), duration)
    assert r["errors"] == []


def check_switches(switches, playlist, duration):
    """Up through all rungs and down again, in one piece that reaches the end."""
    heights = sorted(int(attrs["RESOLUTION"].split("x")[1]) for attrs, _ in playlist.variants)
    assert len(heights) > 1
    assert [s["height"] for s in switches] == heights + heights[-2::-1]
    assert [s["rung"] for s in switches] == [*range(len(heights)), *range(len(heights) - 1)[::-1]]
    for s in switches:
        [(_, end)] = s["ranges"]
        assert not s["paused"] and end >= duration - 0.002, s


@pytest.mark.parametrize("player", ["hls", pytest.param("shaka", marks=pytest.mark.long), "dash", "dashjs"])
def test_stills(player, start, clip, media_dir):
    """Scrubbing and fast play, of a clip with a picture for each second."""
    # Of the source's own video, Shaka has all in its buffer before fast play begins.
    edge = start(media_dir, env={"TIDEMILL_MEDIA_PASSTHROUGH": "false"})
    entry = "manifest.mpd" if player.startswith("dash") else "master.m3u8"
    # (hls.js does not always find the way back to a picture it has thrown out of its buffer.)
    times = [0.2, 3.5, 7.9, 12.4] if player == "hls" else [0.2, 7.9, 3.5, 12.4, 3.6]
    r = browser.run("stills.mjs", dict(player=player, url=f"{edge.url}/{clip('base.mp4')}/{entry}", times=times))
    assert "failed" not in r and "pageErrors" not in r and r["errors"] == [], (r, edge.log_tail())
    if player == "hls":
        assert r["iframes"] == [[t, 25 * int(t)] for t in times], r
    elif player == "dashjs":  # it has no fast play
        assert r["thumbnails"] == [[t, 25 * int(t)] for t in times] and not r["asked"], r
        return
    else:
        assert r["thumbnails"] == [[t, 25 * int(t), int(t), int(t) + 1] for t in times], r
        # The picture that was on the screen when it began may be another.
        fast = r["fast"][1:] if r["fast"] and r["fast"][0] % 25 else r["fast"]
        assert len(fast) > 2 and all(n % 25 == 0 for n in fast), r
        times = [n / 25 for n in fast]
    assert {"init.mp4", *(f"{int(t)}.m4s" for t in times)} <= set(r["asked"]), r


def playlists(edge, name):
    p = Playlist(edge, name)
    return [p.master] + [p.media(folder)[0] for _, folder, _ in p.renditions() + p.tricks()]


@pytest.mark.parametrize("name", ["base.mp4", "noaudio.mp4", "2997.mkv"])
def test_strict_parser(name, start, clip, media_dir):
    texts = playlists(start(media_dir), clip(name))
    assert len(texts) > 2
    assert '"und"' not in texts[0]  # base.mp4 names no language
    assert browser.parse(texts) == ["master"] + ["media"] * (len(texts) - 1)


def test_strict_parser_of_sound(sound, start):
    assert browser.parse(playlists(start(sound), "sound.mp4")) == ["master", "media"]


def test_strict_parser_of_real_sound(real_clips, start):
    assert browser.parse(playlists(start(real_clips), "audio-only-aac-10s.mp4")) == ["master", "media"]


def test_ffprobe_counts_frames(start, clip, media_dir):
    """In every variant, through the master playlist."""
    url = f"{start(media_dir).url}/{clip('short.mp4')}/master.m3u8"
    out = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
                          "stream=nb_read_frames", "-of", "csv=p=0", url], capture_output=True, text=True)
    assert out.returncode == 0 and not out.stderr, out.stderr
    assert set(out.stdout.split()) == {"75"}
